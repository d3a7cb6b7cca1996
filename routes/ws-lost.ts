import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Speech } from '../plugins/speech.ts'
import type { Gateway } from '../src/gateway.ts'

export interface WsLostOptions {
  readonly gateway: Gateway
}

interface Answer {
  readonly status: number
  /** Logged once in a while, so that the operator learns of it whose client shows nothing but a status. */
  readonly log?: string
  readonly message: string
}

const ANSWERS: Partial<Record<Speech, Answer>> = {
  http: {
    status: 426,
    message:
      'this address speaks WebSocket: IM-Suite for people (?token=<token>), the API-Server protocol of maim_message (?api_key=<key>&platform=<name>, or the headers x-apikey and x-platform), and its legacy protocol (the headers platform and Authorization: <token>)'
  },
  'socket.io': {
    status: 400,
    log: 'a Socket.IO client was turned away: maim_message 0.7 speaks Socket.IO, use 0.6.x (pip install "maim-message<0.7")',
    message:
      'this address speaks native WebSocket, you speak Socket.IO: that is maim_message 0.7; use 0.6.x (pip install "maim-message<0.7")'
  },
  onebot: {
    status: 400,
    log: 'a OneBot client was turned away: at /ws maim_message and IM-Suite are spoken; bots speak Milky here, see GET /',
    message:
      'you are a OneBot client, and OneBot is not spoken here: connect it to its own adapter, or use Milky at / or /event (GET / names the doors)'
  }
}

/** How often the log tells of each kind of stranger; they come back every few seconds. */
const LOG_EVERY_MS = 60_000

/** Tells those who come to `/ws` and speak none of its languages where they are, and what to do. */
export async function wsLost(app: FastifyInstance, { gateway }: WsLostOptions): Promise<void> {
  const { clock, log } = gateway
  for (const [speech, answer] of Object.entries(ANSWERS)) {
    let toldAt = -Infinity
    const tell = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
      const { status, message } = answer
      const now = clock.ticks()
      if (answer.log !== undefined && now - toldAt > LOG_EVERY_MS) {
        toldAt = now
        log.warn({ address: request.ip }, answer.log)
      }
      if (status === 426) void reply.header('upgrade', 'websocket')
      return reply.code(status).send({ status: 'failed', retcode: -status, message })
    }
    for (const url of ['/ws', '/ws/']) {
      app.route({
        method: speech === 'socket.io' ? ['GET', 'POST'] : 'GET',
        url,
        constraints: { speech },
        // Without it sockets are told that there is nothing here.
        config: { maxFrame: 1 },
        onRequest: tell,
        handler: tell
      })
    }
  }
}

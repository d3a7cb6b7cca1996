import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { admitBot, createTenure, isRefusal, MALFORMED_SINCE, refuseBot, type IdentifyBot } from '../plugins/auth.ts'
import { findStart, type Start } from '../plugins/since.ts'
import type { Config } from '../src/config.ts'
import type { Gateway } from '../src/gateway.ts'
import { watchAccess } from '../src/net/access.ts'
import { openBotSocket } from '../src/net/bot-socket.ts'
import { serveCalls } from '../src/net/serve.ts'
import { createTurnstile } from '../src/net/turnstile.ts'
import { withCursor } from '../src/protocols/cursor-codec.ts'
import { createDraftSocketCodec } from '../src/protocols/milky-draft.ts'
import { createId } from '../src/secrets.ts'

export interface MilkySocketOptions {
  readonly gateway: Gateway
  readonly identifyBot: IdentifyBot
  readonly config: Config
  /** Answers a visitor of `/` who did not ask for a WebSocket. */
  readonly frontPage: RouteHandlerMethod
}

/** Milky draft over WebSocket: calls and events on one socket at `/` (contract 1.3). Without an upgrade: a page that names the doors. */
export async function milkySocket(
  app: FastifyInstance,
  { gateway, identifyBot, config, frontPage }: MilkySocketOptions
): Promise<void> {
  const { hub, devices, heartbeat, store, onError } = gateway
  const { limits, server } = config
  const codec = createDraftSocketCodec()
  const cursorCodec = withCursor(codec)
  const turnstile = createTurnstile()
  const access = watchAccess(gateway)

  /** Decided in the handshake: a client whose token is wrong is never let in to be thrown out. */
  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    if (!request.ws) return undefined
    const bot = await admitBot(request, {
      app,
      identifyBot,
      wrongToken: 403,
      allowedOrigins: server.allowed_origins,
      isHandshake: true
    })
    if (isRefusal(bot)) return refuseBot(request, reply, bot)
    if (bot.isDisabled) return refuseBot(request, reply, { status: 403, sentence: 'this bot is switched off' })
    const start = await findStart(request, reply, { store, position: hub.position })
    if (start === 'malformed') return refuseBot(request, reply, MALFORMED_SINCE)
    request.botId = bot.accountId
    request.start = start
    return undefined
  }

  app.decorateRequest('botId', 0)
  app.decorateRequest<Start | undefined, 'start'>('start', undefined)
  app.addHook('onClose', async () => access.close())

  app.route({
    method: 'GET',
    url: '/',
    onRequest: admit,
    config: { maxFrame: limits.milky_frame },
    handler: frontPage,
    wsHandler(socket, request) {
      const accountId = request.botId
      const deviceId = createId()
      const connection = openBotSocket({
        socket,
        stream: request.raw.socket,
        accountId,
        deviceId,
        codec: request.start?.tellsCursor ? cursorCodec : codec,
        from: request.start?.from ?? hub.position(),
        store,
        turnstile,
        reportsSelf: () => gateway.reportsSelf(accountId),
        maxQueuedBytes: limits.connection_buffer,
        hub,
        devices,
        heartbeat,
        tenure: createTenure(request, { access, store, identifyBot, onError }),
        log: gateway.log,
        door: 'milky-draft'
      })
      const serving = serveCalls({
        socket,
        connection,
        codec,
        dispatcher: gateway.draft,
        accountId,
        deviceId,
        frameRate: limits.frame_rate,
        onError
      })
      app.farewells.set(socket, serving.finish)
      socket.once('close', () => app.farewells.delete(socket))
    }
  })
}

import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import { guardReading, MAX_FRAGMENTS } from '../sdk/src/read-guard.ts'
import { CLOSE } from '../src/net/close-codes.ts'
import { restartHint, toAnswer } from '../src/net/http-answer.ts'
import { findFault } from '../src/net/request-fault.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Largest frame that sockets of this route may send, in bytes. Routes without it take no sockets. */
    maxFrame?: number
    /** Whether sockets of this route may agree to permessage-deflate; it costs 90 KiB and more each. */
    compress?: boolean
  }
  interface FastifyInstance {
    /** Runs for each socket before the server closes it: a last word in its protocol, or what is still under way. */
    farewells: Map<WebSocket, () => void | Promise<void>>
    /** Lets the doors of this application serve the WebSockets of a further server. */
    takeUpgrades: (server: Server) => void
  }
}

type OnUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Sockets that are left after this get cut. */
const CLOSE_DEADLINE_MS = 3000

/** WebSocket doors: bounded frames, no compression unless a route asks for it (110 KB and more per socket), every socket told why it ends. */
export default fp(async (app: FastifyInstance) => {
  const farewells: FastifyInstance['farewells'] = new Map()
  let isClosing = false
  app.decorate('farewells', farewells)

  // The answer to a handshake is written below Fastify: what a door has said there goes with it.
  const answers = new WeakMap<IncomingMessage, FastifyReply>()

  /**
   * All that the handshake was made of would stay as long as its socket, 2 KiB for each: the stream holds it, and so does
   * the listener for errors of the library. The door adds one of its own.
   */
  function forgetHandshake(socket: WebSocket, { raw }: FastifyRequest): void {
    socket.removeAllListeners('error')
    socket.on('error', ignore)
    answers.get(raw)?.raw.detachSocket(raw.socket)
  }

  // Comes before the hook of the library, which takes the handler as it finds it.
  app.addHook('onRoute', (route) => {
    const { wsHandler } = route
    if (!wsHandler) return
    route.wsHandler = function (socket, request) {
      forgetHandshake(socket, request)
      return wsHandler.call(this, socket, request)
    }
  })

  // The type declarations of `ws` lag behind its options.
  const bounds = { maxFragments: MAX_FRAGMENTS, closeTimeout: 5000 }
  await app.register(websocket, {
    options: { perMessageDeflate: false, ...bounds },
    errorHandler: (err, socket, request) => {
      // Everybody could fill the log; `ws` has closed the socket already, with the code that tells the peer.
      if (isOfPeer(err)) return request.log.debug({ err }, 'a peer broke the protocol or the connection')
      request.log.error({ err }, 'a WebSocket handler failed')
      socket.close(CLOSE.bug.code, CLOSE.bug.reason)
    },
    preClose: (done) => {
      isClosing = true
      // First no new ones: a socket that is let in while the others are closed would be waited for in vain.
      app.websocketServer.close(() => done())
      void closeAll(app.websocketServer.clients as Set<WebSocket>, farewells, (err) =>
        app.log.error({ err }, 'a last word to a socket failed')
      )
    }
  })

  app.websocketServer.on('headers', (lines: string[], request: IncomingMessage) => {
    for (const [name, value] of Object.entries(answers.get(request)?.getHeaders() ?? {}))
      if (name.startsWith('lactea-')) lines.push(`${name}: ${String(value)}`)
  })

  app.websocketServer.on('connection', (socket, { socket: stream }) => {
    guardReading({ socket, stream, isMasked: true })
  })

  const handleWebSocket = app.server.listeners('upgrade') as OnUpgrade[]
  app.server.removeAllListeners('upgrade')
  app.decorate('takeUpgrades', (server) => {
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (!isHandshake(request)) {
        if (isGarbledHandshake(request)) return turnAway(socket, 400, 'Upgrade: websocket, once and alone')
        return servePlainly(server, request, socket, head)
      }
      if (isClosing) return turnAway(socket, 503, 'the gateway shuts down', restartHint())
      const fault = findFault(request, true)
      if (fault) return turnAway(socket, fault.status, fault.message)
      for (const listener of handleWebSocket) listener.call(app.server, request, socket, head)
    })
  })
  app.takeUpgrades(app.server)

  function refuseSocket(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    if (!request.ws) return done()
    const message = `there is no WebSocket at ${request.url.split('?')[0]}; GET / names the doors`
    void reply.code(404).send({ status: 'failed', retcode: -404, message })
  }

  /** The server hands its options to each socket as it is opened, which happens in the same turn as this hook. */
  function setOptions(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    const { maxFrame = 0, compress } = request.routeOptions.config
    if (request.ws) {
      answers.set(request.raw, reply)
      app.websocketServer.options.maxPayload = maxFrame
      app.websocketServer.options.perMessageDeflate = compress ? {} : false
    }
    done()
  }

  // Where a WebSocket may be asked for alone: calls do not pay for it.
  app.addHook('onRoute', (route) => {
    if (![route.method].flat().includes('GET')) return
    if (route.config?.maxFrame === undefined) route.onRequest = [refuseSocket, route.onRequest ?? []].flat()
    else route.preHandler = [setOptions, route.preHandler ?? []].flat()
  })
})

function ignore(): void {}

function turnAway(socket: Duplex, status: number, message: string, retryAfterS?: number): void {
  // Node has taken its own listener away, and an error without one ends the process.
  socket.on('error', () => socket.destroy())
  socket.once('finish', () => socket.destroy())
  socket.end(toAnswer(status, message, retryAfterS))
}

/** An error of the socket and none of ours: `ws` and the operating system name theirs. */
function isOfPeer(err: NodeJS.ErrnoException): boolean {
  return /^(?:WS_ERR_|E[A-Z]+$)/.test(err.code ?? '')
}

function isHandshake({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket'
}

/** Two of one header are one list to Node: who asks for a WebSocket twice means something that we cannot know. */
function isGarbledHandshake({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && (headers.upgrade ?? '').toLowerCase().includes('websocket')
}

/** Headers that speak of the connection alone (RFC 9110 §7.8, RFC 7540 §3.2.1). */
const UPGRADE_HEADERS = new Set(['connection', 'upgrade', 'http2-settings'])

/**
 * Java's HTTP client offers HTTP/2 with every request (`Upgrade: h2c`). Node gives all that offer an upgrade to the
 * listener for upgrades; those that offer anything but a WebSocket are given back as if they had offered nothing, which
 * is what a server does that does not take the offer (contract 3.4).
 */
function servePlainly(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = rawHeaders.slice(index, index + 2)
    if (!UPGRADE_HEADERS.has(name.toLowerCase())) lines.push(`${name}: ${value}`)
  }
  if (/\bclose\b/i.test(request.headers.connection ?? '')) lines.push('Connection: close')
  const plain = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  socket.unshift(Buffer.concat([plain, head]))
  server.emit('encrypted' in socket ? 'secureConnection' : 'connection', socket)
}

/** Each socket is closed when its farewell is said; all at once, and within the deadline. */
async function closeAll(
  sockets: Set<WebSocket>,
  farewells: FastifyInstance['farewells'],
  onError: (err: unknown) => void
): Promise<void> {
  const deadline = setTimeout(() => {
    for (const socket of sockets) socket.terminate()
  }, CLOSE_DEADLINE_MS)
  const ends = await Promise.allSettled([...sockets].map((socket) => closeOne(socket, farewells.get(socket))))
  clearTimeout(deadline)
  for (const end of ends) if (end.status === 'rejected') onError(end.reason)
}

async function closeOne(socket: WebSocket, farewell: (() => void | Promise<void>) | undefined): Promise<void> {
  const closed = new Promise((resolve) => socket.once('close', resolve))
  try {
    await farewell?.()
  } finally {
    // Whoever reads it need not come back in the same moment as all the others.
    socket.close(CLOSE.shutdown.code, `${CLOSE.shutdown.reason}, retry in ${restartHint()} s`)
  }
  await closed
}

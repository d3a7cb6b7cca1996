import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import { CLOSE } from '../src/net/close-codes.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Largest frame that sockets of this route may send, in bytes. */
    maxFrame?: number
  }
  interface FastifyInstance {
    /** Runs for each socket before the server closes it, for a last word in its protocol. */
    farewells: Map<WebSocket, () => void>
  }
}

/** Sockets that are left after this get cut. */
const CLOSE_DEADLINE_MS = 3000

/** WebSocket doors: bounded frames, no compression (110 KB and more per socket), every socket told why it ends. */
export default fp(async (app: FastifyInstance) => {
  const farewells = new Map<WebSocket, () => void>()
  app.decorate('farewells', farewells)

  // The type declarations of `ws` lag behind its options.
  const bounds = { maxFragments: 1024, maxBufferedChunks: 16_384, closeTimeout: 5000 }
  await app.register(websocket, {
    options: { perMessageDeflate: false, ...bounds },
    errorHandler: (err, socket, request) => {
      request.log.error({ err }, 'a WebSocket handler failed')
      socket.close(CLOSE.bug.code, CLOSE.bug.reason)
    },
    preClose: (done) => {
      void closeAll(app.websocketServer.clients as Set<WebSocket>, farewells).then(() =>
        app.websocketServer.close(() => done())
      )
    }
  })

  // The server hands its options to each socket as it is opened, which happens in the same turn as this hook.
  app.addHook('preHandler', (request, _reply, done) => {
    if (request.ws) app.websocketServer.options.maxPayload = request.routeOptions.config.maxFrame ?? 64 * 1024
    done()
  })
})

async function closeAll(sockets: Set<WebSocket>, farewells: Map<WebSocket, () => void>): Promise<void> {
  const closed = [...sockets].map((socket) => {
    farewells.get(socket)?.()
    return new Promise((resolve) => {
      socket.once('close', resolve)
      socket.close(CLOSE.shutdown.code, CLOSE.shutdown.reason)
    })
  })
  const deadline = setTimeout(() => {
    for (const socket of sockets) socket.terminate()
  }, CLOSE_DEADLINE_MS)
  await Promise.all(closed)
  clearTimeout(deadline)
}

import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { WebSocketServer, type WebSocket } from 'ws'
import { wrapSocket, type TestSocket } from './socket.ts'

export interface Dialled extends TestSocket {
  readonly request: IncomingMessage
  /** Resolves when the gateway has asked, by a ping, whether everything up to this event has arrived. */
  readonly asked: (eventId: number) => Promise<void>
}

export interface BotServer {
  readonly url: string
  /** The next connection that was not taken yet; waits for it. */
  readonly next: () => Promise<Dialled>
  /** Connections that are open now, and the most that ever were at once. */
  readonly open: () => number
  readonly most: () => number
  /** Answers the next handshakes with these statuses instead of letting them in. */
  readonly refuse: (...statuses: number[]) => void
  /** From now on the answer to a handshake has these headers too. */
  readonly answerWith: (headers: Readonly<Record<string, string>>) => void
  /** Cuts the connections; they may be dialled again. */
  readonly cut: () => void
  /** Cuts everything; another may listen at the same port then. */
  readonly stop: () => Promise<void>
}

export interface BotServerOptions {
  readonly port?: number
  /** Whether pings are answered. */
  readonly autoPong?: boolean
  /** Frames above it are answered with 1009. */
  readonly maxPayload?: number
  /** Makes it a TLS server. */
  readonly tls?: ServerOptions
}

/** A program of a bot that waits to be dialled. */
export async function startBotServer(
  t: Test,
  { port = 0, autoPong = true, maxPayload = 128 * 1024 * 1024, tls }: BotServerOptions = {}
): Promise<BotServer> {
  const http = tls ? createTlsServer(tls) : createServer()
  const server = new WebSocketServer({ noServer: true, autoPong, maxPayload })
  const waiting: Dialled[] = []
  const refusals: number[] = []
  let answer: Readonly<Record<string, string>> = {}
  server.on('headers', (lines: string[]) => lines.push(...Object.entries(answer).map((entry) => entry.join(': '))))
  let most = 0
  let wake = (): void => {}

  http.on('upgrade', (request, stream, head) => {
    const status = refusals.shift()
    if (status !== undefined) return void stream.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`)
    server.handleUpgrade(request, stream, head, (socket: WebSocket) => {
      waiting.push({ ...wrapSocket(socket), request, asked: watchPings(socket) })
      most = Math.max(most, server.clients.size)
      wake()
    })
  })
  http.listen(port, '127.0.0.1')
  await once(http, 'listening')
  async function stop(): Promise<void> {
    if (!http.listening) return
    const closed = once(http, 'close')
    http.close()
    for (const socket of server.clients) socket.terminate()
    await closed
  }
  t.teardown(stop)
  return {
    url: `${tls ? 'wss' : 'ws'}://127.0.0.1:${(http.address() as AddressInfo).port}`,
    async next() {
      for (;;) {
        const connection = waiting.shift()
        if (connection) return connection
        await new Promise<void>((resolve) => (wake = resolve))
      }
    },
    open: () => server.clients.size,
    most: () => most,
    refuse: (...statuses) => void refusals.push(...statuses),
    answerWith: (headers) => void (answer = headers),
    cut: () => server.clients.forEach((socket) => socket.terminate()),
    stop
  }
}

function watchPings(socket: WebSocket): (eventId: number) => Promise<void> {
  let last = ''
  let wake = (): void => {}
  socket.on('ping', (payload) => {
    last = String(payload)
    wake()
  })
  return async (eventId) => {
    while (last !== `cursor ${eventId}`) await new Promise<void>((resolve) => (wake = resolve))
  }
}

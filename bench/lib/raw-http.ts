import { connect, type Socket } from 'node:net'
import { createLatencies } from './stats.ts'

export interface HttpLoad {
  /** Keeps all connections busy for so long, then waits for what is under way. */
  readonly run: (seconds: number) => Promise<{ count: number; elapsedMs: number; p50Ms: number; p99Ms: number }>
  readonly close: () => void
}

export interface HttpLoadOptions {
  readonly port: number
  readonly path: string
  readonly token: string
  /** One after the other, over all connections; each as JSON. */
  readonly bodies: readonly string[]
  readonly connections: number
}

/**
 * An HTTP client that does nothing but send the same bytes and count answers, one request at a time on each connection. A
 * real one would cost more than the server that is to be measured.
 */
export function openHttpLoad({ port, path, token, bodies, connections }: HttpLoadOptions): HttpLoad {
  const requests = bodies.map((body) =>
    Buffer.from(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
    )
  )
  const clients = Array.from({ length: connections }, () => createClient(port))
  let sent = 0

  return {
    async run(seconds) {
      const latencies = createLatencies()
      const begunAt = performance.now()
      const deadline = begunAt + seconds * 1000
      let count = 0

      async function keepAsking(client: Client): Promise<void> {
        for (let now = performance.now(); now < deadline;) {
          await client.ask(requests[sent++ % requests.length] as Buffer)
          const then = performance.now()
          latencies.record(then - now)
          now = then
          count++
        }
      }

      await Promise.all(clients.map(keepAsking))
      const { p50Ms, p99Ms } = latencies.read()
      return { count, elapsedMs: performance.now() - begunAt, p50Ms, p99Ms }
    },
    close() {
      for (const client of clients) client.close()
    }
  }
}

interface Client {
  /** Resolves when the whole answer is there; rejects when it is no success. */
  readonly ask: (request: Buffer) => Promise<void>
  readonly close: () => void
}

/** Servers close connections that ask nothing, and may be about to. */
const MAX_IDLE_MS = 4000

function createClient(port: number): Client {
  let socket: Socket | undefined
  let usedAt = 0
  let resolve = (): void => {}
  let reject = (_err: Error): void => {}
  /** Bytes of the answer that are still to come; undefined before its head is there. */
  let left: number | undefined
  let head = ''

  function open(): Socket {
    const opened = connect({ port, host: '127.0.0.1', noDelay: true })
    opened.on('data', onData)
    opened.on('error', (err) => opened === socket && reject(err))
    opened.on('close', () => opened === socket && reject(new Error('the server closed a connection')))
    return opened
  }

  function onData(chunk: Buffer): void {
    if (left === undefined) {
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      if (!head.startsWith('HTTP/1.1 200 ')) return reject(new Error(`the request was refused: ${head.slice(0, 500)}`))
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1])
      left = end + 4 + length - head.length
    } else left -= chunk.length
    if (left > 0) return
    left = undefined
    head = ''
    resolve()
  }

  return {
    ask: (request) =>
      new Promise((onDone, onFail) => {
        resolve = onDone
        reject = onFail
        const now = performance.now()
        if (!socket || now - usedAt > MAX_IDLE_MS) {
          socket?.destroy()
          socket = open()
        }
        usedAt = now
        socket.write(request)
      }),
    close: () => socket?.destroy()
  }
}

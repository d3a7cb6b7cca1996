import type { IncomingMessage } from 'node:http'
import type { Test } from 'tap'
import { WebSocket, type ClientOptions } from 'ws'

export interface TestSocket {
  readonly socket: WebSocket
  readonly send: (frame: unknown) => void
  /** The next frame that was not taken yet, parsed; waits for it. Rejects when the socket closes instead. */
  readonly next: () => Promise<any>
  /** The same as it was written. */
  readonly nextText: () => Promise<string>
  /** The next frame that fits; those before it are dropped. */
  readonly find: (fits: (frame: any) => boolean) => Promise<any>
  /** Frames that came and were not taken. */
  readonly waiting: () => any[]
  readonly closed: Promise<{ code: number; reason: string }>
}

/** An open client socket, closed when the test ends. Rejects with the HTTP answer when the handshake is refused. */
export async function openSocket(t: Test, url: string, options: ClientOptions = {}): Promise<TestSocket> {
  const socket = new WebSocket(url, options)
  const client = wrapSocket(socket)
  t.teardown(() => socket.terminate())
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve())
    socket.once('error', reject)
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      reject(Object.assign(new Error(`refused with ${response.statusCode}`), { status: response.statusCode }))
      response.resume()
    })
  })
  return client
}

/** The same for a socket that somebody else opened. */
export function wrapSocket(socket: WebSocket): TestSocket {
  const frames: string[] = []
  let wake = (): void => {}
  let isClosed = false

  socket.on('message', (data) => {
    frames.push(String(data))
    wake()
  })
  socket.on('error', () => {})
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => {
      isClosed = true
      resolve({ code, reason: String(reason) })
      wake()
    })
  })

  async function nextText(): Promise<string> {
    while (frames.length === 0) {
      if (isClosed) throw new Error('the socket closed before the frame came')
      await new Promise<void>((resolve) => (wake = resolve))
    }
    return frames.shift() as string
  }

  const next = async (): Promise<any> => JSON.parse(await nextText())

  return {
    socket,
    send: (frame) => socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame)),
    next,
    nextText,
    async find(fits) {
      for (;;) {
        const frame = await next()
        if (fits(frame)) return frame
      }
    },
    waiting: () => frames.map((frame) => JSON.parse(frame)),
    closed
  }
}

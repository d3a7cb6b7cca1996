import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readAll } from 'node:stream/consumers'
import type { Test } from 'tap'

export interface Delivered {
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly body: any
}

export interface TestWebhook {
  readonly url: string
  /** The next delivery that was not taken yet; waits for it. */
  readonly next: () => Promise<Delivered>
  /** Everything that came, taken or not. */
  readonly all: Delivered[]
  /** Decides the answers from now on; the default is an empty 204. */
  readonly answer: (how: number | ((delivered: Delivered, response: ServerResponse) => void)) => void
  readonly close: () => Promise<void>
}

/** A program that receives webhooks on a free port, or the given one; gone when the test ends. */
export async function startWebhook(t: Test, port = 0): Promise<TestWebhook> {
  const all: Delivered[] = []
  const waiting: Delivered[] = []
  let wake = (): void => {}
  let respond = (_delivered: Delivered, response: ServerResponse): void => void response.writeHead(204).end()

  const server = createServer((request, response) => {
    void readAll(request).then(
      (text) => {
        const delivered = { headers: request.headers, text, body: JSON.parse(text) as unknown }
        all.push(delivered)
        waiting.push(delivered)
        respond(delivered, response)
        wake()
      },
      () => {
        // The sender has broken off.
      }
    )
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  t.teardown(close)

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    all,
    close,
    async next() {
      while (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve))
      return waiting.shift() as Delivered
    },
    answer(how) {
      respond = typeof how === 'function' ? how : (_delivered, response) => void response.writeHead(how).end()
    }
  }
}

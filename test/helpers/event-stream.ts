import { once } from 'node:events'
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { text as readAll } from 'node:stream/consumers'
import type { Test } from 'tap'

/** One event as a browser's EventSource would hand it out (HTML Living Standard §9.2.6). */
export interface StreamMessage {
  readonly event: string
  readonly id: string
  readonly data: any
}

export interface TestStream {
  readonly headers: IncomingHttpHeaders
  /** The next event that was not taken yet; waits for it. Rejects when the stream ends instead. */
  readonly next: () => Promise<StreamMessage>
  /** The next comment; waits for it. */
  readonly comment: () => Promise<string>
  /** Events that came and were not taken. */
  readonly waiting: () => StreamMessage[]
  /** 'end' when it was ended in good order, 'cut' when it was not. */
  readonly closed: Promise<'end' | 'cut'>
  readonly response: IncomingMessage
  readonly close: () => void
}

/** A reader of Server-Sent Events, closed when the test ends. Rejects with the status and the body when it is refused. */
export async function openStream(t: Test, url: string, headers: Record<string, string> = {}): Promise<TestStream> {
  const call = request(url, { headers: { accept: 'text/event-stream', ...headers }, agent: false })
  call.end()
  t.teardown(() => call.destroy())
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  if (response.statusCode !== 200) {
    const body: unknown = JSON.parse(await readAll(response))
    const { statusCode: status, headers: answered } = response
    throw Object.assign(new Error(`refused with ${status}`), { status, body, headers: answered })
  }

  const messages: StreamMessage[] = []
  const comments: string[] = []
  let pending = ''
  let fields: Record<string, string> = {}
  let lastId = ''
  let isClosed = false
  let wake = (): void => {}

  function takeLine(line: string): void {
    if (line === '') {
      lastId = fields.id ?? lastId
      if (fields.data !== undefined)
        messages.push({ event: fields.event ?? 'message', id: lastId, data: JSON.parse(fields.data) })
      fields = {}
      return
    }
    const [, name = '', value = ''] = /^([^:]*):? ?([^]*)$/.exec(line) ?? []
    if (name === '') comments.push(value)
    else fields[name] = name === 'data' && fields.data !== undefined ? `${fields.data}\n${value}` : value
  }

  response.setEncoding('utf8')
  response.on('data', (chunk: string) => {
    const lines = (pending + chunk).split('\n')
    pending = lines.pop() ?? ''
    for (const line of lines) takeLine(line)
    wake()
  })
  response.on('error', () => {})
  const closed = new Promise<'end' | 'cut'>((resolve) => {
    response.once('close', () => {
      isClosed = true
      resolve(response.complete ? 'end' : 'cut')
      wake()
    })
  })

  async function take<T>(from: T[]): Promise<T> {
    while (from.length === 0) {
      if (isClosed) throw new Error('the stream ended before it came')
      await new Promise<void>((resolve) => (wake = resolve))
    }
    return from.shift() as T
  }

  return {
    headers: response.headers,
    next: () => take(messages),
    comment: () => take(comments),
    waiting: () => messages,
    closed,
    response,
    close: () => void call.destroy()
  }
}

import { once } from 'node:events'
import { request as openRequest, type IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { startApp, text, type Running } from '../helpers/app.ts'
import { openStream } from '../helpers/event-stream.ts'
import { wrapSocket, type TestSocket } from '../helpers/socket.ts'

interface Listener {
  readonly headers: IncomingMessage['headers']
  /** The words of the next message, and what there is to come back with. */
  readonly next: () => Promise<{ words: string; cursor: string | undefined }>
  readonly close: () => void
}

/** A reader of the second bot, by one of the doors; `since` goes into the query. */
type Way = (t: Test, app: Running, since?: string, headers?: Record<string, string>) => Promise<Listener>

async function openAnswered(
  t: Test,
  url: string,
  headers: Record<string, string> = {}
): Promise<{ socket: TestSocket; answer: IncomingMessage['headers'] }> {
  const dialled = new WebSocket(url, { headers })
  const socket = wrapSocket(dialled)
  t.teardown(() => dialled.terminate())
  dialled.once('unexpected-response', (_request, response: IncomingMessage) =>
    dialled.emit('error', Object.assign(new Error('refused'), { status: response.statusCode }))
  )
  const [response] = (await once(dialled, 'upgrade')) as [IncomingMessage]
  return { socket, answer: response.headers }
}

const query = (since?: string): string => (since === undefined ? '' : `&since=${since}`)
const wordsOf = (data: any): string => (data.segments ?? data.message)[0].data.text

const overSocket =
  (path: string, dataOf: (frame: any) => any): Way =>
  async (t, app, since, headers) => {
    const url = `${app.ws}${path}?access_token=token-two${query(since)}`
    const { socket, answer } = await openAnswered(t, url, headers)
    return {
      headers: answer,
      async next() {
        const frame = await socket.next()
        return { words: wordsOf(dataOf(frame)), cursor: frame.cursor }
      },
      close: () => socket.socket.terminate()
    }
  }

const overStream: Way = async (t, app, since, headers = {}) => {
  const stream = await openStream(t, `${app.url}/event?access_token=token-two${query(since)}`, headers)
  return {
    headers: stream.headers,
    async next() {
      const { data, id } = await stream.next()
      return { words: wordsOf(data.data), cursor: id }
    },
    close: stream.close
  }
}

const ways: readonly [name: string, open: Way][] = [
  ['/event as a WebSocket', overSocket('/event', (frame) => frame.data)],
  ['/ of the draft', overSocket('/', (frame) => frame.data.data)],
  ['/event as a stream', overStream]
]

/** With what an opening was refused. */
async function statusOf(opening: Promise<unknown>): Promise<number> {
  try {
    await opening
  } catch (err) {
    return (err as { status: number }).status
  }
  return 200
}

const say = async (app: Running, words: string): Promise<void> => {
  const answer = await app.milky('token-one', 'send_group_message', { group_id: 100001, message: text(words) })
  if (answer.status !== 'ok') throw new Error(answer.message)
}

for (const [name, open] of ways) {
  t.test(`${name}: a cursor goes on where the reader was`, async (t) => {
    const app = await startApp(t)
    const first = await open(t, app, 'now')
    t.match(first.headers, { 'lactea-cursor': /^\d+$/, 'lactea-resumed': 'true', 'lactea-oldest': '0' })
    await say(app, 'one')
    const one = await first.next()
    t.equal(one.words, 'one')
    t.type(one.cursor, 'string')
    first.close()
    const missed = Array.from({ length: 120 }, (_, index) => `missed ${index}`)
    for (const words of missed) await say(app, words)

    const second = await open(t, app, one.cursor)
    t.match(second.headers, { 'lactea-cursor': one.cursor, 'lactea-resumed': 'true', 'lactea-oldest': '0' })
    await say(app, 'live')
    const heard: string[] = []
    for (let count = 0; count < 121; count++) heard.push((await second.next()).words)
    t.strictSame(heard, [...missed, 'live'])
  })

  t.test(`${name}: where nobody asks nothing is told that strict clients do not know`, async (t) => {
    const app = await startApp(t)
    const { headers, next } = await open(t, app)
    t.match(headers['lactea-cursor'], /^\d+$/)
    t.strictSame([headers['lactea-resumed'], headers['lactea-oldest']], [undefined, undefined])
    await say(app, 'hello')
    const { cursor } = await next()
    if (open !== overStream) t.equal(cursor, undefined)
    const again = await open(t, app, headers['lactea-cursor'] as string)
    t.equal((await again.next()).words, 'hello', 'what the handshake says is a place to come back to')
  })

  t.test(`${name}: whoever comes too late begins with the oldest that there is, and is told so`, async (t) => {
    const app = await startApp(t)
    for (let count = 1; count <= 10; count++) await say(app, `message ${count}`)
    const { store } = app.lactea.gateway
    await store.dropEvents({ keptFrom: 0, keep: 4, limit: 100 })
    const oldest = await store.oldestCursor()
    const late = await open(t, app, '1')
    t.match(late.headers, {
      'lactea-cursor': String(oldest),
      'lactea-resumed': 'false',
      'lactea-oldest': String(oldest)
    })
    t.equal((await late.next()).words, 'message 7')
    const intime = await open(t, app, String(oldest))
    t.match(intime.headers, { 'lactea-cursor': String(oldest), 'lactea-resumed': 'true' })
    t.equal((await intime.next()).words, 'message 7')
  })

  t.test(`${name}: a place of another log begins now, and says so`, async (t) => {
    const app = await startApp(t)
    await say(app, 'before')
    const { headers, next } = await open(t, app, '999999')
    t.match(headers, { 'lactea-resumed': 'false' })
    await say(app, 'after')
    t.equal((await next()).words, 'after')
  })

  t.test(`${name}: the header wins over the query`, async (t) => {
    const app = await startApp(t)
    const { headers, close } = await open(t, app)
    close()
    await say(app, 'one')
    const last = String(await app.lactea.gateway.store.lastEventId())
    await say(app, 'two')
    const resumed = await open(t, app, headers['lactea-cursor'] as string, { 'last-event-id': last })
    t.match(resumed.headers, { 'lactea-cursor': last })
    t.equal((await resumed.next()).words, 'two')
    const foreign = await open(t, app, undefined, { 'last-event-id': 'of another gateway' })
    t.match(foreign.headers, { 'lactea-resumed': 'false' }, 'what a browser sends by itself refuses nobody')
  })

  t.test(`${name}: what is no cursor is refused with a sentence`, async (t) => {
    const app = await startApp(t)
    for (const since of ['x', '-1', '1.5', '1&since=2', '9'.repeat(16), 'NOW', '%00'])
      t.equal(await statusOf(open(t, app, since)), 400, since)
    await t.resolves(open(t, app, ''), 'a program that has none yet')
  })
}

t.test('a refusal says what was expected', async (t) => {
  const app = await startApp(t)
  const answer = await fetch(`${app.url}/event?access_token=token-two&since=x`)
  t.equal(answer.status, 400)
  t.match(await answer.json(), { status: 'failed', retcode: -400, message: /since: expected a cursor/ })
})

t.test('a reader that catches up slowly is waited for, one after the other', async (t) => {
  const app = await startApp(t, { config: { limits: { connection_buffer: 65_536 } } })
  const first = await overSocket('/event', (frame) => frame.data)(t, app, 'now')
  first.close()
  const message = text('😀'.repeat(16_000))
  for (let count = 0; count < 40; count++)
    await app.milky('token-one', 'send_group_message', { group_id: 100001, message })
  const since = first.headers['lactea-cursor'] as string
  const url = `${app.ws}/event?access_token=token-two&since=${since}`
  const readers = await Promise.all(Array.from({ length: 4 }, async () => (await openAnswered(t, url)).socket))
  for (const { socket } of readers) socket.pause()
  for (let count = 0; count < 20; count++) await say(app, `meanwhile ${count}`)
  for (const { socket } of readers) socket.resume()
  for (const reader of readers) {
    let last = 0
    let words = ''
    for (let count = 0; count < 60; count++) {
      const frame = await reader.next()
      if (Number(frame.cursor) <= last) throw new Error(`${frame.cursor} after ${last}`)
      last = Number(frame.cursor)
      words = wordsOf(frame.data)
    }
    t.equal(words, 'meanwhile 19', 'it was not taken for a slow one')
  }
})

t.test('handshakes of other doors are answered as before', async (t) => {
  const app = await startApp(t)
  const call = openRequest(`${app.url}/ws`, {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64')
    }
  })
  call.end()
  const [response, socket] = (await once(call, 'upgrade')) as [IncomingMessage, { destroy: () => void }]
  t.strictSame(
    Object.keys(response.headers).filter((name) => name.startsWith('lactea-')),
    []
  )
  socket.destroy()
})

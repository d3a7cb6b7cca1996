import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readAll } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { openEventStream, type EventStream } from '../../src/net/event-stream.ts'

const MAX = 256 * 1024

interface Pair {
  readonly stream: EventStream
  readonly response: ServerResponse
  readonly reader: IncomingMessage
  readonly slow: () => number
  /** Resolves when the stream says that it is over. */
  readonly closed: Promise<void>
}

/** A stream over a real connection. */
async function openPair(t: Test): Promise<Pair> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const call = request({ port: (server.address() as AddressInfo).port, agent: false })
  call.on('error', () => {})
  t.teardown(() => call.destroy())
  call.end()
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse]
  const { promise: closed, resolve: onClose } = Promise.withResolvers<void>()
  let slow = 0
  const stream = openEventStream({
    response,
    headers: { 'x-more': '1' },
    maxQueuedBytes: MAX,
    onSlow: () => slow++,
    onClose
  })
  const [reader] = (await once(call, 'response')) as [IncomingMessage]
  reader.on('error', () => {})
  return { stream, response, reader, slow: () => slow, closed }
}

const message = (data: string) => ({ event: 'milky_event', id: '7', data })
const LARGE = JSON.stringify('x'.repeat(64 * 1024))

t.test('sends the head at once, then events and comments, and ends', async (t) => {
  const { stream, reader, closed } = await openPair(t)
  t.match(reader.headers, { 'content-type': 'text/event-stream; charset=utf-8', 'x-more': '1' })
  stream.beat()
  stream.send(message('{"a":"b\\n\u2028\u2029\u0085"}'))
  stream.send(message('{}'))
  t.ok(stream.isOpen())
  stream.end()
  stream.end()
  stream.send(message('"too late"'))
  stream.beat()
  t.equal(
    await readAll(reader),
    ': \n\nevent: milky_event\nid: 7\ndata: {"a":"b\\n\\u2028\\u2029\\u0085"}\n\nevent: milky_event\nid: 7\ndata: {}\n\n'
  )
  await closed
  t.equal(stream.isOpen(), false)
  await stream.drained()
})

t.test('a reader that does not read is cut when its buffer is full, and memory stays bounded', async (t) => {
  const { stream, response, reader, slow, closed } = await openPair(t)
  reader.pause()
  let most = 0
  for (let sent = 0; slow() === 0; sent++) {
    if (sent > 10_000) throw new Error('it was never cut')
    stream.send(message(LARGE))
    most = Math.max(most, response.writableLength)
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok(most <= MAX + LARGE.length + 1000, `${most} bytes waited`)
  await closed
  stream.send(message('{}'))
  stream.beat()
  await stream.drained()
  t.equal(slow(), 1)
})

t.test('who waits for the reader is not taken for slow, but one that takes nothing between two beats is', async (t) => {
  const { stream, response, reader, slow, closed } = await openPair(t)
  reader.pause()
  while (response.writableLength <= MAX / 8) {
    stream.send(message(LARGE))
    await new Promise((resolve) => setImmediate(resolve))
  }
  const drained = stream.drained()
  reader.resume()
  await drained
  t.equal(slow(), 0)
  stream.beat()
  stream.beat()
  t.equal(slow(), 0, 'nothing waits any more')

  reader.pause()
  while (response.writableLength <= MAX / 8) {
    stream.send(message(LARGE))
    await new Promise((resolve) => setImmediate(resolve))
  }
  const released = stream.drained()
  stream.beat()
  t.equal(slow(), 0)
  stream.beat()
  t.equal(slow(), 1)
  await closed
  await released
})

t.test('says that it is over when the reader goes', async (t) => {
  const { stream, reader, closed } = await openPair(t)
  reader.destroy()
  await closed
  t.equal(stream.isOpen(), false)
})

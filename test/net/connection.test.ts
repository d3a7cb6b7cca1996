import { once } from 'node:events'
import t from 'tap'
import { CLOSE } from '../../src/net/close-codes.ts'
import { createConnection } from '../../src/net/connection.ts'
import { createFrame } from '../../src/net/frame.ts'
import { openPair } from '../helpers/pair.ts'

const MAX = 256 * 1024
const FRAME = createFrame('x'.repeat(64 * 1024))

for (const isRaw of [true, false]) {
  t.test(isRaw ? 'a socket that was opened to us' : 'a socket that we opened', async (t) => {
    const open = async (t: Parameters<typeof openPair>[0]) => {
      const { server, client, stream } = await openPair(t)
      let slow = 0
      const connection = createConnection({
        socket: server,
        ...(isRaw && { stream }),
        maxQueuedBytes: MAX,
        onError: () => {},
        onSlow: () => slow++
      })
      return { server, client, connection, slow: () => slow }
    }

    t.test('sends in order', async (t) => {
      const { client, connection } = await open(t)
      const heard: string[] = []
      client.on('message', (data) => heard.push(String(data)))
      for (let index = 0; index < 1000; index++) connection.send(createFrame(`${index}`))
      connection.close(CLOSE.shutdown)
      const [code, reason] = await once(client, 'close')
      t.strictSame([code, String(reason)], [1001, 'server shutdown'])
      t.strictSame(
        heard,
        Array.from({ length: 1000 }, (_, index) => `${index}`)
      )
      t.equal(connection.isOpen(), false)
    })

    t.test('keeps no more than the limit for a reader that stands still, and closes it as slow', async (t) => {
      const { client, connection, slow } = await open(t)
      client.pause()
      let most = 0
      let sent = 0
      while (connection.isOpen()) {
        connection.send(FRAME)
        most = Math.max(most, connection.queuedBytes())
        if (++sent % 8 === 0) await new Promise(setImmediate)
        if (sent > 5000) throw new Error('it was never cut off')
      }
      t.ok(most <= MAX + FRAME.bytes.length + 14, `${most} bytes at most`)
      t.equal(slow(), 1)
      const before = connection.queuedBytes()
      connection.send(FRAME)
      t.equal(connection.queuedBytes(), before, 'nothing more is kept')
      client.resume()
      t.equal((await once(client, 'close'))[0], 1013)
    })

    t.test('lets a last word through to a slow reader', async (t) => {
      const { server, client, stream } = await openPair(t)
      const connection = createConnection({
        socket: server,
        ...(isRaw && { stream }),
        maxQueuedBytes: MAX,
        onError: () => {},
        onSlow: () => connection.send(createFrame('farewell'))
      })
      client.pause()
      while (connection.isOpen()) {
        connection.send(FRAME)
        await new Promise(setImmediate)
      }
      let last = ''
      client.on('message', (data) => (last = String(data)))
      client.resume()
      t.equal((await once(client, 'close'))[0], 1013)
      t.equal(last, 'farewell')
    })

    t.test('cuts a slow reader that never answers the close', async (t) => {
      const { server, client, connection } = await open(t)
      client.pause()
      connection.close(CLOSE.slow)
      await once(server, 'close')
      t.pass('it is gone')
    })

    t.test('leaves out ephemeral frames first', async (t) => {
      const { client, connection } = await open(t)
      client.pause()
      while (connection.queuedBytes() <= MAX / 4) {
        connection.send(FRAME)
        await new Promise(setImmediate)
      }
      const before = connection.queuedBytes()
      connection.send(createFrame('typing', { isEphemeral: true }))
      t.equal(connection.queuedBytes(), before)
      t.equal(connection.isOpen(), true)
    })

    t.test('tells when the reader has caught up', async (t) => {
      const { client, connection } = await open(t)
      await connection.drained()
      client.pause()
      while (connection.queuedBytes() <= MAX / 2) {
        connection.send(FRAME)
        await new Promise(setImmediate)
      }
      let isDrained = false
      const drained = connection.drained().then(() => (isDrained = true))
      await new Promise(setImmediate)
      t.equal(isDrained, false)
      client.resume()
      await drained
      t.ok(connection.queuedBytes() <= MAX / 8)
    })

    t.test('tells it also when little is waiting, less than makes a stream full', async (t) => {
      const { server, client, stream } = await openPair(t)
      const connection = createConnection({
        socket: server,
        ...(isRaw && { stream }),
        maxQueuedBytes: 4096,
        onError: () => {}
      })
      for (let turn = 0; turn < 20; turn++) {
        connection.send(createFrame('x'.repeat(2000)))
        connection.send(createFrame('x'.repeat(2000)))
        await connection.drained()
        t.ok(connection.queuedBytes() <= 512)
      }
      connection.send(createFrame('x'.repeat(4000)))
      const drained = connection.drained()
      connection.close(CLOSE.shutdown)
      await drained
      t.equal((await once(client, 'close'))[0], 1001)
    })

    t.test('does not wait for a reader that is gone', async (t) => {
      const { client, connection } = await open(t)
      client.pause()
      while (connection.queuedBytes() <= MAX / 2) {
        connection.send(FRAME)
        await new Promise(setImmediate)
      }
      const drained = connection.drained()
      client.terminate()
      await drained
      connection.send(FRAME)
      connection.close(CLOSE.shutdown)
      t.equal(connection.isOpen(), false)
    })
  })
}

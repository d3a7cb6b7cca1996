import { once } from 'node:events'
import t from 'tap'
import fc from 'fast-check'
import { backoff } from '../../sdk/src/backoff.ts'
import { createCursor, cursorName } from '../../src/net/cursor.ts'
import { FrameBudget } from '../../src/net/frame-budget.ts'
import { createFrame } from '../../src/net/frame.ts'
import { startHeartbeat } from '../../src/net/heartbeat.ts'
import { openPair } from '../helpers/pair.ts'

t.test('backoff', async (t) => {
  const retry = { firstMs: 1000, maxMs: 60_000 }
  const longest = [1, 2, 3, 4, 5, 6, 7, 8, 100, 100_000].map((attempt) => backoff(attempt, retry, () => 0.999_999))
  t.strictSame(
    longest,
    [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000],
    'doubles up to the cap'
  )
  t.strictSame(
    [1, 2, 7].map((attempt) => backoff(attempt, retry, () => 0)),
    [500, 1000, 30_000],
    'at least half of it'
  )
  const waits = new Set(Array.from({ length: 50 }, () => backoff(7, retry)))
  t.ok(waits.size > 10, 'those that failed together do not come back together')
})

t.test('a cursor', async (t) => {
  t.test('writes one position at a time, always the newest, never back', async (t) => {
    const saved: number[] = []
    const finish: (() => void)[] = []
    const cursor = createCursor(
      (eventId) => {
        saved.push(eventId)
        return new Promise((resolve) => finish.push(resolve))
      },
      (err) => t.fail(String(err))
    )
    for (const eventId of [1, 2, 3, 2]) cursor.advance(eventId)
    t.strictSame(saved, [1])
    const settled = cursor.settled()
    finish.shift()?.()
    await new Promise(setImmediate)
    t.strictSame(saved, [1, 3])
    finish.shift()?.()
    await settled
    cursor.advance(3)
    t.strictSame(saved, [1, 3])
  })

  t.test('forgets no position that comes just as a write ends', async (t) => {
    for (let later = 0; later < 8; later++) {
      const saved: number[] = []
      const cursor = createCursor(
        async (eventId) => void saved.push(eventId),
        (err) => t.fail(String(err))
      )
      cursor.advance(1)
      for (let turns = 0; turns < later; turns++) await Promise.resolve()
      cursor.advance(2)
      await cursor.settled()
      t.equal(saved.at(-1), 2, `${later} turns later`)
    }
  })

  t.test('goes on after a write that failed', async (t) => {
    const saved: number[] = []
    const errors: unknown[] = []
    const cursor = createCursor(
      async (eventId) => {
        if (eventId === 1) throw new Error('disk full')
        saved.push(eventId)
      },
      (err) => errors.push(err)
    )
    cursor.advance(1)
    await cursor.settled()
    t.match(errors, [{ message: 'disk full' }])
    cursor.advance(2)
    await cursor.settled()
    t.strictSame(saved, [2])
  })

  t.test('has a name that tells targets apart and keeps the address to itself', async (t) => {
    const url = 'https://user:canary@host/hook?token=canary'
    const names = [
      cursorName('webhook', 10001, url),
      cursorName('reverse', 10001, url),
      cursorName('webhook', 10002, url),
      cursorName('webhook', 10001, `${url}2`)
    ]
    t.equal(new Set(names).size, 4)
    t.equal(cursorName('webhook', 10001, url), names[0])
    t.notMatch(names.join(), /canary|host/)
  })
})

t.test('a frame is what a WebSocket receiver reads', async (t) => {
  const { stream, client } = await openPair(t)
  const read = async (text: string): Promise<void> => {
    const received = once(client, 'message')
    stream.write(createFrame(text).bytes)
    const [data, isBinary] = await received
    t.equal(isBinary, false)
    t.ok(String(data) === text, `${Buffer.byteLength(text)} bytes`)
  }
  for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000]) await read('x'.repeat(length))
  // 42 characters of 3 bytes: 126 bytes, though only 42 long.
  for (const text of ['世'.repeat(42), 'ä😀\u0000\u2028"\\', '世'.repeat(21_845), '世'.repeat(21_846)]) await read(text)
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 400 }), async (text) => {
      const received = once(client, 'message')
      stream.write(createFrame(text).bytes)
      return String((await received)[0]) === text
    }),
    { numRuns: 100 }
  )
  t.equal(createFrame('x', { isEphemeral: true }).isEphemeral, true)
  t.equal(createFrame('x').isEphemeral, false)
})

t.test('a frame budget', async (t) => {
  t.test('lets a burst through and then reads at the rate', async (t) => {
    const { server, client } = await openPair(t)
    const budget = new FrameBudget(server, 200, 20)
    let count = 0
    const startedAt = performance.now()
    const done = new Promise<number>((resolve) => {
      server.on('message', () => {
        budget.take()
        if (++count === 100) resolve(performance.now() - startedAt)
      })
    })
    // So large that few of them come with one read.
    for (let index = 0; index < 100; index++) client.send('x'.repeat(30_000))
    const tookMs = await done
    t.ok(tookMs > 200, `80 frames beyond the burst at 200 per second took ${Math.round(tookMs)} ms`)
  })

  t.test('a debt is paid before more is read', async (t) => {
    const { server, client } = await openPair(t)
    const budget = new FrameBudget(server, 100, 10)
    const startedAt = performance.now()
    // As when all of these come with one read: 50 more than the budget has.
    for (let index = 0; index < 60; index++) budget.take()
    t.equal(server.isPaused, true)
    client.send('after')
    await once(server, 'message')
    t.ok(performance.now() - startedAt > 400, '50 frames at 100 per second')
  })

  t.test('holds until it is released', async (t) => {
    const { server, client } = await openPair(t)
    const budget = new FrameBudget(server, 1000)
    const heard: string[] = []
    server.on('message', (data) => heard.push(String(data)))
    budget.hold()
    client.send('waits')
    const pong = once(client, 'pong')
    client.ping()
    await new Promise(setImmediate)
    t.strictSame(heard, [])
    const arrived = once(server, 'message')
    budget.release()
    await arrived
    await pong
    t.strictSame(heard, ['waits'])
  })

  t.test('does not keep a closing socket from hearing the close', async (t) => {
    const { server } = await openPair(t)
    const budget = new FrameBudget(server, 1000)
    budget.hold()
    server.close(1000)
    budget.release()
    const [code] = await once(server, 'close')
    t.equal(code, 1000)
  })
})

t.test('the heartbeat', async (t) => {
  t.test('pings with the payload of the moment', async (t) => {
    const heartbeat = startHeartbeat({ periodMs: 50, pongMs: 20 })
    t.teardown(heartbeat.stop)
    const { server, client } = await openPair(t)
    let count = 0
    heartbeat.watch(server, { payload: () => `ping ${++count}` })
    t.equal(String((await once(client, 'ping'))[0]), 'ping 1')
    t.equal(String((await once(client, 'ping'))[0]), 'ping 2')
  })

  t.test('cuts a peer that does not answer, keeps one that does', async (t) => {
    const heartbeat = startHeartbeat({ periodMs: 50, pongMs: 20 })
    t.teardown(heartbeat.stop)
    const dead = await openPair(t, { autoPong: false })
    const alive = await openPair(t)
    heartbeat.watch(dead.server)
    heartbeat.watch(alive.server)
    let pings = 0
    dead.client.on('ping', () => pings++)
    t.equal((await once(dead.server, 'close'))[0], 1006)
    t.equal(pings, 1)
    t.equal(alive.server.readyState, alive.server.OPEN)
  })

  t.test('leaves nothing on a socket that it no longer watches', async (t) => {
    const heartbeat = startHeartbeat({ periodMs: 50, pongMs: 20 })
    t.teardown(heartbeat.stop)
    const { server, client } = await openPair(t)
    const before = [server.listenerCount('pong'), server.listenerCount('close')]
    const undo = heartbeat.watch(server)
    undo()
    t.strictSame([server.listenerCount('pong'), server.listenerCount('close')], before)
    const other = await openPair(t)
    heartbeat.watch(other.server)
    client.on('ping', () => t.fail('it was pinged'))
    await once(other.client, 'ping')
  })
})

import t, { type Test } from 'tap'
import { Road, type FlowLine, type RoadOptions } from '../../src/net/maim-road.ts'
import { createSeenShelf } from '../../src/net/maim-shelf.ts'
import { createMaimStats, type DoorStats } from '../../src/net/maim-stats.ts'
import { openSqliteStore } from '../../src/store/index.ts'
import { createTestClock } from '../helpers/clock.ts'
import { waitFor } from '../helpers/wait.ts'

const NOW = 1_700_000_000

interface Bench {
  readonly road: Road
  readonly stats: DoorStats
  readonly store: Awaited<ReturnType<typeof openSqliteStore>>
  readonly errors: unknown[]
}

async function startRoad(t: Test, more: Partial<RoadOptions> = {}): Promise<Bench> {
  const store = await openSqliteStore({ path: ':memory:' })
  t.teardown(() => store.close())
  const { api: stats } = createMaimStats()
  const errors: unknown[] = []
  const road = new Road('api 1 qq', {
    store,
    stats,
    keepTimeMs: 3_600_000,
    outbox: {
      maxAgeMs: 3_600_000,
      repeatMs: [60_000],
      onRepeat: () => void stats.repeats++,
      onDrop: (why) => void stats.dropped[why]++
    },
    window: 1_000_000,
    onKept() {},
    onRest() {},
    log: { warn() {} },
    now: () => NOW,
    onError: (err) => errors.push(err),
    ...more
  })
  return { road, stats, store, errors }
}

/** A connection that takes what it is given, and says nothing. */
function createLine(): FlowLine & { readonly heard: string[]; isFull: boolean; drain: () => void } {
  let onDrained: (() => void)[] = []
  const line = {
    heard: [] as string[],
    isFull: false,
    send: (text: string) => line.heard.push(text) > 0,
    isBusy: () => line.isFull,
    drained: () => (line.isFull ? new Promise<void>((resolve) => onDrained.push(resolve)) : Promise.resolve()),
    drain() {
      line.isFull = false
      for (const resolve of onDrained) resolve()
      onDrained = []
    }
  }
  return line
}

function enter(road: Road, line: FlowLine): { acked: (msgId: string) => void; leave: (code?: number) => void } {
  const visit = road.enter(line)
  const close = visit.outbox.open(line)
  return {
    acked: (msgId) => visit.outbox.acked(msgId),
    leave(code = 1006) {
      close()
      visit.leave(code)
    }
  }
}

const parcel = (msgId: string, text = msgId) => ({ msgId, text })

t.test('a message that is acknowledged at once never touches the disk', async (t) => {
  const { road, stats, store } = await startRoad(t)
  const line = createLine()
  const visit = enter(road, line)
  await store.ping()
  const sending = road.send(parcel('a'))
  t.strictSame(line.heard, ['a'])
  visit.acked('a')
  t.equal(await sending, undefined)
  t.equal(stats.kept, 0)
})

t.test('a message that nobody acknowledges is on disk before the sender hears of it', async (t) => {
  const { road, store } = await startRoad(t)
  enter(road, createLine())
  t.equal(await road.send(parcel('a')), undefined)
  t.match(await store.readMail('api 1 qq', 0, 9), [{ msgId: 'a' }])
})

t.test('a message that comes again while it is under way is one message', async (t) => {
  const { road, store } = await startRoad(t)
  const line = createLine()
  const visit = enter(road, line)
  await store.ping()
  const both = [road.send(parcel('a')), road.send(parcel('a'))]
  visit.acked('a')
  await Promise.all(both)
  await waitFor(() => line.heard.length > 0)
  t.strictSame(line.heard, ['a'])
})

t.test('when the disk fails, the sender is not told that it is safe, and may send it again', async (t) => {
  let isBroken = true
  const store = await openSqliteStore({ path: ':memory:' })
  t.teardown(() => store.close())
  const broken = {
    ...store,
    keepMail: (mail: Parameters<typeof store.keepMail>[0]) =>
      isBroken ? Promise.reject(new Error('disk full')) : store.keepMail(mail)
  }
  const { road } = await startRoad(t, { store: broken })
  await t.rejects(road.send(parcel('a')), { message: 'disk full' }, 'nobody is there')
  const line = createLine()
  const visit = enter(road, line)
  await store.ping()
  await t.rejects(road.send(parcel('b')), { message: 'disk full' }, 'nobody acknowledges')
  isBroken = false
  t.equal(await road.send(parcel('b')), undefined)
  visit.leave()
  t.strictSame(await road.send(parcel('a')), { queued: 2 })
})

t.test('who is busy is sent no more than fits; the rest waits on disk, and comes in order', async (t) => {
  const { road, stats, store } = await startRoad(t, { window: 100 })
  const line = createLine()
  const visit = enter(road, line)
  await store.ping()
  const words = Array.from({ length: 50 }, (_, index) => `${index} `.padEnd(20, 'x'))
  const sent = Promise.all(words.map((text, index) => road.send(parcel(`${index}`, text))))
  await sent
  await waitFor(() => line.heard.length === 5)
  t.equal(stats.kept, 50, 'the sender is told of all of them')
  line.isFull = true
  for (let index = 0; index < 5; index++) visit.acked(`${index}`)
  await store.ping()
  t.equal(line.heard.length, 5, 'there would be room, but it has not taken what it was sent')
  line.drain()
  for (let index = 5; index < 50; index++) {
    await waitFor(() => line.heard.length > index)
    visit.acked(`${index}`)
  }
  t.strictSame(line.heard, words)
  await waitFor(async () => (await store.readMail('api 1 qq', 0, 1)).length === 0)
  await road.settled()
  visit.leave()
  t.ok(road.isIdle)
})

t.test('one that ends over a large message loses that one, and its sender learns it', async (t) => {
  const { road, stats, store } = await startRoad(t)
  const visit = enter(road, createLine())
  await store.ping()
  const small = road.send(parcel('small'))
  const large = road.send(parcel('large', 'x'.repeat(1000)))
  visit.leave(1009)
  t.strictSame(await small, { queued: 1 })
  t.strictSame(await large, { undeliverable: 'too large for the receiver' })
  t.equal(stats.dropped['too large'], 1)
})

t.test('what a peer sent is remembered over its connections, and for ten minutes after the last', async (t) => {
  const clock = createTestClock()
  const shelf = createSeenShelf({ ticks: clock.ticks, capacity: 2 })
  const first = shelf.take('peer')
  const twin = shelf.take('peer')
  t.equal(first.seen, twin.seen)
  first.giveBack()
  t.equal(shelf.take('peer').seen, twin.seen)
  twin.giveBack()
  const third = shelf.take('other')
  third.giveBack()
  clock.advance(599_000)
  const back = shelf.take('other')
  t.equal(back.seen, third.seen)
  back.giveBack()
  clock.advance(601_000)
  t.not(shelf.take('other').seen, third.seen)
})

t.test('of the peers that are away only so many are remembered', async (t) => {
  const shelf = createSeenShelf({ ticks: createTestClock().ticks, capacity: 2 })
  const before = ['a', 'b', 'c'].map((peer) => {
    const { seen, giveBack } = shelf.take(peer)
    giveBack()
    return seen
  })
  const after = ['a', 'b', 'c'].map((peer) => shelf.take(peer).seen)
  t.strictSame(
    after.map((seen, index) => seen === before[index]),
    [false, true, true]
  )
})

import t, { type Test } from 'tap'
import type { GatewayEvent } from '../../src/core/event.ts'
import type { Store } from '../../src/core/store.ts'
import { PAUSES_S } from '../../src/net/delivery-schedule.ts'
import { startDelivery, type DeliveryOptions, type Try } from '../../src/net/delivery.ts'
import type { Follower } from '../../src/net/follower.ts'
import { openSqliteStore } from '../../src/store/index.ts'
import { createTestClock } from '../helpers/clock.ts'
import { waitFor } from '../helpers/wait.ts'

const BOT = 10001
const ID = '10001-aaaaaaaaaaaa'
const HOUR_MS = 3_600_000

/** A store with messages in groups that a bot is in: `chats` names the group of each. */
async function fill(t: Test, chats: readonly number[]): Promise<{ store: Store; ids: number[] }> {
  const store = await openSqliteStore({ path: ':memory:' })
  t.teardown(() => store.close())
  for (const id of [BOT, 10002]) await store.addAccount({ id, kind: 'bot', nickname: `Bot ${id}`, createdAt: 1 })
  for (const id of new Set(chats))
    await store.addGroup({ id, name: 'G', ownerId: BOT, adminIds: [], memberIds: [10002], createdAt: 1 })
  await open(store)
  return { store, ids: await say(store, chats) }
}

async function say(store: Store, chats: readonly number[]): Promise<number[]> {
  const said = await Promise.all(
    chats.map((chatId) =>
      store.appendMessage({
        chatId,
        senderId: 10002,
        segments: [{ type: 'text', text: 'hello' }],
        time: 5,
        check: () => {}
      })
    )
  )
  return said.map(({ message }) => message.id)
}

const open = (store: Store) =>
  store.openTarget({ id: ID, botId: BOT, url: 'http://h/', cursorName: 'webhook:old', time: 1 })

/** A follower over the log as it is, that waits at its end until there is more. */
function follow(store: Store, from: number): Follower & { readonly taken: () => number; readonly look: () => void } {
  let position = from
  let taken = 0
  let isClosed = false
  let wake = (): void => {}
  return {
    taken: () => taken,
    look: () => wake(),
    close() {
      isClosed = true
      wake()
    },
    async next() {
      while (!isClosed) {
        const { events, readTo } = await store.readEvents(BOT, position, 1)
        position = readTo
        if (events[0]) {
          taken++
          return events[0]
        }
        await new Promise<void>((resolve) => (wake = resolve))
      }
      return undefined
    }
  }
}

const fine: Try = { status: 204, answer: '', latencyMs: 1, error: '' }
const bad: Try = { status: 500, answer: 'no', latencyMs: 1, error: 'the receiver answered 500' }

interface Started {
  readonly delivery: ReturnType<typeof startDelivery>
  readonly follower: ReturnType<typeof follow>
  readonly errors: unknown[]
  readonly told: string[]
}

async function start(
  t: Test,
  store: Store,
  options: Pick<DeliveryOptions, 'deliver'> & Partial<DeliveryOptions>
): Promise<Started> {
  const place = await open(store)
  const errors: unknown[] = []
  const told: string[] = []
  const follower = follow(store, place.target.cursor)
  const delivery = startDelivery({
    store,
    clock: createTestClock(),
    place,
    follower,
    wants: () => true,
    onFailure: () => {},
    onState: (isActive) => told.push(isActive ? 'on' : 'off'),
    onDisabled: (reason) => told.push(reason),
    onLost: (lost) => told.push(JSON.stringify(lost)),
    onError: (err) => errors.push(err),
    concurrency: 8,
    maxWaiting: 1000,
    keepAttempts: 100,
    random: () => 0.5,
    ...options
  })
  t.teardown(delivery.stop)
  return { delivery, follower, errors, told }
}

const sorted = (ids: readonly (number | undefined)[]): number[] =>
  ids.flatMap((id) => id ?? []).toSorted((a, b) => a - b)

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const turns = async (count: number): Promise<void> => {
  for (let index = 0; index < count; index++) await turn()
}
const cursorOf = async (store: Store): Promise<number> => (await store.findTarget(ID))?.cursor ?? 0
const waitingOf = async (store: Store): Promise<number[]> =>
  (await store.listDeliveries(ID, 'waiting', { limit: 1000 })).map(({ eventId }) => eventId).toReversed()

t.test('delivers in order within each chat, several chats side by side', async (t) => {
  const { store, ids } = await fill(
    t,
    Array.from({ length: 60 }, (_, index) => 1 + (index % 3))
  )
  const done: GatewayEvent[] = []
  const busy = new Set<number>()
  let most = 0
  await start(t, store, {
    async deliver(event) {
      t.notOk(busy.has(event.chat.id), 'one at a time in a chat')
      busy.add(event.chat.id)
      most = Math.max(most, busy.size)
      await turns(event.id % 4)
      busy.delete(event.chat.id)
      done.push(event)
      return fine
    }
  })
  await waitFor(async () => (await cursorOf(store)) === ids.at(-1))
  for (const chatId of [1, 2, 3]) {
    const own = done.filter((event) => event.chat.id === chatId).map((event) => event.id)
    t.strictSame(
      own,
      ids.filter((_, index) => 1 + (index % 3) === chatId)
    )
  }
  t.equal(most, 3)
  t.match(await store.findTarget(ID), { takenCount: 60, failedCount: 0, waiting: 0 })
})

t.test('concurrency 1 is strict order over all chats, also over one that fails', async (t) => {
  const { store, ids } = await fill(t, [1, 2, 3, 1, 2, 3])
  const clock = createTestClock()
  const done: number[] = []
  let failures = 2
  await start(t, store, {
    concurrency: 1,
    clock,
    async deliver(event) {
      if (event.id === ids[1] && failures-- > 0) return bad
      done.push(event.id)
      return fine
    }
  })
  await waitFor(async () => (await waitingOf(store)).length > 0)
  await turns(20)
  t.strictSame(done, [ids[0]])
  clock.advance(5000)
  await waitFor(async () => (await store.listAttempts(ID, { limit: 9 })).length === 3)
  clock.advance(300_000)
  await waitFor(() => done.length === ids.length)
  t.strictSame(done, ids)
})

t.test('a chat that fails holds up nobody else, and goes on in its order', async (t) => {
  const { store, ids } = await fill(t, [1, 2, 1, 2, 1])
  const clock = createTestClock()
  const done: number[] = []
  let isUp = false
  const { follower } = await start(t, store, {
    clock,
    async deliver(event) {
      if (event.chat.id === 1 && !isUp) return bad
      done.push(event.id)
      return fine
    }
  })
  await waitFor(async () => (await cursorOf(store)) === ids.at(-1))
  t.strictSame(done, [ids[1], ids[3]])
  t.strictSame(await waitingOf(store), [ids[0], ids[2], ids[4]])
  isUp = true
  const [later = 0] = await say(store, [1])
  follower.look()
  await waitFor(async () => (await waitingOf(store)).includes(later))
  clock.advance(5000)
  await waitFor(async () => (await waitingOf(store)).length === 0)
  t.strictSame(done, [ids[1], ids[3], ids[0], ids[2], ids[4], later])
  const [next = 0] = await say(store, [1])
  follower.look()
  await waitFor(() => done.includes(next))
  t.match(await store.findTarget(ID), { waiting: 0, failingSince: undefined })
})

t.test('a target that is down is asked on schedule, and told everything at once when it is back', async (t) => {
  const chats = Array.from({ length: 400 }, (_, index) => 1 + (index % 40))
  const { store, ids } = await fill(t, chats)
  const clock = createTestClock()
  let isUp = false
  let tries = 0
  const { delivery, follower } = await start(t, store, {
    clock,
    window: 50,
    async deliver() {
      tries++
      await turn()
      return isUp ? fine : bad
    }
  })
  await waitFor(() => delivery.isDown())
  await waitFor(async () => (await store.findTarget(ID))?.failedCount === tries)
  await turns(50)
  t.ok(tries <= 10, `${tries} tries: those under way when it was seen`)
  t.ok(follower.taken() <= 60, 'the log is not read on')
  const before = tries
  for (let minute = 0; minute < 60; minute++) {
    clock.advance(60_000)
    await turns(20)
  }
  t.ok(tries - before <= 70, `${tries - before} tries in an hour`)
  t.ok((await waitingOf(store)).length < 200, 'what waits stays small')
  isUp = true
  clock.advance(61_000)
  await waitFor(async () => (await cursorOf(store)) === ids.at(-1) && (await waitingOf(store)).length === 0)
  t.notOk(delivery.isDown())
  t.equal((await store.findTarget(ID))?.takenCount, 400, 'each once')
})

t.test('dead after the last try, then the next of the chat', async (t) => {
  const { store, ids } = await fill(t, [1, 1])
  const clock = createTestClock()
  const tries: [id: number, number: number][] = []
  await start(t, store, {
    clock,
    async deliver(event, number) {
      tries.push([event.id, number])
      return event.id === ids[0] ? bad : fine
    }
  })
  for (let count = 1; count <= 9; count++) {
    await waitFor(async () => (await store.listAttempts(ID, { limit: 100 })).length === count)
    clock.advance((PAUSES_S[count - 1] ?? 0) * 1000)
  }
  await waitFor(async () => (await cursorOf(store)) === ids[1] && (await waitingOf(store)).length === 0)
  t.strictSame(tries, [...Array.from({ length: 10 }, (_, index) => [ids[0], index + 1]), [ids[1], 1]])
  t.match(await store.listDeliveries(ID, 'dead', { limit: 9 }), [{ eventId: ids[0], attempts: 10 }])
})

t.test('410 switches it off at once; whoever switches it on again goes on where it stopped', async (t) => {
  const { store, ids } = await fill(t, [1, 2])
  let isGone = true
  const done: number[] = []
  const { told } = await start(t, store, {
    concurrency: 1,
    async deliver(event) {
      if (isGone) return { ...bad, status: 410, error: 'the receiver answered 410', isGone }
      done.push(event.id)
      return fine
    }
  })
  await waitFor(async () => (await store.findTarget(ID))?.state === 'disabled')
  t.strictSame(told, ['off', 'the receiver answered 410 Gone'])
  isGone = false
  await store.setTargetState(ID, { state: 'active', reason: '', time: 9 })
  await waitFor(() => done.length === 2)
  t.strictSame(done, ids)
  t.strictSame(told, ['off', 'the receiver answered 410 Gone', 'on'])
})

t.test('it is switched off once after 120 hours without a success', async (t) => {
  const { store } = await fill(t, [1, 1, 1])
  const clock = createTestClock()
  const { told } = await start(t, store, { clock, deliver: async () => bad })
  const begunAt = clock.now()
  await waitFor(async () => (await store.findTarget(ID))?.failedCount === 1)
  for (let hours = 0; hours < 119; hours++) {
    clock.advance(HOUR_MS)
    await turns(20)
  }
  t.equal((await store.findTarget(ID))?.state, 'active')
  clock.advance(2 * HOUR_MS)
  await waitFor(async () => (await store.findTarget(ID))?.state === 'disabled')
  clock.advance(200 * HOUR_MS)
  await turns(20)
  t.match(told, ['off', /120 hours/])
  t.equal(told.length, 2)
  t.equal((await store.findTarget(ID))?.stateSince, begunAt + 120 * 3600)
})

t.test('a pause begins nothing, and a replay of what was delivered keeps nobody waiting', async (t) => {
  const { store, ids } = await fill(t, [1, 1])
  const tries: number[] = []
  const hold = Promise.withResolvers<void>()
  let isReplay = false
  const { follower } = await start(t, store, {
    async deliver(event) {
      tries.push(event.id)
      if (isReplay && event.id === ids[0]) await hold.promise
      return fine
    }
  })
  await waitFor(async () => (await cursorOf(store)) === ids[1])
  await store.setTargetState(ID, { state: 'paused', reason: 'by hand', time: 9 })
  const [later = 0] = await say(store, [1])
  follower.look()
  await turns(20)
  t.strictSame(tries, ids)
  isReplay = true
  t.equal(await store.replay(ID, { from: ids[0] ?? 0, to: later }, 10), 2)
  t.equal(await store.replay(ID, { from: ids[0] ?? 0, to: later }, 10), 0, 'a double click')
  await turns(20)
  t.strictSame(tries, ids)
  await store.setTargetState(ID, { state: 'active', reason: '', time: 11 })
  await waitFor(() => tries.includes(later))
  await turns(20)
  t.strictSame(sorted(tries), sorted([...ids, ids[0], later]), 'the new one did not wait for the replay')
  t.equal(await store.replay(ID, { eventIds: [ids[0] ?? 0] }, 10), 0, 'it is under way')
  hold.resolve()
  await waitFor(async () => (await waitingOf(store)).length === 0)
  t.strictSame(sorted(tries), sorted([...ids, ...ids, later]), 'each once')
})

t.test('a thousand dead ones are sent again, each once', async (t) => {
  const chats = Array.from({ length: 1000 }, (_, index) => 1 + (index % 7))
  const { store, ids } = await fill(t, chats)
  await store.saveProgress(ID, () => ({
    cursor: ids.at(-1) ?? 0,
    ahead: [],
    failingSince: undefined,
    attempts: [],
    taken: 0,
    failed: 0,
    keepAttempts: 100,
    rows: ids.map((eventId, index) => ({
      type: 'put',
      eventId,
      chatId: chats[index] ?? 0,
      state: 'dead',
      attempts: 10,
      nextAt: 5,
      time: 5
    }))
  }))
  const tries: number[] = []
  let most = 0
  let now = 0
  await start(t, store, {
    async deliver(event) {
      most = Math.max(most, ++now)
      await turn()
      now--
      tries.push(event.id)
      return fine
    }
  })
  const counts = await Promise.all([store.replay(ID, 'dead', 9), store.replay(ID, 'dead', 9)])
  t.strictSame(counts, [1000, 0])
  await waitFor(async () => (await waitingOf(store)).length === 0)
  t.strictSame(sorted(tries), ids)
  t.equal(most, 4, 'half of the slots are kept for what is new')
})

t.test('Retry-After rests the whole target', async (t) => {
  const { store, ids } = await fill(t, [1, 2])
  const clock = createTestClock()
  const tries: number[] = []
  const { follower } = await start(t, store, {
    clock,
    async deliver(event) {
      tries.push(event.id)
      return tries.length > 1 ? fine : { ...bad, status: 429, retryAfterS: 120 }
    }
  })
  await waitFor(async () => (await waitingOf(store)).length > 0)
  const [other = 0] = await say(store, [2])
  follower.look()
  clock.advance(119_000)
  await turns(20)
  t.equal(tries.length, 1)
  clock.advance(1000)
  await waitFor(async () => (await cursorOf(store)) === other && (await waitingOf(store)).length === 0)
  t.strictSame(sorted(tries.slice(1)), sorted([...ids, other]))
})

t.test('what waits has a bound, and then the log is not read on', async (t) => {
  const { store, ids } = await fill(
    t,
    Array.from({ length: 50 }, () => 1)
  )
  const clock = createTestClock()
  let isUp = false
  const done: number[] = []
  await start(t, store, {
    clock,
    maxWaiting: 10,
    window: 4,
    async deliver(event) {
      if (isUp) done.push(event.id)
      return isUp ? fine : bad
    }
  })
  await waitFor(async () => (await waitingOf(store)).length >= 10)
  await turns(50)
  t.ok((await waitingOf(store)).length <= 14, 'the bound and what was in memory')
  isUp = true
  clock.advance(5000)
  await waitFor(async () => (await cursorOf(store)) === ids.at(-1) && (await waitingOf(store)).length === 0)
  t.strictSame(done, ids)
})

t.test('a restart repeats nothing that was delivered, also behind what was not', async (t) => {
  const { store, ids } = await fill(t, [1, 2, 3, 2])
  const first: number[] = []
  const { delivery } = await start(t, store, {
    graceMs: 1,
    async deliver(event, _number, signal) {
      first.push(event.id)
      if (event.chat.id !== 1) return fine
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('cut'))))
      return undefined
    }
  })
  await waitFor(async () => (await store.findTarget(ID))?.takenCount === 3)
  await delivery.stop()
  t.equal(await cursorOf(store), (ids[0] ?? 0) - 1)
  const second: number[] = []
  const again = await start(t, store, {
    async deliver(event) {
      second.push(event.id)
      return fine
    }
  })
  await waitFor(async () => (await store.findTarget(ID))?.takenCount === 4)
  const { target, ahead } = await open(store)
  t.ok(
    ids.every((id) => id <= target.cursor || ahead.includes(id)),
    'all are known to be delivered'
  )
  await waitFor(() => again.follower.taken() === 4)
  await again.delivery.stop()
  t.equal(await cursorOf(store), ids.at(-1))
  t.strictSame([sorted(first), second], [ids, [ids[0]]])
})

t.test('when the store cannot write nothing is sent beyond what is under way, and nothing is lost', async (t) => {
  const { store, ids } = await fill(
    t,
    Array.from({ length: 40 }, (_, index) => 1 + (index % 20))
  )
  const clock = createTestClock()
  let isFull = true
  const tries: number[] = []
  const { errors } = await start(
    t,
    {
      ...store,
      saveProgress: (...args) => (isFull ? Promise.reject(new Error('full')) : store.saveProgress(...args))
    },
    {
      clock,
      async deliver(event) {
        tries.push(event.id)
        return fine
      }
    }
  )
  await waitFor(() => errors.length > 0)
  clock.advance(10_000)
  await turns(20)
  t.equal(tries.length, 8)
  isFull = false
  await waitFor(async () => {
    clock.advance(1000)
    return (await cursorOf(store)) === ids.at(-1)
  })
  t.strictSame(sorted(tries), ids, 'each once')
})

t.test('what the log does not hold any more is said', async (t) => {
  const { store, ids } = await fill(t, [1, 1, 1, 1])
  await store.saveProgress(ID, () => ({
    cursor: ids[0] ?? 0,
    ahead: [],
    failingSince: undefined,
    attempts: [],
    taken: 0,
    failed: 0,
    keepAttempts: 9,
    rows: [{ type: 'put', eventId: ids[0] ?? 0, chatId: 1, state: 'waiting', attempts: 1, nextAt: 1, time: 1 }]
  }))
  await store.dropEvents({ keptFrom: 0, keep: 1, limit: 100 })
  const done: number[] = []
  const { told } = await start(t, store, {
    async deliver(event) {
      done.push(event.id)
      return fine
    }
  })
  await waitFor(() => done.length === 1)
  t.strictSame(done, [ids[3]])
  t.strictSame(told.toSorted(), [`{"eventId":${ids[0]}}`, '{"upTo":2}'])
  await waitFor(async () => (await waitingOf(store)).length === 0)
})

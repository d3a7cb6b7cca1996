import t, { type Test } from 'tap'
import type { GatewayEvent } from '../../src/core/event.ts'
import { startDelivery, type DeliveryOptions } from '../../src/net/delivery.ts'
import type { Follower } from '../../src/net/follower.ts'
import { messageEvent, range } from '../helpers/events.ts'

/** A follower over a fixed list, that waits at its end. */
function follow(events: readonly GatewayEvent[]): Follower & { readonly taken: () => number } {
  let taken = 0
  let onClose = (): void => {}
  const closed = new Promise<undefined>((resolve) => (onClose = () => resolve(undefined)))
  return {
    taken: () => taken,
    close: () => onClose(),
    next: () => (taken < events.length ? Promise.resolve(events[taken++]) : closed)
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const until = async (isTrue: () => boolean): Promise<void> => {
  while (!isTrue()) await turn()
}

/** The waits between tries do not keep a process alive; in the gateway its server does. */
function keepAlive(t: Test): void {
  const timer = setInterval(() => {}, 60_000)
  t.teardown(() => clearInterval(timer))
}

function start(t: Test, events: readonly GatewayEvent[], options: Partial<DeliveryOptions>) {
  keepAlive(t)
  const saved: number[] = []
  const errors: Error[] = []
  const follower = follow(events)
  const delivery = startDelivery({
    follower,
    deliver: () => Promise.resolve(),
    saveCursor: async (eventId) => void saved.push(eventId),
    onError: (err) => errors.push(err as Error),
    retry: { firstMs: 2, maxMs: 8 },
    ...options
  })
  t.teardown(delivery.stop)
  return { saved, errors, follower, delivery }
}

t.test('delivers in order within each chat, several chats side by side', async (t) => {
  const events = range(1, 60).map((id) => messageEvent(id, { chatId: 1 + (id % 3) }))
  const done: GatewayEvent[] = []
  const busy = new Set<number>()
  let most = 0
  const { saved } = start(t, events, {
    async deliver(event) {
      t.notOk(busy.has(event.chat.id), 'one at a time in a chat')
      busy.add(event.chat.id)
      most = Math.max(most, busy.size)
      for (let turns = event.id % 4; turns >= 0; turns--) await turn()
      busy.delete(event.chat.id)
      done.push(event)
    }
  })
  await until(() => saved.at(-1) === 60)
  for (const chatId of [1, 2, 3]) {
    const ids = done.filter((event) => event.chat.id === chatId).map((event) => event.id)
    t.strictSame(
      ids,
      ids.toSorted((a, b) => a - b)
    )
    t.equal(ids.length, 20)
  }
  t.equal(most, 3)
})

t.test('concurrency 1 is strict order over all chats', async (t) => {
  const events = range(1, 30).map((id) => messageEvent(id, { chatId: id % 5 }))
  const done: number[] = []
  const { saved } = start(t, events, {
    concurrency: 1,
    async deliver(event) {
      for (let turns = event.id % 3; turns > 0; turns--) await turn()
      done.push(event.id)
    }
  })
  await until(() => saved.at(-1) === 30)
  t.strictSame(done, range(1, 30))
})

t.test('tries again until it works, with growing waits, and counts the tries', async (t) => {
  const tries: [id: number, attempt: number][] = []
  const at: number[] = []
  const { saved, errors } = start(t, [messageEvent(1), messageEvent(2)], {
    retry: { firstMs: 20, maxMs: 80 },
    async deliver(event, attempt) {
      tries.push([event.id, attempt])
      at.push(performance.now())
      if (attempt < 4 && event.id === 1) throw new Error(`try ${attempt}`)
    }
  })
  await until(() => saved.at(-1) === 2)
  t.strictSame(tries, [
    [1, 1],
    [1, 2],
    [1, 3],
    [1, 4],
    [2, 1]
  ])
  t.strictSame(
    errors.map((err) => err.message),
    ['try 1', 'try 2', 'try 3']
  )
  const waits = range(1, 3).map((index) => (at[index] ?? 0) - (at[index - 1] ?? 0))
  // Half to whole of 20, 40 and 80 ms; a timer may be a millisecond early.
  for (const [index, least] of [9, 19, 39].entries()) t.ok((waits[index] ?? 0) >= least, `wait ${waits[index]} ms`)
})

t.test('the cursor passes nothing that is not delivered', async (t) => {
  const finish = new Map<number, () => void>()
  const events = range(1, 6).map((id) => messageEvent(id, { chatId: id }))
  const { saved } = start(t, events, {
    deliver: (event) => new Promise((resolve) => finish.set(event.id, resolve))
  })
  await until(() => finish.size === 6)
  const end = async (id: number): Promise<void> => {
    finish.get(id)?.()
    for (let turns = 0; turns < 3; turns++) await turn()
  }
  for (const id of [2, 4, 3]) await end(id)
  t.strictSame(saved, [])
  await end(1)
  t.strictSame(saved, [4])
  await end(6)
  t.strictSame(saved, [4])
  await end(5)
  t.strictSame(saved, [4, 6])
})

t.test('reads no further than the window', async (t) => {
  const finish = new Map<number, () => void>()
  const events = range(1, 100).map((id) => messageEvent(id, { chatId: id }))
  const { follower, saved } = start(t, events, {
    window: 10,
    deliver: (event) => (event.id === 1 ? new Promise((resolve) => finish.set(1, resolve)) : Promise.resolve())
  })
  await until(() => follower.taken() === 10)
  for (let turns = 0; turns < 20; turns++) await turn()
  t.equal(follower.taken(), 10, 'although nine of them are done')
  finish.get(1)?.()
  await until(() => saved.at(-1) === 100)
  t.equal(follower.taken(), 100)
})

t.test('who is down is asked about one chat at a time', async (t) => {
  const events = range(1, 8).map((id) => messageEvent(id, { chatId: id }))
  let inside = 0
  let most = 0
  let isDown = true
  let tries = 0
  const { saved } = start(t, events, {
    async deliver() {
      inside++
      tries++
      if (tries > 8) most = Math.max(most, inside)
      await turn()
      inside--
      if (isDown) throw new Error('down')
    }
  })
  await until(() => tries > 20)
  t.equal(most, 1)
  isDown = false
  await until(() => saved.at(-1) === 8)
})

t.test('stops at once: tries under way are told, waits end, nothing new begins', async (t) => {
  const saved: number[] = []
  let tries = 0
  const begun = Promise.withResolvers<void>()
  const { delivery, follower } = start(t, [messageEvent(1, { chatId: 1 }), messageEvent(2, { chatId: 2 })], {
    retry: { firstMs: 2 ** 30, maxMs: 2 ** 30 },
    saveCursor: async (eventId) => void saved.push(eventId),
    deliver(event, _attempt, signal) {
      tries++
      if (event.id === 1) return Promise.reject(new Error('down'))
      begun.resolve()
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
    }
  })
  await begun.promise
  await delivery.stop()
  t.strictSame([tries, saved, follower.taken()], [2, [], 2])
})

import t, { type Test } from 'tap'
import { createMemoryBus } from '../../src/bus/memory.ts'
import type { GatewayEvent } from '../../src/core/event.ts'
import type { Store } from '../../src/core/store.ts'
import { createFollower, type Follower, type FollowerOptions } from '../../src/net/follower.ts'
import { createHub } from '../../src/net/hub.ts'
import { messageEvent, range } from '../helpers/events.ts'

type ReadEvents = Store['readEvents']

/** The waits between tries do not keep a process alive; in the gateway its server does. */
function keepAlive(t: Test): void {
  const timer = setInterval(() => {}, 60_000)
  t.teardown(() => clearInterval(timer))
}

/** A log and a hub that speak of the same events; `follow` reads them as account 10002. */
function start(t: Test) {
  keepAlive(t)
  const bus = createMemoryBus()
  const hub = createHub({ bus, holdWrites: () => () => {}, onError: (err) => t.fail(String(err)) })
  t.teardown(hub.close)
  const log: GatewayEvent[] = []
  const reads: number[] = []
  const errors: unknown[] = []

  const readEvents: ReadEvents = async (accountId, afterId, limit) => {
    reads.push(afterId)
    const page = log.filter((event) => event.id > afterId).slice(0, limit)
    return {
      events: page.filter((event) => event.audience.includes(accountId)),
      readTo: page.at(-1)?.id ?? afterId
    }
  }

  return {
    hub,
    reads,
    errors,
    readEvents,
    append: (events: readonly GatewayEvent[]): void => {
      log.push(...events)
      bus.publish(events)
    },
    follow: (options: Partial<FollowerOptions> = {}): Follower => {
      const follower = createFollower({
        store: { readEvents },
        hub,
        accountId: 10002,
        from: 0,
        wants: () => true,
        onError: (err) => errors.push(err),
        retryMs: 1,
        ...options
      })
      t.teardown(follower.close)
      return follower
    }
  }
}

async function take(follower: Follower, count: number): Promise<number[]> {
  const ids: number[] = []
  while (ids.length < count) ids.push((await follower.next())?.id ?? -1)
  return ids
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

t.test('begins with the log and goes on live, without a gap or a repetition', async (t) => {
  const { append, follow, reads } = start(t)
  append(range(1, 500).map((id) => messageEvent(id)))
  const follower = follow({ from: 100 })
  t.strictSame(await take(follower, 400), range(101, 500))
  const waiting = take(follower, 3)
  await turn()
  const before = reads.length
  append(range(501, 503).map((id) => messageEvent(id)))
  t.strictSame(await waiting, range(501, 503))
  t.equal(reads.length, before, 'live events do not need the log')
})

t.test('hears what is committed while the log is read', async (t) => {
  const { append, follow, readEvents } = start(t)
  append(range(1, 3).map((id) => messageEvent(id)))
  let next = 4
  const follower = follow({
    store: {
      async readEvents(...order) {
        const page = await readEvents(...order)
        // Between the reading and its answer.
        if (next <= 10) append([messageEvent(next++)])
        return page
      }
    }
  })
  t.strictSame(await take(follower, 10), range(1, 10))
})

t.test('a slow reader gets everything, though little is kept in memory', async (t) => {
  const { append, follow, reads } = start(t)
  const follower = follow({ capacity: 10 })
  const first = follower.next()
  await turn()
  append([messageEvent(1)])
  t.equal((await first)?.id, 1)
  append(range(2, 1000).map((id) => messageEvent(id)))
  await turn()
  const before = reads.length
  const heard = await take(follower, 999)
  t.strictSame(heard, range(2, 1000))
  t.ok(reads.length > before, 'the rest came from the log')
  const live = take(follower, 2)
  await turn()
  append(range(1001, 1002).map((id) => messageEvent(id)))
  t.strictSame(await live, [1001, 1002], 'and it is live again')
})

t.test('leaves out what is not wanted and what is not for the account', async (t) => {
  const { append, follow } = start(t)
  const audience = (id: number): number[] => (id % 3 === 0 ? [10001] : [10001, 10002])
  append(range(1, 10).map((id) => messageEvent(id, { audience: audience(id) })))
  const follower = follow({ wants: (event) => event.id % 2 === 0 })
  t.strictSame(await take(follower, 4), [2, 4, 8, 10])
  append(range(11, 20).map((id) => messageEvent(id, { audience: audience(id) })))
  t.strictSame(await take(follower, 3), [14, 16, 20])
})

t.test('reads the log again when it could not be read', async (t) => {
  const { append, follow, readEvents, errors } = start(t)
  append([messageEvent(1)])
  let failures = 3
  const follower = follow({
    store: {
      readEvents: (...order) =>
        failures-- > 0 ? Promise.reject(new Error('the database is locked')) : readEvents(...order)
    }
  })
  const first = take(follower, 2)
  append([messageEvent(2)])
  t.strictSame(await first, [1, 2])
  t.equal(errors.length, 3)
})

t.test('ends when it is closed', async (t) => {
  const { follow, hub } = start(t)
  const follower = follow()
  t.equal(hub.size(), 1)
  const waiting = follower.next()
  await turn()
  follower.close()
  t.equal(await waiting, undefined)
  t.equal(await follower.next(), undefined)
  t.equal(hub.size(), 0, 'it listens no more')
  const failing = follow({ store: { readEvents: () => Promise.reject(new Error('no')) }, retryMs: 2 ** 30 })
  const never = failing.next()
  await turn()
  failing.close()
  t.equal(await never, undefined, 'also while it waits for the next try')
})

import t from 'tap'
import { startRetention } from '../../src/core/retention.ts'
import type { LogBounds } from '../../src/core/store.ts'
import { createTestClock } from '../helpers/clock.ts'
import { waitFor } from '../helpers/wait.ts'

t.test('drops in small writes while there is something to drop, then looks once a minute', async (t) => {
  const clock = createTestClock(10_000)
  const asked: LogBounds[] = []
  let left = 1200
  const stop = startRetention({
    store: {
      async dropEvents(bounds) {
        asked.push(bounds)
        const events = Math.min(left, bounds.limit)
        left -= events
        return { events, cursors: 0, isMore: left > 0 }
      }
    },
    clock,
    ageS: 600,
    count: 50,
    onError: (err) => t.fail(String(err))
  })
  /** So much time passes when everything that was due is done. */
  async function pass(ms: number): Promise<void> {
    await waitFor(() => clock.waiting() === 1)
    clock.advance(ms)
  }
  for (let count = 1; count <= 3; count++) {
    await pass(count === 1 ? 5000 : 100)
    t.equal(asked.length, count)
  }
  t.equal(left, 0)
  t.strictSame(asked[0], { keptFrom: 10_005 - 600, keep: 50, limit: 500 })
  await pass(59_000)
  t.equal(asked.length, 3)
  await pass(1000)
  t.equal(asked.length, 4)
  t.equal(asked[3]?.keptFrom, 10_065 - 600)
  await stop()
  t.equal(clock.waiting(), 0)
})

t.test('a database that cannot write is asked again later', async () => {
  const clock = createTestClock()
  const errors: unknown[] = []
  const stop = startRetention({
    store: { dropEvents: () => Promise.reject(new Error('disk full')) },
    clock,
    ageS: 1,
    count: 1,
    onError: (err) => errors.push(err)
  })
  clock.advance(5000)
  await waitFor(() => clock.waiting() === 1)
  clock.advance(60_000)
  await waitFor(() => errors.length === 2)
  await stop()
})

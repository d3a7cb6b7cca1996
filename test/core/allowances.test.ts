import t from 'tap'
import { createAllowances } from '../../src/core/allowances.ts'
import { createTestClock } from '../helpers/clock.ts'
import { refusal } from '../suites/store.ts'

const attempt = (work: () => void): Promise<string> => refusal(Promise.resolve().then(work))

t.test('so many at once, then so many per second, each on their own', async (t) => {
  const clock = createTestClock()
  const allowances = createAllowances({ send: { perSecond: 2, burst: 3 }, read: { perSecond: 1, burst: 1 } }, clock)
  const send = (key: number): Promise<string> => attempt(() => allowances.take('send', key))
  for (let times = 0; times < 3; times++) t.equal(await send(1), 'accepted')
  t.equal(await send(1), 'rate_limited')
  t.equal(await send(2), 'accepted', 'another account')
  t.equal(await attempt(() => allowances.take('read', 1)), 'accepted', 'another thing')
  clock.advance(499)
  t.equal(await send(1), 'rate_limited')
  clock.advance(1)
  t.equal(await send(1), 'accepted')
  clock.advance(3_600_000)
  for (let times = 0; times < 3; times++) t.equal(await send(1), 'accepted')
  t.equal(await send(1), 'rate_limited', 'an hour of silence is no hour of talk')
})

t.test('who is refused hears when to come back, and may then', async (t) => {
  const clock = createTestClock()
  const allowances = createAllowances({ send: { perSecond: 0.5, burst: 1 } }, clock)
  allowances.take('send', 1)
  clock.advance(500)
  try {
    allowances.take('send', 1)
    t.fail('it was let through')
  } catch (err) {
    const { retryAfterMs } = (err as { details: { retryAfterMs: number } }).details
    t.equal(retryAfterMs, 1500)
    clock.advance(retryAfterMs)
  }
  allowances.take('send', 1)
})

t.test('tens of thousands of accounts are no burden for ever', async (t) => {
  const clock = createTestClock()
  const allowances = createAllowances({ send: { perSecond: 1, burst: 5 } }, clock)
  for (let round = 0; round < 20; round++) {
    for (let key = 0; key < 10_000; key++) allowances.take('send', `${round}:${key}`)
    clock.advance(10_000)
  }
  t.ok(allowances.size() <= 20_000, `${allowances.size()} are kept; those that are full again are dropped`)
})

import t from 'tap'
import { watchExpiry } from '../../src/net/ends.ts'
import { createTestClock } from '../helpers/clock.ts'

const DAY_MS = 24 * 3600 * 1000

function setUp(lifeS: number, warnS = 60) {
  const clock = createTestClock(1000)
  const heard: string[] = []
  let end = 1000 + lifeS
  const undo = watchExpiry({
    clock,
    expiresAt: () => end,
    warnS,
    onExpiring: (at) => heard.push(`expiring at ${at}`),
    onExpired: () => heard.push(`expired at ${clock.now()}`)
  })
  return { clock, heard, undo, renew: (seconds: number) => (end = clock.now() + seconds) }
}

t.test('an end is announced, and comes', async (t) => {
  const { clock, heard } = setUp(3600)
  clock.advance(3_539_000)
  t.strictSame(heard, [])
  clock.advance(1000)
  t.strictSame(heard, ['expiring at 4600'])
  clock.advance(59_000)
  t.equal(heard.length, 1)
  clock.advance(1000)
  t.strictSame(heard, ['expiring at 4600', 'expired at 4600'])
  clock.advance(DAY_MS)
  t.equal(heard.length, 2)
  t.equal(clock.waiting(), 0)
})

t.test('one that was moved is not kept to, and announced again', async (t) => {
  const { clock, heard, renew } = setUp(100)
  clock.advance(41_000)
  t.strictSame(heard, ['expiring at 1100'])
  renew(1000)
  clock.advance(900_000)
  t.strictSame(heard, ['expiring at 1100'])
  clock.advance(60_000)
  t.strictSame(heard, ['expiring at 1100', 'expiring at 2041'])
})

t.test('one that is years away is waited for', async (t) => {
  const { clock, heard } = setUp(100 * 24 * 3600, 0)
  for (let day = 0; day < 99; day++) clock.advance(DAY_MS)
  t.strictSame(heard, [])
  // Times are whole seconds, timers are not.
  clock.advance(DAY_MS + 1000)
  t.equal(heard.length, 1)
})

t.test('one that is past has come, and who does not wait any more hears nothing', async (t) => {
  t.strictSame(setUp(-5).heard, ['expired at 1000'])
  const { clock, heard, undo } = setUp(10, 0)
  undo()
  clock.advance(DAY_MS)
  t.strictSame(heard, [])
  t.equal(clock.waiting(), 0)
})

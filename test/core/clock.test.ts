import t from 'tap'
import { createSteadyClock } from '../../src/core/clock.ts'
import { createTestClock } from '../helpers/clock.ts'

/** A clock that can be set, as a machine's can, and one that is steady over it. */
function start() {
  const machine = createTestClock()
  let set = 0
  const steady = createSteadyClock({ ...machine, now: () => machine.now() + set })
  const startedAt = steady.now()
  return {
    set: (seconds: number) => void (set += seconds),
    /** Lets time pass, and says how much of it the steady clock has seen since the start. */
    pass(seconds: number): number {
      for (let left = seconds; left > 0; left -= 10) {
        machine.advance(Math.min(left, 10) * 1000)
        steady.now()
      }
      return steady.now() - startedAt
    }
  }
}

void t.test('goes as the machine does while nobody sets it', async (t) => {
  t.equal(start().pass(100_000), 100_000)
})

for (const jump of [3600, -3600]) {
  void t.test(`follows a jump of ${jump} s slowly, and in the end entirely`, async (t) => {
    const clock = start()
    t.equal(clock.pass(100), 100)
    clock.set(jump)
    const minute = clock.pass(60) - 100
    t.ok(minute >= 57 && minute <= 63, `a minute is ${minute} s long`)
    const hour = clock.pass(3600) - 100 - minute
    t.ok(hour >= 3420 && hour <= 3780, `an hour is ${hour} s long`)
    const whole = clock.pass(80_000) - 100 - 60 - 3600
    t.ok(Math.abs(whole - 80_000 - jump) <= 1, `in the end ${whole} s`)
  })
}

void t.test('takes over what is no small correction', async (t) => {
  const clock = start()
  clock.set(86_400)
  t.equal(clock.pass(10), 86_410)
  clock.set(-86_400)
  t.equal(clock.pass(10), 20)
})

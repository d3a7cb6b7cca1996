import type { Undo } from './bus.ts'

/** Time comes in from outside, so that tests need not wait. */
export interface Clock {
  /** Unix seconds. */
  readonly now: () => number
  /** Milliseconds that only ever grow, for measuring how long something takes. */
  readonly ticks: () => number
  /** Runs `work` once after so many milliseconds, unless undone before. Must not keep the process alive. */
  readonly after: (ms: number, work: () => void) => Undo
}

/** So much of the time that passes is given to coming nearer to the machine's clock. */
const SLEW = 0.05
/** Who is further off than that was not set a little, but was asleep, or had no idea of the time before. */
const MAX_JUMP_MS = 2 * 3600 * 1000

/**
 * A clock by which the gateway reckons how long things may take, in the same numbers as the machine's: when that is set by
 * an hour, nothing ends an hour early or waits an hour longer. It follows, and takes twenty hours for such a jump.
 */
export function createSteadyClock(clock: Clock): Clock {
  let time = clock.now() * 1000
  let measuredAt = clock.ticks()

  function now(): number {
    const ticks = clock.ticks()
    const passed = ticks - measuredAt
    measuredAt = ticks
    time += passed
    // The machine's is known to the second.
    const wrong = clock.now() * 1000 + 500 - time
    if (Math.abs(wrong) > MAX_JUMP_MS) time += wrong - 500
    else if (Math.abs(wrong) > 500) time += Math.sign(wrong) * Math.min(Math.abs(wrong), passed * SLEW)
    return Math.floor(time / 1000)
  }

  return { now, ticks: clock.ticks, after: clock.after }
}

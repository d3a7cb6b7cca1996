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

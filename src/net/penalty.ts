/** Keeps count of what one connection did too often (IM-Suite 2.6 `RATE_LIMITED`). */
export interface Penalty {
  /** Counts one; says what should follow. `isFlood`: it is time to part. */
  readonly count: () => { readonly mayTell: boolean; readonly isFlood: boolean }
}

const TELL_EVERY_MS = 1000
const MAX_VIOLATIONS = 30
const WINDOW_MS = 60_000

/** `ticks`: milliseconds that only grow. */
export function createPenalty(ticks: () => number): Penalty {
  const violations: number[] = []
  let toldAt = -Infinity

  return {
    count() {
      const now = ticks()
      violations.push(now)
      while (violations[0] !== undefined && violations[0] <= now - WINDOW_MS) violations.shift()
      const mayTell = now - toldAt >= TELL_EVERY_MS
      if (mayTell) toldAt = now
      return { mayTell, isFlood: violations.length >= MAX_VIOLATIONS }
    }
  }
}

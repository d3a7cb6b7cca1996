import type { Clock } from '../../src/core/clock.ts'

export interface TestClock extends Clock {
  /** Lets so much time pass; what was due within it is done, in order. */
  readonly advance: (ms: number) => void
  /** Works that wait. */
  readonly waiting: () => number
}

/** A clock that stands still until it is told to go on. */
export function createTestClock(startS = 1_700_000_000): TestClock {
  let ms = startS * 1000
  let works: { at: number; work: () => void }[] = []

  return {
    now: () => Math.floor(ms / 1000),
    ticks: () => ms,
    after(delayMs, work) {
      const entry = { at: ms + delayMs, work }
      works.push(entry)
      return () => {
        works = works.filter((other) => other !== entry)
      }
    },
    advance(byMs) {
      const end = ms + byMs
      for (;;) {
        const [next] = works.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)
        if (!next) break
        works = works.filter((other) => other !== next)
        ms = Math.max(ms, next.at)
        next.work()
      }
      ms = end
    },
    waiting: () => works.length
  }
}

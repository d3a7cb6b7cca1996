import { hash } from 'node:crypto'
import { ActionError } from './errors.ts'

/** How often a secret may be guessed: failures are counted per name, whether the name exists or not. */
export interface Guesses {
  /**
   * Runs the check of a secret. It counts as a failure while it runs and when it gives undefined, so that many at once
   * are no more guesses than one after the other; anything else it gives clears the name.
   * Throws `ActionError('rate_limited')` with the time to wait, and then nothing is checked.
   */
  readonly guard: <T>(name: string, check: () => Promise<T | undefined>) => Promise<T | undefined>
}

export interface GuessesOptions {
  /** Failures of one name within `windowS` seconds. */
  readonly max: number
  readonly windowS: number
  /** Unix seconds. */
  readonly now: () => number
}

/** Names that are remembered; a further one takes the place of the one that failed longest ago. */
const MAX_NAMES = 20_000

export function createGuesses({ max, windowS, now }: GuessesOptions): Guesses {
  /** When each name failed, ascending; the name that failed last is the last. */
  const failures = new Map<string, number[]>()

  function keep(key: string, times: number[]): void {
    failures.delete(key)
    if (times.length === 0) return
    failures.set(key, times)
    const [oldest] = failures.keys()
    if (failures.size > MAX_NAMES && oldest !== undefined) failures.delete(oldest)
  }

  return {
    async guard(name, check) {
      // Whoever sends names of a megabyte must not fill the memory with them.
      const key = hash('sha256', name, 'base64')
      const time = now()
      const times = (failures.get(key) ?? []).filter((failedAt) => failedAt > time - windowS)
      const [first] = times
      if (first !== undefined && times.length >= max) {
        const retryAfterMs = (first + windowS - time) * 1000
        throw new ActionError('rate_limited', `too many failures; try again in ${retryAfterMs} ms`, { retryAfterMs })
      }
      keep(key, [...times, time])
      try {
        const found = await check()
        if (found !== undefined) keep(key, [])
        return found
      } catch (err) {
        // Nothing was learned from it.
        const since = failures.get(key) ?? []
        keep(key, since.toSpliced(Math.max(0, since.indexOf(time)), 1))
        throw err
      }
    }
  }
}

import { hash } from 'node:crypto'
import { ActionError } from './errors.ts'

/** How often secrets may be guessed: failures are counted per address, and per name, whether the name exists or not. */
export interface Guesses {
  /**
   * Runs the check of a secret. It counts as a failure while it runs and when it gives undefined, so that many at once
   * are no more guesses than one after the other; anything else it gives is no failure.
   * Throws `ActionError('rate_limited')` with the time to wait, and then nothing is checked.
   */
  readonly guard: <T>(guess: Guess, check: () => Promise<T | undefined>) => Promise<T | undefined>
}

export interface Guess {
  readonly address: string
  /** Whose secret it is said to be; absent where nobody is named. */
  readonly name?: string
}

/** Read whenever they are needed: the first two may change. */
export interface GuessesOptions {
  /** Failures of one address within the window. */
  readonly perAddress: number
  /** Failures for one name within the window, from all addresses together where nobody with that name has come in. */
  readonly perName: number
  readonly windowMs: number
  /** Milliseconds that only ever grow. */
  readonly ticks: () => number
}

/** What is counted and remembered of either kind; a further one takes the place of the one that was last touched longest ago. */
const MAX_KEYS = 20_000

/**
 * A stranger who guesses at a name must not keep its owner out: addresses from which the name has come in before have a
 * count of their own, and only all others share one.
 */
export function createGuesses(options: GuessesOptions): Guesses {
  const { windowMs, ticks } = options
  /** When each failed, ascending; the key that failed last is the last. */
  const failures = new Map<string, number[]>()
  /** Names with the addresses from which they came in. */
  const familiar = new Set<string>()

  function keep(key: string, times: number[]): void {
    failures.delete(key)
    if (times.length === 0) return
    failures.set(key, times)
    const [oldest] = failures.keys()
    if (failures.size > MAX_KEYS && oldest !== undefined) failures.delete(oldest)
  }

  function recall(key: string, time: number): number[] {
    return (failures.get(key) ?? []).filter((failedAt) => failedAt > time - windowMs)
  }

  /** How long it takes until there is room for one more; 0 when there is. */
  function waitFor({ key, max }: Count, time: number): number {
    const times = recall(key, time)
    const blocking = times.at(-max)
    return blocking === undefined ? 0 : Math.ceil(blocking + windowMs - time)
  }

  function countsOf({ address, name }: Guess): Count[] {
    const ofAddress = { key: toKey('address', address), max: options.perAddress }
    if (name === undefined) return [ofAddress]
    const own = toKey('own', name, address)
    return [ofAddress, { key: familiar.has(own) ? own : toKey('name', name), max: options.perName }]
  }

  function takeBack({ key }: Count, time: number): void {
    const times = failures.get(key) ?? []
    const index = times.indexOf(time)
    if (index >= 0) keep(key, times.toSpliced(index, 1))
  }

  function remember({ address, name }: Guess): void {
    if (name === undefined) return
    const own = toKey('own', name, address)
    familiar.delete(own)
    familiar.add(own)
    const [oldest] = familiar
    if (familiar.size > MAX_KEYS && oldest !== undefined) familiar.delete(oldest)
  }

  return {
    async guard(guess, check) {
      const time = ticks()
      const counts = countsOf(guess)
      const retryAfterMs = Math.max(...counts.map((count) => waitFor(count, time)))
      if (retryAfterMs > 0)
        throw new ActionError('rate_limited', `too many failures; try again in ${retryAfterMs} ms`, { retryAfterMs })
      for (const { key } of counts) keep(key, [...recall(key, time), time])
      let isFailure = false
      try {
        const found = await check()
        isFailure = found === undefined
        if (!isFailure) remember(guess)
        return found
      } finally {
        // A check that broke has taught nobody anything either.
        if (!isFailure) for (const count of counts) takeBack(count, time)
      }
    }
  }
}

interface Count {
  readonly key: string
  readonly max: number
}

/** Whoever sends names of a megabyte must not fill the memory with them. */
function toKey(kind: 'address' | 'name' | 'own', ...parts: readonly string[]): string {
  return hash('sha256', JSON.stringify([kind, ...parts]), 'base64')
}

import type { Clock } from './clock.ts'
import { ActionError } from './errors.ts'

/** So many at once, then so many per second. */
export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

/** A rate that is looked up whenever it is needed, for one that may change. */
export function liveRate(read: () => readonly [perSecond: number, burst: number]): Rate {
  return {
    get perSecond() {
      return read()[0]
    },
    get burst() {
      return read()[1]
    }
  }
}

/** How often somebody may do something (IM-Suite 2.12): token buckets in memory, one per account or chat. */
export interface Allowances<Name extends string> {
  /** Throws `rate_limited` with the time to wait. */
  readonly take: (name: Name, key: number | string) => void
  /** Buckets that are kept now. */
  readonly size: () => number
}

/** Buckets that are kept before those that are full again are dropped. */
const KEEP = 10_000

export function createAllowances<Name extends string>(
  rates: { readonly [N in Name]: Rate },
  clock: Pick<Clock, 'ticks'>
): Allowances<Name> {
  const buckets = new Map<string, { left: number; at: number; rate: Rate }>()

  let sweepAt = KEEP

  function sweep(now: number): void {
    for (const [key, { left, at, rate }] of buckets)
      if (left + ((now - at) / 1000) * rate.perSecond >= rate.burst) buckets.delete(key)
  }

  return {
    size: () => buckets.size,
    take(name, key) {
      const now = clock.ticks()
      const rate = rates[name]
      const id = `${name}:${key}`
      const bucket = buckets.get(id) ?? { left: rate.burst, at: now, rate }
      bucket.left = Math.min(rate.burst, bucket.left + ((now - bucket.at) / 1000) * rate.perSecond)
      bucket.at = now
      if (buckets.size >= sweepAt && !buckets.has(id)) {
        sweep(now)
        // When most are in use, looking at all of them for each new one would cost more than they do.
        sweepAt = Math.max(KEEP, buckets.size * 2)
      }
      buckets.set(id, bucket)
      if (bucket.left < 1) {
        const retryAfterMs = Math.ceil(((1 - bucket.left) / rate.perSecond) * 1000)
        throw new ActionError('rate_limited', `too often; try again in ${retryAfterMs} ms`, { retryAfterMs })
      }
      bucket.left--
    }
  }
}

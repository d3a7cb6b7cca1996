const MINUTE_S = 60
const HOUR_S = 60 * MINUTE_S

/** Pauses between the tries of one event, in seconds; who has not taken it after the last one is not told any more. */
export const PAUSES_S = [
  5,
  5 * MINUTE_S,
  30 * MINUTE_S,
  2 * HOUR_S,
  5 * HOUR_S,
  10 * HOUR_S,
  14 * HOUR_S,
  20 * HOUR_S,
  24 * HOUR_S
] as const

/** Either way, as a share: what failed together should not come back together. */
const JITTER = 0.2

/** A receiver that wants to be left alone for longer is asked once a day all the same. */
const MAX_RETRY_AFTER_S = 24 * HOUR_S

/** Seconds from try number `number`, which failed, to the next one; undefined when that was the last. */
export function pauseAfter(number: number, random: () => number): number | undefined {
  const pause = PAUSES_S[number - 1]
  return pause && Math.round(pause * (1 - JITTER + 2 * JITTER * random()))
}

/** What the header `Retry-After` asks for, in seconds from now: it holds seconds or a date. 0 when it says nothing that can be read. */
export function parseRetryAfter(value: string | undefined, nowS: number): number {
  if (value === undefined) return 0
  const text = value.trim()
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : Math.ceil(Date.parse(text) / 1000 - nowS)
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), MAX_RETRY_AFTER_S) : 0
}

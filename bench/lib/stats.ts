import { createHistogram } from 'node:perf_hooks'

/** What several rounds gave. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
  return { median: round(median), min: round(sorted[0] ?? median), max: round(sorted.at(-1) ?? median) }
}

/** Four significant digits: more would claim what a few seconds cannot know. */
export function round(value: number): number {
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4))
}

export interface Latencies {
  /** `count` things that took equally long. */
  readonly record: (ms: number, count?: number) => void
  readonly read: () => { p50Ms: number; p99Ms: number; maxMs: number }
}

export function createLatencies(): Latencies {
  const histogram = createHistogram()
  return {
    record(ms, count = 1) {
      const us = Math.max(1, Math.round(ms * 1000))
      for (let times = 0; times < count; times++) histogram.record(us)
    },
    read: () => ({
      p50Ms: histogram.percentile(50) / 1000,
      p99Ms: histogram.percentile(99) / 1000,
      maxMs: histogram.max / 1000
    })
  }
}

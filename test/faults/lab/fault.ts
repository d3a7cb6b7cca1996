import { appendFileSync } from 'node:fs'
import t, { type Test } from 'tap'

/** One promise, tried: `npm test` runs it small, `npm run test:faults` in full and prints its figures beside their marks. */
export interface Fault {
  /** Its place in the list of promises, such as `16`. */
  readonly number: number
  readonly title: string
  /** What has to come out of the full run, in words. */
  readonly mark: string
  /** How long the full run may take; two minutes when absent. */
  readonly fullMs?: number
  /** Why it cannot be run here, if so: it is skipped by name. */
  readonly skip?: string | false
  /** Only in the full run: even a small one would take too long. */
  readonly isLong?: boolean
  readonly run: (bench: FaultBench) => Promise<void>
}

export interface FaultBench {
  readonly t: Test
  readonly isFull: boolean
  /** The size of something, by the kind of run. */
  readonly size: (short: number, full: number) => number
  /** Notes a figure and holds it against its mark. */
  readonly figure: (name: string, value: number, mark: FigureMark) => void
}

export interface FigureMark {
  readonly is?: number
  readonly atMost?: number
  readonly atLeast?: number
  /** Such as `ms`, `MiB`. */
  readonly unit?: string
  /** It depends on how fast and how busy the machine is: the small run notes it and does not judge. */
  readonly isTimed?: boolean
  /** Why it is known to be missed; the full run reports the miss with it. */
  readonly missedBecause?: string
}

/** What the full run writes down, one line per figure. */
export interface Reading {
  readonly number: number
  readonly title: string
  readonly mark: string
  readonly name: string
  readonly value: number
  readonly wanted: string
  readonly isMet: boolean
  readonly unit: string
  readonly reason: string
}

/** Named by `npm run test:faults`: the file that takes the readings. */
const { LACTEA_FAULTS: readings } = process.env

/** Runs a fault as a test of its own; called once per file. */
export function fault(spec: Fault): void {
  const isFull = readings !== undefined
  const { number, title, mark, fullMs = 120_000, isLong = false } = spec
  const skip = spec.skip || (isLong && !isFull && 'only in npm run test:faults')
  if (isFull) t.setTimeout(fullMs + 60_000)
  void t.test(`fault ${number}: ${title}`, { ...(skip && { skip }), timeout: isFull ? fullMs : 110_000 }, async (t) => {
    await spec.run({ t, isFull, size: (short, full) => (isFull ? full : short), figure: note })

    function note(name: string, value: number, wanted: FigureMark): void {
      const { unit = '', isTimed = false, missedBecause = '' } = wanted
      const isMet = holds(value, wanted)
      const rounded = Math.round(value * 1000) / 1000
      const words = describe(wanted)
      t.comment(`${name}: ${rounded} ${unit} (${words})`)
      if (readings !== undefined) {
        const reading: Reading = {
          number,
          title,
          mark,
          name,
          value: rounded,
          wanted: words,
          isMet,
          unit,
          reason: missedBecause
        }
        appendFileSync(readings, `${JSON.stringify(reading)}\n`)
      }
      // A full run that misses its mark says so in the report, which fails; a small one that is slow says nothing.
      if (!isFull && !isTimed) t.ok(isMet, `${name} is ${rounded} ${unit}, wanted ${words}`)
    }
  })
}

function holds(value: number, { is, atMost, atLeast }: FigureMark): boolean {
  if (!Number.isFinite(value)) return false
  return (
    (is === undefined || value === is) &&
    (atMost === undefined || value <= atMost) &&
    (atLeast === undefined || value >= atLeast)
  )
}

function describe({ is, atMost, atLeast }: FigureMark): string {
  const parts = [
    is === undefined ? '' : `${is}`,
    atMost === undefined ? '' : `at most ${atMost}`,
    atLeast === undefined ? '' : `at least ${atLeast}`
  ]
  return parts.filter((part) => part !== '').join(', ')
}

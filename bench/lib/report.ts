import type { Spread } from './stats.ts'

export interface Judged {
  readonly says: string
  readonly figure: string
  readonly value: number
  readonly bound: number
  readonly isMet: boolean
}

export interface Machine {
  readonly node: string
  readonly system: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  /** The service has one core, the load another. */
  readonly isPinned: boolean
}

/** What `npm run bench` prints. */
export interface Run {
  readonly day: string
  readonly machine: Machine
  readonly rounds: number
  readonly seconds: number
  readonly results: readonly Result[]
}

export interface Result {
  readonly name: string
  readonly what: string
  readonly figure: string
  /** Names of further figures that are shown. */
  readonly more: readonly string[]
  readonly service?: Record<string, Spread>
  readonly bare?: Record<string, Spread>
  readonly naive?: Record<string, Spread>
  /** Service ÷ bare of the figure, round by round. */
  readonly ratio?: Spread
  /** The same of the CPU time per thing done. */
  readonly cpuRatio?: Spread
  /** Service ÷ naive of the figure, round by round. */
  readonly naiveRatio?: Spread
  /** Why the figures are hard to believe; absent when they are not. */
  readonly noise?: readonly string[]
  readonly goals: readonly Judged[]
  readonly error?: string
}

const HEAD = ['', 'figure', 'min – max', 'p50 ms', 'p99 ms', 'CPU µs', 'CPU share', 'loop p99 ms']

/** A table for people. */
export function report(results: readonly Result[]): string {
  const rows = [HEAD, ...results.flatMap(toRows)]
  const widths = HEAD.map((_, column) =>
    Math.max(...rows.map((row) => (row.length > 1 ? (row[column]?.length ?? 0) : 0)))
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) => pad(cell, widths[column] ?? 0, column))
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}

function toRows(result: Result): string[][] {
  const {
    name,
    what,
    figure,
    more,
    service,
    bare,
    naive,
    ratio,
    cpuRatio,
    naiveRatio,
    goals,
    noise = [],
    error
  } = result
  const rows = [[`${name}: ${what}`]]
  if (error !== undefined) rows.push([`  failed: ${error}`])
  if (service) rows.push(toRow(`  ${figure}`, figure, service))
  if (bare) rows.push(toRow('  bare limit', figure, bare))
  if (naive) rows.push(toRow('  naive peer', figure, naive))
  if (ratio) rows.push(['  ratio', ratio.median.toFixed(2), range(ratio, 2), '', '', cpuRatio?.median.toFixed(2) ?? ''])
  if (naiveRatio) rows.push(['  to naive', naiveRatio.median.toFixed(2), range(naiveRatio, 2)])
  if (service && more.length > 0) rows.push([`  besides     ${listed(more, service)}`])
  if (bare && more.length > 0) rows.push([`  bare limit  ${listed(more, bare)}`])
  for (const { says, value, isMet } of goals) rows.push([`  ${isMet ? 'met   ' : 'MISSED'} ${says}: ${value}`])
  for (const words of noise) rows.push([`  NOISY  ${words}`])
  return rows
}

/** Every goal of the run beside its figure, those that were missed first. */
export function reportGoals(results: readonly Result[]): string {
  const rows = results.flatMap(({ name, goals, noise }) =>
    goals.map(({ says, value, isMet }) => ({ isMet, words: `${name}: ${says}: ${value}${noise ? ' (noisy)' : ''}` }))
  )
  const missed = rows.filter(({ isMet }) => !isMet)
  const noisy = results.filter(({ noise }) => noise).length
  return [
    `${rows.length - missed.length} of ${rows.length} goals met`,
    ...missed.map(({ words }) => `  MISSED ${words}`),
    ...rows.filter(({ isMet }) => isMet).map(({ words }) => `  met    ${words}`),
    ...(noisy > 0
      ? [`${noisy} of ${results.length} benches were too noisy to be believed; run them again with --only`]
      : [])
  ].join('\n')
}

function toRow(label: string, figure: string, figures: Record<string, Spread>): string[] {
  const show = (name: string, digits: number): string => figures[name]?.median.toFixed(digits) ?? ''
  const main = figures[figure]
  const digits = main && Math.abs(main.median) < 100 ? 2 : 0
  return [
    label,
    show(figure, digits),
    main ? range(main, digits) : '',
    show('p50Ms', 2),
    show('p99Ms', 2),
    show('cpuUs', 1),
    show('cpuShare', 2),
    show('loopP99Ms', 1)
  ]
}

/** Those of the figures that were measured, in words. */
function listed(names: readonly string[], figures: Record<string, Spread>): string {
  return names.flatMap((name) => (figures[name] ? [`${name} ${figures[name].median}`] : [])).join(', ')
}

function range({ min, max }: Spread, digits: number): string {
  return `${min.toFixed(digits)} – ${max.toFixed(digits)}`
}

/** The first column is words, the others are numbers. */
function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width)
}

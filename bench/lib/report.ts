import type { Spread } from './stats.ts'

export interface Result {
  readonly name: string
  readonly what: string
  readonly figure: string
  /** Names of further figures that are shown. */
  readonly more: readonly string[]
  readonly service?: Record<string, Spread>
  readonly bare?: Record<string, Spread>
  /** Service ÷ bare of the figure, round by round. */
  readonly ratio?: Spread
  /** The same of the CPU time per thing done. */
  readonly cpuRatio?: Spread
  readonly goals: readonly { says: string; figure: string; value: number; isMet: boolean }[]
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

function toRows({ name, what, figure, more, service, bare, ratio, cpuRatio, goals, error }: Result): string[][] {
  const rows = [[`${name}: ${what}`]]
  if (error !== undefined) rows.push([`  failed: ${error}`])
  if (service) rows.push(toRow(`  ${figure}`, figure, service))
  if (bare) rows.push(toRow('  bare limit', figure, bare))
  if (ratio) rows.push(['  ratio', ratio.median.toFixed(2), range(ratio, 2), '', '', cpuRatio?.median.toFixed(2) ?? ''])
  if (service && more.length > 0) rows.push([`  besides     ${listed(more, service)}`])
  if (bare && more.length > 0) rows.push([`  bare limit  ${listed(more, bare)}`])
  for (const { says, isMet } of goals) rows.push([`  ${isMet ? 'met   ' : 'MISSED'} ${says}`])
  return rows
}

function toRow(label: string, figure: string, figures: Record<string, Spread>): string[] {
  const show = (name: string, digits: number): string => figures[name]?.median.toFixed(digits) ?? ''
  const main = figures[figure]
  return [
    label,
    show(figure, 0),
    main ? range(main, 0) : '',
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

import type { Bench } from './bench.ts'
import type { Judged, Result, Run } from './report.ts'
import type { Spread } from './stats.ts'

/** The last run as Markdown, for docs/performance.md. `benches` say why goals are missed where they are. */
export function toMarkdown({ day, machine, rounds, seconds, results }: Run, benches: readonly Bench[]): string {
  const { cpu, cores, memoryGiB, system, node, isPinned } = machine
  const rated = results.filter(({ figure }) => figure === 'perSecond')
  const growing = results.filter(({ figure }) => figure === 'growth')
  const others = results.filter((result) => !rated.includes(result) && !growing.includes(result))
  return [
    `On ${day}: ${cpu}, ${cores} cores${isPinned ? ', one for the gateway and one for the load' : ', nothing pinned'}, ${memoryGiB} GiB; ${system}; Node.js ${node}; ${rounds} rounds of ${seconds} s.`,
    ...goalsOf(results, benches),
    '### Rates',
    table(
      ['', 'per second', 'CPU µs', 'p50 ms', 'p99 ms', 'loop p99 ms', 'RSS MiB'],
      rated.flatMap((result) => [
        row(`**\`${result.name}\`**`, result.service),
        ...(result.bare ? [row('bare limit', result.bare)] : []),
        ...(result.naive ? [row('naive peer', result.naive)] : []),
        ...ratiosOf(result)
      ])
    ),
    '### Memory and start',
    table(
      ['', 'figure', 'lowest – highest'],
      others.flatMap(({ name, figure, more, service }) =>
        [figure, ...more].flatMap((each) => {
          const value = service?.[each]
          return value ? [[`\`${name}\` ${each}`, show(value.median), range(value)]] : []
        })
      )
    ),
    '### Growth',
    'Microseconds of CPU for one of what the bench counts; `startMs` is milliseconds from nothing to `/health`.',
    ...growing.map(growthOf),
    ...noiseOf(results)
  ].join('\n\n')
}

/** Puts the text between the marks of the page. */
export function replaceFigures(page: string, text: string): string {
  const [before, rest] = page.split(BEGIN)
  const [, after] = (rest ?? '').split(END)
  if (before === undefined || after === undefined) throw new Error(`the page lacks ${BEGIN} and ${END}`)
  return `${before}${BEGIN}\n\n${text}\n\n${END}${after}`
}

const BEGIN = '<!-- Written by `npm run bench:docs`; not meant to be edited. -->'
const END = '<!-- The end of what is written. -->'

function goalsOf(results: readonly Result[], benches: readonly Bench[]): string[] {
  const judged = results.flatMap(({ name, goals }) => goals.map((goal) => ({ name, goal })))
  const missed = judged.filter(({ goal }) => !goal.isMet)
  const reasonOf = (name: string, says: string): string =>
    benches.find((bench) => bench.name === name)?.goals.find((goal) => goal.says === says)?.inTheWay ??
    'Nobody has looked into it.'
  return [
    '### Goals',
    `${judged.length - missed.length} of ${judged.length} are met.`,
    table(
      ['', 'goal', 'figure', ''],
      judged.map(({ name, goal }) => [`\`${name}\``, goal.says, valueOf(goal), goal.isMet ? 'met' : '**missed**'])
    ),
    ...missed.map(
      ({ name, goal }) =>
        `**\`${name}\`, ${goal.says}: ${valueOf(goal)}, missed by ${Math.ceil(Math.abs(goal.value / goal.bound - 1) * 100)} %.** ${reasonOf(name, goal.says)}`
    )
  ]
}

const valueOf = ({ figure, value }: Judged): string =>
  /ratio|growth/i.test(figure) ? (value ?? Number.NaN).toFixed(2) : show(value)

function row(label: string, figures: Record<string, Spread> | undefined): string[] {
  const cell = (name: string): string => (figures?.[name] ? show(figures[name].median) : '')
  const rate = figures?.['perSecond']
  return [
    label,
    rate ? `${show(rate.median)} (${range(rate)})` : 'failed',
    ...['cpuUs', 'p50Ms', 'p99Ms', 'loopP99Ms', 'rssMiB'].map(cell)
  ]
}

function ratiosOf({ ratio, cpuRatio, naiveRatio }: Result): string[][] {
  const words = (spread: Spread): string => `× ${spread.median.toFixed(2)} (${range(spread)})`
  return [
    ...(ratio ? [['to the bare limit', words(ratio), cpuRatio ? `× ${cpuRatio.median.toFixed(2)}` : '']] : []),
    ...(naiveRatio ? [['to the naive peer', words(naiveRatio), '']] : [])
  ].map((cells) => [...cells, '', '', '', ''])
}

/** The figures are named `cost at size`. */
function growthOf({ name, what, more, service }: Result): string {
  const named = more.map((label) => label.split(' at ') as [string, string])
  const costs = [...new Set(named.map(([cost]) => cost))]
  const sizes = [...new Set(named.map(([, size]) => size))]
  const cell = (cost: string, size: string): string => {
    const value = service?.[`${cost} at ${size}`]
    return value ? `${show(value.median)} (${range(value)})` : ''
  }
  return `\`${name}\`: ${what}.\n\n${table(
    ['', ...sizes],
    costs.map((cost) => [cost, ...sizes.map((size) => cell(cost, size))])
  )}`
}

function noiseOf(results: readonly Result[]): string[] {
  const noisy = results.flatMap(({ name, noise = [] }) => noise.map((words) => `- \`${name}\`: ${words}`))
  return noisy.length > 0 ? ['### Noise', noisy.join('\n')] : []
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n')
}

const range = ({ min, max }: Spread): string => `${show(min)} – ${show(max)}`

/** Numbers that were not measured are `null` in JSON. */
function show(value: number | null): string {
  if (value === null) return '–'
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
}

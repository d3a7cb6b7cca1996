import type { Bench, Figures, Goal, Subjects } from './bench.ts'
import type { Judged, Result } from './report.ts'
import { spread, type Spread } from './stats.ts'

export interface RunOptions {
  readonly rounds: number
  readonly seconds: number
}

/** Until then code is still compiled, by threads that want the same core. */
const WARM_UP_S = 3
/** What other programs, or other machines, may take of the core that is measured on. */
const MAX_TAKEN = 0.05
/** How far rounds of what never changes, the bare limit, may lie apart: the highest ÷ the lowest. */
const MAX_APART = 1.3

/** Measures the service, the bare limit and the naive peer in turns. What fails is told in the result. */
export async function runBench(bench: Bench, options: RunOptions): Promise<Result> {
  const { name, what, figure, more = [] } = bench
  const told = { name, what, figure, more }
  try {
    return { ...told, ...(await measureRounds(bench, options)) }
  } catch (err) {
    return { ...told, goals: [], error: String((err as Error).stack ?? err) }
  }
}

async function measureRounds(bench: Bench, { rounds, seconds }: RunOptions) {
  const subjects = await bench.prepare()
  try {
    if (!bench.isCold) await measureAll(subjects, WARM_UP_S)
    const measured: Measured[] = []
    for (let round = 0; round < rounds; round++) measured.push(await measureAll(subjects, seconds))
    return summarize(bench, measured)
  } finally {
    await subjects.close()
  }
}

/** One round. */
interface Measured {
  readonly service: Figures
  readonly bare: Figures | undefined
  readonly naive: Figures | undefined
}

async function measureAll({ service, bare, naive }: Subjects, seconds: number): Promise<Measured> {
  return { service: await service(seconds), bare: await bare?.(seconds), naive: await naive?.(seconds) }
}

function summarize({ figure, goals }: Bench, rounds: readonly Measured[]) {
  const service = spreads(rounds.map((round) => round.service))
  const bare = spreads(rounds.map((round) => round.bare).filter((figures) => figures !== undefined))
  const naive = spreads(rounds.map((round) => round.naive).filter((figures) => figures !== undefined))
  const ratioTo = (other: 'bare' | 'naive', name: string): Spread =>
    spread(rounds.map((round) => (round.service[name] ?? Number.NaN) / (round[other]?.[name] ?? Number.NaN)))
  const ratios = {
    ...(bare && { ratio: ratioTo('bare', figure), cpuRatio: ratioTo('bare', 'cpuUs') }),
    ...(naive && { naiveRatio: ratioTo('naive', figure) })
  }
  const noise = listNoise({ service, bare }, figure)
  return {
    service: service ?? {},
    ...(bare && { bare }),
    ...(naive && { naive }),
    ...ratios,
    goals: goals.map((goal) => judge(goal, { ...service, ...ratios })),
    ...(noise.length > 0 && { noise })
  }
}

/** Undefined when nothing was measured. */
function spreads(rounds: readonly Figures[]): Record<string, Spread> | undefined {
  const [first] = rounds
  if (!first) return undefined
  const names = Object.keys(first)
  return Object.fromEntries(names.map((name) => [name, spread(rounds.map((figures) => figures[name] ?? Number.NaN))]))
}

/** What makes these figures hard to believe, in words. */
function listNoise(
  {
    service,
    bare
  }: { readonly service?: Record<string, Spread> | undefined; readonly bare?: Record<string, Spread> | undefined },
  figure: string
): string[] {
  const percent = (share: number): string => `${Math.round(share * 100)} %`
  const told: string[] = []
  for (const [name, words] of Object.entries(TAKEN)) {
    const share = Math.max(service?.[name]?.median ?? 0, bare?.[name]?.median ?? 0)
    if (share > MAX_TAKEN) told.push(`${percent(share)} of the core went to ${words}`)
  }
  const { min = 1, max = 1 } = bare?.[figure] ?? {}
  if (max / min > MAX_APART) told.push(`the bare limit itself came out between ${min} and ${max}`)
  return told
}

const TAKEN = { othersShare: 'other programs', stolenShare: 'other machines' }

function judge(goal: Goal, figures: Record<string, Spread>): Judged {
  const { figure, atLeast = -Infinity, atMost = Infinity, inEveryRound = false, says } = goal
  const { median = Number.NaN, min = median, max = median } = figures[figure] ?? {}
  const worst = goal.atMost === undefined ? min : max
  const value = inEveryRound ? worst : median
  const bound = goal.atMost ?? goal.atLeast ?? Number.NaN
  return { says, figure, value, bound, isMet: value >= atLeast && value <= atMost }
}

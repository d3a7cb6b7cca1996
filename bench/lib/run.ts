import type { Bench, Figures, Goal, Subjects } from './bench.ts'
import type { Result } from './report.ts'
import { spread, type Spread } from './stats.ts'

export interface RunOptions {
  readonly rounds: number
  readonly seconds: number
}

/** Measures the service and the bare limit in turns. What fails is told in the result. */
export async function runBench(bench: Bench, options: RunOptions): Promise<Result> {
  const { name, what, figure, more = [] } = bench
  try {
    return { name, what, figure, more, ...(await measureRounds(bench, options)) }
  } catch (err) {
    return { name, what, figure, more, goals: [], error: String((err as Error).stack ?? err) }
  }
}

async function measureRounds(bench: Bench, { rounds, seconds }: RunOptions) {
  const subjects = await bench.prepare()
  try {
    if (!bench.isCold) await warmUp(subjects, Math.min(1, seconds))
    const service: Figures[] = []
    const bare: Figures[] = []
    for (let round = 0; round < rounds; round++) {
      service.push(await subjects.service(seconds))
      if (subjects.bare) bare.push(await subjects.bare(seconds))
    }
    return summarize(bench, service, bare)
  } finally {
    await subjects.close()
  }
}

async function warmUp({ service, bare }: Subjects, seconds: number): Promise<void> {
  await service(seconds)
  await bare?.(seconds)
}

function summarize({ figure, goals }: Bench, service: readonly Figures[], bare: readonly Figures[]) {
  const ours = spreads(service)
  if (bare.length === 0) return { service: ours, goals: goals.map((goal) => judge(goal, ours)) }
  const ratioOf = (name: string): Spread =>
    spread(service.map((each, round) => (each[name] ?? 0) / (bare[round]?.[name] ?? 0)))
  const ratio = ratioOf(figure)
  return {
    service: ours,
    bare: spreads(bare),
    ratio,
    cpuRatio: ratioOf('cpuUs'),
    goals: goals.map((goal) => judge(goal, { ...ours, ratio }))
  }
}

function spreads(rounds: readonly Figures[]): Record<string, Spread> {
  const names = Object.keys(rounds[0] ?? {})
  return Object.fromEntries(names.map((name) => [name, spread(rounds.map((figures) => figures[name] ?? Number.NaN))]))
}

function judge(goal: Goal, figures: Record<string, Spread>) {
  const { figure, atLeast = -Infinity, atMost = Infinity, inEveryRound = false, says } = goal
  const { median = Number.NaN, min = median, max = median } = figures[figure] ?? {}
  const worst = goal.atMost === undefined ? min : max
  const value = inEveryRound ? worst : median
  return { says, figure, value, isMet: value >= atLeast && value <= atMost }
}

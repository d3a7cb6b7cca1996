import { cpus, release, totalmem, type } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { listBenches } from './all.ts'
import { getCores } from './lib/cores.ts'
import { report, reportGoals, type Result, type Run } from './lib/report.ts'
import { runBench } from './lib/run.ts'

// Figures as JSON on standard output, for people on standard error. See docs/performance.md.

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    people: { type: 'string', default: '2000' },
    profile: { type: 'string' }
  }
})
const rounds = toPositive('rounds', values.rounds)
const seconds = toPositive('seconds', values.seconds)
const { only, profile } = values
// Every measured process inherits it and writes profiles of what was measured (lib/probe.ts).
if (profile !== undefined) process.env['BENCH_PROFILE'] = resolve(profile)

const benches = listBenches({ people: toPositive('people', values.people) })
const cores = getCores()

const chosen = benches.filter(({ name }) => only.length === 0 || only.some((start) => name.startsWith(start)))
if (chosen.length === 0) {
  process.stderr.write(`there is no bench "${only.join('", "')}": ${benches.map(({ name }) => name).join(', ')}\n`)
  process.exit(2)
}
if (!cores.isPinned) process.stderr.write('without taskset or a second core the figures say little\n')

const results: Result[] = []
for (const bench of chosen) {
  process.stderr.write(`${bench.name} …\n`)
  results.push(await runBench(bench, { rounds, seconds }))
}

process.stderr.write(`\n${report(results)}\n\n${reportGoals(results)}\n`)
const machine = {
  node: process.version,
  system: `${type()} ${release()}`,
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  isPinned: cores.isPinned
}
const run: Run = { day: new Date().toISOString().slice(0, 10), machine, rounds, seconds, results }
const code = results.some(({ error }) => error !== undefined) ? 1 : 0
process.stdout.write(`${JSON.stringify(run, undefined, 2)}\n`, () => process.exit(code))

function toPositive(name: string, text: string): number {
  const value = Number(text)
  if (value > 0) return value
  process.stderr.write(`--${name} must be a number above 0, got ${text}\n`)
  return process.exit(2)
}

import { cpus } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { durableSend } from './durable-send.ts'
import { fanOutBenches } from './fan-out.ts'
import { growthBenches } from './growth.ts'
import { httpBenches } from './http.ts'
import { cores } from './lib/child.ts'
import { report, reportGoals, type Result } from './lib/report.ts'
import { runBench } from './lib/run.ts'
import { maimBenches } from './maim.ts'
import { memoryBenches } from './memory.ts'
import { peopleBenches } from './people.ts'
import { startup } from './startup.ts'
import { webhooks } from './webhooks.ts'
import { wsCallBenches } from './ws-calls.ts'

// Figures as JSON on standard output, for people on standard error. See docs/benchmarks.md.

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

const benches = [
  ...httpBenches,
  ...wsCallBenches,
  ...fanOutBenches,
  ...peopleBenches(toPositive('people', values.people)),
  ...maimBenches,
  durableSend,
  webhooks,
  ...memoryBenches,
  startup,
  ...growthBenches
]

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
const machine = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length, isPinned: cores.isPinned }
const code = results.some(({ error }) => error !== undefined) ? 1 : 0
process.stdout.write(`${JSON.stringify({ machine, rounds, seconds, results }, undefined, 2)}\n`, () =>
  process.exit(code)
)

function toPositive(name: string, text: string): number {
  const value = Number(text)
  if (value > 0) return value
  process.stderr.write(`--${name} must be a number above 0, got ${text}\n`)
  return process.exit(2)
}

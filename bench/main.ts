import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpus, release, totalmem, type } from 'node:os'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { listBenches } from './all.ts'
import { getCores } from './lib/cores.ts'
import type { Bench } from './lib/bench.ts'
import { report, reportGoals, type Run } from './lib/report.ts'
import { runBench } from './lib/run.ts'

// Figures as JSON on standard output, for people on standard error. See docs/performance.md.

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    /** The one of this name, and no table: how a run of several asks for each of them. */
    exactly: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    people: { type: 'string', default: '2000' },
    profile: { type: 'string' }
  }
})
const rounds = toPositive('rounds', values.rounds)
const seconds = toPositive('seconds', values.seconds)
const { only, exactly, profile } = values
// Every measured process inherits it and writes profiles of what was measured (lib/probe.ts).
if (profile !== undefined) process.env['BENCH_PROFILE'] = resolve(profile)

const benches = listBenches({ people: toPositive('people', values.people) })
const chosen = benches.filter(({ name }) =>
  exactly === undefined ? only.length === 0 || only.some((start) => name.startsWith(start)) : name === exactly
)
if (chosen.length === 0) {
  process.stderr.write(`there is no bench "${only.join('", "')}": ${benches.map(({ name }) => name).join(', ')}\n`)
  process.exit(2)
}

const runs: Run[] = []
for (const bench of chosen) {
  process.stderr.write(exactly === undefined ? `${bench.name} …\n` : '')
  runs.push(exactly === undefined ? await runApart(bench.name) : await runHere(bench))
}
const results = runs.flatMap((run) => run.results)
if (exactly === undefined) {
  if (!runs[0]?.machine.isPinned) process.stderr.write('without taskset or a second core the figures say little\n')
  process.stderr.write(`\n${report(results)}\n\n${reportGoals(results)}\n`)
}
const code = results.some(({ error }) => error !== undefined) ? 1 : 0
process.stdout.write(`${JSON.stringify({ ...runs[0], results }, undefined, 2)}\n`, () => process.exit(code))

async function runHere(bench: Bench): Promise<Run> {
  const { isPinned } = getCores()
  const machine = {
    node: process.version,
    system: `${type()} ${release()}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    isPinned
  }
  const result = await runBench(bench, { rounds, seconds })
  return { day: new Date().toISOString().slice(0, 10), machine, rounds, seconds, results: [result] }
}

/** In a process of its own: a load generator that held ten thousand sockets before is a slower one. */
async function runApart(name: string): Promise<Run> {
  const options = Object.entries({ ...values, only: undefined, exactly: name }).flatMap(([key, value]) =>
    value === undefined ? [] : [`--${key}`, value]
  )
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...options], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const kill = (): void => void child.kill()
  process.once('exit', kill)
  const [said] = await Promise.all([text(child.stdout), once(child, 'close')])
  process.off('exit', kill)
  return JSON.parse(said) as Run
}

function toPositive(name: string, text: string): number {
  const value = Number(text)
  if (value > 0) return value
  process.stderr.write(`--${name} must be a number above 0, got ${text}\n`)
  return process.exit(2)
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Reading } from './fault.ts'
import { toLine, toReport, verdictOf, type Outcome, type Run } from './report.ts'

// Every fault in full, one after the other: `npm run test:faults`, or some of them: `npm run test:faults -- --only 13,16`.
// Figures go to docs/reliability-report.md; those of faults that were not run now stay as they were.

const FAULTS = resolve(import.meta.dirname, '..')
const KEPT = join(import.meta.dirname, 'last-run.json')
const REPORT = resolve(import.meta.dirname, '../../../docs/reliability-report.md')

const { values } = parseArgs({ options: { only: { type: 'string' }, verbose: { type: 'boolean', default: false } } })
const only = values.only?.split(',').map(Number)

// A name begins with the number of the fault: `16-stalled-reader.test.ts`.
const files = globSync(join(FAULTS, '[0-9][0-9]-*.test.ts')).toSorted()
const numberOf = (file: string): number => Number(basename(file).slice(0, 2))
const chosen = files.filter((file) => !only || only.includes(numberOf(file)))
const unknown = only?.filter((number) => !files.some((file) => numberOf(file) === number)) ?? []
if (unknown.length > 0 || chosen.length === 0) {
  process.stderr.write(`there is no fault ${unknown.join(', ')}: ${files.map((file) => basename(file)).join(', ')}\n`)
  process.exit(2)
}

const before: Run = existsSync(KEPT) ? (JSON.parse(readFileSync(KEPT, 'utf8')) as Run) : { machine: '', outcomes: [] }
const dir = mkdtempSync(join(tmpdir(), 'lactea-faults-'))
const outcomes: Outcome[] = []
for (const file of chosen) {
  const outcome = await runOne(file)
  outcomes.push(outcome)
  process.stdout.write(`${toLine(outcome)}\n`)
}
rmSync(dir, { recursive: true })

const fresh = new Set(outcomes.map(({ number }) => number))
const known = new Set(files.map(numberOf))
const kept = before.outcomes.filter(({ number }) => known.has(number) && !fresh.has(number))
const run: Run = {
  machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
  outcomes: [...kept, ...outcomes].toSorted((a, b) => a.number - b.number)
}
writeFileSync(KEPT, `${JSON.stringify(run, undefined, 2)}\n`)
writeFileSync(REPORT, toReport(run))

const met = outcomes.filter((outcome) => verdictOf(outcome) === 'met').length
process.stdout.write(`\n${met} of ${outcomes.length} met\n`)
process.exit(met === outcomes.length ? 0 : 1)

async function runOne(file: string): Promise<Outcome> {
  const number = numberOf(file)
  const path = join(dir, `${number}.jsonl`)
  const startedAt = performance.now()
  // A test that is run by itself has a time-out of its own, which the fault sets.
  const env = { ...process.env, LACTEA_FAULTS: path, TAP_TIMEOUT: '0' }
  const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk
    if (values.verbose) process.stderr.write(chunk)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  const readings = existsSync(path)
    ? readFileSync(path, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Reading)
    : []
  const [, skipped] = /^\s*ok \d+ - fault .* # SKIP ?(.*)$/m.exec(said) ?? []
  const [, titled] = /fault \d+: ([^#\n]*)/.exec(said) ?? []
  const failures = [...said.matchAll(/^ {4,}not ok \d+ - (.*)$/gm)].map(([, words = '']) => words)
  return {
    number,
    title: readings[0]?.title ?? (titled?.trim() || basename(file)),
    mark: readings[0]?.mark ?? '',
    readings,
    trouble: troubleOf(code, skipped, failures),
    day: new Date().toISOString().slice(0, 10),
    seconds
  }
}

function troubleOf(code: number | null, skipped: string | undefined, failures: readonly string[]): string {
  if (skipped !== undefined) return `not run here: ${skipped}`
  if (code === 0) return ''
  return failures.length > 0 ? `failed: ${failures.slice(0, 3).join('; ')}` : `ended with ${code}`
}

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { listBenches } from './all.ts'
import { replaceFigures, toMarkdown } from './lib/page.ts'
import type { Run } from './lib/report.ts'

// A program: writes the figures of a run into docs/performance.md.
//   npm run -s bench > bench.json && npm run bench:docs bench.json
// Further files count for the benches that are in them: those that were run again because they were noisy.

const PAGE = fileURLToPath(new URL('../docs/performance.md', import.meta.url))

const [first, ...further] = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')) as Run)
if (!first) {
  process.stderr.write('which file? npm run -s bench > bench.json && npm run bench:docs bench.json\n')
  process.exit(2)
}
const other = further.find(({ machine }) => machine.cpu !== first.machine.cpu || machine.node !== first.machine.node)
if (other) {
  process.stderr.write('these runs are of different machines, and say nothing together\n')
  process.exit(2)
}

const benches = listBenches({ people: 2000 })
const runs = [...further.toReversed(), first]
const results = benches.flatMap(({ name }) => {
  const found = runs.flatMap((run) => run.results).find((result) => result.name === name && result.error === undefined)
  if (!found) process.stderr.write(`no figures of ${name}\n`)
  return found ?? []
})
writeFileSync(PAGE, replaceFigures(readFileSync(PAGE, 'utf8'), toMarkdown({ ...first, results }, benches)))
if (results.length < benches.length) process.exit(1)

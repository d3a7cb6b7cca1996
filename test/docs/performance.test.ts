import t from 'tap'
import { listBenches } from '../../bench/all.ts'
import { replaceFigures, toMarkdown } from '../../bench/lib/page.ts'
import type { Result } from '../../bench/lib/report.ts'
import { readPage, tableBelow } from './markdown.ts'

const page = readPage('docs/performance.md')
const benches = listBenches({ people: 2000 })

t.test('docs/performance.md', async (t) => {
  t.test('says what each bench does, and of no others', async (t) => {
    const named = tableBelow(page, '## Benches').flatMap(([names = '']) => names.split(', '))
    t.strictSame(
      named.toSorted(),
      benches
        .map(({ name }) => name)
        .filter((name) => named.includes(name))
        .toSorted()
    )
    t.strictSame(
      benches.map(({ name }) => name).filter((name) => !named.includes(name)),
      []
    )
  })

  t.test('has a figure for each goal, as the benches have it now', async (t) => {
    const told = tableBelow(page, '### Goals').map(([name, says]) => `${name}: ${says}`)
    t.strictSame(
      told,
      benches.flatMap(({ name, goals }) => goals.map(({ says }) => `${name}: ${says}`))
    )
  })
})

t.test('the figures of a run as they stand there', async (t) => {
  const spread = (median: number) => ({ median, min: median - 1, max: median + 1 })
  const judged = { says: '≥ 0.75 × node:http', figure: 'ratio', bound: 0.75 }
  const http: Result = {
    name: 'http-login',
    what: 'calls',
    figure: 'perSecond',
    more: [],
    service: { perSecond: spread(3000), cpuUs: spread(20.26) },
    bare: { perSecond: spread(4000), cpuUs: spread(15) },
    ratio: { median: 0.7, min: 0.69, max: 0.71 },
    goals: [{ ...judged, value: 0.7, isMet: false }],
    noise: ['7 % of the core went to other programs']
  }
  const growing: Result = {
    name: 'grow-members',
    what: 'CPU of a message',
    figure: 'growth',
    more: ['cpuUs at 20', 'cpuUs at 500'],
    service: { 'cpuUs at 20': spread(400), 'cpuUs at 500': spread(410) },
    goals: [{ says: 'flat', figure: 'cpuUsGrowth', bound: 1.25, value: 1.025, isMet: true }]
  }
  const machine = { node: 'v24', system: 'Linux 6', cpu: 'One', cores: 2, memoryGiB: 8, isPinned: true }
  const run = { day: '2026-11-29', machine, rounds: 3, seconds: 2, results: [http, growing] }
  const text = toMarkdown(run, [
    { name: 'http-login', what: 'calls', figure: 'perSecond', goals: [{ ...judged, inTheWay: 'Physics.' }], prepare }
  ])
  for (const words of [
    'One, 2 cores, one for the gateway and one for the load, 8 GiB; Linux 6; Node.js v24; 3 rounds of 2 s.',
    '1 of 2 are met.',
    '| `http-login` | ≥ 0.75 × node:http | 0.70 | **missed** |',
    '**`http-login`, ≥ 0.75 × node:http: 0.70, missed by 7 %.** Physics.',
    '| **`http-login`** | 3,000 (2,999 – 3,001) | 20.3 |',
    '| to the bare limit | × 0.70 (0.69 – 0.71) |',
    '| cpuUs | 400 (399 – 401) | 410 (409 – 411) |',
    '- `http-login`: 7 % of the core went to other programs'
  ])
    t.ok(text.includes(words), words)

  const written = replaceFigures(replaceFigures(page, 'older figures'), text)
  t.ok(written.includes(text))
  t.notOk(written.includes('older figures'))
  t.equal(written.split('## The last run')[0], page.split('## The last run')[0])
  t.throws(() => replaceFigures('no marks', text), /the page lacks/)
})

function prepare(): never {
  throw new Error('not run here')
}

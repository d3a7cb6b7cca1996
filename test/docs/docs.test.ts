import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { actions } from '../../src/actions/index.ts'
import { configReference, DOORS, Limits } from '../../src/config.ts'
import { ActionError, REASONS, type Reason } from '../../src/core/errors.ts'
import { draftActions, draftExtensions } from '../../src/protocols/draft-actions.ts'
import { toErrorCode } from '../../src/protocols/imsuite.ts'
import { toDraftEnvelope } from '../../src/protocols/milky-draft.ts'
import { MILKY_ACTIONS } from '../../src/protocols/milky.ts'
import { startApp } from '../helpers/app.ts'
import { blocksOf, headingsOf, linksOf, pathsIn, readPage, root, tableBelow } from './markdown.ts'

const docs = readdirSync(`${root}docs`).map((name) => `docs/${name}`)
const pages = ['README.md', 'README.zh-CN.md', 'CONTRIBUTING.md', ...docs]

const reasons = Object.keys(REASONS) as Reason[]

function retcodeOf(reason: Reason): number {
  return (toDraftEnvelope({ ok: false, error: new ActionError(reason, '') }) as { retcode: number }).retcode
}

t.test('the two READMEs', async (t) => {
  const [english, chinese] = [readPage('README.md'), readPage('README.zh-CN.md')]

  t.test('begin with the two commands', async (t) => {
    for (const page of [english, chinese]) {
      const commands = blocksOf(page).map((block) => block.text.trim())
      t.strictSame(commands.slice(0, 2), ['npm ci && npm start', 'npm ci && npm test'])
    }
  })

  t.test('have the same chapters, commands, doors and links', async (t) => {
    const levels = (page: string) => headingsOf(page).map((heading) => heading.level)
    const otherLinks = (page: string) => linksOf(page).filter((link) => !link.startsWith('README'))
    t.strictSame(levels(chinese), levels(english))
    t.strictSame(blocksOf(chinese), blocksOf(english))
    t.strictSame(otherLinks(chinese), otherLinks(english))
    t.equal(tableBelow(chinese, '## 入口').length, tableBelow(english, '## Doors').length)
  })
})

t.test('every relative link goes somewhere', async (t) => {
  for (const page of pages) {
    for (const link of linksOf(readPage(page))) {
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? page : join(dirname(page), path)
      t.ok(existsSync(root + target), `${page}: ${link}`)
      if (anchor === undefined || !existsSync(root + target)) continue
      const anchors = headingsOf(readPage(target)).map((heading) => heading.anchor)
      t.ok(anchors.includes(anchor), `${page}: ${link}`)
    }
  }
})

t.test('every JSON block parses', async (t) => {
  for (const page of pages) {
    for (const { language, text } of blocksOf(readPage(page))) {
      if (language === 'json') t.doesNotThrow(() => JSON.parse(text), `${page}: ${text.slice(0, 60)}`)
    }
  }
})

t.test('docs/architecture.md', async (t) => {
  const page = readPage('docs/architecture.md')

  t.test('names files that exist', async (t) => {
    const paths = [...pathsIn(page), ...pathsIn(readPage('CONTRIBUTING.md'))]
    t.not(paths.length, 0)
    for (const path of paths) t.ok(existsSync(root + path), path)
  })

  t.test('names every room, and every file that is in none', async (t) => {
    const rooms = ['src', 'routes', 'plugins'].flatMap((folder) =>
      readdirSync(root + folder, { withFileTypes: true }).map(
        (entry) => `${folder}/${entry.name}${entry.isDirectory() ? '/' : ''}`
      )
    )
    for (const room of rooms) t.ok(page.includes(`\`${room}\``) || page.includes(`${room} `), room)
  })
})

t.test('docs/milky.md', async (t) => {
  const page = readPage('docs/milky.md')

  t.test('lists the 64 actions of Milky 1.2 and the 44 of the draft, and says which work', async (t) => {
    const rows = tableBelow(page, '## Actions')
    const names = Object.values(MILKY_ACTIONS).flat()
    t.equal(names.length, 64)
    t.strictSame(
      rows.map(([name]) => name),
      names
    )
    const drafts = new Set(rows.flatMap(([, draft = '']) => (draft === '–' ? [] : draft.split(', '))))
    t.equal(drafts.size, 44)
    const known = new Set(actions.map((action) => action.name))
    for (const [name = '', , state] of rows) t.equal(state, known.has(name) ? 'yes' : 'later', name)
    const working = new Set(
      rows.flatMap(([, draft = '', state]) => (state === 'yes' && draft !== '–' ? draft.split(', ') : []))
    )
    t.strictSame(draftActions.map((action) => action.name).toSorted(), [...working].toSorted())
  })

  t.test('lists what there is beside the draft', async (t) => {
    const listed = tableBelow(page, '### Extensions').map(([name]) => name)
    t.strictSame(
      listed,
      draftExtensions.map((action) => action.name)
    )
  })

  t.test('lists the events of both', async (t) => {
    const rows = tableBelow(page, '## Events')
    t.equal(new Set(rows.map(([name]) => name)).size, 20)
    t.equal(new Set(rows.flatMap(([, draft = '–']) => (draft === '–' ? [] : [draft]))).size, 18)
  })

  t.test('lists the retcodes', async (t) => {
    const listed = tableBelow(page, '### Retcodes').map(([retcode]) => Number(retcode))
    t.strictSame(
      listed.toSorted((a, b) => a - b),
      reasons.map(retcodeOf).toSorted((a, b) => a - b)
    )
  })
})

t.test('docs/errors.md lists the reasons with the codes of every door', async (t) => {
  const rows = tableBelow(readPage('docs/errors.md'), '# Errors')
  t.strictSame(
    rows.map(([reason, meaning, retcode, , code]) => [reason, meaning, retcode, code]),
    reasons.map((reason) => [reason, REASONS[reason], String(retcodeOf(reason)), toErrorCode(reason)])
  )
  // The door's own table; it is not exported, since nobody else needs it.
  const [, table = ''] = /const STATUS.*?= \{(.*?)\}/s.exec(readPage('plugins/people.ts')) ?? []
  const statuses = [...table.matchAll(/(\w+): (\d+)/g)].map(([, reason, status]) => [reason, status])
  t.strictSame(
    rows.map((row) => [row[0], row[5]]),
    statuses
  )
})

t.test('docs/configuration.md holds the reference that the schema makes', async (t) => {
  const [, written] = /<!-- reference:.*? -->\n\n(.*?)\n<!-- end of reference -->/s.exec(
    readPage('docs/configuration.md')
  ) ?? ['', '']
  const command = `npx node -e "import('./src/config.ts').then((config) => console.log(config.configReference()))"`
  t.equal(written, configReference(), `put the output of this between the two comments: ${command}`)
})

t.test('docs/operations.md says what happens at every limit', async (t) => {
  const listed = tableBelow(readPage('docs/operations.md'), '## Limits').flatMap(([names = '']) => names.split(', '))
  t.strictSame(listed.toSorted(), Object.keys(Limits.properties).toSorted())
})

t.test('docs/operations.md lists the metrics', async (t) => {
  const app = await startApp(t)
  const shown = await (await fetch(`${app.url}/metrics`)).text()
  const names = [...shown.matchAll(/^# TYPE (lactea_\w+) /gm)].map(([, name = '']) => name)
  const listed = tableBelow(readPage('docs/operations.md'), '## Metrics').flatMap(([cell = '']) => cell.split(', '))
  t.strictSame(listed.filter((name) => name.startsWith('lactea_')).toSorted(), names.toSorted())
})

t.test('docs/operations.md lists the doors that a listener may have', async (t) => {
  const listed = tableBelow(readPage('docs/operations.md'), '## Further addresses').map(([door = '']) => door)
  t.strictSame(listed, [...DOORS])
})

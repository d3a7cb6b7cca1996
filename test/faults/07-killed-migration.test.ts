import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openSqliteStore } from '../../src/store/index.ts'
import { SCHEMA_VERSION } from '../../src/store/migrations/index.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { makeOldDatabase } from '../helpers/old-database.ts'
import { runLactea } from '../helpers/service.ts'
import { textOf } from '../suites/store.ts'
import { fault } from './lab/fault.ts'

const CHILD = resolve(import.meta.dirname, '../store/children/open.ts')

fault({
  number: 7,
  title: 'a migration is killed at every step',
  mark: 'Migration killed at every step, started again: ends at head, 0 rows lost; downgrade refuses with one clear line',
  async run({ t, figure }) {
    const dir = makeDirectory(t)
    const old = join(dir, 'old.db')
    makeOldDatabase(old)
    const wanted = rowsOf(old)

    let [steps, unfinished, lost, withoutCopy] = [0, 0, 0, 0]
    for (let killAt = 1; ; killAt++) {
      const place = join(dir, String(killAt))
      const path = join(place, 'lactea.db')
      cpSync(old, path)
      const child = spawn(process.execPath, [CHILD, path, String(killAt)], { stdio: ['ignore', 'inherit', 'inherit'] })
      t.teardown(() => child.kill('SIGKILL'))
      const [code] = (await once(child, 'exit')) as [number | null]
      const store = await openSqliteStore({ path, isShort: true })
      const messages = await store.listMessages({ chatId: 100001, limit: 10 })
      if (messages.map(textOf).join() !== 'from long ago') lost++
      await store.close()
      const found = rowsOf(path)
      lost += Object.entries(wanted).filter(([table, count]) => found[table] !== count).length
      if (versionOf(path) !== SCHEMA_VERSION) unfinished++
      // A copy of what was there before the first step, or between two of them; and nothing half-made counts as one.
      const copies = readdirSync(place).filter((name) => /^lactea\.db\.schema-\d+$/.test(name))
      if (copies.length === 0 || copies.some((name) => versionOf(join(place, name)) >= SCHEMA_VERSION)) withoutCopy++
      if (code === 0) break
      steps++
    }
    figure('steps to be killed at', steps, { atLeast: 3 * (SCHEMA_VERSION - 1) })
    figure('not at the newest schema afterwards', unfinished, { is: 0 })
    figure('rows lost', lost, { is: 0 })
    figure('without a copy from before', withoutCopy, { is: 0 })

    const cwd = join(dir, 'newer')
    const path = join(cwd, 'data', 'lactea.db')
    cpSync(old, path)
    const db = new DatabaseSync(path)
    db.exec('pragma user_version = 99')
    db.close()
    for (const args of [['start', '--port', '0'], ['migrate']]) {
      const { code, stderr } = await runLactea(args, { cwd })
      t.match(
        [code, stderr],
        [1, /^the database has schema 99, this Lactea knows up to \d+: [^\n]+\n$/],
        args.join(' ')
      )
    }
    figure('schema after the refusal', versionOf(path), { is: 99 })
  }
})

/** How many rows each table has that the first schema knows. */
function rowsOf(path: string): Record<string, number> {
  const db = new DatabaseSync(path)
  const tables = ['accounts', 'friendships', 'chats', 'members', 'stays', 'events', 'messages']
  const countOf = (table: string): number =>
    Number((db.prepare(`select count(*) as count from ${table}`).get() as { count: number }).count)
  try {
    return Object.fromEntries(tables.map((table) => [table, countOf(table)]))
  } finally {
    db.close()
  }
}

function versionOf(path: string): number {
  const db = new DatabaseSync(path)
  try {
    return (db.prepare('pragma user_version').get() as { user_version: number }).user_version
  } finally {
    db.close()
  }
}

import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { openDatabase } from '../../src/store/open.ts'
import { describeAccess, lockDirectory, migrateDatabase, openSqliteStore } from '../../src/store/index.ts'
import { SCHEMA_VERSION } from '../../src/store/migrations/index.ts'
import { mountDisk, whyNoDisk } from '../faults/lab/disk.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { makeOldDatabase } from '../helpers/old-database.ts'
import { runLactea } from '../helpers/service.ts'
import { addAccounts, addGroup, range, refusal, say } from '../suites/store.ts'

t.test('before its schema changes', async (t) => {
  t.test('a copy of the database is kept, complete and of its own schema', async (t) => {
    const path = join(makeDirectory(t), 'lactea.db')
    makeOldDatabase(path)
    const migrated = await migrateDatabase(path)
    t.strictSame(migrated, { from: 1, to: SCHEMA_VERSION, copy: `${path}.schema-1` })
    t.equal(valueOf(`${path}.schema-1`, 'pragma user_version'), 1)
    t.equal(valueOf(`${path}.schema-1`, 'select count(*) from messages'), 2)
    t.equal(valueOf(`${path}.schema-1`, 'pragma integrity_check'), 'ok')
    t.strictSame(await migrateDatabase(path), { from: SCHEMA_VERSION, to: SCHEMA_VERSION }, 'nothing to do any more')
  })

  t.test('the last two copies stay', async (t) => {
    const dir = makeDirectory(t)
    const path = join(dir, 'lactea.db')
    makeOldDatabase(path)
    for (const version of ['-3', '-2', '-0', '-other']) copyFileSync(path, `${path}.schema${version}`)
    await migrateDatabase(path)
    const copies = readdirSync(dir).filter((name) => name.includes('schema'))
    t.strictSame(copies.toSorted(), ['lactea.db.schema-2', 'lactea.db.schema-3', 'lactea.db.schema-other'])
  })

  t.test('a new database needs none', async (t) => {
    const dir = makeDirectory(t)
    t.strictSame(await migrateDatabase(join(dir, 'lactea.db')), { from: 0, to: SCHEMA_VERSION })
    t.strictSame(readdirSync(dir), ['lactea.db'])
  })

  t.test('lactea migrate says from where to where', async (t) => {
    const cwd = makeDirectory(t)
    mkdirSync(join(cwd, 'data'))
    makeOldDatabase(join(cwd, 'data', 'lactea.db'))
    const said = `the database went from schema 1 to ${SCHEMA_VERSION}; as it was before: ${join(cwd, 'data', 'lactea.db.schema-1')}\n`
    t.match(await runLactea(['migrate'], { cwd }), { code: 0, stdout: said })
  })

  t.test('without room for the copy it stays as it is', { skip: whyNoDisk() }, async (t) => {
    const dir = join(makeDirectory(t), 'disk')
    mountDisk(t, dir, 2)
    const path = join(dir, 'lactea.db')
    makeOldDatabase(path)
    const filler = await open(join(dir, 'filler'), 'w')
    await fill(filler)
    await filler.close()
    await t.rejects(migrateDatabase(path), { message: /make room beside/ })
    t.strictSame(readdirSync(dir).toSorted(), ['filler', 'lactea.db'])
    t.equal(valueOf(path, 'pragma user_version'), 1)
  })
})

t.test('a database that is damaged is refused with a sentence that says what to do', async (t) => {
  const cwd = makeDirectory(t)
  mkdirSync(join(cwd, 'data'))
  const path = join(cwd, 'data', 'lactea.db')
  const said =
    /^the database .*lactea\.db is damaged \(.*\): put a backup in its place with "lactea restore FILE --force"/
  for (const [name, from] of [
    ['its pages', 8192],
    ['its head', 0]
  ] as const) {
    const store = await openSqliteStore({ path, isShort: true })
    await addAccounts(store, 1)
    await store.close()
    const file = await open(path, 'r+')
    await file.write(Buffer.alloc(60_000, 'x'), 0, 60_000, from)
    await file.close()
    await t.rejects(openDatabase(path, { isChecked: true }), { message: said }, name)
    const { code, stderr } = await runLactea(['start', '--port', '0'], { cwd })
    t.match([code, stderr], [1, said], name)
    t.equal(stderr.trimEnd().split('\n').length, 1, 'one line')
    execFileSync('rm', ['-r', join(cwd, 'data')])
    mkdirSync(join(cwd, 'data'))
  }
})

t.test('a directory that may not be written ends the start with who may', async (t) => {
  await t.test('as root, on a disk for reading only', { skip: whyNoDisk() }, async (t) => {
    const cwd = makeDirectory(t)
    const dir = join(cwd, 'data')
    mountDisk(t, dir, 2)
    execFileSync('mount', ['-o', 'remount,ro', dir])
    await isRefused(
      t,
      cwd,
      /data belongs to user 0 \(mode \d+\), and the gateway runs as user 0; look whether the disk/
    )
  })

  const isRoot = process.getuid?.() === 0
  await t.test('as anybody else', { skip: isRoot && 'root may write everywhere' }, async (t) => {
    const cwd = makeDirectory(t)
    mkdirSync(join(cwd, 'sealed'))
    chmodSync(join(cwd, 'sealed'), 0o500)
    await isRefused(t, cwd, /sealed belongs to user \d+ \(mode 500\)/, join(cwd, 'sealed', 'data'))
  })

  t.match(describeAccess('/nowhere/at/all'), /^\/ belongs to user /)
  t.throws(() => lockDirectory(join(makeDirectory(t), 'nowhere')), { message: /^cannot write to the data directory/ })

  async function isRefused(t: Test, cwd: string, said: RegExp, dir = join(cwd, 'data')): Promise<void> {
    const { code, stderr } = await runLactea(['start', '--port', '0', '--data-dir', dir], { cwd })
    t.equal(code, 1)
    t.match(stderr, said)
    t.equal(stderr.trimEnd().split('\n').length, 1, 'one line')
  }
})

t.test('what waits for another process is bounded, and refused above that at once', async (t) => {
  const path = join(makeDirectory(t), 'lactea.db')
  const troubles: (string | undefined)[] = []
  const store = await openSqliteStore({ path, onTrouble: (words) => troubles.push(words) })
  t.teardown(() => store.close())
  await addAccounts(store, 1)
  const { id } = await addGroup(store, [10001])
  const other = new DatabaseSync(path)
  t.teardown(() => other.isOpen && other.close())
  other.exec('begin immediate')
  t.equal(await refusal(store.ping()), 'unavailable')
  t.strictSame(troubles, ['another program has locked it'])
  const sent = range(1, 2100).map((count) => refusal(say(store, id, 10001, `${count}`)))
  t.strictSame(new Set(await Promise.all(sent.slice(2000))), new Set(['unavailable']), 'before the lock was given back')
  other.exec('rollback')
  other.close()
  t.strictSame(new Set(await Promise.all(sent.slice(0, 2000))), new Set(['accepted']))
  await t.resolves(store.ping())
  t.strictSame(troubles, ['another program has locked it', undefined])
  t.equal((await store.listMessages({ chatId: id, limit: 10_000 })).length, 2000)
})

function valueOf(path: string, sql: string): unknown {
  const db = new DatabaseSync(path)
  try {
    return Object.values(db.prepare(sql).get() ?? {})[0]
  } finally {
    db.close()
  }
}

async function fill(file: { write: (bytes: Uint8Array) => Promise<unknown> }): Promise<void> {
  try {
    for (;;) await file.write(Buffer.alloc(4096, 'x'))
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOSPC') throw err
  }
}

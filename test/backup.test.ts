import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createBackup, type BackupReport } from '../src/backup.ts'
import { createTarWriter, readTar } from '../src/files/tar.ts'
import { complete, completeRestore, restoreBackup, type RestoreReport } from '../src/restore.ts'
import { lockDirectory, openSqliteStore } from '../src/store/index.ts'
import { makeDirectory } from './helpers/directory.ts'
import { runLactea } from './helpers/service.ts'
import { addAccounts, addGroup, say, textOf } from './suites/store.ts'

const NOW = 1_700_000_000
const STAMP = '2023-11-14T22-13-20Z'

const PICTURE = 'not really a picture '.repeat(20)
const PLACE_OF_PICTURE = `${sha256Of(PICTURE).slice(0, 2)}/${sha256Of(PICTURE).slice(2)}`
const FILE = { ownerId: 10001, name: 'a', mime: 'image/png', width: 1, height: 1, durationS: 0, createdAt: NOW }

t.test('a backup', async (t) => {
  t.test(
    'is a tar for its owner alone, with the database, the keys and the files that the database names',
    async (t) => {
      const { dir, file } = await makePlace(t, 'hello')
      writeFileSync(join(dir, 'files', 'ab', 'stray'), 'of no message')
      const report = await backUp(dir, file)
      t.match(report, { contents: 1, gone: [], secrets: ['jwt.secret'], bytes: statSync(file).size })
      t.match(report.note, { made_at: NOW, accounts: 2, messages: 1, last_event_id: 1, version: '1.2.3' })
      t.equal(statSync(file).mode & 0o777, 0o600)
      t.strictSame(await namesIn(file), ['backup.json', 'lactea.db', 'jwt.secret', `files/${PLACE_OF_PICTURE}`])
      t.strictSame(readdirSync(dirname(file)).toSorted(), ['backup.tar', 'data'], 'nothing is left beside it')
    }
  )

  t.test('can be listed and unpacked with tar', { skip: !hasTar() && 'there is no program tar' }, async (t) => {
    const { dir, file } = await makePlace(t, 'hello')
    await backUp(dir, file)
    const out = makeDirectory(t)
    execFileSync('tar', ['--extract', '--file', file, '--directory', out])
    t.equal(readFileSync(join(out, 'files', PLACE_OF_PICTURE), 'utf8'), PICTURE)
    t.equal(readFileSync(join(out, 'jwt.secret'), 'utf8'), 'key of hello\n')
    t.equal(rows(join(out, 'lactea.db'), 'pragma journal_mode')[0]?.journal_mode, 'delete')
  })

  t.test('replaces the one before only when it is whole', async (t) => {
    const { dir, file } = await makePlace(t, 'hello')
    writeFileSync(file, 'the one before')
    const abort = AbortSignal.abort(new Error('enough'))
    await t.rejects(createBackup({ dir, file, version: '1', now: NOW, signal: abort }), { message: 'enough' })
    t.equal(readFileSync(file, 'utf8'), 'the one before')
    t.strictSame(readdirSync(dirname(file)).toSorted(), ['backup.tar', 'data'])
    await backUp(dir, file)
    t.equal((await namesIn(file)).length, 4)
  })

  t.test('tells of files that went while it was made, and holds all others', async (t) => {
    const { dir, file, store } = await makePlace(t, 'hello', { isOpen: true })
    const sha256 = sha256Of('recalled meanwhile')
    await store?.addFile({ ...FILE, sha256, size: 18 })
    const report = await backUp(dir, file)
    t.match(report, { contents: 1, gone: [sha256] })
    t.match(await restore(join(dirname(file), 'new'), file), { contents: 1, missing: 1 })
  })

  t.test('is refused where there is no database, no folder, or something else', async (t) => {
    const { dir, file } = await makePlace(t, 'hello')
    const empty = makeDirectory(t)
    await t.rejects(backUp(empty, file), { message: /^there is no database at / })
    await t.rejects(backUp(dir, join(empty, 'nowhere', 'b.tar')), { message: /^cannot write the backup to .*nowhere/ })
    await t.rejects(backUp(dir, empty), { message: /is no file: say where the backup goes/ })
    t.strictSame(readdirSync(empty), [])
  })

  t.test('of a damaged database is refused', async (t) => {
    const { dir, file } = await makePlace(t, 'hello')
    await damage(join(dir, 'lactea.db'))
    await t.rejects(backUp(dir, file), { message: /damaged/ })
    t.notOk(existsSync(file))
  })
})

t.test('a restore', async (t) => {
  t.test('into a directory that is not there yet brings everything back, for its owner alone', async (t) => {
    const { dir, file } = await makePlace(t, 'hello')
    await backUp(dir, file)
    const target = join(dirname(file), 'new')
    t.match(await restore(target, file), { contents: 1, missing: 0, keptIn: undefined })
    t.strictSame(await wordsIn(target), ['hello'])
    t.equal(readFileSync(join(target, 'jwt.secret'), 'utf8'), 'key of hello\n')
    t.equal(readFileSync(join(target, 'files', PLACE_OF_PICTURE), 'utf8'), PICTURE)
    for (const path of ['', 'files']) t.equal(statSync(join(target, path)).mode & 0o777, 0o700, path)
    for (const path of ['jwt.secret', 'lactea.db', join('files', PLACE_OF_PICTURE)])
      t.equal(statSync(join(target, path)).mode & 0o777, 0o600, path)
  })

  t.test('overwrites nothing without force, and puts aside with it', async (t) => {
    const { dir, file } = await makePlace(t, 'hello')
    await backUp(dir, file)
    const other = (await makePlace(t, 'other')).dir
    await t.rejects(restore(other, file), { message: /is in use \(.*lactea\.db.*\): .*--force/ })
    t.strictSame(await wordsIn(other), ['other'])
    const keptIn = join(other, `before-restore-${STAMP}`)
    mkdirSync(join(other, 'media'))
    t.match(await restore(other, file, true), { keptIn })
    t.strictSame(await wordsIn(other), ['hello'])
    t.strictSame(await wordsIn(keptIn), ['other'])
    t.equal(readFileSync(join(keptIn, 'jwt.secret'), 'utf8'), 'key of other\n')
    t.ok(existsSync(join(other, 'media')), 'what is not of the gateway stays')
  })

  t.test('gives out no id of an event again', async (t) => {
    const { dir, file } = await makePlace(t, 'hello')
    await backUp(dir, file)
    const sayMore = async (at: string): Promise<{ id: number; seq: number }> => {
      const store = await openSqliteStore({ path: join(at, 'lactea.db'), isShort: true })
      const message = await say(store, (await store.listGroups())[0]?.id ?? 0, 10001, 'more')
      const { events } = await store.readEvents(10001, 0, 10)
      t.strictSame(
        events.map(({ kind }) => kind),
        events.map(() => 'message.created'),
        'nobody hears of anything else'
      )
      await store.close()
      return message
    }
    const lost = await sayMore(dir)
    t.equal(lost.id, 2)
    await restore(dir, file, true)
    t.match(await sayMore(dir), { id: lost.id + 2, seq: lost.seq })
    const elsewhere = join(dirname(file), 'new')
    await restore(elsewhere, file)
    t.match(await sayMore(elsewhere), { id: 100_003, seq: lost.seq })
  })

  t.test('is refused while a gateway works on the directory', async (t) => {
    const { dir, file } = await makePlace(t, 'hello')
    await backUp(dir, file)
    const unlock = lockDirectory(dir)
    await t.rejects(restore(dir, file, true), { message: /^another gateway is running/ })
    unlock()
    t.match(await restore(dir, file, true), { contents: 1 })
  })

  t.test('of something that is no whole backup changes nothing', async (t) => {
    const { dir, file } = await makePlace(t, 'hello')
    await backUp(dir, file)
    const whole = readFileSync(file)
    const flip = (at: number): Buffer => {
      const bytes = Buffer.from(whole)
      bytes[at] = (bytes[at] as number) ^ 1
      return bytes
    }
    const evil = await makeTar(t, [['../evil', 'x']])
    const foreign = await makeTar(t, [['backup.json', '{"made_by":"lactea","format":2,"version":"9.9.9"}']])
    const cases: [name: string, bytes: Buffer, said: RegExp][] = [
      ['empty', Buffer.alloc(0), /ends in the middle/],
      ['a letter', Buffer.from('dear aunt '.repeat(1000)), /damaged, or no archive/],
      ['cut', whole.subarray(0, 100_000), /ends in the middle/],
      ['without its end', whole.subarray(0, whole.length - 1024), /ends in the middle/],
      ['with a wrong byte in the database', flip(60_000), /lactea\.db is damaged/],
      ['with a wrong byte in a file', flip(whole.length - 1024 - 512), /files\/.* is damaged/],
      ['of another kind', evil, /was not made by lactea backup/],
      ['of a newer version', foreign, /format 2 is that of a newer Lactea \(9\.9\.9\)/],
      ['with more in it', Buffer.concat([whole.subarray(0, -1024), evil]), /evil has no place in a backup/]
    ]
    for (const [name, bytes, said] of cases) {
      writeFileSync(file, bytes)
      await t.rejects(restore(dir, file, true), { message: said }, name)
      const target = join(dirname(file), 'new')
      await t.rejects(restore(target, file), { message: said }, name)
      t.notOk(existsSync(target), name)
    }
    t.strictSame(await wordsIn(dir), ['hello'])
    await t.rejects(restore(dir, join(dir, 'nothing'), true), { message: /^cannot read the backup/ })
  })

  t.test('of a newer schema is refused with a sentence', async (t) => {
    const { dir, file } = await makePlace(t, 'hello')
    await backUp(dir, file)
    const database = join(makeDirectory(t), 'lactea.db')
    await unpackTo(file, 'lactea.db', database)
    exec(database, 'pragma user_version = 99')
    const bytes = readFileSync(database)
    const note = JSON.stringify({ made_by: 'lactea', format: 1, version: '9', database_sha256: sha256Of(bytes) })
    writeFileSync(
      file,
      await makeTar(t, [
        ['backup.json', note],
        ['lactea.db', bytes]
      ])
    )
    await t.rejects(restore(dir, file, true), { message: /schema 99, this Lactea knows up to \d+: use the version/ })
    t.strictSame(await wordsIn(dir), ['hello'])
  })

  t.test('killed before any change, leaves the directory as it was or is completed by who comes next', async (t) => {
    const { dir, file } = await makePlace(t, 'new')
    await backUp(dir, file)
    const seen = new Set<string>()
    const old = await makePlace(t, 'old')
    for (let killAt = 1; ; killAt++) {
      const place = join(dirname(file), String(killAt))
      cpSync(old.dir, place, { recursive: true })
      const code = await killedAt(t, place, file, killAt)
      await completeRestore(place)
      const [words] = quickWordsIn(place)
      const key = readFileSync(join(place, 'jwt.secret'), 'utf8')
      t.equal(key, `key of ${words}\n`, `killed at change ${killAt}`)
      t.equal(readFileSync(join(place, 'files', PLACE_OF_PICTURE), 'utf8'), PICTURE, `killed at change ${killAt}`)
      if (words === 'new') t.strictSame(quickWordsIn(join(place, `before-restore-${STAMP}`)), ['old'])
      seen.add(String(words))
      // What is left of the unpacking goes with the next start.
      await complete(place)
      const left = readdirSync(place).filter((name) => name.startsWith('restore.'))
      t.strictSame(left, [], `killed at change ${killAt}`)
      if (code === 0) break
      t.ok(killAt < 100)
    }
    t.strictSame([...seen], ['old', 'new'])
  })
})

t.test('the command line makes backups, puts them back and migrates', async (t) => {
  const cwd = makeDirectory(t)
  const lactea = (...args: string[]) => runLactea(args, { cwd })
  await lactea('user', 'add', 'alice')
  t.match(await lactea('backup', 'b.tar'), { code: 0, stdout: /b\.tar: \d+ KiB, checked\n.*\n  1 account, 0 messages/ })
  await lactea('user', 'add', 'bob')
  t.match(await lactea('restore', 'b.tar'), { code: 1, stderr: /is in use/ })
  t.match(await lactea('restore', 'b.tar', '--force'), { code: 0, stdout: /kept in .*before-restore-/ })
  t.match(await lactea('user', 'list'), { stdout: /alice/ })
  t.notMatch(await lactea('user', 'list'), { stdout: /bob/ })
  t.match(await lactea('migrate'), { code: 0, stdout: /^the database has the newest schema already: \d+\n$/ })
})

t.test('an archive', async (t) => {
  t.test('gives back what was put in, in its order', async (t) => {
    const contents: [string, string][] = [
      ['empty', ''],
      ['one', 'x'],
      ['block', 'y'.repeat(512)],
      ['more', 'z'.repeat(70_000)]
    ]
    const path = join(makeDirectory(t), 'a.tar')
    writeFileSync(path, await makeTar(t, contents))
    const file = await open(path)
    t.teardown(() => file.close())
    const found: [string, string][] = []
    for await (const { name, bytes } of readTar(file)) {
      const chunks: Uint8Array[] = []
      for await (const chunk of bytes) chunks.push(chunk)
      found.push([name, Buffer.concat(chunks).toString()])
    }
    t.strictSame(found, contents)
  })

  t.test('takes sizes that need more than eleven octal digits', async (t) => {
    const heads: Uint8Array[] = []
    const tar = createTarWriter(async (bytes) => void heads.push(bytes), NOW)
    await t.rejects(tar.add('large', 2 ** 40, giving('')), { message: 'large was changed while it was read' })
    const path = join(makeDirectory(t), 'a.tar')
    writeFileSync(path, heads[0] as Uint8Array)
    const file = await open(path)
    t.teardown(() => file.close())
    for await (const { size } of readTar(file)) {
      t.equal(size, 2 ** 40)
      break
    }
  })
})

/** A data directory in which somebody has said these words and uploaded a picture, and where its backup goes. */
async function makePlace(t: Test, words: string, { isOpen = false } = {}) {
  const root = makeDirectory(t)
  const dir = join(root, 'data')
  mkdirSync(join(dir, 'files', 'ab'), { recursive: true })
  mkdirSync(dirname(join(dir, 'files', PLACE_OF_PICTURE)), { recursive: true })
  writeFileSync(join(dir, 'files', PLACE_OF_PICTURE), PICTURE)
  writeFileSync(join(dir, 'jwt.secret'), `key of ${words}\n`)
  const store = await openSqliteStore({ path: join(dir, 'lactea.db'), isShort: !isOpen })
  await addAccounts(store, 2)
  const { id } = await addGroup(store, [10001])
  await say(store, id, 10001, words)
  await store.addFile({ ...FILE, sha256: sha256Of(PICTURE), size: PICTURE.length })
  if (isOpen) t.teardown(() => store.close())
  else await store.close()
  return { dir, file: join(root, 'backup.tar'), store: isOpen ? store : undefined }
}

function backUp(dir: string, file: string): Promise<BackupReport> {
  return createBackup({ dir, file, version: '1.2.3', now: NOW })
}

function restore(dir: string, file: string, isForced = false): Promise<RestoreReport> {
  return restoreBackup({ dir, file, isForced, now: NOW })
}

async function wordsIn(dir: string): Promise<string[]> {
  const store = await openSqliteStore({ path: join(dir, 'lactea.db'), isShort: true })
  const [chat] = await store.listGroups()
  const messages = await store.listMessages({ chatId: chat?.id ?? 0, limit: 100 })
  await store.close()
  return messages.map(textOf)
}

/** Without opening it as the gateway does. */
function quickWordsIn(dir: string): string[] {
  const messages = rows(join(dir, 'lactea.db'), 'select segments from messages order by id')
  return messages.map(({ segments }) => (JSON.parse(String(segments)) as { text: string }[])[0]?.text ?? '')
}

async function namesIn(path: string): Promise<string[]> {
  const file = await open(path)
  const names: string[] = []
  for await (const { name } of readTar(file)) names.push(name)
  await file.close()
  return names
}

async function unpackTo(path: string, wanted: string, to: string): Promise<void> {
  const file = await open(path)
  for await (const { name, bytes } of readTar(file)) {
    if (name !== wanted) continue
    const chunks: Uint8Array[] = []
    for await (const chunk of bytes) chunks.push(chunk)
    writeFileSync(to, Buffer.concat(chunks))
  }
  await file.close()
}

async function makeTar(t: Test, entries: readonly (readonly [string, string | Buffer])[]): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  const tar = createTarWriter(async (bytes) => void chunks.push(bytes), NOW)
  for (const [name, content] of entries) await tar.add(name, Buffer.byteLength(content), giving(content))
  await tar.end()
  t.equal(Buffer.concat(chunks).length % 512, 0)
  return Buffer.concat(chunks)
}

async function* giving(content: string | Buffer): AsyncGenerator<Uint8Array> {
  if (content.length > 0) yield Buffer.from(content)
}

async function killedAt(t: Test, dir: string, file: string, killAt: number): Promise<number | null> {
  const child = fileURLToPath(new URL('./store/children/restore.ts', import.meta.url))
  const running = spawn(process.execPath, [child, dir, file, String(killAt)], {
    stdio: ['ignore', 'inherit', 'inherit']
  })
  t.teardown(() => running.kill('SIGKILL'))
  const [code] = (await once(running, 'exit')) as [number | null]
  return code
}

/** Overwrites the pages behind the first ones. */
async function damage(path: string): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(Buffer.alloc(100_000, 'x'), 0, 100_000, 8192)
  await file.close()
}

function sha256Of(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

function rows(path: string, sql: string): Record<string, unknown>[] {
  const db = new DatabaseSync(path)
  try {
    return db.prepare(sql).all()
  } finally {
    db.close()
  }
}

function exec(path: string, sql: string): void {
  const db = new DatabaseSync(path)
  db.exec(sql)
  db.close()
}

function hasTar(): boolean {
  try {
    execFileSync('tar', ['--version'])
    return true
  } catch {
    return false
  }
}

import { createHash } from 'node:crypto'
import { chmod, mkdtemp, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createTarWriter, readTar, type TarWriter } from './files/tar.ts'
import { checkDatabase, copyDatabase, listContents, type DatabaseSummary } from './store/index.ts'

/** The first entry of every backup: what is behind it. */
export interface BackupNote {
  readonly made_by: 'lactea'
  /** Of the archive; that of the database is `schema`. */
  readonly format: 1
  readonly version: string
  readonly schema: number
  /** Unix seconds. */
  readonly made_at: number
  readonly last_event_id: number
  readonly accounts: number
  readonly messages: number
  readonly database_bytes: number
  readonly database_sha256: string
}

export interface BackupOptions {
  /** The data directory; a gateway may be running on it. */
  readonly dir: string
  /** Where the backup goes; one that is there already is replaced when the new one is whole. */
  readonly file: string
  readonly version: string
  /** Unix seconds. */
  readonly now: number
  /** Ends it early; nothing is left behind then. */
  readonly signal?: AbortSignal | undefined
}

export interface BackupReport {
  readonly note: BackupNote
  readonly bytes: number
  readonly contents: number
  /** Contents that the copy of the database names and that are gone: their messages were recalled meanwhile. */
  readonly gone: readonly string[]
  readonly secrets: readonly string[]
}

export const NOTE = 'backup.json'
export const DATABASE = 'lactea.db'
const FORMAT = 1

const MEGABYTE = 1024 * 1024
/** Given to the disk at once: a larger piece would hold up those who wait for the disk for longer. */
const PIECE_BYTES = MEGABYTE / 2
const REMOVED_BYTES = 4 * MEGABYTE
const MIN_REST_MS = 10
const MAX_REST_MS = 200

/** Generated keys, such as `jwt.secret`. */
export function isSecret(name: string): boolean {
  return /^[\w.-]+\.secret$/.test(name)
}

/**
 * Writes everything that a gateway knows into one archive: the database as it was at one moment, the generated keys and
 * the uploaded files. It is read again, to its last byte, before it is given its name. Throws with a sentence.
 */
export async function createBackup({ dir, file, version, now, signal }: BackupOptions): Promise<BackupReport> {
  const target = resolve(file)
  const scratch = await makeScratch(target)
  const pace = createPace(signal)
  try {
    const database = join(scratch, DATABASE)
    await copyDatabase({ from: join(dir, DATABASE), to: database, rest: () => sleep(pace()) })
    signal?.throwIfAborted()
    const note = await describe(database, checkDatabase(database), { version, now, pace })
    const archive = join(scratch, 'archive')
    const written = await writeArchive(archive, { dir, database, note, pace })
    await removeSlowly(database, pace)
    await readBackup(archive, async ({ bytes }) => drain(bytes, pace))
    await rename(archive, target)
    await syncFolder(dirname(target))
    return { note, bytes: (await stat(target)).size, ...written }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

export interface BackupEntry {
  readonly name: string
  readonly bytes: AsyncIterable<Uint8Array>
}

/**
 * Reads a backup, checks it on the way, and hands over one entry after the other, each to be read to its end. Throws
 * with a sentence at the first fault; what was handed over until then counts for nothing.
 */
export async function readBackup(path: string, take: (entry: BackupEntry) => Promise<void>): Promise<BackupNote> {
  const file = await openBackup(path)
  try {
    let note: BackupNote | undefined
    const seen = new Set<string>()
    for await (const { name, size, bytes } of readTar(file)) {
      if (seen.has(name)) throw new Error(`${name} is in it twice`)
      seen.add(name)
      if (note === undefined) note = await readNote(name, size, bytes)
      else {
        const digest = expectDigest(name, note)
        const hash = createHash('sha256')
        await take({ name, bytes: hashed(bytes, hash) })
        if (digest !== undefined && hash.digest('hex') !== digest) throw new Error(`${name} is damaged`)
      }
    }
    if (!note || !seen.has(DATABASE)) throw new Error('it holds no database')
    return note
  } catch (err) {
    throw new Error(`${path} cannot be used as a backup: ${(err as Error).message}`, { cause: err })
  } finally {
    await file.close()
  }
}

async function openBackup(path: string): Promise<FileHandle> {
  try {
    return await open(path)
  } catch (err) {
    throw new Error(`cannot read the backup ${path}: ${(err as Error).message}`, { cause: err })
  }
}

async function readNote(name: string, size: number, bytes: AsyncIterable<Uint8Array>): Promise<BackupNote> {
  if (name !== NOTE || size > MEGABYTE) throw new Error('it was not made by lactea backup')
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  const note = JSON.parse(Buffer.concat(chunks).toString()) as Omit<BackupNote, 'format'> & { readonly format: number }
  if (note.made_by !== 'lactea') throw new Error('it was not made by lactea backup')
  if (note.format !== FORMAT) throw new Error(`its format ${note.format} is that of a newer Lactea (${note.version})`)
  return { ...note, format: FORMAT }
}

/** What the bytes of an entry have to be; undefined where nothing says so. Throws for what has no place in a backup. */
function expectDigest(name: string, note: BackupNote): string | undefined {
  if (name === DATABASE) return note.database_sha256
  if (isSecret(name)) return undefined
  const [, folder, rest] = /^files\/([0-9a-f]{2})\/([0-9a-f]{62})$/.exec(name) ?? []
  if (folder === undefined || rest === undefined) throw new Error(`${name} has no place in a backup`)
  return folder + rest
}

async function* hashed(
  bytes: AsyncIterable<Uint8Array>,
  hash: { update: (chunk: Uint8Array) => unknown }
): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    hash.update(chunk)
    yield chunk
  }
}

async function describe(
  database: string,
  { schema, lastEventId, accounts, messages }: DatabaseSummary,
  { version, now, pace }: Pick<BackupOptions, 'version' | 'now'> & { readonly pace: Pace }
): Promise<BackupNote> {
  const hash = createHash('sha256')
  const file = await open(database)
  // The handle is closed with the stream.
  await drain(file.createReadStream(), pace, (chunk) => hash.update(chunk))
  return {
    made_by: 'lactea',
    format: FORMAT,
    version,
    schema,
    made_at: now,
    last_event_id: lastEventId,
    accounts,
    messages,
    database_bytes: (await stat(database)).size,
    database_sha256: hash.digest('hex')
  }
}

interface Ingredients extends Pick<BackupOptions, 'dir'> {
  /** The copy. */
  readonly database: string
  readonly note: BackupNote
  readonly pace: Pace
}

async function writeArchive(
  path: string,
  { dir, database, note, pace }: Ingredients
): Promise<Pick<BackupReport, 'contents' | 'gone' | 'secrets'>> {
  const file = await open(path, 'wx', 0o600)
  try {
    const tar = createTarWriter(createPacedWrite(file, pace), note.made_at)
    await tar.add(NOTE, ...asEntry(`${JSON.stringify(note, undefined, 2)}\n`))
    const isThere = await addFile(tar, DATABASE, database)
    if (!isThere) throw new Error('the copy of the database is gone')
    const secrets = (await readdir(dir)).filter(isSecret).toSorted()
    for (const name of secrets) await addFile(tar, name, join(dir, name))
    const gone: string[] = []
    // Behind the database: whatever it names was there when it was copied.
    const contents = listContents(database)
    for (const sha256 of contents) {
      const name = `files/${sha256.slice(0, 2)}/${sha256.slice(2)}`
      if (!(await addFile(tar, name, join(dir, name)))) gone.push(sha256)
    }
    await tar.end()
    await file.sync()
    return { contents: contents.length - gone.length, gone, secrets }
  } finally {
    await file.close()
  }
}

/** False when there is no such file. One that is removed while it is read is read to its end. */
async function addFile(tar: TarWriter, name: string, path: string): Promise<boolean> {
  const file = await open(path).catch((err: NodeJS.ErrnoException) => {
    if (err.code === 'ENOENT') return undefined
    throw err
  })
  if (!file) return false
  try {
    await tar.add(name, (await file.stat()).size, file.createReadStream({ autoClose: false, start: 0 }))
    return true
  } finally {
    await file.close()
  }
}

function asEntry(text: string): [number, AsyncIterable<Uint8Array>] {
  const bytes = Buffer.from(text)
  return [
    bytes.length,
    (async function* () {
      yield bytes
    })()
  ]
}

/** Writes to the file, and rests in between. */
function createPacedWrite(file: FileHandle, pace: Pace): (bytes: Uint8Array) => Promise<void> {
  let unsynced = 0
  return async (bytes) => {
    // A full disk may take a part of what it is given.
    for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten
    unsynced += bytes.length
    if (unsynced < PIECE_BYTES) return
    unsynced = 0
    await file.datasync()
    await delay(pace())
  }
}

/** Reads to the end, and rests in between. */
async function drain(bytes: AsyncIterable<Uint8Array>, pace: Pace, use = (_: Uint8Array): void => {}): Promise<void> {
  let unrested = 0
  for await (const chunk of bytes) {
    use(chunk)
    unrested += chunk.length
    if (unrested < PIECE_BYTES) continue
    unrested = 0
    await delay(pace())
  }
}

/** A file system that gives back a large file at once keeps everybody waiting who wants something to be on the disk. */
async function removeSlowly(path: string, pace: Pace): Promise<void> {
  const file = await open(path, 'r+')
  try {
    for (let { size } = await file.stat(); size > 0; await delay(pace())) {
      size = Math.max(0, size - REMOVED_BYTES)
      await file.truncate(size)
      await file.datasync()
    }
  } finally {
    await file.close()
  }
  await rm(path)
}

/** Says after each piece how long to rest, in milliseconds. Throws when it was broken off. */
type Pace = () => number

/**
 * Five times as long as the piece took: most of the disk and the processors is there for those who send, however slow they
 * are, and whoever waits for the end of a piece does not wait long.
 */
function createPace(signal: AbortSignal | undefined): Pace {
  let restedAt = performance.now()
  return () => {
    signal?.throwIfAborted()
    const now = performance.now()
    const ms = Math.min(MAX_REST_MS, Math.max(MIN_REST_MS, 5 * (now - restedAt)))
    restedAt = now + ms
    return ms
  }
}

/** In a callback of SQLite, which waits for no promise. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** Beside the target, so that giving it its name is one step: a folder for its owner alone. */
async function makeScratch(target: string): Promise<string> {
  const existing = await stat(target).catch(() => undefined)
  if (existing && !existing.isFile()) throw new Error(`${target} is no file: say where the backup goes, with its name`)
  try {
    const scratch = await mkdtemp(join(dirname(target), `.${basename(target)}-`))
    await chmod(scratch, 0o700)
    return scratch
  } catch (err) {
    throw new Error(`cannot write the backup to ${dirname(target)}: ${(err as Error).message}`, { cause: err })
  }
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Names that sort by time, from a moment in Unix seconds. */
export function toStamp(time: number): string {
  return new Date(time * 1000)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '-')
}

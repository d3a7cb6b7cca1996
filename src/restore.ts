import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { DATABASE, isSecret, readBackup, syncFolder, toStamp, type BackupNote } from './backup.ts'
import { prepareDataDir } from './secrets.ts'
import { checkDatabase, findLastEventId, listContents, lockDirectory, skipEventIds } from './store/index.ts'

export interface RestoreOptions {
  /** The data directory; made when it is not there. */
  readonly dir: string
  readonly file: string
  /** What is there already is put aside instead of standing in the way. */
  readonly isForced: boolean
  /** Unix seconds. */
  readonly now: number
}

export interface RestoreReport {
  readonly note: BackupNote
  readonly contents: number
  /** Contents that the database names and the backup does not hold. */
  readonly missing: number
  /** Where what was there before is kept; undefined when there was nothing. */
  readonly keptIn: string | undefined
}

// A restore goes through three folders in the data directory, each the next step of the same one. Up to the first
// rename the directory is as it was; from then on whoever opens it brings it to the end. It is all done inside the
// directory, since that may be a volume, which nobody can rename.

/** What comes out of the backup; thrown away by the next restore. */
const INCOMING = 'restore.incoming'
/** All is here and checked: what was there before is being put aside. */
const READY = 'restore.ready.'
/** What was there before is aside: what is new is being moved to its place. */
const FILLING = 'restore.filling.'
const ASIDE = 'before-restore-'
/** Ids of events that are left out: as many as may have been given out since the backup, which nobody knows. */
const ID_GAP = 100_000

/**
 * Puts a backup into a data directory on which nothing runs. It is unpacked beside what is there and checked to its last
 * row first. Killed at any moment, it leaves the directory as it was, or one that the next start completes.
 * Throws with a sentence, and then nothing was changed.
 */
export async function restoreBackup({ dir, file, isForced, now }: RestoreOptions): Promise<RestoreReport> {
  // Once for the faults alone: they should leave nothing behind, not even an empty directory.
  await readBackup(file, async ({ bytes }) => {
    for await (const _ of bytes);
  })
  await prepareDataDir(dir)
  const unlock = lockDirectory(dir)
  try {
    await complete(dir)
    const existing = (await readdir(dir)).filter(isReplaced)
    if (existing.length > 0 && !isForced)
      throw new Error(
        `the data directory ${dir} is in use (${existing.join(', ')}): give another one with --data-dir, or --force, which puts that aside`
      )
    const incoming = join(dir, INCOMING)
    const [note, contents, missing] = await unpack(file, incoming).catch(async (err: unknown) => {
      await rm(incoming, { recursive: true, force: true })
      throw err
    })
    // Those of the database that is there were given out; of one that is lost nobody knows how many were.
    const known = existing.includes(DATABASE) ? findLastEventId(join(dir, DATABASE)) : undefined
    skipEventIds(join(incoming, DATABASE), Math.max(known ?? note.last_event_id + ID_GAP, note.last_event_id), now)
    const stamp = toStamp(now)
    await rename(incoming, join(dir, `${READY}${stamp}`))
    await syncFolder(dir)
    await complete(dir)
    return { note, contents, missing, keptIn: existing.length > 0 ? join(dir, `${ASIDE}${stamp}`) : undefined }
  } finally {
    unlock()
  }
}

/** Brings a restore that was cut off to its end, if there is one. Throws when a gateway, or a restore, is running. */
export async function completeRestore(dir: string): Promise<void> {
  const names = await readdir(dir).catch(() => [])
  if (!names.some((name) => name.startsWith(READY) || name.startsWith(FILLING))) return
  const unlock = lockDirectory(dir)
  try {
    await complete(dir)
  } finally {
    unlock()
  }
}

/** The same for who holds the lock of the directory. Doing it twice is doing it once. */
export async function complete(dir: string): Promise<void> {
  await rm(join(dir, INCOMING), { recursive: true, force: true })
  for (const name of await readdir(dir)) if (name.startsWith(READY)) await putAside(dir, name.slice(READY.length))
  for (const name of await readdir(dir)) if (name.startsWith(FILLING)) await fill(dir, name)
}

async function putAside(dir: string, stamp: string): Promise<void> {
  const aside = join(dir, `${ASIDE}${stamp}`)
  const names = (await readdir(dir)).filter(isReplaced)
  if (names.length > 0) await mkdir(aside, { recursive: true, mode: 0o700 })
  for (const name of names) await rename(join(dir, name), join(aside, name))
  if (names.length > 0) await syncFolder(aside)
  await rename(join(dir, `${READY}${stamp}`), join(dir, `${FILLING}${stamp}`))
  await syncFolder(dir)
}

async function fill(dir: string, name: string): Promise<void> {
  const from = join(dir, name)
  for (const entry of await readdir(from)) await rename(join(from, entry), join(dir, entry))
  await syncFolder(dir)
  await rmdir(from)
}

/** What belongs to one state of a gateway: the database with all that is beside it, the keys, the uploaded files. */
function isReplaced(name: string): boolean {
  return (
    name === DATABASE ||
    name.startsWith(`${DATABASE}-`) ||
    name.startsWith(`${DATABASE}.`) ||
    isSecret(name) ||
    name === 'files'
  )
}

/** Gives the note, how many contents there are, and how many are missing. */
async function unpack(file: string, to: string): Promise<[note: BackupNote, contents: number, missing: number]> {
  await rm(to, { recursive: true, force: true })
  await mkdir(join(to, 'files'), { recursive: true, mode: 0o700 })
  const folders = new Set([to, join(to, 'files')])
  const contents = new Set<string>()
  const note = await readBackup(file, async ({ name, bytes }) => {
    const path = join(to, name)
    if (!folders.has(dirname(path))) await mkdir(dirname(path), { mode: 0o700 })
    folders.add(dirname(path))
    await pipeline(Readable.from(bytes), createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true }))
    if (name.startsWith('files/')) contents.add(name.slice('files/'.length).replace('/', ''))
  })
  try {
    checkDatabase(join(to, DATABASE))
  } catch (err) {
    throw new Error(`${file} cannot be used as a backup: ${(err as Error).message}`, { cause: err })
  }
  for (const folder of folders) await syncFolder(folder)
  const wanted = listContents(join(to, DATABASE))
  return [note, contents.size, wanted.filter((sha256) => !contents.has(sha256)).length]
}

import { readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { migrate, readVersion, SCHEMA_VERSION } from './migrations/index.ts'
import { describeAccess } from './lock.ts'
import { isBusy, isDamage, isFull, isUnwritable } from './result-codes.ts'

export interface Migrated {
  /** Schema versions; 0 is an empty file. */
  readonly from: number
  readonly to: number
  /** A copy of the database as it was, when there was something in it to change. */
  readonly copy?: string
}

export interface OpenedDatabase extends Migrated {
  readonly db: DatabaseSync
}

export interface OpenOptions {
  /** Looks for damage first. */
  readonly isChecked?: boolean
}

/** Reading through the whole database takes a second per gigabyte and more: larger ones show damage when it is met. */
const CHECKED_BYTES = 256 * 1024 * 1024
/** Copies from before a migration that are kept. */
const KEPT_COPIES = 2

/**
 * Opens a database for reading and writing and brings it to the newest schema; `path` may be `:memory:`. Before the
 * schema of an existing one changes, a copy is put beside it. Throws with a sentence for people.
 */
export async function openDatabase(path: string, { isChecked = false }: OpenOptions = {}): Promise<OpenedDatabase> {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(path)
    db.exec('pragma busy_timeout = 5000; pragma foreign_keys = on')
    await enterWalMode(db)
    db.exec('pragma synchronous = full; pragma wal_autocheckpoint = 0; pragma cache_size = -32000')
    const from = readVersion(db)
    if (isChecked) lookForDamage(db)
    const copy = from > 0 && from < SCHEMA_VERSION && path !== ':memory:' ? keepCopy(db, path, from) : undefined
    migrate(db)
    // From here on the writer waits for others by itself, without holding up the event loop.
    db.exec('pragma busy_timeout = 20')
    return { db, from, to: SCHEMA_VERSION, ...(copy !== undefined && { copy }) }
  } catch (err) {
    db?.close()
    throw explain(err, path)
  }
}

/** Brings the database to the newest schema and closes it. */
export async function migrateDatabase(path: string): Promise<Migrated> {
  const { db, ...migrated } = await openDatabase(path)
  db.close()
  return migrated
}

/** The first switch to write-ahead mode needs the file alone, and does not wait for the lock by itself. */
async function enterWalMode(db: DatabaseSync): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      db.exec('pragma journal_mode = wal')
      return
    } catch (err) {
      if (!isBusy(err) || tries === 50) throw err
      await delay(100)
    }
  }
}

function lookForDamage(db: DatabaseSync): void {
  const numberOf = (pragma: string): number => Number(Object.values(db.prepare(`pragma ${pragma}`).get() ?? {})[0])
  if (numberOf('page_count') * numberOf('page_size') > CHECKED_BYTES) return
  const said = String(Object.values(db.prepare('pragma quick_check(1)').get() ?? {})[0])
  // It may be a headline first.
  if (said !== 'ok') throw new DamageError(said.split('\n').at(-1))
}

class DamageError extends Error {}

/** `lactea.db.schema-4`, from before 4 became 5. Only the newest few stay. */
function keepCopy(db: DatabaseSync, path: string, version: number): string {
  const copy = `${path}.schema-${version}`
  const unfinished = `${copy}.${process.pid}`
  rmSync(unfinished, { force: true })
  try {
    db.prepare('vacuum into ?').run(unfinished)
    renameSync(unfinished, copy)
  } catch (err) {
    rmSync(unfinished, { force: true })
    throw new Error(
      `cannot copy the database before its schema changes (${(err as Error).message}): make room beside ${path}, and start again`,
      { cause: err }
    )
  }
  for (const old of listCopies(path).slice(KEPT_COPIES)) rmSync(old)
  return copy
}

/** The newest first. */
function listCopies(path: string): string[] {
  const prefix = `${basename(path)}.schema-`
  const versionOf = (name: string): number => Number(name.slice(prefix.length))
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && Number.isInteger(versionOf(name)))
    .toSorted((a, b) => versionOf(b) - versionOf(a))
    .map((name) => join(dirname(path), name))
}

/** What SQLite says of a file tells nobody what to do. */
function explain(err: unknown, path: string): unknown {
  const { message } = err as Error
  if (err instanceof DamageError || isDamage(err))
    return new Error(
      `the database ${path} is damaged (${message}): put a backup in its place with "lactea restore FILE --force", which keeps the damaged one`,
      { cause: err }
    )
  if (isBusy(err))
    return new Error(`another program has locked the database ${path}: end it, and try again`, { cause: err })
  if (isFull(err)) return new Error(`the disk is full: make room beside ${path}, and start again`, { cause: err })
  if (isUnwritable(err))
    return new Error(`cannot write to the database ${path}: ${describeAccess(path)}`, { cause: err })
  return err
}

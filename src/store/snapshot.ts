import { closeSync, existsSync, fdatasyncSync, openSync } from 'node:fs'
import { backup, DatabaseSync } from 'node:sqlite'
import { INBOX } from '../core/event.ts'
import { SCHEMA_VERSION } from './migrations/index.ts'
import { isDamage } from './result-codes.ts'

/** What a copy of the database turned out to hold. */
export interface DatabaseSummary {
  readonly schema: number
  /** The last event of the log; 0 when there is none. */
  readonly lastEventId: number
  readonly accounts: number
  readonly messages: number
}

export interface CopyOptions {
  readonly from: string
  /** A file that is not there yet. */
  readonly to: string
  /** Between the pieces, so that who serves others meanwhile comes to the disk; it may stop everything by throwing. */
  readonly rest: () => void
}

/** Half a megabyte, given to the disk at once: later, all together, it would hold up the others there for long. */
const PIECE_PAGES = 128

/**
 * Copies a database that others may be writing to, as it was at one moment: everything that was committed before the
 * call is in it. Nobody waits for it, but the write-ahead log cannot begin anew until it is done.
 * Throws with a sentence when it is damaged.
 */
export async function copyDatabase(order: CopyOptions): Promise<void> {
  try {
    await copy(order)
  } catch (err) {
    if (!isDamage(err)) throw err
    throw new Error(`the database ${order.from} is damaged: ${(err as Error).message}`, { cause: err })
  }
}

async function copy({ from, to, rest }: CopyOptions): Promise<void> {
  const db = openExisting(from)
  try {
    // Without this SQLite would begin anew with every write of somebody else, and under load never come to an end.
    db.exec('begin')
    db.prepare('select count(*) from sqlite_schema').get()
    await backup(db, to, {
      rate: PIECE_PAGES,
      progress() {
        syncFile(to)
        rest()
      }
    })
  } finally {
    db.close()
  }
  detach(to)
  syncFile(to)
}

/**
 * Reads all of a database that nobody else has open. Throws with a sentence when it is damaged, none of Lactea's, or of
 * a newer version.
 */
export function checkDatabase(path: string): DatabaseSummary {
  const db = openExisting(path)
  try {
    const schema = numberOf(db, 'pragma user_version')
    if (schema < 1) throw new Error('it holds no database of Lactea')
    if (schema > SCHEMA_VERSION)
      throw new Error(
        `its database has schema ${schema}, this Lactea knows up to ${SCHEMA_VERSION}: use the version that made it, or a newer one`
      )
    const [fault] = db.prepare('pragma integrity_check(1)').all()
    const words = String(Object.values(fault ?? {})[0])
    if (words !== 'ok') throw new Error(`its database is damaged: ${words.split('\n').at(-1)}`)
    return {
      schema,
      lastEventId: numberOf(db, 'select coalesce(max(id), 0) from events'),
      accounts: numberOf(db, 'select count(*) from accounts'),
      messages: numberOf(db, 'select count(*) from messages')
    }
  } catch (err) {
    if (!isDamage(err)) throw err
    throw new Error(`its database is damaged: ${(err as Error).message}`, { cause: err })
  } finally {
    db.close()
  }
}

/** The SHA-256 of every uploaded content that the database knows, in hexadecimal. Contents came with schema 2. */
export function listContents(path: string): string[] {
  const db = openExisting(path)
  try {
    if (numberOf(db, 'pragma user_version') < 2) return []
    return db
      .prepare('select distinct sha256 from files order by sha256')
      .all()
      .map(({ sha256 }) => String(sha256))
  } finally {
    db.close()
  }
}

/** The last event that a database has given out; undefined when it cannot be read. */
export function findLastEventId(path: string): number | undefined {
  try {
    const db = openExisting(path)
    try {
      return numberOf(db, 'select coalesce(max(id), 0) from events')
    } finally {
      db.close()
    }
  } catch {
    return undefined
  }
}

/**
 * Lets ids of events and messages go on behind `lastId`, by an event that nobody hears. What was given out after a
 * backup was made would come again for something else, and receivers that know the id would take it for a repetition.
 */
export function skipEventIds(path: string, lastId: number, time: number): void {
  const db = openExisting(path)
  try {
    db.prepare(
      `insert into events(id, chat_id, event_seq, kind, time, data)
       select :id, :chat, coalesce(max(event_seq), 0) + 1, 'log.restored', :time, '{}' from events where chat_id = :chat`
    ).run({ id: lastId + 1, chat: INBOX.id, time })
  } finally {
    db.close()
  }
}

/** Makes the copy one file: without write-ahead mode nothing of it is ever beside it. */
function detach(path: string): void {
  const db = openExisting(path)
  try {
    db.exec('pragma journal_mode = delete')
  } finally {
    db.close()
  }
}

/** SQLite would make a new one. */
function openExisting(path: string): DatabaseSync {
  if (!existsSync(path)) throw new Error(`there is no database at ${path}`)
  return new DatabaseSync(path, { timeout: 5000 })
}

function numberOf(db: DatabaseSync, sql: string): number {
  return Number(Object.values(db.prepare(sql).get() ?? {})[0])
}

function syncFile(path: string): void {
  const file = openSync(path, 'r+')
  try {
    fdatasyncSync(file)
  } finally {
    closeSync(file)
  }
}

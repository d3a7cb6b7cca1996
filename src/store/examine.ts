import { DatabaseSync } from 'node:sqlite'
import { SCHEMA_VERSION } from './migrations/index.ts'

export interface DatabaseFindings {
  /** Unix seconds; 0 when nothing has happened yet. */
  readonly lastEventAt: number
  /** Bots that are on and have no token here. */
  readonly tokenless: readonly number[]
}

/** Looks at a database that a gateway may be working on, and writes nothing. Throws with a sentence when something is wrong with it. */
export function examineDatabase(path: string): DatabaseFindings {
  const db = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
  try {
    const schema = Number(valueOf(db, 'pragma user_version'))
    if (schema > SCHEMA_VERSION)
      throw new Error(
        `it has schema ${schema}, this Lactea knows up to ${SCHEMA_VERSION}: use the version that made it`
      )
    // Indexes are not compared with their tables, which would take minutes where there is much.
    const words = String(valueOf(db, 'pragma quick_check(1)'))
    if (words !== 'ok') throw new Error(`it is damaged: ${words}`)
    if (schema === 0) return { lastEventAt: 0, tokenless: [] }
    const tokenless = db
      .prepare(
        `select id from accounts where kind = 'bot' and disabled_at is null
           and id not in (select account_id from tokens) order by id`
      )
      .all()
    return {
      lastEventAt: Number(
        valueOf(db, 'select coalesce(max(time), 0) from (select time from events order by id desc limit 1)')
      ),
      tokenless: tokenless.map(({ id }) => Number(id))
    }
  } finally {
    db.close()
  }
}

function valueOf(db: DatabaseSync, sql: string): unknown {
  return Object.values(db.prepare(sql).get() ?? {})[0]
}

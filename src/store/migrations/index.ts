import type { DatabaseSync } from 'node:sqlite'
import { initial } from './001-initial.ts'
import { people } from './002-people.ts'
import { bots } from './003-bots.ts'
import { maim } from './004-maim.ts'
import { guarantees } from './005-guarantees.ts'

/** One step from version n to n + 1; its place in the list is its version and never changes. */
const MIGRATIONS: readonly string[] = [initial, people, bots, maim, guarantees]

export const SCHEMA_VERSION = MIGRATIONS.length

/**
 * Brings the database to the newest schema. Each step and its version number are one transaction, so a process that is
 * killed in between leaves a database that the next start goes on from.
 * Throws when the database was made by a newer Lactea.
 */
export function migrate(db: DatabaseSync): void {
  for (let version = readVersion(db); version < SCHEMA_VERSION; version = readVersion(db)) {
    db.exec('begin immediate')
    try {
      // Somebody else may have taken this step while we waited for the lock.
      if (readVersion(db) === version) {
        db.exec(MIGRATIONS[version] as string)
        db.exec(`pragma user_version = ${version + 1}`)
      }
      db.exec('commit')
    } catch (err) {
      db.exec('rollback')
      throw err
    }
  }
}

/** The schema of the database, 0 for an empty one. Throws when it is newer than what is known here. */
export function readVersion(db: DatabaseSync): number {
  const { user_version: version } = db.prepare('pragma user_version').get() as { user_version: number }
  if (version > SCHEMA_VERSION) {
    throw new Error(
      `the database has schema ${version}, this Lactea knows up to ${SCHEMA_VERSION}: start the newer version, or restore a backup`
    )
  }
  return version
}

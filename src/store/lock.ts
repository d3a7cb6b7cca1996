import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isBusy } from './result-codes.ts'

/** A connection that nobody refers to any more is closed by the garbage collector, and its lock with it. */
const held = new Set<DatabaseSync>()

/**
 * Makes sure that one gateway at a time works on a data directory: two would deliver every webhook twice.
 * The lock is the operating system's on an open file, so it ends with the process, however that ends.
 * Throws when another process holds it. Gives back its release.
 */
export function lockDirectory(dir: string): () => void {
  const db = new DatabaseSync(join(dir, 'lactea.lock'))
  try {
    db.exec('begin exclusive')
  } catch (err) {
    db.close()
    if (!isBusy(err))
      throw new Error(`cannot write to the data directory ${dir}: ${(err as Error).message}`, { cause: err })
    throw new Error(
      `another gateway is running on the data directory ${dir}: stop it, or give this one its own with --data-dir`,
      { cause: err }
    )
  }
  held.add(db)
  return () => {
    if (held.delete(db)) db.close()
  }
}

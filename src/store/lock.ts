import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
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
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(join(dir, 'lactea.lock'))
    db.exec('begin exclusive')
  } catch (err) {
    db?.close()
    if (!isBusy(err))
      throw new Error(
        `cannot write to the data directory ${dir}: ${(err as Error).message}; ${describeAccess(join(dir, 'lactea.lock'))}`,
        { cause: err }
      )
    throw new Error(
      `another gateway is running on the data directory ${dir}: stop it, or give this one its own with --data-dir`,
      { cause: err }
    )
  }
  const open = db
  held.add(open)
  return () => {
    if (held.delete(open)) open.close()
  }
}

/** Who owns a file, or the nearest folder above that is there, who we are, and what to do about it. */
export function describeAccess(path: string): string {
  const uid = process.getuid?.()
  for (let at = path; ; at = dirname(at)) {
    const found = statSync(at, { throwIfNoEntry: false })
    if (!found && at !== dirname(at)) continue
    if (!found || uid === undefined) return 'look who may write there'
    const mode = (found.mode & 0o777).toString(8).padStart(3, '0')
    const facts = `${at} belongs to user ${found.uid} (mode ${mode}), and the gateway runs as user ${uid}`
    if (uid === 0 || found.uid === uid)
      return `${facts}; look whether the disk is mounted for reading only, and at the mode`
    return `${facts}; let it write there, such as with "chown -R ${uid} ${at}"`
  }
}

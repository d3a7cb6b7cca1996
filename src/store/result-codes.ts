const BUSY = 5

/**
 * Primary result codes of SQLite that say something about the database and nothing about the statement: busy, locked,
 * no memory, read-only, I/O error, corrupt, full, cannot open, not a database.
 */
const TROUBLE: readonly (number | undefined)[] = [BUSY, 6, 7, 8, 10, 11, 13, 14, 26]

function primaryCode(err: unknown): number | undefined {
  const { errcode } = err as { errcode?: number }
  return errcode === undefined ? undefined : errcode & 0xff
}

/** Another process has the lock; it will give it back. */
export function isBusy(err: unknown): boolean {
  return primaryCode(err) === BUSY
}

/** The database cannot be written now, whatever is asked of it. */
export function isTrouble(err: unknown): boolean {
  return TROUBLE.includes(primaryCode(err))
}

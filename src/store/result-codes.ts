const BUSY = 5
const READ_ONLY = 8
const IO_ERROR = 10
const CORRUPT = 11
const FULL = 13
const CANNOT_OPEN = 14
const NO_DATABASE = 26

/**
 * Primary result codes of SQLite that say something about the database and nothing about the statement: busy, locked,
 * no memory, read-only, I/O error, corrupt, full, cannot open, not a database.
 */
const TROUBLE: readonly (number | undefined)[] = [
  BUSY,
  6,
  7,
  READ_ONLY,
  IO_ERROR,
  CORRUPT,
  FULL,
  CANNOT_OPEN,
  NO_DATABASE
]

function primaryCode(err: unknown): number | undefined {
  const { errcode } = err as { errcode?: number }
  return errcode === undefined ? undefined : errcode & 0xff
}

/** Another process has the lock; it will give it back. */
export function isBusy(err: unknown): boolean {
  return primaryCode(err) === BUSY
}

/** A commit that ends so may be on the disk all the same: the flush has failed, perhaps not the writing. */
export function isDoubtful(err: unknown): boolean {
  return primaryCode(err) === IO_ERROR
}

/** The file, or the disk that it is on, takes nothing from this process: read-only, or it cannot be opened. */
export function isUnwritable(err: unknown): boolean {
  const code = primaryCode(err)
  return code === READ_ONLY || code === CANNOT_OPEN
}

/** There is no room left on the disk. */
export function isFull(err: unknown): boolean {
  return primaryCode(err) === FULL
}

/** What is in the file is not what SQLite has written there. */
export function isDamage(err: unknown): boolean {
  const code = primaryCode(err)
  return code === CORRUPT || code === NO_DATABASE
}

/** The database cannot be written now, whatever is asked of it. */
export function isTrouble(err: unknown): boolean {
  return TROUBLE.includes(primaryCode(err))
}

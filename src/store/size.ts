import { stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Bytes of the database with its write-ahead log. */
export async function databaseBytes(dir: string): Promise<number> {
  const path = join(dir, 'lactea.db')
  const sizes = await Promise.all([path, `${path}-wal`].map((file) => stat(file).catch(() => ({ size: 0 }))))
  return sizes.reduce((sum, { size }) => sum + size, 0)
}

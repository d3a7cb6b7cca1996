import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

// Restores a backup with force and dies just before its n-th change to the file system; ends with 0 when there are fewer.
const [dir = '', file = '', killAt = ''] = process.argv.slice(2)
let count = 0
const files = promises as unknown as Record<string, (...args: unknown[]) => unknown>
for (const name of ['mkdir', 'rename', 'rm', 'rmdir']) {
  const real = files[name] as (...args: unknown[]) => unknown
  files[name] = (...args) => {
    count++
    if (count === Number(killAt)) process.kill(process.pid, 'SIGKILL')
    return real(...args)
  }
}
syncBuiltinESMExports()
const { restoreBackup } = await import('../../../src/restore.ts')
await restoreBackup({ dir, file, isForced: true, now: 1_700_000_000 })

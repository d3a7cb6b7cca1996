import { DatabaseSync } from 'node:sqlite'
import { openSqliteStore } from '../../../src/store/index.ts'

// Opens the database and dies just before its n-th order to SQLite; ends with 0 when there are fewer.
const [path = '', killAt = ''] = process.argv.slice(2)
let count = 0
// oxlint-disable-next-line typescript/unbound-method -- called on the object it was called on
const { exec } = DatabaseSync.prototype
DatabaseSync.prototype.exec = function (sql) {
  count++
  if (count === Number(killAt)) process.kill(process.pid, 'SIGKILL')
  exec.call(this, sql)
}
const store = await openSqliteStore({ path, isShort: true })
await store.close()

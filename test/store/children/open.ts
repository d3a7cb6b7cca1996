import { DatabaseSync, StatementSync } from 'node:sqlite'
import { openSqliteStore } from '../../../src/store/index.ts'

// Opens the database and dies just before its n-th order to SQLite; ends with 0 when there are fewer.
const [path = '', killAt = ''] = process.argv.slice(2)
let count = 0
function step(): void {
  count++
  if (count === Number(killAt)) process.kill(process.pid, 'SIGKILL')
}
// oxlint-disable-next-line typescript/unbound-method -- called on the object it was called on
const { exec } = DatabaseSync.prototype
DatabaseSync.prototype.exec = function (sql) {
  step()
  exec.call(this, sql)
}
// oxlint-disable-next-line typescript/unbound-method -- called on the object it was called on
const { run } = StatementSync.prototype
StatementSync.prototype.run = function (...values: unknown[]) {
  step()
  return run.apply(this, values as never)
}
const store = await openSqliteStore({ path, isShort: true })
await store.close()

export { lockDirectory } from './lock.ts'
export { openSqliteStore, type SqliteOptions } from './sqlite.ts'

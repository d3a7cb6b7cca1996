export { describeAccess, lockDirectory } from './lock.ts'
export { migrateDatabase } from './open.ts'
export { openSqliteStore, type SqliteOptions } from './sqlite.ts'
export { checkDatabase, copyDatabase, listContents, type DatabaseSummary } from './snapshot.ts'

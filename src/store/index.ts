export { examineDatabase, type DatabaseFindings } from './examine.ts'
export { describeAccess, lockDirectory } from './lock.ts'
export { migrateDatabase } from './open.ts'
export { databaseBytes } from './size.ts'
export { openSqliteStore, type SqliteOptions } from './sqlite.ts'
export {
  checkDatabase,
  copyDatabase,
  findLastEventId,
  listContents,
  skipEventIds,
  type DatabaseSummary
} from './snapshot.ts'

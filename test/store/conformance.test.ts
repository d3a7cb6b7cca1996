import { join } from 'node:path'
import t from 'tap'
import { openSqliteStore } from '../../src/store/index.ts'
import { storeSuite } from '../suites/store.ts'

t.test('SQLite in memory', async (t) => {
  storeSuite(t, async (t) => {
    const store = await openSqliteStore({ path: ':memory:' })
    t.teardown(() => store.close())
    return store
  })
})

t.test('SQLite on a file', async (t) => {
  storeSuite(t, async (t) => {
    let close = async (): Promise<void> => {}
    // Asked for before the directory, so that the store is closed when the directory is removed.
    t.teardown(() => close())
    const store = await openSqliteStore({ path: join(t.testdir(), 'lactea.db'), onError: (err) => t.error(err) })
    close = () => store.close()
    return store
  })
})

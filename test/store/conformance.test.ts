import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Store } from '../../src/core/store.ts'
import { openSqliteStore } from '../../src/store/index.ts'
import { auditStoreSuite } from '../suites/audit-store.ts'
import { callStoreSuite } from '../suites/call-store.ts'
import { deliveryStoreSuite } from '../suites/delivery-store.ts'
import { effectStoreSuite } from '../suites/effect-store.ts'
import { fileStoreSuite } from '../suites/file-store.ts'
import { friendStoreSuite } from '../suites/friend-store.ts'
import { groupFileStoreSuite } from '../suites/group-file-store.ts'
import { groupRequestStoreSuite } from '../suites/group-request-store.ts'
import { mailStoreSuite } from '../suites/mail-store.ts'
import { noteStoreSuite } from '../suites/note-store.ts'
import { noticeStoreSuite } from '../suites/notice-store.ts'
import { peerStoreSuite } from '../suites/peer-store.ts'
import { peopleStoreSuite } from '../suites/people-store.ts'
import { storeSuite } from '../suites/store.ts'

const suite = (t: Test, open: (t: Test) => Promise<Store>): void => {
  storeSuite(t, open)
  t.test('operators', async (t) => auditStoreSuite(t, open))
  t.test('calls', async (t) => callStoreSuite(t, open))
  t.test('webhooks', async (t) => deliveryStoreSuite(t, open))
  t.test('keyed calls', async (t) => effectStoreSuite(t, open))
  t.test('people', async (t) => peopleStoreSuite(t, open))
  t.test('files', async (t) => fileStoreSuite(t, open))
  t.test('files of groups', async (t) => groupFileStoreSuite(t, open))
  t.test('friends', async (t) => friendStoreSuite(t, open))
  t.test('mail', async (t) => mailStoreSuite(t, open))
  t.test('peers', async (t) => peerStoreSuite(t, open))
  t.test('group requests', async (t) => groupRequestStoreSuite(t, open))
  t.test('notes', async (t) => noteStoreSuite(t, open))
  t.test('notices', async (t) => noticeStoreSuite(t, open))
}

t.test('SQLite in memory', async (t) => {
  suite(t, async (t) => {
    const store = await openSqliteStore({ path: ':memory:' })
    t.teardown(() => store.close())
    return store
  })
})

t.test('SQLite on a file', async (t) => {
  suite(t, async (t) => {
    let close = async (): Promise<void> => {}
    // Asked for before the directory, so that the store is closed when the directory is removed.
    t.teardown(() => close())
    const store = await openSqliteStore({ path: join(t.testdir(), 'lactea.db'), onError: (err) => t.error(err) })
    close = () => store.close()
    return store
  })
})

import type { Test } from 'tap'
import type { Notice } from '../../src/core/notices.ts'
import type { Store } from '../../src/core/store.ts'

const NOW = 1_700_000_000
const [ALICE, BOB] = [10001, 10002] as const

/** What every driver must do about notices. `open` gives an empty store that is closed when the test ends. */
export function noticeStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  async function openPeopled(t: Test): Promise<Store> {
    const store = await open(t)
    await store.addAccount({ id: ALICE, kind: 'person', nickname: 'Alice', createdAt: NOW })
    await store.addAccount({ id: BOB, kind: 'person', nickname: 'Bob', createdAt: NOW + 100 })
    return store
  }

  const add = (store: Store, title: string, more: Partial<Notice> = {}, keepFrom = 0): Promise<Notice> =>
    store.addNotice(
      { audience: null, title, message: 'words', kind: 'info', actionUrl: '', createdAt: NOW + 200, ...more },
      keepFrom
    )

  const titles = (notices: readonly Notice[]): string[] => notices.map(({ title }) => title)
  const page = { accountId: ALICE, since: 0, limit: 10 }

  t.test('a notice is read as it was added, in order', async (t) => {
    const store = await openPeopled(t)
    t.equal(await store.lastNoticeId(), 0)
    const first = await add(store, 'one', { kind: 'warning', actionUrl: '/there', audience: [BOB, ALICE] })
    const second = await add(store, 'two')
    t.match(first, { audience: [BOB, ALICE], title: 'one', message: 'words', kind: 'warning', actionUrl: '/there' })
    t.ok(second.id > first.id)
    t.equal(second.audience, null)
    t.strictSame(await store.readNotices(0, 10), [first, second])
    t.strictSame(await store.readNotices(0, 1), [first])
    t.strictSame(await store.readNotices(first.id, 10), [second])
    t.equal(await store.lastNoticeId(), second.id)
  })

  t.test('an inbox holds what was for the account, and for everybody since it was made', async (t) => {
    const store = await openPeopled(t)
    await add(store, 'before Bob', { createdAt: NOW + 50 })
    await add(store, 'for Bob', { audience: [BOB] })
    await add(store, 'for both', { audience: [ALICE, BOB] })
    await add(store, 'for all')
    t.strictSame(titles(await store.listNotices(page)), ['for all', 'for both', 'before Bob'])
    t.strictSame(titles(await store.listNotices({ ...page, accountId: BOB })), ['for all', 'for both', 'for Bob'])
    t.strictSame(await store.listNotices({ ...page, accountId: 99999 }), [])
  })

  t.test('an inbox is read from the newest back, or forward from a place', async (t) => {
    const store = await openPeopled(t)
    const notices: Notice[] = []
    for (let index = 1; index <= 5; index++) notices.push(await add(store, `${index}`, { createdAt: NOW + index }))
    t.strictSame(titles(await store.listNotices({ ...page, limit: 2 })), ['5', '4'])
    t.strictSame(titles(await store.listNotices({ ...page, limit: 2, afterId: 0 })), ['1', '2'])
    t.strictSame(titles(await store.listNotices({ ...page, afterId: notices[2]?.id })), ['4', '5'])
    t.strictSame(titles(await store.listNotices({ ...page, since: NOW + 4 })), ['5', '4'])
  })

  t.test('adding one removes what is too old, and gives no number twice', async (t) => {
    const store = await openPeopled(t)
    const old = await add(store, 'old', { createdAt: NOW + 1 })
    const late = await add(store, 'late', { createdAt: NOW + 2 })
    const next = await add(store, 'new', { createdAt: NOW + 3 }, NOW + 3)
    t.strictSame(await store.readNotices(0, 10), [next])
    t.strictSame([old.id < late.id, late.id < next.id], [true, true])
  })
}

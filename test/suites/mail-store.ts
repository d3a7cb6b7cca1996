import type { Test } from 'tap'
import type { Store } from '../../src/core/store.ts'

const ROAD = 'api 10001 qq'

/** What every store must do with messages between maim peers. */
export function mailStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  const mail = (msgId: string, createdAt = 1000, road = ROAD): Parameters<Store['keepMail']>[0] => ({
    road,
    msgId,
    text: `{"n":"${msgId} 🦊"}`,
    createdAt
  })
  const waiting = async (store: Store, road = ROAD): Promise<string[]> =>
    (await store.readMail(road, 0, 1000)).map(({ msgId }) => msgId)

  t.test('mail is read in the order in which it was kept, road by road', async (t) => {
    const store = await open(t)
    t.equal(await store.keepMail(mail('b')), 1)
    t.equal(await store.keepMail(mail('a')), 2)
    t.equal(await store.keepMail(mail('c', 1000, 'api 10002 qq')), 1)
    const all = await store.readMail(ROAD, 0, 10)
    t.match(all, [
      { msgId: 'b', text: '{"n":"b 🦊"}', createdAt: 1000 },
      { msgId: 'a', text: '{"n":"a 🦊"}', createdAt: 1000 }
    ])
    t.equal(all.length, 2)
    t.ok((all[0]?.id ?? 0) < (all[1]?.id ?? 0))
    t.match(await store.readMail(ROAD, all[0]?.id ?? 0, 10), [{ msgId: 'a' }])
    t.equal((await store.readMail(ROAD, 0, 1)).length, 1)
    t.same(await store.readMail('api 10003 qq', 0, 10), [])
  })

  t.test('the same message on the same road is kept once, as it came first', async (t) => {
    const store = await open(t)
    await store.keepMail(mail('a'))
    t.equal(await store.keepMail({ ...mail('a'), text: 'other' }), 1)
    t.equal(await store.keepMail({ ...mail('a'), road: 'api 10002 qq' }), 1, 'another road, another message')
    t.match(await store.readMail(ROAD, 0, 10), [{ text: '{"n":"a 🦊"}' }])
  })

  t.test('what is dropped is gone, and counted no more', async (t) => {
    const store = await open(t)
    for (const msgId of ['a', 'b', 'c']) await store.keepMail(mail(msgId))
    await store.keepMail(mail('a', 1000, 'api 10002 qq'))
    await store.dropMail(ROAD, ['a', 'b', 'never there'])
    t.same(await waiting(store), ['c'])
    t.equal(await store.keepMail(mail('d')), 2)
    await store.dropMail(ROAD, [])
    t.same(await waiting(store), ['c', 'd'])
    t.same(await waiting(store, 'api 10002 qq'), ['a'], 'on another road it is another message')
  })

  t.test('an id is not given again, so that a reader who waits at the end misses nothing', async (t) => {
    const store = await open(t)
    await store.keepMail(mail('a'))
    const [a] = await store.readMail(ROAD, 0, 10)
    await store.dropMail(ROAD, ['a'])
    await store.keepMail(mail('b'))
    t.match(await store.readMail(ROAD, a?.id ?? 0, 10), [{ msgId: 'b' }])
  })

  t.test('tidying drops what is too old, and of the rest the oldest beyond the bound of each road', async (t) => {
    const store = await open(t)
    await store.keepMail(mail('old', 899))
    for (const msgId of ['a', 'b', 'c', 'd']) await store.keepMail(mail(msgId, 900))
    await store.keepMail(mail('other', 899, 'api 10002 qq'))
    await store.keepMail(mail('x', 900, 'api 10002 qq'))
    await store.keepMail(mail('y', 900, 'api 10002 qq'))
    t.equal(await store.tidyMail({ keptFrom: 900, keep: 2, keepBytes: 1000 }), 4)
    t.same(await waiting(store), ['c', 'd'])
    t.same(await waiting(store, 'api 10002 qq'), ['x', 'y'])
    t.equal(await store.tidyMail({ keptFrom: 900, keep: 2, keepBytes: 1000 }), 0)
    t.equal(await store.keepMail(mail('e', 901)), 3)
  })

  t.test('tidying drops the oldest beyond so many bytes of a road', async (t) => {
    const store = await open(t)
    for (const msgId of ['a', 'b', 'c', 'd']) await store.keepMail(mail(msgId))
    await store.keepMail(mail('x', 1000, 'api 10002 qq'))
    const size = Buffer.byteLength(mail('a').text)
    const bounds = { keptFrom: 0, keep: 100, keepBytes: 2 * size }
    t.equal(await store.tidyMail(bounds), 2)
    t.same(await waiting(store), ['c', 'd'])
    t.same(await waiting(store, 'api 10002 qq'), ['x'])
    t.equal(await store.tidyMail({ ...bounds, keepBytes: 2 * size - 1 }), 1)
    t.equal(await store.keepMail(mail('e')), 2)
  })

  t.test('many who keep at once are all counted', async (t) => {
    const store = await open(t)
    const counts = await Promise.all(Array.from({ length: 300 }, (_, index) => store.keepMail(mail(`m${index}`))))
    t.same(
      counts,
      Array.from({ length: 300 }, (_, index) => index + 1)
    )
    t.same(
      await waiting(store),
      Array.from({ length: 300 }, (_, index) => `m${index}`)
    )
  })
}

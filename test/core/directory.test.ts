import t from 'tap'
import { refusal } from '../suites/store.ts'
import { GROUP, openWorld, START, who } from './world.ts'

t.test('accounts are found by exactly their phone number or username, and by words', async (t) => {
  const { accounts, directory } = await openWorld(t)
  const { id } = await accounts.add({ kind: 'person', nickname: 'Zoe', username: 'zoe_1', phone: '+8613800000000' })
  const found = async (query: Parameters<typeof directory.search>[0]): Promise<number[]> =>
    (await directory.search(query, 10)).map((account) => account.id)
  t.strictSame(await found({ phone: '+8613800000000' }), [id])
  t.strictSame(await found({ username: 'zoe_1' }), [id])
  t.strictSame(await found({ phone: '+8613800000000', username: 'zoe_1' }), [id])
  t.strictSame(await found({ phone: '+8613800000000', username: 'owner' }), [], 'both are to fit')
  t.strictSame(await found({ keyword: 'oe' }), [id])
  for (const query of [{ phone: '138' }, { phone: '' }, { username: 'zoe' }, { keyword: '8613800000000' }])
    t.strictSame(await found(query), [], JSON.stringify(query))
  t.equal(await refusal(directory.search({}, 10)), 'invalid')
  t.match(await directory.find({ phone: '+8613800000000' }), { id })
  t.equal(await refusal(directory.find({ username: 'nobody' })), 'not_found')
  t.notOk('passwordHash' in (await directory.find({ username: 'zoe_1' })), 'without what is kept for signing in')
})

t.test('who is switched off is not found', async (t) => {
  const { accounts, directory, store } = await openWorld(t)
  const { id } = await accounts.add({ kind: 'person', nickname: 'Zoe', username: 'zoe' })
  await store.disableAccount(id, START)
  t.equal(await refusal(directory.get(id)), 'not_found')
  t.equal(await refusal(directory.find({ username: 'zoe' })), 'not_found')
  t.strictSame(await directory.search({ keyword: 'Zoe' }, 10), [])
  t.equal(await refusal(directory.get(4242)), 'not_found')
})

t.test('whether somebody is there is shown to those who know them', async (t) => {
  const world = await openWorld(t)
  const { devices, directory, accounts, contacts, store } = world
  for (const id of [who.member, who.stranger]) devices.add({ id: `d${id}`, accountId: id, kind: 'person' })
  const look = async (viewer: number): Promise<boolean[]> => {
    const found = await Promise.all([who.member, who.stranger].map((id) => accounts.get(id)))
    return (await directory.surround(viewer, found)).map(({ isOnline }) => isOnline)
  }
  t.strictSame(await look(who.owner), [true, false], 'a stranger looks as if they never were there')
  t.strictSame(await look(who.stranger), [false, true], 'everybody is there for themselves')
  await contacts.block(who.member, who.owner)
  t.strictSame(await look(who.owner), [false, false], 'who has blocked somebody is no longer seen by them')
  t.ok(await store.isMember(GROUP, who.owner))
})

t.test('a profile changes what is given', async (t) => {
  const { accounts, directory, setTime } = await openWorld(t)
  setTime(START + 10)
  await directory.update(who.member, {})
  t.match(await accounts.get(who.member), { updatedAt: START })
  await directory.update(who.member, { nickname: 'Me', bio: 'I sing' })
  t.match(await accounts.get(who.member), { nickname: 'Me', bio: 'I sing', updatedAt: START + 10 })
})

import t from 'tap'
import { refusal } from '../suites/store.ts'
import { openWorld, who } from './world.ts'

t.test('signing in', async (t) => {
  const { accounts } = await openWorld(t)
  const { id } = await accounts.add({
    kind: 'person',
    nickname: 'Alice',
    username: 'alice',
    phone: '138',
    password: 'secret-1'
  })
  await accounts.add({ kind: 'person', nickname: 'No password', username: 'nobody' })
  const tries = [
    { login: { username: 'alice', password: 'secret-1' }, found: id },
    { login: { phone: '138', password: 'secret-1' }, found: id },
    { login: { username: 'alice', password: 'secret-2' }, found: undefined },
    { login: { username: 'alice', password: '' }, found: undefined },
    { login: { username: 'unknown', password: 'secret-1' }, found: undefined },
    { login: { username: 'unknown', password: 'nobody has this password' }, found: undefined },
    { login: { username: 'nobody', password: 'nobody has this password' }, found: undefined },
    { login: { password: 'secret-1' }, found: undefined }
  ]
  for (const { login, found } of tries) t.equal((await accounts.signIn(login))?.id, found, JSON.stringify(login))

  await accounts.setPassword(id, 'secret-2')
  t.equal(await accounts.signIn({ username: 'alice', password: 'secret-1' }), undefined)
  t.equal((await accounts.signIn({ username: 'alice', password: 'secret-2' }))?.id, id)
  await accounts.remove(id)
  t.equal(await accounts.signIn({ username: 'alice', password: 'secret-2' }), undefined)
  t.equal(await refusal(accounts.get(id)), 'not_found')
})

t.test('changing the password', async (t) => {
  const { accounts, store } = await openWorld(t)
  const { id } = await accounts.add({ kind: 'person', nickname: 'Alice', username: 'alice', password: 'secret-1' })
  const session = { accountId: id, refreshId: 'r', createdAt: 1, expiresAt: 2 }
  for (const name of ['kept', 'other']) await store.addSession({ ...session, id: name })
  const change = (oldPassword: string, newPassword: string): Promise<string[] | undefined> =>
    accounts.changePassword({ accountId: id, oldPassword, newPassword, keptSessionId: 'kept' })

  t.equal(await change('secret-2', 'secret-3'), undefined, 'wants the old one')
  t.equal(await refusal(change('secret-1', '12345')), 'invalid')
  t.equal((await accounts.signIn({ username: 'alice', password: 'secret-1' }))?.id, id)
  t.strictSame(await change('secret-1', 'secret-2'), ['other'])
  t.equal(await accounts.signIn({ username: 'alice', password: 'secret-1' }), undefined)
  t.equal((await accounts.signIn({ username: 'alice', password: 'secret-2' }))?.id, id)

  const nobody = { accountId: who.stranger, oldPassword: 'nobody has this password', newPassword: 'secret-2' }
  t.equal(await accounts.changePassword({ ...nobody, keptSessionId: undefined }), undefined, 'there is none to know')
})

t.test('a short password is refused and nothing is made', async (t) => {
  const { accounts, store } = await openWorld(t)
  t.equal(await refusal(accounts.add({ kind: 'person', nickname: 'A', username: 'a', password: '12345' })), 'invalid')
  t.equal(await store.findAccountByLogin({ username: 'a' }), undefined)
  t.equal(await refusal(accounts.setPassword(who.member, '12345')), 'invalid')
})

t.test('of a token only the digest is kept', async (t) => {
  const { accounts, store } = await openWorld(t)
  await accounts.setToken(who.bot, 'the-token')
  t.equal(await store.findAccountByToken(new TextEncoder().encode('the-token')), undefined)
  t.equal(await store.countTokens(who.bot), 1)
})

t.test('friends', async (t) => {
  const { accounts } = await openWorld(t)
  t.equal(await refusal(accounts.befriend(who.owner, who.owner)), 'invalid')
  t.equal(await refusal(accounts.befriend(who.owner, 4242)), 'not_found')
  t.equal(await refusal(accounts.getFriend(who.owner, who.member)), 'not_found')
  await accounts.befriend(who.owner, who.member)
  t.match(await accounts.getFriend(who.member, who.owner), { id: who.owner, nickname: 'owner' })
  await accounts.remove(who.owner)
  t.equal(await refusal(accounts.getFriend(who.member, who.owner)), 'not_found')
  t.equal(await refusal(accounts.befriend(who.member, who.owner)), 'not_found')
})

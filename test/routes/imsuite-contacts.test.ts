import t from 'tap'
import { text } from '../helpers/app.ts'
import {
  alice,
  bob,
  carol,
  heardSoFar,
  openDevice,
  request,
  startPeople,
  TIMESTAMP,
  tokenOf
} from '../helpers/people.ts'

void t.test('contacts', async (t) => {
  t.test('are added by id, username or phone, listed with their accounts, changed and removed', async (t) => {
    const app = await startPeople(t)
    const token = await tokenOf(alice)
    await app.lactea.gateway.accounts.add({
      kind: 'person',
      nickname: 'Dave',
      username: 'dave',
      phone: '+8613800000000'
    })
    const added = await request(app, token, 'POST', '/api/contacts', { user_id: bob, remark: 'Bobby' })
    t.match(added, { status: 201, body: { success: true } })
    t.strictSame(added.body.data, {
      id: bob,
      user_id: alice,
      contact_id: bob,
      nickname: 'Bob',
      username: 'bob',
      avatar_url: '',
      remark: 'Bobby',
      is_muted: false,
      is_blocked: false,
      created_at: added.body.created_at
    })
    t.match(added.body.created_at, TIMESTAMP)
    t.match(await request(app, token, 'POST', '/api/contacts', { contact_id: bob }), {
      status: 200,
      body: { remark: 'Bobby' }
    })
    t.match(await request(app, token, 'POST', '/api/contacts', { username: 'carol', nickname: 'C' }), {
      status: 201,
      body: { contact_id: carol, remark: 'C' }
    })
    const byPhone = await request(app, token, 'POST', '/api/contacts', { phone: '+8613800000000' })
    t.match(byPhone, { status: 201, body: { nickname: 'Dave' } })
    t.notMatch(JSON.stringify(byPhone.body), /138/)

    const list = await request(app, token, 'GET', '/api/contacts?limit=2')
    t.match(list.body, {
      contacts: [{ contact_id: bob }, { contact_id: carol }],
      users: [
        { id: bob, nickname: 'Bob', is_online: false },
        { id: carol, phone: '' }
      ],
      pagination: { page: 1, limit: 2, total: 3, pages: 2, has_next: true }
    })
    t.strictSame((await request(app, token, 'GET', '/api/users/friends?limit=2')).body, list.body)
    t.match((await request(app, token, 'GET', '/api/contacts?search=bobby')).body, {
      contacts: [{ contact_id: bob }],
      pagination: { total: 1 }
    })

    t.match(await request(app, token, 'PUT', `/api/contacts/${bob}`, { remark: '', is_muted: true }), {
      status: 200,
      body: { remark: '', is_muted: true }
    })
    t.match(await request(app, token, 'GET', `/api/contacts/${bob}`), { status: 200, body: { is_muted: true } })
    t.match(await request(app, token, 'DELETE', `/api/contacts/${bob}`), { status: 200, body: { success: true } })
    for (const [method, body] of [['GET'], ['PUT', { remark: 'x' }], ['DELETE']] as const)
      t.match(await request(app, token, method, `/api/contacts/${bob}`, body), { status: 404 }, method)
  })

  t.test(
    'that are bots may write first without an answer, and no more when they are removed and nothing was said',
    async (t) => {
      const app = await startPeople(t, { provision: { accounts: [person(alice, 'alice')] } })
      const token = await tokenOf(alice)
      const write = () => app.call('token-one', 'send_private_message', { user_id: alice, message: text('hello') })
      t.match(await write(), { retcode: -100 })
      await request(app, token, 'POST', '/api/contacts', { user_id: 10001 })
      t.strictSame((await app.call('token-one', 'get_friend_list')).data, { friends: [] }, 'it was asked only')
      await request(app, token, 'DELETE', '/api/contacts/10001')
      t.match(await write(), { retcode: -100 })
      await request(app, token, 'POST', '/api/contacts', { user_id: 10001 })
      t.match(await write(), { retcode: 0 })
    }
  )

  t.test('are refused when there is nobody', async (t) => {
    const app = await startPeople(t)
    const token = await tokenOf(alice)
    const rows: [object, number, string][] = [
      [{}, 400, 'user_id'],
      [{ user_id: alice }, 400, 'user_id'],
      [{ user_id: 'bob' }, 400, 'user_id'],
      [{ user_id: bob, remark: 'x'.repeat(65) }, 400, 'remark']
    ]
    for (const [body, status, field] of rows)
      t.match(await request(app, token, 'POST', '/api/contacts', body), { status, body: { details: { field } } })
    for (const body of [{ user_id: 4242 }, { username: 'nobody' }, { phone: '+1' }])
      t.match(await request(app, token, 'POST', '/api/contacts', body), { status: 404, body: { code: 'NOT_FOUND' } })
  })
})

void t.test('blocking', async (t) => {
  t.test('ends writing in both directions over every door, without saying who did it', async (t) => {
    const app = await startPeople(t)
    const [a, b] = [await tokenOf(alice), await tokenOf(bob)]
    const sent = await request(app, b, 'POST', '/api/messages', { receiver_id: alice, content: 'hello' })
    t.match(await request(app, a, 'POST', `/api/contacts/${bob}/block`), { status: 200, body: { is_blocked: true } })
    const refused = { status: 403, body: { code: 'FORBIDDEN', details: { reason: 'blocked' } } }
    const device = await openDevice(t, app, alice)
    t.match(await request(app, b, 'POST', '/api/messages', { receiver_id: alice, content: 'still?' }), refused)
    t.match(await request(app, a, 'POST', '/api/messages', { receiver_id: bob, content: 'no' }), refused)
    t.match(await request(app, b, 'PUT', `/api/messages/${sent.body.id}`, { content: 'still?' }), refused)
    // Nothing is told of typing, so nothing needs to be refused.
    await request(app, b, 'POST', '/api/messages/typing', { receiver_id: alice })
    const phone = await openDevice(t, app, bob)
    phone.send({ type: 'message.send', payload: { receiver_id: alice, content: 'still?' } })
    t.match(await phone.next(), {
      type: 'error',
      payload: { error_code: 'FORBIDDEN', details: { reason: 'blocked' } }
    })
    t.strictSame(await heardSoFar(device), [])
    t.notMatch(JSON.stringify((await request(app, b, 'GET', `/api/users/${alice}`)).body), /block/)
    t.match(await request(app, a, 'DELETE', `/api/contacts/${bob}/block`), { status: 200, body: { is_blocked: false } })
    t.match(await request(app, b, 'POST', '/api/messages', { receiver_id: alice, content: 'again' }), { status: 200 })
  })

  t.test('keeps a chat from being begun, and from being put into a group', async (t) => {
    const app = await startPeople(t)
    const [a, c] = [await tokenOf(alice), await tokenOf(carol)]
    await request(app, a, 'POST', `/api/contacts/${carol}/block`)
    const refused = { status: 403, body: { details: { reason: 'blocked' } } }
    t.match(await request(app, c, 'POST', '/api/chats', { type: 'private', members: [alice] }), refused)
    t.match(await request(app, c, 'POST', '/api/messages', { receiver_id: alice, content: 'x' }), refused)
    t.match(await request(app, c, 'POST', '/api/chats', { name: 'Trap', members: [alice] }), refused)
    t.strictSame((await request(app, c, 'GET', '/api/chats')).body.chats, [])
  })

  t.test('is listed for who did it', async (t) => {
    const app = await startPeople(t)
    const token = await tokenOf(alice)
    await request(app, token, 'POST', `/api/contacts/${bob}/block`)
    t.match((await request(app, token, 'GET', '/api/contacts/blocked')).body, {
      blocked: [{ user_id: bob, id: bob, nickname: 'Bob', created_at: TIMESTAMP }],
      users: [{ id: bob }],
      pagination: { total: 1 }
    })
    t.strictSame((await request(app, await tokenOf(bob), 'GET', '/api/contacts/blocked')).body.blocked, [])
    t.match(await request(app, token, 'POST', `/api/contacts/${alice}/block`), { status: 400 })
    t.match(await request(app, token, 'POST', '/api/contacts/4242/block'), { status: 404 })
    t.match(await request(app, token, 'DELETE', '/api/contacts/4242/block'), { status: 200 })
  })
})

function person(id: number, username: string): object {
  return { id, kind: 'person', username, password: `${username}-secret`, nickname: username }
}

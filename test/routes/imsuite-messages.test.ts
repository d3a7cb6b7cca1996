import t, { type Test } from 'tap'
import { text, type Running, type StartOptions } from '../helpers/app.ts'
import {
  alice,
  bob,
  carol,
  GROUP,
  heardSoFar,
  openDevice,
  request,
  startPeople,
  TIMESTAMP,
  tokenOf
} from '../helpers/people.ts'

interface Talk {
  readonly app: Running
  readonly a: string
  readonly b: string
  readonly c: string
}

async function openTalk(t: Test, more: Record<string, object> = {}, options: StartOptions = {}): Promise<Talk> {
  const { limits, ...rest } = more
  const roomy = { im_message_burst: 1000, im_message_rate: 1000, im_read_interval: 1, im_read_burst: 100 }
  const app = await startPeople(t, { limits: { ...roomy, ...limits }, ...rest }, options)
  const [a, b, c] = (await Promise.all([alice, bob, carol].map((id) => tokenOf(id)))) as [string, string, string]
  return { app, a, b, c }
}

const send = (app: Running, token: string, content: string, more: object = { chat_id: GROUP }) =>
  request(app, token, 'POST', '/api/messages', { content, ...more })

void t.test('saying something', async (t) => {
  t.test('gives the whole message, flat and in data', async (t) => {
    const { app, a } = await openTalk(t)
    const { status, body } = await send(app, a, ' hello ')
    t.equal(status, 200)
    t.strictSame(body, {
      success: true,
      ...body.data,
      data: {
        id: body.id,
        chat_id: GROUP,
        sender_id: alice,
        content: 'hello',
        message_type: 'text',
        created_at: body.created_at,
        is_edited: false,
        edit_count: 0,
        is_deleted: false,
        updated_at: body.created_at,
        status: 'sent',
        sender: { id: alice, nickname: 'Alice', avatar_url: '' }
      },
      duplicate: false
    })
    t.match(body.created_at, TIMESTAMP)
    t.match(await request(app, a, 'GET', `/api/messages/${body.id}`), { status: 200, body: { data: body.data } })
  })

  t.test('to a chat, by either path, is made: 201 in the chat, 200 elsewhere', async (t) => {
    const { app, a } = await openTalk(t)
    const inChat = await request(app, a, 'POST', `/api/chats/${GROUP}/messages`, { content: 'x', receiver_id: bob })
    t.match(inChat, { status: 201, body: { chat_id: GROUP } })
    t.match(await request(app, a, 'POST', '/api/messages/send', { content: 'x', chat_id: GROUP }), { status: 200 })
  })

  t.test('to somebody finds or makes the private chat', async (t) => {
    const { app, a, b } = await openTalk(t)
    const first = await send(app, a, 'one', { receiver_id: bob })
    const second = await send(app, b, 'two', { receiver_id: alice, reply_to_id: first.body.id })
    t.match(second.body, { chat_id: first.body.chat_id, reply_to_id: first.body.id })
    t.match(await send(app, a, 'x', { receiver_id: 4242 }), { status: 404 })
    t.match(await send(app, a, 'x', { receiver_id: alice }), { status: 400 })
  })

  t.test('again under the same name is the same message', async (t) => {
    const { app, a, b } = await openTalk(t)
    const device = await openDevice(t, app, bob)
    const first = await send(app, a, 'x', { chat_id: GROUP, client_msg_id: 'c1' })
    const again = await send(app, a, 'y', { chat_id: GROUP, client_msg_id: 'c1' })
    t.match(again.body, { id: first.body.id, content: 'x', duplicate: true, client_msg_id: 'c1' })
    t.equal((await heardSoFar(device)).length, 1)
    t.match(await send(app, a, 'x', { chat_id: GROUP, random_id: 7 }), { body: { duplicate: false } })
    t.match(await send(app, a, 'x', { chat_id: GROUP, random_id: 7 }), { body: { duplicate: true } })
    const seen = await request(app, b, 'GET', `/api/messages/${first.body.id}`)
    t.notOk('client_msg_id' in seen.body, 'the name is the sender’s own')
  })

  t.test('is refused when it makes no sense or cannot be done', async (t) => {
    const { app, a, c } = await openTalk(t)
    const elsewhere = await send(app, a, 'elsewhere', { receiver_id: bob })
    const rows: [object, number, object][] = [
      [{}, 400, { field: 'content' }],
      [{ content: '', chat_id: GROUP }, 400, { field: 'content' }],
      [{ content: 7, chat_id: GROUP }, 400, { field: 'content' }],
      [{ content: 'x' }, 400, { field: 'chat_id' }],
      [{ content: 'x', chat_id: 'x' }, 400, { field: 'chat_id' }],
      [{ content: 'x'.repeat(4097), chat_id: GROUP }, 400, { field: 'content' }],
      [{ content: 'x', chat_id: GROUP, ttl_seconds: 60 }, 400, { field: 'ttl_seconds' }],
      [{ content: 'x', chat_id: GROUP, send_at: '2030-01-01T00:00:00Z' }, 400, { field: 'send_at' }],
      [{ content: 'x', chat_id: GROUP, message_type: 'system' }, 400, { field: 'message_type' }],
      [{ content: 'x', chat_id: GROUP, reply_to_id: elsewhere.body.id }, 400, { field: 'reply_to_id' }],
      [{ content: 'x', chat_id: GROUP, client_msg_id: 'x'.repeat(65) }, 400, { field: 'client_msg_id' }],
      [{ content: 'x', chat_id: 999_999 }, 404, {}]
    ]
    for (const [body, status, details] of rows) {
      const refused = await request(app, a, 'POST', '/api/messages', body)
      const label = JSON.stringify(body).slice(0, 70)
      t.strictSame([refused.status, refused.body.success, refused.body.details], [status, false, details], label)
    }
    t.match(await send(app, c, 'x'), { status: 404, body: { code: 'NOT_FOUND' } })
  })

  t.test('may be done so often', async (t) => {
    const { app, a } = await openTalk(
      t,
      { limits: { im_message_burst: 2, im_message_rate: 1 } },
      { isTimeStopped: true }
    )
    const statuses: number[] = []
    for (let count = 0; count < 3; count++) statuses.push((await send(app, a, 'x')).status)
    t.strictSame(statuses, [200, 200, 429])
  })
})

void t.test('a list of messages', async (t) => {
  const { app, a, b, c } = await openTalk(t)
  for (let number = 1; number <= 5; number++) await send(app, number % 2 ? a : b, `m${number}`)
  const list = (token: string, query: string) => request(app, token, 'GET', `/api/messages?${query}`)

  t.test('is newest first, with how many there are', async (t) => {
    const { body } = await list(a, `chat_id=${GROUP}&limit=2&offset=1`)
    t.match(body, { success: true, total: 5, limit: 2, offset: 1 })
    t.match(body.data, [
      { content: 'm4', sender: { nickname: 'Bob' } },
      { content: 'm3', sender: { nickname: 'Alice' }, status: 'sent' }
    ])
    t.notOk('status' in body.data[0], 'how far it has come is its sender’s to know')
    t.strictSame(body.messages, body.data)
    t.match((await list(b, `chat_id=${GROUP}`)).body, { limit: 50, offset: 0, total: 5 })
  })

  t.test('of somebody is that of the private chat, empty when there is none', async (t) => {
    t.match((await list(a, `receiver_id=${bob}`)).body, { data: [], total: 0 })
    await send(app, b, 'private', { receiver_id: alice })
    t.match((await list(a, `receiver_id=${bob}`)).body, { data: [{ content: 'private' }], total: 1 })
  })

  t.test('is for who is in the chat', async (t) => {
    t.match(await list(c, `chat_id=${GROUP}`), { status: 404, body: { code: 'NOT_FOUND' } })
    t.match(await list(c, 'receiver_id=4242'), { status: 404 })
    for (const query of [
      '',
      'chat_id=x',
      'chat_id=0',
      'receiver_id=-1',
      `chat_id=${GROUP}&offset=x`,
      'chat_id=1&limit=0'
    ])
      t.match(await list(a, query), { status: 400, body: { code: 'VALIDATION_ERROR' } }, query)
    t.match(await list(a, `chat_id=${GROUP}&offset=10001`), { status: 400, body: { details: { field: 'offset' } } })
  })

  t.test('is searched by words', async (t) => {
    const search = (query: string, token = a) => request(app, token, 'GET', `/api/chats/${GROUP}/messages?${query}`)
    const words = ({ body }: { body: any }): string[] =>
      body.messages.map(({ content }: { content: string }) => content)
    const first = await search('q=M&limit=2')
    t.strictSame([words(first), first.body.pagination.has_more], [['m5', 'm4'], true])
    const next = await search(`q=m&limit=5&before=${first.body.pagination.next_before}`)
    t.strictSame([words(next), next.body.pagination], [['m3', 'm2', 'm1'], { limit: 5, has_more: false }])
    const forward = await search(`q=m&limit=1&after=${next.body.messages[2].id}`)
    t.strictSame([words(forward), forward.body.pagination.next_after], [['m2'], forward.body.messages[0].id])
    t.strictSame(words(await search('q=%25')), [])
    t.match(await search('q=m', c), { status: 404 })
    t.match(await search(`q=${'x'.repeat(101)}`), { status: 400, body: { details: { field: 'q' } } })
  })
})

void t.test('one message', async (t) => {
  t.test('is edited by its sender, and what it said before is kept for the members', async (t) => {
    const { app, a, b, c } = await openTalk(t)
    const { id } = (await send(app, a, 'one')).body
    const edit = (token: string, body: object) => request(app, token, 'PUT', `/api/messages/${id}`, body)
    t.match(await edit(a, { content: 'two' }), {
      status: 200,
      body: { id, content: 'two', is_edited: true, edit_count: 1, updated_at: TIMESTAMP, data: { content: 'two' } }
    })
    t.match(await edit(a, { content: 'three', expected_rev: 1 }), { body: { edit_count: 2 } })
    t.match(await edit(a, { content: 'four', expected_rev: 1 }), { status: 400, body: { code: 'CONFLICT' } })
    t.match(await edit(b, { content: 'mine' }), { status: 403, body: { details: { reason: 'not_sender' } } })
    t.match(await edit(c, { content: 'mine' }), { status: 404 })
    t.match(await edit(a, {}), { status: 400, body: { details: { field: 'content' } } })
    const edits = await request(app, b, 'GET', `/api/messages/${id}/edits`)
    t.match(edits.body, {
      edits: [
        { rev: 0, content: 'one', created_at: TIMESTAMP },
        { rev: 1, content: 'two', created_at: TIMESTAMP }
      ],
      total: 2
    })
    t.match(await request(app, c, 'GET', `/api/messages/${id}/edits`), { status: 404 })
    t.match(await request(app, c, 'GET', `/api/messages/${id}`), { status: 404, body: { code: 'NOT_FOUND' } })
  })

  t.test('is deleted by its sender and by admins, and then is gone with its history', async (t) => {
    const { app, a, b, c } = await openTalk(t)
    const { id } = (await send(app, a, 'one')).body
    await request(app, a, 'PUT', `/api/messages/${id}`, { content: 'two' })
    const path = `/api/messages/${id}`
    t.match(await request(app, b, 'DELETE', path), { status: 403, body: { details: { reason: 'role' } } })
    t.match(await request(app, c, 'DELETE', path), { status: 404 })
    t.match(await request(app, a, 'DELETE', path), { status: 200, body: { message_id: id, chat_id: GROUP } })
    t.match(await request(app, a, 'DELETE', path), { status: 200 }, 'again is no mistake')
    t.match(await request(app, a, 'GET', path), { status: 404 })
    t.match(await request(app, a, 'GET', `${path}/edits`), { status: 404 })
    t.match(await request(app, a, 'PUT', path, { content: 'x' }), { status: 404 })
  })

  t.test('is taken back by its sender', async (t) => {
    const { app, a, b } = await openTalk(t)
    const { id } = (await send(app, a, 'oops')).body
    t.match(await request(app, b, 'POST', `/api/messages/${id}/recall`), {
      status: 403,
      body: { details: { reason: 'not_sender' } }
    })
    t.match(await request(app, a, 'POST', `/api/messages/${id}/recall`, { reason: 'typo' }), {
      status: 200,
      body: { message_id: id, is_recalled: true }
    })
    t.match(await request(app, a, 'POST', `/api/messages/${id}/recall`), { status: 200 })
    t.match(await request(app, a, 'GET', `/api/messages/${id}`), { status: 404 })
  })
})

void t.test('reading', async (t) => {
  t.test('counts down what is unread, and tells the sender how far a message has come', async (t) => {
    const { app, a, b, c } = await openTalk(t)
    const first = await send(app, a, 'one', { receiver_id: bob })
    const chat = first.body.chat_id
    await send(app, a, 'two', { receiver_id: bob })
    await send(app, a, 'three')
    const count = async (query = ''): Promise<number> => {
      const { body } = await request(app, b, 'GET', `/api/messages/unread/count${query}`)
      t.equal(body.count, body.data.count)
      return body.count
    }
    const statuses = async (): Promise<string[]> =>
      (await request(app, a, 'GET', `/api/messages?chat_id=${chat}`)).body.data.map(
        ({ status }: { status: string }) => status
      )
    t.strictSame([await count(), await count(`?chat_id=${chat}`)], [3, 2])
    t.strictSame(await statuses(), ['sent', 'sent'])
    t.match(await request(app, b, 'POST', `/api/messages/${first.body.id}/read`), { status: 200 })
    t.strictSame([await count(), await statuses()], [2, ['sent', 'read']])
    t.match(await request(app, b, 'POST', `/api/chats/${chat}/read`), { status: 200, body: { unread_count: 0 } })
    t.strictSame([await count(), await statuses()], [1, ['read', 'read']])
    t.match(await request(app, b, 'POST', `/api/chats/${chat}/read`, { message_id: first.body.id }), {
      status: 200,
      body: { unread_count: 0 }
    })
    t.match(await request(app, c, 'POST', `/api/messages/${first.body.id}/read`), { status: 404 })
    t.match(await request(app, c, 'GET', `/api/messages/unread/count?chat_id=${chat}`), { status: 404 })
    t.match(await request(app, b, 'GET', '/api/messages/unread/count?chat_id=x'), { status: 400 })
  })

  t.test('of a chat is of its own messages', async (t) => {
    const { app, a, b } = await openTalk(t)
    const elsewhere = await send(app, a, 'elsewhere', { receiver_id: bob })
    const read = (body?: object) => request(app, b, 'POST', `/api/chats/${GROUP}/read`, body)
    t.match(await read(), { status: 200, body: { unread_count: 0 } }, 'nothing was said yet')
    const foreign = await read({ message_id: elsewhere.body.id })
    const absent = await read({ message_id: 987_654 })
    t.strictSame([foreign.status, absent.status], [404, 404])
    t.equal(foreign.body.error.replace(String(elsewhere.body.id), ''), absent.body.error.replace('987654', ''))
    for (const message_id of ['x', 1.5, -1, 0]) t.notOk((await read({ message_id })).body.success, `${message_id}`)
  })

  t.test('has delivered messages that a device has confirmed', async (t) => {
    const { app, a } = await openTalk(t)
    const { body } = await send(app, a, 'one', { receiver_id: bob })
    const { store } = app.lactea.gateway
    await store.saveSessionCursors([
      { sessionId: undefined, accountId: bob, cursor: body.id, deliveredId: body.id, time: 1 }
    ])
    t.match((await request(app, a, 'GET', `/api/messages/${body.id}`)).body, { status: 'delivered' })
  })
})

void t.test('the dialogs', async (t) => {
  const { app, a, b, c } = await openTalk(t)
  await send(app, b, 'in the group')
  await app.call('token-one', 'send_group_message', { group_id: GROUP, message: text('from a bot') })
  const last = await send(app, c, 'private', { receiver_id: alice })
  await request(app, a, 'POST', '/api/contacts', { user_id: carol })
  await request(app, a, 'PUT', `/api/contacts/${carol}`, { is_muted: true })
  const { status, body } = await request(app, a, 'GET', '/api/messages/dialogs')
  t.equal(status, 200)
  const byPeer = new Map<number, any>(body.dialogs.map((dialog: { peer_id: number }) => [dialog.peer_id, dialog]))
  t.strictSame(byPeer.get(carol), {
    peer_id: carol,
    peer_type: 'user',
    chat_id: last.body.chat_id,
    top_message_id: last.body.id,
    unread_count: 1,
    pinned: false,
    muted: true,
    last_message_date: Date.parse(last.body.created_at) / 1000
  })
  t.match(byPeer.get(GROUP), { peer_type: 'group', unread_count: 2, muted: false })
  t.match(body, { users: [{ id: carol, phone: '' }], groups: [{ id: GROUP, title: 'Test group' }], total: 2 })
  t.strictSame(body.messages.map(({ content }: { content: string }) => content).toSorted(), ['from a bot', 'private'])
  t.match((await request(app, a, 'GET', '/api/messages/dialogs?limit=1&offset=1')).body, { dialogs: [{}], total: 2 })
  t.match(await request(app, a, 'GET', '/api/messages/dialogs?offset=x'), { status: 400 })
})

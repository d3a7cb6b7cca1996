import t, { type Test } from 'tap'
import type { Running } from '../helpers/app.ts'
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

interface Club {
  readonly app: Running
  readonly id: number
  /** Tokens of Alice, who owns it, Bob, who is in it, and Carol, who is not. */
  readonly a: string
  readonly b: string
  readonly c: string
}

async function openClub(t: Test, more: Record<string, object> = {}): Promise<Club> {
  const app = await startPeople(t, more)
  const [a, b, c] = (await Promise.all([alice, bob, carol].map((id) => tokenOf(id)))) as [string, string, string]
  const { body } = await request(app, a, 'POST', '/api/chats', { name: 'Club', members: [bob, 10001] })
  return { app, id: body.id, a, b, c }
}

void t.test('making a chat', async (t) => {
  t.test('a group: its maker owns it, its members hear of it where they can', async (t) => {
    const app = await startPeople(t)
    const ext = await openDevice(t, app, bob, { query: 'ext=1' })
    const base = await openDevice(t, app, bob)
    const body = { title: ' Club ', description: 'We meet', type: 'group', member_ids: [bob, bob, alice, 10001] }
    const made = await request(app, await tokenOf(alice), 'POST', '/api/chats', body)
    t.match(made, { status: 201, body: { success: true } })
    t.strictSame(made.body, { success: true, ...made.body.data, data: made.body.data })
    t.match(made.body.data, {
      type: 'group',
      title: 'Club',
      description: 'We meet',
      member_count: 3,
      owner_id: alice,
      role: 'owner',
      is_muted: false,
      unread_count: 0,
      last_message: null,
      created_at: TIMESTAMP
    })
    t.match(
      await heardSoFar(ext),
      [
        { type: 'member.joined', payload: { chat_id: made.body.id, user_id: 10001, operator_id: alice } },
        { type: 'member.joined', payload: { chat_id: made.body.id, user_id: bob, operator_id: alice } }
      ].toSorted((x, y) => y.payload.user_id - x.payload.user_id)
    )
    t.strictSame(await heardSoFar(base), [], 'the document has no word for it')
    t.match((await request(app, await tokenOf(bob), 'GET', '/api/chats')).body.chats, [{}, {}])
  })

  t.test('a channel: only its owner and the admins speak', async (t) => {
    const app = await startPeople(t)
    const [a, b] = [await tokenOf(alice), await tokenOf(bob)]
    const { body } = await request(app, a, 'POST', '/api/chats', { name: 'News', type: 'channel', members: [bob] })
    t.equal(body.type, 'channel')
    const speak = (token: string) => request(app, token, 'POST', `/api/chats/${body.id}/messages`, { content: 'x' })
    t.match(await speak(b), { status: 403, body: { code: 'FORBIDDEN', details: { reason: 'readonly' } } })
    t.match(await speak(a), { status: 201 })
    await request(app, a, 'PUT', `/api/chats/${body.id}/members/${bob}`, { role: 'admin' })
    t.match(await speak(b), { status: 201 })
  })

  t.test('a private one: found, or made, and called after the other side', async (t) => {
    const app = await startPeople(t)
    const [a, c] = [await tokenOf(alice), await tokenOf(carol)]
    const made = await request(app, a, 'POST', '/api/chats', { type: 'private', members: [carol] })
    t.match(made, { status: 201, body: { type: 'private', title: 'Carol', peer: { id: carol }, member_count: 2 } })
    const again = await request(app, c, 'POST', '/api/chats', { type: 'private', member_ids: [alice, carol] })
    t.match(again, { status: 201, body: { id: made.body.id, title: 'Alice', peer: { id: alice } } })
    t.notOk('owner_id' in again.body)
  })

  t.test('is refused when it makes no sense', async (t) => {
    const app = await startPeople(t, { limits: { group_members: 3, im_message_burst: 1000 } })
    const token = await tokenOf(alice)
    const rows: [object, number, string | undefined][] = [
      [{}, 400, 'name'],
      [{ name: '' }, 400, 'name'],
      [{ name: '  ' }, 400, 'name'],
      [{ name: 'x'.repeat(65) }, 400, 'name'],
      [{ name: 'x', description: 7 }, 400, 'description'],
      [{ name: 'x', type: 'secret' }, 400, 'type'],
      [{ name: 'x', members: 'bob' }, 400, 'user_ids'],
      [{ name: 'x', members: Array(101).fill(bob) }, 400, 'user_ids'],
      [{ name: 'x', members: [4242] }, 404, 'user_ids'],
      [{ name: 'x', members: [bob, carol, 10001] }, 400, 'user_ids'],
      [{ type: 'private' }, 400, 'members'],
      [{ type: 'private', members: [bob, carol] }, 400, 'members'],
      [{ type: 'private', members: [alice] }, 400, 'members'],
      [{ type: 'private', members: ['x'] }, 400, 'user_id'],
      [{ type: 'private', members: [4242] }, 404, undefined]
    ]
    for (const [body, status, field] of rows) {
      const label = JSON.stringify(body).slice(0, 60)
      const refused = await request(app, token, 'POST', '/api/chats', body)
      t.strictSame([refused.status, refused.body.success, refused.body.details.field], [status, false, field], label)
    }
    t.match((await request(app, token, 'GET', '/api/chats')).body.pagination, { total: 1 })
  })
})

void t.test('changing a chat', async (t) => {
  t.test('is for its owner and the admins; members are told where they can', async (t) => {
    const { app, id, a, b, c } = await openClub(t)
    const ext = await openDevice(t, app, bob, { query: 'ext=1' })
    t.match(await request(app, a, 'PUT', `/api/chats/${id}`, { name: 'New', description: 'about', is_muted: true }), {
      status: 200,
      body: { title: 'New', description: 'about', is_muted: true }
    })
    t.match(await heardSoFar(ext), [
      { type: 'chat.updated', payload: { chat: { id, title: 'New' }, operator_id: alice } },
      { type: 'chat.updated', payload: { chat: { id, title: 'New' }, operator_id: alice, is_muted: true } }
    ])
    t.match(await request(app, b, 'POST', `/api/chats/${id}/messages`, { content: 'x' }), {
      status: 403,
      body: { details: { reason: 'muted' } }
    })
    t.match(await request(app, b, 'PUT', `/api/chats/${id}`, { name: 'Mine' }), {
      status: 403,
      body: { code: 'FORBIDDEN', details: { reason: 'role' } }
    })
    t.match(await request(app, c, 'PUT', `/api/chats/${id}`, { name: 'Mine' }), { status: 404 })
    t.match(await request(app, b, 'GET', `/api/chats/${id}`), { body: { title: 'New', role: 'member' } })
    t.match(await request(app, c, 'GET', `/api/chats/${id}`), { status: 404, body: { code: 'NOT_FOUND' } })
    const own = await request(app, a, 'POST', '/api/chats', { type: 'private', members: [bob] })
    t.match(await request(app, a, 'PUT', `/api/chats/${own.body.id}`, { name: 'x' }), { status: 404 })
  })

  t.test('leaving: an owner hands over by it', async (t) => {
    const { app, id, a, b } = await openClub(t)
    t.match(await request(app, a, 'POST', `/api/chats/${id}/leave`), { status: 200, body: { success: true } })
    t.match(await request(app, a, 'GET', `/api/chats/${id}`), { status: 404 })
    t.match(await request(app, b, 'GET', `/api/chats/${id}/members`), {
      status: 200,
      body: { pagination: { total: 2 } }
    })
    t.match(await request(app, a, 'POST', `/api/chats/${id}/leave`), { status: 404 })
  })
})

void t.test('members', async (t) => {
  t.test('are listed with what they are, the owner first', async (t) => {
    const { app, id, a, b, c } = await openClub(t)
    await openDevice(t, app, bob)
    const { body } = await request(app, a, 'GET', `/api/chats/${id}/members`)
    t.match(body.pagination, { page: 1, limit: 20, total: 3 })
    t.match(body.members, [
      { user_id: alice, role: 'owner', nickname: 'Alice', username: 'alice', is_online: true },
      { user_id: 10001, role: 'member', is_bot: true },
      {
        user_id: bob,
        role: 'member',
        card: '',
        avatar_url: '',
        is_bot: false,
        is_muted: false,
        muted_until: null,
        joined_at: TIMESTAMP,
        is_online: true,
        last_seen: TIMESTAMP
      }
    ])
    const page = await request(app, b, 'GET', `/api/chats/${id}/members?page=2&limit=2`)
    t.match(page.body, { members: [{ user_id: bob }], pagination: { page: 2, pages: 2, has_next: false } })
    t.match(await request(app, c, 'GET', `/api/chats/${id}/members`), { status: 404 })
  })

  t.test('are added by the owner and the admins', async (t) => {
    const { app, id, a, b, c } = await openClub(t)
    const add = (token: string, body: object) => request(app, token, 'POST', `/api/chats/${id}/members`, body)
    t.match(await add(b, { user_ids: [carol] }), { status: 403, body: { details: { reason: 'role' } } })
    t.match(await add(c, { user_ids: [carol] }), { status: 404 })
    t.match(await add(a, { user_ids: [bob, carol] }), {
      status: 201,
      body: { added: [carol], members: [{ user_id: carol, role: 'member' }] }
    })
    t.match(await add(a, { user_id: carol }), { status: 201, body: { added: [] } })
    for (const body of [{}, { user_ids: [] }, { user_ids: 7 }, { user_ids: ['x'] }])
      t.match(await add(a, body), { status: 400, body: { details: { field: /^user_ids/ } } }, JSON.stringify(body))
    t.match(await request(app, c, 'GET', `/api/chats/${id}`), { status: 200 })
  })

  t.test('change roles and cards, and the group its owner', async (t) => {
    const { app, id, a, b } = await openClub(t)
    const ext = await openDevice(t, app, bob, { query: 'ext=1' })
    const change = (token: string, user: number, body: object) =>
      request(app, token, 'PUT', `/api/chats/${id}/members/${user}`, body)
    t.match(await change(a, bob, { role: 'admin', card: 'Bobby' }), {
      status: 200,
      body: { user_id: bob, role: 'admin', card: 'Bobby' }
    })
    t.match(await change(a, bob, { role: 'member' }), { body: { role: 'member', card: 'Bobby' } })
    t.match(await change(b, bob, { role: 'admin' }), { status: 403, body: { details: { reason: 'role' } } })
    t.match(await change(b, bob, { card: 'me' }), { body: { card: 'me' } })
    t.match(await change(a, bob, { role: 'owner' }), { body: { role: 'owner' } })
    t.match(await change(a, alice, { role: 'member' }), { status: 403 })
    t.match((await request(app, b, 'GET', `/api/chats/${id}`)).body, { owner_id: bob, role: 'owner' })
    for (const [body, field] of [
      [{ role: 'king' }, 'role'],
      [{ role: 7 }, 'role'],
      [{ card: 'x'.repeat(65) }, 'card']
    ] as const)
      t.match(await change(b, alice, body), { status: 400, body: { details: { field } } }, JSON.stringify(body))
    t.match(await change(b, carol, { role: 'admin' }), { status: 404 })
    t.match(
      (await heardSoFar(ext)).map(({ type, payload }) => [type, payload.user_id, payload.role]),
      [
        ['member.updated', bob, 'admin'],
        ['member.updated', bob, 'member'],
        ['member.updated', bob, 'owner']
      ]
    )
  })

  t.test('are muted for so long, and heard again', async (t) => {
    const { app, id, a, b } = await openClub(t)
    const path = `/api/chats/${id}/members/${bob}`
    const speak = async (): Promise<number> =>
      (await request(app, b, 'POST', `/api/chats/${id}/messages`, { content: 'x' })).status
    t.match(await request(app, a, 'POST', `${path}/mute`, { duration: 600 }), {
      status: 200,
      body: { is_muted: true, muted_until: TIMESTAMP }
    })
    t.equal(await speak(), 403)
    t.match(await request(app, a, 'POST', `${path}/unmute`), {
      status: 200,
      body: { is_muted: false, muted_until: null }
    })
    t.equal(await speak(), 201)
    await request(app, a, 'POST', `${path}/mute`, { duration: 600 })
    t.match(await request(app, a, 'DELETE', `${path}/mute`), { status: 200, body: { is_muted: false } })
    t.equal(await speak(), 201)
    for (const duration of [undefined, 0, -1, 1.5, '60', 1e12])
      t.match(await request(app, a, 'POST', `${path}/mute`, { duration }), {
        status: 400,
        body: { details: { field: 'duration' } }
      })
    t.match(await request(app, b, 'POST', `/api/chats/${id}/members/${alice}/mute`, { duration: 60 }), { status: 403 })
  })

  t.test('are removed, and banned', async (t) => {
    const { app, id, a, b } = await openClub(t)
    const path = `/api/chats/${id}/members/${bob}`
    t.match(await request(app, b, 'DELETE', `/api/chats/${id}/members/10001`), { status: 403 })
    t.match(await request(app, a, 'DELETE', `/api/chats/${id}/members/${alice}`), { status: 400 })
    t.match(await request(app, a, 'DELETE', path), { status: 200, body: { success: true } })
    t.match(await request(app, a, 'DELETE', path), { status: 404 })
    const add = () => request(app, a, 'POST', `/api/chats/${id}/members`, { user_ids: [bob] })
    t.match(await add(), { status: 201, body: { added: [bob] } })

    t.match(await request(app, a, 'POST', `${path}/ban`, { reason: 'noise' }), { status: 200 })
    t.match(await request(app, b, 'GET', `/api/chats/${id}/messages`), { status: 404 })
    t.match(await request(app, b, 'POST', `/api/chats/${id}/messages`, { content: 'x' }), {
      status: 403,
      body: { details: { reason: 'banned' } }
    })
    t.match(await add(), { status: 403, body: { details: { reason: 'banned' } } })
    t.match((await request(app, a, 'GET', `/api/chats/${id}/bans`)).body, {
      bans: [{ user_id: bob, nickname: 'Bob', banned_by: alice, created_at: TIMESTAMP }],
      pagination: { total: 1 }
    })
    t.match(await request(app, b, 'GET', `/api/chats/${id}/bans`), { status: 404 })
    t.match(await request(app, a, 'DELETE', `${path}/ban`), { status: 200 })
    t.match(await add(), { status: 201 })
    t.match(await request(app, b, 'GET', `/api/chats/${id}/bans`), { status: 403 })
  })
})

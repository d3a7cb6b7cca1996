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
  /** Requests of Alice, who owns the club, Bob, who is in it, and Carol, who is not. */
  readonly a: Ask
  readonly b: Ask
  readonly c: Ask
}

type Ask = (method: string, path: string, body?: unknown) => ReturnType<typeof request>

async function openClub(t: Test): Promise<Club> {
  const app = await startPeople(t)
  const [a, b, c] = (await Promise.all(
    [alice, bob, carol].map(async (id): Promise<Ask> => {
      const token = await tokenOf(id)
      return (method, path, body) => request(app, token, method, path, body)
    })
  )) as [Ask, Ask, Ask]
  const { body } = await a('POST', '/api/chats', { name: 'Club', members: [bob] })
  return { app, id: body.id, a, b, c }
}

const membersOf = async ({ a, id }: Club): Promise<number[]> =>
  (await a('GET', `/api/chats/${id}/members`)).body.members.map(({ user_id }: { user_id: number }) => user_id)

void t.test('a person asks to be let in, and is', async (t) => {
  const club = await openClub(t)
  const { app, id, a, b, c } = club
  const path = `/api/chats/${id}/requests`
  const ext = await openDevice(t, app, alice, { query: 'ext=1' })
  const base = await openDevice(t, app, alice)
  const asked = await c('POST', path, { comment: 'may I?' })
  t.match(asked, { status: 201, body: { success: true, chat_id: id } })
  const seq = asked.body.request_id
  t.equal((await c('POST', path)).body.request_id, seq, 'again is the same')
  t.match(await heardSoFar(ext), [
    { type: 'chat.request', payload: { request_id: seq, chat_id: id, user_id: carol, comment: 'may I?' } }
  ])
  t.strictSame(await heardSoFar(base), [], 'the document has no word for it')

  const { body } = await a('GET', path)
  t.match(body, {
    requests: [
      {
        id: seq,
        request_id: seq,
        chat_id: id,
        user_id: carol,
        user: { id: carol, nickname: 'Carol' },
        comment: 'may I?',
        state: 'pending',
        created_at: TIMESTAMP
      }
    ],
    pagination: { page: 1, limit: 20, total: 1, pages: 1 }
  })
  t.equal(body.requests[0].inviter, undefined)
  const refused: [Ask, string, string, number][] = [
    [b, 'GET', path, 403],
    [c, 'GET', path, 404],
    [b, 'POST', `${path}/${seq}/accept`, 403],
    [c, 'POST', `${path}/${seq}/accept`, 404],
    [a, 'POST', `${path}/${seq + 1}/accept`, 404],
    [a, 'POST', `/api/chats/4242/requests/${seq}/accept`, 404],
    [a, 'POST', `${path}/nonsense/accept`, 400],
    [a, 'POST', `/api/invitations/${seq}/accept`, 404],
    [c, 'POST', `/api/invitations/${seq}/accept`, 404],
    [c, 'POST', '/api/chats/4242/requests', 404],
    [a, 'POST', path, 400]
  ]
  for (const [ask, method, at, status] of refused)
    t.match(await ask(method, at), { status, body: { success: false } }, `${method} ${at}`)
  const tooLong = await c('POST', path, { comment: 'x'.repeat(201) })
  t.match(tooLong, { status: 400, body: { details: { field: 'comment' } } })

  const hearing = await openDevice(t, app, carol)
  t.match(await a('POST', `${path}/${seq}/accept`), { status: 200, body: { success: true } })
  t.match(await heardSoFar(hearing), [
    { type: 'notification', payload: { type: 'success', message: /^Club：.*accepted/, action_url: '' } }
  ])
  t.match(await heardSoFar(ext), [{ type: 'member.joined', payload: { user_id: carol, operator_id: alice } }])
  t.ok((await membersOf(club)).includes(carol))
  t.match(await a('GET', path), { body: { requests: [{ state: 'accepted', answered_by: alice }] } })
  t.match(await a('POST', `${path}/${seq}/accept`), { status: 200 }, 'again is no mistake')
  t.match(await a('POST', `${path}/${seq}/reject`), { status: 400, body: { code: 'CONFLICT' } })
})

void t.test('a person is turned away, with a reason', async (t) => {
  const club = await openClub(t)
  const { id, a, c } = club
  const path = `/api/chats/${id}/requests`
  const { body } = await c('POST', path)
  t.match(await a('POST', `${path}/${body.id}/reject`, { reason: ' we are full ' }), { status: 200 })
  t.match((await c('GET', '/api/notifications')).body.notifications, [
    { type: 'info', message: /rejected）：we are full$/ }
  ])
  t.notOk((await membersOf(club)).includes(carol))
  t.match(await a('POST', `${path}/${body.id}/accept`), { status: 400, body: { code: 'CONFLICT' } })
  await a('POST', `/api/chats/${id}/members/${carol}/ban`)
  t.match(await c('POST', path), { status: 403, body: { details: { reason: 'banned' } } })
})

void t.test('the owner invites, and who is invited decides', async (t) => {
  const club = await openClub(t)
  const { app, id, a, c } = club
  const device = await openDevice(t, app, carol, { query: 'ext=1' })
  for (const verb of ['reject', 'accept']) {
    const { status, body } = await a('POST', `/api/chats/${id}/invitations`, { user_id: carol })
    t.equal(status, 201)
    t.match(await heardSoFar(device), [
      { type: 'chat.invitation', payload: { request_id: body.request_id, chat_id: id, inviter_id: alice } }
    ])
    const listed = await c('GET', '/api/invitations')
    t.match(listed.body, {
      invitations: [
        {
          id: body.id,
          chat: { id, type: 'group', title: 'Club' },
          inviter: { id: alice, nickname: 'Alice' },
          created_at: TIMESTAMP
        }
      ],
      pagination: { total: 1 }
    })
    t.match((await a('GET', '/api/invitations')).body, { invitations: [], pagination: { total: 0 } })
    t.match(await a('POST', `/api/invitations/${body.id}/${verb}`), { status: 404 }, 'nobody decides for another')
    t.match(await c('POST', `/api/invitations/${body.id}/${verb}`), { status: 200, body: { success: true } })
    t.equal((await membersOf(club)).includes(carol), verb === 'accept')
    t.match((await c('GET', '/api/invitations')).body, { invitations: [] })
  }
  t.match(await heardSoFar(device), [{ type: 'member.joined', payload: { user_id: carol, inviter_id: alice } }])
  t.match(await a('POST', `/api/chats/${id}/invitations`), { status: 400, body: { details: { field: 'user_id' } } })
  t.match(await a('POST', `/api/chats/${id}/invitations`, { user_id: carol }), { status: 400 })
})

void t.test('what a member asks for another is shown with both', async (t) => {
  const club = await openClub(t)
  const { app, id, a, b } = club
  const device = await openDevice(t, app, alice, { query: 'ext=1' })
  const { body } = await b('POST', `/api/chats/${id}/invitations`, { user_id: carol })
  t.match(await heardSoFar(device), [
    { type: 'chat.request', payload: { request_id: body.id, chat_id: id, user_id: carol, inviter_id: bob } }
  ])
  t.match((await a('GET', `/api/chats/${id}/requests`)).body.requests, [
    { user: { id: carol }, inviter_id: bob, inviter: { nickname: 'Bob' }, state: 'pending' }
  ])
  await a('POST', `/api/chats/${id}/requests/${body.id}/accept`)
  t.ok((await membersOf(club)).includes(carol))
  t.match((await b('GET', '/api/notifications')).body.notifications, [{ type: 'success' }])
})

void t.test('requests come in pages, what is open first', async (t) => {
  const { app, id, a, c } = await openClub(t)
  const path = `/api/chats/${id}/requests`
  const { accounts, groupRequests } = app.lactea.gateway
  const first = (await c('POST', path)).body.id
  const bot = await accounts.get(10001)
  const { seq } = await groupRequests.ask(bot, id, '')
  await a('POST', `${path}/${seq}/reject`)
  const pages = [await a('GET', `${path}?limit=1`), await a('GET', `${path}?limit=1&page=2`)]
  t.strictSame(
    pages.map(({ body }) => [body.requests[0].id, body.requests[0].state]),
    [
      [first, 'pending'],
      [seq, 'rejected']
    ]
  )
  t.match(pages[0]?.body.pagination, { total: 2, pages: 2, has_next: true })
})

void t.test('titles are given with the other things of a member', async (t) => {
  const { id, a, b } = await openClub(t)
  const path = `/api/chats/${id}/members/${bob}`
  t.match(await a('PUT', path, { title: 'Poet' }), { status: 200, body: { title: 'Poet' } })
  t.match((await b('GET', `/api/chats/${id}/members`)).body.members, [{ title: '' }, { user_id: bob, title: 'Poet' }])
  t.match(await b('PUT', path, { title: 'King' }), { status: 403 })
})

import t, { type Test } from 'tap'
import { startApp, text, type Running } from '../helpers/app.ts'
import { faultOfEvent } from '../helpers/milky-judge.ts'
import { png } from '../helpers/pictures.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'

const GROUP = 100001
const [one, two, alice] = [10001, 10002, 10011] as const
const group = { group_id: GROUP }
/** The draft's socket of bot two, or of bot one. */
const listen = (t: Test, app: Running, token: string): Promise<TestSocket> =>
  openSocket(t, `${app.ws}/?access_token=${token}`)

/** The group of bot one, which bot two is in no more. */
async function openOutside(t: Test): Promise<Running> {
  const app = await startApp(t)
  await app.milky('token-two', 'quit_group', group)
  return app
}

async function ok(app: Running, token: string, api: string, params: object = {}): Promise<any> {
  const answer = await app.milky(token, api, params)
  if (answer.status !== 'ok') throw new Error(`${api}: ${answer.message}`)
  return answer.data
}

/** Extensions have no entry in the package that judges. */
async function extension(app: Running, token: string, api: string, params: object): Promise<any> {
  const response = await fetch(`${app.url}/api/${api}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(params)
  })
  return response.json()
}

async function join(app: Running, comment?: string): Promise<number> {
  const { data } = await extension(app, 'token-two', 'request_group_join', { ...group, comment })
  return data.notification_seq
}

/** What two bots hear in Milky 1.2: the last event of the log, as the codec writes it. */
async function lastEvent(t: Test, app: Running, viewerId: number): Promise<any> {
  const { events } = await app.lactea.gateway.store.readEvents(viewerId, 0, 1000)
  const { createMilkyCodec } = await import('../../src/protocols/milky-events.ts')
  const frame = createMilkyCodec(() => '').encodeEvent(events.at(-1) as never, viewerId)
  const event = JSON.parse(frame ?? 'null')
  t.equal(faultOfEvent(event), undefined, 'the judge agrees')
  return event
}

t.test('a bot asks to be let in', async (t) => {
  const app = await openOutside(t)
  const owner = await listen(t, app, 'token-one')
  const seq = await join(app, ' let me in ')
  const request_id = (await owner.next()).data.data.request_id
  t.type(request_id, 'string')
  t.strictSame((await lastEvent(t, app, one)).data, {
    ...group,
    notification_seq: seq,
    is_filtered: false,
    initiator_id: two,
    comment: 'let me in'
  })
  t.equal(await join(app), seq, 'again is the same')
  const entry = {
    type: 'join_request',
    ...group,
    notification_seq: seq,
    is_filtered: false,
    initiator_id: two,
    state: 'pending',
    comment: 'let me in'
  }
  t.strictSame((await ok(app, 'token-one', 'get_group_notifications')).notifications[0], entry)
  t.strictSame(await ok(app, 'token-two', 'get_group_notifications'), { notifications: [] }, 'it is not in the group')

  const key = { ...group, notification_seq: seq, notification_type: 'join_request' }
  const refused: [string, string, object, number][] = [
    ['token-two', 'accept_group_request', key, -404],
    ['token-one', 'accept_group_request', { ...key, notification_type: 'invited_join_request' }, -404],
    ['token-one', 'accept_group_request', { ...key, group_id: 100002 }, -404],
    ['token-one', 'accept_group_request', { ...key, notification_seq: seq + 1 }, -404],
    ['token-one', 'reject_group_request', { ...key, notification_type: 'admin_change' }, -400],
    ['token-one', 'reject_group_request', { ...key, reason: 'x'.repeat(201) }, -400],
    ['token-one', 'accept_group_invitation', { ...group, invitation_seq: seq }, -404]
  ]
  for (const [token, api, params, retcode] of refused)
    t.match(await app.milky(token, api, params), { retcode, message: /./ }, `${api} ${JSON.stringify(params)}`)

  t.strictSame(await ok(app, 'token-one', 'accept_group_request', { ...key, is_filtered: null }), {})
  t.match((await lastEvent(t, app, two)).data, { ...group, user_id: two, operator_id: one })
  t.strictSame(await ok(app, 'token-one', 'accept_group_request', key), {}, 'twice is no mistake')
  t.match(await app.milky('token-one', 'reject_group_request', key), { retcode: -103, message: /accepted already/ })
  t.strictSame((await ok(app, 'token-one', 'get_group_notifications')).notifications[0], {
    ...entry,
    state: 'accepted',
    operator_id: one
  })
  t.match(await extension(app, 'token-two', 'request_group_join', group), { retcode: -103 })
  const tooLong = { ...group, comment: 'x'.repeat(201) }
  t.match(await extension(app, 'token-two', 'request_group_join', tooLong), { retcode: -400, message: /comment/ })
})

t.test('a bot is invited, and decides', async (t) => {
  const app = await openOutside(t)
  for (const verb of ['reject', 'accept']) {
    const asked = await extension(app, 'token-one', 'invite_to_group', { ...group, user_id: two })
    t.match(asked, { status: 'ok', data: { notification_type: 'invitation' } })
    const { data } = await lastEvent(t, app, two)
    t.strictSame(data, { ...group, invitation_seq: asked.data.notification_seq, initiator_id: one })
    const key = { ...group, invitation_seq: data.invitation_seq }
    t.match(await app.milky('token-one', `${verb}_group_invitation`, key), { retcode: -404 }, 'not by who invites')
    t.strictSame(await ok(app, 'token-two', `${verb}_group_invitation`, key), {})
    t.equal((await app.milky('token-two', 'get_group_info', group)).status, verb === 'accept' ? 'ok' : 'failed')
  }
  const { data } = await lastEvent(t, app, one)
  t.strictSame(data, { ...group, user_id: two, invitor_id: one })
  const { notifications } = await ok(app, 'token-one', 'get_group_notifications')
  t.strictSame(
    notifications.map(({ type }: { type: string }) => type),
    ['quit'],
    'invitations are events, not notifications'
  )
  t.match(await extension(app, 'token-one', 'invite_to_group', { ...group, user_id: 19999 }), { retcode: -404 })
})

t.test('the draft answers by the request_id of its events', async (t) => {
  const rows: [string, (app: Running) => Promise<unknown>, string, string, object][] = [
    ['group_join_request', (app) => join(app), 'token-one', 'accept_request', { operator_id: one }],
    [
      'group_invited_join_request',
      ({ lactea }) =>
        lactea.gateway.dispatcher.dispatch('invite_to_group', { ...group, user_id: two }, { accountId: alice }),
      'token-one',
      'accept_request',
      { operator_id: one, invitor_id: alice }
    ],
    [
      'group_invitation_request',
      (app) => app.call('token-one', 'invite_to_group', { ...group, user_id: two }),
      'token-two',
      'accept_request',
      { invitor_id: one }
    ]
  ]
  for (const [type, act, token, api, joined] of rows) {
    const app = await openOutside(t)
    const socket = await listen(t, app, token)
    await act(app)
    const { data } = await socket.find(({ data: event }) => event.event_type === type)
    t.match(data.data, { ...group, request_id: /./ }, type)
    const { request_id } = data.data
    t.match(await app.call(token, api, { request_id }), { status: 'ok', data: {} }, type)
    const increase = await socket.find(({ data: event }) => event.event_type === 'group_member_increase')
    t.strictSame(increase.data.data, { ...group, user_id: two, ...joined }, type)
    t.match(await app.call(token, 'reject_request', { request_id }), { status: 'failed', retcode: -103 }, type)
  }
})

t.test('what a member asks for another is for the owner to decide', async (t) => {
  const app = await openOutside(t)
  const { store } = app.lactea.gateway
  const invited = await app.lactea.gateway.dispatcher.dispatch(
    'invite_to_group',
    { ...group, user_id: two },
    { accountId: alice }
  )
  t.match(invited, { ok: true, data: { notification_type: 'invited_join_request' } })
  const { data } = await lastEvent(t, app, one)
  t.strictSame(data, {
    ...group,
    notification_seq: data.notification_seq,
    initiator_id: alice,
    target_user_id: two
  })
  const key = { ...group, notification_seq: data.notification_seq, notification_type: 'invited_join_request' }
  await ok(app, 'token-one', 'accept_group_request', key)
  t.ok(await store.isMember(GROUP, two))
  t.match((await lastEvent(t, app, two)).data, { user_id: two, operator_id: one, invitor_id: alice })
  t.match((await ok(app, 'token-one', 'get_group_notifications')).notifications[0], {
    type: 'invited_join_request',
    initiator_id: alice,
    target_user_id: two,
    state: 'accepted',
    operator_id: one
  })
})

t.test('notifications are every kind the package knows, in pages', async (t) => {
  const app = await startApp(t)
  const member = { ...group, user_id: two }
  await ok(app, 'token-one', 'set_group_member_admin', member)
  await ok(app, 'token-one', 'set_group_member_admin', { ...member, is_set: false })
  await ok(app, 'token-two', 'quit_group', group)
  await join(app)
  await extension(app, 'token-one', 'invite_to_group', member)
  await app.lactea.gateway.members.add(await app.lactea.gateway.accounts.get(one), GROUP, [two])
  await ok(app, 'token-one', 'kick_group_member', { ...member, reject_add_request: true })

  const seen: any[] = []
  let start: number | undefined = 0
  let pages = 0
  for (; start !== undefined && pages < 10; pages++) {
    const page: any = await ok(app, 'token-one', 'get_group_notifications', { start_notification_seq: start, limit: 2 })
    seen.push(...page.notifications)
    start = page.next_notification_seq
  }
  t.equal(pages, 3)
  t.match(seen, [
    { type: 'kick', target_user_id: two, operator_id: one },
    { type: 'join_request', state: 'accepted', initiator_id: two, operator_id: one },
    { type: 'quit', target_user_id: two },
    { type: 'admin_change', target_user_id: two, operator_id: one, is_set: false },
    { type: 'admin_change', target_user_id: two, operator_id: one, is_set: true }
  ])
  t.strictSame(await ok(app, 'token-one', 'get_group_notifications', { limit: 1000 }), { notifications: seen })
  t.match(await ok(app, 'token-two', 'get_group_notifications'), {
    notifications: [{ type: 'kick' }, { is_set: false }, { is_set: true }]
  })
  t.strictSame(await ok(app, 'token-one', 'get_group_notifications', { is_filtered: true }), { notifications: [] })
  for (const params of [{ limit: 0 }, { limit: '1' }, { start_notification_seq: -1 }, { is_filtered: 'no' }]) {
    const answer = await app.milky('token-one', 'get_group_notifications', params)
    t.match(answer, { retcode: -400, message: Object.keys(params)[0] })
  }
})

t.test('who is kicked for good stays out until the ban is lifted', async (t) => {
  const rows: [string, (app: Running) => Promise<unknown>, boolean][] = [
    ['1.2', (app) => ok(app, 'token-one', 'kick_group_member', { ...group, user_id: two }), false],
    [
      '1.2, for good',
      (app) => ok(app, 'token-one', 'kick_group_member', { ...group, user_id: two, reject_add_request: true }),
      true
    ],
    ['the draft', (app) => app.call('token-one', 'kick_group_member', { ...group, user_id: two }), true],
    [
      'the draft, not for good',
      (app) => app.call('token-one', 'kick_group_member', { ...group, user_id: two, reject_add_request: false }),
      false
    ]
  ]
  for (const [label, kick, isOut] of rows) {
    const app = await startApp(t)
    await kick(app)
    const expected = { status: isOut ? 'failed' : 'ok', retcode: isOut ? -101 : 0 }
    t.match(await extension(app, 'token-two', 'request_group_join', group), expected, label)
    t.match(await extension(app, 'token-one', 'invite_to_group', { ...group, user_id: two }), expected, label)
    await app.lactea.gateway.members.unban(one, GROUP, two)
    t.match(await extension(app, 'token-two', 'request_group_join', group), { status: 'ok' }, label)
  }
})

t.test('titles', async (t) => {
  for (const dialect of ['milky', 'call'] as const) {
    const app = await startApp(t)
    const set = (token: string, user_id: number, special_title: unknown): Promise<any> =>
      app[dialect](token, 'set_group_member_special_title', { ...group, user_id, special_title })
    t.match(await set('token-one', two, 'Poet'), { status: 'ok', data: {} })
    const { member } = await ok(app, 'token-one', 'get_group_member_info', { ...group, user_id: two })
    t.equal(member.title, 'Poet')
    await ok(app, 'token-two', 'send_group_message', { ...group, message: text('roses') })
    t.equal((await lastEvent(t, app, one)).data.group_member.title, 'Poet')
    t.match(await set('token-one', two, ''), { status: 'ok' })
    t.match(await ok(app, 'token-one', 'get_group_member_info', { ...group, user_id: two }), { member: { title: '' } })
    t.match(await set('token-two', two, 'Poet'), { status: 'failed', retcode: -101 })
    t.match(await set('token-one', 19999, 'Poet'), { status: 'failed' })
    t.match(await set('token-one', two, 'x'.repeat(33)), { retcode: -400, message: /special_title/ })
  }
})

t.test('people change the picture of a group, too', async (t) => {
  const app = await startApp(t)
  const { accounts, files, groups, links, store } = app.lactea.gateway
  const alice = 10011
  const token = await app.signIn('alice', 'alice-secret')
  const upload = async (ownerId: number, bytes: Buffer): Promise<string> => {
    const { id: fileId, name } = await files.add({ ownerId, bytes: [bytes] })
    return links.absoluteLinkOf({ fileId, name })
  }
  const put = async (avatar_url: unknown): Promise<{ status: number; body: any }> => {
    const response = await fetch(`${app.url}/api/chats/${GROUP}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ avatar_url })
    })
    return { status: response.status, body: await response.json() }
  }
  const first = await upload(alice, png(4, 4))
  t.match(await put(first), { status: 403 }, 'not by a member')
  await groups.setAdmin(10001, GROUP, alice, true)
  t.match(await put(first), { status: 200, body: { avatar_url: /^\/api\/files\/1\// } })
  const second = await upload(alice, png(5, 5))
  t.match(await put(second), { status: 200, body: { avatar_url: /^\/api\/files\/2\// } })
  t.equal(await store.findFile(1), undefined, 'the former one is gone')
  await accounts.add({ id: 10012, kind: 'person', nickname: 'Bob' })
  const foreign = await upload(10012, png(6, 6))
  const words = await upload(alice, Buffer.from('no picture'))
  for (const wrong of [words, 'https://a.example/a.png', '', 7, {}])
    t.match(await put(wrong), { status: 400, body: { details: { field: 'avatar_url' } } }, String(wrong))
  t.match(await put(foreign), { status: 404 })
})

t.test('the picture of a group', async (t) => {
  const uriOf = (bytes: Buffer): string => `base64://${bytes.toString('base64')}`
  for (const dialect of ['milky', 'call'] as const) {
    const app = await startApp(t)
    const { store } = app.lactea.gateway
    const set = (token: string, image_uri: unknown): Promise<any> =>
      app[dialect](token, 'set_group_avatar', { ...group, image_uri })
    const shown = async (): Promise<string> => (await store.findGroup(GROUP))?.avatarUrl ?? ''
    const fetched = async (url: string): Promise<number> => (await fetch(new URL(url, app.url))).status

    t.match(await set('token-one', uriOf(png(4, 4))), { status: 'ok', data: {} })
    const first = await shown()
    t.equal(await fetched(first), 200, 'it needs no token')
    const token = await app.signIn('alice', 'alice-secret')
    const chats = await fetch(`${app.url}/api/chats`, { headers: { authorization: `Bearer ${token}` } })
    t.match(await chats.json(), { chats: [{ id: GROUP, avatar_url: first }] }, 'people see it')

    t.match(await set('token-one', uriOf(png(8, 8))), { status: 'ok' })
    t.not(await shown(), first)
    t.equal(await fetched(first), 403, 'the former one is gone')
    t.equal(await fetched(await shown()), 200)
    const before = await shown()
    const fileId = Number(/files\/(\d+)/.exec(before)?.[1])
    const rows: [string, unknown, number][] = [
      ['token-two', uriOf(png(5, 5)), -101],
      ['token-one', uriOf(Buffer.from('no picture')), -400],
      ['token-one', 'base64://', -400],
      ['token-one', 7, -400]
    ]
    for (const [who, uri, retcode] of rows) t.match(await set(who, uri), { retcode, message: /./ }, String(retcode))
    t.equal(await shown(), before)
    t.match(await app[dialect]('token-one', 'set_group_avatar', { group_id: 100002, image_uri: 'base64://' }), {
      status: 'failed'
    })
    t.strictSame(await store.listLooseContents(10), [], 'what was refused leaves no bytes')
    t.ok(await store.findFile(fileId))
    t.equal(await store.findFile(fileId + 1), undefined, 'nor a file')
  }
})

import { once } from 'node:events'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { text, type Running } from '../helpers/app.ts'
import { faultOf } from '../helpers/imsuite-schemas.ts'
import {
  alice,
  bob,
  carol,
  GROUP,
  heardSoFar,
  openDevice,
  request,
  say,
  startPeople,
  TIMESTAMP,
  tokenOf
} from '../helpers/people.ts'
import { openSocket, wrapSocket, type TestSocket } from '../helpers/socket.ts'

// The conformance list of the contract (2.16), point by point over real sockets. What each point rests on is tested in
// more depth beside its rules; this file is for who wants to know whether the whole of it holds.

/** Alice and Bob are friends and hear of each other; all waiting is short. */
const start = (t: Test, limits: object = {}, more: Record<string, object> = {}): Promise<Running> =>
  startPeople(t, {
    limits: { im_offer_burst: 1000, im_read_interval: 1, ...limits },
    provision: {
      accounts: [
        { id: alice, kind: 'person', username: 'alice', password: 'alice-secret', nickname: 'Alice' },
        { id: bob, kind: 'person', username: 'bob', password: 'bob-secret', nickname: 'Bob' },
        { id: carol, kind: 'person', username: 'carol', password: 'carol-secret', nickname: 'Carol' }
      ],
      friends: [[alice, bob]],
      groups: [{ id: GROUP, name: 'Test group', owner: 10001, admins: [bob], members: [10002, alice] }]
    },
    ...more
  })

const isOf =
  (...types: string[]) =>
  (frame: any): boolean =>
    types.includes(frame.type)
const about = (type: string) => async (device: TestSocket) =>
  (await heardSoFar(device)).filter((frame) => frame.type === type)

async function saidBy(device: TestSocket, words: string): Promise<number> {
  device.send(say(words))
  return (await device.find((frame) => frame.payload.message?.content === words)).payload.message.id
}

const media = { sdp: 'v=0\r\n', ice_candidates: [] }
const offer = (to_user: number): object => ({ type: 'call.offer', payload: { to_user, call_type: 'audio', ...media } })
const answer = (call_id: string): object => ({ type: 'call.answer', payload: { call_id, ...media } })

void t.test('1: the connect frame has the shape of the document, byte by byte', async (t) => {
  const app = await start(t)
  const device = await openSocket(t, `${app.ws}/ws?token=${await tokenOf(alice)}`)
  t.match(
    await device.nextText(),
    /^\{"type":"connect","payload":\{"status":"connected","user_id":10011,"server_time":"[-0-9]{10}T[0-9:]{8}Z"\},"timestamp":"[-0-9]{10}T[0-9:]{8}Z"\}$/
  )
})

void t.test('2: a bad token is told and closed with 1008 Authentication failed', async (t) => {
  const app = await start(t)
  const device = await openSocket(t, `${app.ws}/ws?token=nonsense`)
  const frame = await device.next()
  t.equal(faultOf(frame), undefined)
  t.match(frame, { type: 'error', payload: { error_code: 'AUTHENTICATION_FAILED' } })
  t.strictSame(await device.closed, { code: 1008, reason: 'Authentication failed' })
})

void t.test('3: query, header, subprotocol and ticket all work', async (t) => {
  const app = await start(t)
  const token = await app.signIn('alice', 'alice-secret')
  const { ticket } = (await request(app, token, 'POST', '/api/auth/ws-ticket', {})).body
  const devices = [
    await openSocket(t, `${app.ws}/ws?token=${token}`),
    await openSocket(t, `${app.ws}/ws`, { headers: { authorization: `Bearer ${token}` } }),
    wrapSocket(new WebSocket(`${app.ws}/ws`, ['bearer', token])),
    await openSocket(t, `${app.ws}/ws?ticket=${ticket}`)
  ]
  for (const device of devices) {
    t.teardown(() => device.socket.terminate())
    t.match(await device.next(), { type: 'connect', payload: { user_id: alice } })
  }
  const again = await openSocket(t, `${app.ws}/ws?ticket=${ticket}`)
  t.match(await again.next(), { type: 'error' }, 'a ticket is good once')
})

void t.test('4: a token that an IM-Suite server with the same secret issued is accepted', async (t) => {
  // The vector of the contract, whose user is number 1; the accounts of a deployment that moves here keep their numbers.
  const vector =
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyX2lkIjoxLCJwaG9uZSI6IjEzODAwMTM4MDAwIiwidXNlcm5hbWUiOiJ0ZXN0dXNlciIsImlzcyI6InpoaWhhbmctbWVzc2VuZ2VyIiwic3ViIjoiMSIsImV4cCI6NDEwMjQ0NDgwMCwibmJmIjoxNzU5Nzk1MjAwLCJpYXQiOjE3NTk3OTUyMDB9.BKfFttCYP8JY0-fqngp_2rlb1mGb8-GQU3NjxPEjiKc'
  const app = await start(t, {}, { im: { jwt_secret: 'test_secret_key_at_least_32_characters_long' } })
  await app.lactea.gateway.accounts.add({ id: 1, kind: 'person', nickname: 'testuser' })
  const device = await openSocket(t, `${app.ws}/ws?token=${vector}`)
  t.match(await device.next(), { type: 'connect', payload: { user_id: 1 } })
})

void t.test('5: a message reaches both devices of both, the sending one too, under one id', async (t) => {
  const app = await start(t)
  const devices = await Promise.all([alice, alice, bob, bob].map((id) => openDevice(t, app, id)))
  devices[0]?.send(say('hello'))
  const heard = await Promise.all(devices.map((device) => device.find(isOf('message.new'))))
  t.equal(new Set(heard.map((frame) => frame.payload.message.id)).size, 1)
})

void t.test('6: a private chat is called by the other side', async (t) => {
  const app = await start(t)
  const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
  a.send({ type: 'message.send', payload: { receiver_id: bob, content: 'hi' } })
  t.match((await a.find(isOf('message.new'))).payload.chat, { type: 'private', title: 'Bob' })
  t.match((await b.find(isOf('message.new'))).payload.chat, { type: 'private', title: 'Alice' })
})

void t.test('7: no frame that a base client gets has a key too many', async (t) => {
  const app = await start(t, { im_presence_grace: 1, im_presence_interval: 1 })
  // `openDevice` holds every frame against the schemas; here all fifteen kinds come by.
  const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
  const kinds = new Set<string>(['connect'])
  for (const device of [a, b]) device.socket.on('message', (data) => kinds.add(JSON.parse(String(data)).type))
  const id = await saidBy(a, 'one')
  a.send({ type: 'message.edit', payload: { message_id: id, content: 'two' } })
  a.send({ type: 'typing', payload: { chat_id: GROUP, is_typing: true } })
  b.send({ type: 'message.read', payload: { message_id: id } })
  await a.find(isOf('message.read'))
  a.send({ type: 'message.delete', payload: { message_id: id } })
  a.send({ type: 'presence', payload: { is_online: false } })
  await b.find(isOf('presence'))
  a.send(offer(bob))
  const { call_id } = (await b.find(isOf('call.offer'))).payload
  a.send({ type: 'call.ice', payload: { call_id, ice_candidate: { candidate: 'candidate:1' } } })
  await b.find(isOf('call.ice'))
  b.send(answer(call_id))
  await a.find(isOf('call.answer'))
  b.send({ type: 'call.end', payload: { call_id } })
  await a.find(isOf('call.end'))
  a.send({ type: 'nonsense' })
  await app.lactea.gateway.store.setAdmin(alice, true)
  const token = await app.signIn('alice', 'alice-secret')
  await request(app, token, 'POST', '/api/admin/notifications', { title: 'System', message: 'Down at ten' })
  await a.find(isOf('notification'))
  await heardSoFar(a)
  await app.lactea.app.close()
  await a.closed
  t.equal(kinds.size, 15, [...kinds].join(' '))
})

void t.test('8: a type that nobody knows is a VALIDATION_ERROR, and the connection lives', async (t) => {
  const app = await start(t)
  const device = await openDevice(t, app, alice)
  device.send({ type: 'message.shout', payload: {} })
  t.match(await device.next(), {
    type: 'error',
    payload: { error_code: 'VALIDATION_ERROR', details: { field: 'type', ref_type: 'message.shout' } }
  })
  t.strictSame(await heardSoFar(device), [])
})

void t.test('9, 10, 11: binary is 1003, 70 KiB is 1009, the fifth frame that is no JSON is 1007', async (t) => {
  const app = await start(t)
  const rows: [frames: (string | Buffer)[], code: number][] = [
    [[Buffer.from('{"type":"ping"}')], 1003],
    [['x'.repeat(70 * 1024)], 1009],
    [['{', '{', '{', '{', '{'], 1007]
  ]
  for (const [frames, code] of rows) {
    const device = await openDevice(t, app, alice)
    for (const frame of frames) device.socket.send(frame)
    t.match(await device.closed, { code })
  }
})

void t.test('12: who is not in a chat neither says, nor reads, nor types there', async (t) => {
  const app = await start(t)
  const [a, c] = [await openDevice(t, app, alice), await openDevice(t, app, carol)]
  const message_id = await saidBy(a, 'secret')
  for (const frame of [
    say('me too'),
    { type: 'message.read', payload: { message_id } },
    { type: 'typing', payload: { chat_id: GROUP } }
  ]) {
    c.send(frame)
    t.match(await c.next(), { type: 'error', payload: { error_code: 'NOT_FOUND' } })
  }
})

void t.test('13: the same client_msg_id twice at once is one row and one event', async (t) => {
  const app = await start(t)
  const [one, two, b] = [
    await openDevice(t, app, alice),
    await openDevice(t, app, alice),
    await openDevice(t, app, bob)
  ]
  for (const device of [one, two]) device.send({ ...say('once'), x: { client_msg_id: 'the same' } })
  await Promise.all([heardSoFar(one), heardSoFar(two)])
  t.equal((await about('message.new')(b)).length, 1)
  t.equal((await app.lactea.gateway.store.listMessages({ chatId: GROUP, limit: 10 })).length, 1)
})

void t.test('14, 15: only the sender edits, and an admin may delete', async (t) => {
  const app = await start(t)
  const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
  const message_id = await saidBy(a, 'mine')
  await b.find(isOf('message.new'))
  b.send({ type: 'message.edit', payload: { message_id, content: 'his' } })
  t.match(await b.next(), { type: 'error', payload: { error_code: 'FORBIDDEN', details: { reason: 'not_sender' } } })
  b.send({ type: 'message.delete', payload: { message_id } })
  t.match(await a.find(isOf('message.delete')), { payload: { message_id, deleted_by: bob } })
})

void t.test('16: a read mark that goes back is no event', async (t) => {
  const app = await start(t)
  const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
  const [first, second] = [await saidBy(a, 'one'), await saidBy(a, 'two')]
  b.send({ type: 'message.read', payload: { message_id: second } })
  await a.find(isOf('message.read'))
  for (const message_id of [first, second]) b.send({ type: 'message.read', payload: { message_id } })
  await heardSoFar(b)
  t.strictSame(await about('message.read')(a), [])
})

void t.test('17: typing ends by itself, with the message, and with the connection', async (t) => {
  const app = await start(t, { im_typing_ttl: 60 })
  const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
  const typing = { type: 'typing', payload: { chat_id: GROUP, is_typing: true } }
  const ends: (() => void)[] = [(): void => {}, (): void => a.send(say('done')), (): void => a.socket.terminate()]
  for (const end of ends) {
    a.send(typing)
    t.match(await b.find(isOf('typing')), { payload: { user_id: alice, is_typing: true } })
    end()
    t.match(await b.find(isOf('typing')), { payload: { user_id: alice, is_typing: false } })
  }
})

void t.test('18, 19: a short absence is not told, nor that one of two devices left', async (t) => {
  const app = await start(t, { im_presence_grace: 60_000, im_presence_interval: 1 })
  const b = await openDevice(t, app, bob)
  const first = await openDevice(t, app, alice)
  t.match(await b.find(isOf('presence')), { payload: { user_id: alice, is_online: true } })
  first.socket.terminate()
  await first.closed
  const [one, two] = [await openDevice(t, app, alice), await openDevice(t, app, alice)]
  one.socket.close()
  await one.closed
  await heardSoFar(two)
  t.strictSame(await about('presence')(b), [])
})

void t.test('20, 21: a call is answered once; the other devices of the callee hear who did', async (t) => {
  const app = await start(t)
  const [a, one, two] = [await openDevice(t, app, alice), await openDevice(t, app, bob), await openDevice(t, app, bob)]
  a.send(offer(bob))
  const { call_id } = (await one.find(isOf('call.offer'))).payload
  await two.find(isOf('call.offer'))
  one.send(answer(call_id))
  t.match(await a.find(isOf('call.answer')), { payload: { call_id, from_user: bob, to_user: alice } })
  t.match(await two.find(isOf('call.end')), { payload: { call_id, reason: 'answered_elsewhere' } })
  two.send(answer(call_id))
  t.match(await two.find(isOf('error')), { payload: { error_code: 'CALL_STATE' } })
  a.send({ type: 'call.end', payload: { call_id, reason: 'user_hangup' } })
  t.match(await one.find(isOf('call.end')), { payload: { call_id, reason: 'user_hangup', ended_at: TIMESTAMP } })
})

void t.test('22, 24, 26: busy, nobody answers, and an end that names no call', async (t) => {
  const app = await start(t, { im_ring_timeout: 200 })
  const [a, b, c] = [await openDevice(t, app, alice), await openDevice(t, app, bob), await openDevice(t, app, carol)]
  c.send({ type: 'message.send', payload: { receiver_id: bob, content: 'now we know each other' } })
  await c.find(isOf('message.new'))
  a.send(offer(bob))
  await b.find(isOf('call.offer'))
  c.send(offer(bob))
  t.match(await c.find(isOf('call.end')), { payload: { from_user: bob, reason: 'user_busy', duration: 0 } })
  for (const device of [a, b]) t.match(await device.find(isOf('call.end')), { payload: { reason: 'timeout' } })
  a.send(offer(bob))
  const { call_id } = (await b.find(isOf('call.offer'))).payload
  a.send({ type: 'call.end', payload: {} })
  t.match(await b.find(isOf('call.end')), { payload: { call_id, from_user: alice } })
})

void t.test('23: of two who call each other at once exactly one call comes to be', async (t) => {
  const app = await start(t, { im_frame_rate: 1000, im_frame_burst: 1000 })
  const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
  for (let round = 0; round < 20; round++) {
    a.send(offer(bob))
    b.send(offer(alice))
    const heard = (await Promise.all([heardSoFar(a), heardSoFar(b)])).map((frames) =>
      frames.filter(isOf('call.offer', 'error'))
    )
    // The winner hears nothing; the loser is told of it, and has the winner's offer.
    const loser = heard[0]?.length === 0 ? heard[1] : heard[0]
    t.strictSame(
      heard.map((frames) => frames.length).toSorted((x, y) => x - y),
      [0, 2]
    )
    t.match(loser?.find(isOf('error')), { payload: { error_code: 'CALL_BUSY', details: { reason: 'glare' } } })
    t.ok(loser?.some(isOf('call.offer')))
    a.send({ type: 'call.end', payload: {} })
    b.send({ type: 'call.end', payload: {} })
    await Promise.all([heardSoFar(a), heardSoFar(b)])
  }
})

void t.test('25: a caller whose connection breaks and does not come back ends the call', async (t) => {
  const app = await start(t, { im_call_grace: 50 })
  const [a, b] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
  a.send(offer(bob))
  const { call_id } = (await b.find(isOf('call.offer'))).payload
  b.send(answer(call_id))
  await a.find(isOf('call.answer'))
  a.socket.terminate()
  t.match(await b.find(isOf('call.end')), { payload: { call_id, reason: 'network_error' } })
})

const cluster = { skip: 'needs several nodes, which come with PostgreSQL and NATS' }
void t.test('27: a node that dies between commit and publish loses nothing', cluster, async () => {})
void t.test('28: thirty seconds without the bus lose nothing', cluster, async () => {})

void t.test('29: a gateway that goes says so, with 1001', async (t) => {
  const app = await start(t)
  const device = await openDevice(t, app, alice)
  await app.lactea.app.close()
  t.match(await device.next(), { type: 'disconnect', payload: { reason: 'server_shutdown' } })
  t.match(await device.closed, { code: 1001 })
})

void t.test('30: a reader that does not read is parted with, and holds up nobody', async (t) => {
  const app = await start(t, { im_buffer: 64 * 1024 })
  const [slow, quick] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
  slow.socket.pause()
  const { chats, accounts, devices } = app.lactea.gateway
  const hasLeft = new Promise<void>((resolve) => {
    devices.watch({ left: ({ accountId }) => accountId === alice && resolve() })
  })
  const sender = await accounts.get(10001)
  const words = 'x'.repeat(16_000)
  // More than the kernel keeps for both ends.
  for (let round = 0; round < 1000; round++) {
    await chats.send({ chatId: GROUP, sender, segments: [{ type: 'text', text: `${round} ${words}` }] })
    await quick.find((frame) => frame.payload.message?.content.startsWith(`${round} `))
  }
  await hasLeft
  t.strictSame(devices.of(alice), [])
  t.equal(devices.of(bob).length, 1)
})

void t.test('31: no token is in the log, wherever it was shown', async (t) => {
  const app = await startPeople(t, {}, { logLevel: 'trace' })
  const token = await app.signIn('alice', 'alice-secret')
  const { ticket } = (await request(app, token, 'POST', '/api/auth/ws-ticket', {})).body
  for (const query of [`token=${token}`, `ticket=${ticket}`]) {
    const device = await openSocket(t, `${app.ws}/ws?${query}`)
    await device.next()
    device.socket.terminate()
    await device.closed
  }
  const [, , signature = ''] = token.split('.')
  t.notMatch(app.lines.join('\n'), new RegExp(`${signature}|${ticket}`))
})

void t.test('32: signing out closes the sockets of the session', async (t) => {
  const app = await start(t)
  const [mine, other] = [await app.signIn('alice', 'alice-secret'), await app.signIn('alice', 'alice-secret')]
  const [device, stays] = [
    await openDevice(t, app, alice, { token: mine }),
    await openDevice(t, app, alice, { token: other })
  ]
  await request(app, mine, 'POST', '/api/auth/logout', {})
  t.match(await device.find(isOf('disconnect')), { payload: { reason: 'session_revoked' } })
  t.match(await device.closed, { code: 1000 })
  t.strictSame(await heardSoFar(stays), [])
  const back = await openSocket(t, `${app.ws}/ws?token=${mine}`)
  t.match(await back.next(), { type: 'error', payload: { error_code: 'AUTHENTICATION_FAILED' } })
})

void t.test('33: what was missed comes again, and nothing that a pong confirmed', async (t) => {
  const app = await start(t, { im_ping: 30 })
  const token = await app.signIn('alice', 'alice-secret')
  const device = await openDevice(t, app, alice, { token })
  const b = await openDevice(t, app, bob)
  await saidBy(b, 'confirmed')
  await device.find(isOf('message.new'))
  await once(device.socket, 'ping')
  await heardSoFar(device)
  device.socket.terminate()
  await device.closed
  await saidBy(b, 'missed')
  const back = await openDevice(t, app, alice, { token })
  const heard = await about('message.new')(back)
  t.strictSame(
    heard.map((frame) => frame.payload.message.content),
    ['missed']
  )
})

void t.test('34, 35: a bare ping is answered, and data stands for payload', async (t) => {
  const app = await start(t)
  const device = await openDevice(t, app, alice)
  device.send('{"type":"ping"}')
  t.match(await device.next(), { type: 'pong', payload: { timestamp: TIMESTAMP }, timestamp: TIMESTAMP })
  device.send({ type: 'message.send', data: { chatId: GROUP, content: 'hello' } })
  t.match(await device.next(), { type: 'message.new', payload: { message: { content: 'hello' } } })
})

void t.test('and a bot is a peer like any other', async (t) => {
  const app = await start(t)
  const a = await openDevice(t, app, alice)
  a.send({ type: 'message.send', payload: { receiver_id: 10001, content: 'are you there?' } })
  const { chat } = (await a.find(isOf('message.new'))).payload
  await app.call('token-one', 'set_typing', { user_id: alice, is_typing: true })
  t.match(await a.find(isOf('typing')), { payload: { chat_id: chat.id, user_id: 10001, is_typing: true } })
  const { data } = await app.call('token-one', 'send_private_message', { user_id: alice, message: text('yes') })
  const { message } = (await a.find(isOf('message.new'))).payload
  t.match(message, { chat_id: chat.id, sender_id: 10001, content: 'yes' })
  await app.call('token-one', 'recall_message', data)
  t.match(await a.find(isOf('message.delete')), { payload: { message_id: message.id, deleted_by: 10001 } })
})

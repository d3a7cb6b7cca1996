import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { ReadState } from '../../src/core/store.ts'
import { text, type Running } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { alice, bob, GROUP, heardSoFar, openDevice, say, startPeople } from '../helpers/people.ts'
import { WebSocket } from 'ws'
import { openSocket, wrapSocket, type TestSocket } from '../helpers/socket.ts'

const FAST = { limits: { im_ping: 40 } }

/** Cut like a phone in a tunnel: without a word. */
async function cut(device: TestSocket): Promise<void> {
  device.socket.terminate()
  await device.closed
}

/** Waits until a pong has confirmed what the device has heard until now. */
async function confirmed(device: TestSocket): Promise<void> {
  await once(device.socket, 'ping')
  // The pong is on its way before this; frames are read in order.
  await heardSoFar(device)
}

const contents = (frames: any[]): unknown[] => frames.map((frame) => frame.payload.message?.content ?? frame.type)

async function sayAll(app: Running, device: TestSocket, words: readonly string[]): Promise<number[]> {
  const ids: number[] = []
  for (const word of words) {
    device.send(say(word))
    ids.push((await device.find((frame) => frame.payload.message?.content === word)).payload.message.id)
  }
  return ids
}

void t.test('a device that comes back', async (t) => {
  t.test('hears what it missed, in order and before anything live, and nothing that it confirmed', async (t) => {
    const app = await startPeople(t, FAST)
    const token = await app.signIn('alice', 'alice-secret')
    const other = await openDevice(t, app, bob)
    const first = await openDevice(t, app, alice, { token })
    const [known] = await sayAll(app, other, ['heard'])
    await first.next()
    await confirmed(first)
    await cut(first)

    const [one] = await sayAll(app, other, ['one', 'two', 'three'])
    other.send({ type: 'message.edit', payload: { message_id: known, content: 'heard, edited' } })
    other.send({ type: 'message.delete', payload: { message_id: one } })
    await other.find((frame) => frame.type === 'message.delete')

    const back = await openSocket(t, `${app.ws}/ws?token=${token}`)
    t.match(await back.next(), { type: 'connect' })
    const missed = [await back.next(), await back.next(), await back.next(), await back.next()]
    t.strictSame(contents(missed), ['two', 'three', 'heard, edited', 'message.delete'])
    t.strictSame(Object.keys(missed[0]), ['type', 'payload', 'timestamp'])
    await sayAll(app, other, ['live'])
    t.strictSame(contents([await back.next()]), ['live'])
  })

  t.test('hears it once, however much is said while it comes back', async (t) => {
    const app = await startPeople(t, { limits: { im_ping: 40, im_message_burst: 1000, im_chat_rate: 1000 } })
    const token = await app.signIn('alice', 'alice-secret')
    const first = await openDevice(t, app, alice, { token })
    await confirmed(first)
    await cut(first)
    const words = Array.from({ length: 300 }, (_, index) => `word ${index}`)
    const { chats, accounts } = app.lactea.gateway
    const sender = await accounts.get(bob)
    const sending = words.map((word) => chats.send({ chatId: GROUP, sender, segments: [{ type: 'text', text: word }] }))
    const back = await openDevice(t, app, alice, { token })
    await Promise.all(sending)
    // At most 200 of one chat are told again, the newest.
    const heard: string[] = []
    while (heard.at(-1) !== words.at(-1)) heard.push((await back.next()).payload.message.content)
    t.ok(heard.length >= 200, `${heard.length} from ${heard[0]}`)
    t.strictSame(heard, words.slice(-heard.length))
  })

  t.test('hears it after the gateway was started again', async (t) => {
    const dir = makeDirectory(t)
    const before = await startPeople(t, FAST, { dir })
    const token = await before.signIn('alice', 'alice-secret')
    const first = await openDevice(t, before, alice, { token })
    await confirmed(first)
    await cut(first)
    await before.call('token-one', 'send_group_message', { group_id: GROUP, message: text('while you were away') })
    await before.lactea.app.close()

    const after = await startPeople(t, FAST, { dir })
    const back = await openDevice(t, after, alice, { token })
    t.match(await back.next(), { payload: { message: { content: 'while you were away' } } })
  })

  t.test('hears nothing again when it was told not to, or when its token has no session', async (t) => {
    const app = await startPeople(t, { ...FAST, im: { replay: false } })
    const token = await app.signIn('alice', 'alice-secret')
    const other = await openDevice(t, app, bob)
    const devices = [await openDevice(t, app, alice, { token }), await openDevice(t, app, alice)]
    for (const device of devices) await confirmed(device)
    for (const device of devices) await cut(device)
    await sayAll(app, other, ['missed'])
    for (const back of [await openDevice(t, app, alice, { token }), await openDevice(t, app, alice)])
      t.strictSame(await heardSoFar(back), [])
  })

  t.test('is told again from the place of the window that is further behind', async (t) => {
    const app = await startPeople(t, { limits: { im_ping: 60_000 } })
    const token = await app.signIn('alice', 'alice-secret')
    const other = await openDevice(t, app, bob)
    const [left, right] = [await openDevice(t, app, alice, { token }), await openDevice(t, app, alice, { token })]
    await sayAll(app, other, ['unconfirmed'])
    await Promise.all([left.next(), right.next()])
    await cut(left)
    t.strictSame(contents([await (await openDevice(t, app, alice, { token })).next()]), ['unconfirmed'])
    t.strictSame(await heardSoFar(right), [], 'the window that stayed hears nothing twice')
  })
})

void t.test('a message counts as delivered once a pong has confirmed it', async (t) => {
  const app = await startPeople(t, { limits: { im_ping: 40, im_frame_rate: 10_000, im_frame_burst: 10_000 } })
  const [one, two] = [await openDevice(t, app, alice), await openDevice(t, app, bob)]
  await sayAll(app, one, ['are you there?'])
  await two.next()
  const stateOf = async (accountId: number): Promise<ReadState | undefined> =>
    (await app.lactea.gateway.store.listReadStates(GROUP)).find((state) => state.accountId === accountId)
  await confirmed(two)
  // It is stored a moment later, together with what other devices confirm.
  while (!(await stateOf(bob))?.deliveredId) await heardSoFar(two)
  t.match(await stateOf(bob), { readSeq: 0, deliveredId: 1 })
  t.match(await stateOf(10002), { readSeq: 0, deliveredId: 0 })
})

void t.test('the extension profile', async (t) => {
  const openExt = (t: Test, app: Running, accountId: number): Promise<TestSocket> =>
    openDevice(t, app, accountId, { query: 'ext=1' })

  t.test('is asked for in the query or by subprotocol, and tells of the session and the limits', async (t) => {
    const app = await startPeople(t)
    const token = await app.signIn('alice', 'alice-secret')
    const devices = [
      await openSocket(t, `${app.ws}/ws?token=${token}&ext=1`),
      wrapSocket(new WebSocket(`${app.ws}/ws?token=${token}`, ['imsuite.ext.v1'])),
      wrapSocket(new WebSocket(`${app.ws}/ws`, ['bearer', token, 'imsuite.ext.v1']))
    ]
    for (const device of devices) {
      t.teardown(() => device.socket.terminate())
      const frame = await device.next()
      t.match(frame, {
        type: 'connect',
        payload: { status: 'connected', user_id: alice },
        x: {
          session_id: /.+/,
          device_id: /.+/,
          epoch: /.+/,
          heartbeat_s: 30,
          limits: { message_text: 4096, frame: 65_536, message_rate: 5 },
          server: 'lactea'
        }
      })
      t.strictSame(Object.keys(frame.payload), ['status', 'user_id', 'server_time'])
    }
  })

  t.test('sends the bytes of the base profile and x after them', async (t) => {
    const app = await startPeople(t)
    const [base, ext] = [await openDevice(t, app, alice), await openExt(t, app, alice)]
    base.send(say('hello'))
    const [short, long] = [await base.nextText(), await ext.nextText()]
    t.equal(long, `${short.slice(0, -1)},"x":{"event_seq":1,"prev_event_seq":0,"seq":1}}`)
  })

  t.test('acknowledges each frame that has an id once, before what comes of it', async (t) => {
    const app = await startPeople(t)
    const [base, ext] = [await openDevice(t, app, alice), await openExt(t, app, alice)]
    const frame = { ...say('hello'), id: 'c-17', x: { client_msg_id: 'mine-1' } }
    ext.send(frame)
    const ack = await ext.next()
    t.match(ack, {
      type: 'ack',
      payload: { request_id: 'c-17', result: { chat_id: GROUP, seq: 1, created_at: /Z$/, duplicate: false } }
    })
    t.match(await ext.next(), { type: 'message.new', x: { client_msg_id: 'mine-1', seq: 1, event_seq: 1 } })
    ext.send({ ...frame, id: 'c-18' })
    t.match(await ext.next(), {
      payload: { request_id: 'c-18', result: { message_id: ack.payload.result.message_id, duplicate: true } }
    })
    ext.send({ type: 'message.edit', id: 'c-19', payload: { message_id: 99_999, content: 'x' } })
    t.match(await ext.next(), { type: 'error', payload: { error_code: 'NOT_FOUND', details: { request_id: 'c-19' } } })
    t.strictSame(
      contents(await heardSoFar(base)),
      ['hello'],
      'the repeated one is no second message, base gets no acks'
    )
    base.send({ ...say('without'), id: 'b-1' })
    t.match(await base.next(), { type: 'message.new' })
  })

  t.test('the same client_msg_id at once from two devices is one message', async (t) => {
    const app = await startPeople(t)
    const [one, two] = [await openExt(t, app, alice), await openExt(t, app, alice)]
    const frame = { ...say('twice'), id: 'a', x: { client_msg_id: 'same' } }
    one.send(frame)
    two.send(frame)
    const acks = [await one.find((heard) => heard.type === 'ack'), await two.find((heard) => heard.type === 'ack')].map(
      (ack) => ack.payload.result
    )
    t.equal(acks[0].message_id, acks[1].message_id)
    t.equal(acks.filter((result) => result.duplicate).length, 1)
    t.equal((await app.lactea.gateway.store.listMessages({ chatId: GROUP, limit: 10 })).length, 1)
  })

  t.test('an edit of an older revision is a conflict', async (t) => {
    const app = await startPeople(t)
    const ext = await openExt(t, app, alice)
    ext.send(say('one'))
    const { id } = (await ext.next()).payload.message
    const edit = (content: string): object => ({
      type: 'message.edit',
      id: content,
      payload: { message_id: id, content },
      x: { expected_rev: 0 }
    })
    ext.send(edit('two'))
    t.match(await ext.next(), { type: 'ack', payload: { result: { rev: 1 } } })
    t.match(await ext.next(), { type: 'message.edit', x: { rev: 1, event_seq: 2, prev_event_seq: 1 } })
    ext.send(edit('three'))
    t.match(await ext.next(), { type: 'error', payload: { error_code: 'CONFLICT' } })
  })

  t.test('hears of membership, which base clients do not', async (t) => {
    const app = await startPeople(t)
    const [base, ext] = [await openDevice(t, app, alice), await openExt(t, app, alice)]
    const group = { group_id: GROUP }
    await app.call('token-one', 'set_group_name', { ...group, name: 'Renamed' })
    t.match(await ext.next(), { type: 'chat.updated', payload: { chat: { title: 'Renamed' } }, x: { event_seq: 1 } })
    await app.call('token-one', 'set_group_member_admin', { ...group, user_id: alice })
    t.match(await ext.next(), { type: 'member.updated', payload: { user_id: alice, role: 'admin' } })
    await app.call('token-one', 'set_group_member_mute', { ...group, user_id: alice, duration: 60 })
    t.match(await ext.next(), { type: 'member.updated', payload: { user_id: alice, muted_until: /Z$/ } })
    await app.call('token-one', 'kick_group_member', { ...group, user_id: bob })
    t.match(await ext.next(), {
      type: 'member.left',
      payload: { user_id: bob, operator_id: 10001 },
      x: { event_seq: 4 }
    })
    t.strictSame(await heardSoFar(base), [])
  })

  t.test('sync gives what a client does not know, chat by chat, before anything live', async (t) => {
    const app = await startPeople(t, { limits: { im_message_burst: 100 } })
    const other = await openDevice(t, app, bob)
    const [first] = await sayAll(app, other, ['one', 'two', 'three'])
    other.send({ type: 'message.edit', payload: { message_id: first, content: 'one, edited' } })
    await other.find((frame) => frame.type === 'message.edit')

    const ext = await openExt(t, app, alice)
    ext.send({ type: 'sync', id: 's', payload: { known: { [GROUP]: 1, 777777: 5 } } })
    t.match(await ext.next(), { type: 'ack', payload: { request_id: 's' } })
    const { payload } = await ext.next()
    t.match(payload, { removed: [777777], epoch: /.+/, chats: [{ chat: { id: GROUP }, from: 1, to: 4, more: false }] })
    t.strictSame(contents(payload.chats[0].events), ['two', 'three', 'one, edited'])
    t.match(payload.chats[0].events[0].x, { event_seq: 2, prev_event_seq: 1 })
    t.match(await ext.next(), { type: 'sync.done' })

    ext.send({ type: 'sync', payload: { known: { [GROUP]: 2 }, limit: 1 } })
    t.match((await ext.next()).payload.chats, [{ from: 2, to: 3, more: true }])
    t.match(await ext.next(), { type: 'sync.done' })
    await sayAll(app, other, ['live'])
    t.strictSame(contents([await ext.next()]), ['live'])
  })

  t.test('sync of a client that is too far behind, or of another log, begins anew', async (t) => {
    const app = await startPeople(t)
    const { chats, accounts } = app.lactea.gateway
    const sender = await accounts.get(bob)
    await Promise.all(
      Array.from({ length: 1002 }, (_, index) =>
        chats.send({ chatId: GROUP, sender, segments: [{ type: 'text', text: `${index}` }] })
      )
    )
    const ext = await openExt(t, app, alice)
    await heardSoFar(ext)
    for (const payload of [
      { known: { [GROUP]: 1 } },
      { known: { [GROUP]: 5000 } },
      { known: { [GROUP]: 1000 }, epoch: 'another' }
    ]) {
      ext.send({ type: 'sync', payload })
      t.match(await ext.next(), { type: 'sync.reset', payload: { chat_id: GROUP } }, JSON.stringify(payload))
      await ext.find((frame) => frame.type === 'sync.done')
    }
    ext.send({ type: 'sync', payload: { known: { x: 1 } } })
    t.match(await ext.next(), { type: 'error', payload: { error_code: 'VALIDATION_ERROR' } })
  })

  t.test('sync of a client that missed what is not in the log any more begins anew', async (t) => {
    const app = await startPeople(t)
    const { chats, accounts, store } = app.lactea.gateway
    const sender = await accounts.get(bob)
    for (let index = 1; index <= 10; index++)
      await chats.send({ chatId: GROUP, sender, segments: [{ type: 'text', text: `message ${index}` }] })
    await store.dropEvents({ keptFrom: 0, keep: 4, limit: 1000 })
    const oldest = await store.oldestEventSeq(GROUP)
    const ext = await openExt(t, app, alice)
    await heardSoFar(ext)
    for (const [known, type] of [
      [oldest - 2, 'sync.reset'],
      [oldest - 1, 'sync.result'],
      [oldest + 3, 'sync.done']
    ] as const) {
      ext.send({ type: 'sync', payload: { known: { [GROUP]: known } } })
      const first = await ext.next()
      t.equal(first.type, type)
      if (type === 'sync.result')
        t.strictSame(
          contents(first.payload.chats[0].events),
          [7, 8, 9, 10].map((number) => `message ${number}`)
        )
      if (type !== 'sync.done') await ext.find((frame) => frame.type === 'sync.done')
    }
    t.equal((await store.listMessages({ chatId: GROUP, limit: 100 })).length, 10, 'a page of it has everything')
  })

  t.test('a token can be renewed before it ends', async (t) => {
    const app = await startPeople(t)
    const token = await app.signIn('alice', 'alice-secret')
    const ext = await openExt(t, app, alice)
    ext.send({ type: 'auth.refresh', id: 'r', payload: { token } })
    t.match(await ext.next(), { type: 'ack', payload: { request_id: 'r', result: { expires_at: /Z$/ } } })
    for (const wrong of ['nonsense', await app.signIn('bob', 'bob-secret'), 5]) {
      ext.send({ type: 'auth.refresh', id: 'w', payload: { token: wrong } })
      t.match(await ext.next(), {
        type: 'error',
        payload: { error_code: 'VALIDATION_ERROR', details: { field: 'token' } }
      })
    }
  })

  t.test('a client that says that a message has arrived is heard by who wrote it', async (t) => {
    const app = await startPeople(t)
    const [one, two] = [await openExt(t, app, alice), await openExt(t, app, bob)]
    one.send({ type: 'message.send', payload: { receiver_id: bob, content: 'psst' } })
    const { id } = (await two.find((frame) => frame.type === 'message.new')).payload.message
    two.send({ type: 'message.delivered', payload: { message_id: id } })
    t.match(await one.find((frame) => frame.type === 'message.delivered'), {
      payload: { message_id: id, delivered_to: bob }
    })
  })
})

void t.test('dialects', async (t) => {
  t.test('data says data for payload', async (t) => {
    const app = await startPeople(t)
    const device = await openSocket(t, `${app.ws}/ws?dialect=data&token=${await app.signIn('alice', 'alice-secret')}`)
    t.match(await device.next(), { type: 'connect', data: { user_id: alice } })
    device.send({ type: 'message.send', data: { chat_id: GROUP, content: 'the word "payload": is mine' } })
    t.match(await device.next(), { type: 'message.new', data: { message: { content: 'the word "payload": is mine' } } })
    device.send({ type: 'nonsense' })
    t.match(await device.next(), { type: 'error', data: { error_code: 'VALIDATION_ERROR' } })
  })

  t.test('legacy has messages as the old web client reads them', async (t) => {
    const app = await startPeople(t)
    const device = await openDevice(t, app, alice, { query: 'dialect=legacy' })
    device.send(say('hello'))
    t.match(await device.next(), { type: 'message', data: { chat_id: GROUP, sender_id: alice, content: 'hello' } })
  })
})

void t.test('a socket without a token', async (t) => {
  t.test('may show it in its first frame, where that is allowed', async (t) => {
    const app = await startPeople(t, { im: { late_auth: true } })
    const token = await app.signIn('alice', 'alice-secret')
    const device = await openSocket(t, `${app.ws}/ws`)
    device.send({ type: 'auth', payload: { token } })
    device.send(say('at once'))
    t.match(await device.next(), { type: 'connect', payload: { user_id: alice } })
    t.match(await device.next(), { type: 'message.new', payload: { message: { content: 'at once' } } })
    for (const frame of ['{"type":"auth","payload":{"token":"nonsense"}}', '{"type":"ping"}', 'nonsense']) {
      const wrong = await openSocket(t, `${app.ws}/ws`)
      wrong.send(frame)
      t.match(await wrong.next(), { type: 'error', payload: { error_code: 'AUTHENTICATION_FAILED' } })
      t.match(await wrong.closed, { code: 1008, reason: 'Authentication failed' })
    }
  })

  t.test('is refused in the handshake, where that is wanted', async (t) => {
    const app = await startPeople(t, { im: { auth_reject: 'http401' } })
    for (const query of ['', '?token=nonsense'])
      await t.rejects(openSocket(t, `${app.ws}/ws${query}`), { message: 'refused with 401' })
  })
})

void t.test(
  'who connects while hundreds of messages are told hears all that come from then on, each once',
  async (t) => {
    const app = await startPeople(t)
    const { chats, accounts, hub } = app.lactea.gateway
    const sender = await accounts.get(bob)
    const words = Array.from({ length: 600 }, (_, index) => `word ${index}`)
    const sending = words.map((word) => chats.send({ chatId: GROUP, sender, segments: [{ type: 'text', text: word }] }))
    const before = hub.position()
    const device = await openDevice(t, app, alice)
    await Promise.all(sending)
    const heard: string[] = []
    while (heard.at(-1) !== words.at(-1)) heard.push((await device.next()).payload.message.content)
    t.strictSame(heard, words.slice(-heard.length))
    t.equal(before, 0)
  }
)

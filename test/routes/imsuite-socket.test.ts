import { once } from 'node:events'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { text, type Running } from '../helpers/app.ts'
import { alice, openDevice, startPeople, TIMESTAMP, tokenOf } from '../helpers/people.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'

const start = startPeople
/** Who may do something so often may not do it more often on a busy machine, where a test takes longer. */
const still = { isTimeStopped: true }
const connect = (t: Test, app: Running, accountId = alice): Promise<TestSocket> => openDevice(t, app, accountId)

/** The names of everything in a frame, nested ones with a dot: what a strict client compares. */
function keysOf(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([key, inner]) => keysOf(inner, path ? `${path}.${key}` : key))
}

void t.test('connecting', async (t) => {
  t.test('begins with a connect frame of exactly the keys of the document', async (t) => {
    const app = await start(t)
    const device = await openSocket(t, `${app.ws}/ws?token=${await tokenOf(10011)}`)
    const frame = await device.next()
    t.match(frame, {
      type: 'connect',
      payload: { status: 'connected', user_id: 10011, server_time: TIMESTAMP },
      timestamp: TIMESTAMP
    })
    t.strictSame(Object.keys(frame), ['type', 'payload', 'timestamp'])
    t.strictSame(Object.keys(frame.payload), ['status', 'user_id', 'server_time'])
  })

  t.test('takes the token wherever clients put it', async (t) => {
    const app = await start(t)
    const token = await tokenOf(10011)
    const inHeader = (authorization: string) => ({ headers: { authorization } })
    const devices = [
      await openSocket(t, `${app.ws}/ws?token=${token}`),
      await openSocket(t, `${app.ws}/im/ws?token=${token}`),
      await openSocket(t, `${app.ws}/ws`, inHeader(`Bearer ${token}`)),
      await openSocket(t, `${app.ws}/ws`, inHeader(`bearer ${token}`))
    ]
    for (const device of devices) t.match(await device.next(), { type: 'connect' })
    const browser = new globalThis.WebSocket(`${app.ws}/ws`, ['bearer', token])
    t.teardown(() => browser.close())
    const [event] = (await once(browser, 'message')) as [{ data: string }]
    t.match(JSON.parse(event.data), { type: 'connect' })
    t.equal(browser.protocol, 'bearer')
  })

  t.test('without a token that holds is told why, then closed', async (t) => {
    const app = await start(t)
    for (const query of ['', '?token=', '?token=nonsense', `?token=${await tokenOf(10011, -120)}`]) {
      const device = await openSocket(t, `${app.ws}/ws${query}`)
      const frame = await device.next()
      t.match(frame, {
        type: 'error',
        payload: { error_code: 'AUTHENTICATION_FAILED', message: String, details: { reason: /^令牌/ } },
        timestamp: TIMESTAMP
      })
      t.strictSame(Object.keys(frame.payload), ['error_code', 'message', 'details'])
      t.strictSame(await device.closed, { code: 1008, reason: 'Authentication failed' })
      t.strictSame(device.waiting(), [])
    }
  })

  t.test('and speaking without a token that holds does nothing', async (t) => {
    const app = await start(t)
    const bob = await connect(t, app, 10012)
    const socket = new WebSocket(`${app.ws}/ws?token=nonsense`)
    socket.on('open', () => {
      for (let index = 0; index < 20; index++)
        socket.send('{"type":"message.send","payload":{"chat_id":100001,"content":"let me in"}}')
    })
    await once(socket, 'close')
    await app.call('token-one', 'send_group_message', { group_id: 100001, message: text('later') })
    t.match(await bob.next(), { payload: { message: { content: 'later' } } })
  })

  t.test('from a page of another site is refused', async (t) => {
    const app = await start(t)
    const address = `${app.ws}/ws?token=${await tokenOf(10011)}`
    await t.rejects(openSocket(t, address, { origin: 'https://evil.example' }), { message: 'refused with 403' })
    await t.rejects(openSocket(t, address, { origin: 'null' }), { message: 'refused with 403' })
    const own = await openSocket(t, address, { origin: app.url })
    t.match(await own.next(), { type: 'connect' })
  })

  t.test('needs an upgrade', async (t) => {
    const app = await start(t)
    t.equal((await fetch(`${app.url}/ws`)).status, 426)
  })

  t.test('too often from one address is refused', async (t) => {
    const app = await start(t, { limits: { upgrade_rate: 2 } })
    const address = `${app.ws}/ws?token=${await tokenOf(10011)}`
    await openSocket(t, address)
    await openSocket(t, address)
    await t.rejects(openSocket(t, address), { message: 'refused with 429' })
  })

  t.test('with an eleventh device drops the oldest', async (t) => {
    const app = await start(t, { limits: { im_user_connects: 100 } })
    const other = await connect(t, app, 10012)
    const devices: TestSocket[] = []
    for (let index = 0; index < 11; index++) devices.push(await connect(t, app))
    const [oldest, ...rest] = devices as [TestSocket, ...TestSocket[]]
    t.match(await oldest.next(), { type: 'disconnect', payload: { status: 'disconnected', reason: 'replaced' } })
    t.match(await oldest.closed, { code: 1008 })
    other.send({ type: 'message.send', payload: { chat_id: 100001, content: 'who is there?' } })
    for (const device of [other, ...rest])
      t.match(await device.next(), { type: 'message.new', payload: { message: { content: 'who is there?' } } })

    // A device that left by itself has made room.
    rest[3]?.socket.close()
    await rest[3]?.closed
    await connect(t, app)
    rest[0]?.send({ type: 'ping' })
    t.match(await rest[0]?.next(), { type: 'pong' })
  })
})

void t.test('message.send', async (t) => {
  t.test('reaches every device of every member, the sending one too, once and with one id', async (t) => {
    const app = await start(t)
    const [alice, alicesPhone, bob] = [await connect(t, app), await connect(t, app), await connect(t, app, 10012)]
    const carol = await connect(t, app, 10013)
    alice.send({ type: 'message.send', payload: { chat_id: 100001, content: 'hi', message_type: 'text' } })
    const frames = [await alice.next(), await alicesPhone.next(), await bob.next()]
    t.strictSame(frames[1], frames[0])
    t.strictSame(frames[2], frames[0])
    t.match(frames[0], {
      type: 'message.new',
      payload: {
        message: {
          id: Number,
          chat_id: 100001,
          sender_id: 10011,
          content: 'hi',
          message_type: 'text',
          created_at: TIMESTAMP
        },
        chat: { id: 100001, type: 'group', title: 'Test group' },
        sender: { id: 10011, nickname: 'Alice', avatar_url: '' }
      },
      timestamp: TIMESTAMP
    })
    t.strictSame(keysOf(frames[0]), [
      'type',
      ...['id', 'chat_id', 'sender_id', 'content', 'message_type', 'created_at'].map((key) => `payload.message.${key}`),
      ...['id', 'type', 'title'].map((key) => `payload.chat.${key}`),
      ...['id', 'nickname', 'avatar_url'].map((key) => `payload.sender.${key}`),
      'timestamp'
    ])
    // The next thing that anybody hears is the next message: nobody got a second copy, a stranger none.
    alice.send({ type: 'message.send', payload: { receiver_id: 10013, content: 'for Carol' } })
    t.match(await carol.next(), { payload: { message: { content: 'for Carol' } } })
    t.match(await alice.next(), { payload: { message: { content: 'for Carol' } } })
    t.match(await alicesPhone.next(), { payload: { message: { content: 'for Carol' } } })
    t.strictSame(bob.waiting(), [])
  })

  t.test('to a receiver makes the private chat, which each side calls by the other', async (t) => {
    const app = await start(t)
    const [alice, phone, bob] = [await connect(t, app), await connect(t, app), await connect(t, app, 10012)]
    alice.send({ type: 'message.send', payload: { receiver_id: 10012, content: 'hello Bob' } })
    const [own, onPhone, theirs] = [await alice.next(), await phone.next(), await bob.next()]
    t.match(own.payload.chat, { type: 'private', title: 'Bob' })
    t.strictSame(onPhone, own)
    t.match(theirs.payload.chat, { type: 'private', title: 'Alice' })
    t.strictSame({ ...theirs.payload, chat: own.payload.chat }, own.payload)
    bob.send({ type: 'message.send', payload: { receiver_id: 10011, content: 'hello Alice' } })
    t.equal((await alice.next()).payload.chat.id, own.payload.chat.id)
    bob.send({ type: 'message.send', payload: { chat_id: own.payload.chat.id, content: 'again' } })
    t.match(await alice.next(), { payload: { message: { content: 'again' }, sender: { id: 10012 } } })
  })

  t.test('can answer a message of the same chat', async (t) => {
    const app = await start(t)
    const alice = await connect(t, app)
    alice.send({ type: 'message.send', payload: { chat_id: 100001, content: 'question' } })
    const { id } = (await alice.next()).payload.message
    alice.send({ type: 'message.send', payload: { chat_id: 100001, content: 'answer', reply_to_id: id } })
    t.match(await alice.next(), { payload: { message: { content: 'answer', reply_to_id: id } } })
    alice.send({ type: 'message.send', payload: { chat_id: 100001, content: 'no answer', reply_to_id: null } })
    const frame = await alice.next()
    t.equal(frame.payload.message.content, 'no answer')
    t.notOk('reply_to_id' in frame.payload.message)
    alice.send({ type: 'message.send', payload: { receiver_id: 10012, content: 'elsewhere', reply_to_id: id } })
    t.match(await alice.next(), {
      type: 'error',
      payload: { error_code: 'VALIDATION_ERROR', details: { field: 'reply_to_id' } }
    })
  })

  t.test('is understood in the words of other clients', async (t) => {
    const app = await start(t)
    const alice = await connect(t, app)
    const frames = [
      { type: 'message.send', data: { chat_id: 100001, content: 'said' } },
      { type: 'message.send', payload: { chatId: 100001, content: 'said', messageType: 'text', replyToId: null } },
      { type: 'message.send', payload: { chat_id: 100001, chatId: 5, content: 'said' } },
      { type: 'message.send', payload: { chat_id: 100001, content: '  said\n' } },
      {
        type: 'message.send',
        id: 'c-1',
        x: { ext: 1 },
        more: true,
        payload: { chat_id: 100001, content: 'said', q: 1 }
      }
    ]
    for (const frame of frames) {
      alice.send(frame)
      t.match(await alice.next(), { type: 'message.new', payload: { message: { content: 'said' } } })
    }
  })

  t.test('takes 4096 characters, however many bytes they have', async (t) => {
    const app = await start(t)
    const alice = await connect(t, app)
    for (const content of ['x'.repeat(4096), '😀'.repeat(4096), '语'.repeat(4096)]) {
      alice.send({ type: 'message.send', payload: { chat_id: 100001, content } })
      t.ok((await alice.next()).payload.message.content === content)
      alice.send({ type: 'message.send', payload: { chat_id: 100001, content: `${content}x` } })
      t.match(await alice.next(), {
        type: 'error',
        payload: { error_code: 'VALIDATION_ERROR', details: { field: 'content', ref_type: 'message.send' } }
      })
    }
  })

  const chat_id = 100001
  const wrong: [string, object, string, string][] = [
    ['no chat', { content: 'x' }, 'VALIDATION_ERROR', 'chat_id'],
    ['a chat that is text', { chat_id: '100001', content: 'x' }, 'VALIDATION_ERROR', 'chat_id'],
    ['a chat above 2^53', { chat_id: 2 ** 60, content: 'x' }, 'VALIDATION_ERROR', 'chat_id'],
    ['no content', { chat_id }, 'VALIDATION_ERROR', 'content'],
    ['content of blanks', { chat_id, content: ' \n\t' }, 'VALIDATION_ERROR', 'content'],
    ['content that is a number', { chat_id, content: 7 }, 'VALIDATION_ERROR', 'content'],
    ['an unknown kind', { chat_id, content: 'x', message_type: 'hologram' }, 'VALIDATION_ERROR', 'message_type'],
    ['a kind of the server', { chat_id, content: 'x', message_type: 'system' }, 'VALIDATION_ERROR', 'message_type'],
    ['a reply to nothing', { chat_id, content: 'x', reply_to_id: 999_999 }, 'VALIDATION_ERROR', 'reply_to_id'],
    ['self-destruction', { chat_id, content: 'x', ttl_seconds: 5 }, 'VALIDATION_ERROR', 'ttl_seconds'],
    ['self-destruction in camel case', { chat_id, content: 'x', ttlSeconds: 5 }, 'VALIDATION_ERROR', 'ttl_seconds'],
    ['a later time', { chat_id, content: 'x', send_at: '2030-01-01T00:00:00Z' }, 'VALIDATION_ERROR', 'send_at'],
    ['oneself', { receiver_id: 10011, content: 'x' }, 'VALIDATION_ERROR', 'receiver_id']
  ]
  t.test('that makes no sense is answered, and the connection lives', async (t) => {
    const app = await start(t)
    const alice = await connect(t, app)
    for (const [label, payload, error_code, field] of wrong) {
      alice.send({ type: 'message.send', id: 'c-17', payload })
      const frame = await alice.next()
      t.match(frame, { type: 'error', payload: { error_code, message: String, details: { field } } }, label)
      t.match(frame.payload.details, { request_id: 'c-17', ref_type: 'message.send' }, label)
      t.strictSame(Object.keys(frame), ['type', 'payload', 'timestamp'], label)
    }
    alice.send({ type: 'message.send', payload: { chat_id, content: 'still here' } })
    t.match(await alice.next(), { type: 'message.new' })
  })

  t.test('to what the sender is not part of is not found, whether it exists or not', async (t) => {
    const app = await start(t)
    const [alice, carol] = [await connect(t, app), await connect(t, app, 10013)]
    alice.send({ type: 'message.send', payload: { receiver_id: 10012, content: 'private' } })
    const { id } = (await alice.next()).payload.chat
    for (const target of [{ chat_id: 100001 }, { chat_id: id }, { chat_id: 987_654 }, { receiver_id: 98_765 }]) {
      carol.send({ type: 'message.send', payload: { ...target, content: 'x' } })
      t.match(await carol.next(), { type: 'error', payload: { error_code: 'NOT_FOUND' } }, JSON.stringify(target))
    }
  })

  t.test('of a muted member is forbidden', async (t) => {
    const app = await start(t)
    const alice = await connect(t, app)
    await app.call('token-one', 'set_group_member_mute', { group_id: 100001, user_id: 10011, duration: 60 })
    alice.send({ type: 'message.send', payload: { chat_id: 100001, content: 'x' } })
    t.match(await alice.next(), {
      type: 'error',
      payload: { error_code: 'FORBIDDEN', message: /muted/, details: { reason: 'muted' } }
    })
    await app.call('token-one', 'set_group_member_mute', { group_id: 100001, user_id: 10011, duration: 0 })
    await app.call('token-one', 'set_group_whole_mute', { group_id: 100001, is_mute: true })
    alice.send({ type: 'message.send', payload: { chat_id: 100001, content: 'x' } })
    t.match(await alice.next(), { payload: { error_code: 'FORBIDDEN', details: { reason: 'muted' } } })
  })

  t.test('ends with the membership', async (t) => {
    const app = await start(t)
    const [alice, bob] = [await connect(t, app), await connect(t, app, 10012)]
    await app.milky('token-one', 'kick_group_member', { group_id: 100001, user_id: 10011 })
    alice.send({ type: 'message.send', payload: { chat_id: 100001, content: 'x' } })
    t.match(await alice.next(), { payload: { error_code: 'NOT_FOUND' } })
    bob.send({ type: 'message.send', payload: { chat_id: 100001, content: 'among us' } })
    await bob.next()
    alice.send({ type: 'ping' })
    t.match(await alice.next(), { type: 'pong' })
  })
})

void t.test('a message that a bot takes back is deleted for people', async (t) => {
  const app = await start(t)
  const alice = await connect(t, app)
  await app.call('token-one', 'send_group_message', { group_id: 100001, message: text('oops') })
  const { id } = (await alice.next()).payload.message
  await app.call('token-one', 'recall_message', { message_id: 'Group:100001:1' })
  const frame = await alice.next()
  t.match(frame, {
    type: 'message.delete',
    payload: { message_id: id, chat_id: 100001, deleted_by: 10001, deleted_at: TIMESTAMP }
  })
  t.strictSame(Object.keys(frame.payload), ['message_id', 'chat_id', 'deleted_by', 'deleted_at'])
})

void t.test('ping', async (t) => {
  const app = await start(t)
  const alice = await connect(t, app)
  const rows: [object, string | RegExp][] = [
    [{ type: 'ping' }, TIMESTAMP],
    [{ type: 'ping', payload: null }, TIMESTAMP],
    [{ type: 'ping', payload: { timestamp: '2025-10-07T12:00:00Z' } }, '2025-10-07T12:00:00Z'],
    [{ type: 'ping', data: { timestamp: 'T' } }, 'T'],
    [{ type: 'ping', payload: { timestamp: 12 } }, TIMESTAMP]
  ]
  for (const [frame, timestamp] of rows) {
    alice.send(frame)
    const pong = await alice.next()
    t.match(pong, { type: 'pong', payload: { timestamp }, timestamp: TIMESTAMP }, JSON.stringify(frame))
    t.strictSame(keysOf(pong), ['type', 'payload.timestamp', 'timestamp'])
  }
})

void t.test('frames that nobody knows are answered, and the connection lives', async (t) => {
  const app = await start(t)
  const alice = await connect(t, app)
  const rows: [unknown, RegExp, string][] = [
    [{ type: 'message.sent' }, /no event "message\.sent"/, 'type'],
    [{ type: 'constructor' }, /no event/, 'type'],
    [{ payload: {} }, /type: expected a string/, 'type'],
    [{ type: 5 }, /type: expected a string/, 'type'],
    [{ type: 'ping', payload: [] }, /payload: expected an object/, 'payload'],
    [{ type: 'ping', payload: 'x' }, /payload: expected an object/, 'payload'],
    [{ type: 'sync' }, /no event "sync"/, 'type'],
    [{ type: 'auth.refresh' }, /no event/, 'type'],
    [{ type: 'message.edit', payload: {} }, /message_id: .* it is missing/, 'message_id'],
    [{ type: 'message.delete', payload: { message_id: 'x' } }, /message_id: expected the id/, 'message_id'],
    [{ type: 'message.read', payload: { message_id: 0 } }, /message_id: expected the id/, 'message_id']
  ]
  for (const [frame, message, field] of rows) {
    alice.send(frame)
    t.match(
      await alice.next(),
      { type: 'error', payload: { error_code: 'VALIDATION_ERROR', message, details: { field } } },
      JSON.stringify(frame)
    )
  }
})

void t.test('closing', async (t) => {
  t.test('a binary frame ends the connection with 1003', async (t) => {
    const app = await start(t)
    const alice = await connect(t, app)
    alice.socket.send(Buffer.from('{"type":"ping"}'))
    t.match(await alice.next(), { type: 'disconnect', payload: { reason: 'policy' } })
    t.match(await alice.closed, { code: 1003 })
  })

  t.test('a frame of 70 KiB ends it with 1009, one of 64 KiB does not', async (t) => {
    const app = await start(t)
    const alice = await connect(t, app)
    const frame = '{"type":"ping"}'
    alice.send(frame.padEnd(64 * 1024))
    t.match(await alice.next(), { type: 'pong' })
    alice.send(frame.padEnd(70 * 1024))
    t.match(await alice.closed, { code: 1009 })
  })

  t.test('five frames that are no JSON objects end it with 1007, wrong frames do not', async (t) => {
    const app = await start(t)
    const alice = await connect(t, app)
    for (let index = 0; index < 8; index++) {
      alice.send({ type: 'nonsense' })
      t.match(await alice.next(), { type: 'error' })
    }
    for (const nonsense of ['{', 'null', '[]', '"ping"', '']) {
      alice.send(nonsense)
      t.match(await alice.next(), { type: 'error', payload: { error_code: 'VALIDATION_ERROR', details: {} } })
    }
    t.match(await alice.next(), { type: 'disconnect', payload: { reason: 'policy' } })
    t.match(await alice.closed, { code: 1007 })
  })

  t.test('a token that expires ends its connection', async (t) => {
    const app = await start(t)
    const device = await openSocket(t, `${app.ws}/ws?token=${await tokenOf(10011, 2)}`)
    t.match(await device.next(), { type: 'connect' })
    t.match(await device.next(), {
      type: 'error',
      payload: { error_code: 'AUTHENTICATION_FAILED', details: { reason: '令牌已过期' } }
    })
    t.match(await device.next(), { type: 'disconnect', payload: { reason: 'auth_expired' } })
    t.strictSame(await device.closed, { code: 1008, reason: 'Authentication failed' })
  })

  t.test('a token that is a little past its end by our clock lets in for that little', async (t) => {
    const app = await start(t)
    const device = await openSocket(t, `${app.ws}/ws?token=${await tokenOf(10011, -30)}`)
    t.match(await device.next(), { type: 'connect' })
    device.send({ type: 'ping' })
    t.match(await device.next(), { type: 'pong' })
  })

  t.test('a shutdown says goodbye and closes with 1001', async (t) => {
    const app = await start(t)
    const alice = await connect(t, app)
    await app.lactea.app.close()
    const frame = await alice.next()
    t.match(frame, { type: 'disconnect', payload: { status: 'disconnected', reason: 'server_shutdown' } })
    t.strictSame(Object.keys(frame.payload), ['status', 'reason'])
    t.match(await alice.closed, { code: 1001 })
  })
})

void t.test('frames of one connection are handled one after the other', async (t) => {
  const app = await start(t)
  const [alice, bob] = [await connect(t, app), await connect(t, app, 10012)]
  // The first makes a chat, which takes two transactions; the second must not overtake it.
  alice.send({ type: 'message.send', payload: { receiver_id: 10012, content: 'first' } })
  alice.send({ type: 'message.send', payload: { chat_id: 100001, content: 'second' } })
  alice.send('nonsense')
  alice.send({ type: 'message.send', payload: { chat_id: 100001, content: 'third' } })
  const heard = [await bob.next(), await bob.next(), await bob.next()]
  t.strictSame(
    heard.map((frame) => frame.payload.message.content),
    ['first', 'second', 'third']
  )
})

void t.test('who sends too fast', async (t) => {
  const say = (content: string): object => ({ type: 'message.send', payload: { chat_id: 100001, content } })
  const limited = { type: 'error', payload: { error_code: 'RATE_LIMITED', details: { retry_after_ms: Number } } }

  t.test('is told once a second when to come back, and is let go on', async (t) => {
    const app = await start(t, { limits: { im_message_rate: 1, im_message_burst: 3 } }, still)
    const [alice, bob] = [await connect(t, app), await connect(t, app, 10012)]
    for (let index = 0; index < 8; index++) alice.send(say(`message ${index}`))
    alice.send({ type: 'ping', payload: { timestamp: 'end' } })
    const heard = [await alice.next(), await alice.next(), await alice.next(), await alice.next(), await alice.next()]
    t.match(
      heard.toSorted((a, b) => a.type.localeCompare(b.type)),
      [limited, { type: 'message.new' }, { type: 'message.new' }, { type: 'message.new' }, { type: 'pong' }]
    )
    for (let index = 0; index < 3; index++)
      t.match(await bob.next(), { payload: { message: { content: `message ${index}` } } })
  })

  t.test('counts by person, whatever the device', async (t) => {
    const app = await start(t, { limits: { im_message_rate: 1, im_message_burst: 2 } }, still)
    const [one, two] = [await connect(t, app), await connect(t, app)]
    one.send(say('first'))
    t.match(await one.next(), { type: 'message.new' })
    two.send(say('second'))
    t.match(await two.find((frame) => frame.payload.message?.content === 'second'), { type: 'message.new' })
    two.send(say('third'))
    t.match(await two.next(), limited)
  })

  t.test('counts by chat, whoever says it', async (t) => {
    const app = await start(t, { limits: { im_chat_rate: 2 } }, still)
    const [alice, bob] = [await connect(t, app), await connect(t, app, 10012)]
    alice.send(say('first'))
    bob.send(say('second'))
    for (let index = 0; index < 2; index++) await alice.next()
    alice.send(say('third'))
    t.match(await alice.next(), limited)
  })

  t.test('thirty times within a minute is closed', async (t) => {
    const app = await start(t, { limits: { im_frame_rate: 1, im_frame_burst: 5 } }, still)
    const alice = await connect(t, app)
    for (let index = 0; index < 40; index++) alice.send({ type: 'ping' })
    t.match(await alice.find((frame) => frame.type === 'disconnect'), { payload: { reason: 'policy' } })
    t.strictSame(await alice.closed, { code: 1008, reason: 'too many frames' })
  })

  t.test('connecting is told and closed', async (t) => {
    const app = await start(t, { limits: { im_user_connects: 2 } }, still)
    for (let index = 0; index < 2; index++) await connect(t, app)
    const third = await openSocket(t, `${app.ws}/ws?token=${await tokenOf(10011)}`)
    t.match(await third.next(), limited)
    t.match(await third.closed, { code: 1008 })
    t.match(await connect(t, app, 10012), {})
  })

  t.test('connecting from one address is refused before the upgrade', async (t) => {
    const app = await start(t, { limits: { im_address_connects: 1 } }, still)
    await connect(t, app)
    await t.rejects(openSocket(t, `${app.ws}/ws?token=${await tokenOf(10012)}`), { message: 'refused with 429' })
  })
})

void t.test('a client that is gone before its frames were handled has still said them', async (t) => {
  const app = await start(t)
  const [alice, bob] = [await connect(t, app), await connect(t, app, 10012)]
  for (let index = 0; index < 5; index++)
    alice.send({ type: 'message.send', payload: { chat_id: 100001, content: `last words ${index}` } })
  alice.socket.close()
  for (let index = 0; index < 5; index++)
    t.match(await bob.next(), { payload: { message: { content: `last words ${index}` } } })
})

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocketServer } from 'ws'
import { startApp, text, type Running } from '../helpers/app.ts'
import { alice, bob, carol, GROUP, heardSoFar, openDevice, say, startPeople, TIMESTAMP } from '../helpers/people.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'
import { startWebhook } from '../helpers/webhook.ts'

const BOT = 10001

/** Bob is a friend of Alice, of Carol and of both bots, and hears quickly of who comes and goes. */
const start = (t: Test, limits: object = {}, more: Record<string, object> = {}): Promise<Running> =>
  startPeople(t, {
    limits: { im_presence_grace: 100, im_presence_interval: 1, ...limits },
    provision: {
      accounts: ['alice', 'bob', 'carol'].map((name, index) => ({
        id: alice + index,
        kind: 'person',
        username: name,
        password: `${name}-secret`,
        nickname: name
      })),
      friends: [
        [alice, bob],
        [bob, carol],
        [BOT, bob],
        [10002, bob]
      ],
      groups: [{ id: GROUP, name: 'Test group', owner: BOT, members: [10002, alice, bob, carol] }]
    },
    ...more
  })

async function hangUp(device: TestSocket): Promise<void> {
  device.socket.close()
  await device.closed
}

const isAbout =
  (type: string, accountId: number) =>
  (frame: any): boolean =>
    frame.type === type && frame.payload.user_id === accountId

void t.test('a person who comes and goes', async (t) => {
  t.test('is told in frames of exactly the keys of the document', async (t) => {
    const app = await start(t)
    const device = await openDevice(t, app, bob)
    const phone = await openDevice(t, app, alice)
    const came = await device.next()
    t.match(came, {
      type: 'presence',
      payload: { user_id: alice, is_online: true, last_seen: TIMESTAMP },
      timestamp: TIMESTAMP
    })
    t.strictSame(Object.keys(came), ['type', 'payload', 'timestamp'])
    t.strictSame(Object.keys(came.payload), ['user_id', 'is_online', 'last_seen', 'user'])
    t.strictSame(came.payload.user, { id: alice, nickname: 'alice', avatar_url: '' })
    await hangUp(phone)
    t.match(await device.next(), {
      type: 'presence',
      payload: { user_id: alice, is_online: false, last_seen: TIMESTAMP }
    })
  })

  t.test('and comes back in time was never away', async (t) => {
    const app = await start(t)
    const device = await openDevice(t, app, bob)
    const [phone, other] = [await openDevice(t, app, alice), await openDevice(t, app, carol)]
    for (let count = 0; count < 2; count++) await device.next()
    await hangUp(phone)
    await openDevice(t, app, alice)
    await hangUp(other)
    t.match(await device.next(), { type: 'presence', payload: { user_id: carol, is_online: false } })
    t.strictSame(await heardSoFar(device), [])
  })

  t.test('and keeps another device is not away', async (t) => {
    const app = await start(t)
    const device = await openDevice(t, app, bob)
    const phone = await openDevice(t, app, alice)
    await openDevice(t, app, alice)
    const other = await openDevice(t, app, carol)
    for (const id of [alice, carol]) t.match(await device.next(), { payload: { user_id: id, is_online: true } })
    await hangUp(phone)
    await hangUp(other)
    t.match(await device.next(), { type: 'presence', payload: { user_id: carol, is_online: false } })
    t.strictSame(await heardSoFar(device), [])
  })

  t.test('is not told to their own devices, nor to members of a group who are no friends', async (t) => {
    const app = await start(t)
    const own = await openDevice(t, app, alice)
    const stranger = await openDevice(t, app, carol)
    const second = await openDevice(t, app, alice)
    second.send({ type: 'presence', payload: { is_online: false } })
    own.send({ type: 'presence', payload: { is_online: false } })
    for (const device of [own, second, stranger]) t.strictSame(await heardSoFar(device), [])
  })

  const words: [payload: object, isOnline: boolean][] = [
    [{ is_online: false }, false],
    [{ isOnline: true }, true],
    [{ status: 'offline' }, false],
    [{ status: 'online' }, true],
    [{ status: 'away' }, false]
  ]
  t.test('says themselves whether they want to be seen', async (t) => {
    const app = await start(t)
    const device = await openDevice(t, app, bob)
    const phone = await openDevice(t, app, alice)
    await device.next()
    for (const [payload, isOnline] of words) {
      phone.send({ type: 'presence', payload })
      t.match(await device.next(), { type: 'presence', payload: { is_online: isOnline } }, JSON.stringify(payload))
    }
    for (const payload of [{}, { status: 'invisible' }, { is_online: 'no' }]) {
      phone.send({ type: 'presence', payload })
      t.match(
        await phone.next(),
        { type: 'error', payload: { error_code: 'VALIDATION_ERROR' } },
        JSON.stringify(payload)
      )
    }
  })

  t.test('is known after a restart by when they were last seen', async (t) => {
    const app = await start(t)
    const phone = await openDevice(t, app, alice)
    await hangUp(phone)
    const before = Math.floor(Date.now() / 1000)
    await app.lactea.app.close()
    const again = await startApp(t, { dir: app.dir })
    const seenAt = await again.lactea.gateway.presence.lastSeenAt(alice)
    t.ok(seenAt >= before - 60 && seenAt <= before, `${seenAt} is the end of the connection`)
    t.equal(again.lactea.gateway.presence.isOnline(alice), false)
  })
})

void t.test('with the extension', async (t) => {
  t.test('a device asks about accounts and hears about them from then on', async (t) => {
    const app = await start(t)
    const device = await openDevice(t, app, carol, { query: 'ext=1' })
    const plain = await openDevice(t, app, carol)
    const phone = await openDevice(t, app, alice)
    device.send({ type: 'presence.subscribe', payload: { user_ids: [alice, 10002, 99999] } })
    t.match(await device.next(), {
      type: 'presence.snapshot',
      payload: {
        users: [
          { user_id: alice, is_online: true, last_seen: TIMESTAMP },
          { user_id: 10002, is_online: false, last_seen: TIMESTAMP }
        ]
      }
    })
    await hangUp(phone)
    t.match(await device.next(), { type: 'presence', payload: { user_id: alice, is_online: false } })
    t.strictSame(await heardSoFar(plain), [], 'but no other device of hers does')
  })

  t.test('a base client that asks is told that there is no such thing', async (t) => {
    const app = await start(t)
    const device = await openDevice(t, app, carol)
    device.send({ type: 'presence.subscribe', payload: { user_ids: [alice] } })
    t.match(await device.next(), { type: 'error', payload: { details: { field: 'type' } } })
  })
})

void t.test('a bot is online', async (t) => {
  t.test('while its socket is connected', async (t) => {
    const app = await start(t)
    const device = await openDevice(t, app, bob)
    const bot = await openSocket(t, `${app.ws}/?access_token=token-one`)
    t.match(await device.next(), {
      type: 'presence',
      payload: { user_id: BOT, is_online: true, user: { id: BOT, nickname: 'One' } }
    })
    await hangUp(bot)
    t.match(await device.next(), { type: 'presence', payload: { user_id: BOT, is_online: false } })
  })

  t.test('while its reverse socket is connected', async (t) => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
    t.teardown(() => server.close())
    await once(server, 'listening')
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
    const connected = once(server, 'connection')
    const app = await start(
      t,
      {},
      { bots: [{ id: BOT, access_token: 'token-one', reverse_ws: [{ url }] }, { id: 10002 }] }
    )
    await connected
    const { presence } = app.lactea.gateway
    const device = await openDevice(t, app, bob)
    if (!presence.isOnline(BOT)) await device.find(isAbout('presence', BOT))
    for (const socket of server.clients) socket.terminate()
    server.close()
    t.match(await device.find(isAbout('presence', BOT)), { payload: { is_online: false } })
  })

  t.test('while its webhook takes what it is sent', async (t) => {
    const webhook = await startWebhook(t)
    const app = await start(
      t,
      {},
      {
        bots: [
          { id: BOT, access_token: 'token-one', webhooks: [{ url: webhook.url }] },
          { id: 10002, access_token: 'token-two' }
        ]
      }
    )
    t.equal(app.lactea.gateway.presence.isOnline(BOT), true, 'from the start')
    const device = await openDevice(t, app, bob)
    webhook.answer(500)
    await app.call('token-two', 'send_group_message', { group_id: GROUP, message: text('hello') })
    t.match(await device.find(isAbout('presence', BOT)), { payload: { is_online: false } })
    webhook.answer(204)
    t.match(await device.find(isAbout('presence', BOT)), { payload: { is_online: true } })
  })
})

void t.test('who types', async (t) => {
  t.test('is told in frames of exactly the keys of the document, and not to their own devices', async (t) => {
    const app = await start(t)
    const device = await openDevice(t, app, carol)
    const [phone, desk] = [await openDevice(t, app, alice), await openDevice(t, app, alice)]
    phone.send({ type: 'typing', payload: { chat_id: GROUP, is_typing: true } })
    const frame = await device.next()
    t.match(frame, { type: 'typing', timestamp: TIMESTAMP })
    t.strictSame(Object.keys(frame), ['type', 'payload', 'timestamp'])
    t.strictSame(frame.payload, {
      chat_id: GROUP,
      user_id: alice,
      is_typing: true,
      user: { id: alice, nickname: 'alice', avatar_url: '' }
    })
    t.strictSame(Object.keys(frame.payload), ['chat_id', 'user_id', 'is_typing', 'user'])
    phone.send({ type: 'typing', payload: { chat_id: GROUP, is_typing: false } })
    t.match(await device.next(), { type: 'typing', payload: { user_id: alice, is_typing: false } })
    for (const own of [phone, desk]) t.strictSame(await heardSoFar(own), [])
  })

  t.test('types no more after the time to live', async (t) => {
    const app = await start(t, { im_typing_ttl: 50 })
    const device = await openDevice(t, app, carol)
    const phone = await openDevice(t, app, alice)
    phone.send({ type: 'typing', payload: { chatId: GROUP } })
    for (const is_typing of [true, false]) t.match(await device.next(), { type: 'typing', payload: { is_typing } })
  })

  t.test('types no more when the message is there', async (t) => {
    const app = await start(t)
    const device = await openDevice(t, app, carol)
    const phone = await openDevice(t, app, alice)
    phone.send({ type: 'typing', payload: { chat_id: GROUP } })
    phone.send(say('hello'))
    const heard = [await device.next(), await device.next(), await device.next()]
    t.strictSame(
      heard.map(({ type, payload }) => [type, payload.is_typing]),
      [
        ['typing', true],
        ['message.new', undefined],
        ['typing', false]
      ]
    )
  })

  t.test('types no more when the connection is lost', async (t) => {
    const app = await start(t)
    const device = await openDevice(t, app, carol)
    const phone = await openDevice(t, app, alice)
    phone.send({ type: 'typing', payload: { chat_id: GROUP } })
    t.match(await device.next(), { type: 'typing', payload: { is_typing: true } })
    phone.socket.terminate()
    t.match(await device.next(), { type: 'typing', payload: { is_typing: false } })
  })

  t.test('and is not in the chat hears that there is none', async (t) => {
    const app = await start(t)
    const { id } = await app.lactea.gateway.store.addGroup({
      name: 'Others',
      ownerId: bob,
      adminIds: [],
      memberIds: [carol],
      createdAt: 0
    })
    const [device, phone] = [await openDevice(t, app, carol), await openDevice(t, app, alice)]
    for (const chat_id of [id, 999]) {
      phone.send({ type: 'typing', payload: { chat_id, is_typing: true } })
      t.match(await phone.next(), {
        type: 'error',
        payload: { error_code: 'NOT_FOUND', details: { ref_type: 'typing' } }
      })
    }
    t.strictSame(await heardSoFar(device), [])
  })

  t.test('too often is not told, and hears of no error', async (t) => {
    const app = await start(t)
    const device = await openDevice(t, app, carol)
    const phone = await openDevice(t, app, alice)
    for (let count = 0; count < 20; count++)
      phone.send({ type: 'typing', payload: { chat_id: GROUP, is_typing: count % 2 === 0 } })
    t.strictSame(await heardSoFar(phone), [])
    const { length } = await heardSoFar(device)
    t.ok(length >= 10 && length < 20, `${length} of 20 were told`)
  })

  t.test('is told of bots, over whatever door they say it', async (t) => {
    const app = await start(t)
    const device = await openDevice(t, app, bob)
    const bot = await openSocket(t, `${app.ws}/?access_token=token-one`)
    t.match(await device.next(), { type: 'presence' })
    bot.send({ action: 'set_typing', params: { group_id: GROUP } })
    t.match(await bot.next(), { data: { status: 'ok', data: {} } })
    t.match(await device.next(), { type: 'typing', payload: { chat_id: GROUP, user_id: BOT, is_typing: true } })
    await hangUp(bot)
    t.match(await device.next(), { type: 'typing', payload: { is_typing: false } })
    t.match(await device.next(), { type: 'presence', payload: { is_online: false } })

    await app.call('token-one', 'send_private_message', { user_id: bob, message: text('let me think') })
    t.match(await device.next(), { type: 'message.new' })
    t.match(await app.call('token-one', 'set_typing', { user_id: bob, is_typing: true }), { status: 'ok', data: {} })
    t.match(await device.next(), { type: 'typing', payload: { user_id: BOT, is_typing: true } })
    await app.call('token-one', 'send_private_message', { user_id: bob, message: text('no') })
    for (const type of ['message.new', 'typing']) t.match(await device.next(), { type })

    t.match(await app.call('token-one', 'set_typing'), { retcode: -400, message: /^user_id/ })
    t.match(await app.call('token-one', 'set_typing', { user_id: alice }), { retcode: -100 })
  })
})

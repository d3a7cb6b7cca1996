import t from 'tap'
import { startApp } from '../helpers/app.ts'
import { ackOf, deliver, envelope, isAck, isMessage, maimKeys, openApi, payloadFor, take } from '../helpers/maim-api.ts'
import type { TestSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'

const config = { maim: { keys: maimKeys } }
const wordsOf = ({ payload }: any): string => payload.message_segment.data

t.test('a message goes to account and platform of its message_dim, exactly (contract 2.5)', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-one', platform: 'wx' })
  const [right, platform, account] = [
    await openApi(t, app.ws, { key: 'key-two', platform: 'qq' }),
    await openApi(t, app.ws, { key: 'key-two', platform: 'QQ' }),
    await openApi(t, app.ws, { key: 'key-one', platform: 'qq' })
  ]
  one.send(envelope(payloadFor('key-two', 'qq', 'for two on qq')))
  const heard = await take(right)
  t.match(heard, {
    ver: 1,
    type: 'sys_std',
    msg_id: /^msg_[\da-f]{12}_1750000000$/,
    meta: { sender_user: '10001', target_user: '10002', platform: 'qq', timestamp: Number },
    payload: payloadFor('key-two', 'qq', 'for two on qq')
  })
  t.match(await one.next(), { type: 'sys_ack' })
  for (const [other, key, name] of [
    [platform, 'key-two', 'QQ'],
    [account, 'key-one', 'qq']
  ] as const) {
    one.send(envelope(payloadFor(key, name, 'the first')))
    t.equal(wordsOf(await take(other)), 'the first')
  }
})

t.test('every connection of the receiver gets it under one id, the sender too when it is one of them', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-two' })
  const two = await openApi(t, app.ws, { key: 'key-two' })
  const frame = envelope(payloadFor('key-two', 'qq', 'to all of us'))
  one.send(frame)
  t.match(await one.next(), { type: 'sys_ack', meta: { acked_msg_id: frame.msg_id } }, 'after its acknowledgement')
  const [a, b] = [await one.find(isMessage), await two.find(isMessage)]
  t.strictSame(a, b)
  two.send(ackOf(b))
  const { store } = app.lactea.gateway
  await waitFor(async () => (await store.readMail('api 10002 qq', 0, 1)).length === 0, 'one acknowledgement is enough')
})

t.test('a payload is passed on as it was written', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const two = await openApi(t, app.ws, { key: 'key-two' })
  const payload = `{ "message_info": {"platform":"qq","message_id":12345678901234567890,"time":1750000000.10,"additional_config":{"x":1e400}},
    "message_segment": {"type":"seglist","data":[{"type":"miniapp_card","data":{"t":"\\ud83e\\udd8a","n":null}},{"type":"never_seen","data":[1,[2]],"more":true}]},
    "message_dim": {"api_key":"key-two","platform":"qq"}, "unknown": {"é":"\\u0000"} }`
  one.send(`{"msg_id":"m","type":"sys_std","payload":${payload},"tail":{"payload":1}}`)
  t.ok((await two.nextText()).endsWith(`"payload":${payload}}`))
})

t.test('nobody learns the key of the sender', async (t) => {
  const app = await startApp(t, { config: { ...config, log: { level: 'debug' } }, logLevel: 'debug' })
  const one = await openApi(t, app.ws, { key: 'key-one', headers: { 'x-secret': 'key-one' } })
  const two = await openApi(t, app.ws, { key: 'key-two' })
  await t.rejects(openApi(t, app.ws, { key: 'key-wrong-canary' }))
  one.send(
    envelope(payloadFor('key-two', 'qq', 'x'), { meta: { sender_user: 'key-one', platform: 'qq', timestamp: 1 } })
  )
  const text = await two.nextText()
  t.notMatch(text, 'key-one')
  two.send(ackOf(JSON.parse(text)))
  one.send(envelope(payloadFor('key-nobody', 'qq', 'x')))
  one.send(envelope({ nonsense: 1 }, { type: 'custom_x' }))
  for (let index = 0; index < 3; index++) await one.find(isAck)
  one.send('{"post_type":"message"}')
  await one.closed
  await app.lactea.app.close()
  t.ok(app.lines.length > 3)
  for (const key of ['key-one', 'key-two', 'key-wrong-canary', 'key-nobody']) t.notMatch(app.lines.join('\n'), key)
})

t.test('custom messages go where their message_dim says, else to the other connections of the sender', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const twin = await openApi(t, app.ws, { key: 'key-one' })
  const two = await openApi(t, app.ws, { key: 'key-two' })

  const routed = { message_dim: { api_key: 'key-two', platform: 'qq' }, anything: [1] }
  one.send(envelope(routed, { type: 'custom_ping', msg_id: 'custom_1' }))
  t.match(await take(two), {
    type: 'custom_ping',
    msg_id: /^custom_[\da-f]{12}_\d+$/,
    meta: { sender_user: '10001' },
    payload: routed
  })
  await one.find(isAck)

  const bare = envelope({ hello: 'twin' }, { type: 'custom_note' })
  one.send(bare)
  t.match(await take(twin), { type: 'custom_note', payload: { hello: 'twin' } })
  t.match(await one.next(), { type: 'sys_ack', meta: { acked_msg_id: bare.msg_id } }, 'the sender hears no echo')
  one.send(envelope(payloadFor('key-one', 'qq', 'to both')))
  t.equal(wordsOf(await take(one)), 'to both', 'not even late')
})

t.test('what is for somebody who is away is kept, told, and delivered in order when they come', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const queued: number[] = []
  for (const words of ['a', 'b', 'c'])
    queued.push((await deliver(one, envelope(payloadFor('key-two', 'qq', words)))).payload.queued)
  t.strictSame(queued, [1, 2, 3])

  const two = await openApi(t, app.ws, { key: 'key-two' })
  one.send(envelope(payloadFor('key-two', 'qq', 'd')))
  const heard: string[] = []
  while (heard.length < 4) heard.push(wordsOf(await take(two)))
  t.strictSame(heard, ['a', 'b', 'c', 'd'])
  t.equal((await one.find(isAck)).payload.queued, undefined)
  await waitFor(async () => (await app.lactea.gateway.store.readMail('api 10002 qq', 0, 1)).length === 0)
  two.socket.close(1000)
  await two.closed

  const back = await openApi(t, app.ws, { key: 'key-two' })
  one.send(envelope(payloadFor('key-two', 'qq', 'e')))
  t.equal(wordsOf(await take(back)), 'e', 'what was acknowledged does not come again')
})

t.test('more than fits on the way at once is delivered in order too', async (t) => {
  const app = await startApp(t, { config: { ...config, limits: { frame_rate: 1_000_000 } } })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const total = 3000
  for (let index = 0; index < total / 2; index++) one.send(envelope(payloadFor('key-two', 'qq', `${index}`)))
  for (let index = 0; index < total / 2; index++) await one.find(isAck)
  const two = await openApi(t, app.ws, { key: 'key-two' })
  for (let index = total / 2; index < total; index++) one.send(envelope(payloadFor('key-two', 'qq', `${index}`)))
  const heard: string[] = []
  while (heard.length < total) heard.push(wordsOf(await take(two)))
  t.strictSame(
    heard,
    Array.from({ length: total }, (_, index) => `${index}`)
  )
})

t.test('what was sent to a connection that then dies is delivered to the next one, under the same id', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const two = await openApi(t, app.ws, { key: 'key-two' })
  for (const words of ['a', 'b']) one.send(envelope(payloadFor('key-two', 'qq', words)))
  const lost = [await two.next(), await two.next()]
  two.socket.terminate()
  t.match(await one.find(isAck), { payload: { status: 'received' } }, 'it is safe before the sender hears of it')
  await one.find(isAck)
  t.equal((await app.lactea.gateway.store.readMail('api 10002 qq', 0, 9)).length, 2)

  const back = await openApi(t, app.ws, { key: 'key-two' })
  t.strictSame([await take(back), await take(back)], lost)
})

t.test('a second connection gets what the first has not acknowledged', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const two = await openApi(t, app.ws, { key: 'key-two' })
  one.send(envelope(payloadFor('key-two', 'qq', 'a')))
  const first = await two.next()
  const twin = await openApi(t, app.ws, { key: 'key-two' })
  t.strictSame(await take(twin), first)
})

t.test('what is kept is bounded by count and by age, and what is dropped is counted', async (t) => {
  const limits = { maim_keep_count: 3, maim_keep_time: '1h' }
  const app = await startApp(t, { config: { ...config, limits } })
  const { store, now } = app.lactea.gateway
  const one = await openApi(t, app.ws, { key: 'key-one' })
  for (const words of ['a', 'b', 'c', 'd', 'e']) await deliver(one, envelope(payloadFor('key-two', 'qq', words)))
  await waitFor(async () => (await store.readMail('api 10002 qq', 0, 9)).length === 3)
  const two = await openApi(t, app.ws, { key: 'key-two' })
  t.equal(wordsOf(await take(two)), 'c', 'the oldest went first')

  const old = { road: 'api 10002 wx', msgId: 'old', text: JSON.stringify(envelope('too old')), createdAt: now() - 3700 }
  await store.keepMail(old)
  const late = await openApi(t, app.ws, { key: 'key-two', platform: 'wx' })
  one.send(envelope(payloadFor('key-two', 'wx', 'new')))
  t.equal(wordsOf(await take(late)), 'new')
})

t.test('what a message did not survive the first time is not lost: a restart in between changes nothing', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-one', uuid: 'steady' })
  const sent = envelope(payloadFor('key-two', 'qq', 'across'))
  await deliver(one, sent)
  await app.lactea.app.close()
  t.strictSame(await one.closed, { code: 1012, reason: 'service restart' })

  const next = await startApp(t, { config, dir: app.dir })
  const again = await openApi(t, next.ws, { key: 'key-one', uuid: 'steady' })
  t.equal((await deliver(again, sent)).payload.queued, 1, 'sent again, it is the same message')
  const two = await openApi(t, next.ws, { key: 'key-two' })
  t.equal(wordsOf(await take(two)), 'across')
  again.send(envelope(payloadFor('key-two', 'qq', 'after')))
  t.equal(wordsOf(await take(two)), 'after')
})

t.test('a receiver that cannot take a large message loses that one alone', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const small = await openSmall(app.ws)
  one.send(envelope(payloadFor('key-two', 'qq', 'x'.repeat(2_000_000))))
  t.match(await small.closed, { code: 1006 })
  t.match(await one.find(isAck), { payload: { undeliverable: /too large/ } })
  const back = await openSmall(app.ws)
  one.send(envelope(payloadFor('key-two', 'qq', 'small')))
  t.equal(wordsOf(await take(back)), 'small')

  function openSmall(ws: string): Promise<TestSocket> {
    return openApi(t, ws, { key: 'key-two', socket: { maxPayload: 1024 * 1024 } })
  }
})

t.test('what is larger than the configured size of the receiver is refused at once', async (t) => {
  const keys = maimKeys.map((key) => (key.account === 10002 ? { ...key, max_frame: '1KiB' } : key))
  const app = await startApp(t, { config: { maim: { keys } } })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const { payload } = await deliver(one, envelope(payloadFor('key-two', 'qq', 'x'.repeat(1024))))
  t.match(payload, { undeliverable: /too large.*1024 bytes/ })
  t.equal((await deliver(one, envelope(payloadFor('key-two', 'qq', 'x')))).payload.queued, 1)
})

t.test('a receiver that does not read loses nothing and holds up nobody', async (t) => {
  const app = await startApp(t, { config: { ...config, limits: { connection_buffer: '256KiB' } } })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const slow = await openApi(t, app.ws, { key: 'key-two' })
  slow.socket.pause()
  const total = 100
  const filler = 'x'.repeat(200_000)
  for (let index = 0; index < total; index++) one.send(envelope(payloadFor('key-two', 'qq', `${index} ${filler}`)))
  for (let index = 0; index < total; index++) await one.find(isAck)
  t.pass('the sender is told that all of them are safe')
  const quick = await openApi(t, app.ws, { key: 'key-two', platform: 'wx' })
  one.send(envelope(payloadFor('key-two', 'wx', 'meanwhile')))
  t.equal(wordsOf(await take(quick)), 'meanwhile')
  slow.socket.resume()
  const heard: string[] = []
  while (heard.length < total) {
    const words = wordsOf(await take(slow)).split(' ')[0] ?? ''
    if (!heard.includes(words)) heard.push(words)
  }
  t.strictSame(
    heard,
    Array.from({ length: total }, (_, index) => `${index}`)
  )
})

import t, { type Test } from 'tap'
import { startApp } from '../helpers/app.ts'
import { ackOf, deliver, envelope, isAck, isMessage, maimKeys, openApi, payloadFor, take } from '../helpers/maim-api.ts'
import type { TestSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'

async function startPair(
  t: Test
): Promise<{ app: Awaited<ReturnType<typeof startApp>>; one: TestSocket; two: TestSocket }> {
  const app = await startApp(t, { config: { maim: { keys: maimKeys } } })
  const one = await openApi(t, app.ws, { key: 'key-one', uuid: 'uuid-one' })
  const two = await openApi(t, app.ws, { key: 'key-two', uuid: 'uuid-two' })
  return { app, one, two }
}

t.test('an acknowledgement is as the real server writes it', async (t) => {
  const { one, two } = await startPair(t)
  const sent = envelope(payloadFor('key-two', 'qq', 'hello'), { msg_id: 'msg_000000000001_1750000000' })
  one.send(sent)
  await take(two)
  const ack = await one.next()
  t.match(ack.msg_id, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[\da-f]{4}-[\da-f]{12}$/)
  t.match(ack, {
    ver: 1,
    type: 'sys_ack',
    meta: { uuid: 'uuid-one', acked_msg_id: sent.msg_id, timestamp: Number },
    payload: { status: 'received', server_timestamp: Number }
  })
  t.strictSame(Object.keys(ack), ['ver', 'msg_id', 'type', 'meta', 'payload'])
  t.strictSame(Object.keys(ack.payload), ['status', 'server_timestamp'])
})

t.test('what is acknowledged, and under which id (contract 2.3)', async (t) => {
  const { one } = await startPair(t)
  const std = payloadFor('key-none', 'qq', 'nobody hears this')
  const rows: [label: string, frame: object][] = [
    ['a number keeps its type', envelope(std, { msg_id: 12345 })],
    ['an object is given back', envelope(std, { msg_id: { a: [1] } })],
    ['a list too', envelope(std, { msg_id: ['x'] })],
    ['true too', envelope(std, { msg_id: true })],
    ['a type that nobody knows', envelope({}, { type: 'nonsense' })],
    ['another sys_ type', envelope({}, { type: 'sys_ping' })],
    ['no type', { ver: 1, msg_id: 'no-type', payload: {} }],
    ['a type that is no text', envelope({}, { type: 7 })],
    ['a payload that is no message', envelope({ message_info: 1, message_segment: 2 })],
    ['a payload that is a list', envelope([1, 2])],
    ['an empty payload', envelope({})],
    ['a null payload', envelope(null)],
    ['no payload', { msg_id: 'no-payload', type: 'sys_std' }],
    ['a key that nobody has', envelope(std)],
    ['a custom message for nobody', envelope({ a: 1 }, { type: 'custom_x' })],
    ['another version', envelope(std, { ver: 2 })],
    ['no version and no meta', { msg_id: 'bare', type: 'sys_std', payload: std }],
    ['keys that nobody knows', envelope(std, { extra: 'yes' })]
  ]
  for (const [label, frame] of rows) {
    const { msg_id } = frame as { msg_id: unknown }
    one.send(frame)
    const ack = await one.next()
    t.strictSame([ack.type, ack.meta.acked_msg_id], ['sys_ack', msg_id], label)
  }
})

t.test('what is not acknowledged, and lives (contract 2.3, 2.4)', async (t) => {
  const { one, two } = await startPair(t)
  const std = payloadFor('key-two', 'qq', 'x')
  const rows: [label: string, frame: unknown][] = [
    ['an empty id', envelope(std, { msg_id: '' })],
    ['zero', envelope(std, { msg_id: 0 })],
    ['null', envelope(std, { msg_id: null })],
    ['false', envelope(std, { msg_id: false })],
    ['an empty object, which Python calls false', envelope(std, { msg_id: {} })],
    ['no id', { type: 'sys_std', payload: std }]
  ]
  for (const [label, frame] of rows) {
    one.send(frame)
    t.match(
      await take(two),
      { type: 'sys_std', payload: std, msg_id: /^msg_[\da-f]{12}_\d+$/ },
      `${label}: done all the same`
    )
  }
  const swallowed = ['no JSON', '[]', '"text"', '1', 'null', '', '{', JSON.stringify(ackOf({ msg_id: 'x' }))]
  for (const frame of swallowed) one.send(frame)
  const last = envelope(payloadFor('key-none', 'qq', 'last'))
  one.send(last)
  t.match(await one.next(), { type: 'sys_ack', meta: { acked_msg_id: last.msg_id } }, 'the first word since')
})

t.test('what cannot be delivered is acknowledged with the reason', async (t) => {
  const { one } = await startPair(t)
  const whole = payloadFor('key-two', 'qq', 'x')
  const without = (key: string): object => ({ ...whole, message_info: { ...whole.message_info, [key]: null } })
  const rows: [payload: unknown, why: RegExp, more?: object][] = [
    [payloadFor('key-none', 'qq', 'x'), /^no such key$/],
    [{ ...whole, message_dim: { api_key: 'key-two', platform: 5 } }, /^no such platform$/],
    [{ ...whole, message_dim: { api_key: 'key-two', platform: 'p'.repeat(256) } }, /^no such platform$/],
    [{ ...whole, message_dim: { api_key: 'key-two' } }, /^message_dim\.platform/],
    [{ ...whole, message_dim: undefined }, /^message_dim/],
    [without('platform'), /^message_info\.platform/],
    [without('message_id'), /^message_info\.message_id/],
    [without('time'), /^message_info\.time/],
    [{ ...whole, message_segment: undefined }, /^message_segment/],
    [{ ...whole, message_segment: { type: 'seglist', data: [1] } }, /^message_segment\.data\[0\]/],
    [
      payloadFor('key-two', 'qq', 'x', { sender_info: { user_info: { user_id: '1' } } }),
      /sender_info\.user_info\.platform/
    ],
    [{ anything: 1 }, /^message_info/],
    [null, /^message/],
    [{ a: 1 }, /nobody else/, { type: 'custom_x' }],
    [{ message_dim: { api_key: 'key-none', platform: 'qq' } }, /^no such key$/, { type: 'custom_x' }]
  ]
  for (const [payload, why, more] of rows) {
    const { payload: told } = await deliver(one, envelope(payload, more))
    t.match(told, { status: 'received', undeliverable: why })
  }
})

t.test('a message that comes twice is done once and acknowledged twice', async (t) => {
  const { app, one, two } = await startPair(t)
  const sent = envelope(payloadFor('key-two', 'qq', 'once'))
  one.send(sent)
  await take(two)
  await one.find(isAck)
  await deliver(one, sent)

  const again = await openApi(t, app.ws, { key: 'key-one', uuid: 'uuid-one' })
  await deliver(again, sent)
  const after = envelope(payloadFor('key-two', 'qq', 'after'))
  again.send(after)
  t.match(await take(two), { payload: { message_segment: { data: 'after' } } }, 'nothing in between')

  const other = await openApi(t, app.ws, { key: 'key-one', uuid: 'uuid-other' })
  other.send(sent)
  t.match(
    await take(two),
    { payload: { message_segment: { data: 'once' } } },
    'of another client it is another message'
  )
})

t.test('200 messages of one millisecond share an id, and all arrive (contract 0.5)', async (t) => {
  const { one, two } = await startPair(t)
  const total = 200
  const words = Array.from({ length: total }, (_, index) => `words ${index}`)
  for (const each of words) one.send(envelope(payloadFor('key-two', 'qq', each), { msg_id: 'msg_1795170888010' }))
  const heard: any[] = []
  while (heard.length < total) heard.push(await take(two))
  t.strictSame(
    heard.map(({ payload }) => payload.message_segment.data),
    words,
    'in their order'
  )
  t.equal(new Set(heard.map(({ msg_id }) => msg_id)).size, total, 'under ids of their own')
  for (let index = 0; index < total; index++) t.equal((await one.find(isAck)).meta.acked_msg_id, 'msg_1795170888010')
})

t.test('a message is repeated under the same id until it is acknowledged', async (t) => {
  const app = await startApp(t, { config: { maim: { keys: maimKeys }, limits: { maim_repeat: 100 } } })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const two = await openApi(t, app.ws, { key: 'key-two' })
  const sent = envelope(payloadFor('key-two', 'qq', 'do you hear me'))
  t.same((await deliver(one, sent)).payload.undeliverable, undefined, 'the sender need not wait for that')
  const first = await two.nextText()
  t.equal(await two.nextText(), first, 'byte for byte')
  two.send(ackOf(JSON.parse(first)))
  one.send(envelope(payloadFor('key-two', 'qq', 'next')))
  const after = await two.find(({ payload }) => payload.message_segment.data === 'next')
  two.send(ackOf(after))
  t.strictSame(two.waiting().filter(isMessage), [])
})

t.test('a simple brain that answers and never acknowledges is told once, and answers once', async (t) => {
  const app = await startApp(t, { config: { maim: { keys: maimKeys }, limits: { maim_repeat: 4000 } } })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const two = await openApi(t, app.ws, { key: 'key-two', uuid: 'simple' })
  for (const words of ['a', 'b']) {
    one.send(envelope(payloadFor('key-two', 'qq', words)))
    t.match(await two.next(), { payload: { message_segment: { data: words } } })
    await deliver(two, envelope(payloadFor('key-one', 'qq', `answer to ${words}`)))
    t.match(await one.find(({ type }) => type === 'sys_std'), {
      payload: { message_segment: { data: `answer to ${words}` } }
    })
  }
  await waitFor(() => app.lactea.gateway.store.readMail('api 10002 qq', 0, 1).then(({ length }) => length > 0))
  await waitFor(() => app.lactea.gateway.store.readMail('api 10002 qq', 0, 1).then(({ length }) => length === 0))
  t.strictSame(two.waiting(), [], 'its answers have settled what it was told')
})

t.test('who never acknowledges anything is told four times, and no more', async (t) => {
  const app = await startApp(t, { config: { maim: { keys: maimKeys }, limits: { maim_repeat: 20 } } })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const two = await openApi(t, app.ws, { key: 'key-two', uuid: 'deaf' })
  await deliver(one, envelope(payloadFor('key-two', 'qq', 'a')))
  for (let time = 1; time <= 4; time++) t.match(await two.next(), { payload: { message_segment: { data: 'a' } } })
  await waitFor(async () => (await app.lactea.gateway.store.readMail('api 10002 qq', 0, 1)).length === 0)
  two.socket.terminate()
  const back = await openApi(t, app.ws, { key: 'key-two', uuid: 'deaf' })
  await deliver(one, envelope(payloadFor('key-two', 'qq', 'b')))
  t.match(await back.next(), { payload: { message_segment: { data: 'b' } } }, 'nor when it comes back')
  t.strictSame(two.waiting(), [])
})

import t from 'tap'
import { startApp, text, type Running } from '../helpers/app.ts'
import { ackOf, deliver, envelope, isAck, isMessage, maimKeys, openApi, payloadFor, take } from '../helpers/maim-api.ts'
import { waitFor } from '../helpers/wait.ts'

const config = { maim: { keys: maimKeys } }
const GROUP = 100001

const say = (app: Running, words: string): Promise<unknown> =>
  app.call('token-two', 'send_group_message', { group_id: GROUP, message: text(words) })

const history = async (app: Running): Promise<string[]> => {
  const messages = await app.lactea.gateway.store.listMessages({ chatId: GROUP, limit: 100 })
  return messages.map(({ segments }) => segments.map((one) => (one.type === 'text' ? one.text : one.type)).join(''))
}

/** What a brain says, as the library writes it. */
function speech(words: string, receiver: object, more: object = {}): any {
  return payloadFor('key-brain', 'qq', words, { sender_info: undefined, receiver_info: receiver, ...more })
}

const inGroup = { group_info: { platform: 'qq', group_id: String(GROUP) } }
const toAlice = { user_info: { platform: 'qq', user_id: '10011' } }

t.test('a brain hears what is said in the chats of its bot', async (t) => {
  const app = await startApp(t, { config })
  const brain = await openApi(t, app.ws, { key: 'key-brain', platform: 'qq' })
  const adapter = await openApi(t, app.ws, { key: 'key-one', platform: 'qq' })
  await startHearing(app, brain)
  await say(app, 'good morning')
  const frame = await take(brain)
  t.match(frame, {
    type: 'sys_std',
    msg_id: /^msg_[\da-f]{12}_\d+$/,
    meta: { sender_user: 'server', target_user: '10001', platform: 'qq', timestamp: Number },
    payload: {
      message_info: {
        platform: 'qq',
        sender_info: {
          user_info: { platform: 'qq', user_id: '10002', user_nickname: 'Two' },
          group_info: { platform: 'qq', group_id: String(GROUP), group_name: 'Test group' }
        }
      },
      message_dim: { api_key: 'key-brain', platform: 'qq' }
    }
  })
  t.match(JSON.stringify(frame.payload.message_segment), 'good morning')
  t.notMatch(JSON.stringify(frame), 'null')
  await deliver(adapter, envelope(payloadFor('none', 'qq', 'x')))
  t.strictSame(adapter.waiting(), [], 'a key without chats does not, under the same account and platform')
})

t.test('what a brain says is said in the chat that it names, and it learns the id', async (t) => {
  const app = await startApp(t, { config })
  const brain = await openApi(t, app.ws, { key: 'key-brain' })
  const sent = envelope(speech('hello group', inGroup))
  brain.send(sent)
  const ack = await brain.next()
  t.match(ack, { type: 'sys_ack', meta: { acked_msg_id: sent.msg_id } }, 'the acknowledgement comes first')
  t.equal(ack.payload.undeliverable, undefined)
  t.match(await take(brain), {
    type: 'custom_message_id_echo',
    meta: { sender_user: 'server' },
    payload: { type: 'echo', echo: 'id of hello group', actual_id: /./ }
  })
  brain.send(envelope(speech('hello Alice', toAlice)))
  await take(brain)
  t.strictSame(await history(app), ['hello group'])

  await deliver(brain, sent)
  t.strictSame(await history(app), ['hello group'], 'once')
})

t.test('what can be said nowhere is acknowledged with the reason', async (t) => {
  const app = await startApp(t, { config })
  const brain = await openApi(t, app.ws, { key: 'key-brain' })
  const nowhere = speech('hello', { group_info: { platform: 'qq', group_id: '424242' } })
  t.match((await deliver(brain, envelope(nowhere))).payload, { undeliverable: /./ })
})

t.test('direct infos name the chat too, when there is nothing else', async (t) => {
  const app = await startApp(t, { config })
  const brain = await openApi(t, app.ws, { key: 'key-brain' })
  const { group_info } = inGroup
  await deliver(brain, envelope(speech('by hand', {}, { receiver_info: undefined, group_info })))
  t.strictSame(await history(app), ['by hand'])
})

t.test('what names no receiver, or comes from a key without chats, is between programs', async (t) => {
  const app = await startApp(t, { config })
  const brain = await openApi(t, app.ws, { key: 'key-brain', platform: 'qq' })
  const other = await openApi(t, app.ws, { key: 'key-brain', platform: 'wx' })
  const rows: object[] = [
    payloadFor('key-brain', 'wx', 'from somebody'),
    payloadFor('key-brain', 'wx', 'nobody named', { sender_info: undefined }),
    { ...speech('empty side', {}), message_dim: { api_key: 'key-brain', platform: 'wx' } }
  ]
  for (const payload of rows) {
    brain.send(envelope(payload))
    t.match(await take(other), { payload })
  }
  const adapter = await openApi(t, app.ws, { key: 'key-one', platform: 'sub' })
  const spoken = { ...speech('let me speak', inGroup), message_dim: { api_key: 'key-brain', platform: 'wx' } }
  adapter.send(envelope(spoken))
  t.match(await take(other), { payload: spoken })
  t.strictSame(await history(app), [])
})

t.test('a brain that was away hears what was said meanwhile, once, under the same ids', async (t) => {
  const app = await startApp(t, { config })
  const brain = await openApi(t, app.ws, { key: 'key-brain' })
  await startHearing(app, brain)
  await say(app, 'one')
  const one = await brain.find(isMessage)
  brain.socket.terminate()
  await waitFor(() => app.lactea.gateway.devices.of(10001).length === 0)
  await say(app, 'two')

  const back = await openApi(t, app.ws, { key: 'key-brain' })
  t.equal((await take(back)).msg_id, one.msg_id, 'what was not acknowledged comes again')
  t.match(JSON.stringify((await take(back)).payload), 'two')
  await waitFor(async () => (await placeOf(app)) === (await app.lactea.gateway.store.lastEventId()))
  await app.lactea.app.close()

  const next = await startApp(t, { config, dir: app.dir })
  await say(next, 'three')
  const after = await openApi(t, next.ws, { key: 'key-brain' })
  t.match(JSON.stringify((await take(after)).payload), 'three', 'after a restart too')
})

t.test('of what a brain has missed, the oldest beyond the bound is left out', async (t) => {
  const app = await startApp(t, { config: { ...config, limits: { maim_keep_count: 2 } } })
  const brain = await openApi(t, app.ws, { key: 'key-brain' })
  await startHearing(app, brain)
  brain.socket.terminate()
  await waitFor(() => app.lactea.gateway.devices.of(10001).length === 0)
  for (const words of ['a', 'b', 'c', 'd']) await say(app, words)
  const back = await openApi(t, app.ws, { key: 'key-brain' })
  const heard = [await take(back), await take(back)].map(({ payload }) => payload.message_segment)
  t.match(JSON.stringify(heard), /"c".*"d"/)
  await say(app, 'e')
  t.match(JSON.stringify((await take(back)).payload), '"e"')
})

t.test('two brains of one bot under one name are told the same, and one acknowledgement settles it', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-brain' })
  const two = await openApi(t, app.ws, { key: 'key-brain' })
  await startHearing(app, one)
  await say(app, 'to both')
  const [a, b] = [await one.find(isMessage), await two.find(isMessage)]
  t.strictSame(a, b)
  two.send(ackOf(b))
  await waitFor(async () => (await placeOf(app)) === (await app.lactea.gateway.store.lastEventId()))
  const third = await openApi(t, app.ws, { key: 'key-brain' })
  await deliver(third, envelope({}, { type: 'sys_x' }))
  t.strictSame(third.waiting(), [])
})

t.test('a picture too large for an old client is told by a link until it shows that it is newer', async (t) => {
  const app = await startApp(t, { config })
  const brain = await openApi(t, app.ws, { key: 'key-brain' })
  await startHearing(app, brain)
  // A real header, so that it is known as a picture, and bytes that do not shrink.
  const picture = Buffer.concat([PNG, Buffer.alloc(1_200_000, 7)]).toString('base64')
  const show = (): Promise<unknown> =>
    app.call('token-two', 'send_group_message', {
      group_id: GROUP,
      message: [{ type: 'image', data: { uri: `base64://${picture}` } }]
    })
  await show()
  const small = JSON.stringify(await take(brain))
  t.ok(small.length < 10_000)
  brain.send(envelope({}, { type: 'sys_x', msg_id: 'msg_0123456789ab_1750000000' }))
  await brain.find(isAck)
  await show()
  t.ok(JSON.stringify(await take(brain)).length > 1_600_000)
})

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64'
)

const placeOf = (app: Running): Promise<number> => app.lactea.gateway.store.openCursor('maim:api:10001:qq')

/** What is said before a brain has its place in the log is not for it. */
async function startHearing(app: Running, brain: Awaited<ReturnType<typeof openApi>>): Promise<void> {
  await deliver(brain, envelope({}, { type: 'sys_x' }))
  await placeOf(app)
}

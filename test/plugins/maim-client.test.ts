import t, { type Test } from 'tap'
import { APIMessageBase, MessageBase, MessageConverter } from '../../sdk/src/index.ts'
import { startApp, text, type Running, type StartOptions } from '../helpers/app.ts'
import { startBotServer, type BotServer, type BotServerOptions, type Dialled } from '../helpers/bot-server.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { cursorName } from '../../src/net/cursor.ts'
import { waitFor } from '../helpers/wait.ts'

const GROUP = 100001
type Mode = 'legacy' | 'api-server'

/** A brain's server, and a gateway whose bot 10001 has a link to it. */
async function link(
  t: Test,
  mode: Mode,
  more: { readonly target?: object; readonly server?: BotServerOptions; readonly app?: StartOptions } = {}
): Promise<{ brain: BotServer; app: Running; url: string }> {
  const brain = await startBotServer(t, more.server)
  const url = `${brain.url}/ws`
  const app = await startApp(t, { ...more.app, config: configFor(url, mode, more.target, more.app?.config) })
  return { brain, app, url }
}

function configFor(
  url: string,
  mode: Mode,
  target: object = {},
  config: Record<string, unknown> = {}
): Record<string, unknown> {
  const credentials = mode === 'legacy' ? { token: 'raw-token' } : { api_key: 'the-key' }
  const maim = [{ url, mode, platform: 'lactea', ...credentials, ...target }]
  const bots = [
    { id: 10001, nickname: 'One', access_token: 'token-one', maim },
    { id: 10002, nickname: 'Two', access_token: 'token-two' }
  ]
  return { limits: { maim_repeat: 100 }, ...config, bots }
}

const sayAs = (app: Running, token: string, words: string) =>
  app.milky(token, 'send_group_message', { group_id: GROUP, message: text(words) })

const wordsOf = (message: MessageBase | APIMessageBase): string =>
  (message.message_segment.data as { type: string; data: string }[])
    .flatMap(({ type, data }) => (type === 'text' ? [data] : []))
    .join('')

/** What bot 10002 finds in the group. */
async function heardInGroup(app: Running): Promise<string[]> {
  const { data } = await app.milky('token-two', 'get_history_messages', {
    message_scene: 'group',
    peer_id: GROUP,
    limit: 30
  })
  return data.messages.map(({ segments }: any) => segments.map(({ data }: any) => data.text ?? '').join(''))
}

/** A brain's answer, as the library in Python writes it: the group stands directly in it, and so does who is answered. */
function answerTo(heard: MessageBase, words: string, id = 'core-1'): Record<string, unknown> {
  const { group_info = null, user_info = null, platform } = heard.message_info
  return MessageBase.toObject({
    message_info: { platform: platform ?? '', message_id: id, time: 1_750_000_000.5, group_info, user_info },
    message_segment: { type: 'seglist', data: [{ type: 'text', data: words }] }
  })
}

/** The next envelope of a message; acknowledged unless told otherwise. */
async function nextMessage(brain: Dialled, acks = true): Promise<{ envelope: any; message: APIMessageBase }> {
  const envelope = await brain.find(({ type }) => type === 'sys_std')
  if (acks) acknowledge(brain, envelope)
  return { envelope, message: APIMessageBase.from(envelope.payload) }
}

const acknowledge = (brain: Dialled, { msg_id }: { msg_id: string }): void =>
  brain.send({
    ver: 1,
    msg_id: 'a',
    type: 'sys_ack',
    meta: { uuid: 'u', acked_msg_id: msg_id, timestamp: 1.5 },
    payload: { status: 'received', server_timestamp: 1.5 }
  })

/** A message of an API-Server to us. */
const envelopeOf = (heard: APIMessageBase, words: string, msgId: string): object => ({
  ver: 1,
  msg_id: msgId,
  type: 'sys_std',
  meta: { sender_user: 'server', target_user: 'somebody', platform: 'lactea', timestamp: 1.5 },
  payload: APIMessageBase.toObject(
    MessageConverter.toApiSend(MessageBase.from(answerTo(MessageConverter.fromApiReceive(heard), words)), {
      apiKey: 'the-key'
    })
  )
})

void t.test('a link to a legacy server', async (t) => {
  t.test('shows its platform and its raw token', async (t) => {
    const { brain } = await link(t, 'legacy')
    const { request } = await brain.next()
    t.equal(request.url, '/ws')
    t.match(request.headers, { platform: 'lactea', authorization: 'raw-token' })
    t.notOk(request.headers['sec-websocket-protocol'])
  })

  t.test('tells what is said, says what is answered, and tells the number of what was said', async (t) => {
    const { brain, app } = await link(t, 'legacy')
    const socket = await brain.next()
    await sayAs(app, 'token-two', 'hello brain')
    const heard = MessageBase.from(await socket.next())
    t.match(heard.message_info, {
      platform: 'lactea',
      user_info: { user_id: '10002', user_nickname: 'Two' },
      group_info: { group_id: '100001', group_name: 'Test group' }
    })
    t.equal(wordsOf(heard), 'hello brain')

    socket.send(answerTo(heard, 'hello people'))
    const echo = await socket.find(({ is_custom_message }) => is_custom_message)
    t.match(echo, {
      message_type_name: 'message_id_echo',
      platform: 'lactea',
      content: { type: 'echo', echo: 'core-1' }
    })
    const history = await heardInGroup(app)
    t.strictSame(history.slice(-2), ['hello brain', 'hello people'])
    const { store } = app.lactea.gateway
    t.match(await store.findPosition(Number(echo.content.actual_id)), { chatId: GROUP })
    t.strictSame(socket.waiting(), [], 'and what the bot says itself is not told')
  })

  t.test('tells after a cut what was not confirmed, and nothing twice that was', async (t) => {
    const { brain, app } = await link(t, 'legacy')
    const first = await brain.next()
    await sayAs(app, 'token-two', 'one')
    t.equal(wordsOf(MessageBase.from(await first.next())), 'one')
    await first.asked(await app.lactea.gateway.store.lastEventId())
    first.socket.terminate()
    for (const words of ['two', 'three']) await sayAs(app, 'token-two', words)
    const second = await brain.next()
    t.equal(wordsOf(MessageBase.from(await second.next())), 'two')
    t.equal(wordsOf(MessageBase.from(await second.next())), 'three')
  })

  t.test('tells after a restart what was said meanwhile', async (t) => {
    const dir = makeDirectory(t)
    const { brain, app, url } = await link(t, 'legacy', { app: { dir } })
    await brain.next()
    await app.lactea.app.close()
    const other = await startApp(t, { dir })
    await sayAs(other, 'token-two', 'while you were away')
    await other.lactea.app.close()
    await startApp(t, { dir, config: configFor(url, 'legacy') })
    t.equal(wordsOf(MessageBase.from(await (await brain.next()).next())), 'while you were away')
  })

  t.test('survives nonsense, and goes on', async (t) => {
    const { brain, app } = await link(t, 'legacy')
    const socket = await brain.next()
    for (const frame of ['', 'nonsense', '[]', 'null', '5', '{}', '{"message_info":null}', '{"message_segment":[]}'])
      socket.send(frame)
    socket.send({ is_custom_message: true, message_type_name: 'x'.repeat(1000), content: null })
    await sayAs(app, 'token-two', 'still there?')
    const heard = MessageBase.from(await socket.next())
    t.equal(wordsOf(heard), 'still there?')
    socket.send(answerTo(heard, 'yes'))
    await waitFor(async () => (await heardInGroup(app)).at(-1) === 'yes')
  })

  t.test('leaves out the one message that the other side does not take', async (t) => {
    const { brain, app } = await link(t, 'legacy', { server: { maxPayload: 1500 }, app: { logLevel: 'warn' } })
    for (const words of ['before', 'too much '.repeat(300), 'after']) await sayAs(app, 'token-two', words)
    for (;;) {
      const again = await brain.next()
      const after = again.find((frame) => wordsOf(MessageBase.from(frame)) === 'after')
      if (await after.catch(() => undefined)) break
    }
    t.ok(await app.logged('it is left out'))
  })

  t.test('says in the log what is wrong when the token is', async (t) => {
    const brain = await startBotServer(t)
    brain.refuse(403)
    const app = await startApp(t, { logLevel: 'warn', config: configFor(`${brain.url}/other`, 'legacy') })
    t.match(await app.logged('not connected'), /is the path right/)
    const socket = await brain.next()
    socket.socket.close(1008, '无效的令牌')
    t.match(await app.logged('does not know the token'), /will dial again/)
    t.notMatch(app.lines.join('\n'), 'raw-token')
  })
})

void t.test('a link to an API-Server', async (t) => {
  t.test('shows key, platform and the same uuid over its connections', async (t) => {
    const { brain } = await link(t, 'api-server')
    const first = await brain.next()
    t.match(first.request.headers, { 'x-apikey': 'the-key', 'x-platform': 'lactea', 'x-uuid': /^lactea_/ })
    first.socket.close(1012)
    const second = await brain.next()
    t.equal(second.request.headers['x-uuid'], first.request.headers['x-uuid'])
  })

  t.test('tells what is said, and acknowledges what is answered when it was said', async (t) => {
    const { brain, app } = await link(t, 'api-server')
    const socket = await brain.next()
    await sayAs(app, 'token-two', 'hello brain')
    const { envelope, message } = await nextMessage(socket)
    t.match(envelope, {
      ver: 1,
      msg_id: /^msg_[0-9a-f]{12}_\d+$/,
      meta: { sender_user: 'the-key', platform: 'lactea' }
    })
    t.match(message, {
      message_info: { sender_info: { user_info: { user_id: '10002' }, group_info: { group_id: '100001' } } },
      message_dim: { api_key: 'the-key', platform: 'lactea' }
    })
    t.equal(wordsOf(message), 'hello brain')

    socket.send(envelopeOf(message, 'hello people', 'msg_1'))
    const ack = await socket.find(({ type }) => type === 'sys_ack')
    t.match(ack, { meta: { acked_msg_id: 'msg_1' }, payload: { status: 'received', client_timestamp: Number } })
    t.equal((await heardInGroup(app)).at(-1), 'hello people', 'it is said before it is acknowledged')
    const echo = await socket.find(({ type }) => type === 'custom_message_id_echo')
    t.match(echo, { payload: { type: 'echo', echo: 'core-1', actual_id: /^\d+$/ } })
  })

  t.test('repeats what is not acknowledged under the same id, over cuts and restarts', async (t) => {
    const dir = makeDirectory(t)
    const { brain, app, url } = await link(t, 'api-server', { app: { dir } })
    const first = await brain.next()
    await sayAs(app, 'token-two', 'do you hear?')
    const { envelope } = await nextMessage(first, false)
    const repeated = await nextMessage(first, false)
    t.equal(repeated.envelope.msg_id, envelope.msg_id)
    first.socket.terminate()
    const second = await brain.next()
    t.equal((await nextMessage(second, false)).envelope.msg_id, envelope.msg_id)
    await app.lactea.app.close()

    const later = await startApp(t, { dir, config: configFor(url, 'api-server') })
    const third = await brain.next()
    t.equal((await nextMessage(third)).envelope.msg_id, envelope.msg_id)
    await waitFor(async () => {
      const position = await later.lactea.gateway.store.lastEventId()
      return (await later.lactea.gateway.store.openCursor(cursorOf(url))) === position
    })
    await later.lactea.app.close()

    const last = await startApp(t, { dir, config: configFor(url, 'api-server') })
    await sayAs(last, 'token-two', 'new')
    t.equal(
      wordsOf((await nextMessage(await brain.next())).message),
      'new',
      'what was acknowledged does not come again'
    )
  })

  t.test(
    'says a repeated message once, also after a restart, and one with the same id but other words too',
    async (t) => {
      const dir = makeDirectory(t)
      const { brain, app, url } = await link(t, 'api-server', { app: { dir } })
      const socket = await brain.next()
      await sayAs(app, 'token-two', 'go')
      const { message } = await nextMessage(socket)
      const ackOf = (socket: Dialled) => socket.find(({ type }) => type === 'sys_ack')
      for (const words of ['once', 'once', 'another']) {
        socket.send(envelopeOf(message, words, 'msg_1'))
        t.match(await ackOf(socket), { meta: { acked_msg_id: 'msg_1' } })
      }
      await app.lactea.app.close()
      const later = await startApp(t, { dir, config: configFor(url, 'api-server') })
      const again = await brain.next()
      again.send(envelopeOf(message, 'once', 'msg_1'))
      t.match(await ackOf(again), { meta: { acked_msg_id: 'msg_1' } })
      t.strictSame((await heardInGroup(later)).slice(-3), ['go', 'once', 'another'])
    }
  )

  t.test('acknowledges what cannot be said, and tells why', async (t) => {
    const { brain } = await link(t, 'api-server')
    const socket = await brain.next()
    const send = async (payload: unknown): Promise<any> => {
      socket.send({ ver: 1, msg_id: `msg_${JSON.stringify(payload).length}`, type: 'sys_std', meta: {}, payload })
      return (await socket.find(({ type }) => type === 'sys_ack')).payload
    }
    const info = { platform: 'lactea', message_id: '1', time: 1.5 }
    const dim = { api_key: 'the-key', platform: 'lactea' }
    const segment = { type: 'text', data: 'x' }
    t.match(await send({ message_segment: segment, message_dim: dim }), { undeliverable: /^message_info/ })
    t.match(await send({ message_info: info, message_segment: segment, message_dim: dim }), { undeliverable: String })
    const receiver_info = { group_info: { platform: 'lactea', group_id: '999999' } }
    const lost = { message_info: { ...info, receiver_info }, message_segment: segment, message_dim: dim }
    t.match(await send(lost), { status: 'received', undeliverable: /999999/ })
  })

  t.test('leaves out the one message that the other side does not take', async (t) => {
    const { brain, app } = await link(t, 'api-server', { server: { maxPayload: 2500 }, app: { logLevel: 'warn' } })
    const first = await brain.next()
    await sayAs(app, 'token-two', 'too much '.repeat(500))
    await sayAs(app, 'token-two', 'after')
    await first.closed
    const { message } = await nextMessage(await brain.next())
    t.equal(wordsOf(message), 'after')
    t.ok(await app.logged('it is left out'))
  })

  t.test('says in the log that the key is refused, without the key', async (t) => {
    const brain = await startBotServer(t)
    brain.refuse(401)
    const app = await startApp(t, { logLevel: 'warn', config: configFor(`${brain.url}/ws`, 'api-server') })
    t.match(await app.logged('not connected'), /does not know the api_key/)
    t.notMatch(app.lines.join('\n'), 'the-key')
  })
})

const cursorOf = (url: string): string => cursorName('maim', 10001, `lactea ${url}`)

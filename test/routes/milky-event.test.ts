import { once } from 'node:events'
import { request as openRequest, type IncomingMessage } from 'node:http'
import { mock } from 'node:test'
import { text as readAll } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { digestToken } from '../../src/secrets.ts'
import type { Store } from '../../src/core/store.ts'
import { openSqliteStore } from '../../src/store/index.ts'
import { startApp, text, world, type Running } from '../helpers/app.ts'
import { openStream, type TestStream } from '../helpers/event-stream.ts'
import { faultOfEvent } from '../helpers/milky-judge.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'
import { withSecondBot } from '../helpers/socket-suite.ts'

const openEvents = (t: Test, app: Running, token = 'token-two'): Promise<TestSocket> =>
  openSocket(t, `${app.ws}/event?access_token=${token}`)

const readEvents = (t: Test, app: Running, headers: Record<string, string> = {}): Promise<TestStream> =>
  openStream(t, `${app.url}/event`, { authorization: 'Bearer token-two', ...headers })

const say = (app: Running, words: string) =>
  app.milky('token-one', 'send_group_message', { group_id: 100001, message: text(words) })

const wordsOf = (event: { data: { segments: { data: { text: string } }[] } }): string =>
  event.data.segments[0]?.data.text ?? ''

async function openSecondStore(t: Test, app: Running): Promise<Store> {
  const store = await openSqliteStore({ path: `${app.dir}/data/lactea.db`, isShort: true })
  t.teardown(() => store.close())
  return store
}

/** Whatever was refused, as the door said it. */
async function refusalOf(opening: Promise<unknown>): Promise<{ status: number; body?: any; headers?: any }> {
  try {
    await opening
  } catch (err) {
    return err as { status: number }
  }
  throw new Error('it was let in')
}

/** Until the gateway has noticed that everybody has gone. */
async function isEmpty(app: Running): Promise<void> {
  const { hub, devices } = app.lactea.gateway
  for (let tries = 0; hub.size() + devices.count() > 0; tries++) {
    if (tries > 2000) throw new Error('somebody was left behind')
    await app.milky('token-one', 'get_login_info')
  }
}

/** A handshake of either kind, as a function of the query and the headers. */
const ways: [
  name: string,
  open: (t: Test, app: Running, query: string, headers: Record<string, string>) => Promise<unknown>
][] = [
  ['WebSocket', (t, app, query, headers) => openSocket(t, `${app.ws}/event${query}`, { headers })],
  ['SSE', (t, app, query, headers) => openStream(t, `${app.url}/event${query}`, headers)]
]

for (const [name, open] of ways) {
  t.test(`${name}: the handshake`, async (t) => {
    const app = await startApp(t)
    const good = { authorization: 'Bearer token-one' }
    const refused: [label: string, query: string, headers: Record<string, string>][] = [
      ['no token', '', {}],
      ['an empty token', '?access_token=', {}],
      ['another parameter', '?token=token-one', {}],
      ['two tokens in the query', '?access_token=token-one&access_token=token-two', {}],
      ['an Authorization that is no bearer token', '', { authorization: 'Basic dG9rZW4tb25l' }],
      ['a wrong token', '?access_token=nope', {}],
      ['a wrong token in the header', '', { authorization: 'Bearer nope' }],
      ['two wrong ones', '?access_token=nope', { authorization: 'Bearer TOKEN-ONE' }]
    ]
    for (const [label, query, headers] of refused)
      t.equal((await refusalOf(open(t, app, query, headers))).status, 401, label)
    t.equal(app.lactea.gateway.hub.size() + app.lactea.gateway.devices.count(), 0, 'nobody of them was let in')

    const welcome: [label: string, query: string, headers: Record<string, string>][] = [
      ['the token in the query', '?access_token=token-one', {}],
      ['the token in the header', '', good],
      ['the scheme in another case', '', { authorization: 'BEARER  token-one' }],
      ['both', '?access_token=token-one', good],
      ['a wrong one in the query', '?access_token=nope', good],
      ['a wrong one in the header', '?access_token=token-one', { authorization: 'Bearer nope' }],
      ['a page of another origin', '?access_token=token-one', { origin: 'https://page.example' }]
    ]
    for (const [label, query, headers] of welcome) await t.resolves(open(t, app, query, headers), label)
    t.equal(app.lactea.gateway.devices.of(10001).length, welcome.length, 'people see the bot as online')
  })

  t.test(`${name}: too many handshakes of strangers are refused with 429`, async (t) => {
    const app = await startApp(t, { config: { limits: { upgrade_rate: 1 } } })
    t.equal((await refusalOf(open(t, app, '?access_token=guess-one', {}))).status, 401)
    t.equal((await refusalOf(open(t, app, '?access_token=guess-two', {}))).status, 429)
    for (let count = 0; count < 3; count++)
      await t.resolves(open(t, app, '?access_token=token-one', {}), 'who has a token comes in all the same')
  })

  t.test(`${name}: a bot without a token, on loopback`, async (t) => {
    const config = {
      bots: [{ id: 10001, nickname: 'Only' }],
      provision: {},
      server: { allowed_origins: ['https://friend.example'] }
    }
    const app = await startApp(t, { config })
    const welcome: Record<string, string>[] = [
      {},
      { authorization: 'Bearer ' },
      { authorization: 'Bearer undefined' },
      { authorization: 'Basic x' },
      { origin: app.url },
      { origin: 'https://friend.example' }
    ]
    for (const headers of welcome) await t.resolves(open(t, app, '', headers), JSON.stringify(headers))
    await t.resolves(open(t, app, '?access_token=whatever', {}), 'a token that nobody asked for')
    const strange: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { host: 'evil.example' },
      { origin: 'https://evil.example', authorization: 'Bearer x' }
    ]
    for (const headers of strange)
      t.equal((await refusalOf(open(t, app, '', headers))).status, 401, JSON.stringify(headers))
  })
}

t.test('a refusal is the JSON envelope, in the language of who asks', async (t) => {
  const app = await startApp(t)
  const english = await refusalOf(openStream(t, `${app.url}/event`))
  t.match(english.body, { status: 'failed', retcode: -401, message: /access_token/ })
  t.equal(english.headers['content-type'], 'application/json; charset=utf-8')
  const chinese = await refusalOf(openStream(t, `${app.url}/event`, { 'accept-language': 'zh-CN,zh;q=0.9,en;q=0.8' }))
  t.match(chinese.body.message, /访问令牌/)

  const socket = new WebSocket(`${app.ws}/event?access_token=nope`)
  socket.on('error', () => {})
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  t.equal(response.headers['content-type'], 'application/json; charset=utf-8')
  t.match(JSON.parse(await readAll(response)), { status: 'failed', retcode: -401, message: /./ })
})

/** What happens to the second bot, and the events it hears of it, in order. */
async function live(app: Running): Promise<string[]> {
  const group = { group_id: 100001 }
  const { data } = await say(app, 'Hello, 世界 😀\n\r\u2028\u0085 data: x')
  await app.milky('token-one', 'recall_group_message', { ...group, message_seq: data.message_seq })
  await app.milky('token-one', 'set_group_name', { ...group, new_group_name: 'Renamed' })
  await app.milky('token-one', 'set_group_member_admin', { ...group, user_id: 10011 })
  await app.milky('token-one', 'set_group_member_mute', { ...group, user_id: 10002, duration: 60 })
  await app.milky('token-one', 'set_group_member_mute', { ...group, user_id: 10002 })
  await app.milky('token-one', 'set_group_whole_mute', group)
  await app.milky('token-one', 'kick_group_member', { ...group, user_id: 10011 })
  await app.lactea.gateway.groups.addMember(100001, 10011)
  await app.milky('token-one', 'send_private_message', { user_id: 10002, message: text('to you alone') })
  await app.milky('token-one', 'kick_group_member', { ...group, user_id: 10002 })
  return [
    'message_receive',
    'message_recall',
    'group_name_change',
    'group_admin_change',
    'group_mute',
    'group_mute',
    'group_whole_mute',
    'group_member_decrease',
    'group_member_increase',
    'message_receive',
    'group_member_decrease'
  ]
}

t.test('each event once, in order, as the bare object: alike on both', async (t) => {
  const app = await startApp(t)
  const [socket, stream] = [await openEvents(t, app), await readEvents(t, app)]
  const types = await live(app)
  const heard: any[] = []
  for (const type of types) {
    const event = await socket.next()
    t.equal(event.event_type, type)
    t.equal(event.self_id, 10002)
    t.equal(faultOfEvent(event), undefined)
    t.strictSame((await stream.next()).data, event, 'the stream tells the same')
    heard.push(event)
  }
  t.equal(wordsOf(heard[0]), 'Hello, 世界 😀\n\r\u2028\u0085 data: x')
  await say(app, 'not for you any more')
  t.strictSame([...socket.waiting(), ...stream.waiting()], [], 'and nothing else')
})

t.test('report_self decides whether a bot hears itself', async (t) => {
  for (const report_self of [false, true]) {
    const app = await startApp(t, { config: { bots: withSecondBot({ report_self }) } })
    const [socket, stream] = [await openEvents(t, app), await readEvents(t, app)]
    await app.milky('token-two', 'send_group_message', { group_id: 100001, message: text('mine') })
    await say(app, 'yours')
    for (const expected of report_self ? ['mine', 'yours'] : ['yours']) {
      t.equal(wordsOf(await socket.next()), expected)
      t.equal(wordsOf((await stream.next()).data), expected)
    }
    await app.lactea.app.close()
  }
})

t.test('WebSocket: whatever is sent is ignored, neither answered nor carried out nor a reason to close', async (t) => {
  const app = await startApp(t)
  const socket = await openEvents(t, app)
  const call = { action: 'send_group_message', params: { group_id: 100001, message: text('never') }, echo: 1 }
  socket.send({ op: 1, d: 0 })
  socket.send(call)
  socket.send('no JSON {')
  socket.send('')
  socket.socket.send(Buffer.from(JSON.stringify(call)))
  socket.socket.send(Buffer.from([0, 255, 254]))
  const pong = once(socket.socket, 'pong')
  socket.socket.ping('are you there?')
  t.equal(String((await pong)[0]), 'are you there?', 'by now all of it was read')
  await say(app, 'hello')
  t.equal(wordsOf(await socket.next()), 'hello', 'the first thing that it hears')
  const { data } = await app.milky('token-one', 'get_history_messages', { message_scene: 'group', peer_id: 100001 })
  t.equal(data.messages.length, 1)
})

t.test('WebSocket: frames have a limit, and a flood is read slowly', async (t) => {
  const app = await startApp(t, { config: { limits: { milky_frame: 1000, frame_rate: 200 } } })
  const socket = await openEvents(t, app)
  // A kilobyte each: what fits into one read of the socket is taken at once.
  for (let count = 0; count < 500; count++) socket.send('x'.repeat(1000))
  const startedAt = performance.now()
  const pong = once(socket.socket, 'pong')
  socket.socket.ping()
  await say(app, 'hello')
  t.equal(wordsOf(await socket.next()), 'hello', 'events come meanwhile')
  await pong
  t.ok(performance.now() - startedAt > 1000, 'the end of the flood was read later')
  socket.send('x'.repeat(1001))
  t.match(await socket.closed, { code: 1009 })
})

t.test('SSE: the head and the lines of the stream', async (t) => {
  const app = await startApp(t)
  const { promise, resolve } = Promise.withResolvers<string>()
  const call = openRequest(`${app.url}/event?access_token=token-two`, { agent: false }, (response) => {
    t.match(response.headers, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no'
    })
    t.equal(response.headers['access-control-allow-origin'], undefined)
    let received = ''
    response.on('error', () => {})
    response.on('data', (chunk) => {
      received += String(chunk)
      if (received.endsWith('\n\n')) resolve(received)
    })
    void say(app, 'two\nlines\u2028')
  })
  call.on('error', () => {})
  call.end()
  t.match(await promise, /^event: milky_event\nid: \S+\ndata: \{"time":[^\n]*two\\nlines\\u2028[^\n]*\}\n\n$/)
  call.destroy()
  await isEmpty(app)
})

t.test('SSE: Last-Event-ID goes on where the reader was, over a restart too', async (t) => {
  const app = await startApp(t)
  const stream = await readEvents(t, app)
  for (const words of ['one', 'two', 'three']) await say(app, words)
  const ids: string[] = []
  for (let count = 0; count < 3; count++) ids.push((await stream.next()).id)
  t.equal(new Set(ids).size, 3)
  stream.close()
  for (let index = 1; index <= 500; index++) await say(app, `missed ${index}`)

  const { dir } = app
  const port = Number(new URL(app.url).port)
  await app.lactea.app.close()
  const again = await startApp(t, { dir, port })
  const resumed = await readEvents(t, again, { 'last-event-id': ids[1] as string })
  await say(again, 'live')
  const expected = ['three', ...Array.from({ length: 500 }, (_, index) => `missed ${index + 1}`), 'live']
  const heard: string[] = []
  for (let count = 0; count < expected.length; count++) {
    const { data } = await resumed.next()
    heard.push(wordsOf(data))
    if (count % 100 === 0) t.equal(faultOfEvent(data), undefined)
  }
  t.strictSame(heard, expected)
  t.strictSame(resumed.waiting(), [])
})

t.test('SSE: what is no place of the log means from now on', async (t) => {
  const app = await startApp(t)
  await say(app, 'before')
  for (const id of ['', 'x', '-1', '1.5', '999999999', '99999999999999999999', '1; drop']) {
    const stream = await readEvents(t, app, { 'last-event-id': id })
    await say(app, `after ${id}`)
    t.equal(wordsOf((await stream.next()).data), `after ${id}`, JSON.stringify(id))
    stream.close()
  }
})

t.test('SSE: nobody reads in the log what is not for them', async (t) => {
  const app = await startApp(t)
  await app.milky('token-one', 'send_private_message', { user_id: 10011, message: text('secret') })
  const stream = await readEvents(t, app, { 'last-event-id': '0' })
  await say(app, 'public')
  t.equal(wordsOf((await stream.next()).data), 'public')
})

t.test('SSE: a comment every 15 seconds keeps the connection alive', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const app = await startApp(t)
  const stream = await readEvents(t, app)
  for (let count = 0; count < 3; count++) {
    mock.timers.tick(15_000)
    t.equal(await stream.comment(), '')
  }
  t.strictSame(stream.waiting(), [], 'it is no event')
})

t.test('SSE: a reader that does not read is cut off while others go on, and leaves nothing behind', async (t) => {
  const app = await startApp(t, { config: { limits: { connection_buffer: 262_144 } }, logLevel: 'warn' })
  const [stalled, healthy] = [await readEvents(t, app), await readEvents(t, app)]
  stalled.response.pause()
  let isSlow = false
  void app.logged('reads too slowly').then(() => (isSlow = true))
  const message = text('😀'.repeat(16_000))
  let sent = 0
  while (!isSlow) {
    const answer = await app.milky('token-one', 'send_group_message', { group_id: 100001, message })
    if (answer.status !== 'ok') throw new Error(answer.message)
    sent++
    await healthy.next()
    if (sent > 2000) throw new Error('the stalled reader was never cut off')
  }
  stalled.response.resume()
  t.equal(await stalled.closed, 'cut')
  t.ok(stalled.waiting().length < sent, 'it was cut off before the end')
  await say(app, 'go on')
  t.equal(wordsOf((await healthy.next()).data), 'go on')
  t.equal(app.lactea.gateway.hub.size(), 1)
  healthy.close()
  await isEmpty(app)
})

t.test('SSE: a reader that catches up slowly is waited for', async (t) => {
  const app = await startApp(t, { config: { limits: { connection_buffer: 65_536 } } })
  const message = text('😀'.repeat(16_000))
  for (let count = 0; count < 200; count++)
    await app.milky('token-one', 'send_group_message', { group_id: 100001, message })
  const stream = await readEvents(t, app, { 'last-event-id': '0' })
  stream.response.pause()
  for (let count = 0; count < 20; count++) await say(app, `meanwhile ${count}`)
  stream.response.resume()
  let last = ''
  for (let count = 0; count < 220; count++) last = wordsOf((await stream.next()).data)
  t.equal(last, 'meanwhile 19', 'it was not taken for a slow one')
})

t.test('leaves nothing behind when a bot goes', async (t) => {
  const app = await startApp(t)
  for (let round = 0; round < 3; round++) {
    const [socket, stream] = [await openEvents(t, app), await readEvents(t, app)]
    t.equal(app.lactea.gateway.devices.count(), 2)
    socket.socket.terminate()
    stream.close()
    await isEmpty(app)
  }
  t.equal(app.lactea.app.farewells.size, 0)
})

t.test('HEAD opens no stream, and other methods are not there', async (t) => {
  const app = await startApp(t)
  for (const method of ['HEAD', 'POST', 'PUT', 'DELETE']) {
    const response = await fetch(`${app.url}/event?access_token=token-two`, { method })
    t.ok(response.status === 404 || response.status === 401, `${method}: ${response.status}`)
    await response.body?.cancel()
  }
  t.equal(app.lactea.gateway.devices.count(), 0)
})

t.test('at shutdown sockets are closed with 1001 and streams end in good order', async (t) => {
  const app = await startApp(t)
  const [socket, stream] = [await openEvents(t, app), await readEvents(t, app)]
  const stalled = await readEvents(t, app)
  stalled.response.pause()
  await say(app, 'last words')
  t.equal(wordsOf(await socket.next()), 'last words')
  t.equal(wordsOf((await stream.next()).data), 'last words')
  const closing = app.lactea.app.close()
  t.match(await socket.closed, { code: 1001, reason: /^server shutdown, retry in \d+ s$/ })
  t.equal(await stream.closed, 'end')
  await closing
  stalled.response.resume()
  await stalled.closed
})

t.test('whose token is replaced has to leave, the others stay', async (t) => {
  const app = await startApp(t, { config: { bots: [world.bots[0], { id: 10002, nickname: 'Two' }] } })
  await app.lactea.gateway.accounts.setToken(10002, 'old')
  const foreign = await openSecondStore(t, app)
  const socket = await openEvents(t, app, 'old')
  const stream = await readEvents(t, app, { authorization: 'Bearer old' })
  const other = await openEvents(t, app, 'token-one')
  await foreign.replaceToken(10002, digestToken('new'), 1)
  t.match(await socket.closed, { code: 1008 })
  t.equal(await stream.closed, 'end')
  t.equal((await refusalOf(openEvents(t, app, 'old'))).status, 401)
  t.equal(other.socket.readyState, WebSocket.OPEN)
  await t.resolves(openEvents(t, app, 'new'))
})

t.test('who is switched off hears bot_offline first, whoever did it', async (t) => {
  for (const isForeign of [true, false]) {
    const app = await startApp(t)
    const store = isForeign ? await openSecondStore(t, app) : app.lactea.gateway.store
    const [socket, stream] = [await openEvents(t, app), await readEvents(t, app)]
    const draft = await openSocket(t, `${app.ws}/?access_token=token-two`)
    const other = await openEvents(t, app, 'token-one')
    await store.disableAccount(10002, 1_700_000_000)
    const event = await socket.next()
    t.match(event, { time: 1_700_000_000, self_id: 10002, event_type: 'bot_offline', data: { reason: /switched/ } })
    t.equal(faultOfEvent(event), undefined)
    t.match(await socket.closed, { code: 1008 })
    t.strictSame((await stream.next()).data, event)
    t.equal(await stream.closed, 'end')
    t.match(await draft.closed, { code: 1008 })
    t.strictSame(draft.waiting(), [], 'the draft has no word for it')

    await say(app, 'is anybody there?')
    t.strictSame([...socket.waiting(), ...stream.waiting()], [], 'nothing comes after it')
    t.equal((await refusalOf(openEvents(t, app))).status, 401)
    t.equal((await refusalOf(readEvents(t, app))).status, 401)
    t.equal((await refusalOf(openSocket(t, `${app.ws}/?access_token=token-two`))).status, 403)
    const refused = { status: 'failed', retcode: -403, message: 'this bot is switched off' }
    t.strictSame(await app.milky('token-two', 'get_login_info'), { http: 200, ...refused })
    t.strictSame(
      await app.milky('token-two', 'no_such_api', { x: 1 }),
      { http: 200, ...refused },
      'it learns nothing about the list'
    )
    t.strictSame(await app.call('token-two', 'get_login_info'), { http: 403, ...refused }, 'in the draft too')
    t.equal(other.socket.readyState, WebSocket.OPEN, 'nobody else is sent away')
    await app.lactea.app.close()
  }
})

t.test('a token of the database is told the same as one of the configuration', async (t) => {
  const app = await startApp(t, { config: { bots: [world.bots[0], { id: 10002, nickname: 'Two' }] } })
  const { accounts } = app.lactea.gateway
  await accounts.setToken(10002, 'of-the-database')
  const socket = await openEvents(t, app, 'of-the-database')
  await accounts.remove(10002)
  t.match(await socket.next(), { event_type: 'bot_offline' })
  t.match(await app.milky('of-the-database', 'get_login_info'), { http: 200, retcode: -403 })
})

import { once } from 'node:events'
import { request as openRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text as readAll } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { startApp, text, type Running } from '../helpers/app.ts'
import { openStream } from '../helpers/event-stream.ts'
import { apis, faultOfEvent } from '../helpers/milky-judge.ts'
import { openSocket } from '../helpers/socket.ts'

/** What a new server must do so that today's frameworks work with it (contract 3.3), point by point. */

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: any
}

const AUTHORIZED = { authorization: 'Bearer token-one' }
const JSON_TYPE = { 'content-type': 'application/json' }
const GOOD = { ...AUTHORIZED, ...JSON_TYPE }

/** A request with exactly these headers: `fetch` adds some of its own. */
async function send(
  app: Running,
  path: string,
  { method = 'POST', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: string } = {}
): Promise<Answer> {
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const call = openRequest(app.url + path, { method, headers: { ...length, ...headers }, agent: false })
  call.end(body)
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  const read = await readAll(response)
  const parsed: unknown = read === '' ? undefined : JSON.parse(read)
  return { status: response.statusCode ?? 0, headers: response.headers, body: parsed }
}

const call = (app: Running, api: string, body = '{}', headers: Record<string, string> = GOOD): Promise<Answer> =>
  send(app, `/api/${api}`, { headers, body })

const say = (app: Running, words: string) =>
  app.milky('token-one', 'send_group_message', { group_id: 100001, message: text(words) })

/** The status with which a handshake is refused; 101 when it is not. */
async function knock(t: Test, url: string, headers: Record<string, string> = {}): Promise<number> {
  const socket = new WebSocket(url, { headers })
  socket.on('error', () => {})
  t.teardown(() => socket.terminate())
  return new Promise((resolve) => {
    socket.once('open', () => resolve(101))
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
  })
}

/** Everything that comes back for these bytes, until it fits. */
async function exchange(t: Test, app: Running, bytes: string, until: RegExp): Promise<string> {
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.setEncoding('utf8')
  socket.write(bytes)
  let received = ''
  for await (const chunk of socket) {
    received += chunk
    if (until.test(received)) break
  }
  return received
}

t.test('1. /event answers WebSocket and SSE, with the token in the header or the query', async (t) => {
  const app = await startApp(t)
  for (const [query, headers, isGood] of [
    ['?access_token=token-two', {}, true],
    ['', { authorization: 'Bearer token-two' }, true],
    ['?access_token=nope', {}, false],
    ['', { authorization: 'Bearer nope' }, false],
    ['', {}, false]
  ] as const) {
    const label = JSON.stringify([query, headers])
    t.equal(await knock(t, `${app.ws}/event${query}`, { ...headers }), isGood ? 101 : 401, label)
    const stream = openStream(t, `${app.url}/event${query}`, { ...headers })
    if (isGood) await t.resolves(stream, label)
    else await t.rejects(stream, { message: 'refused with 401' }, label)
  }
})

t.test('2. only bare events as text frames; inbound frames are ignored; SSE has its headers', async (t) => {
  const app = await startApp(t)
  const socket = await openSocket(t, `${app.ws}/event?access_token=token-two`)
  const isBinary = new Promise((resolve) => socket.socket.once('message', (_data, binary) => resolve(binary)))
  socket.send({ op: 1, d: 0 })
  await say(app, 'hello')
  const event = await socket.next()
  t.equal(faultOfEvent(event), undefined)
  t.strictSame(Object.keys(event), ['time', 'self_id', 'event_type', 'data'])
  t.equal(await isBinary, false)
  t.strictSame(socket.waiting(), [])
  const stream = await openStream(t, `${app.url}/event?access_token=token-two`)
  t.match(stream.headers, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no'
  })
  await say(app, 'again')
  t.match(await stream.next(), { event: 'milky_event', data: { event_type: 'message_receive' } })
})

t.test('3. every answer is the JSON envelope, with application/json; charset=utf-8', async (t) => {
  const app = await startApp(t, { config: { limits: { http_body: 1000, http_rate: 30 } } })
  const rows: [status: number, retcode: number, answer: Promise<Answer>][] = [
    [200, 0, call(app, 'get_login_info')],
    [200, -404, call(app, 'get_friend_info', '{"user_id":10099}')],
    [200, -400, call(app, 'get_friend_info', '{')],
    [401, -401, call(app, 'get_login_info', '{}', JSON_TYPE)],
    [401, -401, call(app, 'get_login_info', '{}', { ...JSON_TYPE, authorization: 'Bearer nope' })],
    [404, -404, call(app, 'no_such_api')],
    [413, -413, call(app, 'get_login_info', '{}'.padEnd(1001))],
    [415, -415, call(app, 'get_login_info', '{}', AUTHORIZED)],
    [401, -401, send(app, '/event', { method: 'GET' })],
    [400, -400, send(app, '/api/%zz', { headers: GOOD, body: '{}' })],
    [404, -404, send(app, '/nothing/here', { method: 'GET' })]
  ]
  for (const [status, retcode, answer] of rows) {
    const { status: got, headers, body } = await answer
    t.strictSame([got, headers['content-type'], body.retcode], [status, 'application/json; charset=utf-8', retcode])
    t.strictSame(Object.keys(body), ['status', 'retcode', retcode === 0 ? 'data' : 'message'])
    if (retcode !== 0) t.match(body.message, /\S/)
  }
})

t.test('3. what is wrong is told in the order 401, 404, 415, parameters', async (t) => {
  const app = await startApp(t)
  const wrong = { authorization: 'Bearer nope' }
  t.equal((await call(app, 'no_such_api', '{', wrong)).status, 401)
  t.equal((await call(app, 'no_such_api', '{', AUTHORIZED)).status, 404)
  t.equal((await call(app, 'get_friend_info', '{', AUTHORIZED)).status, 415)
  t.match(await call(app, 'get_friend_info', '{'), { status: 200, body: { retcode: -400 } })
})

t.test('3. sentences help, in the language of who asks', async (t) => {
  const app = await startApp(t)
  for (const [path, words] of [
    ['get_login_info', /actions of Milky are called with POST$/],
    ['no_such_api', /no_such_api$/]
  ] as const)
    t.match(await (await fetch(`${app.url}/api/${path}`)).json(), { code: 'NOT_FOUND', error: words })
  const chinese = { 'accept-language': 'zh-CN,zh;q=0.9' }
  const rows: [answer: Promise<Answer>, words: RegExp][] = [
    [call(app, 'get_login_info', '{}', JSON_TYPE), /Authorization: Bearer <access_token>/],
    [call(app, 'get_login_info', '{}', { ...JSON_TYPE, ...chinese }), /缺少访问令牌/],
    [call(app, 'recall_message'), /draft has it, at POST \/recall_message/],
    [call(app, 'no_such_api', '{}', { ...GOOD, ...chinese }), /没有接口 "no_such_api"/],
    [send(app, '/get_impl_info', { headers: GOOD, body: '{}' }), /Milky 1\.2 has it, at POST \/api\/get_impl_info/],
    [call(app, 'get_login_info', '{}', { ...AUTHORIZED, ...chinese, 'content-type': 'text/plain' }), /必须是/],
    [call(app, 'get_friend_info', '{"user_id":10099}', { ...GOOD, ...chinese }), /不存在/],
    [send(app, '/get_friend_info', { headers: { ...GOOD, ...chinese }, body: '{"user_id":10099}' }), /不存在/]
  ]
  for (const [answer, words] of rows) t.match((await answer).body.message, words)
})

t.test('4. the media type counts without case and parameters', async (t) => {
  const app = await startApp(t)
  for (const type of ['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/json;charset="UTF-8"'])
    t.equal((await call(app, 'get_login_info', '{}', { ...AUTHORIZED, 'content-type': type })).status, 200, type)
  for (const type of ['text/plain', 'application/jsonp', 'multipart/form-data; boundary=x'])
    t.equal((await call(app, 'get_login_info', '{}', { ...AUTHORIZED, 'content-type': type })).status, 415, type)
})

t.test('5. bad JSON and bad parameters are 200 with -400; an empty body is {}', async (t) => {
  const app = await startApp(t)
  for (const body of ['{', '[]', 'null', '"x"', '{"user_id":"x"}', '{}', '{"user_id":1.5}'])
    t.match(await call(app, 'get_friend_info', body), { status: 200, body: { status: 'failed', retcode: -400 } }, body)
  t.match(await call(app, 'get_login_info', ''), { status: 200, body: { status: 'ok', data: { uin: 10001 } } })
  t.match(await call(app, 'get_friend_info', ''), { status: 200, body: { retcode: -400 } })
  t.equal((await call(app, 'get_login_info', '', AUTHORIZED)).status, 415, 'its type is checked all the same')
})

t.test('6. a token in the query does not count on /api', async (t) => {
  const app = await startApp(t)
  const answer = await send(app, '/api/get_login_info?access_token=token-one', { headers: JSON_TYPE, body: '{}' })
  t.equal(answer.status, 401)
})

t.test('7. the scheme in any case, none where no token is configured, and either of two', async (t) => {
  const app = await startApp(t)
  for (const authorization of ['bearer token-one', 'BEARER token-one'])
    t.equal((await call(app, 'get_login_info', '{}', { ...JSON_TYPE, authorization })).status, 200, authorization)
  const query = `${app.ws}/event?access_token=`
  t.equal(await knock(t, `${query}nope`, AUTHORIZED), 101)
  t.equal(await knock(t, `${query}token-one`, { authorization: 'Bearer nope' }), 101)
  t.equal(await knock(t, `${query}nope`, { authorization: 'Bearer nope' }), 401)

  const open = await startApp(t, { config: { bots: [{ id: 10001, nickname: 'Only' }], provision: {} } })
  for (const authorization of ['Bearer ', 'Bearer undefined', 'nonsense']) {
    t.equal((await call(open, 'get_login_info', '{}', { ...JSON_TYPE, authorization })).status, 200, authorization)
    t.equal(await knock(t, `${open.ws}/event`, { authorization }), 101, authorization)
  }
})

t.test('8. null counts as absent, unknown fields are ignored, start_message_seq 0 is absent', async (t) => {
  const app = await startApp(t)
  await say(app, 'hello')
  t.match(await call(app, 'get_friend_list', '{"no_cache":null,"x":{"y":1}}'), { body: { status: 'ok' } })
  const params = { message_scene: 'group', peer_id: 100001, start_message_seq: 0, limit: null, filter: 'all' }
  const { data } = await app.milky('token-one', 'get_history_messages', params)
  t.equal(data.messages.length, 1)
})

t.test('9. numbers are JSON numbers, and ids are within the range of both', async (t) => {
  const app = await startApp(t)
  const { body } = await call(app, 'get_group_member_list', '{"group_id":100001}')
  for (const { user_id, group_id } of body.data.members)
    for (const id of [user_id, group_id]) t.ok(Number.isInteger(id) && id > 10_000 && id < 2 ** 31, id)
})

t.test('10. an event is told with all of its fields, also when its sender has left meanwhile', async (t) => {
  const app = await startApp(t)
  await app.milky('token-two', 'send_group_message', { group_id: 100001, message: text('goodbye') })
  await app.milky('token-two', 'quit_group', { group_id: 100001 })
  const stream = await openStream(t, `${app.url}/event?access_token=token-one`, { 'last-event-id': '0' })
  let event = (await stream.next()).data
  while (event.event_type !== 'message_receive') event = (await stream.next()).data
  t.equal(faultOfEvent(event), undefined)
  t.match(event.data.group_member, { user_id: 10002, nickname: 'Two', role: 'member' })
})

t.test('11. what an event quotes can be asked for', async (t) => {
  const app = await startApp(t)
  const socket = await openSocket(t, `${app.ws}/event?access_token=token-two`)
  const { data: first } = await say(app, 'first')
  const reply = { type: 'reply', data: { message_seq: first.message_seq } }
  const message = [reply, ...text('second')]
  await app.milky('token-one', 'send_group_message', { group_id: 100001, message })
  await socket.next()
  const { data } = await socket.next()
  t.match(data.segments[0], { type: 'reply', data: { sender_id: 10001, time: first.time, segments: text('first') } })
  const { message_scene, peer_id } = data
  const { message_seq } = data.segments[0].data
  t.equal((await app.milky('token-two', 'get_message', { message_scene, peer_id, message_seq })).status, 'ok')
})

t.test('12. the token selects the account, so that many bots share one origin', async (t) => {
  const app = await startApp(t)
  const bots = [
    { token: 'token-one', id: 10001, peer: 10002 },
    { token: 'token-two', id: 10002, peer: 10001 }
  ]
  for (const { token, id, peer } of bots) {
    t.match(await app.milky(token, 'get_login_info'), { data: { uin: id } })
    const socket = await openSocket(t, `${app.ws}/event?access_token=${token}`)
    const other = bots.find((bot) => bot.id === peer)?.token ?? ''
    await app.milky(other, 'send_private_message', { user_id: id, message: text('to you') })
    t.match(await socket.next(), { self_id: id, data: { peer_id: peer } })
  }
})

t.test('13. an offer of h2c is served as plain HTTP/1.1', async (t) => {
  const app = await startApp(t)
  const offer =
    'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n'
  const head = 'Host: localhost\r\nAuthorization: Bearer token-two\r\n'
  const post = `POST /api/get_login_info HTTP/1.1\r\n${head}Content-Type: application/json\r\n${offer}Content-Length: 2\r\n\r\n{}`
  t.match(await exchange(t, app, post, /\}\}$/), /^HTTP\/1\.1 200 OK\r\n[^]*"uin":10002/)
  const refused = post.replace('token-two', 'nope')
  t.match(await exchange(t, app, refused, /\}$/), /^HTTP\/1\.1 401 [^]*"retcode":-401/)
  const get = exchange(t, app, `GET /event HTTP/1.1\r\n${head}${offer}\r\n`, /\n\n\r\n$/)
  while (!app.lactea.gateway.devices.has(10002)) await app.milky('token-one', 'get_login_info')
  await say(app, 'hello')
  t.match(await get, /^HTTP\/1\.1 200 OK\r\n[^]*text\/event-stream[^]*event: milky_event\n/)
})

t.test('15. nothing of Milky 1.3 is sent', async (t) => {
  const app = await startApp(t)
  t.match(await app.milky('token-one', 'get_impl_info'), { data: { milky_version: '1.2' } })
  t.equal(apis.size, 64)
  for (const api of apis.keys()) t.not((await call(app, api, '{')).status, 404, api)
})

t.test('16. at shutdown no new ones are let in, then sockets are closed with 1001', async (t) => {
  const app = await startApp(t)
  const draft = await openSocket(t, `${app.ws}/?access_token=token-one`)
  const socket = await openSocket(t, `${app.ws}/event?access_token=token-two`)
  // A call that is under way holds the shutdown where we want to look at it.
  const release = app.lactea.gateway.store.holdWrites()
  draft.send({ action: 'set_group_name', params: { group_id: 100001, name: 'Late' }, echo: 'slow' })
  draft.send({ action: 'get_login_info', echo: 'quick' })
  t.match(await draft.next(), { data: { echo: 'quick' } })
  const late = connect(Number(new URL(app.url).port), '127.0.0.1')
  t.teardown(() => late.destroy())
  await once(late, 'connect')
  const closing = app.lactea.app.close()
  late.write(
    'GET /event?access_token=token-two HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
  )
  t.match(String((await once(late, 'data'))[0]), /^HTTP\/1\.1 503 /)
  release()
  t.match(await socket.closed, { code: 1001 })
  await closing
})

t.test('pages of other origins may call with a token', async (t) => {
  const app = await startApp(t)
  const origin = 'https://page.example'
  const ask = {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type'
  }
  for (const [path, method] of [
    ['/api/get_login_info', 'POST'],
    ['/api/set_typing', 'POST'],
    ['/event', 'GET']
  ] as const) {
    const { status, headers } = await send(app, path, { method: 'OPTIONS', headers: ask })
    t.equal(status, 204, path)
    t.match(headers, {
      'access-control-allow-origin': origin,
      'access-control-allow-methods': method,
      'access-control-allow-headers': 'authorization, content-type, last-event-id, idempotency-key',
      vary: 'Origin'
    })
  }
  for (const headers of [GOOD, JSON_TYPE, AUTHORIZED]) {
    const answer = await call(app, 'get_login_info', '{}', { ...headers, origin })
    t.equal(answer.headers['access-control-allow-origin'], origin, `also of a ${answer.status}`)
  }
  const stream = await openStream(t, `${app.url}/event?access_token=token-two`, { origin })
  t.equal(stream.headers['access-control-allow-origin'], origin)
  t.equal((await call(app, 'get_login_info')).headers['access-control-allow-origin'], undefined, 'programs need none')
})

t.test("pages of other origins get nothing from the draft's door and the people's", async (t) => {
  const app = await startApp(t)
  const headers = { origin: 'https://page.example', 'access-control-request-method': 'POST' }
  for (const path of [
    '/get_login_info',
    '/api/chats',
    '/api/auth/login',
    '/api/users/me',
    '/api/no_such_api',
    '/api/'
  ]) {
    const answer = await send(app, path, { method: 'OPTIONS', headers })
    t.equal(answer.status, 404, path)
    t.equal(answer.headers['access-control-allow-origin'], undefined, path)
  }
  t.match((await send(app, '/api/chats', { method: 'OPTIONS', headers })).body, { success: false, code: 'NOT_FOUND' })
  const token = await app.signIn('alice', 'alice-secret')
  const mine = await send(app, '/api/chats', {
    method: 'GET',
    headers: { ...headers, authorization: `Bearer ${token}` }
  })
  t.equal(mine.status, 200)
  t.equal(mine.headers['access-control-allow-origin'], undefined)
})

t.test('pages of other origins get nothing from a bot without a token', async (t) => {
  const config = {
    bots: [{ id: 10001, nickname: 'Only' }],
    provision: {},
    server: { allowed_origins: ['https://friend.example'] }
  }
  const app = await startApp(t, { config })
  const ask = { 'access-control-request-method': 'POST' }
  for (const [origin, isWelcome] of [
    ['https://evil.example', false],
    ['null', false],
    ['https://friend.example', true],
    [app.url, true]
  ] as const) {
    const allowed = isWelcome ? origin : undefined
    for (const path of ['/api/get_login_info', '/event']) {
      const answer = await send(app, path, { method: 'OPTIONS', headers: { ...ask, origin } })
      t.equal(answer.status, isWelcome ? 204 : 401, `${origin} asks about ${path}`)
      t.equal(answer.headers['access-control-allow-origin'], allowed)
    }
    for (const headers of [JSON_TYPE, GOOD, { 'content-type': 'text/plain' }]) {
      const answer = await call(app, 'get_login_info', '{}', { ...headers, origin })
      const type = headers['content-type']
      t.equal(answer.status, isWelcome ? (type === 'text/plain' ? 415 : 200) : 401, `${origin} calls with ${type}`)
      t.equal(answer.headers['access-control-allow-origin'], allowed)
    }
  }
  const evil = { host: 'evil.example', origin: 'http://evil.example' }
  t.equal((await call(app, 'get_login_info', '{}', { ...JSON_TYPE, ...evil })).status, 401, 'a name that points here')
  t.equal((await send(app, '/event', { method: 'OPTIONS', headers: { ...ask, ...evil } })).status, 401)
})

t.test('a POST to one segment below /api is for Milky, everything else there for people', async (t) => {
  const app = await startApp(t)
  t.match((await send(app, '/api/nothing', { headers: JSON_TYPE, body: '{}' })).body, { retcode: -401 })
  const elsewhere: [method: string, path: string][] = [
    ['GET', '/api/get_login_info'],
    ['PUT', '/api/get_login_info'],
    ['POST', '/api/no/such'],
    ['POST', '/api/get_login_info/x'],
    ['GET', '/api/nothing']
  ]
  for (const [method, path] of elsewhere)
    t.match(await send(app, path, { method, headers: AUTHORIZED }), { status: 404, body: { code: 'NOT_FOUND' } }, path)
  const person = await send(app, '/api/chats', { headers: JSON_TYPE, body: '{}' })
  t.match(person, { status: 401, body: { success: false } }, 'what people have stays theirs')
})

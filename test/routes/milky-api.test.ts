import { once } from 'node:events'
import { Agent, request as openRequest, type IncomingMessage } from 'node:http'
import { text as readAll } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { startApp, text, type Running } from '../helpers/app.ts'

interface Answer {
  readonly status: number
  readonly type: string | undefined
  readonly retryAfter: string | undefined
  readonly body: any
}

interface Post {
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
  /** Of a connection that is used again. */
  readonly agent?: Agent
}

const AUTHORIZED = { authorization: 'Bearer token-one' }
const JSON_TYPE = { 'content-type': 'application/json' }

/** A request with exactly these headers: `fetch` adds some of its own. */
async function post(
  app: Running,
  { path = '/get_login_info', headers = {}, body = '{}', agent }: Post = {}
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const length = { 'content-length': String(Buffer.byteLength(body)) }
  const request = openRequest(
    app.url + path,
    { method: 'POST', headers: { ...length, ...headers }, agent },
    (response) => {
      void readAll(response).then((read) => {
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers['content-type'],
          retryAfter: response.headers['retry-after'],
          body: JSON.parse(read)
        })
      }, reject)
    }
  )
  request.on('error', reject)
  request.end(body)
  return promise
}

/** What every answer has, whatever its status (contract 1.1). */
function isRefusal(t: Test, answer: Answer, status: number, label: string): void {
  t.equal(answer.status, status, label)
  t.equal(answer.type, 'application/json; charset=utf-8', label)
  t.strictSame(Object.keys(answer.body), ['status', 'retcode', 'message'], label)
  t.match(answer.body, { status: 'failed', retcode: -status, message: /./ }, label)
}

t.test('what is wrong is told in the order 401, 403, 404, 406, 400', async (t) => {
  const app = await startApp(t)
  const tokens = [
    { name: 'no token', headers: {}, status: 401 },
    { name: 'wrong token', headers: { authorization: 'Bearer nope' }, status: 403 },
    { name: 'right token', headers: AUTHORIZED, status: undefined }
  ]
  const apis = [
    { name: 'unknown API', path: '/no_such_api', status: 404 },
    { name: 'known API', path: '/get_friend_info', status: undefined }
  ]
  const types = [
    { name: 'text/plain', headers: { 'content-type': 'text/plain' }, status: 406 },
    { name: 'no type', headers: {}, status: 406 },
    { name: 'JSON type', headers: JSON_TYPE, status: undefined }
  ]
  const bodies = [
    { name: 'broken body', body: '{', status: 400 },
    { name: 'wrong parameters', body: '{"user_id":"x"}', status: 400 },
    { name: 'good body', body: '{"user_id":10002}', status: undefined }
  ]
  for (const token of tokens) {
    for (const api of apis) {
      for (const type of types) {
        for (const { name, body, status } of bodies) {
          const label = [token.name, api.name, type.name, name].join(', ')
          const answer = await post(app, { path: api.path, headers: { ...token.headers, ...type.headers }, body })
          const expected = token.status ?? api.status ?? type.status ?? status
          if (expected !== undefined) {
            isRefusal(t, answer, expected, label)
            continue
          }
          t.match(answer, { status: 200, type: 'application/json; charset=utf-8', body: { status: 'ok', retcode: 0 } })
        }
      }
    }
  }
})

t.test('the token', async (t) => {
  const app = await startApp(t)
  const rows: [authorization: string, result: number | string][] = [
    ['Bearer token-one', 'One'],
    ['Bearer token-two', 'Two'],
    ['bearer token-one', 'One'],
    ['BEARER   token-one', 'One'],
    ['Bearer', 401],
    ['Bearer ', 401],
    ['token-one', 401],
    ['Basic dG9rZW4tb25lOg==', 401],
    ['Bearer token-one2', 403],
    ['Bearer token-on', 403],
    ['Bearer TOKEN-ONE', 403],
    ['Bearer "token-one"', 403]
  ]
  for (const [authorization, result] of rows) {
    const answer = await post(app, { headers: { ...JSON_TYPE, authorization } })
    if (typeof result === 'number') isRefusal(t, answer, result, authorization)
    else t.equal(answer.body.data.nickname, result, authorization)
  }
  const inQuery = await post(app, { path: '/get_login_info?access_token=token-one', headers: JSON_TYPE })
  isRefusal(t, inQuery, 401, 'a token in the query does not count over HTTP')
})

t.test('a bot without a token: any Authorization is ignored', async (t) => {
  const app = await startApp(t, { config: { bots: [{ id: 10001, nickname: 'Only' }], provision: {} } })
  for (const headers of [{}, { authorization: 'Bearer ' }, { authorization: 'Bearer undefined' }]) {
    const answer = await post(app, { headers: { ...JSON_TYPE, ...headers } })
    t.match(answer.body, { status: 'ok', data: { uin: 10001 } })
  }
})

t.test('a bot without a token speaks only for who addresses this machine', async (t) => {
  const app = await startApp(t, { config: { bots: [{ id: 10001, nickname: 'Only' }], provision: {} } })
  const statusFor = async (host: string): Promise<number | undefined> => {
    const call = openRequest(`${app.url}/get_login_info`, { method: 'POST', headers: { ...JSON_TYPE, host } })
    call.end('{}')
    const [response] = (await once(call, 'response')) as [IncomingMessage]
    response.resume()
    return response.statusCode
  }
  for (const host of ['127.0.0.1', 'localhost:1', '[::1]']) t.equal(await statusFor(host), 200, host)
  for (const host of ['evil.example', '127.0.0.1.evil.example', '10.0.0.1']) t.equal(await statusFor(host), 403, host)
})

t.test('the Content-Type', async (t) => {
  const app = await startApp(t)
  const rows: [type: string, status: number][] = [
    ['application/json', 200],
    ['Application/JSON', 200],
    ['application/json; charset=utf-8', 200],
    ['application/json;charset=UTF-8', 200],
    ['application/json ; charset="utf-8"', 200],
    ['application/json;', 200],
    [' application/json', 200],
    ['\tapplication/json', 200],
    ['application/json\ta', 406],
    ['application/json a', 406],
    ['application/jsonp', 406],
    ['application/json, text/plain', 406],
    ['application/vnd.api+json', 406],
    ['text/json', 406],
    ['text/plain; application/json', 406],
    ['multipart/form-data; boundary=x', 406],
    ['application/x-www-form-urlencoded', 406],
    ['json', 406],
    ['', 406]
  ]
  for (const [type, status] of rows) {
    const answer = await post(app, { headers: { ...AUTHORIZED, 'content-type': type } })
    if (status === 200) t.equal(answer.body.status, 'ok', JSON.stringify(type))
    else isRefusal(t, answer, status, JSON.stringify(type))
    const wrong = await post(app, {
      path: '/get_friend_info',
      headers: { ...AUTHORIZED, 'content-type': type },
      body: '{"user_id":"x"}'
    })
    t.equal(wrong.status, status === 200 ? 400 : status, `${JSON.stringify(type)} does not get around the schema`)
  }
})

t.test('bodies that are refused with 400', async (t) => {
  const app = await startApp(t)
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`
  const rows: [label: string, body: string | Buffer][] = [
    ['broken JSON', '{"user_id":}'],
    ['JSON that ends too early', '{"user_id":10002'],
    ['something after the JSON', '{"user_id":10002}{}'],
    ['a comment', '{"user_id":10002 /* Two */}'],
    ['a byte order mark', '\ufeff{"user_id":10002}'],
    ['only white space', ' \n'],
    ['invalid UTF-8', Buffer.concat([Buffer.from('{"user_id":10002,"x":"'), Buffer.from([0xff]), Buffer.from('"}')])],
    ['UTF-8 that breaks off', Buffer.concat([Buffer.from('{"user_id":10002,"x":"'), Buffer.from([0xe4, 0xbd])])],
    ['UTF-16', Buffer.from('{"user_id":10002}', 'utf16le')],
    ['half of a surrogate pair', '{"user_id":10002,"x":"\\ud83d"}'],
    ['half of a surrogate pair in a key', '{"user_id":10002,"\\uDE00":1}'],
    ['null', 'null'],
    ['an array', '[{"user_id":10002}]'],
    ['a string', '"user_id"'],
    ['a number', '10002'],
    ['depth 10 000 where an id belongs', `{"user_id":${deep}}`],
    ['a parameter that is missing', '{}'],
    ['a required parameter that is null', '{"user_id":null}'],
    ['an id as a string', '{"user_id":"10002"}'],
    ['an id as an array', '{"user_id":[10002]}'],
    ['an id as a boolean', '{"user_id":true}'],
    ['a fraction', '{"user_id":10002.5}'],
    ['a negative id', '{"user_id":-10002}'],
    ['zero', '{"user_id":0}'],
    ['1e400', '{"user_id":1e400}'],
    ['2^53', '{"user_id":9007199254740992}'],
    ['2^53 + 1', '{"user_id":9007199254740993}'],
    ['2^63', '{"user_id":9223372036854775808}'],
    ['the parameter in __proto__', '{"__proto__":{"user_id":10002}}'],
    ['the last of two equal keys is wrong', '{"user_id":10002,"user_id":"x"}'],
    ['the last of two equal keys is right', '{"user_id":"x","user_id":10002}'],
    ['two equal keys, one of them escaped', '{"user_id":10002,"x":{"a":1,"\\u0061":1}}'],
    ['__proto__', '{"user_id":10002,"x":[{"__proto__":{"polluted":1}}]}'],
    ['depth 10 000 where nobody looks', `{"user_id":10002,"x":${deep}}`],
    ['an optional parameter of the wrong type', '{"user_id":10002,"no_cache":"yes"}']
  ]
  for (const [label, body] of rows) {
    const answer = await post(app, { path: '/get_friend_info', headers: { ...AUTHORIZED, ...JSON_TYPE }, body })
    isRefusal(t, answer, 400, label)
  }
})

t.test('bodies that are taken', async (t) => {
  const app = await startApp(t)
  const deep = `${'['.repeat(900)}${']'.repeat(900)}`
  const rows: [label: string, body: string][] = [
    ['unknown parameters', '{"user_id":10002,"x":1,"y":{"z":[]}}'],
    ['constructor', '{"user_id":10002,"constructor":{"prototype":{"polluted":1}}}'],
    ['depth 900 where nobody looks', `{"user_id":10002,"x":${deep}}`],
    ['what looks like two equal keys', '{"user_id":10002,"x":"\\"user_id\\":","y":{"user_id" : ":","x":["x","x"]}}'],
    ['1e400 where nobody looks', '{"user_id":10002,"x":1e400}'],
    ['a number with an exponent that is an integer', '{"user_id":1.0002e4}'],
    ['white space around', ' \r\n{"user_id" : 10002}\n'],
    ['a whole surrogate pair', '{"user_id":10002,"x":"\\ud83d\\ude00"}'],
    ['null for an optional parameter', '{"user_id":10002,"no_cache":null}']
  ]
  for (const [label, body] of rows) {
    const answer = await post(app, { path: '/get_friend_info', headers: { ...AUTHORIZED, ...JSON_TYPE }, body })
    t.match(answer, { status: 200, body: { status: 'ok', retcode: 0, data: { user_id: 10002 } } }, label)
  }
  t.equal(({} as { polluted?: number }).polluted, undefined)
  const empty = await post(app, { headers: { ...AUTHORIZED, ...JSON_TYPE }, body: '' })
  t.match(empty.body, { status: 'ok', data: { uin: 10001 } }, 'no body is no parameters')
  const missing = await post(app, { path: '/get_friend_info', headers: { ...AUTHORIZED, ...JSON_TYPE }, body: '' })
  isRefusal(t, missing, 400, 'no body where a parameter is needed')
  const untyped = await post(app, { headers: AUTHORIZED, body: '' })
  isRefusal(t, untyped, 406, 'no body and no Content-Type')
})

t.test('a body over the limit is 413, and told only to whom may know', async (t) => {
  const app = await startApp(t, { config: { limits: { http_body: 1000 } } })
  const body = (size: number): string => '{"x":1}'.padEnd(size)
  const headers = { ...AUTHORIZED, ...JSON_TYPE }
  t.equal((await post(app, { headers, body: body(1000) })).body.status, 'ok')
  const tooLarge = await post(app, { headers, body: body(1001) })
  isRefusal(t, tooLarge, 413, 'one byte too many')
  t.match(tooLarge.body.message, /1000/)
  isRefusal(t, await post(app, { headers: JSON_TYPE, body: body(1001) }), 401, 'without a token')
  isRefusal(
    t,
    await post(app, { headers: { ...headers, 'content-type': 'a/b' }, body: body(1001) }),
    406,
    'another type'
  )
  const chunked = await fetch(`${app.url}/get_login_info`, {
    method: 'POST',
    headers,
    body: new Blob([body(600), body(600)]).stream(),
    duplex: 'half'
  })
  t.equal(chunked.status, 413, 'also when the length is not known in advance')
  t.match(await chunked.json(), { status: 'failed', retcode: -413 })
})

t.test('too many requests are 429 with Retry-After, for this bot only', async (t) => {
  const app = await startApp(t, { config: { limits: { http_rate: 3 } } })
  const headers = { ...AUTHORIZED, ...JSON_TYPE }
  for (let count = 0; count < 3; count++) t.equal((await post(app, { headers })).status, 200)
  const refused = await post(app, { headers })
  isRefusal(t, refused, 429, 'the fourth')
  t.ok(Number(refused.retryAfter) > 0 && Number(refused.retryAfter) <= 60, `Retry-After: ${refused.retryAfter}`)
  t.equal((await post(app, { headers: { ...headers, authorization: 'Bearer token-two' } })).status, 200)
})

t.test('what is no API', async (t) => {
  const app = await startApp(t)
  const headers = { ...AUTHORIZED, ...JSON_TYPE }
  const paths = ['/', '/__proto__', '/toString', '/GET_LOGIN_INFO', '/get_login_info/', '/a/b', `/${'a'.repeat(100)}`]
  for (const path of paths) isRefusal(t, await post(app, { path, headers }), 404, path.slice(0, 40))
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
    const response = await fetch(`${app.url}/get_login_info`, { method, headers: AUTHORIZED })
    t.equal(response.status, 404, method)
    t.match(await response.json(), { status: 'failed', retcode: -404 }, method)
  }
})

t.test('several bots on one address act as themselves', async (t) => {
  const app = await startApp(t)
  await app.call('token-one', 'send_group_message', { group_id: 100001, message: text('I am One') })
  await app.call('token-two', 'send_group_message', { group_id: 100001, message: text('I am Two') })
  const { data } = await app.call('token-one', 'get_history_group_message', { group_id: 100001 })
  t.strictSame(
    data.messages.map((message: { user_id: number }) => message.user_id),
    [10001, 10002]
  )
})

t.test('GET / without an upgrade names the doors', async (t) => {
  const app = await startApp(t)
  const json = await fetch(app.url)
  t.equal(json.headers.get('content-type'), 'application/json; charset=utf-8')
  t.match(await json.json(), {
    name: 'lactea',
    doors: [{ door: 'POST /api/:api' }, { door: 'GET /event' }, { door: 'POST /:api' }]
  })
  const html = await fetch(app.url, { headers: { accept: 'text/html,*/*' } })
  t.equal(html.headers.get('content-type'), 'text/html; charset=utf-8')
  t.match(await html.text(), /POST \/:api/)
})

t.test('/health and /ready', async (t) => {
  const app = await startApp(t)
  const get = async (path: string) => {
    const response = await fetch(app.url + path)
    return { status: response.status, body: await response.json() }
  }
  t.strictSame(await get('/health'), { status: 200, body: { status: 'ok' } })
  t.strictSame(await get('/ready'), { status: 200, body: { status: 'ready' } })
})

t.test('a connection that was let in is let in for the token that it shows, and as long as that is good', async (t) => {
  const bots = [
    { id: 10001, access_token: 'token-one' },
    { id: 10002, nickname: 'Two' }
  ]
  const app = await startApp(t, { config: { bots } })
  const { accounts, store } = app.lactea.gateway
  await accounts.setToken(10002, 'old')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const ask = (token: string): Promise<Answer> =>
    post(app, { headers: { authorization: `Bearer ${token}`, ...JSON_TYPE }, agent })

  for (const token of ['old', 'old', 'token-one', 'old'])
    t.match((await ask(token)).body, { data: { uin: token === 'old' ? 10002 : 10001 } })
  isRefusal(t, await ask('olD'), 403, 'another token on the same connection')
  await accounts.setToken(10002, 'new')
  isRefusal(t, await ask('old'), 403, 'the token that was replaced')
  t.match((await ask('new')).body, { data: { uin: 10002 } })
  await store.disableAccount(10002, 1)
  isRefusal(t, await ask('new'), 403, 'the bot that was switched off')
  const sockets = Object.values(agent.freeSockets).flat()
  t.equal(sockets.length, 1, 'all on one connection')
})

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { startApp, text, world, type Running } from '../helpers/app.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'
import { socketSuite, withSecondBot } from '../helpers/socket-suite.ts'

const attachSecond = (t: Test, app: Running): Promise<TestSocket> => openSocket(t, `${app.ws}/?access_token=token-two`)

t.test('a bot that dials in', async (t) => {
  socketSuite(t, async (t, { bot = {}, limits = {} } = {}) => {
    const app = await startApp(t, { config: { bots: withSecondBot(bot), limits } })
    return { app, bot: await attachSecond(t, app) }
  })
})

t.test('the handshake', async (t) => {
  const app = await startApp(t)
  const good = { authorization: 'Bearer token-one' }
  const rows: [label: string, path: string, headers: Record<string, string>, status: number][] = [
    ['no token', '/', {}, 401],
    ['an empty token', '/?access_token=', {}, 401],
    ['another parameter', '/?token=token-one', {}, 401],
    ['two tokens in the query', '/?access_token=token-one&access_token=token-two', {}, 401],
    ['an Authorization that is no bearer token', '/', { authorization: 'Basic dG9rZW4tb25l' }, 401],
    ['a wrong token', '/?access_token=nope', {}, 403],
    ['a wrong token in the header', '/', { authorization: 'Bearer nope' }, 403],
    ['a token in another case', '/?access_token=TOKEN-ONE', {}, 403],
    ['no such path', '/nothing', good, 404],
    ['a path without a WebSocket', '/health', good, 404],
    ['an API name', '/get_login_info', good, 404]
  ]
  for (const [label, path, headers, status] of rows) {
    await t.rejects(
      openSocket(t, app.ws + path, { headers }),
      { message: `refused with ${status}` },
      `${label} is refused with ${status}`
    )
  }
  t.equal(app.lactea.gateway.hub.size(), 0, 'nobody of them was let in')

  const welcome: [label: string, path: string, headers: Record<string, string>, id: number][] = [
    ['the token in the query', '/?access_token=token-two', {}, 10002],
    ['the token in the header', '/', { authorization: 'bearer token-two' }, 10002],
    ['a wrong token in the query beside the right one in the header', '/?access_token=nope', good, 10001]
  ]
  for (const [label, path, headers, id] of welcome) {
    const bot = await openSocket(t, app.ws + path, { headers })
    bot.send({ action: 'get_login_info' })
    t.match(await bot.next(), { self_id: id, data: { data: { uin: id } } }, label)
  }
})

t.test('a token with a plus is known, escaped or not', async (t) => {
  const [first, second] = world.bots
  const app = await startApp(t, { config: { bots: [{ ...first, access_token: 'a+b/c=' }, second] } })
  for (const token of ['a+b/c=', encodeURIComponent('a+b/c=')]) {
    const bot = await openSocket(t, `${app.ws}/?access_token=${token}`)
    bot.send({ action: 'get_login_info' })
    t.match(await bot.next(), { self_id: 10001 })
  }
})

t.test('too many handshakes are refused with 429', async (t) => {
  const app = await startApp(t, { config: { limits: { upgrade_rate: 1 } } })
  const knock = async (token: string): Promise<IncomingMessage> => {
    const socket = new WebSocket(`${app.ws}/?access_token=${token}`)
    socket.on('error', () => {})
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
    response.resume()
    return response
  }
  t.equal((await knock('guess-one')).statusCode, 403)
  const response = await knock('guess-two')
  t.equal(response.statusCode, 429)
  t.match(response.headers['retry-after'], /^\d+$/)
  for (let index = 0; index < 3; index++) await attachSecond(t, app)
  t.pass('who has a token comes in all the same')
})

t.test('a bot without a token on loopback', async (t) => {
  const config = {
    bots: [{ id: 10001, nickname: 'Only' }],
    provision: {},
    server: { allowed_origins: ['https://friend.example'] }
  }
  const app = await startApp(t, { config })
  const { host } = new URL(app.url)
  const rows: [origin: string | undefined, isWelcome: boolean][] = [
    [undefined, true],
    [app.url, true],
    ['https://friend.example', true],
    ['https://evil.example', false],
    [`https://${host}.evil.example`, false],
    ['http://127.0.0.1:1', false],
    ['null', false]
  ]
  for (const [origin, isWelcome] of rows) {
    const handshake = openSocket(t, app.ws, { headers: origin === undefined ? {} : { origin } })
    if (isWelcome) await t.resolves(handshake, `the origin ${origin} is let in`)
    else await t.rejects(handshake, { message: 'refused with 403' }, `the origin ${origin} is refused`)
  }
  const withToken = openSocket(t, `${app.ws}/?access_token=anything`, { headers: { origin: 'https://evil.example' } })
  await t.rejects(withToken, { message: 'refused with 403' }, 'a token that nobody asked for opens nothing')
  const evil = { host: 'evil.example', origin: 'http://evil.example' }
  const rebound = openSocket(t, app.ws, { headers: evil })
  await t.rejects(rebound, { message: 'refused with 403' }, 'nor does a name that was pointed at this machine')
})

t.test('several sockets of one bot: each hears the events, only the one that asked gets the answer', async (t) => {
  const app = await startApp(t)
  const sockets = [await attachSecond(t, app), await attachSecond(t, app), await attachSecond(t, app)]
  const [first, ...others] = sockets as [TestSocket, ...TestSocket[]]
  first.send({ action: 'get_login_info', echo: 'mine' })
  t.match(await first.next(), { data: { echo: 'mine' } })
  await app.call('token-one', 'send_group_message', { group_id: 100001, message: text('to all') })
  for (const socket of [first, ...others]) {
    t.match(await socket.next(), { post_type: 'event', data: { data: { message_id: 'Group:100001:1' } } })
    t.strictSame(socket.waiting(), [])
  }
  first.socket.close()
  await first.closed
  await app.call('token-one', 'send_group_message', { group_id: 100001, message: text('to who is left') })
  for (const socket of others) t.match(await socket.next(), { data: { data: { message_id: 'Group:100001:2' } } })
})

t.test('a bot that does not read is closed as slow while others go on', async (t) => {
  const app = await startApp(t, { config: { limits: { connection_buffer: 262_144 } }, logLevel: 'warn' })
  const stalled = await attachSecond(t, app)
  const healthy = await attachSecond(t, app)
  const sender = await openSocket(t, `${app.ws}/?access_token=token-one`)
  stalled.socket.pause()
  let isSlow = false
  void app.logged('reads too slowly').then(() => (isSlow = true))

  const message = text('😀'.repeat(16_000))
  let sent = 0
  while (!isSlow) {
    sender.send({ action: 'send_group_message', params: { group_id: 100001, message } })
    const answer = await sender.next()
    if (answer.data.status !== 'ok') throw new Error(answer.data.message)
    sent++
    await healthy.next()
    if (sent > 2000) throw new Error('the stalled reader was never cut off')
  }
  stalled.socket.resume()
  t.strictSame(await stalled.closed, { code: 1013, reason: 'slow consumer' })
  t.ok(stalled.waiting().length < sent, 'it was cut off before the end')
  healthy.send({ action: 'get_login_info', echo: 'alive' })
  t.match(await healthy.next(), { data: { echo: 'alive' } })
})

t.test('a bot whose token is replaced, or who is switched off, has to leave', async (t) => {
  const app = await startApp(t, { config: { bots: [world.bots[0], { id: 10002, nickname: 'Two' }] } })
  const { accounts, store } = app.lactea.gateway
  await accounts.setToken(10002, 'old')
  const foreign = await openSecondStore(t, app)
  const bot = await openSocket(t, `${app.ws}/?access_token=old`)
  const other = await openSocket(t, `${app.ws}/?access_token=token-one`)
  const { digestToken } = await import('../../src/secrets.ts')
  await foreign.replaceToken(10002, digestToken('new'), 1)
  t.match(await bot.closed, { code: 1008 })
  await t.rejects(openSocket(t, `${app.ws}/?access_token=old`), { message: 'refused with 403' })
  t.equal(other.socket.readyState, WebSocket.OPEN)
  await foreign.disableAccount(10001, 1)
  t.match(await other.closed, { code: 1008 }, 'although the configuration still has its token')
  t.ok(await store.findAccount(10002))
})

async function openSecondStore(t: Test, app: Running) {
  const { openSqliteStore } = await import('../../src/store/index.ts')
  const store = await openSqliteStore({ path: `${app.dir}/data/lactea.db`, isShort: true })
  t.teardown(() => store.close())
  return store
}

t.test('leaves no listener behind when a bot goes', async (t) => {
  const app = await startApp(t)
  for (let round = 0; round < 5; round++) {
    const bot = await attachSecond(t, app)
    t.equal(app.lactea.gateway.hub.size(), 1)
    bot.socket.terminate()
    await bot.closed
    // The server has noticed when a call over HTTP, sent after it, is answered and the hub is empty.
    while (app.lactea.gateway.hub.size() > 0) await app.call('token-one', 'get_login_info')
  }
  t.equal(app.lactea.app.farewells.size, 0)
})

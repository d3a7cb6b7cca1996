import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { text as readAll } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { startApp } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { ackOf, deliver, envelope, isAck, maimKeys, openApi, payloadFor, take } from '../helpers/maim-api.ts'
import { runLactea } from '../helpers/service.ts'
import { openSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'

const config = { maim: { keys: maimKeys } }

interface Refusal {
  readonly status: number
  readonly message: string
  readonly headers: IncomingMessage['headers']
}

async function refusal(url: string, headers: Record<string, string> = {}): Promise<Refusal> {
  const socket = new WebSocket(url, { headers })
  socket.on('error', () => {})
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  const { message } = JSON.parse(await readAll(response)) as { message: string }
  return { status: response.statusCode ?? 0, message, headers: response.headers }
}

t.test('the query goes before the headers, and what is empty there falls back (contract 2.1)', async (t) => {
  const app = await startApp(t, { config })
  const rows: [label: string, path: string, headers: Record<string, string>, account: string, platform: string][] = [
    ['headers', '/ws', { 'x-apikey': 'key-one', 'x-platform': 'wx' }, '10001', 'wx'],
    ['query', '/ws?api_key=key-one&platform=wx', {}, '10001', 'wx'],
    [
      'query before headers',
      '/ws?api_key=key-one&platform=a',
      { 'x-apikey': 'key-two', 'x-platform': 'b' },
      '10001',
      'a'
    ],
    ['empty query', '/ws?api_key=&platform=', { 'x-apikey': 'key-two', 'x-platform': 'b' }, '10002', 'b'],
    ['key here, platform there', '/ws?api_key=key-two', { 'x-platform': 'b' }, '10002', 'b'],
    ['no platform', '/ws?api_key=key-one', {}, '10001', 'unknown'],
    ['an empty platform', '/ws', { 'x-apikey': 'key-one', 'x-platform': '' }, '10001', 'unknown'],
    ['a slash at the end', '/ws/?api_key=key-one&platform=wx', {}, '10001', 'wx'],
    ['the path of its own', '/maim/ws?api_key=key-one&platform=wx', {}, '10001', 'wx'],
    ['headers at the path of its own', '/maim/ws', { 'x-apikey': 'key-two' }, '10002', 'unknown'],
    ['a platform in Chinese', `/ws?api_key=key-one&platform=${encodeURIComponent('微信')}`, {}, '10001', '微信'],
    [
      'the same in a header',
      '/ws',
      { 'x-apikey': 'key-one', 'x-platform': Buffer.from('微信').toString('latin1') },
      '10001',
      '微信'
    ]
  ]
  for (const [label, path, headers, account, platform] of rows) {
    const client = await openSocket(t, app.ws + path, { headers })
    client.send(envelope(payloadFor(account === '10001' ? 'key-one' : 'key-two', platform, label)))
    t.match(await take(client), { meta: { sender_user: account, target_user: account, platform } }, label)
    client.socket.close(1000)
    await client.closed
  }
})

t.test('the x-uuid comes from the header alone; without it there is a random one', async (t) => {
  const app = await startApp(t, { config })
  const uuidOf = async (path: string, headers: Record<string, string>): Promise<string> => {
    const client = await openSocket(t, app.ws + path, { headers })
    return (await deliver(client, envelope(payloadFor('none', 'qq', 'x')))).meta.uuid
  }
  t.equal(await uuidOf('/ws?api_key=key-one&x-uuid=no', { 'x-uuid': 'yes' }), 'yes')
  const random = await uuidOf('/ws?api_key=key-one&uuid=no', {})
  t.match(random, /^\S{16,}$/)
  t.not(await uuidOf('/ws?api_key=key-one', {}), random)
  t.not(await uuidOf('/ws?api_key=key-one', { 'x-uuid': 'u'.repeat(256) }), 'u'.repeat(256))
})

t.test('who has no good key is refused in the handshake, with a sentence', async (t) => {
  const app = await startApp(t, { config })
  t.match(await refusal(`${app.ws}/ws?api_key=nope`), { status: 401, message: /not known.*maim\.keys/ })
  t.match(await refusal(`${app.ws}/ws`, { 'x-apikey': 'KEY-ONE' }), { status: 401, message: /not known/ })
  t.match(await refusal(`${app.ws}/ws`, { 'x-apikey': '', 'x-uuid': 'u' }), {
    status: 401,
    message: /no api_key.*x-apikey/
  })
  t.match(await refusal(`${app.ws}/maim/ws`), { status: 401, message: /no api_key/ })
  t.match(await refusal(`${app.ws}/maim/ws?api_key=key-one&platform=${'p'.repeat(256)}`), {
    status: 400,
    message: /platform/
  })
  t.equal((await fetch(`${app.url}/maim/ws`)).status, 426)
})

t.test('without any key in the configuration nobody comes in', async (t) => {
  const app = await startApp(t)
  t.match(await refusal(`${app.ws}/ws?api_key=`), { status: 401 })
  t.match(await refusal(`${app.ws}/maim/ws`), { status: 401 })
})

t.test('the old way to refuse is there for those who need it, and nothing is read then', async (t) => {
  const app = await startApp(t, { config: { maim: { keys: maimKeys, auth_reject: 'close1000' } } })
  const two = await openApi(t, app.ws, { key: 'key-two' })
  const socket = new WebSocket(`${app.ws}/ws?api_key=nope`)
  socket.once('open', () => socket.send(JSON.stringify(envelope(payloadFor('key-two', 'qq', 'smuggled')))))
  const frames: string[] = []
  socket.on('message', (data) => frames.push(String(data)))
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
  t.strictSame([code, String(reason), frames], [1000, 'Authentication failed: 认证失败', []])
  await deliver(two, envelope(payloadFor('none', 'qq', 'x')))
  t.strictSame(two.waiting(), [])
})

t.test('who is refused too often waits; who has a key comes in all the same', async (t) => {
  const app = await startApp(t, { config: { ...config, limits: { upgrade_rate: 2 } } })
  t.equal((await refusal(`${app.ws}/ws?api_key=a`)).status, 401)
  t.equal((await refusal(`${app.ws}/ws?api_key=b`)).status, 401)
  const third = await refusal(`${app.ws}/ws?api_key=c`)
  t.equal(third.status, 429)
  t.match(third.headers['retry-after'], /^\d+$/)
  for (let index = 0; index < 5; index++) await openApi(t, app.ws, { key: 'key-one' })
})

t.test('the same x-uuid twice: the old connection is replaced, and its end harms nobody', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const old = await openApi(t, app.ws, { key: 'key-two', uuid: 'same' })
  const stranger = await openApi(t, app.ws, { key: 'key-one', uuid: 'same' })
  one.send(envelope(payloadFor('key-two', 'qq', 'before')))
  await old.next()
  const next = await openApi(t, app.ws, { key: 'key-two', uuid: 'same' })
  t.strictSame(await old.closed, { code: 4000, reason: 'replaced' })
  t.match(await take(next), { payload: { message_segment: { data: 'before' } } })
  one.send(envelope(payloadFor('key-two', 'qq', 'after')))
  t.match(await take(next), { payload: { message_segment: { data: 'after' } } })
  await deliver(stranger, envelope(payloadFor('none', 'qq', 'x')))
  t.equal(stranger.socket.readyState, WebSocket.OPEN, 'of another account it is another one')
})

t.test('an account that is switched off is thrown out, and not let in again', async (t) => {
  const dir = makeDirectory(t)
  const app = await startApp(t, { config, dir })
  const here = await openApi(t, app.ws, { key: 'key-two' })
  const other = await openApi(t, app.ws, { key: 'key-one' })
  await app.lactea.gateway.store.disableAccount(10002, 1)
  t.match(await here.closed, { code: 1008 })
  t.match(await refusal(`${app.ws}/ws?api_key=key-two`), { status: 401, message: /switched off/ })

  const outcome = await runLactea(['bot', 'remove', '10001'], { cwd: dir })
  t.equal(outcome.code, 0, outcome.stderr)
  t.match(await other.closed, { code: 1008 }, 'by the command line too')
})

t.test('a frame of the largest size comes in, one byte more does not', async (t) => {
  const app = await startApp(t, { config: { ...config, limits: { maim_frame: '64KiB' } } })
  const exactly = (size: number): string => {
    const bare = JSON.stringify(envelope({ filler: '' }, { type: 'sys_x', msg_id: 'm' }))
    return bare.replace('"filler":""', `"filler":"${'x'.repeat(size - bare.length)}"`)
  }
  const one = await openApi(t, app.ws, { key: 'key-one' })
  one.send(exactly(65_536))
  t.match(await one.next(), { type: 'sys_ack' })
  one.send(exactly(65_537))
  t.match(await one.closed, { code: 1009 })
})

t.test('a binary frame with JSON in it is taken as text, any other ends the connection', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const frame = envelope(payloadFor('none', 'qq', '狐'))
  one.socket.send(Buffer.from(JSON.stringify(frame)))
  t.match(await one.find(isAck), { meta: { acked_msg_id: frame.msg_id } })
  one.socket.send(Buffer.from([0xff, 0xfe]))
  t.match(await one.closed, { code: 1003 })
})

t.test('a flood is read more slowly, and nothing of it is lost', async (t) => {
  const app = await startApp(t, { config: { ...config, limits: { frame_rate: 1000 } } })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const total = 2000
  const startedAt = performance.now()
  for (let index = 0; index < total; index++) one.send(envelope({}, { type: 'sys_x' }))
  for (let index = 0; index < total; index++) await one.find(isAck)
  t.ok(performance.now() - startedAt > 500)
})

t.test('compression is agreed to when it is switched on, at this door alone', async (t) => {
  const app = await startApp(t, {
    config: { maim: { keys: maimKeys, compress: true }, limits: { maim_frame: '64KiB' } }
  })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const two = await openApi(t, app.ws, { key: 'key-two' })
  t.equal(one.socket.extensions, 'permessage-deflate')
  one.send(envelope(payloadFor('key-two', 'qq', 'x'.repeat(25_000))))
  t.match(await take(two), { payload: { message_segment: { data: 'x'.repeat(25_000) } } })
  const bot = await openSocket(t, `${app.ws}/?access_token=token-one`)
  t.equal(bot.socket.extensions, '')
  one.send(envelope(payloadFor('key-two', 'qq', 'x'.repeat(10_000_000))))
  t.match(await one.closed, { code: 1009 }, 'what it becomes counts, not what it was on the way')
})

t.test('without it, compression is declined', async (t) => {
  const app = await startApp(t, { config })
  t.equal((await openApi(t, app.ws, { key: 'key-one' })).socket.extensions, '')
})

t.test('who speaks another protocol in here is told so', async (t) => {
  const app = await startApp(t, { config, logLevel: 'warn' })
  const onebot = await openApi(t, app.ws, { key: 'key-one' })
  onebot.send({ post_type: 'meta_event', self_id: 1, time: 1 })
  t.match(await onebot.closed, { code: 1008, reason: /OneBot.*Milky/ })
  const legacy = await openApi(t, app.ws, { key: 'key-one' })
  legacy.send({ message_info: { platform: 'qq' }, message_segment: { type: 'text', data: 'x' } })
  t.match(await legacy.closed, { code: 1008, reason: /MessageBase.*\/maim\/legacy\/ws/ })
  t.equal(app.lines.length, 2)
})

t.test('a shutdown finishes what is under way and closes with 1012', async (t) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const two = await openApi(t, app.ws, { key: 'key-two' })
  const sent = envelope(payloadFor('key-two', 'qq', 'x'))
  one.send(sent)
  const frame = await two.next()
  const closing = app.lactea.app.close()
  t.match(await one.find(isAck), { meta: { acked_msg_id: sent.msg_id } })
  t.strictSame(await one.closed, { code: 1012, reason: 'service restart' })
  t.strictSame(await two.closed, { code: 1012, reason: 'service restart' })
  await closing
  const next = await startApp(t, { config, dir: app.dir })
  t.strictSame(await take(await openApi(t, next.ws, { key: 'key-two' })), frame)
})

t.test('a bot counts as online as long as a brain of it is connected', async (t) => {
  const app = await startApp(t, { config })
  const { devices } = app.lactea.gateway
  await openApi(t, app.ws, { key: 'key-one' })
  t.notOk(devices.has(10001), 'an adapter is no brain')
  const brain = await openApi(t, app.ws, { key: 'key-brain' })
  t.ok(devices.has(10001))
  brain.socket.terminate()
  await waitFor(() => !devices.has(10001))
})

t.test('hostile frames harm nobody', async (t: Test) => {
  const app = await startApp(t, { config })
  const one = await openApi(t, app.ws, { key: 'key-one' })
  const deep = '['.repeat(100_000) + ']'.repeat(100_000)
  const nested = '{"type":"seglist","data":['.repeat(5000) + ']}'.repeat(5000)
  const hostile = [
    '{"__proto__":{"x":1},"msg_id":"a","type":"sys_std"}',
    `{"msg_id":"b","type":"sys_std","payload":${deep}}`,
    `{"msg_id":"c","type":"sys_std","payload":{"message_info":{"platform":"q","message_id":1,"time":1},"message_dim":{"api_key":"key-two","platform":"qq"},"message_segment":${nested}}}`,
    '{"msg_id":"d","type":"sys_std","payload":{"message_dim":{"api_key":"__proto__","platform":"constructor"}}}',
    '{"msg_id":"e","type":"custom_","payload":{"message_dim":{"api_key":"key-two","platform":"__proto__"}}}',
    '{"type":"sys_ack","meta":null}',
    '{"type":"sys_ack","meta":{"acked_msg_id":{"a":1}}}',
    '\u0000',
    JSON.stringify(ackOf({ msg_id: 'x'.repeat(1000) }))
  ]
  for (const frame of hostile) one.send(frame)
  for (const id of ['a', 'b', 'c', 'd'])
    t.match(await one.find(isAck), { meta: { acked_msg_id: id }, payload: { undeliverable: /./ } })
  t.match(await one.find(isAck), { meta: { acked_msg_id: 'e' }, payload: { queued: 1 } })
})

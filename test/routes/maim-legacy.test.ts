import { once } from 'node:events'
import t, { type Test } from 'tap'
import { startApp, text, type Running, type StartOptions } from '../helpers/app.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'

const PATH = '/maim/legacy/ws'

const maim = {
  legacy_tokens: ['token-a', 'token-b'],
  keys: [
    { api_key: 'key-one', account: 10001 },
    { api_key: 'key-two', account: 10002, chats: false }
  ]
}

type Headers = Record<string, string>

async function start(
  t: Test,
  options: StartOptions = {}
): Promise<Running & { open: (headers?: Headers) => Promise<TestSocket> }> {
  const app = await startApp(t, { logLevel: 'warn', ...options, config: { maim, ...options.config } })
  return { ...app, open: (headers = {}) => openSocket(t, app.ws + PATH, { headers }) }
}

/** Waits for the answer to a ping: who wanted to send us away has done so before it. */
async function isStillIn(client: TestSocket): Promise<boolean> {
  client.socket.ping()
  return Promise.race([once(client.socket, 'pong').then(() => true), client.closed.then(() => false)])
}

const say = (platform: unknown, words: string, more: object = {}): object => ({
  message_info: { platform, message_id: 'm1', time: 1_700_000_000, ...more },
  message_segment: { type: 'text', data: words }
})

/** What was said to a group, as a brain says it. */
const sayInGroup = (platform: string, words: string): object =>
  say(platform, words, { group_info: { platform, group_id: '100001', group_name: 'Test group' } })

const wordsIn = (frame: any): unknown => frame.message_segment.data[0]?.data ?? frame.message_segment.data

t.test(
  'a token is taken as it is; without a good one the connection is closed with 1008 before anything is read',
  async (t) => {
    const app = await start(t)
    for (const authorization of ['token-a', 'token-b', 'key-one', 'key-two'])
      t.equal(await isStillIn(await app.open({ authorization, platform: authorization })), true, authorization)
    const good = await app.open({ authorization: 'token-a', platform: 'qq' })
    for (const authorization of ['wrong', 'Bearer token-a', 'token-A', '', 'token-a ,token-b', undefined]) {
      const client = await app.open({ platform: 'qq', ...(authorization !== undefined && { authorization }) })
      client.send(say('qq', 'let me in'))
      t.strictSame(await client.closed, { code: 1008, reason: 'Invalid or missing token' }, `${authorization}`)
    }
    t.equal(await isStillIn(good), true, 'a bad token does not put anybody out')
    t.strictSame(good.waiting(), [])
    const lines = app.lines.filter((line) => line.includes('refused'))
    t.equal(lines.length, 1, 'once for each address')
    t.notMatch(app.lines.join('\n'), /token-a|key-one/)
  }
)

t.test('without tokens whoever is on this machine comes in, and nobody else', async (t) => {
  const app = await start(t, { config: { maim: { legacy_tokens: [], keys: maim.keys } } })
  t.equal(await isStillIn(await app.open()), true)
  t.equal(await isStillIn(await app.open({ authorization: 'key-one', platform: 'b' })), true)
  const rows: [label: string, headers: Headers][] = [
    ['a key that is mistyped', { authorization: 'key-won' }],
    ['addressed by another name', { host: 'gateway.example' }],
    ['a page of another site', { origin: 'https://evil.example' }]
  ]
  for (const [label, headers] of rows) t.match(await (await app.open(headers)).closed, { code: 1008 }, label)
  const bare = await start(t, { config: { maim: { legacy_tokens: [], keys: [] } } })
  t.equal(await isStillIn(await bare.open({ authorization: 'whatever' })), true, 'where none is known, any will do')
})

t.test('who is refused again and again is turned away in the handshake', async (t) => {
  const app = await start(t, { config: { limits: { upgrade_rate: 3 } } })
  for (let turn = 0; turn < 3; turn++) t.match(await (await app.open({ authorization: 'no' })).closed, { code: 1008 })
  await t.rejects(app.open({ authorization: 'no' }), /refused with 429/)
  t.equal(await isStillIn(await app.open({ authorization: 'token-a' })), true, 'whoever is known comes in')
})

t.test('at /ws who shows a platform or a raw token comes to this door', async (t) => {
  const app = await start(t)
  for (const path of ['/ws', '/ws/', `${PATH}/`]) {
    const client = await openSocket(t, app.ws + path, { headers: { platform: 'qq', authorization: 'token-a' } })
    t.equal(await isStillIn(client), true, path)
  }
  const bare = await openSocket(t, `${app.ws}/ws`, { headers: { authorization: 'token-a' } })
  t.equal(await isStillIn(bare), true)
  t.equal((await fetch(`${app.url}${PATH}`)).status, 426)
})

t.test('messages go to who bears the name in them, exactly as they were written', async (t) => {
  const app = await start(t)
  const a = await app.open({ authorization: 'token-a', platform: 'a' })
  const b = await app.open({ authorization: 'token-b', platform: 'b' })
  const nameless = await app.open({ authorization: 'token-a' })
  const frames = [
    '{"message_info" : {"platform":"b","message_id":12345678901234567890,"time":1.50},"message_segment":{"type":"odd","data":{"x":[1e3]}},"more":null}',
    '{"platform":"b","message_type_name":"x","content":{"n":0.10},"timestamp":1.0,"is_custom_message":true}',
    '{"message_info":{"platform":"b"},"message_segment":null,"raw_message":"\\ud800 \\u0000 \u202e😀"}'
  ]
  for (const frame of frames) a.send(frame)
  for (const frame of frames) t.equal(await b.nextText(), frame)
  a.socket.send(Buffer.from(frames[0] ?? ''))
  t.equal(await b.nextText(), frames[0], 'a binary frame of text counts as text')
  b.send(say('default', 'hi'))
  t.match(await nameless.next(), say('default', 'hi'))
  nameless.send(say('微信', 'hi'))
  const chinese = await app.open({ authorization: 'token-a', platform: Buffer.from('微信').toString('latin1') })
  t.match(await chinese.next(), say('微信', 'hi'))
  const digits = await app.open({ authorization: 'token-a', platform: '7' })
  a.send(say(7, 'by a number'))
  t.match(await digits.next(), say(7, 'by a number'))
})

t.test('what names nobody, or the sender, goes nowhere; nonsense is passed over; the connection stays', async (t) => {
  const app = await start(t)
  const a = await app.open({ authorization: 'token-a', platform: 'a' })
  const b = await app.open({ authorization: 'token-b', platform: 'b' })
  const nonsense = [
    '',
    '{',
    '[]',
    '5',
    'null',
    '"x"',
    '{}',
    '{"message_info":null}',
    '{"message_info":{"platform":""}}'
  ]
  for (const frame of [...nonsense, '{"message_info":{"platform":{"a":1}}}']) a.send(frame)
  a.send(say('a', 'to myself'))
  a.send({ platform: 'a', message_type_name: 'x', is_custom_message: true })
  a.send({ message_type_name: 'x', is_custom_message: true })
  a.send(say('b', 'at last'))
  t.match(await b.next(), say('b', 'at last'))
  t.strictSame(a.waiting(), [])
  t.strictSame(await app.lactea.gateway.store.readMail('legacy a', 0, 10), [])
  t.match(await app.logged('names nobody but the sender'), /could not be delivered/)
})

t.test(
  'binary frames that are no text end the connection with 1003, frames that are too large with 1009',
  async (t) => {
    const app = await start(t, { config: { limits: { maim_legacy_frame: '64KiB' } } })
    const binary = await app.open({ authorization: 'token-a' })
    binary.socket.send(Buffer.from([1, 2, 0xff]))
    t.match(await binary.closed, { code: 1003 })

    const b = await app.open({ authorization: 'token-b', platform: 'b' })
    const large = await app.open({ authorization: 'token-a' })
    const frameOf = (size: number): string => {
      const frame = '{"message_info":{"platform":"b"},"raw_message":""}'
      return frame.replace('""', `"${'x'.repeat(size - frame.length)}"`)
    }
    large.send(frameOf(65_536))
    t.equal((await b.nextText()).length, 65_536)
    large.send(frameOf(65_537))
    t.match(await large.closed, { code: 1009 })
  }
)

t.test('of one platform the newest connection counts, and the log names both', async (t) => {
  const app = await start(t)
  const a = await app.open({ authorization: 'token-a', platform: 'a' })
  const old = await app.open({ authorization: 'token-a', platform: 'qq' })
  const { port } = (old.socket as any)._socket.address() as { port: number }
  const fresh = await app.open({ authorization: 'token-b', platform: 'qq' })
  t.strictSame(await old.closed, { code: 1000, reason: '新的连接已建立' })
  a.send(say('qq', 'for the new one'))
  t.match(await fresh.next(), say('qq', 'for the new one'))
  const line = JSON.parse(await app.logged('bear the name of one platform')) as { old: string; address: string }
  t.equal(line.old, `127.0.0.1:${port}`)
  t.match(line.address, /^127\.0\.0\.1:\d+$/)
})

t.test(
  'who is away gets everything in order later, before what is new, also after a restart of the gateway',
  async (t) => {
    const app = await start(t)
    const a = await app.open({ authorization: 'token-a', platform: 'a' })
    for (let n = 0; n < 50; n++) a.send(say('b', `kept ${n}`))
    a.send({ platform: 'b', message_type_name: 'x', content: 1, is_custom_message: true })
    await kept(app, 'b', 51)
    a.socket.terminate()
    await app.lactea.app.close()

    const again = await start(t, { dir: app.dir })
    const sender = await again.open({ authorization: 'token-a', platform: 'a' })
    const b = await again.open({ authorization: 'token-b', platform: 'b' })
    for (let n = 0; n < 20; n++) sender.send(say('b', `new ${n}`))
    for (let n = 0; n < 50; n++) t.equal(wordsIn(await b.next()), `kept ${n}`)
    t.match(await b.next(), { message_type_name: 'x' })
    for (let n = 0; n < 20; n++) t.equal(wordsIn(await b.next()), `new ${n}`)
    await kept(again, 'b', 0)
  }
)

t.test('what was handed to a connection that dies before it says so is told again to the next', async (t) => {
  const app = await start(t)
  const a = await app.open({ authorization: 'token-a', platform: 'a' })
  const dead = await openSocket(t, app.ws + PATH, {
    autoPong: false,
    headers: { authorization: 'token-b', platform: 'b' }
  })
  for (let n = 0; n < 10; n++) a.send(say('b', `${n}`))
  for (let n = 0; n < 10; n++) await dead.next()
  dead.socket.terminate()
  await kept(app, 'b', 10)
  const b = await app.open({ authorization: 'token-b', platform: 'b' })
  for (let n = 0; n < 10; n++) t.equal(wordsIn(await b.next()), `${n}`)
  await kept(app, 'b', 0)
  b.socket.terminate()
  const next = await app.open({ authorization: 'token-b', platform: 'b' })
  a.send(say('b', 'only this'))
  t.equal(wordsIn(await next.next()), 'only this')
})

t.test('whoever loses its connection again and again still gets everything, in order', async (t) => {
  const app = await start(t)
  const a = await app.open({ authorization: 'token-a', platform: 'a' })
  const count = 1000
  const heard = new Set<number>()
  /** Takes some, and goes: every other time before it was asked what has arrived, and so the same comes again. */
  async function listen(): Promise<void> {
    for (let life = 0; heard.size < count; life++) {
      const b = await app.open({ authorization: 'token-b', platform: 'b' })
      const asked = once(b.socket, 'ping')
      for (let turn = 0; turn < 100 && heard.size < count; turn++) heard.add(Number(wordsIn(await b.next())))
      if (life % 2 === 0) await asked
      if (life % 2 === 0) b.socket.close()
      else b.socket.terminate()
      await b.closed
      for (const frame of b.waiting()) heard.add(Number(wordsIn(frame)))
    }
  }
  const listening = listen()
  for (let n = 0; n < count; n++) {
    a.send(say('b', `${n}`))
    if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await listening
  t.strictSame(
    [...heard],
    Array.from({ length: count }, (_, n) => n)
  )
})

t.test('a slow reader is given its messages from the disk, in order, and all of them', async (t) => {
  const app = await start(t, { config: { limits: { connection_buffer: '64KiB', maim_legacy_frame: '64KiB' } } })
  const a = await app.open({ authorization: 'token-a', platform: 'a' })
  const slow = await app.open({ authorization: 'token-b', platform: 'slow' })
  slow.socket.pause()
  const long = 'x'.repeat(20_000)
  for (let n = 0; n < 600; n++) a.send(say('slow', `${n} ${long}`))
  await atLeastKept(app, 'slow', 1)
  slow.socket.resume()
  for (let n = 0; n < 600; n++) t.equal(String(wordsIn(await slow.next())).split(' ')[0], `${n}`)
  await kept(app, 'slow', 0)
  a.send(say('slow', 'live again'))
  t.equal(wordsIn(await slow.next()), 'live again')
})

t.test('messages of many megabytes pass, several at once, and compression when it is switched on', async (t) => {
  for (const compress of [false, true]) {
    const app = await start(t, { config: { maim: { ...maim, compress } } })
    const a = await app.open({ authorization: 'token-a', platform: 'a' })
    const b = await app.open({ authorization: 'token-b', platform: 'b' })
    t.equal(b.socket.extensions, compress ? 'permessage-deflate' : '')
    const long = 'x'.repeat(5_000_000)
    for (let n = 0; n < 4; n++) a.send(say('b', `${n}${long}`))
    for (let n = 0; n < 4; n++) t.equal(String(wordsIn(await b.next())).length, 5_000_001)
    await kept(app, 'b', 0)
  }
})

t.test('a brain hears the chats of its bot and speaks in them', async (t) => {
  const app = await start(t)
  const brain = await app.open({ authorization: 'key-one', platform: 'mai' })
  await app.call('token-two', 'send_group_message', { group_id: 100001, message: text('hello') })
  const heard = await brain.next()
  t.match(heard, {
    message_info: {
      platform: 'mai',
      user_info: { platform: 'mai', user_id: '10002', user_nickname: 'Two' },
      group_info: { group_id: '100001', group_name: 'Test group' }
    }
  })
  t.match(JSON.stringify(heard.message_segment), /hello/)

  brain.send(sayInGroup('mai', 'good day'))
  const echo = await brain.next()
  t.match(echo, {
    platform: 'mai',
    message_type_name: 'message_id_echo',
    is_custom_message: true,
    content: { type: 'echo', echo: 'm1', actual_id: /^\d+$/ }
  })
  t.match(await lastWords(app), 'good day')

  const elsewhere = await app.open({ authorization: 'token-a', platform: 'qq' })
  brain.send(sayInGroup('qq', 'for the adapter'))
  t.match(await elsewhere.next(), sayInGroup('qq', 'for the adapter'))
  t.match(await lastWords(app), 'good day', 'what names another platform is no speech')
})

t.test('what a brain says in one go is said in that order', async (t) => {
  const app = await start(t)
  const brain = await app.open({ authorization: 'key-one', platform: 'mai' })
  for (let n = 0; n < 40; n++) brain.send(sayInGroup('mai', `${n}`))
  const ids: number[] = []
  for (let n = 0; n < 40; n++) ids.push(Number((await brain.next()).content.actual_id))
  t.strictSame(
    ids,
    ids.toSorted((one, other) => one - other)
  )
  t.equal(await lastWords(app), '39')
})

t.test(
  'what a brain missed is told when it comes back, also after a restart, and nothing twice that it has confirmed',
  async (t) => {
    const app = await start(t)
    const brain = await app.open({ authorization: 'key-one', platform: 'mai' })
    await app.call('token-two', 'send_group_message', { group_id: 100001, message: text('one') })
    await brain.next()
    const cursor = await confirmedPlace(app)
    brain.socket.terminate()
    await app.call('token-two', 'send_group_message', { group_id: 100001, message: text('two') })
    t.ok(cursor > 0)
    await app.lactea.app.close()

    const again = await start(t, { dir: app.dir })
    const back = await again.open({ authorization: 'key-one', platform: 'mai' })
    t.match(JSON.stringify((await back.next()).message_segment), /two/)
  }
)

t.test('a key without chats hears nothing, and what it says is passed on only', async (t) => {
  const app = await start(t)
  const adapter = await app.open({ authorization: 'key-two', platform: 'qq' })
  await app.call('token-one', 'send_group_message', { group_id: 100001, message: text('hello') })
  const b = await app.open({ authorization: 'token-b', platform: 'b' })
  adapter.send(sayInGroup('qq', 'not said'))
  adapter.send(say('b', 'passed on'))
  await b.next()
  t.equal(await lastWords(app), 'hello')
  t.strictSame(adapter.waiting(), [])
})

t.test('whose account is switched off is put out, and does not come in again', async (t) => {
  const app = await start(t)
  const brain = await app.open({ authorization: 'key-one', platform: 'mai' })
  const adapter = await app.open({ authorization: 'key-two', platform: 'qq' })
  const { store } = app.lactea.gateway
  await store.disableAccount(10001, 1_700_000_000)
  await store.disableAccount(10002, 1_700_000_000)
  t.match(await brain.closed, { code: 1008 })
  t.match(await adapter.closed, { code: 1008 })
  t.match(await (await app.open({ authorization: 'key-one' })).closed, { code: 1008 })
})

t.test('a shutdown closes with 1001, and nothing is lost over it', async (t) => {
  const app = await start(t)
  const a = await app.open({ authorization: 'token-a', platform: 'a' })
  const b = await openSocket(t, app.ws + PATH, {
    autoPong: false,
    headers: { authorization: 'token-b', platform: 'b' }
  })
  a.send(say('b', 'hi'))
  await b.next()
  await app.lactea.app.close()
  t.match(await a.closed, { code: 1001, reason: /^server shutdown, retry in \d+ s$/ })
  t.match(await b.closed, { code: 1001 })
  const again = await start(t, { dir: app.dir })
  t.match(
    await (await again.open({ authorization: 'token-b', platform: 'b' })).next(),
    say('b', 'hi'),
    'never confirmed'
  )
})

t.test('strangers are told what they are', async (t) => {
  const app = await start(t)
  const rows: [label: string, headers: Headers, frame: object | undefined, message: RegExp][] = [
    ['a OneBot client, by its headers', { 'x-self-id': '1', 'x-client-role': 'Universal' }, undefined, /OneBot.*Milky/],
    ['a OneBot client, by its events', { authorization: 'token-a' }, { post_type: 'meta_event', self_id: 1 }, /OneBot/],
    [
      'an API-Server client',
      { authorization: 'token-a' },
      { ver: 1, msg_id: 'm', type: 'sys_std', payload: {} },
      /api_key/
    ]
  ]
  for (const [label, headers, frame, message] of rows) {
    const client = await app.open(headers)
    if (frame) client.send(frame)
    t.match((await client.next()).message, message, label)
    const { code, reason } = await client.closed
    t.equal(code, 1008)
    t.ok(reason.length > 20 && Buffer.byteLength(reason) <= 123, reason)
  }
  const again = await app.open({ 'x-self-id': '1' })
  await again.closed
  t.equal(app.lines.filter((line) => line.includes('OneBot')).length, 1, 'the log says so once')
})

t.test('a platform with too long a name is refused with a reason', async (t) => {
  const app = await start(t)
  const client = await app.open({ authorization: 'key-one', platform: 'x'.repeat(201) })
  t.match(await client.closed, { code: 1008, reason: /platform: at most 200/ })
})

/** Waits until so many messages wait for the platform on the disk. */
async function kept(app: Running, platform: string, count: number): Promise<void> {
  const { store } = app.lactea.gateway
  while ((await store.readMail(`legacy ${platform}`, 0, 1000)).length !== count)
    await new Promise((resolve) => setTimeout(resolve, 10))
}

async function atLeastKept(app: Running, platform: string, count: number): Promise<void> {
  const { store } = app.lactea.gateway
  while ((await store.readMail(`legacy ${platform}`, 0, 1000)).length < count)
    await new Promise((resolve) => setTimeout(resolve, 10))
}

/** Waits until the brain has confirmed what it was told last; gives the place. */
async function confirmedPlace(app: Running): Promise<number> {
  const { store } = app.lactea.gateway
  const last = await store.lastEventId()
  while ((await store.openCursor('maim:legacy:10001:mai')) !== last)
    await new Promise((resolve) => setTimeout(resolve, 10))
  return last
}

async function lastWords(app: Running): Promise<unknown> {
  const { data } = await app.milky('token-two', 'get_history_messages', {
    message_scene: 'group',
    peer_id: 100001,
    limit: 1
  })
  return data.messages.at(-1).segments[0].data.text
}

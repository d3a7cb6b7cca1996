import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import t from 'tap'
import { ConfigError, WebSocketServer, type APIMessageBase, type ConnectionMetadata } from '../../sdk/src/index.ts'
import { openSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'
import { createCalls, envelope, isAck, isMessage, startServer, textOf, write } from './peers.ts'

/** As `openSocket` says it. */
const refusedWith = (status: number): Error => new Error(`refused with ${status}`)

t.test('who connects is read from the query before the headers, and an empty value is none', async (t) => {
  const come = createCalls<[string, ConnectionMetadata]>()
  const { url } = await startServer(t, { onConnect: come.call })
  const cases: [query: string, headers: Record<string, string>, apiKey: string, platform: string][] = [
    ['?api_key=q&platform=p', {}, 'q', 'p'],
    ['', { 'x-apikey': 'h', 'x-platform': 'hp' }, 'h', 'hp'],
    ['?api_key=q', { 'x-apikey': 'h', 'x-platform': 'hp' }, 'q', 'hp'],
    ['?api_key=&platform=', { 'x-apikey': 'h', 'x-platform': 'hp' }, 'h', 'hp'],
    ['?api_key=q', {}, 'q', 'unknown'],
    ['?api_key=%E9%92%A5', { 'x-platform': Buffer.from('微信').toString('latin1') }, '钥', '微信']
  ]
  for (const [query, headers, apiKey, platform] of cases) {
    await openSocket(t, url + query, { headers: { ...headers, authorization: 'secret', 'x-uuid': `u${query}` } })
    const [uuid, metadata] = await come.next()
    t.match(metadata, { uuid, apiKey, platform, clientIp: '127.0.0.1' }, query)
    t.equal(uuid, `u${query}`)
    t.notOk('authorization' in metadata.headers)
    t.ok(Math.abs(metadata.connectedAt - Date.now() / 1000) < 60)
  }
  await openSocket(t, `${url}?api_key=q&uuid=never-from-here`)
  t.match(await come.next(), [/^[\da-f]{8}-/])
})

t.test('who is not let in gets 401 before the upgrade, and nothing of it is read', async (t) => {
  const heard = createCalls<[APIMessageBase]>()
  const asked = createCalls<[]>()
  const { promise: decided, resolve: decide } = Promise.withResolvers<boolean>()
  const { server, url } = await startServer(t, {
    onAuth: ({ apiKey }) => {
      asked.call()
      return apiKey === 'good' || decided
    },
    onAuthExtractUser: ({ apiKey }) => (apiKey === 'nobody' ? '' : apiKey),
    onMessage: heard.call
  })
  const { port } = new URL(url)
  const stream = connect(Number(port), '127.0.0.1')
  t.teardown(() => stream.destroy())
  stream.write(
    'GET /ws?api_key=slow HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
  )
  await asked.next()
  // A masked frame (mask 0), sent before anybody has decided.
  const smuggled = Buffer.from(JSON.stringify(envelope('smuggled')))
  stream.write(
    Buffer.concat([Buffer.from([0x81, 0xfe, smuggled.length >> 8, smuggled.length & 255, 0, 0, 0, 0]), smuggled])
  )
  await openSocket(t, `${url}?api_key=good`)
  decide(false)
  const [answer] = (await once(stream, 'data')) as [Buffer]
  t.match(String(answer), /^HTTP\/1.1 401 Unauthorized\r\n[^]*api_key: missing or not accepted/)
  t.equal(heard.all.length, 0)
  t.match(server.getStats(), { totalAuthRequests: 2, successfulAuths: 1, failedAuths: 1, currentConnections: 1 })
})

t.test('a hook that fails, names nobody or never answers lets nobody in', async (t) => {
  const { url, log } = await startServer(t, {
    authTimeout: 0.05,
    onAuth: ({ apiKey }) => {
      if (apiKey === 'throws') throw new Error('no database')
      if (apiKey === 'rejects') return Promise.reject(new Error('no database'))
      if (apiKey === 'late') return new Promise(() => {})
      return apiKey === 'truthy' ? ('yes' as unknown as boolean) : true
    },
    onAuthExtractUser: ({ apiKey }) => (apiKey === 'nobody' ? '' : apiKey === 'odd' ? (7 as unknown as string) : apiKey)
  })
  for (const apiKey of ['throws', 'rejects', 'late', 'truthy', 'nobody', 'odd', ''])
    await t.rejects(openSocket(t, `${url}?api_key=${apiKey}`), refusedWith(401), apiKey)
  await t.resolves(openSocket(t, `${url}?api_key=good`))
  t.equal(log.lines.filter((line) => line.startsWith('error')).length, 3)
})

t.test('without hooks a key is wanted, and names its own user', async (t) => {
  const { server, url, dial } = await startServer(t)
  await t.rejects(openSocket(t, url), refusedWith(401))
  await dial('k1', 'qq', 'u1')
  t.equal(server.getConnectionUser('u1'), 'k1')
})

t.test('authReject close1000 refuses as the old library does, and reads nothing either', async (t) => {
  const heard = createCalls<[APIMessageBase]>()
  const { url } = await startServer(t, { authReject: 'close1000', onAuth: () => false, onMessage: heard.call })
  const socket = await openSocket(t, `${url}?api_key=k`)
  socket.send(envelope('smuggled'))
  t.strictSame(await socket.closed, { code: 1000, reason: 'Authentication failed: 认证失败' })
  t.equal(heard.all.length, 0)
  t.strictSame(socket.waiting(), [])
})

t.test('acknowledges as the table of contract 2.3 says', async (t) => {
  const { dial } = await startServer(t, { onMessage: () => {} })
  const socket = await dial('key', 'qq', 'the-uuid')
  const payload = write('x')
  const acked: [what: string, frame: object, id: unknown][] = [
    ['a text', { type: 'sys_std', msg_id: 'm1', payload }, 'm1'],
    ['a number', { type: 'sys_std', msg_id: 12_345, payload }, 12_345],
    ['an object', { type: 'sys_std', msg_id: { a: [1] }, payload }, { a: [1] }],
    ['true', { type: 'sys_std', msg_id: true, payload }, true],
    ['an unknown type', { type: 'whatever', msg_id: 'm2', payload }, 'm2'],
    ['no type', { msg_id: 'm3', payload }, 'm3'],
    ['a type that is no text', { type: 7, msg_id: 'm4', payload }, 'm4'],
    [
      'a payload that makes no sense',
      { type: 'sys_std', msg_id: 'm5', payload: { message_info: 1, message_segment: 2 } },
      'm5'
    ],
    ['no payload', { type: 'sys_std', msg_id: 'm6' }, 'm6'],
    ['null', { type: 'sys_std', msg_id: 'm7', payload: null }, 'm7'],
    ['a target that is nowhere', { type: 'sys_std', msg_id: 'm8', payload: write('x', 'nobody') }, 'm8'],
    ['another version', { ver: 2, type: 'sys_std', msg_id: 'm9', payload, extra: 1 }, 'm9']
  ]
  for (const [what, frame, id] of acked) {
    socket.send(frame)
    const ack = await socket.next()
    t.strictSame([ack.ver, ack.type, ack.meta.acked_msg_id, ack.meta.uuid], [1, 'sys_ack', id, 'the-uuid'], what)
    t.equal(ack.payload.status, 'received')
    t.equal(ack.payload.server_timestamp, ack.meta.timestamp)
    t.match(ack.msg_id, /^[\da-f]{8}-[\da-f]{4}-4/)
  }
  const silent: [what: string, frame: unknown][] = [
    ['no id', { type: 'sys_std', payload }],
    ['an empty id', { type: 'sys_std', msg_id: '', payload }],
    ['zero', { type: 'sys_std', msg_id: 0, payload }],
    ['null', { type: 'sys_std', msg_id: null, payload }],
    ['an acknowledgement', { type: 'sys_ack', msg_id: 'a1', meta: { acked_msg_id: 'm1' } }],
    ['no JSON', '{"type":'],
    ['an empty frame', ''],
    ['a list', '[{"msg_id":"l"}]'],
    ['a number', '7'],
    ['null as a frame', 'null']
  ]
  for (const [what, frame] of silent) {
    socket.send(frame)
    socket.send({ type: 'sys_std', msg_id: `after ${what}`, payload })
    t.equal((await socket.next()).meta.acked_msg_id, `after ${what}`, what)
  }
})

t.test('gives messages to handlers as the table of contract 2.4 says', async (t) => {
  const heard = createCalls<[what: string, value: unknown, metadata: ConnectionMetadata]>()
  const { server, dial, log } = await startServer(t, {
    onMessage: (message, metadata) => heard.call('message', message, metadata),
    customHandlers: { ping: (whole, metadata) => heard.call('ping', whole, metadata) }
  })
  server.registerCustomHandler('custom_pong', (whole, metadata) => heard.call('pong', whole, metadata))
  const socket = await dial('key', 'qq', 'u')
  let count = 0
  const std = (payload?: unknown): object => ({ type: 'sys_std', msg_id: `s${++count}`, payload })

  socket.send(envelope('hi'))
  t.match(await heard.next(), ['message', write('hi'), { uuid: 'u', apiKey: 'key', platform: 'qq' }])

  const wrapped: [payload: unknown, text: string][] = [
    [{}, '{}'],
    [undefined, '{}'],
    [{ text: 'hi', id: 1 }, '{"text":"hi","id":1}'],
    [{ message_info: {} }, '{"message_info":{}}'],
    ['just text', 'just text'],
    [[1, 2], '[1,2]']
  ]
  for (const [payload, text] of wrapped) {
    socket.send(std(payload))
    const [what, message] = (await heard.next()) as unknown as [string, APIMessageBase]
    t.equal(what, 'message')
    t.equal(textOf(message), text)
    t.strictSame(message.message_dim, { api_key: 'key', platform: 'qq' })
    t.match(message.message_info, { platform: 'qq', message_id: String, time: Number })
  }
  const custom = { ver: 1, msg_id: 'c1', type: 'custom_ping', meta: { a: 1 }, payload: { n: 1 } }
  socket.send(custom)
  t.match(await heard.next(), ['ping', custom, { uuid: 'u' }])
  socket.send({ ...custom, type: 'custom_pong', msg_id: 'c2' })
  t.match(await heard.next(), ['pong', { type: 'custom_pong' }])

  const before = heard.all.length
  const dropped: [frame: object, warning?: RegExp][] = [
    [std(null), /payload: expected an object/],
    [std(7), /payload: expected an object/],
    [std({ message_info: {}, message_segment: {} }), /message_dim: expected an object/],
    [std({ ...write('x'), message_info: { platform: 'qq' } }), /message_info\.message_id: missing/],
    [std({ ...write('x'), message_segment: { type: 'seglist', data: 1 } }), /message_segment\.data/],
    [{ ...custom, type: 'custom_nobody', msg_id: 'n1' }, /custom_nobody/],
    [{ ...custom, type: 'ping', msg_id: 'n2' }, /"ping"/],
    [{ ...custom, type: 'sys_other', msg_id: 'n3' }],
    [{ ...custom, type: '__proto__', msg_id: 'n4' }, /__proto__/]
  ]
  const quiet = log.lines.length
  for (const [frame, warning] of dropped) {
    socket.send(frame)
    await socket.find(({ meta }) => meta.acked_msg_id === (frame as { msg_id: string }).msg_id)
    if (warning) t.match(log.lines.at(-1), warning)
  }
  t.equal(log.lines.length - quiet, dropped.filter(([, warning]) => warning).length)
  t.equal(heard.all.length, before)
  t.ok(server.unregisterCustomHandler('ping'))
  t.notOk(server.unregisterCustomHandler('ping'))
})

t.test('a message is acknowledged when its handler has taken it, and comes again when it has not', async (t) => {
  const { promise: taken, resolve: take } = Promise.withResolvers<void>()
  let tries = 0
  const { server, dial } = await startServer(t, {
    async onMessage(message) {
      if (textOf(message) === 'slow') await taken
      if (textOf(message) === 'twice' && ++tries === 1) throw new Error('no database')
    }
  })
  const socket = await dial()
  socket.send(envelope('slow'))
  socket.send(envelope('slow'))
  socket.send(envelope('twice'))
  socket.send(envelope('quick'))
  t.equal((await socket.next()).meta.acked_msg_id, 'msg_quick', 'a slow one does not hold up the others')
  t.equal(server.getStats().activeHandlerTasks, 1)
  take()
  t.equal((await socket.next()).meta.acked_msg_id, 'msg_slow')
  socket.send(envelope('twice'))
  t.equal((await socket.next()).meta.acked_msg_id, 'msg_twice')
  t.match(server.getStats(), { messagesProcessed: 4, duplicateMessagesIgnored: 1, activeHandlerTasks: 0 })
})

t.test(
  'the same id with another content is another message; the same message is handled once, over reconnects too',
  async (t) => {
    const heard: string[] = []
    const { dial } = await startServer(t, { onMessage: (message) => void heard.push(textOf(message)) })
    const first = await dial('key', 'qq', 'u1')
    for (const text of ['a', 'b', 'a']) {
      first.send(envelope(text, 'msg_1'))
      t.equal((await first.next()).meta.acked_msg_id, 'msg_1')
    }
    first.socket.terminate()
    await first.closed
    const again = await dial('key', 'qq', 'u1')
    again.send(envelope('b', 'msg_1'))
    t.equal((await again.next()).meta.acked_msg_id, 'msg_1')
    const other = await dial('key', 'qq', 'u2')
    other.send(envelope('b', 'msg_1'))
    await other.next()
    t.strictSame(heard, ['a', 'b', 'b'], 'another connection is another sender')
  }
)

t.test('sends to every connection of exactly the user and the platform', async (t) => {
  const { server, dial } = await startServer(t, {
    onAuthExtractUser: async ({ apiKey, messageType }) => {
      if (apiKey === 'fails' && messageType === 'outgoing') throw new Error('no database')
      return apiKey.split('-')[0] ?? ''
    }
  })
  const one = await dial('ann-1', 'qq', 'a1')
  const two = await dial('ann-2', 'qq', 'a2')
  const wechat = await dial('ann-1', 'wechat', 'a3')
  const bob = await dial('bob-1', 'qq', 'b1')

  t.strictSame(await server.sendMessage(write('hi', 'ann-9', 'qq')), { a1: true, a2: true })
  const [first, second] = [await one.next(), await two.next()]
  t.match(first, {
    ver: 1,
    type: 'sys_std',
    meta: { sender_user: 'server', target_user: 'ann', platform: 'qq', timestamp: Number }
  })
  t.match(first.msg_id, /^msg_[\da-f]{12}_\d+$/)
  t.equal(second.msg_id, first.msg_id, 'one envelope for all')
  t.strictSame(first.payload, write('hi', 'ann-9', 'qq'))

  t.strictSame(await server.sendMessage(write('over', 'ann-1', 'qq'), { targetPlatform: 'wechat' }), { a3: true })
  t.strictSame((await wechat.next()).payload.message_dim, { api_key: 'ann-1', platform: 'wechat' })

  t.strictSame(await server.sendMessage(write('x', 'carl', 'qq')), {})
  t.strictSame(await server.sendMessage(write('x', 'bob', 'wechat')), {})
  t.strictSame(await server.sendMessage(write('x', 'fails', 'qq')), {})
  t.strictSame(
    [one, two, wechat, bob].flatMap((socket) => socket.waiting()),
    []
  )

  await t.rejects(server.sendMessage({} as APIMessageBase), { name: 'MessageError', message: /^message_info: / })
  const { message_dim: _, ...undirected } = write('x')
  await t.rejects(server.sendMessage(undirected as APIMessageBase), { name: 'MessageError', message: /^message_dim: / })
})

t.test('a custom message goes to whom its target names', async (t) => {
  const { server, dial } = await startServer(t)
  const sockets = {
    a1: await dial('ann', 'qq', 'a1'),
    a2: await dial('ann', 'qq', 'a2'),
    a3: await dial('ann', 'wechat', 'a3'),
    b1: await dial('bob', 'qq', 'b1')
  }
  const cases: [target: object, uuids: (keyof typeof sockets)[]][] = [
    [{ targetUser: 'ann' }, ['a1', 'a2', 'a3']],
    [{ targetUser: 'ann', targetPlatform: 'qq' }, ['a1', 'a2']],
    [{ targetPlatform: 'qq' }, ['a1', 'a2', 'b1']],
    [{ connectionUuid: 'a2' }, ['a2']],
    [{ connectionUuid: 'a2', targetUser: 'ann', targetPlatform: 'qq' }, ['a2']],
    [{ connectionUuid: 'a2', targetUser: 'bob' }, []],
    [{ connectionUuid: 'gone' }, []],
    [{ targetUser: 'carl' }, []],
    [{}, []]
  ]
  for (const [target, uuids] of cases) {
    const results = await server.sendCustomMessage('note', { target }, target)
    t.strictSame(results, Object.fromEntries(uuids.map((uuid) => [uuid, true])), JSON.stringify(target))
    for (const uuid of uuids) {
      const frame = await sockets[uuid].next()
      t.match(frame, { type: 'custom_note', payload: { target }, meta: { sender_user: 'server' } })
      sockets[uuid].send({ type: 'sys_ack', meta: { acked_msg_id: frame.msg_id } })
    }
  }
  t.strictSame(
    Object.values(sockets).flatMap((socket) => socket.waiting()),
    []
  )
  await server.sendCustomMessage('custom_note', 1, { connectionUuid: 'b1' })
  t.equal((await sockets.b1.next()).type, 'custom_note', 'the prefix is not put there twice')
})

t.test('a broadcast reaches everybody, or one platform, and nobody later', async (t) => {
  const { server, dial } = await startServer(t)
  const away = await dial('carl', 'qq', 'c1')
  away.socket.close()
  await away.closed
  await waitFor(() => server.getConnectionCount() === 0)
  t.strictSame(await server.broadcastMessage(write('nobody')), {})
  const ann = await dial('ann', 'qq', 'a1')
  const bob = await dial('bob', 'wechat', 'b1')
  t.strictSame(await server.broadcastMessage(write('all', 'server', 'server')), { a1: true, b1: true })
  const frame = await ann.next()
  t.match(frame, { msg_id: /^broadcast_[\da-f]{12}_\d+$/, meta: { broadcast: true, timestamp: Number } })
  t.notOk('platform' in frame.meta)
  t.equal((await bob.next()).msg_id, frame.msg_id)
  t.strictSame(await server.broadcastMessage(write('some', 'server', 'server'), 'wechat'), { b1: true })
  t.equal((await bob.next()).meta.platform, 'wechat')
  t.strictSame(ann.waiting(), [])
  const carl = await dial('carl', 'qq', 'c1')
  await server.sendMessage(write('later', 'carl'))
  t.equal((await carl.next()).payload.message_segment.data, 'later')
})

t.test('tells who is connected', async (t) => {
  const gone = createCalls<[string, ConnectionMetadata]>()
  const { server, dial } = await startServer(t, { onDisconnect: gone.call })
  await dial('ann', 'qq', 'a1')
  await dial('ann', 'wechat', 'a2')
  const bob = await dial('bob', 'qq', '__proto__')
  t.strictSame(server.getUserConnections('ann'), { qq: ['a1'], wechat: ['a2'] })
  t.strictSame(server.getUserConnections('nobody'), {})
  t.strictSame(server.getPlatformConnections('qq'), ['a1', '__proto__'])
  t.equal(server.getConnectionUser('__proto__'), 'bob')
  t.equal(server.getConnectionUser('nobody'), undefined)
  t.strictSame([server.getUserCount(), server.getConnectionCount()], [2, 3])
  t.match(server.getConnections()['a1'], { user: 'ann', platform: 'qq', clientIp: '127.0.0.1', connectedAt: Number })
  t.notMatch(JSON.stringify(server.getConnections()), 'apiKey')
  t.equal(Object.keys(await server.sendMessage(write('x', 'bob'))).join(), '__proto__')
  bob.socket.close(1000)
  t.match(await gone.next(), ['__proto__', { apiKey: 'bob' }])
  t.strictSame(server.getUserConnections('bob'), {})
  t.strictSame(server.getPlatformConnections('qq'), ['a1'])
  t.equal(server.getUserCount(), 1)
})

t.test('of one uuid the newest connection counts, and the late close of the old one does not touch it', async (t) => {
  const gone = createCalls<[string]>()
  const { server, dial } = await startServer(t, { onDisconnect: gone.call })
  const old = await dial('ann', 'qq', 'u')
  old.socket.pause()
  const young = await dial('ann', 'qq', 'u')
  await gone.next()
  old.socket.resume()
  t.strictSame(await old.closed, { code: 4000, reason: 'replaced' })
  young.socket.ping()
  await once(young.socket, 'pong')
  t.strictSame(await server.sendMessage(write('hi', 'ann')), { u: true })
  t.match(await young.next(), { type: 'sys_std' })
  t.equal(gone.all.length, 1)
  t.strictSame(old.waiting(), [])

  await t.rejects(dial('bob', 'qq', 'u'), refusedWith(409), 'a uuid of somebody else is not to be had')
  t.equal(server.getConnectionUser('u'), 'ann')
})

t.test('what is not acknowledged is sent again, with the same id, to connections that come later', async (t) => {
  const { server, dial } = await startServer(t, { repeatInterval: 0.05 })
  const first = await dial('ann', 'qq', 'u')
  t.strictSame(await server.sendMessage(write('one', 'ann')), { u: true })
  t.strictSame(await server.sendCustomMessage('two', 2, { connectionUuid: 'u' }), { u: true })
  const [one, two] = [await first.next(), await first.next()]
  t.equal((await first.next()).msg_id, one.msg_id, 'repeated')
  t.ok(server.getStats().messagesRepeated > 0)
  first.socket.terminate()
  await waitFor(() => server.getConnectionCount() === 0)
  t.strictSame(await server.sendMessage(write('three', 'ann')), {}, 'nobody is there, it is kept')
  t.equal(server.getStats().cachedMessages, 3)

  const stranger = await dial('bob', 'qq', 'u')
  const other = await dial('ann', 'qq', 'v')
  t.equal((await other.next()).msg_id, one.msg_id)
  const three = await other.next()
  t.equal(three.payload.message_segment.data, 'three')
  other.send({ type: 'sys_ack', meta: { acked_msg_id: three.msg_id } })
  other.send({ type: 'sys_ack', meta: { acked_msg_id: one.msg_id } })
  await waitFor(() => server.getStats().cachedMessages === 1)
  stranger.socket.terminate()
  await waitFor(() => server.getConnectionCount() === 1)

  const back = await dial('ann', 'qq', 'u')
  t.equal((await back.next()).msg_id, two.msg_id, 'what was for one connection alone waits for it')
  back.send({ type: 'sys_ack', meta: { acked_msg_id: two.msg_id } })
  await waitFor(() => server.getStats().cachedMessages === 0)
  t.strictSame(stranger.waiting(), [])
  t.strictSame(
    other.waiting().filter(({ msg_id }: { msg_id: string }) => msg_id === two.msg_id),
    []
  )
})

t.test('what is kept has an end: by age, by number, and by the size that the other side can take', async (t) => {
  const { server, dial, log } = await startServer(t, { messageCacheMaxSize: 3, messageCacheTtl: 0.3 })
  const first = await dial('ann', 'qq', 'u')
  first.socket.terminate()
  await waitFor(() => server.getConnectionCount() === 0)
  for (const text of ['1', '2', '3', '4', '5']) await server.sendMessage(write(text, 'ann'))
  t.match(server.getStats(), { cachedMessages: 3, messagesDropped: 2 })
  const second = await dial('ann', 'qq', 'u')
  const texts = [await second.next(), await second.next(), await second.next()]
  t.strictSame(
    texts.map(({ payload }) => payload.message_segment.data),
    ['3', '4', '5']
  )
  await waitFor(() => server.getStats().cachedMessages === 0)
  t.match(log.lines.at(-1), /too old/)

  await server.sendMessage(write('small', 'ann'))
  await server.sendMessage(write('x'.repeat(5000), 'ann'))
  second.socket.close(1009)
  await waitFor(() => server.getConnectionCount() === 0)
  const third = await dial('ann', 'qq', 'u')
  t.equal((await third.next()).payload.message_segment.data, 'small')
  await server.sendMessage(write('last', 'ann'))
  t.equal((await third.next()).payload.message_segment.data, 'last', 'the one that was too big does not come again')
})

t.test('without the cache nothing is kept and nothing is repeated', async (t) => {
  const { server, dial } = await startServer(t, { enableMessageCache: false, repeatInterval: 0.01 })
  const first = await dial('ann', 'qq', 'u')
  t.strictSame(await server.sendMessage(write('one', 'ann')), { u: true })
  await first.next()
  t.equal(server.getStats().cachedMessages, 0)
  first.socket.terminate()
  await waitFor(() => server.getConnectionCount() === 0)
  t.strictSame(await server.sendMessage(write('two', 'ann')), {})
  const second = await dial('ann', 'qq', 'u')
  await server.sendMessage(write('three', 'ann'))
  t.equal((await second.next()).payload.message_segment.data, 'three')
})

t.test('nothing is kept for a user who was never there', async (t) => {
  const { server, dial } = await startServer(t)
  await server.sendMessage(write('early', 'ann'))
  t.equal(server.getStats().cachedMessages, 0)
  const socket = await dial('ann')
  await server.sendMessage(write('now', 'ann'))
  t.equal((await socket.next()).payload.message_segment.data, 'now')
})

t.test('a binary frame is taken when it holds JSON text, else the connection ends with 1003', async (t) => {
  const { dial } = await startServer(t, { onMessage: () => {} })
  const socket = await dial()
  socket.socket.send(Buffer.from(JSON.stringify(envelope('b'))))
  t.equal((await socket.next()).meta.acked_msg_id, 'msg_b')
  socket.socket.send(Buffer.from([0xff, 0xfe, 0]))
  t.match(await socket.closed, { code: 1003 })
})

t.test('a frame of the largest size is taken, one byte more ends the connection with 1009', async (t) => {
  const { dial } = await startServer(t, { maxMessageSize: 2000, onMessage: () => {} })
  const frame = (length: number): string => {
    const empty = JSON.stringify(envelope('', 'm'))
    return JSON.stringify(envelope('x'.repeat((length - empty.length) / 2), 'm')).padEnd(length)
  }
  const socket = await dial()
  socket.send(frame(2000))
  t.equal((await socket.next()).meta.acked_msg_id, 'm')
  socket.send(frame(2001))
  t.match(await socket.closed, { code: 1009 })
})

t.test('who does not answer pings is closed with 1011, who answers stays', async (t) => {
  const { server, url } = await startServer(t, { pingInterval: 0.02, pingTimeout: 0.02 })
  const dead = await openSocket(t, `${url}?api_key=dead`, { autoPong: false })
  const alive = await openSocket(t, `${url}?api_key=alive`)
  t.strictSame(await dead.closed, { code: 1011, reason: 'keepalive ping timeout' })
  t.equal(alive.socket.readyState, 1)
  await waitFor(() => server.getConnectionCount() === 1)
  t.strictSame(Object.keys(server.getUserConnections('alive')), ['unknown'])
})

t.test('who sends faster than the handlers work is read no further, and counts as alive', async (t) => {
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
  const { server, dial } = await startServer(t, { onMessage: () => finished, pingInterval: 0.02, pingTimeout: 0.02 })
  const socket = await dial()
  const long = 'x'.repeat(5000)
  for (let n = 0; n < 1000; n++) socket.send(envelope(`${n} ${long}`, n + 1))
  await waitFor(() => server.getStats().activeHandlerTasks >= 256)
  const endsAt = performance.now() + 200
  await waitFor(() => performance.now() > endsAt, 'longer than a dead one would live')
  // What had arrived already is handled too.
  t.ok(server.getStats().activeHandlerTasks < 320, String(server.getStats().activeHandlerTasks))
  finish()
  for (let n = 0; n < 1000; n++) t.equal((await socket.next()).meta.acked_msg_id, n + 1)
})

t.test('a slow reader is closed with 1008, and what it has not taken waits for it', async (t) => {
  const { server, dial } = await startServer(t, { maxBufferedBytes: 1_000_000 })
  const slow = await dial('ann', 'qq', 'u')
  slow.socket.pause()
  let results: Record<string, boolean> = { u: true }
  let sent = 0
  for (; results['u'] && sent < 1000; sent++) results = await server.sendMessage(write('x'.repeat(500_000), 'ann'))
  t.ok(sent < 200, 'told by false')
  await waitFor(() => server.getConnectionCount() === 0)
  t.equal(server.getStats().cachedMessages, sent)
})

t.test('stopping closes with 1012 after the handlers have finished; the server can be started again', async (t) => {
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
  const heard = createCalls<[APIMessageBase]>()
  const { server, dial, url } = await startServer(t, {
    onMessage: (message) => {
      heard.call(message)
      return finished
    }
  })
  await t.rejects(server.start(), { message: 'the server runs already' })
  const socket = await dial()
  socket.send(envelope('last'))
  await heard.next()
  const stopped = server.stop()
  t.equal(server.isRunning, false)
  await t.rejects(openSocket(t, `${url}?api_key=k`))
  finish()
  t.ok(isAck(await socket.next()), 'the last acknowledgement')
  t.strictSame(await socket.closed, { code: 1012, reason: 'service restart' })
  await stopped
  t.equal(server.address, undefined)
  await server.start()
  t.equal(server.isRunning, true)
  await t.resolves(openSocket(t, `${server.address?.url}?api_key=k`))
})

t.test('a hook that waits does not hold up the stop', async (t) => {
  const asked = createCalls<[]>()
  const { server, url } = await startServer(t, {
    onAuth: () => {
      asked.call()
      return new Promise(() => {})
    }
  })
  const refused = t.rejects(openSocket(t, `${url}?api_key=k`))
  await asked.next()
  await server.stop()
  await refused
})

t.test('a port that is taken is told, and can be tried again', async (t) => {
  const { server } = await startServer(t)
  const second = new WebSocketServer({ host: '127.0.0.1', port: server.address?.port })
  await t.rejects(second.start(), { code: 'EADDRINUSE' })
  t.equal(second.isRunning, false)
  await server.stop()
  await second.start()
  await second.stop()
})

t.test('a server that has never run can be stopped', async (t) => {
  await t.resolves(new WebSocketServer().stop())
})

t.test('other paths are not there, and who comes without a WebSocket is told what this is', async (t) => {
  const { url } = await startServer(t, { path: '/maim/ws' })
  const http = url.replace('ws://', 'http://')
  t.equal((await fetch(http)).status, 426)
  t.equal((await fetch(http.replace('/maim/ws', '/'))).status, 404)
  await t.resolves(openSocket(t, `${url}/?api_key=k`), 'a slash behind it is accepted')
  await t.rejects(openSocket(t, `${url.replace('/maim', '')}?api_key=k`), refusedWith(404))
  await t.rejects(openSocket(t, `${url}/?EIO=4&transport=websocket&api_key=k`), refusedWith(400))
})

t.test('takes sockets from a server of the program, and leaves its other paths alone', async (t) => {
  const http = createServer((_request, response) => response.end('mine'))
  const others = createCalls<[string]>()
  http.on('upgrade', ({ url = '' }, stream) => {
    if (url.startsWith('/ws')) return
    others.call(url)
    stream.end('HTTP/1.1 418 No\r\nContent-Length: 0\r\n\r\n')
  })
  await once(http.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => http.close())
  const { port } = http.address() as AddressInfo
  const server = new WebSocketServer()
  await server.start(http)
  t.equal(server.address?.url, `ws://127.0.0.1:${port}/ws`)
  const socket = await openSocket(t, `${server.address?.url}?api_key=k`)
  await t.rejects(openSocket(t, `ws://127.0.0.1:${port}/other`), refusedWith(418))
  t.strictSame(others.all, [['/other']])
  await server.stop()
  t.match(await socket.closed, { code: 1012 })
  t.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'mine', 'it goes on')
})

t.test('compression is declined, unless it is switched on', async (t) => {
  const plain = await startServer(t)
  t.equal((await plain.dial()).socket.extensions, '')
  const compressed = await startServer(t, { compress: true, onMessage: () => {} })
  const socket = await compressed.dial()
  t.match(socket.socket.extensions, /permessage-deflate/)
  socket.send(envelope('x'.repeat(10_000)))
  t.ok(isAck(await socket.next()))
})

t.test('options can be changed while the server runs, except where it listens', async (t) => {
  const heard = createCalls<[APIMessageBase]>()
  const told = createCalls<[{ currentConnections: number }]>()
  const { server, dial } = await startServer(t)
  const socket = await dial()
  server.updateConfig({ onMessage: heard.call, statsCallback: told.call, statsInterval: 0.01 })
  socket.send(envelope('hi'))
  t.match(await heard.next(), [write('hi')])
  t.match(await told.next(), [{ currentConnections: 1, network: { messagesReceived: 1 } }])
  t.throws(() => server.updateConfig({ port: 1, path: '/other' }), {
    name: 'ConfigError',
    problems: [/^port: cannot be changed/, /^path: cannot be changed/]
  })
  t.throws(() => server.updateConfig({ pingInterval: -1 }), ConfigError)
  server.updateConfig({ onAuth: () => false })
  await t.rejects(dial(), refusedWith(401))
})

t.test('hooks that fail harm nobody', async (t) => {
  const { server, dial, log } = await startServer(t, {
    onConnect: () => {
      throw new Error('first')
    },
    onDisconnect: () => Promise.reject(new Error('second')),
    onMessage: () => {
      throw new Error('third')
    },
    logLevel: 'ERROR'
  })
  const socket = await dial()
  socket.send(envelope('a'))
  await waitFor(() => log.lines.length === 2)
  socket.socket.close()
  await waitFor(() => log.lines.length === 3)
  for (const why of ['first', 'second', 'third'])
    t.ok(
      log.lines.some((line) => line.includes(why)),
      why
    )
  t.equal(server.getStats().messagesProcessed, 1)
})

t.test('the log never holds keys or what was said', async (t) => {
  const { server, dial, log, url } = await startServer(t, {
    enableMessageLog: true,
    onMessage: (message) => server.sendMessage(message)
  })
  const socket = await dial('secret-key')
  await t.rejects(openSocket(t, `${url}?api_key=`), refusedWith(401))
  socket.send(envelope('secret-word', 'm', 'secret-key'))
  await socket.find(isMessage)
  socket.socket.close()
  await waitFor(() => log.lines.some((line) => line.includes('has gone')))
  t.ok(log.lines.length > 4)
  t.notMatch(log.lines.join('\n'), /secret/)
})

t.test('the counters', async (t) => {
  const { server, dial } = await startServer(t, { onMessage: () => {}, customHandlers: { ping: () => {} } })
  const socket = await dial('key', 'qq', 'u')
  const frames = [envelope('a'), envelope('a'), { msg_id: 'c', type: 'custom_ping', payload: 1 }]
  for (const frame of frames) {
    socket.send(frame)
    await socket.next()
  }
  await server.sendMessage(write('out'))
  const { msg_id } = await socket.next()
  const ack = { type: 'sys_ack', meta: { acked_msg_id: msg_id } }
  socket.send(ack)
  await waitFor(() => server.getStats().cachedMessages === 0)
  const bytes = [...frames, ack].reduce((sum, frame) => sum + JSON.stringify(frame).length, 0)
  const { network, ...stats } = server.getStats()
  t.strictSame(stats, {
    totalAuthRequests: 1,
    successfulAuths: 1,
    failedAuths: 0,
    messagesProcessed: 1,
    customMessagesProcessed: 1,
    activeHandlerTasks: 0,
    duplicateMessagesIgnored: 1,
    cachedMessages: 0,
    messagesRepeated: 0,
    messagesDropped: 0,
    currentUsers: 1,
    currentConnections: 1
  })
  const { bytesSent, ...rest } = network
  t.strictSame(rest, {
    totalConnections: 1,
    currentConnections: 1,
    messagesReceived: 3,
    messagesSent: 1,
    bytesReceived: bytes
  })
  t.ok(bytesSent > 500)
})

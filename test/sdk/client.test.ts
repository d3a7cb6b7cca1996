import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocketServer as SocketServer } from 'ws'
import {
  type Seg,
  WebSocketServer,
  type APIMessageBase,
  type ClientMetadata,
  type ConnectionMetadata
} from '../../sdk/src/index.ts'
import { startBotServer } from '../helpers/bot-server.ts'
import { waitFor } from '../helpers/wait.ts'
import { createCalls, createClient, envelope, startServer, textOf, write } from './peers.ts'

t.test('connects with its headers, sends and hears', async (t) => {
  const bot = await startBotServer(t)
  const heard = createCalls<[APIMessageBase, ClientMetadata]>()
  const client = createClient(t, bot.url, { onMessage: heard.call, headers: { 'x-more': 'yes' }, platform: '微信' })
  t.equal(client.isConnected(), false)
  const [isIn, there] = await Promise.all([client.connect(), bot.next()])
  t.equal(isIn, true)
  t.equal(client.isConnected(), true)
  t.match(there.request.headers, {
    'x-apikey': 'key',
    'x-platform': Buffer.from('微信').toString('latin1'),
    'x-uuid': /^single_[\da-f]{32}$/,
    'x-more': 'yes'
  })
  t.equal(there.request.headers['x-uuid'], client.uuid)
  t.equal(there.request.headers['sec-websocket-extensions'], undefined)

  t.equal(await client.sendMessage(write('hi', 'key', '微信')), true)
  const sent = await there.next()
  t.match(sent, { ver: 1, type: 'sys_std', msg_id: /^msg_[\da-f]{12}_\d+$/ })
  t.match(sent.meta, { sender_user: 'key', platform: '微信', timestamp: Number })
  t.strictSame(sent.payload, write('hi', 'key', '微信'))

  there.send(envelope('back', 'm1'))
  t.match(await heard.next(), [
    write('back'),
    { connectionUuid: client.uuid, url: bot.url, apiKey: 'key', platform: '微信', meta: { sender_user: 'key' } }
  ])
  t.match(await there.next(), {
    type: 'sys_ack',
    meta: { uuid: client.uuid, acked_msg_id: 'm1' },
    payload: { status: 'received', client_timestamp: Number }
  })
})

t.test('connect tells the truth', async (t) => {
  const cases: [what: string, start: (t: Test) => Promise<string>, why: RegExp][] = [
    ['401', async (t) => (await startServer(t, { onAuth: () => false })).url, /401/],
    [
      'a close after the upgrade',
      async (t) => (await startServer(t, { onAuth: () => false, authReject: 'close1000' })).url,
      /1000 Authentication failed/
    ],
    ['a close with 1008', (t) => startRefusing(t, 1008, 'no'), /1008 no/],
    ['another path', async (t) => `${(await startServer(t)).url}/other`, /404/],
    ['nobody there', async () => 'ws://127.0.0.1:1/ws', /ECONNREFUSED/],
    ['nobody answers', startSilent, /handshake has timed out/]
  ]
  for (const [what, start, why] of cases) {
    const client = createClient(t, await start(t), { connectTimeout: 0.1 })
    t.equal(await client.connect(), false, what)
    t.match(client.lastError, why)
    t.equal(client.isConnected(), false)
    t.equal(await client.sendMessage(write('x')), false, 'nothing is kept for a server that has never let us in')
    t.match(client.getStats(), { connected: false, lastError: why, cachedMessages: 0 })
    await client.stop()
  }
})

/** Lets everybody in, and closes at once. */
async function startRefusing(t: Test, code: number, reason: string): Promise<string> {
  const server = new SocketServer({ port: 0, host: '127.0.0.1' })
  t.teardown(() => server.close())
  server.on('connection', (socket) => socket.close(code, reason))
  await once(server, 'listening')
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`
}

/** Takes connections and never says anything. */
async function startSilent(t: Test): Promise<string> {
  const http = createServer().on('upgrade', () => {})
  await once(http.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    http.close()
    http.closeAllConnections()
  })
  return `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`
}

t.test('dials again after every way in which a connection can end, with the same x-uuid', async (t) => {
  const bot = await startBotServer(t)
  const gone = createCalls<[string, string | undefined]>()
  const client = createClient(t, bot.url, { onDisconnect: gone.call })
  await client.connect()
  for (const code of [1000, 1001, 1008, 1011, 1012, 4000]) {
    const there = await bot.next()
    t.equal(there.request.headers['x-uuid'], client.uuid)
    there.socket.close(code)
    t.match(await gone.next(), [client.uuid, new RegExp(String(code))])
  }
  const there = await bot.next()
  bot.refuse(401, 500)
  there.socket.terminate()
  await waitFor(() => client.isConnected() && client.getStats().successfulConnects === 8)
  t.equal(bot.most(), 1, 'never two at once')
  t.match(client.getStats(), { connectAttempts: 10, successfulConnects: 8, failedConnects: 2, reconnectAttempts: 9 })
})

t.test('gives up when it is told to, and can be connected again', async (t) => {
  const bot = await startBotServer(t)
  const client = createClient(t, bot.url, { maxReconnectAttempts: 3 })
  bot.refuse(500, 500, 500, 500)
  t.equal(await client.connect(), false)
  await waitFor(() => client.getConnections()[client.uuid]?.state === 'failed')
  t.match(client.getStats(), { connectAttempts: 4, reconnectAttempts: 3 })
  t.equal(await client.connect(), true)

  const once = createClient(t, bot.url, { autoReconnect: false })
  bot.refuse(500)
  t.equal(await once.connect(), false)
  await waitFor(() => once.getConnections()[once.uuid]?.state === 'failed')
  t.equal(once.getStats().connectAttempts, 1)
  t.equal(await once.connect(), true)
})

t.test('connecting while it waits for its next try does not wait', async (t) => {
  const bot = await startBotServer(t)
  const client = createClient(t, bot.url, { reconnectDelay: 3600, maxReconnectDelay: 3600 })
  bot.refuse(500)
  t.equal(await client.connect(), false)
  await waitFor(() => client.getConnections()[client.uuid]?.state === 'reconnecting')
  t.equal(await client.connect(), true)
  t.equal(await client.connect(), true, 'once more changes nothing')
  t.equal(bot.open(), 1)
})

t.test('what was disconnected stays away until it is connected again', async (t) => {
  const { server, url } = await startServer(t)
  const gone = createCalls<[string, string | undefined]>()
  const client = createClient(t, url, { onDisconnect: gone.call })
  const added = client.addConnection(url, 'other', 'qq')
  t.strictSame(await Promise.all([client.connect(), client.connectTo(added)]), [true, true])
  await client.disconnect(added)
  t.strictSame(await gone.next(), [added, undefined])
  await client.disconnect()
  await waitFor(() => server.getConnectionCount() === 0)
  t.match(client.getConnections(), { [client.uuid]: { state: 'disconnected' }, [added]: { state: 'disconnected' } })
  t.equal(await client.sendMessage(write('x')), false)
  t.equal(server.getStats().network.totalConnections, 2)
  t.equal(await client.connectTo(added), true)
  t.strictSame(Object.keys(client.getActiveConnections()), [added])
  t.equal(await client.connectTo('nowhere'), false)
})

t.test('disconnecting ends a handshake that nobody answers', async (t) => {
  const client = createClient(t, await startSilent(t))
  const connecting = client.connect()
  await client.disconnect()
  t.equal(await connecting, false)
})

t.test('of connecting and disconnecting at once the last counts', async (t) => {
  const bot = await startBotServer(t)
  const client = createClient(t, bot.url, { reconnectDelay: 3600, maxReconnectDelay: 3600 })
  const other = createClient(t, bot.url)
  const stateOf = (): unknown => client.getConnections()[client.uuid]?.state

  const first = client.connect()
  await client.disconnect()
  t.equal(await first, false)
  bot.refuse(500)
  t.equal(await client.connect(), false)
  await waitFor(() => stateOf() === 'reconnecting')
  const second = client.connect()
  await client.disconnect()
  t.equal(await second, false)

  t.equal(await other.connect(), true)
  t.equal(stateOf(), 'disconnected')
  t.equal(client.getStats().successfulConnects, 0)
  t.equal(bot.open(), 1, 'only the other one is there')
})

t.test('finds the best open connection: key and platform, else key, else platform', async (t) => {
  const come = createCalls<[APIMessageBase, ConnectionMetadata]>()
  const { url } = await startServer(t, { onMessage: come.call })
  const client = createClient(t, url, { apiKey: 'main', platform: 'main' })
  const a = client.addConnection(url, 'a', 'qq')
  const b = client.addConnection(url, 'a', 'wechat')
  const c = client.addConnection(url, 'b', 'wechat')
  t.match(a, /^multi_[\da-f]{32}$/)
  await client.connect()
  for (const uuid of [a, b, c]) t.equal(await client.connectTo(uuid), true)
  const cases: [apiKey: string, platform: string, uuid: string | undefined][] = [
    ['a', 'qq', a],
    ['a', 'wechat', b],
    ['b', 'wechat', c],
    ['b', 'qq', c],
    ['a', 'nowhere', a],
    ['nobody', 'wechat', b],
    ['main', 'main', client.uuid],
    ['nobody', 'nowhere', undefined],
    ['', '', undefined]
  ]
  for (const [apiKey, platform, uuid] of cases) {
    t.equal(await client.sendMessage(write('x', apiKey, platform)), uuid !== undefined, `${apiKey} ${platform}`)
    if (uuid) t.equal((await come.next())[1].uuid, uuid)
  }
  await client.disconnect(b)
  await client.sendMessage(write('x', 'nobody', 'wechat'))
  t.equal((await come.next())[1].uuid, c, 'only those that are open count')
  t.equal(await client.removeConnection(c), true)
  t.equal(await client.removeConnection(c), false)
  t.equal(await client.removeConnection(client.uuid), false)
  t.equal(await client.sendMessage(write('x', 'nobody', 'wechat')), false)
  t.strictSame(Object.keys(client.getConnections()), [client.uuid, a, b])
  await t.rejects(client.sendMessage({ ...write('x'), message_segment: undefined as unknown as Seg }), {
    name: 'MessageError'
  })
})

t.test('every connection gives its messages to the same handlers, and says which it is', async (t) => {
  const heard = createCalls<[APIMessageBase, ClientMetadata]>()
  const pings = createCalls<[unknown, ClientMetadata]>()
  const { server, url } = await startServer(t)
  const client = createClient(t, url, { onMessage: heard.call })
  client.registerCustomHandler('ping', pings.call)
  const added = client.addConnection(url, 'other', 'wechat')
  await client.connect()
  await client.connectTo(added)
  await server.sendMessage(write('one', 'key', 'qq'))
  t.match(await heard.next(), [write('one', 'key', 'qq'), { connectionUuid: client.uuid, apiKey: 'key' }])
  await server.sendMessage(write('two', 'other', 'wechat'))
  t.match(await heard.next(), [
    write('two', 'other', 'wechat'),
    { connectionUuid: added, apiKey: 'other', platform: 'wechat' }
  ])
  await server.sendCustomMessage('ping', { n: 1 }, { targetUser: 'other' })
  t.match(
    await pings.next(),
    [{ type: 'custom_ping', payload: { n: 1 } }, { connectionUuid: added }],
    'the whole envelope'
  )
  t.equal(client.unregisterCustomHandler('custom_ping'), true)
})

t.test('custom messages go over the main connection, or the one that is named', async (t) => {
  const heard = createCalls<[{ type?: unknown; payload?: unknown; meta?: unknown }, ConnectionMetadata]>()
  const { url } = await startServer(t, { customHandlers: { note: heard.call } })
  const client = createClient(t, url)
  const added = client.addConnection(url, 'other', 'wechat')
  t.equal(await client.sendCustomMessage('note', 0), false, 'before it is connected')
  await client.connect()
  await client.connectTo(added)
  t.equal(await client.sendCustomMessage('note', { n: 1 }), true)
  t.match(await heard.next(), [
    { type: 'custom_note', payload: { n: 1 }, meta: { sender_user: 'key', platform: 'qq' } },
    { uuid: client.uuid }
  ])
  t.equal(await client.sendCustomMessage('custom_note', { n: 2 }, { connectionUuid: added }), true)
  t.match(await heard.next(), [
    { payload: { n: 2 }, meta: { sender_user: 'other', platform: 'wechat' } },
    { uuid: added }
  ])
  t.equal(await client.sendCustomMessage('note', 0, { connectionUuid: 'nowhere' }), false)
})

t.test('what is sent while it is being dialled again waits, and arrives once and in order', async (t) => {
  const heard: string[] = []
  const first = await startServer(t, { onMessage: (message) => void heard.push(textOf(message)) })
  const client = createClient(t, first.url)
  await client.connect()
  t.equal(await client.sendMessage(write('before')), true)
  await waitFor(() => client.getStats().cachedMessages === 0)
  await first.server.stop()
  await waitFor(() => !client.isConnected())
  for (const text of ['a', 'b', 'c']) t.equal(await client.sendMessage(write(text)), true)
  t.equal(client.getStats().cachedMessages, 3)
  t.equal(await client.sendMessage(write('x', 'nobody', 'nowhere')), false)
  const second = new WebSocketServer({
    host: '127.0.0.1',
    port: Number(new URL(first.url).port),
    onMessage: (message) => void heard.push(textOf(message))
  })
  t.teardown(() => second.stop())
  await second.start()
  await waitFor(() => client.getStats().cachedMessages === 0)
  t.strictSame(heard, ['before', 'a', 'b', 'c'])

  await second.stop()
  await client.stop()
  const forgetful = createClient(t, first.url, { enableMessageCache: false })
  await second.start()
  await forgetful.connect()
  await second.stop()
  await waitFor(() => !forgetful.isConnected())
  t.equal(await forgetful.sendMessage(write('lost')), false)
})

t.test('a message that the server finds too big is given up, and the others arrive', async (t) => {
  const heard: string[] = []
  const { url } = await startServer(t, {
    maxMessageSize: 2000,
    onMessage: (message) => void heard.push(textOf(message))
  })
  const client = createClient(t, url)
  await client.connect()
  await client.sendMessage(write('x'.repeat(3000)))
  await client.sendMessage(write('small'))
  await waitFor(() => heard.length === 1 && client.getStats().cachedMessages === 0)
  t.strictSame(heard, ['small'])
  t.equal(client.getStats().messagesDropped, 1)
})

t.test('a server that does not answer pings is left and dialled again', async (t) => {
  const bot = await startBotServer(t, { autoPong: false })
  const client = createClient(t, bot.url, { pingInterval: 0.02, pingTimeout: 0.02 })
  void client.connect()
  const there = await bot.next()
  t.match(await there.closed, { code: 1011 })
  await bot.next()
  t.pass('and comes back')
})

t.test('largest frames: the default takes what the library sends, a small limit closes with 1009', async (t) => {
  const bot = await startBotServer(t)
  const heard = createCalls<[APIMessageBase]>()
  const client = createClient(t, bot.url, { onMessage: heard.call })
  await client.connect()
  const there = await bot.next()
  there.send(envelope('x'.repeat(20_000_000)))
  t.equal(textOf((await heard.next())[0]).length, 20_000_000)
  const small = createClient(t, bot.url, { maxMessageSize: 500 })
  await small.connect()
  const other = await bot.next()
  other.send(envelope('x'.repeat(500)))
  t.match(await other.closed, { code: 1009 })
})

t.test('stopping closes with 1000, and the client can be started again', async (t) => {
  const bot = await startBotServer(t)
  const client = createClient(t, bot.url)
  client.start()
  t.equal(client.isRunning, true)
  t.equal(client.isConnected(), false, 'starting does not dial')
  await client.connect()
  const there = await bot.next()
  await client.stop()
  t.match(await there.closed, { code: 1000 })
  t.equal(client.isRunning, false)
  t.equal(await client.connect(), true)
})

t.test('the counters, and a callback for them', async (t) => {
  const told = createCalls<[{ connectedCount: number }]>()
  const { url, server } = await startServer(t, { onMessage: () => {} })
  const client = createClient(t, url, { statsCallback: told.call, statsInterval: 0.01, onMessage: () => {} })
  await client.connect()
  await client.sendMessage(write('a'))
  await server.sendMessage(write('b'))
  await waitFor(() => client.getStats().cachedMessages === 0 && client.getStats().messagesProcessed === 1)
  const { network, ...stats } = client.getStats()
  t.strictSame(stats, {
    connectAttempts: 1,
    successfulConnects: 1,
    failedConnects: 0,
    reconnectAttempts: 0,
    messagesReceived: 1,
    messagesSent: 1,
    messagesProcessed: 1,
    customMessagesProcessed: 0,
    activeHandlerTasks: 0,
    duplicateMessagesIgnored: 0,
    cachedMessages: 0,
    messagesRepeated: 0,
    messagesDropped: 0,
    connectionUuid: client.uuid,
    connected: true,
    lastError: undefined,
    connectedCount: 1
  })
  t.match(network, {
    totalConnections: 1,
    currentConnections: 1,
    messagesReceived: 1,
    messagesSent: 1,
    reconnectAttempts: 0
  })
  t.match(await told.next(), [{ connectedCount: Number }])
})

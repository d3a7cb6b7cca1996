import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocketServer, type WebSocket } from 'ws'
import {
  MessageClient,
  MessageServer,
  Router,
  Seg,
  type LegacyState,
  type MessageBase,
  type MessageClientOptions
} from '../../sdk/src/index.ts'
import { makeCertificates } from '../helpers/certificates.ts'

const retry = { firstMs: 4, maxMs: 32 }

/** A server whose port can be used again by the next one. */
async function startServer(t: Test, options: ConstructorParameters<typeof MessageServer>[0] = {}) {
  const server = new MessageServer({ host: '127.0.0.1', port: 0, ...options })
  await server.start()
  t.teardown(() => server.stop())
  const port = server.address?.port ?? 0
  return { server, port, url: `ws://127.0.0.1:${port}/ws` }
}

function startClient(t: Test, url: string, options: Partial<MessageClientOptions> = {}) {
  const states: LegacyState[] = []
  const heard: unknown[] = []
  let wake = (): void => {}
  const client = new MessageClient({
    url,
    platform: 'qq',
    retry,
    onState(state) {
      states.push(state)
      wake()
    },
    ...options
  })
  client.registerMessageHandler(({ message_segment }) => {
    heard.push(message_segment.data)
    wake()
  })
  t.teardown(() => client.stop())
  return {
    client,
    states,
    heard,
    until: async (isTrue: () => boolean): Promise<void> => {
      while (!isTrue()) await new Promise<void>((resolve) => (wake = resolve))
    }
  }
}

const message = (platform: string, words: string): MessageBase => ({
  message_info: { platform, message_id: 'm1', time: 1_700_000_000 },
  message_segment: Seg.text(words)
})

t.test('shows its platform and its token as they are', async (t) => {
  const http = createServer()
  const sockets = new WebSocketServer({ server: http })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate()
    http.close()
  })
  const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`
  const rows: [options: Partial<MessageClientOptions>, headers: Record<string, string | undefined>][] = [
    [{ token: 'secret' }, { platform: 'qq', authorization: 'secret', 'sec-websocket-extensions': undefined }],
    [{ platform: '微信' }, { platform: Buffer.from('微信').toString('latin1'), authorization: undefined }],
    [{ compress: true }, { 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits' }]
  ]
  for (const [options, headers] of rows) {
    const asked = once(sockets, 'connection')
    const { client } = startClient(t, url, options)
    t.equal(await client.connect(), true)
    const [, request] = (await asked) as [WebSocket, IncomingMessage]
    for (const [name, value] of Object.entries(headers)) t.equal(request.headers[name], value, name)
    await client.stop()
  }
})

t.test('messages and custom messages go both ways', async (t) => {
  const { server, url } = await startServer(t)
  const said: unknown[] = []
  let wake = (): void => {}
  server.registerMessageHandler(({ message_segment }, { platform }) => void said.push([platform, message_segment.data]))
  server.registerCustomMessageHandler('echo', ({ content, platform }) => {
    said.push([platform, content])
    wake()
  })
  const { client, heard, until } = startClient(t, url)
  t.equal(client.sendMessage(message('qq', 'too early')), false)
  t.equal(await client.connect(), true)
  t.equal(await client.connect(), true, 'asked again it is still so')
  const done = new Promise<void>((resolve) => (wake = resolve))
  t.equal(client.sendMessage(message('other', 'hi')), true)
  t.equal(client.sendCustomMessage('echo', { a: 1 }), true)
  await done
  t.strictSame(said, [
    ['qq', 'hi'],
    ['qq', { a: 1 }]
  ])

  const custom = new Promise((resolve) =>
    client.registerCustomMessageHandler('notice', ({ content }) => resolve(content))
  )
  server.sendMessage(message('qq', 'back'))
  server.sendCustomMessage('qq', 'notice', 'look')
  await until(() => heard.length === 1)
  t.strictSame(heard, ['back'])
  t.equal(await custom, 'look')
  t.match(client.getStats(), {
    connected: true,
    successfulConnects: 1,
    failedConnects: 0,
    messagesReceived: 1,
    customMessagesReceived: 1,
    messagesSent: 2,
    lastError: undefined
  })
})

t.test('a refused token is told, and tried ever more rarely', async (t) => {
  const { server, url } = await startServer(t, { tokens: ['right'] })
  const { client, states, until } = startClient(t, url, { token: 'wrong' })
  t.equal(await client.connect(), false)
  t.equal(client.lastError, 'token: the server does not take it')
  t.equal(client.isConnected, false)
  const refusals = () => states.flatMap((state) => (state.state === 'refused' ? [state.waitMs] : []))
  await until(() => refusals().length === 6)
  t.notOk(states.some(({ state }) => state === 'closed'))
  t.ok(Math.min(...refusals().slice(3)) >= 16, refusals().join())
  t.match(client.getStats(), { failedConnects: Number, lastError: /token/ })
  t.ok(client.getStats().failedConnects >= 6)

  server.addValidToken('wrong')
  await until(() => states.at(-1)?.state === 'open')
  t.equal(await client.connect(), true)
  t.equal(client.lastError, undefined)
})

t.test('dials for ever: while nobody listens, and after every close', async (t) => {
  const { server, port, url } = await startServer(t)
  await server.stop()
  const { client, states, heard, until } = startClient(t, url)
  t.equal(await client.connect(), false)
  t.match(client.lastError, /ECONNREFUSED/)
  await until(() => states.length >= 3)
  for (const round of [1, 2, 3]) {
    const { server } = await startServer(t, { port })
    await until(() => states.at(-1)?.state === 'open')
    server.sendMessage(message('qq', `round ${round}`))
    await until(() => heard.length === round)
    await server.stop()
    await until(() => states.at(-1)?.state === 'closed')
  }
  t.strictSame(heard, ['round 1', 'round 2', 'round 3'])
})

t.test('being replaced by a program of the same name is a reason to dial again', async (t) => {
  const { server, url } = await startServer(t)
  const { client, states, until } = startClient(t, url, { retry: { firstMs: 60_000, maxMs: 60_000 } })
  await client.connect()
  const second = startClient(t, url)
  t.equal(await second.client.connect(), true)
  await until(() => states.at(-1)?.state === 'closed')
  t.match(states.at(-1), { state: 'closed', why: /1000 新的连接已建立/ })
  t.equal(server.isConnected('qq'), true)
})

t.test('a server that answers no pings is given up and dialled again', async (t) => {
  // It takes the handshake, and then is silent.
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong: false })
  await once(sockets, 'listening')
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate()
    sockets.close()
  })
  const url = `ws://127.0.0.1:${(sockets.address() as AddressInfo).port}`
  const { client, states, until } = startClient(t, url, { pingIntervalMs: 20, pingTimeoutMs: 20 })
  t.equal(await client.connect(), false)
  await until(() => states.filter(({ state }) => state === 'open').length === 2)
})

t.test('stopping closes with 1000, ends the waits, and a client can be connected again', async (t) => {
  const closes: number[] = []
  const { server, url } = await startServer(t, { onDisconnect: (_connection, code) => closes.push(code) })
  const { client } = startClient(t, url)
  await client.connect()
  await client.stop()
  t.strictSame(closes, [1000])
  t.equal(client.sendMessage(message('qq', 'x')), false)
  t.equal(await client.connect(), true)
  t.equal(server.isConnected('qq'), true)

  const silent = createTcpServer((stream) => stream.on('error', () => {}))
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  const stuck = startClient(t, `ws://127.0.0.1:${(silent.address() as AddressInfo).port}`)
  const connecting = stuck.client.connect()
  await once(silent, 'connection')
  await stuck.client.stop()
  t.equal(await connecting, false)
})

t.test('addresses that cannot be dialled are told at once', (t) => {
  for (const url of ['', 'localhost:8000', 'http://localhost/ws', 'ws://'])
    t.throws(() => new MessageClient({ url }), { name: 'TypeError', message: /^url: expected .* ws:\/\// })
  t.throws(() => new Router({ qq: { url: 'x' } }), /url: expected/)
  t.end()
})

t.test('over TLS the certificate counts', async (t) => {
  const { ca, strangeCa, server: own } = await makeCertificates(t)
  const { port } = await startServer(t, { tls: { cert: own.cert, key: own.key } })
  const url = `wss://localhost:${port}/ws`
  const rows: [tls: MessageClientOptions['tls'], isIn: boolean][] = [
    [{ ca: ca.certFile }, true],
    [{ verify: false }, true],
    [undefined, false],
    [{ ca: strangeCa.certFile }, false]
  ]
  for (const [tls, isIn] of rows) {
    const { client } = startClient(t, url, tls && { tls })
    t.equal(await client.connect(), isIn)
    if (!isIn) t.match(client.lastError, /certificate/)
    await client.stop()
  }
})

t.test('a router keeps one connection per platform, and sends by the platform of the message', async (t) => {
  const one = await startServer(t, { tokens: ['for qq'] })
  const two = await startServer(t)
  const heard: unknown[] = []
  let wake = (): void => {}
  for (const { server } of [one, two])
    server.registerMessageHandler(({ message_segment }, { platform }) => {
      heard.push([platform, message_segment.data])
      wake()
    })
  const router = new Router(
    { qq: { url: one.url, token: 'for qq' }, wechat: { url: two.url }, bad: { url: one.url, token: 'no' } },
    { retry }
  )
  t.teardown(() => router.stop())
  t.strictSame(await router.run(), { qq: true, wechat: true, bad: false })
  t.strictSame(router.platforms, ['qq', 'wechat', 'bad'])
  t.match(router.lastError('bad'), /token/)
  t.equal(router.sendMessage(message('qq', 'to one')), true)
  t.equal(router.sendMessage(message('wechat', 'to two')), true)
  t.equal(router.sendMessage(message('nobody', 'x')), false)
  while (heard.length < 2) await new Promise<void>((resolve) => (wake = resolve))
  t.strictSame(
    new Set(heard),
    new Set([
      ['qq', 'to one'],
      ['wechat', 'to two']
    ])
  )

  const back: unknown[] = []
  const both = new Promise<void>((resolve) => {
    router.registerClassHandler(({ message_segment }, { platform }) => {
      back.push([platform, message_segment.data])
    })
    router.registerCustomMessageHandler('note', ({ content }, { platform }) => {
      back.push([platform, content])
      if (back.length === 2) resolve()
    })
  })
  one.server.sendMessage(message('qq', 'back'))
  one.server.sendCustomMessage('qq', 'note', 1)
  await both
  t.strictSame(back, [
    ['qq', 'back'],
    ['qq', 1]
  ])
  t.equal(router.sendCustomMessage('wechat', 'note', {}), true)
  t.equal(router.sendCustomMessage('nobody', 'note', {}), false)

  t.equal(await router.removePlatform('wechat'), true)
  t.equal(await router.removePlatform('wechat'), false)
  t.equal(router.sendMessage(message('wechat', 'x')), false)
  await router.addPlatform('qq', { url: two.url })
  while (!two.server.isConnected('qq')) await new Promise((resolve) => setTimeout(resolve, 5))
  t.equal(one.server.isConnected('qq'), false)
  await router.stop()
  t.equal(router.isConnected('qq'), false)
})

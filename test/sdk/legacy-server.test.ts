import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket, type ClientOptions } from 'ws'
import { MessageServer, Seg, type MessageBase, type MessageServerOptions } from '../../sdk/src/index.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'

interface Started {
  readonly server: MessageServer
  readonly url: string
  readonly open: (headers?: Record<string, string>, options?: ClientOptions) => Promise<TestSocket>
  /** Sends a frame that is understood, and waits until it was handled: everything before it was, too. */
  readonly settle: (client: TestSocket) => Promise<void>
  readonly heard: MessageBase[]
  readonly dropped: string[]
  readonly errors: unknown[]
}

async function start(t: Test, options: MessageServerOptions = {}): Promise<Started> {
  const heard: MessageBase[] = []
  const dropped: string[] = []
  const errors: unknown[] = []
  let wake = (_name: string): void => {}
  const server = new MessageServer({
    host: '127.0.0.1',
    port: 0,
    onDropped: (why) => dropped.push(why),
    onError: (err) => errors.push(err),
    ...options
  })
  server.registerMessageHandler((message) => void heard.push(message))
  server.registerCustomMessageHandler('settle', () => wake('settle'))
  await server.start()
  t.teardown(() => server.stop())
  const url = `ws://127.0.0.1:${server.address?.port}/ws`
  return {
    server,
    url,
    heard,
    dropped,
    errors,
    open: (headers = {}, options = {}) => openSocket(t, url, { ...options, headers }),
    async settle(client) {
      const settled = new Promise((resolve) => (wake = resolve))
      client.send({ message_type_name: 'settle', is_custom_message: true })
      await settled
      // Promises of the handlers before it end in the same turn.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

/** Waits for the answer to a ping: a server that wanted to send us away has done so before it. */
async function isStillIn(client: TestSocket): Promise<boolean> {
  client.socket.ping()
  return Promise.race([once(client.socket, 'pong').then(() => true), client.closed.then(() => false)])
}

const message = (platform: string, words: string): MessageBase => ({
  message_info: { platform, message_id: 'm1', time: 1_700_000_000.5 },
  message_segment: Seg.list([Seg.text(words)])
})

t.test('messages go both ways, by the rules of the wire', async (t) => {
  const { server, open, heard, settle } = await start(t)
  const qq = await open({ platform: 'qq' })
  qq.send({
    message_info: { platform: 'qq', message_id: 7, user_info: { user_id: 1 }, group_info: {}, strange: 1 },
    message_segment: { type: 'seglist', data: [{ type: 'odd', data: { x: [1] } }] },
    raw_message: ''
  })
  await settle(qq)
  t.match(heard, [
    {
      message_info: { platform: 'qq', message_id: 7, user_info: { user_id: 1, user_nickname: null }, group_info: null },
      message_segment: { type: 'seglist', data: [{ type: 'odd', data: { x: [1] } }] },
      raw_message: ''
    }
  ])
  t.equal(server.sendMessage({ ...message('qq', 'hi'), raw_message: null }), true)
  t.equal(
    await qq.nextText(),
    '{"message_info":{"platform":"qq","message_id":"m1","time":1700000000.5},"message_segment":{"type":"seglist","data":[{"type":"text","data":"hi"}]}}'
  )
  t.equal(server.sendMessage(message('wechat', 'hi')), false, 'nobody is there')
  t.equal(server.sendMessage({ message_info: {}, message_segment: Seg.text('hi') }), false, 'for nobody')
})

t.test('custom messages are known by their mark, or by a name that somebody listens to', async (t) => {
  const { server, open, heard, dropped, settle } = await start(t)
  const custom: unknown[] = []
  const undo = server.registerCustomMessageHandler('echo', (got, { platform, text }) => {
    custom.push([got.content, platform, JSON.parse(text).timestamp])
  })
  const qq = await open({ platform: 'qq' })
  qq.send({ message_type_name: 'echo', content: 1, is_custom_message: true, timestamp: 3.5 })
  qq.send({ message_type_name: 'echo', content: 2 })
  qq.send({ message_type_name: 'other', content: 3, is_custom_message: true })
  qq.send({ message_type_name: 'other', content: 4 })
  await settle(qq)
  t.strictSame(custom, [
    [1, 'qq', 3.5],
    [2, 'qq', undefined]
  ])
  t.equal(heard.length, 1, 'what is not marked and has no known name is a message')
  t.strictSame(dropped, ['message_type_name: nobody listens to "other"'])
  undo()
  qq.send({ message_type_name: 'echo', content: 5, is_custom_message: true })
  await settle(qq)
  t.equal(custom.length, 2)

  t.equal(server.sendCustomMessage('qq', 'command_response', { success: true }), true)
  t.match(await qq.next(), {
    platform: 'qq',
    message_type_name: 'command_response',
    content: { success: true },
    timestamp: Number,
    is_custom_message: true
  })
})

t.test('what is no message is passed over, and the connection stays', async (t) => {
  const { open, heard, dropped, errors, settle } = await start(t)
  const client = await open()
  const rows: [frame: string | Buffer, why: string | undefined][] = [
    ['', 'frame: empty'],
    ['{', 'frame: expected JSON'],
    ['NaN', 'frame: expected JSON'],
    ['[]', 'frame: expected a JSON object'],
    ['"text"', 'frame: expected a JSON object'],
    ['5', 'frame: expected a JSON object'],
    ['null', 'frame: expected a JSON object'],
    ['{}', undefined],
    ['{"message_info":null}', 'message_info: expected an object'],
    ['{"message_segment":{"type":"seglist","data":null}}', 'message_segment.data: expected a list of segments'],
    ['{"message_segment":{"type":"seglist","data":[1]}}', 'message_segment.data[0]: expected an object'],
    [`{"message_segment":${'{"type":"seglist","data":['.repeat(80)}${']}'.repeat(80)}}`, 'nested too deeply'],
    ['{"__proto__":{"message_info":1},"constructor":1}', undefined],
    [Buffer.from('{"message_info":{"message_id":"é"}}'), undefined],
    [Buffer.from('[]'), 'frame: expected a JSON object']
  ]
  for (const [frame, why] of rows) {
    dropped.length = 0
    const before = heard.length
    client.socket.send(frame)
    await settle(client)
    if (why === undefined) t.equal(heard.length, before + 1, String(frame))
    else t.match(dropped, [why], String(frame).slice(0, 60))
    t.equal(dropped.length, why === undefined ? 0 : 1)
  }
  t.equal(errors.length, 0)
})

t.test('a binary frame that holds no JSON text ends the connection with 1003', async (t) => {
  for (const bytes of [Buffer.from([0xff, 0xfe]), Buffer.from('hello'), Buffer.alloc(0)]) {
    const { open } = await start(t)
    const client = await open()
    client.socket.send(bytes, { binary: true })
    t.match(await client.closed, { code: 1003 })
  }
})

t.test('without a platform the connection is "default", and can be reached by that name', async (t) => {
  const { server, open } = await start(t)
  const client = await open()
  t.equal(server.isConnected('default'), true)
  t.equal(server.sendMessage(message('default', 'hi')), true)
  t.match(await client.next(), { message_info: { platform: 'default' } })
  const chinese = await open({ platform: Buffer.from('微信').toString('latin1') })
  t.equal(server.sendMessage(message('微信', 'hi')), true)
  t.match(await chinese.next(), { message_info: { platform: '微信' } })
})

t.test('a token is compared as it is, after the handshake, before anything is read', async (t) => {
  const { server, open, heard, url } = await start(t, { tokens: ['right', 'other', 'gültig'] })
  const good = await open({ platform: 'qq', authorization: 'right' })
  const utf8 = Buffer.from('gültig').toString('latin1')
  for (const authorization of ['wrong', 'Bearer right', 'Right', ' ', 'right2', undefined]) {
    const socket = new WebSocket(url, { headers: { platform: 'qq', ...(authorization && { authorization }) } })
    socket.on('open', () => socket.send('{"message_info":{}}'))
    const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
    t.strictSame([code, String(reason)], [1008, 'Invalid or missing token'], `${authorization}`)
  }
  t.equal(await isStillIn(good), true, 'a bad token does not put anybody out')
  t.equal(heard.length, 0)
  t.equal(server.getStats().refusedConnections, 6)
  t.equal(await isStillIn(await open({ platform: 'b', authorization: utf8 })), true)

  t.equal(server.verifyToken('other'), true)
  server.removeValidToken('other')
  t.equal(server.verifyToken('other'), false)
  t.match(await (await open({ platform: 'c', authorization: 'other' })).closed, { code: 1008 })
  server.addValidToken('new')
  t.equal(await isStillIn(await open({ platform: 'c', authorization: 'new' })), true)
})

t.test('where tokens are wanted and there are none, nobody gets in', async (t) => {
  const { open } = await start(t, { tokens: [] })
  t.match(await (await open({ authorization: 'x' })).closed, { code: 1008 })
})

t.test(
  'of one platform the newest connection counts, and the late close of the old one does not touch it',
  async (t) => {
    const gone: string[] = []
    const { server, open } = await start(t, { onDisconnect: ({ platform }, code) => gone.push(`${platform} ${code}`) })
    const old = await open({ platform: 'qq' })
    const fresh = await open({ platform: 'qq' })
    t.strictSame(await old.closed, { code: 1000, reason: '新的连接已建立' })
    t.equal(server.sendMessage(message('qq', 'for the new one')), true)
    t.match(await fresh.next(), message('qq', 'for the new one'))
    t.strictSame(gone, ['qq 1000'])
    t.match(server.getStats(), { currentConnections: 1, totalConnections: 2, replacedConnections: 1 })
  }
)

t.test('broadcasts reach everybody, or one platform, whatever the message says', async (t) => {
  const { server, open } = await start(t)
  const a = await open({ platform: 'a' })
  const b = await open({ platform: 'b' })
  t.strictSame(server.broadcastMessage(message('x', 'all')), { a: true, b: true })
  for (const client of [a, b]) t.match(await client.next(), { message_info: { platform: 'x' } })
  t.equal(server.broadcastToPlatform('b', message('x', 'one')), true)
  t.match(await b.next(), message('x', 'one'))
  t.strictSame(a.waiting(), [])
  t.equal(server.broadcastToPlatform('c', message('x', 'none')), false)
})

t.test('a handler that fails disturbs neither the others nor the connection', async (t) => {
  const { server, open, errors, heard, settle } = await start(t)
  server.registerMessageHandler(() => {
    throw new Error('thrown')
  })
  server.registerMessageHandler(async () => Promise.reject(new Error('rejected')))
  const last: unknown[] = []
  server.registerMessageHandler(({ message_info }) => void last.push(message_info.message_id))
  const client = await open()
  for (const id of [1, 2, 3]) client.send({ message_info: { message_id: id } })
  await settle(client)
  t.strictSame(last, [1, 2, 3])
  t.equal(heard.length, 3)
  t.strictSame(errors.map((err) => (err as Error).message).toSorted(), [
    'rejected',
    'rejected',
    'rejected',
    'thrown',
    'thrown',
    'thrown'
  ])
})

t.test('messages are handled in order, and a peer that is faster than the handlers waits', async (t) => {
  const { server, open } = await start(t)
  const order: number[] = []
  let running = 0
  let most = 0
  let done = (): void => {}
  const finished = new Promise<void>((resolve) => (done = resolve))
  server.registerMessageHandler(async ({ message_info: { message_id: id } }) => {
    order.push(Number(id))
    most = Math.max(most, ++running)
    await new Promise((resolve) => setTimeout(resolve, 1))
    running--
    if (id === 2999) done()
  })
  const client = await open()
  for (let id = 0; id < 3000; id++) client.send({ message_info: { message_id: id } })
  await finished
  t.strictSame(
    order,
    Array.from({ length: 3000 }, (_, id) => id)
  )
  t.ok(most >= 256 && most < 2000, `${most} at a time: what one read has brought is still taken`)
})

t.test('a frame of the largest size is taken, one byte more ends the connection with 1009', async (t) => {
  const frameOf = (size: number): string => {
    const text = '{"raw_message":""}'
    return text.replace('""', `"${'x'.repeat(size - text.length)}"`)
  }
  const { open, heard, settle } = await start(t, { maxFrame: 1000 })
  const client = await open()
  client.send(frameOf(1000))
  await settle(client)
  t.equal(heard.length, 1)
  client.send(frameOf(1001))
  t.match(await client.closed, { code: 1009 })
})

t.test('without more ado the largest frame is 100 MiB', async (t) => {
  const { open, heard, settle } = await start(t)
  const client = await open()
  client.send(`{"raw_message":"${'x'.repeat(104_857_600 - 18)}"}`)
  await settle(client)
  t.equal(heard[0]?.raw_message?.length, 104_857_600 - 18)
})

t.test('a peer that does not answer pings is closed with 1011, one that does stays', async (t) => {
  const { open } = await start(t, { pingIntervalMs: 20, pingTimeoutMs: 40 })
  const silent = await open({ platform: 'silent' }, { autoPong: false })
  const lively = await open({ platform: 'lively' })
  t.strictSame(await silent.closed, { code: 1011, reason: 'keepalive ping timeout' })
  t.equal(await isStillIn(lively), true)
})

t.test('stopping closes everybody with 1001 and frees the port; a server can be started again', async (t) => {
  const { server, open, url } = await start(t)
  const client = await open()
  t.equal(server.isRunning, true)
  await server.stop()
  t.strictSame(await client.closed, { code: 1001, reason: 'server shutdown' })
  t.equal(server.isRunning, false)
  t.equal(server.address, undefined)
  await t.rejects(openSocket(t, url), { code: 'ECONNREFUSED' })
  await server.stop()
  await server.start()
  await t.rejects(server.start(), /runs already/)
  t.ok(server.address)
})

t.test('a port that is taken is told, and can be tried again', async (t) => {
  const { server } = await start(t)
  const second = new MessageServer({ host: '127.0.0.1', port: server.address?.port ?? 0 })
  await t.rejects(second.start(), { code: 'EADDRINUSE' })
  t.equal(second.isRunning, false)
  await server.stop()
  await second.start()
  await second.stop()
})

t.test('the path may end with a slash; at others there is nothing', async (t) => {
  const { url } = await start(t)
  t.equal(await isStillIn(await openSocket(t, `${url}/`)), true)
  t.equal(await isStillIn(await openSocket(t, `${url}?token=x`)), true)
  await t.rejects(openSocket(t, `${url}x`), /refused with 404/)
  t.equal((await fetch(url.replace('ws:', 'http:'))).status, 404)
})

t.test('takes sockets from a server of the program, and leaves its other paths alone', async (t) => {
  const http = createServer((_request, response) => response.end('mine'))
  http.on('upgrade', (request, stream) => {
    if (request.url === '/mine') stream.end('HTTP/1.1 418 Mine\r\nContent-Length: 0\r\n\r\n')
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.teardown(() => http.close())
  const { port } = http.address() as AddressInfo
  const server = new MessageServer({ server: http, path: '/maim' })
  await server.start()
  t.equal(server.address?.port, port)
  const client = await openSocket(t, `ws://127.0.0.1:${port}/maim`)
  await t.rejects(openSocket(t, `ws://127.0.0.1:${port}/mine`), /refused with 418/)
  await server.stop()
  t.match(await client.closed, { code: 1001 })
  t.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'mine')
})

t.test('a slow reader does not fill the memory: what is too much for it is not sent', async (t) => {
  const { server, open } = await start(t, { maxQueuedBytes: 100_000 })
  const slow = await open({ platform: 'slow' })
  slow.socket.pause()
  const long = message('slow', 'x'.repeat(50_000))
  let sent = 0
  while (server.sendMessage(long)) sent++
  t.ok(sent > 1 && sent < 1000, `${sent} were sent`)
  slow.socket.resume()
  for (let index = 0; index < sent; index++) await slow.next()
  t.equal(server.sendMessage(long), true)
})

t.test('the counters', async (t) => {
  const { server, open, settle } = await start(t)
  const client = await open({ platform: 'qq' })
  client.send('{"message_info":{}}')
  await settle(client)
  server.sendMessage(message('qq', 'hi'))
  const received = (await client.nextText()).length
  t.strictSame(server.getStats(), {
    currentConnections: 1,
    totalConnections: 1,
    refusedConnections: 0,
    replacedConnections: 0,
    messagesReceived: 1,
    customMessagesReceived: 1,
    messagesSent: 1,
    bytesReceived: 19 + 55,
    bytesSent: received
  })
  t.match(server.getConnections(), [{ platform: 'qq', address: '127.0.0.1', connectedAt: Number }])
})

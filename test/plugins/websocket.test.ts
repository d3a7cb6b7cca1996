import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { startApp, type Running } from '../helpers/app.ts'
import { openSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'

interface RawClient {
  readonly socket: Socket
  /** Everything up to and including the first text that fits; waits for it. */
  readonly until: (pattern: RegExp) => Promise<string>
  readonly ended: Promise<unknown>
}

/** A TCP connection, for requests that no HTTP client makes. */
async function dial(t: Test, app: Running): Promise<RawClient> {
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1')
  let received = ''
  let wake = (): void => {}
  socket.setEncoding('utf8')
  socket.on('error', () => {})
  socket.on('data', (text: string) => {
    received += text
    wake()
  })
  const ended = once(socket, 'close')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return {
    socket,
    ended,
    async until(pattern) {
      for (;;) {
        const match = pattern.exec(received)
        if (match) {
          const end = match.index + match[0].length
          const text = received.slice(0, end)
          received = received.slice(end)
          return text
        }
        await new Promise<void>((resolve) => (wake = resolve))
      }
    }
  }
}

const OFFER =
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n'

function head(lines: string, body: string): string {
  const fixed = 'Host: localhost\r\nAuthorization: Bearer token-one\r\nContent-Type: application/json\r\n'
  return `POST /get_friend_info HTTP/1.1\r\n${fixed}${lines}Content-Length: ${body.length}\r\n\r\n`
}

const BODY = '{"user_id":10002}'
const GOOD = /^HTTP\/1\.1 200 OK\r\n[^]*"user_id":10002[^]*\}\}$/

t.test('a POST that offers HTTP/2 is served as plain HTTP/1.1', async (t) => {
  const app = await startApp(t)

  t.test('with the body in the same packet', async (t) => {
    const client = await dial(t, app)
    client.socket.write(head(OFFER, BODY) + BODY)
    t.match(await client.until(GOOD), GOOD)
    client.socket.write(head(OFFER, BODY) + BODY)
    t.match(await client.until(GOOD), GOOD, 'and again on the same connection')
    client.socket.write(head('', BODY) + BODY)
    t.match(await client.until(GOOD), GOOD, 'and then one without the offer')
  })

  t.test('with the body in later packets', async (t) => {
    const client = await dial(t, app)
    await new Promise<void>((resolve) => client.socket.write(head(OFFER, BODY), () => resolve()))
    // An answer on another connection: by then the head has been read.
    t.equal((await app.call('token-one', 'get_login_info')).status, 'ok')
    client.socket.write(BODY.slice(0, 5))
    t.equal((await app.call('token-one', 'get_login_info')).status, 'ok')
    client.socket.write(BODY.slice(5))
    t.match(await client.until(GOOD), GOOD)
  })

  t.test('with a chunked body, other offers and other cases', async (t) => {
    const client = await dial(t, app)
    const fixed = 'host: localhost\r\nauthorization: Bearer token-one\r\ncontent-type: application/json\r\n'
    const chunked = `transfer-encoding: chunked\r\n\r\n${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`
    client.socket.write(`POST /get_friend_info HTTP/1.1\r\n${fixed}CONNECTION: upgrade\r\nUPGRADE: H2C\r\n${chunked}`)
    t.match(await client.until(GOOD), GOOD)
    client.socket.write(head('Connection: Upgrade\r\nUpgrade: websocket\r\n', BODY) + BODY)
    t.match(await client.until(GOOD), GOOD, 'a POST cannot become a WebSocket')
    client.socket.write(head('Connection: upgrade, close\r\nUpgrade: TLS/1.2\r\n', BODY) + BODY)
    t.match(await client.until(GOOD), /connection: close/i)
    await client.ended
  })

  t.test('with the errors that it has without the offer', async (t) => {
    const client = await dial(t, app)
    client.socket.write(head(OFFER, '{}') + '{}')
    t.match(await client.until(/\}$/), /^HTTP\/1\.1 400 [^]*"retcode":-400/)
    client.socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\n${OFFER}\r\n`)
    t.match(await client.until(/\]\}$/), /^HTTP\/1\.1 200 [^]*"name":"lactea"/)
  })
})

const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

t.test('a handshake that leads nowhere gets an HTTP answer, and the connection ends', async (t) => {
  const app = await startApp(t)
  const rows: [label: string, request: string, status: number][] = [
    ['no such path', `GET /nothing HTTP/1.1\r\nHost: x\r\n${HANDSHAKE}\r\n`, 404],
    ['a path without a WebSocket', `GET /health HTTP/1.1\r\nHost: x\r\n${HANDSHAKE}\r\n`, 404],
    ['no token', `GET / HTTP/1.1\r\nHost: x\r\n${HANDSHAKE}\r\n`, 401],
    ['a wrong token', `GET /?access_token=x HTTP/1.1\r\nHost: x\r\n${HANDSHAKE}\r\n`, 403],
    [
      'no key',
      'GET /?access_token=token-one HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n',
      400
    ],
    [
      'an unknown version',
      `GET /?access_token=token-one HTTP/1.1\r\nHost: x\r\n${HANDSHAKE.replace('13', '99')}\r\n`,
      400
    ]
  ]
  for (const [label, request, status] of rows) {
    const client = await dial(t, app)
    client.socket.write(request)
    t.match(await client.until(/^HTTP\/1\.1 \d+ /), `HTTP/1.1 ${status} `, label)
    await client.ended
  }
  const good = await dial(t, app)
  good.socket.write(`GET /?access_token=token-one HTTP/1.1\r\nHost: x\r\n${HANDSHAKE}\r\n`)
  t.match(await good.until(/\r\n\r\n/), /^HTTP\/1\.1 101 [^]*Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/)
})

t.test('permessage-deflate is not agreed to', async (t) => {
  const app = await startApp(t)
  const bot = await openSocket(t, `${app.ws}/?access_token=token-one`, { perMessageDeflate: true })
  t.equal(bot.socket.extensions, '')
})

t.test('a client that breaks off in the handshake does no harm', async (t) => {
  const app = await startApp(t)
  for (const request of [`GET / HTTP/1.1\r\nHost: x\r\n${HANDSHAKE}\r\n`, head(OFFER, BODY)]) {
    const client = await dial(t, app)
    client.socket.write(request)
    client.socket.resetAndDestroy()
    await client.ended
  }
  t.equal((await app.call('token-one', 'get_login_info')).status, 'ok')
})

t.test(
  'while shutting down: handshakes are answered with 503, open sockets end with 1001, nothing hangs',
  async (t) => {
    const app = await startApp(t)
    const bot = await openSocket(t, `${app.ws}/?access_token=token-one`)
    const late = await dial(t, app)
    // A call that is under way holds the shutdown where we want to look at it.
    const release = app.lactea.gateway.store.holdWrites()
    bot.send({ action: 'set_group_name', params: { group_id: 100001, name: 'Late' }, echo: 'slow' })
    bot.send({ action: 'get_login_info', echo: 'quick' })
    t.match(await bot.next(), { data: { echo: 'quick' } })
    const closing = app.lactea.app.close()
    late.socket.write(`GET /?access_token=token-one HTTP/1.1\r\nHost: x\r\n${HANDSHAKE}\r\n`)
    t.match(await late.until(/^HTTP\/1\.1 [^]*\}\n/), /^HTTP\/1\.1 503 [^]*"retcode":-503/)
    await late.ended
    release()
    t.match(await bot.find((frame) => frame.post_type === 'action_response'), { data: { status: 'ok', echo: 'slow' } })
    t.match(await bot.closed, { code: 1001 })
    await closing
  }
)

t.test('at shutdown a client that does not answer the close is cut off', async (t) => {
  const app = await startApp(t)
  const bot = await openSocket(t, `${app.ws}/?access_token=token-one`)
  bot.socket.pause()
  await app.lactea.app.close()
  t.equal(app.lactea.app.websocketServer.clients.size, 0)
})

t.test('what a handshake was made of goes, while its socket stays', async (t) => {
  const app = await startApp(t)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const requests: WeakRef<IncomingMessage>[] = []
  app.lactea.app.server.prependListener('upgrade', (request: IncomingMessage) => requests.push(new WeakRef(request)))
  const sockets = []
  for (const path of ['/', '/event']) sockets.push(await openSocket(t, `${app.ws}${path}?access_token=token-one`))
  t.equal(requests.length, 2)
  await waitFor(async () => {
    collect()
    return requests.every((request) => request.deref() === undefined)
  })
  for (const { socket } of sockets) t.equal(socket.readyState, socket.OPEN)
})

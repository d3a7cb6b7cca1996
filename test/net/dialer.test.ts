import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocketServer, type WebSocket } from 'ws'
import { startDialer, type DialerOptions, type DialState } from '../../sdk/src/dialer.ts'

/** The waits between tries do not keep a process alive; in the gateway its server does. */
function keepAlive(t: Test): void {
  const timer = setInterval(() => {}, 60_000)
  t.teardown(() => clearInterval(timer))
}

/** A server that lets in or refuses as told, and a dialer that keeps calling it. */
async function start(t: Test, options: Partial<DialerOptions> = {}) {
  keepAlive(t)
  const http = createServer()
  const server = new WebSocketServer({ noServer: true })
  const handshakes: (number | ((socket: WebSocket) => void))[] = []
  let most = 0
  http.on('upgrade', (request, stream, head) => {
    const how = handshakes.shift()
    if (typeof how === 'number') return void stream.end(`HTTP/1.1 ${how} No\r\nContent-Length: 0\r\n\r\n`)
    server.handleUpgrade(request, stream, head, (socket: WebSocket) => {
      most = Math.max(most, server.clients.size)
      how?.(socket)
    })
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/`
  const states: DialState[] = []
  let wake = (): void => {}
  const opened: WebSocket[] = []
  let undone = 0

  function dial() {
    const dialer = startDialer({
      url,
      retry: { firstMs: 4, maxMs: 32 },
      onOpen(socket) {
        opened.push(socket)
        return () => undone++
      },
      onState(state) {
        states.push(state)
        wake()
      },
      ...options
    })
    t.teardown(dialer.stop)
    return dialer
  }
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    http.close()
  })

  return {
    http,
    server,
    handshakes,
    dial,
    opened,
    most: () => most,
    undone: () => undone,
    states,
    until: async (isTrue: () => boolean): Promise<void> => {
      while (!isTrue()) await new Promise<void>((resolve) => (wake = resolve))
    },
    waits: () => states.flatMap((state) => (state.state === 'closed' ? [state.waitMs] : []))
  }
}

t.test('dials again after every way in which a connection can end', async (t) => {
  const { handshakes, dial, until, states, most, undone, opened } = await start(t)
  const endings: [why: RegExp, end: number | ((socket: WebSocket) => void)][] = [
    ...[1000, 1001, 1008, 1011, 1012, 3000, 4000, 4999].map((code): [RegExp, (socket: WebSocket) => void] => [
      new RegExp(`${code}`),
      (socket) => socket.close(code)
    ]),
    [/1005/, (socket) => socket.close()],
    [/1006/, (socket) => socket.terminate()],
    [/401/, 401],
    [/403/, 403],
    [/404/, 404],
    [/500/, 500],
    [/302/, 302],
    [/200/, 200]
  ]
  handshakes.push(...endings.map(([, end]) => end))
  dial()
  await until(() => states.at(-1)?.state === 'open' && handshakes.length === 0 && opened.length === 11)
  const whys = states.flatMap((state) => (state.state === 'closed' ? [state.why] : []))
  t.equal(whys.length, endings.length)
  for (const [index, [why]] of endings.entries()) t.match(whys[index], why)
  t.equal(most(), 1, 'never two at once')
  t.equal(undone(), 10, 'each that was open was taken down')
})

t.test('dials again while nobody listens', async (t) => {
  const { http, dial, until, states } = await start(t)
  const { port } = http.address() as AddressInfo
  await new Promise((resolve) => http.close(resolve))
  dial()
  await until(() => states.length === 3)
  t.match(states[0], { state: 'closed', why: /ECONNREFUSED/ })
  http.listen(port, '127.0.0.1')
  await until(() => states.at(-1)?.state === 'open')
})

t.test('waits grow, and begin small again after a connection that lasted', async (t) => {
  const stableMs = 60
  const { handshakes, dial, until, waits, states } = await start(t, { stableMs })
  handshakes.push(
    500,
    500,
    500,
    500,
    (socket) => socket.close(1000),
    (socket) => {
      setTimeout(() => socket.close(1000), stableMs * 2)
    }
  )
  dial()
  await until(() => waits().length === 6 && states.at(-1)?.state === 'open')
  const ceilings = [4, 8, 16, 32, 32, 4]
  for (const [index, waitMs] of waits().entries()) {
    const ceiling = ceilings[index] ?? 0
    t.ok(waitMs >= ceiling / 2 && waitMs <= ceiling, `wait ${index + 1} is ${waitMs} of ${ceiling} ms`)
  }
})

t.test('stopping closes with 1001 and dials no more', async (t) => {
  const { handshakes, dial, until, states, undone } = await start(t)
  const closed = new Promise((resolve) => {
    handshakes.push((socket) => socket.once('close', (code, reason) => resolve([code, String(reason)])))
  })
  const dialer = dial()
  await until(() => states.at(-1)?.state === 'open')
  await dialer.stop()
  t.strictSame(await closed, [1001, 'server shutdown'])
  t.equal(undone(), 1)
  t.equal(states.length, 1)
})

t.test('stopping ends a handshake that nobody answers, and a wait', async (t) => {
  const silent = createServer()
  const asked = once(silent, 'upgrade')
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  const url = `ws://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const { dial } = await start(t, { url })
  const dialer = dial()
  const [, stream] = await asked
  stream.on('error', () => {})
  await dialer.stop()
  stream.destroy()

  const { handshakes, dial: dialAgain, until, states } = await start(t, { retry: { firstMs: 2 ** 30, maxMs: 2 ** 30 } })
  handshakes.push(500)
  const waiting = dialAgain()
  await until(() => states.length === 1)
  await waiting.stop()
  t.equal(states.length, 1)
})

t.test('gives up a handshake that is answered with nonsense, too slowly or not at all, and dials again', async (t) => {
  keepAlive(t)
  const accept = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
  const drips = new Set<NodeJS.Timeout>()
  const drip = (socket: Socket, bytes: string): void => {
    const timer = setInterval(() => socket.write(bytes), 5)
    drips.add(timer)
    socket.once('close', () => clearInterval(timer))
  }
  const answers: [why: RegExp, answer: (socket: Socket) => void][] = [
    [/Parse Error|hang up/, (socket) => socket.write('SSH-2.0-OpenSSH_9.9\r\n')],
    [/hang up|ECONNRESET/, (socket) => socket.end()],
    [/ECONNRESET|hang up/, (socket) => socket.resetAndDestroy()],
    [/Sec-WebSocket-Accept/i, (socket) => socket.write(`${accept}Sec-WebSocket-Accept: nonsense\r\n\r\n`)],
    [/Sec-WebSocket-Accept/i, (socket) => socket.write(`${accept}\r\n`)],
    [
      /Upgrade/i,
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n')
    ],
    [/301/, (socket) => socket.write('HTTP/1.1 301 Gone\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n')],
    [/200/, (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n')],
    [/timed out/, () => {}],
    [/timed out/, (socket) => drip(socket, 'HTTP/1.1 100 Continue\r\n\r\n')],
    [
      /timed out|overflow/i,
      (socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nA: ')
        drip(socket, 'a')
      }
    ],
    [/overflow/i, (socket) => socket.write(`HTTP/1.1 101 Switching Protocols\r\nA: ${'a'.repeat(100_000)}`)]
  ]
  const whys: string[] = []
  let dials = 0
  let overlaps = 0
  const server = createTcpServer((socket) => {
    // The last one was told of as over before.
    if (whys.length !== dials) overlaps++
    socket.on('error', () => {})
    const [, answer] = answers[dials++] ?? []
    socket.once('data', () => answer?.(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const all = new Promise<void>((resolve) => {
    const dialer = startDialer({
      url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      retry: { firstMs: 4, maxMs: 32 },
      socketOptions: { handshakeTimeout: 300 },
      onOpen() {
        t.fail('none of these is a WebSocket')
        return () => {}
      },
      onState(state) {
        if (state.state === 'closed' && whys.push(state.why) === answers.length) resolve()
      }
    })
    t.teardown(() => {
      for (const timer of drips) clearInterval(timer)
      server.close()
      return dialer.stop()
    })
  })
  await all
  for (const [index, [why]] of answers.entries()) t.match(whys[index], why, `${why} (${index + 1})`)
  t.equal(overlaps, 0, 'never two at once')
})

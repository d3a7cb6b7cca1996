import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import type { Test } from 'tap'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'
import { MIB, rssOf } from './lab/process.ts'
import { flood } from './lab/reader.ts'

/** Characters of one message. */
const LENGTH = 16_000
const BYTES_PER_S = 1024
/** Each bot is told in bytes of its own, and has several readers. */
const BOTS = 100

fault({
  number: 17,
  title: 'a thousand slow readers',
  mark: '1 000 slow readers (1 KB/s): total growth ≤ 256 MB, no OOM with `--max-old-space-size=512`.',
  async run({ t, size, figure }) {
    const readers = size(100, 1000)
    const events = size(150, 400)
    const dir = makeDirectory(t, manyBots(BOTS))
    const service = await startService(t, dir, [], { nodeArgs: ['--max-old-space-size=512'] })
    const port = Number(new URL(service.url).port)
    const speak = (): Promise<void> =>
      flood({
        url: service.url,
        token: tokenOf(0),
        groups: 1,
        count: events,
        concurrency: 4,
        wordsOf: (index) => `${index} `.padEnd(LENGTH, `${index}`)
      })
    // What the gateway needs for as much when nobody listens is no growth.
    await speak()
    const sockets: Socket[] = []
    for (let index = 0; index < readers; index++) sockets.push(await openSlowly(t, port, tokenOf(1 + (index % BOTS))))
    const before = rssOf(service.pid)
    let most = before
    const watching = setInterval(() => (most = Math.max(most, rssOf(service.pid))), 20)
    t.teardown(() => clearInterval(watching))

    await speak()
    const { status } = await fetch(`${service.url}/ready`)
    clearInterval(watching)
    most = Math.max(most, rssOf(service.pid))
    const gone = (): number => sockets.filter((socket) => socket.destroyed).length

    figure('readers', readers, { is: readers })
    figure('growth of RSS', (most - before) / MIB, { atMost: 256, unit: 'MiB', isTimed: true })
    figure('ready afterwards', status, { is: 200 })
    t.comment(`${gone()} of ${readers} were closed as slow: ${service.log().split('reads too slowly').length - 1}`)
    for (const socket of sockets) socket.destroy()
    await waitFor(async () => (await fetch(`${service.url}/ready`)).status === 200)
  }
})

function tokenOf(index: number): string {
  return `token-of-bot-${10_001 + index}-for-tests`
}

/** One who speaks and so many who listen, all in one group. */
function manyBots(listeners: number): object {
  const ids = Array.from({ length: listeners + 1 }, (_, index) => 10_001 + index)
  const [owner, ...members] = ids
  return {
    limits: { http_rate: 10_000_000 },
    bots: ids.map((id, index) => ({ id, access_token: tokenOf(index) })),
    provision: { groups: [{ id: 100_001, name: 'Everybody', owner, members }] }
  }
}

/** A WebSocket whose owner reads a kilobyte each second. */
async function openSlowly(t: Test, port: number, token: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', highWaterMark: BYTES_PER_S } as NetConnectOpts)
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(
    [
      `GET /event?access_token=${token} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      '',
      ''
    ].join('\r\n')
  )
  await once(socket, 'readable')
  const timer = setInterval(() => socket.read(Math.min(BYTES_PER_S, socket.readableLength)), 1000)
  socket.once('close', () => clearInterval(timer))
  t.teardown(() => {
    clearInterval(timer)
    socket.destroy()
  })
  return socket
}

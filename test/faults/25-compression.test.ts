import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { deflateRawSync } from 'node:zlib'
import type { Test } from 'tap'
import { startApp } from '../helpers/app.ts'
import { doorsOf, openDoors } from '../helpers/raw-doors.ts'
import { acceptOf, PING, startRawServer, TEXT, type RawFrame, type RawPeer } from '../helpers/raw-peer.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'
import { MIB } from './lab/process.ts'

const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }
const COMPRESSED = 4
/** All of these claim to be compressed. */
const FORCED: readonly (readonly RawFrame[])[] = [
  [{ opcode: TEXT, rsv: COMPRESSED, payload: deflate(Buffer.from('{"type":"ping"}')) }],
  [{ opcode: TEXT, rsv: COMPRESSED }],
  [
    { opcode: TEXT, fin: false, payload: 'a' },
    { opcode: 0, rsv: COMPRESSED, payload: 'b' }
  ],
  [{ opcode: PING, rsv: COMPRESSED }]
]

fault({
  number: 25,
  title: 'decompression bombs',
  mark: 'Decompression bomb: `permessage-deflate` not offered; forced RSV1 → 1002.',
  async run({ t, size, figure }) {
    const server = await startRawServer(t)
    const paths = FORCED.map((_, index) => `/${index}`)
    const app = await startApp(t, {
      config: {
        ...openDoors,
        bots: [
          openDoors.bots[0],
          {
            ...openDoors.bots[1],
            reverse_ws: paths.map((path) => ({ url: `${server.url}/reverse${path}` })),
            maim: paths.flatMap((path) => [
              { url: `${server.url}/api${path}`, mode: 'api-server', platform: path, api_key: 'k' },
              { url: `${server.url}/legacy${path}`, mode: 'legacy', platform: path }
            ])
          }
        ]
      }
    })
    let offers = 0
    let wrong = 0
    async function play(where: string, peer: RawPeer, frames: readonly RawFrame[]): Promise<void> {
      if (/^sec-websocket-extensions:/im.test(peer.head)) offers++
      peer.send(...frames)
      const { code } = await peer.closed()
      peer.socket.destroy()
      if (code === 1002) return
      wrong++
      t.comment(`${where}: closed with ${code}`)
    }
    for (const door of doorsOf(await app.signIn('alice', 'alice-secret')))
      for (const frames of FORCED) await play(door.path, await door.dial(t, app.ws, OFFER), frames)
    for (const link of ['reverse', 'api', 'legacy'])
      for (const [index, frames] of FORCED.entries())
        await play(`dialled, ${link}`, await server.next(`/${link}/${index}`), frames)
    figure('doors and links that agree to compression', offers, { is: 0 })
    figure('closed otherwise than with 1002', wrong, { is: 0 })
    t.ok(await isHungUpOn(t), 'a server that compresses unasked is not spoken to')

    // Where it is agreed to, a message is measured as what becomes of it.
    const limit = 4 * MIB
    const open = await startApp(t, {
      config: {
        ...openDoors,
        limits: { ...openDoors.limits, maim_frame: limit },
        maim: { ...openDoors.maim, compress: true }
      }
    })
    const bomb = deflate(Buffer.alloc(size(64, 256) * MIB))
    const door = doorsOf('').find(({ path }) => path === '/maim/ws')
    const peer = await door!.dial(t, open.ws, OFFER)
    t.match(peer.head, /^sec-websocket-extensions: permessage-deflate/im, 'it is agreed to')
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers - before)), 1)
    peer.send({ opcode: TEXT, rsv: COMPRESSED, payload: bomb })
    const { code } = await peer.closed()
    clearInterval(watch)
    figure('bomb closed with', code, { is: 1009 })
    figure('bomb, allocated', most / MIB, { atMost: 3 * (limit / MIB), unit: 'MiB', isTimed: true })
    t.ok((await fetch(`${open.url}/ready`)).ok, 'the gateway goes on')
  }
})

/** As RFC 7692 §7.2.1 has it: without the end that every message has. */
function deflate(bytes: Buffer): Buffer {
  return deflateRawSync(bytes, { finishFlush: 2 }).subarray(0, -4)
}

/** Whether the gateway ends a connection on which a server agrees to what nobody has offered. */
async function isHungUpOn(t: Test): Promise<boolean> {
  let ended = 0
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('close', () => ended++)
    socket.once('data', (head) => {
      const key = /^sec-websocket-key: *(\S+)/im.exec(String(head))?.[1] ?? ''
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n`
      )
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
  await startApp(t, {
    config: { bots: [{ id: 10001, access_token: 'token-one', reverse_ws: [{ url }] }], provision: {} }
  })
  await waitFor(() => ended > 0)
  return true
}

import { startApp } from '../helpers/app.ts'
import { doorsOf, openDoors } from '../helpers/raw-doors.ts'
import { startRawServer, TEXT, type RawFrame, type RawPeer } from '../helpers/raw-peer.ts'
import { fault } from './lab/fault.ts'
import { MIB } from './lab/process.ts'

const KIB = 1024
/** Small ones, so that a frame of this size and a byte more is quickly sent. */
const LIMITS = { milky_frame: 64 * KIB, im_frame: 64 * KIB, maim_frame: 64 * KIB, maim_legacy_frame: 64 * KIB }
const BEYOND: readonly (readonly [title: string, frames: readonly RawFrame[]])[] = [
  ['one byte too many', [{ opcode: TEXT, payload: Buffer.alloc(64 * KIB + 1, 'a') }]],
  ['one byte too many is said', [{ opcode: TEXT, length: BigInt(64 * KIB + 1), payload: 'a' }]],
  [
    'one byte too many in fragments',
    [
      { opcode: TEXT, fin: false, payload: Buffer.alloc(64 * KIB, 'a') },
      { opcode: 0, payload: 'a' }
    ]
  ],
  ['2 GiB are said', [{ opcode: TEXT, length: 2n ** 31n, payload: 'a' }]],
  ['2^53 bytes are said', [{ opcode: TEXT, length: 2n ** 53n, payload: 'a' }]],
  ['2^63 bytes are said', [{ opcode: TEXT, length: 2n ** 63n, payload: 'a' }]],
  ['2^64 - 1 bytes are said', [{ opcode: TEXT, length: 2n ** 64n - 1n, payload: 'a' }]]
]

fault({
  number: 23,
  title: 'frames that are too large',
  mark: 'Oversized frame (limit + 1, and a declared 2^63 length): **1009**, ≤ 1 MB allocated, ≤ 1 s.',
  async run({ t, size, figure }) {
    const server = await startRawServer(t)
    const rounds = size(1, 10)
    const paths = BEYOND.map((_, index) => `/${index}`)
    const app = await startApp(t, {
      config: {
        ...openDoors,
        limits: { ...openDoors.limits, ...LIMITS },
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
    const doors = doorsOf(await app.signIn('alice', 'alice-secret'))
    let wrong = 0
    let slowest = 0
    let most = 0
    async function play(where: string, peer: RawPeer, [title, frames]: (typeof BEYOND)[number]): Promise<void> {
      const bytes = frames.map(peer.build)
      const before = process.memoryUsage().arrayBuffers
      const startedAt = performance.now()
      for (const one of bytes) peer.socket.write(one)
      const { code } = await peer.closed()
      slowest = Math.max(slowest, performance.now() - startedAt)
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
      peer.socket.destroy()
      if (code === 1009) return
      wrong++
      t.comment(`${where}, ${title}: closed with ${code}`)
    }

    for (let round = 0; round < rounds; round++)
      for (const door of doors) for (const row of BEYOND) await play(door.path, await door.dial(t, app.ws), row)
    for (const link of ['reverse', 'api', 'legacy'])
      for (const [index, row] of BEYOND.entries())
        await play(`dialled, ${link}`, await server.next(`/${link}/${index}`), row)
    figure('closed otherwise than with 1009', wrong, { is: 0 })
    // Both ends are in this process: what the frame itself takes, and what is read of it, is counted too.
    figure('allocated', most / MIB, { atMost: 1, unit: 'MiB', isTimed: true })
    figure('until the close', slowest, { atMost: 1000, unit: 'ms', isTimed: true })
    t.ok((await fetch(`${app.url}/ready`)).ok, 'the gateway goes on')
  }
})

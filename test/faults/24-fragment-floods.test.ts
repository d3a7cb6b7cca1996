import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { callOf, fragment } from '../conformance/case.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { doorsOf, openDoors, signIn, type Door } from '../helpers/raw-doors.ts'
import { PING, PONG, TEXT, type RawPeer } from '../helpers/raw-peer.ts'
import { startService } from '../helpers/service.ts'
import { fault } from './lab/fault.ts'
import { MIB, rssOf } from './lab/process.ts'

/** A flood: what is written to a connection first, and then again and again until it is closed. */
interface Flood {
  readonly title: string
  readonly begin: (peer: RawPeer) => Buffer
  readonly go: (peer: RawPeer) => Buffer
  /** Each piece shall be read by itself. */
  readonly isPiecewise?: boolean
}

const crumb = { opcode: 0, fin: false, payload: 'a' }
const repeat = (bytes: Buffer, times: number): Buffer => Buffer.concat(Array.from({ length: times }, () => bytes))
const open = (peer: RawPeer): Buffer => peer.build({ opcode: TEXT, fin: false, payload: 'a' })

const FLOODS: readonly Flood[] = [
  { title: 'tiny fragments', begin: open, go: (peer) => repeat(peer.build(crumb), 100) },
  { title: 'tiny fragments, one by one', begin: open, go: (peer) => peer.build(crumb), isPiecewise: true },
  {
    title: 'empty fragments',
    begin: open,
    go: (peer) => repeat(peer.build({ opcode: 0, fin: false }), 100)
  },
  {
    // Pongs, since nobody is answered so many pings at once.
    title: 'fragments that each keep a piece full of pongs',
    begin: open,
    go: (peer) =>
      Buffer.concat([peer.build(crumb), repeat(peer.build({ opcode: PONG, payload: 'a'.repeat(120) }), 500)])
  },
  {
    title: 'one frame, byte by byte',
    begin: (peer) => peer.build({ opcode: TEXT, length: 60_000n, payload: 'a' }),
    go: () => Buffer.from('a'),
    isPiecewise: true
  }
]

fault({
  number: 24,
  title: 'floods of fragments and pings',
  mark: 'Tiny-fragment flood, never FIN, 100 connections (CVE-2026-48779/-62389): RSS ≤ +32 MB, close 1008. Ping flood with a non-reading peer: pending pongs ≤ limit.',
  async run({ t, isFull, size, figure }) {
    const dir = makeDirectory(t)
    writeFileSync(join(dir, 'lactea.yaml'), stringify({ ...openDoors, data: { dir: join(dir, 'data') } }))
    const service = await startService(t, dir)
    const doors = doorsOf(await signIn(service.url))
    const chosen = isFull ? doors : doors.filter(({ path }) => path === '/' || path === '/im/ws')
    const count = size(5, 100)
    // What is loaded and compiled only now, and the room that every busy process takes, is not what a flood costs.
    for (const door of doors) for (const flood of FLOODS) await drown(await dialAll(t, door, service.ws, 2), flood)
    const [calls] = doors as [Door]
    for (let round = 0; round < size(0, 3); round++) await chat(await dialAll(t, calls, service.ws, count), 50)

    for (const flood of FLOODS) {
      let most = 0
      let left = 0
      for (const door of chosen) {
        const peers = await dialAll(t, door, service.ws, count)
        const watch = watchRss(service.pid)
        const codes = await drown(peers, flood)
        most = Math.max(most, watch.stop())
        const others = codes.filter((code) => code !== 1008)
        left += others.length
        if (others.length > 0) t.comment(`${door.path}, ${flood.title}: closed with ${[...new Set(others)].join(', ')}`)
      }
      figure(`${flood.title}: RSS`, most / MIB, {
        atMost: 32,
        unit: 'MiB',
        isTimed: true,
        missedBecause:
          'what a flood can make the gateway keep is bounded to 128 KiB a connection, 13 MiB; the rest is what the allocator takes for reading a hundred of them at once, and it takes most of it once'
      })
      figure(`${flood.title}: closed otherwise than with 1008`, left, { is: 0 })
    }

    let most = 0
    let open = 0
    for (const door of chosen) {
      const peers = await dialAll(t, door, service.ws, size(2, 20))
      const watch = watchRss(service.pid)
      const ends = await Promise.all(peers.map(pingUnread))
      most = Math.max(most, watch.stop())
      open += ends.filter((isOver) => !isOver).length
    }
    figure('pings at a peer that does not read: RSS', most / MIB, { atMost: 32, unit: 'MiB', isTimed: true })
    figure('of them still open', open, { is: 0 })
    t.ok((await fetch(`${service.url}/ready`)).ok, 'the gateway goes on')
  }
})

async function dialAll(t: Test, door: Door, url: string, count: number): Promise<RawPeer[]> {
  const peers: RawPeer[] = []
  for (let index = 0; index < count; index++) peers.push(await door.dial(t, url))
  return peers
}

/** Messages that do end, in as many fragments and in one, one after the other on each connection. */
async function chat(peers: readonly RawPeer[], calls: number): Promise<void> {
  await Promise.all(
    peers.map(async (peer) => {
      for (let call = 0; call < calls; call++) {
        peer.send(...fragment(TEXT, callOf(2048).text, 16))
        await peer.next()
        peer.send({ opcode: TEXT, payload: callOf(60_000).text })
        await peer.next()
      }
      peer.socket.destroy()
    })
  )
}

/** The codes with which they are closed. */
async function drown(peers: readonly RawPeer[], flood: Flood): Promise<number[]> {
  return Promise.all(
    peers.map(async (peer) => {
      let code: number | undefined
      const closed = peer.closed().then((end) => {
        code = end.code
      })
      const bytes = flood.go(peer)
      peer.socket.write(flood.begin(peer))
      for (let index = 0; index < 20_000 && code === undefined && peer.socket.writable; index++) {
        const isRoomy = peer.socket.write(bytes)
        if (flood.isPiecewise || !isRoomy) await turn()
        while (peer.socket.writableNeedDrain && peer.socket.writable && code === undefined) await turn()
      }
      await closed
      peer.socket.destroy()
      return code ?? 1006
    })
  )
}

/** Whether the connection is over after enough pings whose pongs nobody takes. */
async function pingUnread(peer: RawPeer): Promise<boolean> {
  const { socket } = peer
  socket.pause()
  const pings = repeat(peer.build({ opcode: PING, payload: 'a'.repeat(125) }), 20)
  // What the kernels of both sides keep comes first.
  for (let written = 0; written < 64 * MIB && !socket.destroyed; written += pings.length) {
    socket.write(pings)
    await turn()
    const startedAt = performance.now()
    while (socket.writableNeedDrain && !socket.destroyed && performance.now() - startedAt < 20_000) await turn()
  }
  const isOver = socket.destroyed
  socket.destroy()
  return isOver
}

/** How far the resident memory of a process grows. */
function watchRss(pid: number): { stop: () => number } {
  const before = rssOf(pid)
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, rssOf(pid))
  }, 20)
  return {
    stop() {
      clearInterval(timer)
      return Math.max(most, rssOf(pid)) - before
    }
  }
}

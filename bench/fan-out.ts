import { startBareServer } from './lib/bare-limit.ts'
import type { Bench, Goal } from './lib/bench.ts'
import { measure, type Child, type Load } from './lib/child.ts'
import { maskedFrame, openRawSocket, openRawSockets, type RawSocket } from './lib/raw-socket.ts'
import { GROUP, listeners, sender, startService } from './lib/service.ts'
import { createLatencies } from './lib/stats.ts'

const WORDS = 'Every bot in the group gets to read this. '.repeat(6)
const MESSAGE = { group_id: GROUP, message: [{ type: 'text', data: { text: WORDS } }] }
const SEND = maskedFrame(JSON.stringify({ action: 'send_group_message', params: MESSAGE }))

interface Dialect {
  /** Where bots hear. */
  readonly path: string
  /** As large as what the service sends. */
  readonly event: object
}

const draft: Dialect = {
  path: '/',
  event: {
    post_type: 'event',
    self_id: 10101,
    data: {
      time: 1_700_000_000,
      event_type: 'message_receive',
      data: {
        message_id: `Group:${GROUP}:100000`,
        time: 1_700_000_000,
        user_id: sender.id,
        segments: MESSAGE.message,
        message_type: 'group',
        group_id: GROUP
      }
    }
  }
}

const milky: Dialect = {
  path: '/event',
  event: {
    time: 1_700_000_000,
    self_id: 10101,
    event_type: 'message_receive',
    data: {
      message_scene: 'group',
      peer_id: GROUP,
      message_seq: 100_000,
      sender_id: sender.id,
      time: 1_700_000_000,
      segments: MESSAGE.message,
      group: {
        group_id: GROUP,
        group_name: 'Bench',
        member_count: 11,
        max_member_count: 5000,
        remark: '',
        created_time: 1_700_000_000,
        description: '',
        question: '',
        announcement: ''
      },
      group_member: {
        user_id: sender.id,
        nickname: 'Sender',
        sex: 'unknown',
        group_id: GROUP,
        card: '',
        title: '',
        level: 1,
        role: 'owner',
        join_time: 1_700_000_000,
        last_sent_time: 1_700_000_000
      }
    }
  }
}

export const fanOutBenches: readonly Bench[] = [
  bench('fan-out-100', { audience: 100 }),
  bench('fan-out-1000', {
    audience: 1000,
    goals: [
      {
        figure: 'ratio',
        atLeast: 1.7,
        says: '≥ 1.7 × plain ws',
        inTheWay:
          'One event is one write for each socket, whoever does it, and the kernel takes 4 to 5 of the 6 to 7 µs that plain `ws` needs for a delivery: without any work of its own the gateway could reach 1.3. It commits each event to the disk before it tells anybody, which costs 7 to 10 %. With several events in a turn it is far ahead (`fan-out-1000x8`).'
      }
    ]
  }),
  bench('fan-out-1000x8', {
    audience: 1000,
    atOnce: 8,
    goals: [{ figure: 'ratio', atLeast: 4, says: '≥ 4 × plain ws' }]
  }),
  bench('fan-out-5000', {
    audience: 5000,
    goals: [{ figure: 'loopP99Ms', atMost: 10, says: 'loop delay p99 ≤ 10 ms' }]
  }),
  bench('fan-out-event-1000', { audience: 1000, dialect: milky })
]

interface Plan {
  readonly audience: number
  readonly atOnce?: number
  readonly goals?: readonly Goal[]
  readonly dialect?: Dialect
}

function bench(name: string, { audience, atOnce = 1, goals = [], dialect = draft }: Plan): Bench {
  const events = atOnce === 1 ? 'one group message' : `${atOnce} group messages at once`
  return {
    name,
    what: `${events} to ${audience} sockets of ${listeners.length} bots at ${dialect.path}`,
    figure: 'perSecond',
    goals,
    async prepare() {
      const ours = await openFanOut({ audience, atOnce, path: dialect.path })
      const [bare, naive] = await Promise.all(PEERS.map((kind) => openPeer(kind, { audience, atOnce, dialect })))
      const all = [ours, bare, naive].filter((room) => room !== undefined)
      return {
        service: (seconds) => measure(ours.child, () => ours.load(seconds)),
        ...(bare && { bare: (seconds) => measure(bare.child, () => bare.load(seconds)) }),
        ...(naive && { naive: (seconds) => measure(naive.child, () => naive.load(seconds)) }),
        close: async () => void (await Promise.all(all.map((room) => room.close())))
      }
    }
  }
}

export interface FanOut {
  readonly child: Child
  /** Says something, waits until everybody has heard it, and says the next, until the time is over; counts deliveries. */
  readonly load: (seconds: number) => Promise<Load>
  readonly close: () => Promise<void>
}

export interface FanOutOptions {
  /** Sockets of ten bots in one group. */
  readonly audience: number
  /** Messages that are said together. */
  readonly atOnce?: number
  /** Where they hear. */
  readonly path?: string
  /** Of the service, over the standard world. */
  readonly config?: object
}

/** The service, an audience and somebody who speaks. */
export async function openFanOut({ audience, atOnce = 1, path = '/', config }: FanOutOptions): Promise<FanOut> {
  const { child, port } = await startService({ ...(config && { config }) })
  return attend(child, await openRoom(port, audience, path), atOnce)
}

function attend(child: Child, room: Room, atOnce: number): FanOut {
  return {
    child,
    load: (seconds) => load(room, atOnce, seconds),
    async close() {
      for (const socket of [room.speaker, ...room.hearers]) socket.close()
      await child.stop()
    }
  }
}

const PEERS = ['serveFanOut', 'serveFanOutNaively'] as const

async function openPeer(
  kind: (typeof PEERS)[number],
  { audience, atOnce, dialect }: { readonly audience: number; readonly atOnce: number; readonly dialect: Dialect }
): Promise<FanOut> {
  const { child, port } = await startBareServer(kind, dialect.event)
  return attend(child, await openRoom(port, audience, '/'), atOnce)
}

interface Room {
  readonly speaker: RawSocket
  readonly hearers: readonly RawSocket[]
}

async function openRoom(port: number, audience: number, path: string): Promise<Room> {
  const tokenOf = (index: number) => listeners[index % listeners.length]?.access_token
  const hearers = await openRawSockets(audience, (index) =>
    openRawSocket(port, `${path}?access_token=${tokenOf(index)}`)
  )
  return { hearers, speaker: await openRawSocket(port, `/?access_token=${sender.access_token}`) }
}

/** Says something, waits until everybody has heard it, and says the next, until the time is over. */
async function load({ speaker, hearers }: Room, atOnce: number, seconds: number) {
  const said = Buffer.concat(Array.from({ length: atOnce }, () => SEND))
  const perTurn = hearers.length * atOnce
  const latencies = createLatencies()
  const begunAt = performance.now()
  const deadline = begunAt + seconds * 1000
  let count = 0

  while (performance.now() < deadline) {
    await new Promise<void>((resolve) => {
      const saidAt = performance.now()
      let heard = 0
      for (const hearer of hearers) {
        hearer.onFrames = (frames) => {
          latencies.record(performance.now() - saidAt, frames)
          heard += frames
          if (heard === perTurn) resolve()
        }
      }
      speaker.write(said)
    })
    count += perTurn
  }
  return { count, elapsedMs: performance.now() - begunAt, ...latencies.read() }
}

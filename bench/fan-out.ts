import { startBareServer } from './lib/bare-limit.ts'
import type { Bench, Goal } from './lib/bench.ts'
import { measure } from './lib/child.ts'
import { maskedFrame, openRawSocket, openRawSockets, type RawSocket } from './lib/raw-socket.ts'
import { GROUP, listeners, sender, startService } from './lib/service.ts'
import { createLatencies } from './lib/stats.ts'

const WORDS = 'Every bot in the group gets to read this. '.repeat(6)
const MESSAGE = { group_id: GROUP, message: [{ type: 'text', data: { text: WORDS } }] }
const SEND = maskedFrame(JSON.stringify({ action: 'send_group_message', params: MESSAGE }))

/** As large as what the service sends. */
const EVENT = {
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

export const fanOutBenches: readonly Bench[] = [
  bench('fan-out-100', 100, 1, []),
  bench('fan-out-1000', 1000, 1, [{ figure: 'ratio', atLeast: 1.7, says: '≥ 1.7 × plain ws' }]),
  bench('fan-out-1000x8', 1000, 8, [{ figure: 'ratio', atLeast: 4, says: '≥ 4 × plain ws' }]),
  bench('fan-out-5000', 5000, 1, [{ figure: 'loopP99Ms', atMost: 10, says: 'loop delay p99 ≤ 10 ms' }])
]

function bench(name: string, audience: number, atOnce: number, goals: readonly Goal[]): Bench {
  const events = atOnce === 1 ? 'one group message' : `${atOnce} group messages at once`
  return {
    name,
    what: `${events} to ${audience} sockets of ${listeners.length} bots`,
    figure: 'perSecond',
    goals,
    async prepare({ profileDir }) {
      const service = await startService({ profileDir })
      const bare = await startBareServer('serveFanOut', EVENT)
      const ours = await openRoom(service.port, audience)
      const theirs = await openRoom(bare.port, audience)
      return {
        service: (seconds) => measure(service.child, () => load(ours, atOnce, seconds)),
        bare: (seconds) => measure(bare.child, () => load(theirs, atOnce, seconds)),
        async close() {
          for (const socket of [ours.speaker, theirs.speaker, ...ours.hearers, ...theirs.hearers]) socket.close()
          await Promise.all([service.child.stop(), bare.child.stop()])
        }
      }
    }
  }
}

interface Room {
  readonly speaker: RawSocket
  readonly hearers: readonly RawSocket[]
}

async function openRoom(port: number, audience: number): Promise<Room> {
  const tokenOf = (index: number) => listeners[index % listeners.length]?.access_token
  const hearers = await openRawSockets(audience, (index) => openRawSocket(port, `/?access_token=${tokenOf(index)}`))
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

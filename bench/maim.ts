import { startBareServer } from './lib/bare-limit.ts'
import type { Bench, Goal } from './lib/bench.ts'
import { measure } from './lib/child.ts'
import { maskedFrame, openRawSocket, openRawSockets, type RawSocket } from './lib/raw-socket.ts'
import { listeners, sender, startService } from './lib/service.ts'
import { createLatencies } from './lib/stats.ts'

const SENDER_KEY = 'bench-key-of-the-sender'
const keyOf = (index: number): string => `bench-key-of-listener-${index % listeners.length}`
/** The library in Python needs 60 to 140 µs. */
const CPU_GOAL: Goal = {
  figure: 'cpuUs',
  atMost: 12,
  says: '< 12 µs of CPU per acknowledged message',
  inTheWay:
    'The only goal in microseconds of one machine: where this was run the bare limit itself, which parses, passes on and acknowledges with nothing to lose, needs more than that. The ratio to it is what can be compared.'
}

export const maimBenches: readonly Bench[] = [bench(1, 1, []), bench(10, 8, [CPU_GOAL]), bench(100, 4, [CPU_GOAL])]

const config = {
  maim: {
    keys: [
      { api_key: SENDER_KEY, account: sender.id, chats: false },
      ...listeners.map(({ id }, index) => ({ api_key: keyOf(index), account: id, chats: false }))
    ]
  }
}

interface Pair {
  readonly from: RawSocket
  readonly to: RawSocket
  /** The frame of each message, with room for its number. */
  readonly frame: Buffer
}

function bench(connections: number, inFlight: number, goals: readonly Goal[]): Bench {
  return {
    name: `maim-${connections}x${inFlight}`,
    what: `maim messages of 200 bytes routed and acknowledged both ways, ${connections} senders to ${connections} receivers, ${inFlight} in flight on each`,
    figure: 'perSecond',
    goals,
    async prepare() {
      const service = await startService({ config })
      const bare = await startBareServer('serveMaim', {})
      const [ours = [], theirs = []] = await Promise.all(
        [service.port, bare.port].map((port) => openPairs(port, connections))
      )
      return {
        service: (seconds) => measure(service.child, () => load(ours, inFlight, seconds)),
        bare: (seconds) => measure(bare.child, () => load(theirs, inFlight, seconds)),
        async close() {
          for (const { from, to } of [...ours, ...theirs]) {
            from.close()
            to.close()
          }
          await Promise.all([service.child.stop(), bare.child.stop()])
        }
      }
    }
  }
}

async function openPairs(port: number, count: number): Promise<Pair[]> {
  const to = await openRawSockets(count, (index) =>
    openRawSocket(port, `/maim/ws?api_key=${keyOf(index)}&platform=p${index}`)
  )
  const from = await openRawSockets(count, (index) =>
    openRawSocket(port, `/maim/ws?api_key=${SENDER_KEY}&platform=from${index}`)
  )
  return from.map((socket, index) => ({ from: socket, to: to[index] as RawSocket, frame: frameFor(index) }))
}

const DIGITS = 10
const ID = 'msg_'
const TEXT = 'x'.repeat(200)

/** As a client of the library writes it. */
function frameFor(index: number): Buffer {
  const time = Date.now() / 1000
  const envelope = {
    ver: 1,
    msg_id: ID + '0'.repeat(DIGITS),
    type: 'sys_std',
    meta: { sender_user: SENDER_KEY, platform: `from${index}`, timestamp: time },
    payload: {
      message_info: {
        platform: `p${index}`,
        message_id: '4711',
        time,
        sender_info: { user_info: { platform: `p${index}`, user_id: '10001', user_nickname: 'Somebody' } }
      },
      message_segment: { type: 'seglist', data: [{ type: 'text', data: TEXT }] },
      message_dim: { api_key: keyOf(index), platform: `p${index}` }
    }
  }
  return maskedFrame(JSON.stringify(envelope))
}

const ID_MARK = Buffer.from('"msg_id":"')
const TYPE_MARK = Buffer.from('"type":"sys_ack"')
const ackOf = (id: string): Buffer =>
  maskedFrame(
    `{"ver":1,"msg_id":"a","type":"sys_ack","meta":{"uuid":"b","acked_msg_id":"${id}","timestamp":1.5},"payload":{"status":"received","client_timestamp":1.5}}`
  )

let number = 0

/** Every acknowledged message is followed by the next, until the time is over and everything is acknowledged. */
async function load(pairs: readonly Pair[], inFlight: number, seconds: number) {
  const latencies = createLatencies()
  const begunAt = performance.now()
  const deadline = begunAt + seconds * 1000
  let delivered = 0
  const counts = await Promise.all(pairs.map((pair) => keepSending(pair)))
  const count = counts.reduce((sum, each) => sum + each)
  return { count, elapsedMs: performance.now() - begunAt, ...latencies.read(), delivered: delivered / count }

  function keepSending({ from, to, frame }: Pair): Promise<number> {
    const at = frame.indexOf(ID_MARK) + ID_MARK.length + ID.length
    // What answers one read goes out in one write, as a client would do it.
    let acks: Buffer[] = []
    to.onText = (text) => {
      const start = text.indexOf(ID_MARK) + ID_MARK.length
      acks.push(ackOf(text.toString('latin1', start, text.indexOf(0x22, start))))
    }
    to.onFrames = (frames) => {
      delivered += frames
      to.write(Buffer.concat(acks))
      acks = []
    }
    return new Promise((resolve) => {
      let answered = 0
      let due = 0
      const sentAt: number[] = []
      const send = (howMany: number): void => {
        const now = performance.now()
        const frames = Array.from({ length: howMany }, () => {
          frame.write(String(number++).padStart(DIGITS, '0'), at, 'latin1')
          sentAt.push(now)
          return Buffer.from(frame)
        })
        from.write(Buffer.concat(frames))
      }
      from.onText = (text) => {
        if (text.includes(TYPE_MARK)) due++
      }
      from.onFrames = () => {
        const now = performance.now()
        answered += due
        for (const sent of sentAt.splice(0, due)) latencies.record(now - sent)
        if (now < deadline) send(due)
        else if (sentAt.length === 0) resolve(answered)
        due = 0
      }
      send(inFlight)
    })
  }
}

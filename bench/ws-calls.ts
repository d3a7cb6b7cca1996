import { startBareServer } from './lib/bare-limit.ts'
import type { Bench, Goal } from './lib/bench.ts'
import { measure } from './lib/child.ts'
import { maskedFrame, openRawSocket, openRawSockets, type RawSocket } from './lib/raw-socket.ts'
import { sender, startService } from './lib/service.ts'
import { createLatencies } from './lib/stats.ts'

const CONNECTIONS = 8
const CALL = maskedFrame(JSON.stringify({ action: 'get_login_info', params: {}, echo: 'bench-1' }))

export const wsCallBenches: readonly Bench[] = [
  bench(1, []),
  bench(16, [{ figure: 'ratio', atLeast: 2, says: '≥ 2.0 × plain ws' }])
]

function bench(inFlight: number, goals: readonly Goal[]): Bench {
  return {
    name: `ws-calls-${inFlight}`,
    what: `WebSocket get_login_info, ${CONNECTIONS} connections, ${inFlight} in flight on each`,
    figure: 'perSecond',
    goals,
    async prepare() {
      const service = await startService()
      const bare = await startBareServer('serveCalls', { uin: sender.id, nickname: sender.nickname })
      const path = `/?access_token=${sender.access_token}`
      const [ours, theirs] = await Promise.all(
        [service.port, bare.port].map((port) => openRawSockets(CONNECTIONS, () => openRawSocket(port, path)))
      )
      return {
        service: (seconds) => measure(service.child, () => load(ours ?? [], inFlight, seconds)),
        bare: (seconds) => measure(bare.child, () => load(theirs ?? [], inFlight, seconds)),
        async close() {
          for (const socket of [...(ours ?? []), ...(theirs ?? [])]) socket.close()
          await Promise.all([service.child.stop(), bare.child.stop()])
        }
      }
    }
  }
}

/** Every answer is followed by the next call, until the time is over and everything is answered. */
async function load(sockets: readonly RawSocket[], inFlight: number, seconds: number) {
  const calls = Buffer.concat(Array.from({ length: inFlight }, () => CALL))
  const latencies = createLatencies()
  const begunAt = performance.now()
  const deadline = begunAt + seconds * 1000
  const counts = await Promise.all(sockets.map((socket) => keepCalling(socket)))
  const count = counts.reduce((sum, each) => sum + each)
  return { count, elapsedMs: performance.now() - begunAt, ...latencies.read() }

  function keepCalling(socket: RawSocket): Promise<number> {
    return new Promise((resolve) => {
      let answered = 0
      const sentAt = Array.from({ length: inFlight }, () => performance.now())
      socket.onFrames = (frames) => {
        const now = performance.now()
        answered += frames
        // Answers to equal calls come in the order of the calls.
        for (const at of sentAt.splice(0, frames)) latencies.record(now - at)
        if (now < deadline) {
          for (let each = 0; each < frames; each++) sentAt.push(now)
          socket.write(calls.subarray(0, frames * CALL.length))
        } else if (sentAt.length === 0) {
          resolve(answered)
        }
      }
      socket.write(calls)
    })
  }
}

import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { basename, join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { answerParent } from './ipc.ts'

// Loaded into every measured process with `--import`: tells what it uses, and ends it when the bench is gone.

export interface Usage {
  /** Of all threads. */
  readonly cpuUs: number
  readonly elapsedMs: number
  readonly loopP99Ms: number
  readonly loopMaxMs: number
  /** Resident memory at the end, garbage and all. */
  readonly rss: number
}

export interface Memory {
  readonly rss: number
  /** Live JavaScript objects and what hangs on them outside of the heap. */
  readonly live: number
}

const RESOLUTION_MS = 2
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
let cpu = process.cpuUsage()
let begunAt = performance.now()

const profiler = createProfiler(process.env['BENCH_PROFILE'])

answerParent({
  async begin() {
    await profiler?.start()
    delay.reset()
    delay.enable()
    cpu = process.cpuUsage()
    begunAt = performance.now()
  },

  async end(): Promise<Usage> {
    const { user, system } = process.cpuUsage(cpu)
    delay.disable()
    const usage = {
      cpuUs: user + system,
      elapsedMs: performance.now() - begunAt,
      // The histogram holds the time between two ticks, of which the resolution was asked for.
      loopP99Ms: Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS),
      loopMaxMs: Math.max(0, delay.max / 1e6 - RESOLUTION_MS),
      rss: process.memoryUsage.rss()
    }
    await profiler?.stop()
    return usage
  },

  memory(): Memory {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as (options: object) => void
    // The thorough kind, which gives back what is free.
    for (let times = 0; times < 2; times++) collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    const { rss, heapUsed, external } = process.memoryUsage()
    return { rss, live: heapUsed + external }
  }
})

process.once('disconnect', () => process.exit(1))
// A channel that somebody listens on would keep the service from ending by itself.
process.channel?.unref()

/** Writes a CPU profile of each measurement into `dir`, one that DevTools of a browser opens. */
function createProfiler(
  dir: string | undefined
): { start: () => Promise<void>; stop: () => Promise<void> } | undefined {
  if (dir === undefined) return undefined
  mkdirSync(dir, { recursive: true })
  const session = new Session()
  session.connect()
  let count = 0
  return {
    async start() {
      await session.post('Profiler.enable')
      await session.post('Profiler.setSamplingInterval', { interval: 200 })
      await session.post('Profiler.start')
    },
    async stop() {
      const { profile } = await session.post('Profiler.stop')
      const name = `${basename(process.argv[1] ?? '', '.ts')}-${process.pid}-${++count}.cpuprofile`
      writeFileSync(join(dir, name), JSON.stringify(profile))
    }
  }
}

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

answerParent({
  begin() {
    delay.reset()
    delay.enable()
    cpu = process.cpuUsage()
    begunAt = performance.now()
  },

  end(): Usage {
    const { user, system } = process.cpuUsage(cpu)
    delay.disable()
    return {
      cpuUs: user + system,
      elapsedMs: performance.now() - begunAt,
      // The histogram holds the time between two ticks, of which the resolution was asked for.
      loopP99Ms: Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS),
      loopMaxMs: Math.max(0, delay.max / 1e6 - RESOLUTION_MS),
      rss: process.memoryUsage.rss()
    }
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

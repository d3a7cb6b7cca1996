import { setTimeout as delay } from 'node:timers/promises'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { fault } from './lab/fault.ts'
import { createWorld, startLoad, writeWorld } from './lab/load.ts'
import { fdsOf, MIB, rssOf } from './lab/process.ts'

/** Minutes of the measured part; the promise is 120 at ten times the rate, or 24 hours. */
const MINUTES = Number(process.env.LACTEA_SOAK_MINUTES ?? 10)
const WANTED_MINUTES = 120
/** The reference load is 200. */
const PER_SECOND = Number(process.env.LACTEA_SOAK_RATE ?? 2000)
/** The heap finds its size in the first minutes. */
const WARM_UP_SHARE = 0.4
const EVERY_MS = 1000

fault({
  number: 44,
  title: 'nothing grows',
  mark: '24 h soak (or 2 h × 10 rate): RSS slope ≤ 1 MB/h, fds flat.',
  fullMs: MINUTES * 2 * 60_000 + 120_000,
  isLong: true,
  async run({ t, figure }) {
    const dir = makeDirectory(t)
    const world = createWorld()
    writeWorld(dir, world)
    const service = await startService(t, dir)
    const load = await startLoad(t, { world, url: service.url, perSecond: PER_SECOND })
    const samples: { readonly hours: number; readonly rss: number; readonly fds: number }[] = []
    const totalMs = (MINUTES * 60_000) / (1 - WARM_UP_SHARE)
    for (const startedAt = performance.now(); performance.now() - startedAt < totalMs;) {
      await delay(EVERY_MS)
      load.takeLatencies()
      const passed = performance.now() - startedAt
      if (passed < totalMs * WARM_UP_SHARE) continue
      samples.push({ hours: passed / 3_600_000, rss: rssOf(service.pid) / MIB, fds: fdsOf(service.pid) })
    }
    await load.stop()
    const { sent, failed } = load.counts()
    const reason = MINUTES < WANTED_MINUTES ? `measured over ${MINUTES} minutes` : ''
    figure(`minutes at ${PER_SECOND} messages per second`, MINUTES, {
      atLeast: WANTED_MINUTES,
      unit: 'min',
      missedBecause: `set LACTEA_SOAK_MINUTES=${WANTED_MINUTES} for the whole of it`
    })
    figure('messages per second', sent / (totalMs / 1000), { atLeast: PER_SECOND * 0.95, isTimed: true })
    figure('refused or lost', failed, { is: 0 })
    const slope = slopeOf(samples.map(({ hours, rss }) => [hours, rss]))
    figure('growth of memory', slope, { atMost: 1, unit: 'MiB/h', missedBecause: reason })
    const [first] = samples
    const last = samples.at(-1)
    figure('descriptors more at the end', (last?.fds ?? Number.NaN) - (first?.fds ?? Number.NaN), { atMost: 0 })
  }
})

/** Least squares. */
function slopeOf(points: readonly (readonly [number, number])[]): number {
  const mean = (of: (point: readonly [number, number]) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [meanX, meanY] = [mean(([x]) => x), mean(([, y]) => y)]
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  return covariance / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
}

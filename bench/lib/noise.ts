import { readFileSync } from 'node:fs'

/** What went on beside a measurement. */
export interface Noise {
  /** Of the core that is measured on: the part of the time that other programs had, and that the machine gave to other machines. */
  readonly others: number
  readonly stolen: number
}

export interface NoiseMeter {
  /** `ownUs`: microseconds of the processor that the measured process used since the meter began. */
  readonly read: (ownUs: number) => Noise
}

/** Ticks of /proc/stat. */
const TICK_US = 10_000

/** Looks at the core from now on; undefined where /proc tells nothing, or nothing is pinned to one core. */
export function createNoiseMeter(core: number | undefined): NoiseMeter | undefined {
  if (core === undefined) return undefined
  const before = readCore(core)
  const begunAt = performance.now()
  if (!before) return undefined
  return {
    read(ownUs) {
      const after = readCore(core) ?? before
      const elapsedUs = (performance.now() - begunAt) * 1000
      const part = (us: number): number => Math.max(0, us / elapsedUs)
      const stolenUs = (after.stolen - before.stolen) * TICK_US
      return { others: part((after.busy - before.busy) * TICK_US - stolenUs - ownUs), stolen: part(stolenUs) }
    }
  }
}

/** Ticks of one core (proc_stat(5)). */
function readCore(core: number): { readonly busy: number; readonly stolen: number } | undefined {
  try {
    const line = readFileSync('/proc/stat', 'utf8').match(new RegExp(`^cpu${core} .*$`, 'm'))?.[0]
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, stolen = 0] = (line ?? '')
      .split(' ')
      .slice(1)
      .map(Number)
    return line === undefined ? undefined : { busy: user + nice + system + irq + softirq + stolen, stolen }
  } catch {
    return undefined
  }
}

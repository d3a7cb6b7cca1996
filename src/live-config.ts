import { adoptConfig, type Config, type ConfigChange } from './config.ts'
import type { Undo } from './core/bus.ts'

/** The configuration while the gateway runs. */
export interface LiveConfig {
  /**
   * What counts now. Its sections (`limits`, `im`, …) are the same objects for ever and change in place: hold a section and
   * read a key where it is used, and do not keep its value.
   */
  readonly current: Config
  /** Takes over whatever can change without a restart, then calls those who asked to be told. */
  readonly adopt: (next: Config) => ConfigChange
  readonly onChange: (listener: () => void) => Undo
}

export function createLiveConfig(given: Config): LiveConfig {
  const current = structuredClone(given)
  const listeners = new Set<() => void>()

  return {
    current,
    adopt(next) {
      const change = adoptConfig(current, structuredClone(next))
      if (change.applied.length > 0) for (const listener of listeners) listener()
      return change
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
}

import type { EventBus, HappeningListener } from '../core/bus.ts'

/** The bus of a single process: listeners are called at once, in the order they subscribed. */
export function createMemoryBus(): EventBus {
  const listeners = new Set<HappeningListener>()

  return {
    publish(happenings) {
      for (const listener of listeners) listener(happenings)
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
}

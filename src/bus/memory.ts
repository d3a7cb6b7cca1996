import type { EventBus, EventListener } from '../core/bus.ts'

/** The bus of a single process: listeners are called at once, in the order they subscribed. */
export function createMemoryBus(): EventBus {
  const listeners = new Set<EventListener>()

  return {
    publish(events) {
      for (const listener of listeners) listener(events)
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
}

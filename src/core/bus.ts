import type { GatewayEvent } from './event.ts'

export type Undo = () => void
export type EventListener = (events: readonly GatewayEvent[]) => void

/**
 * Tells who is listening that something was committed. It wakes, it does not remember:
 * truth is the event log, so a lost or doubled call changes latency only.
 */
export interface EventBus {
  readonly publish: (events: readonly GatewayEvent[]) => void
  readonly subscribe: (listener: EventListener) => Undo
}

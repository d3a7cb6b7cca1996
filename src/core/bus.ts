import type { GatewayEvent } from './event.ts'
import type { Signal } from './signal.ts'

export type Undo = () => void
export type EventListener = (events: readonly GatewayEvent[]) => void

export type Happening = GatewayEvent | Signal
export type HappeningListener = (happenings: readonly Happening[]) => void

export function isSignal(happening: Happening): happening is Signal {
  return !('eventSeq' in happening)
}

/**
 * Tells who is listening that something was committed, or merely happened. It wakes, it does not remember:
 * truth is the event log, so a lost or doubled call changes latency only.
 */
export interface EventBus {
  readonly publish: (happenings: readonly Happening[]) => void
  readonly subscribe: (listener: HappeningListener) => Undo
}

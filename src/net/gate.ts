import type { GatewayEvent } from '../core/event.ts'
import type { Frame } from './frame.ts'

/** Stands between the hub and a connection that has to catch up first: live events wait behind the old ones. */
export interface Gate {
  /** Sends a live event, or keeps it until what came before it was sent. */
  readonly pass: (event: GatewayEvent, frame: Frame) => void
  /**
   * Keeps live events while `read` sends what was missed; `read` gives a test for events that it has sent, of which some
   * may come from the hub only later. It is asked again when more came meanwhile than could be kept. Never twice at a time.
   */
  readonly catchUp: (read: () => Promise<(event: GatewayEvent) => boolean>) => Promise<void>
  /** No events are kept: whoever listens has heard everything that the hub has given. */
  readonly isOpen: () => boolean
}

export function createGate(send: (frame: Frame) => void, capacity = 1000): Gate {
  let held: { readonly event: GatewayEvent; readonly frame: Frame }[] | undefined
  let isOverfull = false
  let wasSent = (_event: GatewayEvent): boolean => false

  return {
    isOpen: () => held === undefined,

    pass(event, frame) {
      if (!held) return wasSent(event) ? undefined : send(frame)
      if (held.length < capacity) held.push({ event, frame })
      else isOverfull = true
    },

    async catchUp(read) {
      held = []
      try {
        for (;;) {
          isOverfull = false
          wasSent = await read()
          if (isOverfull) {
            // The log knows what did not fit, and everything else that waits too.
            held = []
            continue
          }
          for (const { event, frame } of held) if (!wasSent(event)) send(frame)
          return
        }
      } finally {
        held = undefined
      }
    }
  }
}

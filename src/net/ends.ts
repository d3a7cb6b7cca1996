import type { WebSocket } from 'ws'
import type { Undo } from '../core/bus.ts'
import type { Clock } from '../core/clock.ts'

/** Calls `onSilent` once the socket has said nothing at all for so long. */
export function watchSilence(socket: WebSocket, ms: number, onSilent: () => void): Undo {
  let heard = 0
  const timer = setTimeout(() => {
    const before = heard
    // What has arrived while the event loop was blocked is read first.
    setImmediate(() => heard === before && !isOver && onSilent())
  }, ms)
  timer.unref()
  let isOver = false
  const refresh = (): void => {
    heard++
    timer.refresh()
  }
  for (const event of ['message', 'ping', 'pong']) socket.on(event, refresh)
  return () => {
    isOver = true
    clearTimeout(timer)
  }
}

export interface ExpiryOptions {
  readonly clock: Clock
  /** Unix seconds; looked at again, since it may have moved. */
  readonly expiresAt: () => number
  /** So many seconds before the end `onExpiring` is called, once for each end. */
  readonly warnS: number
  readonly onExpiring: (expiresAt: number) => void
  readonly onExpired: () => void
}

/** Timers count in 32 bits; ends that are further away are looked at again. */
const MAX_MS = 2 ** 31 - 1

/** Says when something that can be renewed comes to its end. */
export function watchExpiry({ clock, expiresAt, warnS, onExpiring, onExpired }: ExpiryOptions): Undo {
  let warnedOf = 0
  let stop: Undo = () => {}

  function wait(): void {
    const end = expiresAt()
    const leftS = end - clock.now()
    if (leftS <= 0) return onExpired()
    const isExpiring = leftS <= warnS
    if (isExpiring && warnedOf !== end) {
      warnedOf = end
      onExpiring(end)
    }
    stop = clock.after(Math.min((isExpiring ? leftS : leftS - warnS) * 1000, MAX_MS), wait)
  }

  wait()
  return () => stop()
}

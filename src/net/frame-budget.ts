import { WebSocket } from 'ws'

export interface FrameBudget {
  /** Counts one frame; stops reading when this second's frames are used up. */
  readonly take: () => void
  /** Stops reading until `release`. */
  readonly hold: () => void
  readonly release: () => void
}

/** However deep in debt, a socket is read again after this: pings and the other side's close have to be heard. */
const MAX_PAUSE_MS = 10_000

/** Slows the reading of a socket to `perSecond` frames, after `burst` at once. What is not read waits in the sender. */
export function createFrameBudget(socket: WebSocket, perSecond: number, burst = perSecond): FrameBudget {
  let left = burst
  let filledAt = performance.now()
  let isHeld = false
  let timer: NodeJS.Timeout | undefined

  function refill(): void {
    const now = performance.now()
    left = Math.min(burst, left + ((now - filledAt) / 1000) * perSecond)
    filledAt = now
  }

  function readAgain(): void {
    // Also while it closes: the other side's close frame has to be read.
    if (!isHeld && !timer) socket.resume()
  }

  /** One read holds many frames, so there may be a debt; the pause lasts until it is paid. */
  function payDebt(since = performance.now()): void {
    timer = setTimeout(
      () => {
        timer = undefined
        refill()
        const isTooLong = performance.now() - since >= MAX_PAUSE_MS
        if (left < 1 && !isTooLong) return payDebt(since)
        left = Math.max(left, 1)
        readAgain()
      },
      Math.min(MAX_PAUSE_MS, Math.max(100, ((1 - left) / perSecond) * 1000))
    )
    timer.unref()
  }

  return {
    take() {
      left--
      if (left >= 1 || timer) return
      refill()
      if (left >= 1) return
      socket.pause()
      payDebt()
    },
    hold() {
      isHeld = true
      if (socket.readyState === WebSocket.OPEN) socket.pause()
    },
    release() {
      isHeld = false
      readAgain()
    }
  }
}

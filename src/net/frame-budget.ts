import { WebSocket } from 'ws'

export interface FrameBudget {
  /** Counts one frame; stops reading when this second's frames are used up. */
  readonly take: () => void
  /** Stops reading until `release`. */
  readonly hold: () => void
  readonly release: () => void
}

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
    if (isHeld || timer || socket.readyState !== WebSocket.OPEN) return
    socket.resume()
  }

  return {
    take() {
      left--
      if (left >= 1 || timer) return
      refill()
      if (left >= 1) return
      socket.pause()
      timer = setTimeout(() => {
        timer = undefined
        refill()
        readAgain()
      }, 100)
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

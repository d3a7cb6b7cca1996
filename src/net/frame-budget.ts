import { WebSocket } from 'ws'

/** However deep in debt, a socket is read again after this: pings and the other side's close have to be heard. */
const MAX_PAUSE_MS = 10_000

/**
 * Slows the reading of a socket to `perSecond` frames, after `burst` at once. What is not read waits in the sender.
 * A class, since every idle socket has one: closures of its own would weigh three times as much.
 */
export class FrameBudget {
  readonly #socket: WebSocket
  readonly #perSecond: number
  readonly #burst: number
  #left: number
  #filledAt = performance.now()
  #isHeld = false
  #timer: NodeJS.Timeout | undefined

  constructor(socket: WebSocket, perSecond: number, burst = perSecond) {
    this.#socket = socket
    this.#perSecond = perSecond
    this.#burst = burst
    this.#left = burst
  }

  /** Counts one frame; stops reading when this second's frames are used up. */
  take(): void {
    this.#left--
    if (this.#left >= 1 || this.#timer) return
    this.#refill()
    if (this.#left >= 1) return
    this.#socket.pause()
    this.#payDebt(performance.now())
  }

  /** Stops reading until `release`. */
  hold(): void {
    this.#isHeld = true
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.pause()
  }

  release(): void {
    this.#isHeld = false
    this.#readAgain()
  }

  #refill(): void {
    const now = performance.now()
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#filledAt) / 1000) * this.#perSecond)
    this.#filledAt = now
  }

  #readAgain(): void {
    // Also while it closes: the other side's close frame has to be read.
    if (!this.#isHeld && !this.#timer) this.#socket.resume()
  }

  /** One read holds many frames, so there may be a debt; the pause lasts until it is paid. */
  #payDebt(since: number): void {
    const wait = Math.min(MAX_PAUSE_MS, Math.max(100, ((1 - this.#left) / this.#perSecond) * 1000))
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#refill()
      const isTooLong = performance.now() - since >= MAX_PAUSE_MS
      if (this.#left < 1 && !isTooLong) return this.#payDebt(since)
      this.#left = Math.max(this.#left, 1)
      this.#readAgain()
    }, wait)
    this.#timer.unref()
  }
}

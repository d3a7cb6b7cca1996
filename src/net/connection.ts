import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import { CLOSE, type CloseReason } from './close-codes.ts'
import type { Frame } from './frame.ts'

/** One live WebSocket, whoever dialled. Output is bounded: a reader that falls behind is cut off and told so. */
export interface Connection {
  readonly send: (frame: Frame) => void
  readonly close: (reason: CloseReason) => void
  /** Bytes that the peer has not taken yet. */
  readonly queuedBytes: () => number
  readonly isOpen: () => boolean
  /** Resolves when the peer has taken most of what was sent, or the connection is over. */
  readonly drained: () => Promise<void>
}

export interface ConnectionOptions {
  readonly socket: WebSocket
  /** The TCP or TLS stream of a socket that was opened to us: frames are written to it as they are. Dialled sockets must mask, so they have none. */
  readonly stream?: Socket
  /** Unsent bytes at which the reader counts as slow. */
  readonly maxQueuedBytes: number
  readonly onError: (err: unknown) => void
  /** What a slow reader is told; `CLOSE.slow` when absent. */
  readonly slow?: CloseReason
  /** Called once, just before the connection is closed as slow. */
  readonly onSlow?: () => void
}

/** How long a peer may take nothing of what was written to it before it counts as slow (IM-Suite 2.12). */
const MAX_BLOCKED_MS = 10_000
/** How long a peer may take to answer our close frame before the TCP connection is cut. */
const CLOSE_GRACE_MS = 2000

const NOTHING = Buffer.alloc(0)

/** Unsent bytes of all connections together: the less of it is left, the less each of them may have. */
const MAX_ALL_QUEUED = 64 * 1024 * 1024
/** So much each may have in any case. */
const MIN_QUEUED = 64 * 1024
/** Bytes that wait for the end of the turn. */
const MAX_CORKED = 64 * 1024
let allQueued = 0

/** An array: a set that is filled and emptied in each turn leaves a trail of tables that only a full garbage collection removes. */
let corked: Socket[] = []

/** What is sent to a socket within one turn of the event loop goes out in one write. */
function cork(stream: Socket): void {
  // Nobody else corks it.
  if (stream.writableCorked > 0) return
  if (corked.length === 0) setImmediate(uncorkAll)
  corked.push(stream)
  stream.cork()
}

function uncorkAll(): void {
  const streams = corked
  corked = []
  for (const stream of streams) stream.uncork()
}

export function createConnection(options: ConnectionOptions): Connection {
  return new SocketConnection(options)
}

/** A class, since every idle socket has one: closures of its own would weigh four times as much. */
class SocketConnection implements Connection {
  readonly #socket: WebSocket
  readonly #stream: Socket | undefined
  readonly #maxQueuedBytes: number
  readonly #slow: CloseReason
  readonly #onSlow: (() => void) | undefined
  readonly #onSent: (() => void) | undefined
  #isClosing = false
  #isSlow = false
  /** Resolved whenever the last frame of a dialled socket has left. */
  #onFlushed: (() => void)[] | undefined
  /** Since when the stream is full; 0 while it is not. */
  #blockedAt = 0
  /** What of `allQueued` is ours. */
  #counted = 0

  constructor({ socket, stream, maxQueuedBytes, onError, slow = CLOSE.slow, onSlow }: ConnectionOptions) {
    this.#socket = socket
    this.#stream = stream
    this.#maxQueuedBytes = maxQueuedBytes
    this.#slow = slow
    this.#onSlow = onSlow
    if (!stream) this.#onSent = () => this.#flushed()
    // Without a listener an error on any socket ends the process.
    socket.on('error', onError)
    socket.once('close', () => {
      this.#count(0)
      this.#flushed()
    })
    stream?.on('drain', () => {
      this.#blockedAt = 0
      this.#count(0)
      this.#flushed()
    })
  }

  queuedBytes(): number {
    return this.#stream ? this.#stream.writableLength : this.#socket.bufferedAmount
  }

  isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN && !this.#isClosing
  }

  close({ code, reason }: CloseReason): void {
    if (!this.isOpen()) return
    this.#isClosing = true
    const socket = this.#socket
    socket.close(code, reason)
    const timer = setTimeout(() => socket.terminate(), CLOSE_GRACE_MS)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  }

  drained(): Promise<void> {
    if (this.#hasDrained()) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onFlushed ??= []
      this.#onFlushed.push(resolve)
      this.#tellWhenFlushed()
    })
  }

  send(frame: Frame): void {
    if (!this.isOpen()) return
    const stream = this.#stream
    const queued = this.queuedBytes()
    if (frame.isEphemeral && queued > this.#maxQueuedBytes / 4) return
    if ((this.#isTooMuch(queued) || this.#isBlocked()) && !this.#isSlow) {
      // Whoever is told may still send a last word.
      this.#isSlow = true
      this.#onSlow?.()
      this.close(this.#slow)
      return
    }
    if (!stream) return this.#socket.send(frame.text, this.#onSent)
    cork(stream)
    stream.write(frame.bytes)
    // Much at once goes out at once: what only waits for the end of the turn is nobody's slowness.
    if (stream.writableLength > MAX_CORKED) stream.uncork()
  }

  #count(queued: number): void {
    allQueued += queued - this.#counted
    this.#counted = queued
  }

  /** Many slow readers share what there is, so that a thousand need no more memory than a few. */
  #isTooMuch(queued: number): boolean {
    // A stream that is not full does not tell when it is empty, and is soon.
    this.#count(this.#stream && !this.#stream.writableNeedDrain ? 0 : queued)
    return queued > Math.min(this.#maxQueuedBytes, Math.max(MIN_QUEUED, MAX_ALL_QUEUED - allQueued))
  }

  #hasDrained(): boolean {
    return this.#socket.readyState !== WebSocket.OPEN || this.queuedBytes() <= this.#maxQueuedBytes / 8
  }

  #flushed(): void {
    if (!this.#stream) this.#count(this.#socket.readyState === WebSocket.OPEN ? this.queuedBytes() : 0)
    if (!this.#onFlushed || !this.#hasDrained()) return
    const resolvers = this.#onFlushed
    this.#onFlushed = undefined
    for (const resolve of resolvers) resolve()
  }

  /** A stream that is not full does not tell when it is empty; what is written last is. */
  #tellWhenFlushed(): void {
    if (!this.#stream?.writable || this.#stream.writableNeedDrain) return
    this.#stream.write(NOTHING, () => {
      this.#flushed()
      if (this.#onFlushed) this.#tellWhenFlushed()
    })
  }

  #isBlocked(): boolean {
    if (!this.#stream?.writableNeedDrain) return false
    this.#blockedAt ||= performance.now()
    return performance.now() - this.#blockedAt > MAX_BLOCKED_MS
  }
}

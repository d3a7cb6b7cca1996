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
  const { socket, stream, maxQueuedBytes, onError, slow = CLOSE.slow, onSlow } = options
  let isClosing = false
  let isSlow = false
  /** Resolved whenever the last frame of a dialled socket has left. */
  let onFlushed: (() => void)[] = []
  /** Since when the stream is full; 0 while it is not. */
  let blockedAt = 0
  /** What of `allQueued` is ours. */
  let counted = 0
  // Without a listener an error on any socket ends the process.
  socket.on('error', onError)

  const queuedBytes = stream ? () => stream.writableLength : () => socket.bufferedAmount

  function close({ code, reason }: CloseReason): void {
    if (isClosing || socket.readyState !== WebSocket.OPEN) return
    isClosing = true
    socket.close(code, reason)
    const timer = setTimeout(() => socket.terminate(), CLOSE_GRACE_MS)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  }

  function count(queued: number): void {
    allQueued += queued - counted
    counted = queued
  }

  /** Many slow readers share what there is, so that a thousand need no more memory than a few. */
  function isTooMuch(queued: number): boolean {
    // A stream that is not full does not tell when it is empty, and is soon.
    count(stream && !stream.writableNeedDrain ? 0 : queued)
    return queued > Math.min(maxQueuedBytes, Math.max(MIN_QUEUED, MAX_ALL_QUEUED - allQueued))
  }

  function flushed(): void {
    if (!stream) count(socket.readyState === WebSocket.OPEN ? queuedBytes() : 0)
    if (onFlushed.length === 0 || (queuedBytes() > maxQueuedBytes / 8 && socket.readyState === WebSocket.OPEN)) return
    const resolvers = onFlushed
    onFlushed = []
    for (const resolve of resolvers) resolve()
  }
  socket.once('close', () => {
    count(0)
    flushed()
  })
  stream?.on('drain', () => {
    blockedAt = 0
    count(0)
    flushed()
  })

  /** A stream that is not full does not tell when it is empty; what is written last is. */
  function tellWhenFlushed(): void {
    if (!stream?.writable || stream.writableNeedDrain) return
    stream.write(NOTHING, () => {
      flushed()
      if (onFlushed.length > 0) tellWhenFlushed()
    })
  }

  function isBlocked(): boolean {
    if (!stream?.writableNeedDrain) return false
    blockedAt ||= performance.now()
    return performance.now() - blockedAt > MAX_BLOCKED_MS
  }

  return {
    close,
    queuedBytes,

    drained() {
      if (socket.readyState !== WebSocket.OPEN || queuedBytes() <= maxQueuedBytes / 8) return Promise.resolve()
      return new Promise((resolve) => {
        onFlushed.push(resolve)
        tellWhenFlushed()
      })
    },

    isOpen: () => socket.readyState === WebSocket.OPEN && !isClosing,

    send(frame) {
      if (isClosing || socket.readyState !== WebSocket.OPEN) return
      const queued = queuedBytes()
      if (frame.isEphemeral && queued > maxQueuedBytes / 4) return
      if ((isTooMuch(queued) || isBlocked()) && !isSlow) {
        // Whoever is told may still send a last word.
        isSlow = true
        onSlow?.()
        close(slow)
        return
      }
      if (!stream) return socket.send(frame.text, flushed)
      cork(stream)
      stream.write(frame.bytes)
      // Much at once goes out at once: what only waits for the end of the turn is nobody's slowness.
      if (stream.writableLength > MAX_CORKED) stream.uncork()
    }
  }
}

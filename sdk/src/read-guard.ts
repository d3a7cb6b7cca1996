import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import type { CloseReason } from './dialer.ts'

export interface ReadGuardOptions {
  readonly socket: WebSocket
  /** What lies below the socket. Reading has begun already: what `ws` has made of a piece is known when we see it. */
  readonly stream: Socket
  /** Whether the frames that come are masked: those of clients are. */
  readonly isMasked: boolean
}

const CRUMBS: CloseReason = { code: 1008, reason: 'a message comes in too many pieces' }
/** Every piece of a frame costs some 300 bytes beside its own, so pieces have to be of this size, except so many. */
const MIN_PIECE = 64
const FREE_PIECES = 512
/** What control frames may take that come between the fragments of one message. */
const FREE_BYTES = 128 * 1024
/** For `ws`: fragments of one message. */
export const MAX_FRAGMENTS = 512
/** How long the other side may take to go. */
const CLOSE_MS = 2000

/**
 * Bounds what one message costs before it is whole. `ws` bounds its bytes and its fragments; but a frame that comes in
 * crumbs costs far more than its bytes, and each fragment keeps all of the piece in which it came, with the pings around
 * it. Whoever does that is closed upon with 1008.
 */
export function guardReading({ socket, stream, isMasked }: ReadGuardOptions): void {
  const head = isMasked ? 6 : 2
  /** Since the last whole frame. */
  let pieces = 0
  let pieceBytes = 0
  /** Since the last whole message: all bytes, and of these the control frames. */
  let bytes = 0
  let controlBytes = 0
  let isWholeFrame = false
  let isWholeMessage = false

  function onControl(payload: Buffer): void {
    isWholeFrame = true
    controlBytes += head + payload.length
  }

  function onMessage(): void {
    isWholeFrame = true
    isWholeMessage = true
  }

  function onData({ length }: Buffer): void {
    bytes += length
    // No message is under way, so nothing is kept.
    if (isWholeMessage || bytes <= controlBytes) bytes = controlBytes = 0
    pieces = isWholeFrame ? 0 : pieces + 1
    pieceBytes = isWholeFrame ? 0 : pieceBytes + length
    isWholeFrame = isWholeMessage = false
    if (pieces > FREE_PIECES && pieceBytes < pieces * MIN_PIECE) return end()
    if (controlBytes > FREE_BYTES) end()
  }

  function end(): void {
    if (socket.readyState === WebSocket.OPEN) socket.close(CRUMBS.code, CRUMBS.reason)
    // What still comes goes nowhere: the other side may not care that we have closed.
    stream.removeAllListeners('data')
    stream.resume()
    stream.end()
    const timer = setTimeout(() => socket.terminate(), CLOSE_MS)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  }

  socket.on('message', onMessage)
  socket.on('ping', onControl)
  socket.on('pong', onControl)
  stream.on('data', onData)
}

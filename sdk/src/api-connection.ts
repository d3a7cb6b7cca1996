import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import type { CloseReason } from './dialer.ts'
import { closeSocket } from './ends.ts'
import type { Line, Outbox } from './outbox.ts'
import { startPings } from './pings.ts'
import type { Seen } from './seen.ts'
import { ApiSession, type AckNote, type Received } from './session.ts'
import type { Counters } from './stats.ts'
import { readBinary, toBuffer } from './text.ts'

/**
 * How connections of the API-Server protocol are closed: code and reason as they go over the wire. Never 1000 or 1001,
 * which the real client does not notice (contract 0.4).
 */
export const API_CLOSE = {
  binary: { code: 1003, reason: 'text frames of JSON only' },
  slow: { code: 1008, reason: 'slow consumer' },
  silent: { code: 1011, reason: 'keepalive ping timeout' },
  restart: { code: 1012, reason: 'service restart' },
  replaced: { code: 4000, reason: 'replaced' }
} as const satisfies Record<string, CloseReason>

/** The close code for a frame that was too big (RFC 6455 §7.4.1). */
export const TOO_BIG = 1009

export interface ApiConnectionOptions {
  readonly socket: WebSocket
  /** What lies below the socket. */
  readonly stream: Socket | undefined
  readonly side: 'server' | 'client'
  readonly uuid: string
  readonly outbox: Pick<Outbox, 'open' | 'acked' | 'spoke'>
  readonly seen: Seen
  readonly pingIntervalMs: number
  readonly pingTimeoutMs: number
  readonly maxBufferedBytes: number
  readonly counters: Counters
  readonly onMessage: (received: Received) => AckNote | Promise<AckNote>
  /** A handler failed; its message was not taken. */
  readonly onError: (err: unknown) => void
}

export interface ApiConnection {
  readonly line: Line
  /** Nothing is sent over it any more; `reason` closes it. */
  readonly end: (reason?: CloseReason) => void
}

/** Messages of one connection that are worked on at a time; with so many the socket is not read. */
const MAX_PENDING = 256

/** Wires an open socket, on either side: acknowledgements, pings, and an end to everything that could grow. */
export function openApiConnection(options: ApiConnectionOptions): ApiConnection {
  const { socket, stream, counters, maxBufferedBytes, pingIntervalMs } = options
  // Without a listener an error on any socket ends the process; the close that follows tells enough.
  socket.on('error', () => {})

  const line: Line = {
    send(text) {
      if (socket.readyState !== WebSocket.OPEN) return false
      if (socket.bufferedAmount > maxBufferedBytes) {
        void closeSocket(socket, API_CLOSE.slow)
        return false
      }
      socket.send(text)
      counters.framesSent++
      counters.bytesSent += Buffer.byteLength(text)
      return true
    }
  }

  let pending = 0
  function onMessage(received: Received): AckNote | Promise<AckNote> {
    const result = options.onMessage(received)
    if (!(result instanceof Promise)) return result
    if (++pending === MAX_PENDING) socket.pause()
    return result.finally(() => {
      if (pending-- === MAX_PENDING) socket.resume()
    })
  }

  const { side, uuid, outbox, seen, onError } = options
  const session = new ApiSession({
    side,
    uuid,
    line,
    outbox,
    seen,
    onMessage,
    onError,
    count(what) {
      if (what === 'received') counters.envelopesReceived++
      if (what === 'ack received') counters.acksReceived++
      if (what === 'duplicate') counters.duplicateMessagesIgnored++
      if (what === 'acked' && socket.readyState === WebSocket.OPEN) counters.acksSent++
    }
  })

  socket.on('message', (data, isBinary) => {
    const bytes = toBuffer(data)
    counters.bytesReceived += bytes.length
    const text = isBinary ? readBinary(bytes) : bytes.toString()
    if (text === undefined) return void closeSocket(socket, API_CLOSE.binary)
    session.receive(text)
  })

  // While we do not read, no pong can be seen.
  let looks = 0
  if (pingIntervalMs > 0)
    startPings({
      socket,
      intervalMs: pingIntervalMs,
      timeoutMs: options.pingTimeoutMs,
      bytesRead: () => (socket.isPaused ? --looks : (stream?.bytesRead ?? 0)),
      onSilent: () => void closeSocket(socket, API_CLOSE.silent)
    })

  return {
    line,
    end(reason) {
      session.close()
      if (reason) void closeSocket(socket, reason)
    }
  }
}

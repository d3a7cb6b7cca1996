import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket, type ClientOptions } from 'ws'
import { backoff } from './backoff.ts'
import { guardReading, MAX_FRAGMENTS } from './read-guard.ts'

/** As it goes over the wire (RFC 6455 §7.4). */
export interface CloseReason {
  readonly code: number
  readonly reason: string
}

/**
 * What a server that we dialled may do to us: fragments of one message, and how long it may take to answer the close of a
 * connection on which it broke the protocol.
 */
const BOUNDS = { maxFragments: MAX_FRAGMENTS, closeTimeout: 5000 }
const HANDSHAKE_MS = 10_000
/** When nothing came for so long, the operating system asks whether the other machine is still there. */
const KEEP_ALIVE_MS = 30_000

const SHUTDOWN: CloseReason = { code: 1001, reason: 'server shutdown' }

export interface DialerOptions {
  readonly url: string
  readonly socketOptions?: ClientOptions
  /**
   * Called at once when the socket is open, before anything was read from it. Gives back what to do when it closed, with its
   * close code. `stream` is what lies below, to ask how much has come; `answer` are the headers with which the other side
   * let us in.
   */
  readonly onOpen: (
    socket: WebSocket,
    stream: Socket | undefined,
    answer: IncomingHttpHeaders
  ) => (code: number) => void
  readonly onState: (state: DialState) => void
  readonly retry?: { readonly firstMs: number; readonly maxMs: number }
  /** A connection that lived this long counts as good: the next wait begins small again. */
  readonly stableMs?: number
  /** Failed tries in a row after the first until it gives up; never when absent. */
  readonly maxRetries?: number
  /** Called once, when it has given up. */
  readonly onGiveUp?: (why: string) => void
  /** Whether the wait between two tries keeps the process alive. False when absent. */
  readonly keepsAlive?: boolean
  /** How long the other side may take to answer our close frame; 2 s when absent. */
  readonly closeMs?: number
}

export type DialState =
  | { readonly state: 'open' }
  /** `waitMs` until the next try. */
  | { readonly state: 'closed'; readonly why: string; readonly waitMs: number }

/**
 * Keeps one WebSocket open to an address: redials whatever the close code or the failure, with growing, jittered waits, for
 * ever unless told otherwise. It is one loop, so there is never a second connection. Gives back its stop, which closes with
 * 1001 unless told otherwise.
 */
export function startDialer(options: DialerOptions): { stop: (reason?: CloseReason) => Promise<void> } {
  const { url, socketOptions = {}, onOpen, onState, stableMs = 10_000, maxRetries = Infinity } = options
  const { onGiveUp, keepsAlive = false, closeMs = 2000 } = options
  const retry = options.retry ?? { firstMs: 1000, maxMs: 60_000 }
  const abort = new AbortController()
  let socket: WebSocket | undefined

  async function run(): Promise<void> {
    for (let attempt = 1; !abort.signal.aborted; attempt++) {
      const { why, livedMs } = await connectOnce()
      if (abort.signal.aborted) return
      if (livedMs >= stableMs) attempt = 1
      if (attempt > maxRetries) return onGiveUp?.(why)
      const waitMs = backoff(attempt, retry)
      onState({ state: 'closed', why, waitMs })
      await delay(waitMs, undefined, { signal: abort.signal, ref: keepsAlive }).catch(() => {})
    }
  }

  /** Resolves when the connection is over, or never came about. */
  function connectOnce(): Promise<{ why: string; livedMs: number }> {
    return new Promise((resolve) => {
      const { handshakeTimeout: handshakeMs = HANDSHAKE_MS } = socketOptions
      const dialled = new WebSocket(url, { perMessageDeflate: false, ...BOUNDS, ...socketOptions })
      let openedAt: number | undefined
      let failure: string | undefined
      let onClosed: (code: number) => void = () => {}
      let stream: Socket | undefined
      let answer: IncomingHttpHeaders = {}
      socket = dialled
      // The time-out of `ws` begins anew with every byte: a server could take for ever over its answer.
      const deadline = handshakeMs > 0 ? setTimeout(giveUp, handshakeMs) : undefined
      function giveUp(): void {
        failure = 'Opening handshake has timed out'
        dialled.terminate()
      }

      dialled.once('upgrade', (response) => {
        stream = response.socket
        answer = response.headers
        stream.setKeepAlive(true, KEEP_ALIVE_MS)
      })
      dialled.once('open', () => {
        clearTimeout(deadline)
        openedAt = performance.now()
        if (stream) guardReading({ socket: dialled, stream, isMasked: false })
        onClosed = onOpen(dialled, stream, answer)
        onState({ state: 'open' })
        if (abort.signal.aborted) dialled.close(SHUTDOWN.code, SHUTDOWN.reason)
      })
      dialled.on('error', (err) => {
        failure ??= err.message
      })
      dialled.once('close', (code, reason) => {
        clearTimeout(deadline)
        onClosed(code)
        const livedMs = openedAt === undefined ? 0 : performance.now() - openedAt
        resolve({ why: failure ?? `closed by the other side: ${code} ${String(reason)}`.trim(), livedMs })
      })
    })
  }

  const running = run()

  return {
    async stop({ code, reason } = SHUTDOWN) {
      abort.abort()
      const timer = setTimeout(() => socket?.terminate(), closeMs)
      if (socket?.readyState === WebSocket.OPEN) socket.close(code, reason)
      else socket?.terminate()
      await running
      clearTimeout(timer)
    }
  }
}

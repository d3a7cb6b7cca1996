import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import type { Undo } from '../core/bus.ts'

export interface Heartbeat {
  /** Pings the socket until the undo is called or the socket closes; cuts a peer that does not answer. */
  readonly watch: (socket: WebSocket, options?: WatchOptions) => Undo
  readonly stop: () => void
}

export interface WatchOptions {
  /** What the next ping carries, at most 125 bytes. */
  readonly payload?: () => string
  /** What lies below the socket: while a large frame is on its way, no pong can come between its bytes. */
  readonly stream?: Pick<Socket, 'bytesRead'> | undefined
}

export interface HeartbeatOptions {
  /** From one ping of a socket to the next; 25 s when absent. */
  readonly periodMs?: number
  /** How long the answer to one may take, less than the period; 8 s when absent. `Infinity`: nobody is cut. */
  readonly pongMs?: number
}

interface Watched {
  readonly payload: (() => string) | undefined
  readonly stream: WatchOptions['stream']
  /** Turns that are left for the answer. */
  turnsLeft: number
  /** What had come when there was last a sign of life. */
  read: number
  /** The ping has left this process. */
  isSent: boolean
}

/** The time of a heartbeat is no finer than this. */
const TURN_MS = 1000

/**
 * One timer for all sockets, which take turns over a period, so that thousands are not pinged at once. Time is counted in
 * turns of this timer: what a blocked event loop has lost is nobody's fault and counts as one turn at most. A peer is cut
 * when nothing at all came of it for `pongMs` after a ping, or when it has not even taken the ping within a period.
 */
export function startHeartbeat({ periodMs = 25_000, pongMs = 8000 }: HeartbeatOptions = {}): Heartbeat {
  const turns = Math.max(1, Math.round(periodMs / Math.min(TURN_MS, pongMs / 4)))
  const turnMs = periodMs / turns
  const slots = Array.from({ length: turns }, () => new Map<WebSocket, Watched>())
  const waiting = new Map<WebSocket, Watched>()
  let turn = 0
  let next = 0

  function look(): void {
    const silent: WebSocket[] = []
    for (const [socket, state] of waiting) {
      const read = state.stream?.bytesRead ?? 0
      if (read !== state.read) {
        state.read = read
        state.turnsLeft = Math.ceil(pongMs / turnMs)
        continue
      }
      // While we do not read, no pong can be seen; what we have not sent, nobody can answer.
      if (socket.isPaused || !state.isSent) continue
      if (--state.turnsLeft <= 0) silent.push(socket)
    }
    if (silent.length > 0) setImmediate(cut, silent)
  }

  /** Called when what had arrived by the look is read: it may have waited while the event loop was blocked. */
  function cut(silent: readonly WebSocket[]): void {
    for (const socket of silent) {
      const state = waiting.get(socket)
      if (state && state.turnsLeft <= 0 && (state.stream?.bytesRead ?? 0) === state.read) socket.terminate()
    }
  }

  function ping(socket: WebSocket, state: Watched): void {
    if (socket.readyState !== WebSocket.OPEN) return
    if (waiting.has(socket)) {
      if (!state.isSent) socket.terminate()
      return
    }
    if (pongMs < Infinity) {
      waiting.set(socket, state)
      state.turnsLeft = Math.ceil(pongMs / turnMs)
      state.read = state.stream?.bytesRead ?? 0
      state.isSent = false
    }
    socket.ping(state.payload?.() ?? '', undefined, () => {
      state.isSent = true
    })
  }

  const timer = setInterval(() => {
    look()
    turn = (turn + 1) % turns
    for (const [socket, state] of slots[turn] ?? []) ping(socket, state)
  }, turnMs)
  timer.unref()

  return {
    watch(socket, { payload, stream } = {}) {
      const slot = slots[next++ % turns] as (typeof slots)[number]
      const onPong = (): void => {
        waiting.delete(socket)
      }
      const undo = (): void => {
        slot.delete(socket)
        waiting.delete(socket)
        socket.off('pong', onPong)
        socket.off('close', undo)
      }
      slot.set(socket, { payload, stream, turnsLeft: 0, read: 0, isSent: false })
      socket.on('pong', onPong)
      socket.once('close', undo)
      return undo
    },
    stop: () => clearInterval(timer)
  }
}

import { WebSocket } from 'ws'
import type { Undo } from '../core/bus.ts'

export interface Heartbeat {
  /** Pings the socket until the undo is called or the socket closes; cuts a peer that misses two pongs. `payload` is at most 125 bytes. */
  readonly watch: (socket: WebSocket, payload?: () => string) => Undo
  readonly stop: () => void
}

/**
 * One timer for all sockets. They take turns over the seconds of a period, so that thousands are not pinged at once.
 * `periodMs`: from one ping of a socket to the next. `maxMissed`: pongs that may fail to come.
 */
export function startHeartbeat(periodMs = 30_000, maxMissed = 2): Heartbeat {
  const turns = Math.max(1, Math.round(periodMs / 1000))
  const slots = Array.from({ length: turns }, () => new Map<WebSocket, { missed: number; payload: () => string }>())
  let turn = 0
  let next = 0

  const timer = setInterval(() => {
    turn = (turn + 1) % turns
    for (const [socket, state] of slots[turn] ?? []) {
      if (socket.readyState !== WebSocket.OPEN) continue
      if (state.missed >= maxMissed) {
        socket.terminate()
        continue
      }
      state.missed++
      socket.ping(state.payload())
    }
  }, periodMs / turns)
  timer.unref()

  return {
    watch(socket, payload = () => '') {
      const slot = slots[next++ % turns] as (typeof slots)[number]
      const state = { missed: 0, payload }
      const onPong = (): void => {
        state.missed = 0
      }
      const undo = (): void => {
        slot.delete(socket)
        socket.off('pong', onPong)
        socket.off('close', undo)
      }
      slot.set(socket, state)
      socket.on('pong', onPong)
      socket.once('close', undo)
      return undo
    },
    stop: () => clearInterval(timer)
  }
}

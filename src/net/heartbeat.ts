import { WebSocket } from 'ws'
import type { Undo } from '../core/bus.ts'

export interface Heartbeat {
  /** Pings the socket until the undo is called or the socket closes; cuts a peer that misses two pongs. `payload` is at most 125 bytes. */
  readonly watch: (socket: WebSocket, payload?: () => string) => Undo
  readonly stop: () => void
}

/**
 * One timer for all sockets. They take turns over the seconds of a period, so that thousands are not pinged at once.
 * `periodS`: seconds between two pings of one socket. `maxMissed`: pongs that may fail to come.
 */
export function startHeartbeat(periodS = 30, maxMissed = 2): Heartbeat {
  const slots = Array.from({ length: periodS }, () => new Map<WebSocket, { missed: number; payload: () => string }>())
  let second = 0
  let next = 0

  const timer = setInterval(() => {
    second = (second + 1) % periodS
    for (const [socket, state] of slots[second] ?? []) {
      if (socket.readyState !== WebSocket.OPEN) continue
      if (state.missed >= maxMissed) {
        socket.terminate()
        continue
      }
      state.missed++
      socket.ping(state.payload())
    }
  }, 1000)
  timer.unref()

  return {
    watch(socket, payload = () => '') {
      const slot = slots[next++ % periodS] as (typeof slots)[number]
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

import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { GatewayEvent } from '../core/event.ts'
import type { Store } from '../core/store.ts'
import type { Connection } from './connection.ts'
import { createCursor } from './cursor.ts'
import { createFollower } from './follower.ts'
import { createFrame } from './frame.ts'
import type { Heartbeat } from './heartbeat.ts'
import type { Hub } from './hub.ts'
import type { Since } from './log-place.ts'

export interface ConfirmedPushOptions {
  readonly store: Pick<Store, 'openCursor' | 'saveCursor' | 'readEvents'>
  readonly hub: Hub
  readonly heartbeat: Heartbeat
  readonly accountId: number
  /** The name of the place in the log. */
  readonly cursor: string
  readonly wants: (event: GatewayEvent) => boolean
  /**
   * The frame for an event; undefined when there is no word for it. An event that cannot be told is passed over. Whether it
   * has its place with it is as the other side wants it.
   */
  readonly encode: (event: GatewayEvent, tellsCursor: boolean) => string | undefined | Promise<string | undefined>
  /** Called when an event was handed to the socket; true ends the pushing for this connection. */
  readonly onSent?: (event: GatewayEvent) => boolean
  readonly onError: (err: unknown) => void
  /** An event was given up because the other side went away each time that it was told. */
  readonly onPoison?: (eventId: number) => void
  /** How often the other side may go away over one event until it is given up; never when absent. */
  readonly maxDeaths?: number
}

export interface ConfirmedPush {
  /**
   * Begins behind the last confirmed place, or where the other side says. `stream` is what lies below the socket. Gives
   * back what to call when the connection is over, with its close code.
   */
  readonly open: (
    socket: WebSocket,
    connection: Connection,
    stream: Socket | undefined,
    since?: Since
  ) => (code?: number) => void
  /** Resolves when the newest place is stored. */
  readonly settled: () => Promise<void>
}

/** How soon after an event the other side is asked whether it has arrived; shorter means fewer repeats after a cut. */
const CONFIRM_MS = 200
/** "Message too big" (RFC 6455 §7.4.1): the other side will never take it. */
const TOO_BIG = 1009

/**
 * Pushes events to one side that knows no acknowledgement. RFC 6455 makes every peer return a ping's payload: pings carry
 * our place in the log, a pong confirms it, and after a cut the events behind the last confirmed place are sent again.
 */
export async function createConfirmedPush(options: ConfirmedPushOptions): Promise<ConfirmedPush> {
  const { store, hub, heartbeat, accountId, wants, encode, onSent, onError, onPoison, maxDeaths = Infinity } = options
  const cursor = createCursor((eventId) => store.saveCursor(options.cursor, eventId), onError)
  let confirmed = await store.openCursor(options.cursor)
  /** What the other side went away over, and how often. */
  let suspect = { id: 0, deaths: 0 }

  function confirm(eventId: number): void {
    confirmed = eventId
    cursor.advance(eventId)
  }

  /** What the other side says it has is confirmed by it; what it wants again it hears again. */
  function beginAt(since: Since): number {
    // A place that was not given out yet is one of another log.
    if (typeof since !== 'number' || since > hub.position()) return confirmed
    if (since > confirmed) confirm(since)
    return since
  }

  function open(
    socket: WebSocket,
    connection: Connection,
    stream: Socket | undefined,
    since?: Since
  ): (code?: number) => void {
    const from = beginAt(since)
    let sent = from
    /** The first event that was told and is not confirmed. */
    let first: number | undefined
    let onConfirmed = (): void => {}
    const follower = createFollower({ store, hub, accountId, from, wants, onError })
    const ask = askLater(() => connection.isOpen() && socket.ping(`cursor ${sent}`))

    socket.on('pong', (payload) => {
      const eventId = Number(/^cursor (\d+)$/.exec(String(payload))?.[1] ?? 0)
      if (eventId <= confirmed || eventId > sent) return
      confirm(eventId)
      if (first !== undefined && eventId >= first) first = undefined
      onConfirmed()
    })
    heartbeat.watch(socket, { payload: () => `cursor ${sent}`, stream })

    async function tell(event: GatewayEvent): Promise<void> {
      const encoded = encode(event, since !== undefined)
      const text = encoded instanceof Promise ? await encoded : encoded
      if (text === undefined) return
      first ??= event.id
      connection.send(createFrame(text))
    }

    async function push(): Promise<void> {
      for (let event = await follower.next(); event; event = await follower.next()) {
        await tell(event).catch(onError)
        sent = event.id
        ask.soon()
        if (onSent?.(event)) return
        // Whoever went away over an event is told no more until it has taken that one.
        if (event.id === suspect.id && first === event.id)
          await new Promise<void>((resolve) => {
            onConfirmed = resolve
            socket.once('close', () => resolve())
          })
        // What the other side has not taken yet stays in the log, not in our memory.
        await connection.drained()
      }
    }
    void push().catch(onError)

    return (code) => {
      follower.close()
      ask.cancel()
      if (first === undefined) return
      const deaths = suspect.id === first ? suspect.deaths + 1 : 1
      suspect = { id: first, deaths }
      if (deaths < maxDeaths && !(code === TOO_BIG && maxDeaths < Infinity && deaths > 1)) return
      confirm(first)
      onPoison?.(first)
    }
  }

  return { open, settled: cursor.settled }
}

/** Runs `ask` once, a little later, however often it is wanted. */
function askLater(ask: () => void): { soon: () => void; cancel: () => void } {
  let timer: NodeJS.Timeout | undefined
  return {
    soon() {
      timer ??= setTimeout(() => {
        timer = undefined
        ask()
      }, CONFIRM_MS)
    },
    cancel: () => clearTimeout(timer)
  }
}

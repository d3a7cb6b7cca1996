import { setTimeout as delay } from 'node:timers/promises'
import type { GatewayEvent } from '../core/event.ts'
import type { Store } from '../core/store.ts'
import type { Codec } from '../protocols/codec.ts'
import { CLOSE } from './close-codes.ts'
import type { Connection } from './connection.ts'
import { createFrame, type Frame } from './frame.ts'
import type { Hub } from './hub.ts'
import type { Turnstile } from './turnstile.ts'

export interface CatchUpOptions {
  readonly store: Pick<Store, 'readEvents' | 'lastEventId'>
  readonly hub: Pick<Hub, 'attach'>
  readonly turnstile: Turnstile
  readonly connection: Connection
  readonly codec: Codec
  readonly viewerId: number
  readonly deviceId: string
  /** It hears what comes after this id. */
  readonly from: number
  readonly wants: (event: GatewayEvent) => boolean
  /** Called with each event when it was handed to the connection, or is not for it. */
  readonly onTold: (event: GatewayEvent) => void
  readonly onError: (err: unknown) => void
  readonly retryMs?: number
}

export interface CatchUp {
  /** Everything up to this id that is for the account was handed to the connection. */
  readonly position: () => number
  readonly close: () => void
}

/** Events that are read at once, within these bounds such that they are about so many characters. */
const MIN_PAGE = 4
const FIRST_PAGE = 16
const MAX_PAGE = 200
const PAGE_CHARACTERS = 256 * 1024
/** Unsent bytes that nobody waits for. */
const LITTLE = 64 * 1024
/** How long a reader that catches up may take nothing at all. */
const MAX_STALL_MS = 30_000

/** Live events that wait while the log is read a last time. */
const MAX_HELD = 1000

/**
 * Tells a connection what comes after a place of the log, then what happens: in order, without gaps and doubles. What is
 * old comes as fast as the other side takes it, since a long absence must not look like a slow reader; what happens comes
 * at once, and whoever is too slow for that is cut off by the connection.
 */
export function startCatchUp(options: CatchUpOptions): CatchUp {
  const { store, hub, turnstile, connection, codec, viewerId, deviceId, wants, onTold, onError } = options
  const { retryMs = 1000 } = options
  let position = options.from
  let isClosed = false
  let isLive = false
  let held: { readonly event: GatewayEvent; readonly frame: Frame | undefined }[] | undefined
  let pageSize = FIRST_PAGE

  const detach = hub.attach({
    viewerId,
    deviceId,
    receive(event, frameOf) {
      if (event.id <= position || !(isLive || held)) return
      if (isLive) tell(event, wants(event) ? frameOf(codec, viewerId) : undefined)
      else if (held && held.length < MAX_HELD)
        held.push({ event, frame: wants(event) ? frameOf(codec, viewerId) : undefined })
      // The log knows it too.
      else held = undefined
    }
  })

  function tell(event: GatewayEvent, frame: Frame | undefined): void {
    position = event.id
    if (frame) connection.send(frame)
    onTold(event)
  }

  function encode(event: GatewayEvent): Frame | undefined {
    if (!wants(event)) return undefined
    const text = codec.encodeEvent(event, viewerId)
    return text === undefined ? undefined : createFrame(text)
  }

  /** Undefined when the log could not be read. */
  async function readPage(): Promise<{ events: readonly GatewayEvent[]; readTo: number } | undefined> {
    // Live first, then read: what is committed in between is seen twice rather than never.
    held = []
    try {
      // Mostly there is nothing.
      if ((await store.lastEventId()) <= position) return { events: [], readTo: position }
      const page = await store.readEvents(viewerId, position, pageSize)
      if (page.readTo !== position) held = undefined
      return page
    } catch (err) {
      held = undefined
      onError(err)
      return undefined
    }
  }

  async function tellPage(events: readonly GatewayEvent[]): Promise<void> {
    let characters = 0
    for (const event of events) {
      if (!connection.isOpen()) return
      const frame = encode(event)
      characters += frame?.text.length ?? 0
      tell(event, frame)
      await rest()
    }
    const mean = characters / Math.max(1, events.length)
    pageSize = Math.min(MAX_PAGE, pageSize * 2, Math.max(MIN_PAGE, Math.floor(PAGE_CHARACTERS / Math.max(1, mean))))
  }

  /** Until the other side has taken most of it. */
  async function rest(): Promise<void> {
    if (connection.queuedBytes() < LITTLE) return
    const timer = setTimeout(() => connection.close(CLOSE.slow), MAX_STALL_MS)
    await connection.drained()
    clearTimeout(timer)
  }

  async function run(): Promise<void> {
    while (connection.isOpen() && !isClosed) {
      const page = await turnstile.pass(readPage)
      if (!page) {
        await delay(retryMs, undefined, { ref: false })
        continue
      }
      await tellPage(page.events)
      position = Math.max(position, page.readTo)
      if (!held) continue
      isLive = true
      for (const { event, frame } of held) if (event.id > position) tell(event, frame)
      held = undefined
      return
    }
  }

  void run().catch(onError)

  return {
    position: () => position,
    close() {
      isClosed = true
      detach()
    }
  }
}

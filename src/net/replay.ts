import type { GatewayEvent } from '../core/event.ts'
import type { MissedLimits, Store } from '../core/store.ts'
import type { Codec } from '../protocols/codec.ts'
import type { Connection } from './connection.ts'
import { createFrame } from './frame.ts'

/** How much of what was missed is sent again (IM-Suite 2.10). */
const CAPS: MissedLimits = { chats: 50, perChat: 200, total: 2000 }

export interface ReplayOptions {
  readonly store: Pick<Store, 'readMissed' | 'lastEventId'>
  readonly connection: Connection
  readonly codec: Codec
  readonly viewerId: number
  /** Events after this id. */
  readonly from: number
}

/** Sends what a device has missed, in the order of the log; called again it goes on from there. For `Gate.catchUp`. */
export function createReplay(options: ReplayOptions): () => Promise<(event: GatewayEvent) => boolean> {
  const { store, connection, codec, viewerId } = options
  let position = options.from

  return async () => {
    // Mostly there is nothing, and then the chats of the account need not be looked through.
    if ((await store.lastEventId()) <= position) return () => false
    const [events, end] = await Promise.all([store.readMissed(viewerId, position, CAPS), store.lastEventId()])
    for (const event of events) {
      if (!connection.isOpen()) break
      const text = codec.encodeEvent(event, viewerId)
      if (text !== undefined) connection.send(createFrame(text))
      // A long absence must not look like a slow reader.
      await connection.drained()
    }
    const horizon = Math.max(end, events.at(-1)?.id ?? 0)
    position = horizon
    return notTwice(new Set(events.map((event) => event.id)), horizon)
  }
}

/** Tells what was sent already, until the hub has passed the end of it: from there on nothing need be remembered. */
function notTwice(ids: ReadonlySet<number>, horizon: number): (event: GatewayEvent) => boolean {
  let sent: ReadonlySet<number> | undefined = ids
  return ({ id }) => {
    if (id > horizon) sent = undefined
    return sent?.has(id) ?? false
  }
}

import { Type, type Static } from '@sinclair/typebox'
import type { GatewayEvent } from '../core/event.ts'
import type { ChatSummary, Store } from '../core/store.ts'
import { compileParams } from '../core/validate.ts'
import type { Codec } from '../protocols/codec.ts'
import { encodeSyncResult, type SyncedChat } from '../protocols/imsuite-ext.ts'
import type { Connection } from './connection.ts'
import { createFrame } from './frame.ts'
import type { Gate } from './gate.ts'

// The extension profile's way to catch up (IM-Suite 2.10): the client says what it knows of each chat and gets the rest.

const SyncRequest = Type.Object({
  known: Type.Optional(
    Type.Record(Type.String({ pattern: '^[0-9]{1,16}$' }), Type.Integer({ minimum: 0 }), {
      additionalProperties: false,
      description: 'expected the last event_seq of each chat, by its id'
    })
  ),
  limit: Type.Optional(Type.Integer({ minimum: 1, description: 'expected a number of events from 1 to 200' })),
  epoch: Type.Optional(Type.String())
})
const validate = compileParams(SyncRequest)

const MAX_EVENTS = 200
/** A client that is further behind in a chat drops what it has and loads a page. */
const MAX_GAP = 1000
const MAX_CHATS = 1000
/** Chats in one `sync.result`. */
const CHUNK = 20

export interface SyncOptions {
  readonly store: Pick<Store, 'listChats' | 'readChatEvents' | 'oldestEventSeq' | 'lastEventId'>
  readonly connection: Connection
  readonly gate: Gate
  readonly codec: Codec
  readonly viewerId: number
  /** What the log is called; another one after the database was replaced. */
  readonly epoch: string
  /** Sends a frame of the extension profile. */
  readonly say: (type: string, payload: object) => void
  /** Unix seconds. */
  readonly now: () => number
}

/** Looks at what a client asks for, and gives the work that answers it. Throws `ActionError('invalid')`. */
export type Sync = (params: unknown) => () => Promise<void>

/** Answers `sync`. */
export function createSync({ store, connection, gate, codec, viewerId, epoch, say, now }: SyncOptions): Sync {
  /** What this connection was sent of each chat, so that nothing that is still on its way comes twice. */
  const sent = new Map<number, number>()
  let horizon = 0
  const wasSent = (event: GatewayEvent): boolean =>
    event.id <= horizon && event.eventSeq <= (sent.get(event.chat.id) ?? 0)

  async function toSynced(
    { chat, lastEventSeq }: ChatSummary,
    known: number | undefined,
    limit: number
  ): Promise<SyncedChat> {
    if (known === undefined) {
      sent.set(chat.id, lastEventSeq)
      return { chat, from: lastEventSeq, to: lastEventSeq, frames: [], more: false }
    }
    const events = await store.readChatEvents(viewerId, chat.id, known, limit)
    // What was recalled before it could be told leaves holes, so the end is not the last frame's.
    const isAll = events.length < limit
    const to = isAll ? lastEventSeq : (events.at(-1)?.eventSeq ?? lastEventSeq)
    sent.set(chat.id, to)
    const frames = events.flatMap((event) => codec.encodeEvent(event, viewerId) ?? [])
    return { chat, from: known, to, frames, more: !isAll }
  }

  /** Too far behind, ahead of a log that is not the one the client knew, or what it missed is not in the log any more. */
  async function isOutOfReach({ chat, lastEventSeq }: ChatSummary, from: number): Promise<boolean> {
    if (from > lastEventSeq || lastEventSeq - from > MAX_GAP) return true
    return from < lastEventSeq && from + 1 < (await store.oldestEventSeq(chat.id))
  }

  async function send(known: ReadonlyMap<number, number>, limit: number): Promise<void> {
    const { chats } = await store.listChats(viewerId, { offset: 0, limit: MAX_CHATS })
    const ids = new Set(chats.map(({ chat }) => chat.id))
    const removed = [...known.keys()].filter((id) => !ids.has(id))
    let part: SyncedChat[] = []
    let isFirst = true

    async function flush(): Promise<void> {
      const result = encodeSyncResult({
        chats: part,
        removed: isFirst ? removed : [],
        epoch,
        viewerId,
        time: now()
      })
      connection.send(createFrame(result))
      await connection.drained()
      part = []
      isFirst = false
    }

    for (const summary of chats) {
      if (!connection.isOpen()) return
      const from = known.get(summary.chat.id)
      if (from !== undefined && (await isOutOfReach(summary, from))) {
        say('sync.reset', { chat_id: summary.chat.id })
        sent.set(summary.chat.id, summary.lastEventSeq)
        continue
      }
      // Nothing new is worth no word.
      if (from === summary.lastEventSeq) continue
      part.push(await toSynced(summary, from, limit))
      if (part.length === CHUNK) await flush()
    }
    if (part.length > 0 || (isFirst && removed.length > 0)) await flush()
  }

  async function answer(request: Static<typeof SyncRequest>): Promise<void> {
    const known = new Map(Object.entries(request.known ?? {}).map(([id, seq]) => [Number(id), seq]))
    const isSameLog = request.epoch === undefined || request.epoch === epoch
    await gate.catchUp(async () => {
      if (!isSameLog) for (const id of known.keys()) say('sync.reset', { chat_id: id })
      await send(isSameLog ? known : new Map(), Math.min(request.limit ?? MAX_EVENTS, MAX_EVENTS))
      horizon = await store.lastEventId()
      // Before what is held back: from here on the client may take events as they come.
      say('sync.done', { epoch })
      return wasSent
    })
  }

  return (params) => {
    const request = validate(params) as Static<typeof SyncRequest>
    return () => answer(request)
  }
}

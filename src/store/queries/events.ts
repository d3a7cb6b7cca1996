import type { DatabaseSync } from 'node:sqlite'
import {
  INBOX,
  type ChatEvent,
  type EventDraft,
  type EventKind,
  type EventOf,
  type GatewayEvent,
  type InboxEventDraft,
  type SenderRef
} from '../../core/event.ts'
import type { Segment } from '../../core/segment.ts'
import type { DroppedEvents, LogBounds, MissedLimits } from '../../core/store.ts'
import type { Emit } from '../writer.ts'
import type { AccountQueries } from './accounts.ts'
import type { ChatQueries } from './chats.ts'
import { toMessage, type MessageRow } from './message-row.ts'

interface EventRow {
  id: number
  chat_id: number
  event_seq: number
  kind: EventKind
  time: number
  data: string
  seq: number | null
  sender_id: number | null
  segments: string | null
  recalled_at: number | null
  edited_at: number | null
  rev: number
  client_id: string | null
}

/** Where `meta` says from which place on nothing is missing: it outlives what was dropped. */
const OLDEST = 'oldest_cursor'

/** The one event log and the cursors over it. Every function is synchronous; the caller owns the transaction. */
export function eventQueries(db: DatabaseSync, accounts: AccountQueries, chats: ChatQueries) {
  const insert = db.prepare('insert into events(chat_id, event_seq, kind, time, data) values (?, ?, ?, ?, ?)')
  const advance = db.prepare(
    'update chats set last_event_seq = last_event_seq + 1 where id = ? returning last_event_seq'
  )
  const lastSeq = db.prepare('select last_event_seq from chats where id = ?')
  const lastId = db.prepare('select coalesce(max(id), 0) as id from events')
  const columns = 'e.*, m.seq, m.sender_id, m.segments, m.recalled_at, m.edited_at, m.rev, m.client_id'
  const message = db.prepare('select * from messages where id = ?')
  const after = db.prepare(
    `select ${columns} from events e left join messages m on m.id = e.id where e.id > ? and e.id < ? order by e.id`
  )
  const viewers = db.prepare(
    'select account_id from stays where chat_id = ? and from_event_seq <= ? and (to_event_seq is null or to_event_seq >= ?) order by account_id'
  )
  const inboxViewers = db.prepare('select account_id from event_viewers where event_id = ? order by account_id')
  const addViewer = db.prepare('insert or ignore into event_viewers(event_id, account_id) values (?, ?)')
  const inboxSeq = db.prepare(`select coalesce(max(event_seq), 0) + 1 as seq from events where chat_id = ${INBOX.id}`)
  const sender = db.prepare('select * from members where chat_id = ? and account_id = ?')
  const bySeq = db.prepare('select segments from messages where chat_id = ? and seq = ? and recalled_at is null')
  const afterFor = db.prepare(`
    select ${columns}, coalesce(s.account_id, v.account_id) as viewer_id
    from (select * from events where id > :after order by id limit :limit + 0) e
    left join messages m on m.id = e.id
    left join stays s on s.account_id = :account and s.chat_id = e.chat_id
      and s.from_event_seq <= e.event_seq and (s.to_event_seq is null or e.event_seq <= s.to_event_seq)
    left join event_viewers v on e.chat_id = ${INBOX.id} and v.event_id = e.id and v.account_id = :account
    order by e.id`)
  const ofChat = db.prepare(`
    select ${columns} from events e left join messages m on m.id = e.id
    where e.chat_id = ? and e.event_seq > ? and exists(
      select 1 from stays s where s.account_id = ? and s.chat_id = e.chat_id
        and s.from_event_seq <= e.event_seq and (s.to_event_seq is null or e.event_seq <= s.to_event_seq)
    ) order by e.event_seq limit ? + 0`)
  const chatsOf = db.prepare(
    'select c.id, c.last_event_seq from members m join chats c on c.id = m.chat_id where m.account_id = ? order by c.updated_at desc limit ? + 0'
  )
  const idAt = db.prepare('select id from events where chat_id = ? and event_seq = ?')
  const missedIn = db.prepare(`
    select ${columns} from events e left join messages m on m.id = e.id
    where e.chat_id = ? and e.id > ? and e.kind in ('message.created', 'message.edited', 'message.recalled') and exists(
      select 1 from stays s where s.account_id = ? and s.chat_id = e.chat_id
        and s.from_event_seq <= e.event_seq and (s.to_event_seq is null or e.event_seq <= s.to_event_seq)
    ) order by e.event_seq desc limit ? + 0`)
  const cursor = db.prepare('select event_id from cursors where name = ?')
  const saveCursor = db.prepare(
    'insert into cursors(name, event_id) values (?, ?) on conflict(name) do update set event_id = excluded.event_id where excluded.event_id > event_id'
  )

  const oldest = db.prepare(`select value from meta where key = '${OLDEST}'`)
  const saveOldest = db.prepare(
    `insert into meta(key, value) values ('${OLDEST}', ?) on conflict(key) do update set value = excluded.value`
  )
  const oldestSeq = db.prepare('select min(event_seq) as seq from events where chat_id = ?')
  const ages = db.prepare('select id, time from events where id > ? order by id limit ? + 0')
  const newestOfInbox = db.prepare(`select id from events where chat_id = ${INBOX.id} order by event_seq desc limit 1`)
  const drop = db.prepare('delete from events where id <= ? and id <> ?')
  const dropViewers = db.prepare('delete from event_viewers where event_id <= ? and event_id <> ?')
  const cursorsBefore = db.prepare('select name from cursors where event_id < ?')
  const dropCursor = db.prepare('delete from cursors where name = ?')
  /** Cursors that somebody has opened since this process began. */
  const opened = new Set<string>()

  function insertRow(chatId: number, eventSeq: number, kind: EventKind, time: number, data: string): number {
    return Number(insert.run(chatId, eventSeq, kind, time, data).lastInsertRowid)
  }

  function oldestCursor(): number {
    return Number((oldest.get() as { value: string } | undefined)?.value ?? 0)
  }

  /** Who is in use and had nothing to hear for long is taken along; the others are of targets that are gone. */
  function dropCursors(before: number): number {
    let dropped = 0
    for (const { name } of cursorsBefore.all(before) as unknown as { name: string }[]) {
      if (opened.has(name)) saveCursor.run(name, before)
      else dropped += Number(dropCursor.run(name).changes)
    }
    return dropped
  }

  /** What the quoted messages say now; undefined when nothing is quoted. */
  function readQuoted(chatId: number, segments: readonly Segment[]): Record<number, readonly Segment[]> | undefined {
    const quoted: Record<number, readonly Segment[]> = {}
    for (const segment of segments) {
      if (segment.type !== 'reply') continue
      const row = bySeq.get(chatId, segment.seq) as { segments: string } | undefined
      if (row) quoted[segment.seq] = JSON.parse(row.segments) as Segment[]
    }
    return Object.keys(quoted).length === 0 ? undefined : quoted
  }

  function findSender(chatId: number, senderId: number): SenderRef | undefined {
    const row = sender.get(chatId, senderId)
    return row && toSenderRef(row as unknown as SenderRow)
  }

  function toEvent(row: EventRow, audience: readonly number[]): GatewayEvent | undefined {
    if (row.chat_id === INBOX.id) {
      const { id, time, kind, event_seq: eventSeq } = row
      return { id, time, kind, eventSeq, chat: INBOX, audience, data: JSON.parse(row.data) } as GatewayEvent
    }
    const chat = chats.ref(row.chat_id)
    if (!chat) return undefined
    const common = { id: row.id, time: row.time, chat, eventSeq: row.event_seq, audience }
    if (row.kind === 'message.edited') return toEdited(row, common)
    if (row.kind !== 'message.created') return { ...common, kind: row.kind, data: JSON.parse(row.data) } as ChatEvent
    // Who withdrew a message before somebody heard of it does not want it told any more.
    if (row.seq === null || row.sender_id === null || row.segments === null || row.recalled_at !== null)
      return undefined
    const message = toMessage({ ...row, seq: row.seq, sender_id: row.sender_id, segments: row.segments })
    const member = chat.kind === 'group' ? findSender(chat.id, row.sender_id) : undefined
    const quoted = readQuoted(chat.id, message.segments)
    const data = {
      message,
      sender: accounts.ref(row.sender_id),
      ...(member && { member }),
      ...(quoted && { quoted })
    }
    return { ...common, kind: row.kind, data }
  }

  /** The log names the message only: what it says now is what readers are told, also of an earlier edit. */
  function toEdited(
    row: EventRow,
    common: Omit<EventOf<'message.edited'>, 'kind' | 'data'>
  ): EventOf<'message.edited'> | undefined {
    const found = message.get((JSON.parse(row.data) as { messageId: number }).messageId) as MessageRow | undefined
    if (!found || found.recalled_at !== null) return undefined
    return { ...common, kind: 'message.edited', data: { message: toMessage(found) } }
  }

  return {
    insert: insertRow,
    readQuoted,

    /** Writes an event that belongs to no chat and gives it to whom it is for. */
    appendToInbox(time: number, { audience, ...draft }: InboxEventDraft, emit: Emit): number {
      const { seq: eventSeq } = inboxSeq.get() as { seq: number }
      const id = insertRow(INBOX.id, eventSeq, draft.kind, time, JSON.stringify(draft.data))
      for (const accountId of audience) addViewer.run(id, accountId)
      emit({ id, time, chat: INBOX, eventSeq, audience, ...draft } as GatewayEvent)
      return id
    },

    /** Writes the event and gives it to everybody who is in the chat, and to `also`, who has just left it. */
    append(chatId: number, time: number, draft: EventDraft, emit: Emit, also?: number): number {
      const { last_event_seq: eventSeq } = advance.get(chatId) as { last_event_seq: number }
      const id = insertRow(chatId, eventSeq, draft.kind, time, JSON.stringify(toStored(draft)))
      const chat = chats.ref(chatId)
      if (!chat) throw new Error(`chat ${chatId} vanished`)
      const members = chats.audience(chatId)
      const audience = also === undefined || members.includes(also) ? members : [...members, also]
      emit({ id, time, chat, eventSeq, audience, ...draft } as ChatEvent)
      return eventSeq
    },

    /** The position that the chat's next event will have. */
    nextSeq: (chatId: number) => (lastSeq.get(chatId) as { last_event_seq: number }).last_event_seq + 1,

    lastId: () => (lastId.get() as { id: number }).id,

    /** What lies strictly between two ids. */
    between(afterId: number, beforeId: number): GatewayEvent[] {
      const rows = after.all(afterId, beforeId) as unknown as EventRow[]
      return rows.flatMap((row) => {
        const seers =
          row.chat_id === INBOX.id ? inboxViewers.all(row.id) : viewers.all(row.chat_id, row.event_seq, row.event_seq)
        return (
          toEvent(
            row,
            seers.map((seer) => seer.account_id as number)
          ) ?? []
        )
      })
    },

    readFor(accountId: number, afterId: number, limit: number): { events: GatewayEvent[]; readTo: number } {
      const rows = afterFor.all({ after: afterId, limit, account: accountId }) as unknown as (EventRow & {
        viewer_id: number | null
      })[]
      const events = rows.flatMap((row) => (row.viewer_id === null ? [] : (toEvent(row, [accountId]) ?? [])))
      return { events, readTo: rows.at(-1)?.id ?? afterId }
    },

    readOfChat(accountId: number, chatId: number, afterEventSeq: number, limit: number): GatewayEvent[] {
      const rows = ofChat.all(chatId, afterEventSeq, accountId, limit) as unknown as EventRow[]
      return rows.flatMap((row) => toEvent(row, [accountId]) ?? [])
    },

    /** The newest that an account has missed since `afterId`, chat by chat, in the order of the log. */
    readMissed(accountId: number, afterId: number, limits: MissedLimits): GatewayEvent[] {
      const chatRows = chatsOf.all(accountId, 1000) as unknown as { id: number; last_event_seq: number }[]
      const stale = chatRows.filter((chat) => {
        const last = idAt.get(chat.id, chat.last_event_seq) as { id: number } | undefined
        return last !== undefined && last.id > afterId
      })
      const rows = stale
        .slice(0, limits.chats)
        .flatMap(({ id }) => missedIn.all(id, afterId, accountId, limits.perChat) as unknown as EventRow[])
      return rows
        .toSorted((a, b) => a.id - b.id)
        .slice(-limits.total)
        .flatMap((row) => toEvent(row, [accountId]) ?? [])
    },

    findCursor: (name: string) => (cursor.get(name) as { event_id: number } | undefined)?.event_id,

    /** From now on the cursor is somebody's and is not given up. */
    useCursor: (name: string): void => void opened.add(name),

    oldestCursor,
    oldestSeq: (chatId: number): number =>
      (oldestSeq.get(chatId) as { seq: number | null }).seq ??
      ((lastSeq.get(chatId) as { last_event_seq: number } | undefined)?.last_event_seq ?? 0) + 1,

    drop({ keptFrom, keep, limit }: LogBounds): DroppedEvents {
      const newest = (lastId.get() as { id: number }).id
      // One more than may go tells whether there is more.
      const rows = ages.all(oldestCursor(), limit + 1) as unknown as { id: number; time: number }[]
      // Ids of events are those of messages, and the next one follows the newest: that one stays.
      const kept = rows.findIndex(({ id, time }) => id === newest || (time >= keptFrom && id > newest - keep))
      const isMore = kept === -1 && rows.length > limit
      const last = rows[Math.min(kept === -1 ? rows.length : kept, limit) - 1]
      if (!last) return { events: 0, cursors: 0, isMore: false }
      // So does the newest that belongs to no chat, whose number the next one counts on.
      const spared = (newestOfInbox.get() as { id: number } | undefined)?.id ?? 0
      dropViewers.run(last.id, spared)
      const events = Number(drop.run(last.id, spared).changes)
      saveOldest.run(String(last.id))
      return { events, cursors: dropCursors(last.id), isMore }
    },

    saveCursor(name: string, eventId: number): void {
      saveCursor.run(name, eventId)
    }
  }
}

interface SenderRow {
  role: SenderRef['role']
  card: string
  title: string
  muted_until: number
  joined_at: number
}

export function toSenderRef(row: SenderRow): SenderRef {
  return {
    role: row.role,
    card: row.card,
    title: row.title,
    mutedUntil: row.muted_until,
    joinedAt: row.joined_at
  }
}

/** What the log keeps of an event; the words of messages stand in their own table. */
function toStored(draft: EventDraft): object {
  return draft.kind === 'message.edited' ? { messageId: draft.data.message.id } : draft.data
}

export type EventQueries = ReturnType<typeof eventQueries>

import type { DatabaseSync } from 'node:sqlite'
import { ActionError } from '../../core/errors.ts'
import type { DraftSegment, Segment } from '../../core/segment.ts'
import type { Message, MessageDraft, MessagePage, RecallOrder } from '../../core/store.ts'
import type { Role } from '../../core/event.ts'
import type { Emit } from '../writer.ts'
import type { AccountQueries } from './accounts.ts'
import type { ChatQueries } from './chats.ts'
import type { EventQueries } from './events.ts'
import { toMessage, type MessageRow } from './message-row.ts'

interface SpeakerRow {
  kind: 'private' | 'group'
  is_muted: number
  role: Role
  muted_until: number
  is_peer_disabled: number
}

/** Messages: append, recall, read. Every function is synchronous; the caller owns the transaction. */
export function messageQueries(db: DatabaseSync, accounts: AccountQueries, chats: ChatQueries, events: EventQueries) {
  const speaker = db.prepare(`
    select c.kind, c.is_muted, m.role, m.muted_until,
      case c.kind when 'private' then exists(
        select 1 from accounts a where a.id in (c.low_id, c.high_id) and a.id <> m.account_id and a.disabled_at is not null
      ) else 0 end as is_peer_disabled
    from chats c join members m on m.chat_id = c.id and m.account_id = ? where c.id = ?`)
  const roleOf = db.prepare('select role from members where chat_id = ? and account_id = ?')
  const advance = db.prepare(
    'update chats set last_seq = last_seq + 1, last_event_seq = last_event_seq + 1, updated_at = ? where id = ? returning last_seq, last_event_seq'
  )
  const markSent = db.prepare('update members set last_sent_at = ?, read_seq = ? where chat_id = ? and account_id = ?')
  const insert = db.prepare(
    'insert into messages(id, chat_id, seq, sender_id, time, segments) values (?, ?, ?, ?, ?, ?)'
  )
  const bySeq = db.prepare('select * from messages where chat_id = ? and seq = ?')
  const byId = db.prepare('select * from messages where id = ?')
  // The words go, the place in the chat stays.
  const recall = db.prepare("update messages set segments = '[]', recalled_at = ?, recalled_by = ? where id = ?")
  const before = db.prepare(
    'select * from messages where chat_id = ? and seq <= ? and recalled_at is null order by seq desc limit ?'
  )
  const after = db.prepare(
    'select * from messages where chat_id = ? and seq > ? and recalled_at is null order by seq limit ?'
  )

  function resolve(chatId: number, segment: DraftSegment): Segment {
    if (segment.type === 'mention') return { ...segment, name: accounts.ref(segment.accountId).nickname }
    if (segment.type !== 'reply') return segment
    const row = ('seq' in segment ? bySeq.get(chatId, segment.seq) : byId.get(segment.messageId)) as
      | MessageRow
      | undefined
    if (!row || row.chat_id !== chatId)
      throw new ActionError('not_found', 'the message to reply to is not in this chat', { field: 'message' })
    return { type: 'reply', seq: row.seq, messageId: row.id, senderId: row.sender_id, time: row.time }
  }

  return {
    append(draft: MessageDraft, emit: Emit): Message {
      const { chatId, senderId, time } = draft
      const row = speaker.get(senderId, chatId) as SpeakerRow | undefined
      // One answer for a chat that is not there and one that is not theirs: nobody learns which chats exist.
      if (!row) throw new ActionError('not_found', `chat ${chatId} does not exist or account ${senderId} is not in it`)
      draft.check({
        kind: row.kind,
        role: row.role,
        mutedUntil: row.muted_until,
        isGroupMuted: row.is_muted === 1,
        isPeerDisabled: row.is_peer_disabled === 1
      })
      const segments = draft.segments.map((segment) => resolve(chatId, segment))

      const { last_seq: seq, last_event_seq: eventSeq } = advance.get(time, chatId) as {
        last_seq: number
        last_event_seq: number
      }
      const id = events.insert(chatId, eventSeq, 'message.created', time, '')
      insert.run(id, chatId, seq, senderId, time, JSON.stringify(segments))
      markSent.run(time, seq, chatId, senderId)

      const message = { id, chatId, seq, senderId, time, segments }
      const chat = chats.ref(chatId)
      if (!chat) throw new Error(`chat ${chatId} vanished`)
      emit({
        id,
        kind: 'message.created',
        time,
        chat,
        eventSeq,
        audience: chats.audience(chatId),
        data: { message, sender: accounts.ref(senderId) }
      })
      return message
    },

    recall({ chatId, seq, operatorId, time, check }: RecallOrder, emit: Emit): void {
      const row = bySeq.get(chatId, seq) as MessageRow | undefined
      const chat = chats.ref(chatId)
      if (!row || !chat) throw new ActionError('not_found', `there is no message ${seq} in this chat`)
      check(toMessage(row), chat.kind, (roleOf.get(chatId, operatorId) as { role: Role } | undefined)?.role)
      // Saying it twice is no mistake and tells nobody anything new.
      if (row.recalled_at !== null) return
      recall.run(time, operatorId, row.id)
      const data = { messageId: row.id, seq, senderId: row.sender_id, operatorId }
      events.append(chatId, time, { kind: 'message.recalled', data }, emit)
    },

    find(chatId: number, seq: number): Message | undefined {
      return toLiveMessage(bySeq.get(chatId, seq) as MessageRow | undefined)
    },

    findPosition(id: number): { chatId: number; seq: number } | undefined {
      const row = byId.get(id) as MessageRow | undefined
      return row && { chatId: row.chat_id, seq: row.seq }
    },

    list({ chatId, upToSeq = Number.MAX_SAFE_INTEGER, afterSeq, limit }: MessagePage): Message[] {
      const rows =
        afterSeq === undefined ? before.all(chatId, upToSeq, limit).toReversed() : after.all(chatId, afterSeq, limit)
      return (rows as unknown as MessageRow[]).map(toMessage)
    }
  }
}

function toLiveMessage(row: MessageRow | undefined): Message | undefined {
  return row && row.recalled_at === null ? toMessage(row) : undefined
}

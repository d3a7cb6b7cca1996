import type { DatabaseSync } from 'node:sqlite'
import { ActionError } from '../../core/errors.ts'
import type { DraftSegment, MediaFile, Segment } from '../../core/segment.ts'
import type {
  Appended,
  EditOrder,
  Message,
  MessageDraft,
  MessagePage,
  ReadState,
  RecallOrder,
  Revision,
  Speaker
} from '../../core/store.ts'
import type { Role } from '../../core/event.ts'
import type { Emit } from '../writer.ts'
import type { AccountQueries } from './accounts.ts'
import type { ChatQueries } from './chats.ts'
import type { EventQueries } from './events.ts'
import type { FileQueries } from './files.ts'
import { toMessage, type MessageRow } from './message-row.ts'

interface SpeakerRow {
  kind: 'private' | 'group'
  is_muted: number
  is_channel: number
  role: Role
  muted_until: number
  is_peer_disabled: number
  is_blocked: number
}

/** Messages: append, edit, recall, read. Every function is synchronous; the caller owns the transaction. */
export function messageQueries(
  db: DatabaseSync,
  accounts: AccountQueries,
  chats: ChatQueries,
  events: EventQueries,
  files: FileQueries
) {
  const speaker = db.prepare(`
    select c.kind, c.is_muted, c.is_channel, m.role, m.muted_until,
      case c.kind when 'private' then exists(
        select 1 from accounts a where a.id in (c.low_id, c.high_id) and a.id <> m.account_id and a.disabled_at is not null
      ) else 0 end as is_peer_disabled,
      case c.kind when 'private' then exists(
        select 1 from blocks b where (b.account_id = c.low_id and b.blocked_id = c.high_id) or (b.account_id = c.high_id and b.blocked_id = c.low_id)
      ) else 0 end as is_blocked
    from chats c join members m on m.chat_id = c.id and m.account_id = ? where c.id = ?`)
  const ban = db.prepare('select 1 from bans where chat_id = ? and account_id = ?')
  const roleOf = db.prepare('select role from members where chat_id = ? and account_id = ?')
  const advance = db.prepare(
    'update chats set last_seq = last_seq + 1, last_event_seq = last_event_seq + 1, updated_at = ? where id = ? returning last_seq, last_event_seq'
  )
  const markSent = db.prepare('update members set last_sent_at = ?, read_seq = ? where chat_id = ? and account_id = ?')
  const insert = db.prepare(
    'insert into messages(id, chat_id, seq, sender_id, time, segments, client_id) values (?, ?, ?, ?, ?, ?, ?)'
  )
  const byClientId = db.prepare('select * from messages where chat_id = ? and sender_id = ? and client_id = ?')
  const edit = db.prepare('update messages set segments = ?, edited_at = ?, rev = rev + 1 where id = ? returning *')
  const insertRevision = db.prepare('insert into revisions(message_id, rev, segments, edited_at) values (?, ?, ?, ?)')
  const revisions = db.prepare('select * from revisions where message_id = ? order by rev')
  const deleteRevisions = db.prepare('delete from revisions where message_id = ?')
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
  // One conditional statement, so that a late mark never takes an earlier one back (IM-Suite 2.3).
  const markRead = db.prepare(
    'update members set read_seq = max(read_seq, ?) where chat_id = ? and account_id = ? and read_seq < ?'
  )
  const markDelivered = db.prepare(
    'update members set delivered_seq = ? where chat_id = ? and account_id = ? and delivered_seq < ?'
  )
  const readSeq = db.prepare('select read_seq from members where chat_id = ? and account_id = ?')
  const readStates = db.prepare(`
    select m.account_id, m.read_seq, max(m.read_seq, m.delivered_seq) as delivered_seq, a.delivered_id
    from members m join accounts a on a.id = m.account_id where m.chat_id = ? order by m.account_id`)
  const unread = db.prepare(`
    select coalesce(sum((
      select count(*) from (
        select 1 from messages x where x.chat_id = m.chat_id and x.seq > m.read_seq and x.sender_id <> m.account_id
          and x.recalled_at is null limit 1000
      )
    )), 0) as count
    from members m where m.account_id = ? and (? is null or m.chat_id = ?)`)
  const authors = db.prepare(
    'select sender_id, max(seq) as seq from messages where chat_id = ? and seq > ? and seq <= ? group by sender_id order by seq desc limit ?'
  )

  /** The sender's own file, or one that somebody has shown them: passing it on shows it to more. */
  function resolveFile(senderId: number, fileId: number): MediaFile {
    const file = files.find(fileId)
    if (!file || (file.ownerId !== senderId && !files.isShownTo(fileId, senderId)))
      throw new ActionError('not_found', `there is no file ${fileId}`, { field: 'file_id' })
    const { name, mime, size, width, height, durationS } = file
    return { fileId, name, mime, size, width, height, durationS }
  }

  function resolve(chatId: number, senderId: number, segment: DraftSegment): Segment {
    if (segment.type === 'media') {
      if ('file' in segment) return segment
      return { type: 'media', kind: segment.kind, file: resolveFile(senderId, segment.fileId) }
    }
    if (segment.type === 'mention') return { ...segment, name: accounts.ref(segment.accountId).nickname }
    if (segment.type !== 'reply') return segment
    const row = ('seq' in segment ? bySeq.get(chatId, segment.seq) : byId.get(segment.messageId)) as
      | MessageRow
      | undefined
    if (!row || row.chat_id !== chatId)
      throw new ActionError('not_found', 'the message to reply to is not in this chat', { field: 'message' })
    return { type: 'reply', seq: row.seq, messageId: row.id, senderId: row.sender_id, time: row.time }
  }

  function findSpeaker(chatId: number, accountId: number): Speaker | undefined {
    const row = speaker.get(accountId, chatId) as SpeakerRow | undefined
    if (!row) return undefined
    return {
      kind: row.kind,
      role: row.role,
      mutedUntil: row.muted_until,
      isGroupMuted: row.is_muted === 1,
      isPeerDisabled: row.is_peer_disabled === 1,
      isBlocked: row.is_blocked === 1,
      isChannel: row.is_channel === 1
    }
  }

  return {
    findSpeaker,

    append(draft: MessageDraft, emit: Emit): Appended {
      const { chatId, senderId, time, clientId } = draft
      const row = findSpeaker(chatId, senderId)
      // One answer for a chat that is not there and one that is not theirs: nobody learns which chats exist.
      if (!row && ban.get(chatId, senderId))
        throw new ActionError('forbidden', 'you are banned from this chat', { cause: 'banned' })
      if (!row) throw new ActionError('not_found', `chat ${chatId} does not exist or account ${senderId} is not in it`)
      const known = clientId === undefined ? undefined : byClientId.get(chatId, senderId, clientId)
      if (known) return { message: toMessage(known as unknown as MessageRow), isDuplicate: true }
      draft.check(row)
      const segments = draft.segments.map((segment) => resolve(chatId, senderId, segment))

      const { last_seq: seq, last_event_seq: eventSeq } = advance.get(time, chatId) as {
        last_seq: number
        last_event_seq: number
      }
      const id = events.insert(chatId, eventSeq, 'message.created', time, '')
      insert.run(id, chatId, seq, senderId, time, JSON.stringify(segments), clientId ?? null)
      for (const segment of segments)
        if (segment.type === 'media' && segment.file.fileId !== undefined) files.show(segment.file.fileId, id, chatId)
      markSent.run(time, seq, chatId, senderId)

      const message = { id, chatId, seq, senderId, time, segments, ...(clientId !== undefined && { clientId }) }
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
      return { message, isDuplicate: false }
    },

    edit({ chatId, seq, time, edit: decide }: EditOrder, emit: Emit): Message {
      const row = bySeq.get(chatId, seq) as MessageRow | undefined
      if (!row || row.recalled_at !== null)
        throw new ActionError('not_found', `there is no message ${seq} in this chat, or it was recalled`)
      const before = toMessage(row)
      const segments = decide(before, findSpeaker(chatId, row.sender_id))
      if (!segments) return before
      insertRevision.run(row.id, row.rev, row.segments, row.edited_at ?? row.time)
      const message = toMessage(edit.get(JSON.stringify(segments), time, row.id) as unknown as MessageRow)
      events.append(chatId, time, { kind: 'message.edited', data: { message } }, emit)
      return message
    },

    listRevisions: (messageId: number): Revision[] =>
      revisions.all(messageId).map((row) => ({
        rev: row.rev as number,
        segments: JSON.parse(row.segments as string) as Segment[],
        time: row.edited_at as number
      })),

    recall({ chatId, seq, operatorId, time, check }: RecallOrder, emit: Emit): void {
      const row = bySeq.get(chatId, seq) as MessageRow | undefined
      const chat = chats.ref(chatId)
      if (!row || !chat) throw new ActionError('not_found', `there is no message ${seq} in this chat`)
      check(
        { ...toMessage(row), isRecalled: row.recalled_at !== null },
        chat.kind,
        (roleOf.get(chatId, operatorId) as { role: Role } | undefined)?.role
      )
      // Saying it twice is no mistake and tells nobody anything new.
      if (row.recalled_at !== null) return
      recall.run(time, operatorId, row.id)
      deleteRevisions.run(row.id)
      files.hideAll(row.id)
      const data = { messageId: row.id, seq, senderId: row.sender_id, operatorId }
      events.append(chatId, time, { kind: 'message.recalled', data }, emit)
    },

    find(chatId: number, seq: number): Message | undefined {
      return toLiveMessage(bySeq.get(chatId, seq) as MessageRow | undefined)
    },

    findById(id: number): (Message & { isRecalled: boolean }) | undefined {
      const row = byId.get(id) as MessageRow | undefined
      return row && { ...toMessage(row), isRecalled: row.recalled_at !== null }
    },

    markRead(chatId: number, accountId: number, seq: number): { before: number } | undefined {
      const row = readSeq.get(chatId, accountId) as { read_seq: number } | undefined
      if (!row || markRead.run(seq, chatId, accountId, seq).changes === 0) return undefined
      return { before: row.read_seq }
    },

    markDelivered(chatId: number, accountId: number, seq: number): void {
      markDelivered.run(seq, chatId, accountId, seq)
    },

    listReadStates: (chatId: number): ReadState[] =>
      readStates.all(chatId).map((row) => ({
        accountId: row.account_id as number,
        readSeq: row.read_seq as number,
        deliveredSeq: row.delivered_seq as number,
        deliveredId: row.delivered_id as number
      })),

    countUnread: (accountId: number, chatId?: number) =>
      (unread.get(accountId, chatId ?? null, chatId ?? null) as { count: number }).count,

    listAuthors: (chatId: number, afterSeq: number, upToSeq: number, limit: number) =>
      authors.all(chatId, afterSeq, upToSeq, limit).map((row) => row.sender_id as number),

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

import type { DatabaseSync } from 'node:sqlite'
import { ActionError } from '../../core/errors.ts'
import {
  describeForward,
  type DraftSegment,
  type ForwardSegment,
  type MediaFile,
  type Segment
} from '../../core/segment.ts'
import type {
  Appended,
  EditOrder,
  FilePlace,
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
import { toSenderRef, type EventQueries } from './events.ts'
import type { FaceQueries } from './faces.ts'
import type { FileQueries } from './files.ts'
import type { ForwardQueries } from './forwards.ts'
import type { GroupFileQueries } from './group-files.ts'
import { toMessage, type MessageRow } from './message-row.ts'
import { toSpeaker, type SpeakerQueries } from './speakers.ts'
import type { TallyQueries } from './tally.ts'

interface MessageGround {
  readonly accounts: AccountQueries
  readonly chats: ChatQueries
  readonly events: EventQueries
  readonly faces: FaceQueries
  readonly files: FileQueries
  readonly forwards: ForwardQueries
  readonly groupFiles: GroupFileQueries
  readonly speakers: SpeakerQueries
  readonly tally: TallyQueries
}

/** It brings nothing that has to be looked up, kept or told beside its words. */
export function isPlain({ segments }: Pick<MessageDraft, 'segments'>): boolean {
  return segments.every(({ type }) => type !== 'media' && type !== 'forward')
}

/** Messages: append, edit, recall, read. Every function is synchronous; the caller owns the transaction. */
export function messageQueries(
  db: DatabaseSync,
  { accounts, chats, events, faces, files, forwards, groupFiles, speakers, tally }: MessageGround
) {
  const ban = db.prepare('select 1 from bans where chat_id = ? and account_id = ?')
  const roleOf = db.prepare('select role from members where chat_id = ? and account_id = ?')
  const insert = db.prepare(
    'insert into messages(id, chat_id, seq, sender_id, time, segments, client_id) values (?, ?, ?, ?, ?, ?, ?)'
  )
  const byClientId = db.prepare('select * from messages where chat_id = ? and sender_id = ? and client_id = ?')
  const edit = db.prepare('update messages set segments = ?, edited_at = ?, rev = rev + 1 where id = ? returning *')
  const insertRevision = db.prepare('insert into revisions(message_id, rev, segments, edited_at) values (?, ?, ?, ?)')
  const revisions = db.prepare('select * from revisions where message_id = ? order by rev')
  const deleteRevisions = db.prepare('delete from revisions where message_id = ?')
  const deleteEssence = db.prepare('delete from essence where message_id = ?')
  const deleteReactions = db.prepare('delete from reactions where message_id = ?')
  const bySeq = db.prepare('select * from messages where chat_id = ? and seq = ?')
  const byId = db.prepare('select * from messages where id = ?')
  // The words go, the place in the chat stays.
  const recall = db.prepare("update messages set segments = '[]', recalled_at = ?, recalled_by = ? where id = ?")
  const before = db.prepare(
    'select * from messages where chat_id = ? and seq <= ? and recalled_at is null order by seq desc limit ? + 0'
  )
  const after = db.prepare(
    'select * from messages where chat_id = ? and seq > ? and recalled_at is null order by seq limit ? + 0'
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
    'select sender_id, max(seq) as seq from messages where chat_id = ? and seq > ? and seq <= ? group by sender_id order by seq desc limit ? + 0'
  )

  /** The sender's own file, or one that somebody has shown them: passing it on shows it to more. */
  function resolveFile(senderId: number, fileId: number, withHash: boolean): MediaFile {
    const file = files.find(fileId)
    if (!file || (file.ownerId !== senderId && !files.isShownTo(fileId, senderId)))
      throw new ActionError('not_found', `there is no file ${fileId}`, { field: 'file_id' })
    const { name, mime, size, width, height, durationS, sha256 } = file
    return { fileId, name, mime, size, width, height, durationS, ...(withHash && { hash: sha256 }) }
  }

  interface Place {
    readonly chatId: number
    readonly senderId: number
    readonly time: number
  }

  function resolve(place: Place, segment: DraftSegment): Segment {
    const { chatId, senderId } = place
    if (segment.type === 'media') {
      if ('file' in segment) return segment
      const { fileId, ...shown } = segment
      return { ...shown, file: resolveFile(senderId, fileId, segment.kind === 'file') }
    }
    if (segment.type === 'mention') return { ...segment, name: accounts.ref(segment.accountId).nickname }
    if (segment.type === 'forward') return resolveForward(place, segment)
    if (segment.type !== 'reply') return segment
    const row = ('seq' in segment ? bySeq.get(chatId, segment.seq) : byId.get(segment.messageId)) as
      | MessageRow
      | undefined
    if (!row || row.chat_id !== chatId)
      throw new ActionError('not_found', 'the message to reply to is not in this chat', { field: 'message' })
    return { type: 'reply', seq: row.seq, messageId: row.id, senderId: row.sender_id, time: row.time }
  }

  function resolveForward(place: Place, draft: Extract<DraftSegment, { type: 'forward' }>): ForwardSegment {
    if ('forwardId' in draft) {
      const known = forwards.find(draft.forwardId)
      if (!known || !forwards.isShownTo(draft.forwardId, place.senderId))
        throw new ActionError('not_found', `there is no forward ${draft.forwardId}`, { field: 'message' })
      return known.segment
    }
    const messages = draft.messages.map(({ accountId, name, time = place.time, segments }, index) => ({
      accountId,
      name,
      avatarUrl: accounts.ref(accountId).avatarUrl,
      time,
      seq: index + 1,
      segments: segments.map((segment) => resolve(place, segment))
    }))
    const shown = describeForward(draft, messages)
    return { type: 'forward', forwardId: forwards.add(shown, messages), ...shown }
  }

  /** Files and forwards can be seen by whoever sees a message that shows them. */
  function showAll(segments: readonly Segment[], messageId: number, chatId: number): void {
    for (const segment of segments) {
      if (segment.type === 'media' && segment.file.fileId !== undefined)
        files.show(segment.file.fileId, messageId, chatId)
      if (segment.type !== 'forward') continue
      forwards.show(segment.forwardId, messageId, chatId)
      for (const inner of forwards.find(segment.forwardId)?.messages ?? []) showAll(inner.segments, messageId, chatId)
    }
  }

  /** A file that is sent is told twice, as a message and as an upload (Milky 1.2, FAQ); a group keeps it in its folders. */
  function tellFiles(message: Message, kind: 'private' | 'group', place: FilePlace | undefined, emit: Emit): void {
    const { chatId, senderId: accountId, time } = message
    for (const segment of message.segments) {
      if (segment.type !== 'media' || segment.kind !== 'file') continue
      const { fileId, name, size, hash = '' } = segment.file
      if (fileId === undefined) continue
      if (kind === 'group') groupFiles.bring(message, { fileId, name }, place)
      events.append(chatId, time, { kind: 'file.uploaded', data: { accountId, fileId, name, size, hash } }, emit)
    }
  }

  function findSpeaker(chatId: number, accountId: number): Speaker | undefined {
    const row = speakers.find(chatId, accountId)
    return row && toSpeaker(row)
  }

  function findSent(chatId: number, senderId: number, clientId: string): Message | undefined {
    const row = byClientId.get(chatId, senderId, clientId) as MessageRow | undefined
    return row && toMessage(row)
  }

  return {
    findSpeaker,
    findSent,

    /** When it is plain, everything that refuses it comes before its first change, and its place is only counted. */
    append(draft: MessageDraft, emit: Emit): Appended {
      const { chatId, senderId, time, clientId } = draft
      const row = speakers.find(chatId, senderId)
      // One answer for a chat that is not there and one that is not theirs: nobody learns which chats exist.
      if (!row && ban.get(chatId, senderId))
        throw new ActionError('forbidden', 'you are banned from this chat', { cause: 'banned' })
      if (!row) throw new ActionError('not_found', `chat ${chatId} does not exist or account ${senderId} is not in it`)
      const known = clientId === undefined ? undefined : findSent(chatId, senderId, clientId)
      if (known) return { message: known, isDuplicate: true }
      draft.check(toSpeaker(row))
      const segments = draft.segments.map((segment) => resolve({ chatId, senderId, time }, segment))

      const { seq, eventSeq } = tally.next(chatId, senderId, time)
      const id = events.insert(chatId, eventSeq, 'message.created', time, '')
      insert.run(id, chatId, seq, senderId, time, JSON.stringify(segments), clientId ?? null)
      if (!isPlain(draft)) {
        showAll(segments, id, chatId)
        faces.keep(senderId, segments, time)
      }

      const message = { id, chatId, seq, senderId, time, segments, ...(clientId !== undefined && { clientId }) }
      const quoted = events.readQuoted(chatId, segments)
      const chat = chats.ref(chatId)
      if (!chat) throw new Error(`chat ${chatId} vanished`)
      emit({
        id,
        kind: 'message.created',
        time,
        chat,
        eventSeq,
        audience: chats.audience(chatId),
        data: {
          message,
          sender: accounts.ref(senderId),
          ...(row.kind === 'group' && { member: toSenderRef(row) }),
          ...(quoted && { quoted })
        }
      })
      if (!isPlain(draft)) {
        tally.settle()
        tellFiles(message, chat.kind, draft.place, emit)
      }
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
      groupFiles.release(row.id, time)
      files.hideAll(row.id)
      forwards.hideAll(row.id)
      deleteEssence.run(row.id)
      deleteReactions.run(row.id)
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

    findId: (chatId: number, seq: number) => (bySeq.get(chatId, seq) as MessageRow | undefined)?.id,

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

export type MessageQueries = ReturnType<typeof messageQueries>

function toLiveMessage(row: MessageRow | undefined): Message | undefined {
  return row && row.recalled_at === null ? toMessage(row) : undefined
}

import type { DatabaseSync } from 'node:sqlite'
import type { ChatRef } from '../../core/event.ts'
import { MAX_GROUP_ID, type ChatSummary, type Message } from '../../core/store.ts'
import { toMessage, type MessageRow } from './message-row.ts'
import type { AccountQueries } from './accounts.ts'

interface ChatRow {
  id: number
  kind: 'private' | 'group'
  name: string
  low_id: number | null
  high_id: number | null
  is_channel: number
  member_count: number
  description: string
  announcement: string
  avatar_url: string
  last_event_seq: number
  created_at: number
  updated_at: number
}

/** As one of its members has it. */
interface OwnRow extends ChatRow {
  read_seq: number
  is_pinned: number
}

interface Known {
  readonly ref: ChatRef
  audience: readonly number[] | undefined
}

/** Chats of both kinds and who is in them. Every function is synchronous; the caller owns the transaction. */
export function chatQueries(db: DatabaseSync, accounts: AccountQueries) {
  const byId = db.prepare('select * from chats where id = ?')
  const byParties = db.prepare("select id from chats where kind = 'private' and low_id = ? and high_id = ?")
  const remarksOf = db.prepare(
    "select account_id, remark from friendships where remark <> '' and ((account_id = :low and friend_id = :high) or (account_id = :high and friend_id = :low))"
  )
  const nextGroupId = db.prepare('select max(100000, coalesce(max(id), 0)) + 1 as id from chats where id <= ?')
  const nextPrivateId = db.prepare('select max(?, coalesce(max(id), 0)) + 1 as id from chats')
  const insertPrivate = db.prepare(
    "insert into chats(id, kind, low_id, high_id, member_count, created_at, updated_at) values (?, 'private', ?, ?, 2, ?, ?)"
  )
  // What was said before somebody came is not unread for them.
  const insertMember = db.prepare(
    'insert into members(chat_id, account_id, role, joined_at, read_seq) select id, ?, ?, ?, last_seq from chats where id = ?'
  )
  const deleteMember = db.prepare('delete from members where chat_id = ? and account_id = ?')
  const beginStay = db.prepare('insert into stays(account_id, chat_id, from_event_seq) values (?, ?, ?)')
  const endStay = db.prepare(
    'update stays set to_event_seq = ? where account_id = ? and chat_id = ? and to_event_seq is null'
  )
  const memberIds = db.prepare('select account_id from members where chat_id = ? order by account_id')
  const membership = db.prepare('select 1 from members where chat_id = ? and account_id = ?')
  const sharedGroup = db.prepare(
    "select 1 from members a join members b on b.chat_id = a.chat_id and b.account_id = ? join chats c on c.id = a.chat_id where a.account_id = ? and c.kind = 'group' limit 1"
  )
  const isPinned = `exists(
    select 1 from pins p where p.account_id = m.account_id and (
      (c.kind = 'group' and p.scene = 'group' and p.peer_id = c.id)
      or (c.kind = 'private' and p.scene = 'friend' and p.peer_id = case c.low_id when m.account_id then c.high_id else c.low_id end)
    )
  ) as is_pinned`
  const listOf = db.prepare(
    `select c.*, m.read_seq, ${isPinned} from members m join chats c on c.id = m.chat_id where m.account_id = ? order by c.updated_at desc, c.id desc limit ? + 0 offset ?`
  )
  const oneOf = db.prepare(
    `select c.*, m.read_seq, ${isPinned} from members m join chats c on c.id = m.chat_id where m.account_id = ? and m.chat_id = ?`
  )
  const countOf = db.prepare('select count(*) as count from members where account_id = ?')
  const lastMessage = db.prepare(
    'select * from messages where chat_id = ? and recalled_at is null order by seq desc limit 1'
  )
  // Bounded, since nobody reads the difference between 1 000 unread messages and more.
  const unread = db.prepare(
    'select count(*) as count from (select 1 from messages where chat_id = ? and seq > ? and sender_id <> ? and recalled_at is null limit 1000)'
  )

  const known = new Map<number, Known>()
  /** Private chats by their two parties; one that is there stays. */
  const privates = new Map<string, number>()

  function findPrivate(a: number, b: number): number | undefined {
    const [low, high] = a < b ? [a, b] : [b, a]
    const parties = `${low} ${high}`
    const found = privates.get(parties)
    if (found !== undefined) return found
    const row = byParties.get(low, high) as { id: number } | undefined
    if (!row) return undefined
    if (privates.size >= 20_000) privates.clear()
    privates.set(parties, row.id)
    return row.id
  }

  function remember(id: number): Known | undefined {
    const found = known.get(id)
    if (found) return found
    const row = byId.get(id) as ChatRow | undefined
    if (!row) return undefined
    if (known.size >= 10_000) known.clear()
    const entry = { ref: toRef(row), audience: undefined }
    known.set(id, entry)
    return entry
  }

  function toRef(row: ChatRow): ChatRef {
    const { id } = row
    if (row.kind === 'private') {
      const [low, high] = [row.low_id ?? 0, row.high_id ?? 0]
      const remarks = readRemarks(low, high)
      return { id, kind: 'private', parties: [accounts.ref(low), accounts.ref(high)], ...(remarks && { remarks }) }
    }
    return {
      id,
      kind: 'group',
      name: row.name,
      ...(row.is_channel === 1 && { isChannel: true }),
      memberCount: row.member_count,
      description: row.description,
      ...(row.avatar_url !== '' && { avatarUrl: row.avatar_url }),
      announcement: row.announcement,
      createdAt: row.created_at
    }
  }

  function readRemarks(low: number, high: number): [string, string] | undefined {
    const rows = remarksOf.all({ low, high }) as unknown as { account_id: number; remark: string }[]
    const remarkOf = (accountId: number): string => rows.find((row) => row.account_id === accountId)?.remark ?? ''
    return rows.length === 0 ? undefined : [remarkOf(low), remarkOf(high)]
  }

  return {
    findPrivate,
    nextGroupId: () => (nextGroupId.get(MAX_GROUP_ID) as { id: number }).id,

    openPrivate(a: number, b: number, time: number): number {
      const existing = findPrivate(a, b)
      if (existing !== undefined) return existing
      const { id } = nextPrivateId.get(MAX_GROUP_ID) as { id: number }
      const [low, high] = [Math.min(a, b), Math.max(a, b)]
      insertPrivate.run(id, low, high, time, time)
      for (const accountId of [low, high]) {
        insertMember.run(accountId, 'member', time, id)
        beginStay.run(accountId, id, 1)
      }
      return id
    },

    ref: (id: number) => remember(id)?.ref,

    /** Who hears what happens in the chat now. Remembered until somebody joins or leaves. */
    audience(id: number): readonly number[] {
      const entry = remember(id)
      if (!entry) return []
      entry.audience ??= memberIds.all(id).map((row) => row.account_id as number)
      return entry.audience
    },

    forget(id?: number): void {
      if (id !== undefined) return void known.delete(id)
      known.clear()
      privates.clear()
    },

    /** What one of the two calls the other has changed. */
    forgetPrivate(a: number, b: number): void {
      const id = findPrivate(a, b)
      if (id !== undefined) known.delete(id)
    },

    isMember: (chatId: number, accountId: number) => membership.get(chatId, accountId) !== undefined,
    shareGroup: (a: number, b: number) => sharedGroup.get(a, b) !== undefined,

    join(chatId: number, accountId: number, role: string, time: number, eventSeq: number): void {
      insertMember.run(accountId, role, time, chatId)
      beginStay.run(accountId, chatId, eventSeq)
      known.delete(chatId)
    },

    leave(chatId: number, accountId: number, eventSeq: number): void {
      deleteMember.run(chatId, accountId)
      endStay.run(eventSeq, accountId, chatId)
      known.delete(chatId)
    },

    listOf(
      accountId: number,
      { offset, limit }: { offset: number; limit: number }
    ): { chats: ChatSummary[]; total: number } {
      const rows = listOf.all(accountId, limit, offset) as unknown as OwnRow[]
      const chats = rows.map((row) => toSummary(row, accountId))
      return { chats, total: (countOf.get(accountId) as { count: number }).count }
    },

    summaryOf(accountId: number, chatId: number): ChatSummary | undefined {
      const row = oneOf.get(accountId, chatId) as OwnRow | undefined
      return row && toSummary(row, accountId)
    }
  }

  function toSummary(row: OwnRow, accountId: number): ChatSummary {
    return {
      chat: toRef(row),
      lastMessage: lastOf(row.id),
      lastEventSeq: row.last_event_seq,
      unreadCount: (unread.get(row.id, row.read_seq, accountId) as { count: number }).count,
      isPinned: row.is_pinned === 1,
      createdAt: row.created_at,
      updatedAt: row.updated_at
    }
  }

  function lastOf(chatId: number): Message | undefined {
    const row = lastMessage.get(chatId) as MessageRow | undefined
    return row && toMessage(row)
  }
}

export type ChatQueries = ReturnType<typeof chatQueries>

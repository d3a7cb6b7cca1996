import type { DatabaseSync } from 'node:sqlite'
import type { Role } from '../../core/event.ts'
import type { Speaker } from '../../core/store.ts'

export interface SpeakerRow {
  kind: 'private' | 'group'
  is_muted: number
  is_channel: number
  role: Role
  muted_until: number
  card: string
  title: string
  joined_at: number
  is_peer_disabled: number
  is_blocked: number
}

/** Rows that are remembered. */
const MAX_KNOWN = 20_000

/** Each change that may make a remembered row wrong. */
const CHANGES = [
  'insert on main.members',
  'delete on main.members',
  'update of role, muted_until, card, title, joined_at on main.members',
  'update of kind, is_muted, is_channel on main.chats',
  'update of disabled_at on main.accounts',
  'insert on main.blocks',
  'delete on main.blocks'
]

/**
 * Who may speak where, and as what. Remembered, since every message asks for it, and asking takes as long as writing the
 * message down; the database itself tells when something of it changes, so that no query can forget to.
 */
export function speakerQueries(db: DatabaseSync) {
  const select = db.prepare(`
    select c.kind, c.is_muted, c.is_channel, m.role, m.muted_until, m.card, m.title, m.joined_at,
      case c.kind when 'private' then exists(
        select 1 from accounts a where a.id in (c.low_id, c.high_id) and a.id <> m.account_id and a.disabled_at is not null
      ) else 0 end as is_peer_disabled,
      case c.kind when 'private' then exists(
        select 1 from blocks b where (b.account_id = c.low_id and b.blocked_id = c.high_id) or (b.account_id = c.high_id and b.blocked_id = c.low_id)
      ) else 0 end as is_blocked
    from chats c join members m on m.chat_id = c.id and m.account_id = ? where c.id = ?`)
  /** By chat, then by account. */
  const known = new Map<number, Map<number, SpeakerRow>>()
  let count = 0

  function forget(): null {
    known.clear()
    count = 0
    return null
  }

  db.function('forget_speakers', forget)
  for (const [index, change] of CHANGES.entries())
    db.exec(`create temp trigger speakers_${index} after ${change} begin select forget_speakers(); end`)

  function find(chatId: number, accountId: number): SpeakerRow | undefined {
    const found = known.get(chatId)?.get(accountId)
    if (found) return found
    const row = select.get(accountId, chatId) as SpeakerRow | undefined
    // Who is not there is not remembered: strangers may ask for any number.
    if (!row) return undefined
    if (++count > MAX_KNOWN) forget()
    const ofChat = known.get(chatId) ?? new Map<number, SpeakerRow>()
    known.set(chatId, ofChat.set(accountId, row))
    return row
  }

  return { find, forget }
}

export function toSpeaker(row: SpeakerRow): Speaker {
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

export type SpeakerQueries = ReturnType<typeof speakerQueries>

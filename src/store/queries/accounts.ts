import type { DatabaseSync } from 'node:sqlite'
import { ActionError } from '../../core/errors.ts'
import type { AccountRef } from '../../core/event.ts'
import type { Profile } from '../../core/people-store.ts'
import type { Account, Friend, NewAccount, Session, SessionCursor } from '../../core/store.ts'
import { toBeginning, toHolding } from './words.ts'

interface AccountRow {
  id: number
  kind: 'person' | 'bot'
  username: string | null
  phone: string | null
  nickname: string
  bio: string
  avatar_url: string
  password_hash: string | null
  created_at: number
  updated_at: number
  disabled_at: number | null
  is_admin: number
}

/** Accounts, their credentials, sessions and friendships. Every function is synchronous; the caller owns the transaction. */
export function accountQueries(db: DatabaseSync) {
  const byId = db.prepare('select * from accounts where id = ?')
  const byUsername = db.prepare('select * from accounts where username = ?')
  const byPhone = db.prepare('select * from accounts where phone = ?')
  const byToken = db.prepare('select a.* from tokens t join accounts a on a.id = t.account_id where t.digest = ?')
  const byKind = db.prepare('select * from accounts where kind = ? order by id')
  const nextId = db.prepare('select max(10000, coalesce(max(id), 0)) + 1 as id from accounts')
  const insert = db.prepare(
    'insert into accounts(id, kind, username, phone, nickname, password_hash, created_at) values (?, ?, ?, ?, ?, ?, ?)'
  )
  const rename = db.prepare('update accounts set nickname = ? where id = ?')
  const passwordHash = db.prepare('select password_hash from accounts where id = ?')
  const setProfile = db.prepare(
    'update accounts set nickname = coalesce(?, nickname), bio = coalesce(?, bio), avatar_url = coalesce(?, avatar_url), updated_at = ? where id = ?'
  )
  const search = db.prepare(
    `select * from accounts where disabled_at is null and (username like :words escape '\\' or nickname like :words escape '\\') order by id limit :limit + 0`
  )
  const setPassword = db.prepare('update accounts set password_hash = ? where id = ?')
  const setAdmin = db.prepare('update accounts set is_admin = ? where id = ?')
  const disable = db.prepare(
    'update accounts set disabled_at = ?, username = null, phone = null where id = ? and disabled_at is null'
  )
  const insertToken = db.prepare('insert into tokens(digest, account_id, created_at) values (?, ?, ?)')
  const deleteTokens = db.prepare('delete from tokens where account_id = ?')
  const countTokens = db.prepare('select count(*) as count from tokens where account_id = ?')
  const insertFriend = db.prepare(
    'insert into friendships(account_id, friend_id, created_at) values (?, ?, ?) on conflict do nothing'
  )
  const friendColumns =
    'a.id, a.nickname, a.avatar_url, a.username, f.remark from friendships f join accounts a on a.id = f.friend_id'
  const friends = db.prepare(`select ${friendColumns} where f.account_id = ? and a.disabled_at is null order by a.id`)
  const friend = db.prepare(
    `select ${friendColumns} where f.account_id = ? and f.friend_id = ? and a.disabled_at is null`
  )
  const insertSession = db.prepare(
    'insert into sessions(id, account_id, refresh_id, created_at, expires_at) values (?, ?, ?, ?, ?)'
  )
  const saveSessionCursor = db.prepare('update sessions set cursor = ?, cursor_at = ? where id = ?')
  const saveDelivered = db.prepare('update accounts set delivered_id = ? where id = ? and delivered_id < ?')
  const sessionById = db.prepare('select * from sessions where id = ?')
  const rotateSession = db.prepare('update sessions set refresh_id = ?, expires_at = ? where id = ? and refresh_id = ?')
  const deleteSession = db.prepare('delete from sessions where id = ?')
  const deleteSessions = db.prepare('delete from sessions where account_id = ? and id is not ? returning id')
  const deleteStaleSessions = db.prepare('delete from sessions where expires_at < ?')

  const known = new Map<number, { readonly account: Account; readonly ref: AccountRef }>()

  /** Remembered, since every call asks for its caller and every event names its sender. */
  function recall(id: number): { account: Account; ref: AccountRef } | undefined {
    const entry = known.get(id)
    if (entry) return entry
    const account = toAccount(byId.get(id))
    // Who is not there is not remembered: it may be made a moment later.
    if (!account) return undefined
    if (known.size >= 10_000) known.clear()
    const { nickname, avatarUrl, username } = account
    const found = { account, ref: { id, nickname, avatarUrl, ...(username !== undefined && { username }) } }
    known.set(id, found)
    return found
  }

  const find = (id: number): Account | undefined => recall(id)?.account

  function removeSessions(accountId: number, keptId?: string): string[] {
    return deleteSessions.all(accountId, keptId ?? null).map((row) => row.id as string)
  }

  return {
    find,

    findByLogin({ username, phone }: { username?: string | undefined; phone?: string | undefined }) {
      const row = (username !== undefined ? byUsername.get(username) : byPhone.get(phone ?? null)) as
        | AccountRow
        | undefined
      const account = toAccount(row)
      return account && { ...account, passwordHash: row?.password_hash ?? undefined }
    },

    findByToken: (digest: Uint8Array) => toAccount(byToken.get(digest)),

    list: (kind: 'person' | 'bot') => byKind.all(kind).map((row) => toAccount(row) as Account),

    ref: (id: number): AccountRef => recall(id)?.ref ?? { id, nickname: '', avatarUrl: '' },

    forget: () => known.clear(),

    add(account: NewAccount): Account {
      const id = account.id ?? (nextId.get() as { id: number }).id
      if (byId.get(id)) throw new ActionError('conflict', `account ${id} exists already`, { field: 'id' })
      if (account.username !== undefined && byUsername.get(account.username)) {
        throw new ActionError('conflict', `the username "${account.username}" is taken`, { field: 'username' })
      }
      if (account.phone !== undefined && byPhone.get(account.phone)) {
        throw new ActionError('conflict', `the phone number is taken`, { field: 'phone' })
      }
      insert.run(
        id,
        account.kind,
        account.username ?? null,
        account.phone ?? null,
        account.nickname,
        account.passwordHash ?? null,
        account.createdAt
      )
      return find(id) as Account
    },

    setNickname(id: number, nickname: string): void {
      rename.run(nickname, id)
      known.delete(id)
    },

    findPasswordHash: (id: number) => (passwordHash.get(id)?.password_hash as string | null | undefined) ?? undefined,

    updateProfile(id: number, { nickname, bio, avatarUrl }: Profile, time: number): void {
      setProfile.run(nickname ?? null, bio ?? null, avatarUrl ?? null, time, id)
      known.delete(id)
    },

    search(words: string, limit: number): Account[] {
      const found = [toBeginning(words), toHolding(words)].flatMap((pattern) => search.all({ words: pattern, limit }))
      const byAccount = new Map(found.map((row) => [row.id, toAccount(row) as Account]))
      return [...byAccount.values()].slice(0, limit)
    },

    setPassword(id: number, hash: string, keptSessionId?: string): string[] {
      setPassword.run(hash, id)
      return removeSessions(id, keptSessionId)
    },

    setAdmin(id: number, isAdmin: boolean): void {
      setAdmin.run(Number(isAdmin), id)
      known.delete(id)
    },

    /** Gives the account as it was; undefined when it was off already. A token stays, so that its bearer can be told. */
    disable(id: number, time: number): Account | undefined {
      const before = toAccount(byId.get(id))
      disable.run(time, id)
      known.delete(id)
      removeSessions(id)
      return before?.isDisabled ? undefined : before
    },

    replaceToken(accountId: number, digest: Uint8Array, time: number): void {
      const owner = toAccount(byToken.get(digest))
      if (owner && owner.id !== accountId)
        throw new ActionError('conflict', `this token belongs to account ${owner.id} already`, { field: 'token' })
      deleteTokens.run(accountId)
      insertToken.run(digest, accountId, time)
    },

    countTokens: (accountId: number) => (countTokens.get(accountId) as { count: number }).count,

    addFriendship(a: number, b: number, time: number): void {
      insertFriend.run(a, b, time)
      insertFriend.run(b, a, time)
    },

    listFriends: (accountId: number) => friends.all(accountId).map(toFriend),

    findFriend(accountId: number, friendId: number): Friend | undefined {
      const row = friend.get(accountId, friendId)
      return row && toFriend(row)
    },

    addSession(session: Omit<Session, 'cursor' | 'cursorAt'>): void {
      // Signing in is the moment to clear what has expired: no timer, and no table without an end.
      deleteStaleSessions.run(session.createdAt)
      insertSession.run(session.id, session.accountId, session.refreshId, session.createdAt, session.expiresAt)
    },

    findSession(id: string): Session | undefined {
      const row = sessionById.get(id)
      if (!row) return undefined
      return {
        id: row.id as string,
        accountId: row.account_id as number,
        refreshId: row.refresh_id as string,
        createdAt: row.created_at as number,
        expiresAt: row.expires_at as number,
        cursor: (row.cursor as number | null) ?? undefined,
        cursorAt: row.cursor_at as number
      }
    },

    rotateSession: (id: string, used: string, next: string, expiresAt: number) =>
      rotateSession.run(next, expiresAt, id, used).changes === 1,

    saveSessionCursor({ sessionId, accountId, cursor, deliveredId, time }: SessionCursor): void {
      if (sessionId !== undefined) saveSessionCursor.run(cursor, time, sessionId)
      saveDelivered.run(deliveredId, accountId, deliveredId)
    },

    removeSession(id: string): void {
      deleteSession.run(id)
    },

    removeSessions
  }
}

export type AccountQueries = ReturnType<typeof accountQueries>

function toAccount(found: unknown): Account | undefined {
  if (!found) return undefined
  const row = found as AccountRow
  return {
    id: row.id,
    kind: row.kind,
    username: row.username ?? undefined,
    phone: row.phone ?? undefined,
    nickname: row.nickname,
    bio: row.bio,
    avatarUrl: row.avatar_url,
    createdAt: row.created_at,
    updatedAt: Math.max(row.created_at, row.updated_at),
    isDisabled: row.disabled_at !== null,
    isAdmin: row.is_admin === 1
  }
}

function toFriend(row: Record<string, unknown>): Friend {
  return {
    id: row.id as number,
    nickname: row.nickname as string,
    avatarUrl: row.avatar_url as string,
    username: (row.username as string | null) ?? undefined,
    remark: row.remark as string
  }
}

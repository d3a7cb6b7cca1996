import type { DatabaseSync } from 'node:sqlite'
import type { Blocked, Contact, ContactChange, NewContact, Window } from '../../core/people-store.ts'
import { toHolding } from './words.ts'

/** Whom people keep in a list of their own, and whom they do not want to hear of. Every function is synchronous; the caller owns the transaction. */
export function contactQueries(db: DatabaseSync) {
  const columns = `
    select a.id, a.nickname, a.avatar_url, a.username, f.remark, f.is_muted, f.created_at, exists(
      select 1 from blocks b where b.account_id = f.account_id and b.blocked_id = f.friend_id
    ) as is_blocked`
  const ofAccount =
    'from friendships f join accounts a on a.id = f.friend_id where f.account_id = :accountId and a.disabled_at is null'
  const holds = `(:words is null or a.nickname like :words escape '\\' or a.username like :words escape '\\' or f.remark like :words escape '\\')`
  const page = db.prepare(`${columns} ${ofAccount} and ${holds} order by a.id limit :limit + 0 offset :offset`)
  const count = db.prepare(`select count(*) as count ${ofAccount} and ${holds}`)
  const one = db.prepare(`${columns} ${ofAccount} and a.id = :contactId`)
  const insert = db.prepare(
    "insert into friendships(account_id, friend_id, remark, created_at) values (?, ?, coalesce(?, ''), ?) on conflict do nothing"
  )
  const update = db.prepare(
    'update friendships set remark = coalesce(?, remark), is_muted = coalesce(?, is_muted) where account_id = ? and friend_id = ?'
  )
  const remove = db.prepare('delete from friendships where account_id = ? and friend_id = ?')
  const addBlock = db.prepare(
    'insert into blocks(account_id, blocked_id, created_at) values (?, ?, ?) on conflict do nothing'
  )
  const removeBlock = db.prepare('delete from blocks where account_id = ? and blocked_id = ?')
  const isBlocking = db.prepare('select 1 from blocks where account_id = ? and blocked_id = ?')
  const blocks = db.prepare(
    'select a.id, a.nickname, a.avatar_url, b.created_at from blocks b join accounts a on a.id = b.blocked_id where b.account_id = ? order by b.created_at desc, a.id limit ? + 0 offset ?'
  )
  const countBlocks = db.prepare('select count(*) as count from blocks where account_id = ?')

  const hasBlocked = (accountId: number, otherId: number): boolean => isBlocking.get(accountId, otherId) !== undefined

  return {
    hasBlocked,

    list(accountId: number, { offset, limit, words }: Window & { readonly words?: string | undefined }) {
      const filter = { accountId, words: words === undefined ? null : toHolding(words) }
      const contacts = page.all({ ...filter, limit, offset }).map(toContact)
      return { contacts, total: (count.get(filter) as { count: number }).count }
    },

    find(accountId: number, contactId: number): Contact | undefined {
      const row = one.get({ accountId, contactId })
      return row && toContact(row)
    },

    add({ accountId, contactId, remark, time }: Omit<NewContact, 'request'>): boolean {
      const isNew = insert.run(accountId, contactId, remark ?? null, time).changes === 1
      if (!isNew && remark !== undefined) update.run(remark, null, accountId, contactId)
      return isNew
    },

    update: (accountId: number, contactId: number, { remark, isMuted }: ContactChange): boolean =>
      update.run(remark ?? null, isMuted === undefined ? null : Number(isMuted), accountId, contactId).changes === 1,

    remove: (accountId: number, contactId: number): boolean => remove.run(accountId, contactId).changes === 1,

    block(accountId: number, blockedId: number, time: number): void {
      addBlock.run(accountId, blockedId, time)
    },

    unblock(accountId: number, blockedId: number): void {
      removeBlock.run(accountId, blockedId)
    },

    isBlocked: (a: number, b: number) => hasBlocked(a, b) || hasBlocked(b, a),

    listBlocks(accountId: number, { offset, limit }: Window): { blocked: Blocked[]; total: number } {
      const blocked = blocks.all(accountId, limit, offset).map((row) => ({
        id: row.id as number,
        nickname: row.nickname as string,
        avatarUrl: row.avatar_url as string,
        createdAt: row.created_at as number
      }))
      return { blocked, total: (countBlocks.get(accountId) as { count: number }).count }
    }
  }
}

export type ContactQueries = ReturnType<typeof contactQueries>

function toContact(row: Record<string, unknown>): Contact {
  return {
    id: row.id as number,
    nickname: row.nickname as string,
    avatarUrl: row.avatar_url as string,
    username: (row.username as string | null) ?? undefined,
    remark: row.remark as string,
    isMuted: row.is_muted === 1,
    isBlocked: row.is_blocked === 1,
    createdAt: row.created_at as number
  }
}

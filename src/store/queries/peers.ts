import type { DatabaseSync } from 'node:sqlite'
import { MAX_GROUP_ID } from '../../core/store.ts'

/** Who hears about whom, and when somebody was last seen. Every function is synchronous; the caller owns the transaction. */
export function peerQueries(db: DatabaseSync) {
  const isBlocked = (other: string): string => `exists(
    select 1 from blocks b where (b.account_id = :self and b.blocked_id = ${other}) or (b.account_id = ${other} and b.blocked_id = :self)
  )`
  // Cut down before the rest is looked at: a bot may have a chat with everybody. One peer stands there three times at most.
  const peers = db.prepare(`
    select p.id, max(p.at) as at from (
      select case c.low_id when :self then c.high_id else c.low_id end as id, c.updated_at as at
      from members m join chats c on c.id = m.chat_id where m.account_id = :self and m.chat_id > ${MAX_GROUP_ID}
      union all
      select f.friend_id, f.created_at from friendships f where f.account_id = :self
      union all
      select f.account_id, f.created_at from friendships f where f.friend_id = :self
      order by at desc limit 4 * :limit
    ) p join accounts a on a.id = p.id
    where a.disabled_at is null and not ${isBlocked('p.id')}
    group by p.id order by at desc, p.id limit :limit + 0`)
  const known = db.prepare(`
    select a.id from json_each(:ids) j join accounts a on a.id = j.value
    where a.id <> :self and a.disabled_at is null and not ${isBlocked('a.id')} and (
      exists(select 1 from friendships f where f.account_id = :self and f.friend_id = a.id)
      or exists(select 1 from friendships f where f.account_id = a.id and f.friend_id = :self)
      or exists(select 1 from chats c where c.kind = 'private' and c.low_id = min(:self, a.id) and c.high_id = max(:self, a.id))
      or exists(
        select 1 from members m join members o on o.chat_id = m.chat_id and o.account_id = a.id
        where m.account_id = :self and m.chat_id <= ${MAX_GROUP_ID}
      )
    ) group by a.id order by min(j.key)`)
  const lastSeen = db.prepare(
    'select a.id, max(a.last_seen_at, a.created_at) as at from json_each(?) j join accounts a on a.id = j.value'
  )
  const saveLastSeen = db.prepare('update accounts set last_seen_at = max(last_seen_at, ?) where id = ?')

  const toIds = (rows: readonly Record<string, unknown>[]): number[] => rows.map((row) => row.id as number)

  return {
    listPeers: (self: number, limit: number) => toIds(peers.all({ self, limit })),
    listKnown: (self: number, ids: readonly number[]) => toIds(known.all({ self, ids: JSON.stringify(ids) })),

    listLastSeen: (ids: readonly number[]): Map<number, number> =>
      new Map(lastSeen.all(JSON.stringify(ids)).map((row) => [row.id as number, row.at as number])),

    saveLastSeen(ids: readonly number[], time: number): void {
      for (const id of ids) saveLastSeen.run(time, id)
    }
  }
}

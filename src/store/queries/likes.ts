import type { DatabaseSync } from 'node:sqlite'
import type { LikeOrder, Likes } from '../../core/friend-store.ts'
import type { ContactQueries } from './contacts.ts'

/** How long days are kept; the total is kept for ever. */
const KEPT_DAYS = 30
const DAY_S = 86_400

/** Who likes whom. Every function is synchronous; the caller owns the transaction. */
export function likeQueries(db: DatabaseSync, contacts: Pick<ContactQueries, 'hasBlocked'>) {
  const given = db.prepare('select count from likes where target_id = ? and day = ? and account_id = ?')
  const add = db.prepare(`
    insert into likes(target_id, day, account_id, count) values (?, ?, ?, ?)
    on conflict(target_id, day, account_id) do update set count = count + excluded.count`)
  const addToTotal = db.prepare('update accounts set like_count = like_count + ? where id = ?')
  const deleteOld = db.prepare('delete from likes where day < ?')
  const total = db.prepare('select like_count from accounts where id = ?')
  const onDay = db.prepare(
    'select account_id, count from likes where target_id = ? and day = ? order by count desc, account_id limit ? + 0'
  )

  const toDay = (time: number): number => Math.floor(time / DAY_S)

  return {
    add({ accountId, targetId, count, time, check }: LikeOrder): void {
      const day = toDay(time)
      const row = given.get(targetId, day, accountId) as { count: number } | undefined
      check({ given: row?.count ?? 0, hasBlocked: contacts.hasBlocked(targetId, accountId) })
      deleteOld.run(day - KEPT_DAYS)
      add.run(targetId, day, accountId, count)
      addToTotal.run(count, targetId)
    },

    read(targetId: number, time: number, limit: number): Likes {
      const row = total.get(targetId) as { like_count: number } | undefined
      const today = onDay.all(targetId, toDay(time), limit).map((like) => ({
        accountId: like.account_id as number,
        count: like.count as number
      }))
      return { total: row?.like_count ?? 0, today }
    }
  }
}

import type { DatabaseSync } from 'node:sqlite'
import type { Mail, MailDraft, MailStore } from '../../core/mail-store.ts'

/** What maim peers say to each other while the other is away. Every function is synchronous; the caller owns the transaction. */
export function mailQueries(db: DatabaseSync) {
  const insert = db.prepare(`
    insert into mail(road, msg_id, content, created_at) values (?, ?, ?, ?) on conflict(road, msg_id) do nothing`)
  const after = db.prepare('select * from mail where road = ? and id > ? order by id limit ? + 0')
  const remove = db.prepare('delete from mail where road = ? and msg_id = ?')
  const removeOld = db.prepare('delete from mail where created_at < ? returning road')
  const countOf = db.prepare('select count(*) as count from mail where road = ?')
  const overfull = db.prepare(`
    select road from mail group by road having count(*) > :keep or sum(octet_length(content)) > :keepBytes`)
  const removeOldest = db.prepare(`
    delete from mail where road = :road and id <= (
      select id from mail where road = :road order by id desc limit 1 offset :keep)`)
  const removeBeyond = db.prepare(`
    delete from mail where road = :road and id <= (
      select id from (
        select id, sum(octet_length(content)) over (order by id desc) as bytes from mail where road = :road
      ) where bytes > :keepBytes order by id desc limit 1)`)
  /** Counting thousands of rows for each one that is added would cost more than adding it. */
  const counts = new Map<string, number>()

  function count(road: string): number {
    return counts.get(road) ?? (countOf.get(road) as { count: number }).count
  }

  function forget(rows: readonly Record<string, unknown>[]): void {
    for (const { road } of rows) counts.delete(road as string)
  }

  return {
    keep({ road, msgId, text, createdAt }: MailDraft): number {
      const before = count(road)
      const total = before + Number(insert.run(road, msgId, text, createdAt).changes)
      counts.set(road, total)
      return total
    },

    read: (road: string, afterId: number, limit: number): Mail[] => after.all(road, afterId, limit).map(toMail),

    drop(road: string, msgIds: readonly string[]): void {
      const before = count(road)
      let removed = 0
      for (const msgId of msgIds) removed += Number(remove.run(road, msgId).changes)
      counts.set(road, before - removed)
    },

    tidy({ keptFrom, keep, keepBytes }: Parameters<MailStore['tidyMail']>[0]): number {
      const old = removeOld.all(keptFrom)
      forget(old)
      let removed = old.length
      for (const row of overfull.all({ keep, keepBytes })) {
        const road = row.road as string
        forget([row])
        removed += Number(removeOldest.run({ road, keep }).changes)
        removed += Number(removeBeyond.run({ road, keepBytes }).changes)
      }
      return removed
    },

    /** Something that was written has been taken back. */
    forgetAll: () => counts.clear()
  }
}

function toMail(row: Record<string, unknown>): Mail {
  return {
    id: row.id as number,
    msgId: row.msg_id as string,
    text: row.content as string,
    createdAt: row.created_at as number
  }
}

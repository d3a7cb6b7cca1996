import type { DatabaseSync } from 'node:sqlite'
import type { Notice, NoticeKind, NoticePage } from '../../core/notices.ts'

/** What the operator's people told people. Every function is synchronous; the caller owns the transaction. */
export function noticeQueries(db: DatabaseSync) {
  const insert = db.prepare(
    'insert into notices(audience, title, message, kind, action_url, created_at) values (?, ?, ?, ?, ?, ?) returning *'
  )
  const deleteOld = db.prepare('delete from notices where created_at < ?')
  const after = db.prepare('select * from notices where id > ? order by id limit ? + 0')
  const last = db.prepare('select coalesce(max(id), 0) as id from notices')
  const isFor = `n.created_at >= :since and case
    when n.audience is null then exists(select 1 from accounts a where a.id = :accountId and a.created_at <= n.created_at)
    else exists(select 1 from json_each(n.audience) j where j.value = :accountId) end`
  const newest = db.prepare(`select * from notices n where ${isFor} order by n.id desc limit :limit + 0`)
  const next = db.prepare(`select * from notices n where n.id > :afterId and ${isFor} order by n.id limit :limit + 0`)

  return {
    add({ audience, title, message, kind, actionUrl, createdAt }: Omit<Notice, 'id'>, keepFrom: number): Notice {
      const list = audience && JSON.stringify(audience)
      // The newest row stays, so that no number is given twice.
      const row = insert.get(list, title, message, kind, actionUrl, createdAt)
      deleteOld.run(keepFrom)
      return toNotice(row as Record<string, unknown>)
    },

    list({ accountId, afterId, since, limit }: NoticePage): Notice[] {
      const rows =
        afterId === undefined ? newest.all({ accountId, since, limit }) : next.all({ accountId, since, limit, afterId })
      return rows.map(toNotice)
    },

    read: (afterId: number, limit: number) => after.all(afterId, limit).map(toNotice),
    lastId: () => (last.get() as { id: number }).id
  }
}

export type NoticeQueries = ReturnType<typeof noticeQueries>

function toNotice(row: Record<string, unknown>): Notice {
  return {
    id: row.id as number,
    audience: JSON.parse((row.audience as string | null) ?? 'null') as number[] | null,
    title: row.title as string,
    message: row.message as string,
    kind: row.kind as NoticeKind,
    actionUrl: row.action_url as string,
    createdAt: row.created_at as number
  }
}

import type { DatabaseSync } from 'node:sqlite'
import type { CustomFace } from '../../core/friend-store.ts'
import type { Segment } from '../../core/segment.ts'
import type { FileQueries } from './files.ts'

/** Of each account. */
const KEPT = 100

export type FaceQueries = ReturnType<typeof faceQueries>

/** Stickers that accounts have sent. Every function is synchronous; the caller owns the transaction. */
export function faceQueries(db: DatabaseSync, files: Pick<FileQueries, 'find'>) {
  const keep = db.prepare(`
    insert into custom_faces(account_id, sha256, file_id, used_at) values (?, ?, ?, ?)
    on conflict(account_id, sha256) do update set file_id = excluded.file_id, used_at = excluded.used_at`)
  const order = 'order by c.used_at desc, c.file_id desc'
  const deleteOld = db.prepare(`
    delete from custom_faces where account_id = :account and sha256 in (
      select c.sha256 from custom_faces c where c.account_id = :account ${order} limit -1 offset ${KEPT}
    )`)
  const list = db.prepare(
    `select f.id, f.name from custom_faces c join files f on f.id = c.file_id where c.account_id = ? ${order}`
  )

  return {
    /** Remembers the stickers among what the account says. */
    keep(accountId: number, segments: readonly Segment[], time: number): void {
      for (const segment of segments) {
        if (segment.type !== 'media' || segment.kind !== 'sticker' || segment.file.fileId === undefined) continue
        const file = files.find(segment.file.fileId)
        if (!file) continue
        keep.run(accountId, file.sha256, file.id, time)
        deleteOld.run({ account: accountId })
      }
    },

    list: (accountId: number): CustomFace[] =>
      list.all(accountId).map((row) => ({ fileId: row.id as number, name: row.name as string }))
  }
}

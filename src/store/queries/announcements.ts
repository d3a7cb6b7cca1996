import type { DatabaseSync } from 'node:sqlite'
import { ActionError } from '../../core/errors.ts'
import type { Announcement, AnnouncementOrder, AnnouncementRemoval } from '../../core/note-store.ts'
import type { Member } from '../../core/store.ts'
import type { AccountQueries } from './accounts.ts'
import type { ChatQueries } from './chats.ts'
import type { FileQueries } from './files.ts'
import type { GroupQueries } from './groups.ts'

export interface AnnouncementSources {
  readonly accounts: AccountQueries
  readonly chats: ChatQueries
  readonly files: FileQueries
  readonly groups: GroupQueries
}

interface AnnouncementRow {
  id: number
  chat_id: number
  account_id: number
  content: string
  file_id: number | null
  file_name: string | null
  created_at: number
}

/** What groups tell their members. Every function is synchronous; the caller owns the transaction. */
export function announcementQueries(db: DatabaseSync, { accounts, chats, files, groups }: AnnouncementSources) {
  const insert = db.prepare(
    'insert into announcements(chat_id, account_id, content, file_id, created_at) values (?, ?, ?, ?, ?) returning id'
  )
  const columns = 'n.*, f.name as file_name from announcements n left join files f on f.id = n.file_id'
  const byId = db.prepare(`select ${columns} where n.chat_id = ? and n.id = ?`)
  const newest = db.prepare(`select ${columns} where n.chat_id = ? order by n.id desc`)
  const beyond = db.prepare('select id from announcements where chat_id = ? order by id desc limit -1 offset ?')
  const remove = db.prepare('delete from announcements where id = ? returning file_id')
  const setWords = db.prepare(`
    update chats set announcement = coalesce(
      (select content from announcements where chat_id = chats.id order by id desc limit 1), ''
    ) where id = ?`)

  /** The chat shows the words of the newest, and so does every event of it from now on. */
  function renew(groupId: number): void {
    setWords.run(groupId)
    chats.forget(groupId)
  }

  /** The picture goes too, unless something else shows it. */
  function drop(id: number): void {
    const row = remove.get(id) as { file_id: number | null } | undefined
    if (row && row.file_id !== null) files.remove(row.file_id)
  }

  function mustSee(accountId: number, fileId: number): void {
    const file = files.find(fileId)
    if (file && (file.ownerId === accountId || files.isShownTo(fileId, accountId))) return
    throw new ActionError('not_found', `there is no file ${fileId}`, { field: 'file_id' })
  }

  function toAnnouncement(row: AnnouncementRow): Announcement {
    return {
      id: row.id,
      groupId: row.chat_id,
      sender: accounts.ref(row.account_id),
      content: row.content,
      file: row.file_id === null ? undefined : { fileId: row.file_id, name: row.file_name ?? '' },
      createdAt: row.created_at
    }
  }

  return {
    add({ groupId, actorId, content, fileId, time, keep, check }: AnnouncementOrder): Announcement {
      check(mustFindActor(groups, groupId, actorId))
      if (fileId !== undefined) mustSee(actorId, fileId)
      const { id } = insert.get(groupId, actorId, content, fileId ?? null, time) as { id: number }
      for (const row of beyond.all(groupId, keep)) drop(row.id as number)
      renew(groupId)
      return toAnnouncement(byId.get(groupId, id) as unknown as AnnouncementRow)
    },

    remove({ groupId, actorId, announcementId, check }: AnnouncementRemoval): void {
      check(mustFindActor(groups, groupId, actorId))
      if (!byId.get(groupId, announcementId))
        throw new ActionError('not_found', `there is no announcement ${announcementId} in this group`, {
          field: 'announcement_id'
        })
      drop(announcementId)
      renew(groupId)
    },

    list: (groupId: number): Announcement[] =>
      (newest.all(groupId) as unknown as AnnouncementRow[]).map((row) => toAnnouncement(row))
  }
}

/** Who acts in a group. One answer for a group that is not there and one that is not theirs. */
export function mustFindActor(groups: GroupQueries, groupId: number, actorId: number): Member {
  const actor = groups.find(groupId) && groups.findMember(groupId, actorId)
  if (!actor) throw new ActionError('not_found', `group ${groupId} does not exist or you are not in it`)
  return actor
}

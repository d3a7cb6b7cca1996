import type { DatabaseSync } from 'node:sqlite'
import type { NewFile, StoredFile } from '../../core/store.ts'

interface FileRow {
  id: number
  owner_id: number
  sha256: string
  name: string
  mime: string
  size: number
  width: number
  height: number
  duration_s: number
  created_at: number
}

export type FileQueries = ReturnType<typeof fileQueries>

/** Files, and the messages that show them. Every function is synchronous; the caller owns the transaction. */
export function fileQueries(db: DatabaseSync) {
  const insert = db.prepare(`
    insert into files(owner_id, sha256, name, mime, size, width, height, duration_s, created_at)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?) returning *`)
  const byId = db.prepare('select * from files where id = ?')
  const remove = db.prepare('delete from files where id = ? returning sha256')
  const isUsed = db.prepare('select 1 from files where sha256 = ?')
  // Who left the chat sees it no more; a recalled message has no rows here.
  const isShownTo = db.prepare(`
    select 1 from message_files f join members m on m.chat_id = f.chat_id and m.account_id = :account where f.file_id = :id
    union all
    select 1 from announcements n join members m on m.chat_id = n.chat_id and m.account_id = :account where n.file_id = :id`)
  // By a message, an announcement, or by its owner as the picture of their profile, whose address holds its number.
  const isShown = db.prepare(`
    select 1 from message_files where file_id = :id
    union all
    select 1 from chats where avatar_file_id = :id
    union all
    select 1 from announcements where file_id = :id
    union all
    select 1 from files f join accounts a on a.id = f.owner_id
    where f.id = :id and instr(a.avatar_url, '/api/files/' || f.id || '/') > 0`)
  // A file that was deleted from every group that had it may still be named by what is passed on.
  const show = db.prepare(
    'insert or ignore into message_files(message_id, file_id, chat_id) select ?, id, ? from files where id = ?'
  )
  const hide = db.prepare('delete from message_files where message_id = ? returning file_id')
  const isShownIn = db.prepare('select 1 from message_files where file_id = ? and chat_id = ?')
  const hideFrom = db.prepare('delete from message_files where file_id = ? and chat_id = ?')
  const addLoose = db.prepare('insert or ignore into loose_contents(sha256) values (?)')
  const loose = db.prepare('select sha256 from loose_contents limit ? + 0')
  const deleteLoose = db.prepare('delete from loose_contents where sha256 = ?')

  function find(id: number): StoredFile | undefined {
    const row = byId.get(id) as FileRow | undefined
    return row && toFile(row)
  }

  function drop(id: number): boolean {
    if (isShown.get({ id })) return false
    const row = remove.get(id) as { sha256: string } | undefined
    if (row && !isUsed.get(row.sha256)) addLoose.run(row.sha256)
    return true
  }

  return {
    find,

    add(file: NewFile): StoredFile {
      const { ownerId, sha256, name, mime, size, width, height, durationS, createdAt } = file
      deleteLoose.run(sha256)
      return toFile(
        insert.get(ownerId, sha256, name, mime, size, width, height, durationS, createdAt) as unknown as FileRow
      )
    },

    isShownTo: (id: number, accountId: number) => isShownTo.get({ account: accountId, id }) !== undefined,
    remove: drop,

    /** The message shows it from now on. */
    show(id: number, messageId: number, chatId: number): void {
      show.run(messageId, chatId, id)
    },

    /** The message shows nothing any more; files that no other message shows go with it. */
    hideAll(messageId: number): void {
      for (const row of hide.all(messageId)) drop(row.file_id as number)
    },

    isShownIn: (id: number, chatId: number) => isShownIn.get(id, chatId) !== undefined,

    /** No message of the chat shows it any more; it goes when nothing else does. */
    hideFrom(chatId: number, id: number): void {
      hideFrom.run(id, chatId)
      drop(id)
    },

    expectContent(sha256: string): void {
      if (!isUsed.get(sha256)) addLoose.run(sha256)
    },
    listLooseContents: (limit: number) => loose.all(limit).map((row) => row.sha256 as string),
    isContentUsed: (sha256: string) => isUsed.get(sha256) !== undefined,
    forgetContent(sha256: string): void {
      deleteLoose.run(sha256)
    }
  }
}

function toFile(row: FileRow): StoredFile {
  return {
    id: row.id,
    ownerId: row.owner_id,
    sha256: row.sha256,
    name: row.name,
    mime: row.mime,
    size: row.size,
    width: row.width,
    height: row.height,
    durationS: row.duration_s,
    createdAt: row.created_at
  }
}

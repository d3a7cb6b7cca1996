import type { DatabaseSync } from 'node:sqlite'
import { ActionError } from '../../core/errors.ts'
import { noFolder, type GroupFile, type GroupFilesOrder, type GroupFolder } from '../../core/group-files.ts'
import type { Window } from '../../core/people-store.ts'
import type { FilePlace, Message } from '../../core/store.ts'
import type { FileQueries } from './files.ts'
import type { GroupQueries } from './groups.ts'

interface FileRow {
  chat_id: number
  file_id: number
  folder_id: number | null
  message_id: number
  name: string
  mime: string
  size: number
  uploader_id: number
  downloads: number
  created_at: number
}

interface FolderRow {
  id: number
  chat_id: number
  name: string
  creator_id: number
  created_at: number
  updated_at: number
  file_count: number
}

export type GroupFileQueries = ReturnType<typeof groupFileQueries>

/**
 * Files of groups and their folders. A row is there only while a message of the group shows the file.
 * Every function is synchronous; the caller owns the transaction.
 */
export function groupFileQueries(db: DatabaseSync, files: FileQueries, groups: GroupQueries) {
  const columns = 'g.*, f.mime, f.size from group_files g join files f on f.id = g.file_id where g.chat_id = ?'
  const byId = db.prepare(`select ${columns} and g.file_id = ?`)
  const inFolder = db.prepare(
    `select ${columns} and g.folder_id is ? order by g.created_at desc, g.file_id desc limit ? + 0 offset ?`
  )
  const countInFolder = db.prepare('select count(*) as count from group_files where chat_id = ? and folder_id is ?')
  const countAll = db.prepare('select count(*) as count from group_files where chat_id = ?')
  const insert = db.prepare(`
    insert into group_files(chat_id, file_id, folder_id, message_id, name, uploader_id, created_at)
    values (?, ?, ?, ?, ?, ?, ?)`)
  const update = db.prepare('update group_files set name = ?, folder_id = ? where chat_id = ? and file_id = ?')
  const countDownload = db.prepare('update group_files set downloads = downloads + 1 where chat_id = ? and file_id = ?')
  const remove = db.prepare('delete from group_files where chat_id = ? and file_id = ?')
  const ofMessage = db.prepare('select chat_id, file_id, folder_id from group_files where message_id = ?')
  // Another message that shows it as a file; the rows of recalled messages are gone.
  const heir = db.prepare(`
    select m.id, m.sender_id, m.time from message_files f join messages m on m.id = f.message_id
    where f.file_id = :file and f.chat_id = :chat and f.message_id <> :message and exists(
      select 1 from json_each(m.segments) s
      where s.value ->> '$.kind' = 'file' and s.value ->> '$.file.fileId' = :file
    )
    order by m.id limit 1`)
  const adopt = db.prepare(
    'update group_files set message_id = ?, uploader_id = ?, created_at = ? where chat_id = ? and file_id = ?'
  )
  const folders = db.prepare(`
    select d.*, (select count(*) from group_files g where g.chat_id = d.chat_id and g.folder_id = d.id) as file_count
    from group_folders d where d.chat_id = ? order by d.name`)
  const folderOf = db.prepare('select 1 from group_folders where id = ? and chat_id = ?')
  const addFolder = db.prepare(
    'insert into group_folders(chat_id, name, creator_id, created_at, updated_at) values (?, ?, ?, ?, ?) returning id'
  )
  const renameFolder = db.prepare('update group_folders set name = ? where id = ?')
  const touch = db.prepare('update group_folders set updated_at = ? where id = ?')
  const removeFolder = db.prepare('delete from group_folders where id = ?')

  const count = (row: unknown): number => (row as { count: number }).count

  function find(groupId: number, fileId: number): GroupFile | undefined {
    const row = byId.get(groupId, fileId) as FileRow | undefined
    return row && toGroupFile(row)
  }

  function listFolders(groupId: number): GroupFolder[] {
    return (folders.all(groupId) as unknown as FolderRow[]).map(toFolder)
  }

  function list(
    groupId: number,
    folderId: number | undefined,
    { offset, limit }: Window
  ): { files: GroupFile[]; total: number } {
    const folder = folderId ?? null
    const rows = inFolder.all(groupId, folder, limit, offset) as unknown as FileRow[]
    return { files: rows.map(toGroupFile), total: count(countInFolder.get(groupId, folder)) }
  }

  /** The folder that loses or gets a file is another one from then on. */
  function touchAll(time: number, ...folderIds: (number | null | undefined)[]): void {
    for (const id of new Set(folderIds)) if (id !== undefined && id !== null) touch.run(time, id)
  }

  function drop({ groupId, fileId, folderId }: GroupFile, time: number): void {
    remove.run(groupId, fileId)
    touchAll(time, folderId)
    files.hideFrom(groupId, fileId)
  }

  return {
    find,
    list,
    listFolders,

    /** The group has the file from now on, unless it has it already. */
    bring(message: Message, file: { readonly fileId: number; readonly name: string }, place: FilePlace = {}): void {
      const { id, chatId, senderId, time } = message
      const { folderId, maxFiles = Infinity } = place
      if (folderId !== undefined && !folderOf.get(folderId, chatId)) throw noFolder(folderId, 'parent_folder_id')
      if (byId.get(chatId, file.fileId)) return
      if (count(countAll.get(chatId)) >= maxFiles)
        throw new ActionError('too_large', `a group has at most ${maxFiles} files; delete some first`, {
          field: 'file_uri'
        })
      insert.run(chatId, file.fileId, folderId ?? null, id, file.name, senderId, time)
      touchAll(time, folderId)
    },

    /** The message is about to be recalled: its files belong to the next message that shows them, or go. */
    release(messageId: number, time: number): void {
      for (const row of ofMessage.all(messageId) as unknown as Pick<FileRow, 'chat_id' | 'file_id' | 'folder_id'>[]) {
        const { chat_id: chat, file_id: file } = row
        const next = heir.get({ chat, file, message: messageId }) as
          | { id: number; sender_id: number; time: number }
          | undefined
        if (next) adopt.run(next.id, next.sender_id, next.time, chat, file)
        else remove.run(chat, file)
        touchAll(time, row.folder_id)
      }
    },

    change({ groupId, actorId, fileId, folderId, time, decide }: GroupFilesOrder): number | undefined {
      const group = groups.find(groupId)
      const actor = groups.findMember(groupId, actorId)
      // One answer for a group that is not there and one that is not theirs.
      if (!group || !actor) throw new ActionError('not_found', `group ${groupId} does not exist or you are not in it`)
      const all = listFolders(groupId)
      const file = fileId === undefined ? undefined : find(groupId, fileId)
      const folder = all.find(({ id }) => id === folderId)
      const change = decide({ group, actor, file, folder, folders: all })
      switch (change?.type) {
        case undefined:
          return undefined
        case 'add-folder':
          return (addFolder.get(groupId, change.name, actorId, time, time) as { id: number }).id
        case 'update-file':
          if (!file) return undefined
          update.run(change.name, change.folderId ?? null, groupId, file.fileId)
          touchAll(time, file.folderId, change.folderId)
          return undefined
        case 'remove-file':
          if (file) drop(file, time)
          return undefined
        case 'rename-folder':
          if (!folder) return undefined
          renameFolder.run(change.name, folder.id)
          touchAll(time, folder.id)
          return undefined
        case 'remove-folder':
          if (!folder) return undefined
          for (const inner of list(groupId, folder.id, { offset: 0, limit: folder.fileCount }).files) drop(inner, time)
          removeFolder.run(folder.id)
          return undefined
      }
    },

    countDownload(groupId: number, fileId: number): void {
      countDownload.run(groupId, fileId)
    }
  }
}

function toGroupFile(row: FileRow): GroupFile {
  return {
    groupId: row.chat_id,
    fileId: row.file_id,
    folderId: row.folder_id ?? undefined,
    messageId: row.message_id,
    name: row.name,
    mime: row.mime,
    size: row.size,
    uploaderId: row.uploader_id,
    downloads: row.downloads,
    createdAt: row.created_at
  }
}

function toFolder(row: FolderRow): GroupFolder {
  return {
    id: row.id,
    groupId: row.chat_id,
    name: row.name,
    creatorId: row.creator_id,
    fileCount: row.file_count,
    createdAt: row.created_at,
    updatedAt: row.updated_at
  }
}

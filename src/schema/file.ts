import { Type, type Static } from '@sinclair/typebox'
import type { GroupFile, GroupFolder } from '../core/group-files.ts'
import { Int, Uin } from './common.ts'

// Milky 1.2 §2.8: files of groups and their folders.

/** The folder that all others stand in. */
export const ROOT_FOLDER = '/'

/** `expire_time` is never there: a file stays as long as a message shows it. */
export const GroupFileEntity = Type.Object({
  group_id: Uin,
  file_id: Type.String(),
  file_name: Type.String(),
  parent_folder_id: Type.String(),
  file_size: Int,
  uploaded_time: Int,
  uploader_id: Uin,
  downloaded_times: Int
})
export type GroupFileEntity = Static<typeof GroupFileEntity>

export const GroupFolderEntity = Type.Object({
  group_id: Uin,
  folder_id: Type.String(),
  parent_folder_id: Type.String(),
  folder_name: Type.String(),
  created_time: Int,
  last_modified_time: Int,
  creator_id: Uin,
  file_count: Int
})
export type GroupFolderEntity = Static<typeof GroupFolderEntity>

export function toGroupFileEntity(file: GroupFile): GroupFileEntity {
  return {
    group_id: file.groupId,
    file_id: String(file.fileId),
    file_name: file.name,
    parent_folder_id: file.folderId === undefined ? ROOT_FOLDER : String(file.folderId),
    file_size: file.size,
    uploaded_time: file.createdAt,
    uploader_id: file.uploaderId,
    downloaded_times: file.downloads
  }
}

export function toGroupFolderEntity(folder: GroupFolder): GroupFolderEntity {
  return {
    group_id: folder.groupId,
    folder_id: String(folder.id),
    parent_folder_id: ROOT_FOLDER,
    folder_name: folder.name,
    created_time: folder.createdAt,
    last_modified_time: folder.updatedAt,
    creator_id: folder.creatorId,
    file_count: folder.fileCount
  }
}

/** What a `folder_id` means: `undefined` is the root; null for what no folder can be called. */
export function parseFolderId(folderId: string): number | undefined | null {
  return folderId === ROOT_FOLDER ? undefined : (parseFileId(folderId) ?? null)
}

/** What a `file_id` means; undefined for what no file can be called. */
export function parseFileId(fileId: string): number | undefined {
  return /^[1-9]\d{0,14}$/.test(fileId) ? Number(fileId) : undefined
}

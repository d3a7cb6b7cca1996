import type { GroupFile, GroupFolder } from '../core/group-files.ts'
import type { LinkOf } from '../core/links.ts'
import type { StoredFile } from '../core/store.ts'
import { toTimestamp } from './imsuite.ts'

/** A file as the REST door tells it (IM-Suite contract 1.5): every client finds the name that it knows a field by. */
export function toFile({ id, name, mime, size, width, height, createdAt }: StoredFile, linkOf: LinkOf) {
  const url = linkOf({ fileId: id, name })
  return {
    id,
    file_id: id,
    name,
    file_name: name,
    size,
    file_size: size,
    type: mime,
    mime_type: mime,
    url,
    file_url: url,
    width,
    height,
    thumbnail: '',
    created_at: toTimestamp(createdAt)
  }
}

/** A file in a group's folder; `folder_id` 0 is the root. */
export function toGroupFile(file: GroupFile, linkOf: LinkOf) {
  const { fileId, name, mime, size, folderId = 0 } = file
  const url = linkOf({ fileId, name })
  return {
    id: fileId,
    file_id: fileId,
    chat_id: file.groupId,
    folder_id: folderId,
    message_id: file.messageId,
    name,
    file_name: name,
    size,
    file_size: size,
    type: mime,
    mime_type: mime,
    url,
    file_url: url,
    uploader_id: file.uploaderId,
    downloads: file.downloads,
    created_at: toTimestamp(file.createdAt)
  }
}

export function toGroupFolder(folder: GroupFolder) {
  return {
    id: folder.id,
    folder_id: folder.id,
    chat_id: folder.groupId,
    name: folder.name,
    creator_id: folder.creatorId,
    file_count: folder.fileCount,
    created_at: toTimestamp(folder.createdAt),
    updated_at: toTimestamp(folder.updatedAt)
  }
}

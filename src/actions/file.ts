import { Type, type Static } from '@sinclair/typebox'
import { defineAction, type ActionContext } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { noFolder, type Place } from '../core/group-files.ts'
import type { Appended } from '../core/store.ts'
import { Name, Nothing, Text, Uin } from '../schema/common.ts'
import {
  GroupFileEntity,
  GroupFolderEntity,
  parseFileId,
  parseFolderId,
  ROOT_FOLDER,
  toGroupFileEntity,
  toGroupFolderEntity
} from '../schema/file.ts'
import { withUploads } from './media.ts'

const group = { group_id: Uin }
const file = { ...group, file_id: Text }
const folder = { ...group, folder_id: Text }
const ParentFolder = Type.Optional(Text)
const FolderName = Name(64)
/** Shown as `toFileName` makes it safe. */
const NewName = Type.String({ minLength: 1, description: 'expected the name of a file' })

/** In `parent_folder_id`: wherever the file is. The draft and people do not say where that is. */
const ANYWHERE = '*'
/** More than a group has. */
const ALL = { offset: 0, limit: 1_000_000 }

/** People change files as often as they may say something; bots as often as their door lets them. */
function take({ caller, allowances }: Pick<ActionContext, 'caller' | 'allowances'>): void {
  if (caller.kind === 'person') allowances.take('send', caller.id)
}

const Uploaded = Type.Object({ file_id: Type.String() })

export const uploadPrivateFile = defineAction({
  name: 'upload_private_file',
  // An empty name: as its address or its content calls it.
  params: Type.Object({ user_id: Uin, file_uri: Text, file_name: Text }),
  result: Uploaded,
  resultOf: toUploaded,
  async run(context, { user_id, ...delivery }) {
    take(context)
    return upload(context, await context.chats.openPrivate(context.caller, user_id), delivery)
  }
})

export const uploadGroupFile = defineAction({
  name: 'upload_group_file',
  params: Type.Object({ ...group, parent_folder_id: ParentFolder, file_uri: Text, file_name: Text }),
  result: Uploaded,
  resultOf: toUploaded,
  async run(context, { group_id, parent_folder_id, ...delivery }) {
    take(context)
    const { id } = await context.groups.get(context.caller.id, group_id)
    const { folderId } = toPlace(parent_folder_id, 'parent_folder_id')
    return upload(context, id, delivery, folderId)
  }
})

/** A file in a chat is a message that shows it and nothing else. */
function upload(
  context: ActionContext,
  chatId: number,
  { file_uri: uri, file_name }: { readonly file_uri: string; readonly file_name: string },
  folderId?: number
): Promise<Static<typeof Uploaded>> {
  const { caller, chats } = context
  return withUploads(context, async (keep) => {
    const name = file_name === '' ? undefined : file_name
    const { id: fileId } = await keep({ uri, kind: 'file', field: 'file_uri', name })
    const segments = [{ type: 'media', kind: 'file', fileId }] as const
    return toUploaded(await chats.send({ chatId, sender: caller, segments, folderId }))
  })
}

function toUploaded({ message }: Appended): Static<typeof Uploaded> {
  const [file] = message.segments
  if (file?.type !== 'media') throw new Error('the message shows no file')
  return { file_id: String(file.file.fileId) }
}

/** `file_hash` is the one of the segment and the event; empty for who does not know it. */
export const getPrivateFileDownloadUrl = defineAction({
  name: 'get_private_file_download_url',
  params: Type.Object({ user_id: Uin, file_id: Text, file_hash: Text }),
  result: Type.Object({ download_url: Type.String() }),
  async run({ caller, chats, store, links }, { user_id, file_id, file_hash }) {
    const fileId = mustParse(file_id)
    const chatId = await chats.getPrivate(caller.id, user_id)
    const found = (await store.isFileShownIn(fileId, chatId)) ? await store.findFile(fileId) : undefined
    if (!found) throw noFile(file_id)
    if (file_hash !== '' && file_hash.toLowerCase() !== found.sha256)
      throw new ActionError('not_found', 'file_hash: this is not the hash of the file', { field: 'file_hash' })
    return { download_url: links.absoluteLinkOf({ fileId, name: found.name }) }
  }
})

export const getGroupFileDownloadUrl = defineAction({
  name: 'get_group_file_download_url',
  params: Type.Object(file),
  result: Type.Object({ download_url: Type.String() }),
  async run({ caller, groupFiles, links }, { group_id, file_id }) {
    const { id: fileId, name } = await groupFiles.fetch(caller.id, group_id, mustParse(file_id))
    return { download_url: links.absoluteLinkOf({ fileId, name }) }
  }
})

/** Milky 1.3. Nothing expires here, so there is nothing to do but to look whether it is there. */
export const persistGroupFile = defineAction({
  name: 'persist_group_file',
  params: Type.Object(file),
  result: Nothing,
  async run({ caller, groups, store }, { group_id, file_id }) {
    await groups.get(caller.id, group_id)
    if (!(await store.findGroupFile(group_id, mustParse(file_id)))) throw noFile(file_id)
    return {}
  }
})

export const getGroupFiles = defineAction({
  name: 'get_group_files',
  params: Type.Object({ ...group, parent_folder_id: ParentFolder }),
  result: Type.Object({ files: Type.Array(GroupFileEntity), folders: Type.Array(GroupFolderEntity) }),
  async run({ caller, groupFiles }, { group_id, parent_folder_id }) {
    const place = toPlace(parent_folder_id, 'parent_folder_id')
    const { files, folders } = await groupFiles.list(caller.id, group_id, place, ALL)
    return { files: files.map(toGroupFileEntity), folders: folders.map(toGroupFolderEntity) }
  }
})

export const moveGroupFile = defineAction({
  name: 'move_group_file',
  params: Type.Object({ ...file, parent_folder_id: ParentFolder, target_folder_id: ParentFolder }),
  result: Nothing,
  async run(context, { group_id, file_id, parent_folder_id, target_folder_id }) {
    take(context)
    await context.groupFiles.update(context.caller.id, group_id, mustParse(file_id), {
      from: toOrigin(parent_folder_id),
      to: toPlace(target_folder_id, 'target_folder_id')
    })
    return {}
  }
})

export const renameGroupFile = defineAction({
  name: 'rename_group_file',
  params: Type.Object({ ...file, parent_folder_id: ParentFolder, new_file_name: NewName }),
  result: Nothing,
  async run(context, { group_id, file_id, parent_folder_id, new_file_name: name }) {
    take(context)
    const from = toOrigin(parent_folder_id)
    await context.groupFiles.update(context.caller.id, group_id, mustParse(file_id), { name, from })
    return {}
  }
})

/** For people: both at once. What is absent stays. */
export const updateChatFile = defineAction({
  name: 'update_chat_file',
  params: Type.Object({ chat_id: Uin, file_id: Text, name: Type.Optional(NewName), folder_id: ParentFolder }),
  result: Nothing,
  async run(context, { chat_id, file_id, name, folder_id }) {
    take(context)
    const to = folder_id === undefined ? undefined : toPlace(folder_id, 'folder_id')
    await context.groupFiles.update(context.caller.id, chat_id, mustParse(file_id), { name, to })
    return {}
  }
})

export const deleteGroupFile = defineAction({
  name: 'delete_group_file',
  params: Type.Object(file),
  result: Nothing,
  async run(context, { group_id, file_id }) {
    take(context)
    await context.groupFiles.remove(context.caller.id, group_id, mustParse(file_id))
    return {}
  }
})

const Folder = Type.Object({ folder_id: Type.String() })

function toFolder(folderId: number): Static<typeof Folder> {
  return { folder_id: String(folderId) }
}

export const createGroupFolder = defineAction({
  name: 'create_group_folder',
  params: Type.Object({ ...group, folder_name: FolderName }),
  result: Folder,
  resultOf: toFolder,
  async run(context, { group_id, folder_name }) {
    take(context)
    return toFolder(await context.groupFiles.addFolder(context.caller.id, group_id, folder_name))
  }
})

export const renameGroupFolder = defineAction({
  name: 'rename_group_folder',
  params: Type.Object({ ...folder, new_folder_name: FolderName }),
  result: Nothing,
  async run(context, { group_id, folder_id, new_folder_name }) {
    take(context)
    await context.groupFiles.renameFolder(context.caller.id, group_id, mustBeFolder(folder_id), new_folder_name)
    return {}
  }
})

export const deleteGroupFolder = defineAction({
  name: 'delete_group_folder',
  params: Type.Object(folder),
  result: Nothing,
  async run(context, { group_id, folder_id }) {
    take(context)
    await context.groupFiles.removeFolder(context.caller.id, group_id, mustBeFolder(folder_id))
    return {}
  }
})

/** The folder that a parameter names; the root when it is absent (Milky 1.2, chapter "file"). */
function toPlace(given: string = ROOT_FOLDER, field: string): Place {
  const folderId = parseFolderId(given)
  if (folderId === null) throw noFolder(given.slice(0, 64), field)
  return { folderId, field }
}

/** Where a file is said to be. */
function toOrigin(given: string | undefined): Place | undefined {
  return given === ANYWHERE ? undefined : toPlace(given, 'parent_folder_id')
}

function mustBeFolder(given: string): number {
  const { folderId } = toPlace(given, 'folder_id')
  if (folderId === undefined)
    throw new ActionError('invalid', 'folder_id: the root stays as it is', { field: 'folder_id' })
  return folderId
}

function mustParse(given: string): number {
  const fileId = parseFileId(given)
  if (fileId === undefined) throw noFile(given)
  return fileId
}

function noFile(given: string): ActionError {
  return new ActionError('not_found', `file_id: there is no file "${given.slice(0, 64)}" here`, { field: 'file_id' })
}

import { checkMaySpeak } from './chats.ts'
import { ActionError } from './errors.ts'
import { toFileName } from './files.ts'
import { mustBeAdmin, type Groups } from './groups.ts'
import type { Window } from './people-store.ts'
import type { Group, Member, Store, StoredFile } from './store.ts'

/** A file of a group, as long as a message of the group shows it. */
export interface GroupFile {
  readonly groupId: number
  readonly fileId: number
  /** Undefined in the root. */
  readonly folderId: number | undefined
  /** The message that has brought it. */
  readonly messageId: number
  readonly name: string
  readonly mime: string
  /** Bytes. */
  readonly size: number
  /** Who sent that message. */
  readonly uploaderId: number
  /** How often an address to fetch it was asked for. */
  readonly downloads: number
  readonly createdAt: number
}

/** Folders stand in the root, never in each other. */
export interface GroupFolder {
  readonly id: number
  readonly groupId: number
  readonly name: string
  readonly creatorId: number
  readonly fileCount: number
  readonly createdAt: number
  /** When it was last renamed, or the files in it changed. */
  readonly updatedAt: number
}

/** What a rule about the files of a group is decided on: the group, who acts, and what it is about. */
export interface GroupFilesState {
  readonly group: Group
  readonly actor: Member
  /** Those that the order names, if the group has them. */
  readonly file: GroupFile | undefined
  readonly folder: GroupFolder | undefined
  /** All that there are. */
  readonly folders: readonly GroupFolder[]
}

export type GroupFilesChange =
  | { readonly type: 'update-file'; readonly name: string; readonly folderId: number | undefined }
  /** No message of the group shows it any more; it goes when nothing else shows it. */
  | { readonly type: 'remove-file' }
  | { readonly type: 'add-folder'; readonly name: string }
  | { readonly type: 'rename-folder'; readonly name: string }
  /** With the files in it. */
  | { readonly type: 'remove-folder' }

export interface GroupFilesOrder {
  readonly groupId: number
  readonly actorId: number
  readonly fileId?: number | undefined
  readonly folderId?: number | undefined
  readonly time: number
  /** The rule; undefined: nothing to do. Throws to refuse. */
  readonly decide: (state: GroupFilesState) => GroupFilesChange | undefined
}

/** What the files of groups ask of a database; see `Store` for the manners of its methods. */
export interface GroupFileStore {
  /** By name. */
  readonly listGroupFolders: (groupId: number) => Promise<GroupFolder[]>
  /** Of the root when `folderId` is undefined; the latest first. */
  readonly listGroupFiles: (
    groupId: number,
    folderId: number | undefined,
    window: Window
  ) => Promise<{ files: GroupFile[]; total: number }>
  readonly findGroupFile: (groupId: number, fileId: number) => Promise<GroupFile | undefined>
  /** `not_found` when the actor is not in the group. Gives the number of a folder that it makes. */
  readonly changeGroupFiles: (order: GroupFilesOrder) => Promise<number | undefined>
  /** Whether a message of this chat, not recalled, shows it. */
  readonly isFileShownIn: (fileId: number, chatId: number) => Promise<boolean>
  readonly countDownload: (groupId: number, fileId: number) => Promise<void>
}

/** A folder as somebody names it; undefined is the root. */
export interface Place {
  readonly folderId: number | undefined
  /** The parameter that it stands in; errors name it. */
  readonly field: string
}

export interface FileUpdate {
  readonly name?: string | undefined
  /** Where it is now; anywhere when absent. */
  readonly from?: Place | undefined
  /** Where it goes; it stays when absent. */
  readonly to?: Place | undefined
}

/** The files that messages of a group have brought, and their folders. Every method throws `ActionError` to refuse; changing nothing is a success. */
export interface GroupFiles {
  /** For members. */
  readonly list: (
    accountId: number,
    groupId: number,
    place: Place,
    window: Window
  ) => Promise<{ files: GroupFile[]; folders: GroupFolder[]; total: number }>
  readonly get: (accountId: number, groupId: number, fileId: number) => Promise<GroupFile>
  readonly getFolder: (accountId: number, groupId: number, folderId: number) => Promise<GroupFolder>
  /** The file, if a message of the group shows it to the member; whoever asks fetches it. */
  readonly fetch: (accountId: number, groupId: number, fileId: number) => Promise<StoredFile>
  /** By the uploader, the owner and the admins. */
  readonly update: (actorId: number, groupId: number, fileId: number, update: FileUpdate) => Promise<void>
  /** By the same; the messages stay without it. */
  readonly remove: (actorId: number, groupId: number, fileId: number) => Promise<void>
  /** By the owner and the admins, as the next two are. */
  readonly addFolder: (actorId: number, groupId: number, name: string) => Promise<number>
  readonly renameFolder: (actorId: number, groupId: number, folderId: number, name: string) => Promise<void>
  /** With the files in it. */
  readonly removeFolder: (actorId: number, groupId: number, folderId: number) => Promise<void>
}

export interface GroupFilesOptions {
  readonly store: Store
  readonly groups: Pick<Groups, 'get'>
  /** Unix seconds. */
  readonly now: () => number
  /** Called when there may be bytes of which no file is left. */
  readonly tidy: () => void
}

/** As many as one group has. */
const MAX_FOLDERS = 100

export function createGroupFiles({ store, groups, now, tidy }: GroupFilesOptions): GroupFiles {
  const change = (order: Omit<GroupFilesOrder, 'time'>): Promise<number | undefined> =>
    store.changeGroupFiles({ ...order, time: now() })

  function changeFolder(
    actorId: number,
    groupId: number,
    folderId: number,
    decide: (folder: GroupFolder, state: GroupFilesState) => GroupFilesChange | undefined
  ): Promise<number | undefined> {
    return change({
      actorId,
      groupId,
      folderId,
      decide(state) {
        mustBeAdmin(state.actor, 'change folders')
        if (!state.folder) throw noFolder(folderId, 'folder_id')
        return decide(state.folder, state)
      }
    })
  }

  async function getFolder(accountId: number, groupId: number, folderId: number, field: string): Promise<GroupFolder> {
    await groups.get(accountId, groupId)
    const folder = (await store.listGroupFolders(groupId)).find(({ id }) => id === folderId)
    if (!folder) throw noFolder(folderId, field)
    return folder
  }

  return {
    async list(accountId, groupId, { folderId, field }, window) {
      await groups.get(accountId, groupId)
      if (folderId !== undefined) await getFolder(accountId, groupId, folderId, field)
      const folders = folderId === undefined ? await store.listGroupFolders(groupId) : []
      return { ...(await store.listGroupFiles(groupId, folderId, window)), folders }
    },

    async get(accountId, groupId, fileId) {
      await groups.get(accountId, groupId)
      const file = await store.findGroupFile(groupId, fileId)
      if (!file) throw noFile(fileId)
      return file
    },

    getFolder: (accountId, groupId, folderId) => getFolder(accountId, groupId, folderId, 'folder_id'),

    async fetch(accountId, groupId, fileId) {
      await groups.get(accountId, groupId)
      const file = (await store.isFileShownIn(fileId, groupId)) ? await store.findFile(fileId) : undefined
      if (!file) throw noFile(fileId)
      await store.countDownload(groupId, fileId)
      return file
    },

    async update(actorId, groupId, fileId, { name, from, to }) {
      const time = now()
      await change({
        actorId,
        groupId,
        fileId,
        folderId: to?.folderId,
        decide({ group, actor, file, folder }) {
          if (!file) throw noFile(fileId)
          if (from && from.folderId !== file.folderId)
            throw new ActionError('not_found', `file ${fileId} is not in this folder`, { field: from.field })
          if (to?.folderId !== undefined && !folder) throw noFolder(to.folderId, to.field)
          mustManage(actor, file, 'change')
          const next = {
            name: name === undefined ? file.name : toFileName(name),
            folderId: to ? to.folderId : file.folderId
          }
          // Who may not speak says nothing new by way of a name.
          if (next.name !== file.name) mustSpeak(group, actor, time)
          if (next.name === file.name && next.folderId === file.folderId) return undefined
          return { type: 'update-file', ...next }
        }
      })
    },

    async remove(actorId, groupId, fileId) {
      await change({
        actorId,
        groupId,
        fileId,
        decide({ actor, file }) {
          if (!file) throw noFile(fileId)
          mustManage(actor, file, 'delete')
          return { type: 'remove-file' }
        }
      })
      // Nobody waits for the disk: a folder may have held thousands of files.
      tidy()
    },

    async addFolder(actorId, groupId, given) {
      const name = toFolderName(given)
      const id = await change({
        actorId,
        groupId,
        decide({ actor, folders }) {
          mustBeAdmin(actor, 'make folders')
          mustBeFree(name, folders)
          if (folders.length >= MAX_FOLDERS)
            throw new ActionError('too_large', `a group has at most ${MAX_FOLDERS} folders`, { field: 'folder_name' })
          return { type: 'add-folder', name }
        }
      })
      if (id === undefined) throw new Error('the store made no folder')
      return id
    },

    async renameFolder(actorId, groupId, folderId, given) {
      const name = toFolderName(given)
      await changeFolder(actorId, groupId, folderId, (folder, { folders }) => {
        if (folder.name === name) return undefined
        mustBeFree(name, folders)
        return { type: 'rename-folder', name }
      })
    },

    async removeFolder(actorId, groupId, folderId) {
      await changeFolder(actorId, groupId, folderId, () => ({ type: 'remove-folder' }))
      tidy()
    }
  }
}

function mustManage(actor: Member, file: GroupFile, what: string): void {
  if (actor.accountId !== file.uploaderId) mustBeAdmin(actor, `${what} files of others`)
}

function mustSpeak({ isMuted, isChannel }: Group, { role, mutedUntil }: Member, time: number): void {
  const speaker = { kind: 'group', isPeerDisabled: false, isBlocked: false } as const
  checkMaySpeak({ ...speaker, role, mutedUntil, isGroupMuted: isMuted, isChannel }, time)
}

function mustBeFree(name: string, folders: readonly GroupFolder[]): void {
  if (folders.some((folder) => folder.name === name))
    throw new ActionError('conflict', `the group has a folder "${name}" already`, { field: 'folder_name' })
}

function toFolderName(given: string): string {
  const name = given.trim()
  if (name === '') throw new ActionError('invalid', 'folder_name: expected a name', { field: 'folder_name' })
  return name
}

function noFile(fileId: number): ActionError {
  return new ActionError('not_found', `there is no file ${fileId} in this group`, { field: 'file_id' })
}

export function noFolder(folderId: number | string, field: string): ActionError {
  return new ActionError('not_found', `${field}: there is no folder "${folderId}" in this group`, { field })
}

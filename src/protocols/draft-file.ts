import { Type } from '@sinclair/typebox'
import { Name, Text, Uin } from '../schema/common.ts'
import { ROOT_FOLDER, type GroupFileEntity, type GroupFolderEntity } from '../schema/file.ts'
import { draft, group, Id, same, type DraftAction } from './draft-action.ts'

const file = { ...group, file_id: Id }
const folder = { ...group, folder_id: Id }

/** The draft gives no name: it is the one of the address. */
const unnamed = { file_name: '' }
/** Nor does it say where a file is that is moved or renamed. */
const anywhere = { parent_folder_id: '*' }

/** The draft's chapter "file" (contract 1.6). */
export const draftFileActions: readonly DraftAction[] = [
  draft('upload_private_file', Type.Object({ user_id: Uin, file_uri: Text }), ({ user_id, file_uri }) => ({
    action: 'upload_private_file',
    params: { user_id, file_uri, ...unnamed }
  })),
  draft('upload_group_file', Type.Object({ ...group, file_uri: Text }), ({ group_id, file_uri }) => ({
    action: 'upload_group_file',
    params: { group_id, file_uri, ...unnamed }
  })),
  draft('get_private_file_download_url', Type.Object({ user_id: Uin, file_id: Id }), ({ user_id, file_id }) => ({
    action: 'get_private_file_download_url',
    params: { user_id, file_id, file_hash: '' }
  })),
  same('get_group_file_download_url', Type.Object(file)),
  same(
    'get_group_files',
    Type.Object({ ...group, parent_folder_id: Type.Optional(Id) }),
    ({ files, folders }: { files: GroupFileEntity[]; folders: GroupFolderEntity[] }) => ({
      files: files.map(toDraftFile),
      // In the singular, as the draft has it (contract 1.9).
      folder: folders.map(toDraftFolder)
    })
  ),
  draft('move_group_file', Type.Object({ ...file, target_folder_id: Type.Optional(Id) }), (params) => ({
    action: 'move_group_file',
    params: { ...params, ...anywhere }
  })),
  draft(
    'rename_group_file',
    Type.Object({ ...file, new_name: Type.String({ minLength: 1, description: 'expected the name of a file' }) }),
    ({ group_id, file_id, new_name }) => ({
      action: 'rename_group_file',
      params: { group_id, file_id, new_file_name: new_name, ...anywhere }
    })
  ),
  same('delete_group_file', Type.Object(file)),
  same('create_group_folder', Type.Object({ ...group, folder_name: Name(64) })),
  draft('rename_group_folder', Type.Object({ ...folder, new_name: Name(64) }), ({ group_id, folder_id, new_name }) => ({
    action: 'rename_group_folder',
    params: { group_id, folder_id, new_folder_name: new_name }
  })),
  same('delete_group_folder', Type.Object(folder))
]

/** What is in the root has no parent there, and `expire_time` has to be (contract 1.7); 0 is never. */
function toDraftFile({ parent_folder_id: parent, ...file }: GroupFileEntity) {
  return { ...file, ...(parent !== ROOT_FOLDER && { parent_folder_id: parent }), expire_time: 0 }
}

function toDraftFolder({ parent_folder_id: _, ...folder }: GroupFolderEntity) {
  return folder
}

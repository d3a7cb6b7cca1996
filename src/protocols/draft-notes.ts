import { Type } from '@sinclair/typebox'
import { ActionError } from '../core/errors.ts'
import { Int, Text, Uin } from '../schema/common.ts'
import { draft, group, same, type DraftAction } from './draft-action.ts'
import { parseMessageId } from './draft-shapes.ts'

/** A number in the parameters of the draft, a string in its struct (contract 1.9). */
const AnnouncementId = Type.Union([Type.String(), Int], { description: 'expected an announcement_id' })

/** What the draft's chapter "group" says of announcements and reactions (contract 1.6). */
export const draftNoteActions: readonly DraftAction[] = [
  draft('get_group_announcement_list', Type.Object(group), (params) => ({ action: 'get_group_announcements', params })),
  // Not marked as optional in the draft, but it can hardly mean that every announcement has a picture.
  same('send_group_announcement', Type.Object({ ...group, content: Text, image_uri: Type.Optional(Text) })),
  draft(
    'delete_group_announcement',
    Type.Object({ ...group, announcement_id: AnnouncementId }),
    ({ group_id, announcement_id }) => ({
      action: 'delete_group_announcement',
      params: { group_id, announcement_id: String(announcement_id) }
    })
  ),
  draft(
    'send_group_message_reaction',
    // The message says which group it is in; a group beside it has to be the same.
    Type.Object({ message_id: Text, reaction: Text, group_id: Type.Optional(Uin) }),
    ({ message_id, reaction, group_id }) => {
      const { scene, peerId, seq } = parseMessageId(message_id) ?? {}
      if (scene !== 'group' || (group_id !== undefined && group_id !== peerId))
        throw new ActionError('not_found', `there is no message "${message_id.slice(0, 64)}" in this group`, {
          field: 'message_id'
        })
      return { action: 'send_group_message_reaction', params: { group_id: peerId, message_seq: seq, reaction } }
    }
  )
]

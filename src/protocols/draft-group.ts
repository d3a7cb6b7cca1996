import { Type } from '@sinclair/typebox'
import { Bool, Int, Name, OptionalName, Text } from '../schema/common.ts'
import { draft, group, member, same, type DraftAction } from './draft-action.ts'

/** The draft's chapter "group" (contract 1.6). */
export const draftGroupActions: readonly DraftAction[] = [
  draft('set_group_name', Type.Object({ ...group, name: Name(64) }), ({ group_id, name }) => ({
    action: 'set_group_name',
    params: { group_id, new_group_name: name }
  })),
  same('set_group_avatar', Type.Object({ ...group, image_uri: Text })),
  same('set_group_member_card', Type.Object({ ...member, card: OptionalName(64) })),
  same('set_group_member_special_title', Type.Object({ ...member, special_title: OptionalName(32) })),
  same('set_group_member_admin', Type.Object({ ...member, is_set: Type.Optional(Bool) })),
  same('set_group_member_mute', Type.Object({ ...member, duration: Type.Optional(Int) })),
  same('set_group_whole_mute', Type.Object({ ...group, is_mute: Type.Optional(Bool) })),
  draft('kick_group_member', Type.Object({ ...member, reject_add_request: Type.Optional(Bool) }), (params) => ({
    action: 'kick_group_member',
    // The draft's default is the opposite of today's (contract 1.11).
    params: { reject_add_request: true, ...params }
  })),
  same('quit_group', Type.Object(group))
]

/** What neither dialect has an action for: coming into a group by oneself, and asking somebody to come. */
export const draftGroupExtensions: readonly DraftAction[] = [
  same('request_group_join', Type.Object({ ...group, comment: Type.Optional(Text) })),
  same('invite_to_group', Type.Object(member))
]

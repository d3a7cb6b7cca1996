import { Type } from '@sinclair/typebox'
import { defineAction, type ActionContext } from '../core/action.ts'
import { Bool, Name, Nothing, OptionalName, Text, Uin } from '../schema/common.ts'
import { withUploads } from './media.ts'

/** People change groups as often as they may say something; bots as often as their door lets them. */
function take({ caller, allowances }: Pick<ActionContext, 'caller' | 'allowances'>): void {
  if (caller.kind === 'person') allowances.take('send', caller.id)
}

const group = { group_id: Uin }
const member = { ...group, user_id: Uin }

/** The store keeps the end of a mute as a time, so a duration has an end too: ten years. */
const Duration = Type.Integer({ minimum: 0, maximum: 315_360_000, description: 'expected seconds from 0 to 315360000' })

export const setGroupName = defineAction({
  name: 'set_group_name',
  params: Type.Object({ ...group, new_group_name: Name(64) }),
  result: Nothing,
  async run({ caller, groups, allowances }, { group_id, new_group_name }) {
    take({ caller, allowances })
    await groups.rename(caller.id, group_id, new_group_name)
    return {}
  }
})

/** The picture is kept as a file of the caller's, which goes with the next picture. */
export const setGroupAvatar = defineAction({
  name: 'set_group_avatar',
  params: Type.Object({ ...group, image_uri: Text }),
  result: Nothing,
  async run(context, { group_id, image_uri }) {
    const { caller, groups, links, files } = context
    take(context)
    // Nothing is taken in for who may not know of the group.
    await groups.get(caller.id, group_id)
    await withUploads(context, async (keep) => {
      const { id: fileId, name } = await keep({ uri: image_uri, kind: 'image', field: 'image_uri' })
      await groups.setAvatar(caller.id, group_id, { url: links.lastingLinkOf({ fileId, name }), fileId })
    })
    await files.tidy()
    return {}
  }
})

export const setGroupMemberSpecialTitle = defineAction({
  name: 'set_group_member_special_title',
  params: Type.Object({ ...member, special_title: OptionalName(32) }),
  result: Nothing,
  async run({ caller, groups, allowances }, { group_id, user_id, special_title }) {
    take({ caller, allowances })
    await groups.setTitle(caller.id, group_id, user_id, special_title)
    return {}
  }
})

export const setGroupMemberCard = defineAction({
  name: 'set_group_member_card',
  params: Type.Object({ ...member, card: OptionalName(64) }),
  result: Nothing,
  async run({ caller, groups, allowances }, { group_id, user_id, card }) {
    take({ caller, allowances })
    await groups.setCard(caller.id, group_id, user_id, card)
    return {}
  }
})

export const setGroupMemberAdmin = defineAction({
  name: 'set_group_member_admin',
  params: Type.Object({ ...member, is_set: Type.Optional(Bool) }),
  result: Nothing,
  async run({ caller, groups, allowances }, { group_id, user_id, is_set = true }) {
    take({ caller, allowances })
    await groups.setAdmin(caller.id, group_id, user_id, is_set)
    return {}
  }
})

export const setGroupMemberMute = defineAction({
  name: 'set_group_member_mute',
  params: Type.Object({ ...member, duration: Type.Optional(Duration) }),
  result: Nothing,
  async run({ caller, groups, allowances }, { group_id, user_id, duration = 0 }) {
    take({ caller, allowances })
    await groups.mute(caller.id, group_id, user_id, duration)
    return {}
  }
})

export const setGroupWholeMute = defineAction({
  name: 'set_group_whole_mute',
  params: Type.Object({ ...group, is_mute: Type.Optional(Bool) }),
  result: Nothing,
  async run({ caller, groups, allowances }, { group_id, is_mute = true }) {
    take({ caller, allowances })
    await groups.muteAll(caller.id, group_id, is_mute)
    return {}
  }
})

export const kickGroupMember = defineAction({
  name: 'kick_group_member',
  params: Type.Object({ ...member, reject_add_request: Type.Optional(Bool) }),
  result: Nothing,
  async run({ caller, groups, allowances }, { group_id, user_id, reject_add_request = false }) {
    take({ caller, allowances })
    // To take no more requests of somebody is to ban them.
    await groups.kick(caller.id, group_id, user_id, reject_add_request)
    return {}
  }
})

export const quitGroup = defineAction({
  name: 'quit_group',
  params: Type.Object(group),
  result: Nothing,
  async run({ caller, groups, allowances }, { group_id }) {
    take({ caller, allowances })
    await groups.quit(caller.id, group_id)
    return {}
  }
})

import { Type } from '@sinclair/typebox'
import { defineAction, type ActionContext } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { Bool, Int, Name, Nothing, Text, Uin } from '../schema/common.ts'
import { findOwnPicture } from './media.ts'

// Chats and who is in them, where Milky has no word for it (IM-Suite 1.5).

/** At most so many are put into a group by one call. */
const MAX_ADDED = 100

const Description = Type.String({ maxLength: 1000, description: 'expected at most 1000 characters' })
const UserIds = Type.Array(Uin, {
  maxItems: MAX_ADDED,
  description: `expected a list of at most ${MAX_ADDED} ids of accounts`
})
const member = { chat_id: Uin, user_id: Uin }

/** A group of the caller's own; a channel is one in which only the owner and the admins speak. */
export const createChat = defineAction({
  name: 'create_chat',
  params: Type.Object({
    name: Name(64),
    description: Type.Optional(Description),
    is_channel: Type.Optional(Bool),
    user_ids: Type.Optional(UserIds)
  }),
  result: Type.Object({ chat_id: Uin }),
  async run({ caller, members, allowances }, { name, description, is_channel, user_ids = [] }) {
    allowances.take('send', caller.id)
    const group = { name: toName(name), description: description?.trim(), isChannel: is_channel, memberIds: user_ids }
    const { id } = await members.open(caller, group)
    return { chat_id: id }
  }
})

/** Finds the private chat, or makes it. */
export const openPrivateChat = defineAction({
  name: 'open_private_chat',
  params: Type.Object({ user_id: Uin }),
  result: Type.Object({ chat_id: Uin }),
  async run({ caller, chats, allowances }, { user_id }) {
    allowances.take('send', caller.id)
    return { chat_id: await chats.openPrivate(caller, user_id) }
  }
})

/** What is absent stays. */
export const updateChat = defineAction({
  name: 'update_chat',
  params: Type.Object({
    chat_id: Uin,
    name: Type.Optional(Name(64)),
    description: Type.Optional(Description),
    avatar_url: Type.Optional(Type.String({ maxLength: 2048, description: 'expected a link to one of your uploads' })),
    is_muted: Type.Optional(Bool)
  }),
  result: Nothing,
  async run(context, { chat_id, name, description, avatar_url, is_muted }) {
    const { caller, groups, allowances } = context
    allowances.take('send', caller.id)
    const newName = name === undefined ? undefined : toName(name)
    await groups.get(caller.id, chat_id)
    if (avatar_url !== undefined) await setPicture(context, chat_id, avatar_url)
    if (newName !== undefined) await groups.rename(caller.id, chat_id, newName)
    if (description !== undefined) await groups.describe(caller.id, chat_id, description.trim())
    if (is_muted !== undefined) await groups.muteAll(caller.id, chat_id, is_muted)
    return {}
  }
})

/** What showed the group before goes, with its bytes. */
async function setPicture(context: ActionContext, groupId: number, url: string): Promise<void> {
  const { caller, groups, links, files } = context
  const field = 'avatar_url'
  const fileId = links.findFileId(url)
  if (fileId === undefined)
    throw new ActionError('invalid', `${field}: expected a link to a picture that you have uploaded`, { field })
  const { name } = await findOwnPicture(context, fileId, field)
  await groups.setAvatar(caller.id, groupId, { url: links.lastingLinkOf({ fileId, name }), fileId })
  await files.tidy()
}

export const addChatMembers = defineAction({
  name: 'add_chat_members',
  params: Type.Object({ chat_id: Uin, user_ids: UserIds }),
  result: Type.Object({ user_ids: Type.Array(Uin) }),
  async run({ caller, members, allowances }, { chat_id, user_ids }) {
    if (user_ids.length === 0)
      throw new ActionError('invalid', 'user_ids: expected the id of an account', { field: 'user_ids' })
    allowances.take('send', caller.id)
    return { user_ids: [...(await members.add(caller, chat_id, user_ids))] }
  }
})

/** Removes a member, and keeps anybody out until the ban is lifted. */
export const banChatMember = defineAction({
  name: 'ban_chat_member',
  params: Type.Object(member),
  result: Nothing,
  async run({ caller, members, allowances }, { chat_id, user_id }) {
    allowances.take('send', caller.id)
    await members.ban(caller.id, chat_id, user_id)
    return {}
  }
})

export const unbanChatMember = defineAction({
  name: 'unban_chat_member',
  params: Type.Object(member),
  result: Nothing,
  async run({ caller, members, allowances }, { chat_id, user_id }) {
    allowances.take('send', caller.id)
    await members.unban(caller.id, chat_id, user_id)
    return {}
  }
})

/** The member owns the group from now on; the caller is an admin. */
export const handOverChat = defineAction({
  name: 'hand_over_chat',
  params: Type.Object(member),
  result: Nothing,
  async run({ caller, groups, allowances }, { chat_id, user_id }) {
    allowances.take('send', caller.id)
    await groups.handOver(caller.id, chat_id, user_id)
    return {}
  }
})

/** IM-Suite 1.5 `recall`: as deleting, by the sender, within two minutes. `reason` is nobody's news. */
export const takeBackChatMessage = defineAction({
  name: 'take_back_chat_message',
  params: Type.Object({ message_id: Int, reason: Type.Optional(Text) }),
  result: Type.Object({ message_id: Int }),
  async run({ caller, chats, allowances }, { message_id }) {
    allowances.take('send', caller.id)
    await chats.takeBack(caller.id, message_id)
    return { message_id }
  }
})

function toName(given: string): string {
  const name = given.trim()
  if (name === '') throw new ActionError('invalid', 'name: expected a name', { field: 'name' })
  return name
}

import { Type } from '@sinclair/typebox'
import { defineAction } from '../core/action.ts'
import { toReactionName } from '../core/reactions.ts'
import { Bool, Int, Nothing, Text, Uin } from '../schema/common.ts'

const ReactionType = Type.Union([Type.Literal('face'), Type.Literal('emoji')], {
  description: 'expected "face" or "emoji"'
})

export const sendGroupMessageReaction = defineAction({
  name: 'send_group_message_reaction',
  params: Type.Object({
    group_id: Uin,
    message_seq: Int,
    reaction: Text,
    reaction_type: Type.Optional(ReactionType),
    is_add: Type.Optional(Bool)
  }),
  result: Nothing,
  async run({ caller, groups, reactions }, { group_id, message_seq, reaction, reaction_type = 'face', is_add = true }) {
    const name = toReactionName(reaction_type, reaction)
    // Private chats share the numbers of groups; nobody may reach one by calling it a group.
    await groups.get(caller.id, group_id)
    await reactions[is_add ? 'add' : 'remove'](caller.id, group_id, message_seq, name)
    return {}
  }
})

/** In chats of either kind, by the id of the message, which is how people name it. */
export const reactInChat = defineAction({
  name: 'react_in_chat',
  params: Type.Object({ message_id: Int, reaction: Text, reaction_type: ReactionType, is_add: Bool }),
  result: Nothing,
  async run({ caller, chats, reactions, allowances }, { message_id, reaction, reaction_type, is_add }) {
    if (caller.kind === 'person') allowances.take('send', caller.id)
    const name = toReactionName(reaction_type, reaction)
    const { chatId, seq } = await chats.locate(caller.id, message_id)
    await reactions[is_add ? 'add' : 'remove'](caller.id, chatId, seq, name)
    return {}
  }
})

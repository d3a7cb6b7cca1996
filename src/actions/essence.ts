import { Type } from '@sinclair/typebox'
import { defineAction } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { Bool, Int, Nothing, Uin } from '../schema/common.ts'
import { GroupEssenceMessage, toEssenceMessage } from '../schema/note.ts'

/** Messages on one page. */
const MAX_PAGE = 50

export const getGroupEssenceMessages = defineAction({
  name: 'get_group_essence_messages',
  params: Type.Object({
    group_id: Uin,
    page_index: Int,
    page_size: Type.Integer({ minimum: 1, maximum: MAX_PAGE, description: `expected an integer from 1 to ${MAX_PAGE}` })
  }),
  result: Type.Object({ messages: Type.Array(GroupEssenceMessage), is_end: Type.Boolean() }),
  async run({ caller, essence, store, links }, { group_id, page_index, page_size: limit }) {
    const offset = page_index * limit
    const { entries, total } = await essence.list(caller.id, group_id, { offset, limit })
    const quoted = await store.readQuoted(entries.map(({ message }) => message))
    const view = { urlOf: links.absoluteLinkOf, isPrivate: false, quoted }
    return { messages: entries.map((entry) => toEssenceMessage(entry, view)), is_end: offset + limit >= total }
  }
})

export const setGroupEssenceMessage = defineAction({
  name: 'set_group_essence_message',
  params: Type.Object({ group_id: Uin, message_seq: Int, is_set: Type.Optional(Bool) }),
  result: Nothing,
  async run({ caller, essence }, { group_id, message_seq, is_set = true }) {
    await essence.set(caller.id, group_id, message_seq, is_set)
    return {}
  }
})

/** The same by the id of the message, which is how people name it. */
export const setChatEssence = defineAction({
  name: 'set_chat_essence',
  params: Type.Object({ message_id: Int, is_set: Bool }),
  result: Type.Object({ chat_id: Uin }),
  async run({ caller, chats, essence, allowances }, { message_id, is_set }) {
    allowances.take('send', caller.id)
    const { chatId, seq } = await chats.locate(caller.id, message_id)
    if ((await chats.getOwn(caller.id, chatId)).kind === 'private')
      throw new ActionError('invalid', 'message_id: only groups mark messages as worth keeping', {
        field: 'message_id'
      })
    await essence.set(caller.id, chatId, seq, is_set)
    return { chat_id: chatId }
  }
})

import { Type } from '@sinclair/typebox'
import { defineAction } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import type { DraftSegment } from '../core/segment.ts'
import { Int, Text, Uin } from '../schema/common.ts'

// Actions that Milky has no word for: what people ask for through IM-Suite.

/** IM-Suite 2.3 `message.send`. `receiver_id` finds or makes the private chat; `reply_to_id` is a global message id. */
export const sendChatMessage = defineAction({
  name: 'send_chat_message',
  params: Type.Object({
    chat_id: Type.Optional(Uin),
    receiver_id: Type.Optional(Uin),
    content: Text,
    message_type: Type.Optional(
      Type.Literal('text', { description: 'expected "text", the only type that can be sent yet' })
    ),
    reply_to_id: Type.Optional(Int),
    // Ignoring a wish for self-destruction would be a breach of trust, so these are refused until they work.
    ttl_seconds: Type.Optional(Type.Undefined({ description: 'messages that delete themselves are not supported' })),
    send_at: Type.Optional(Type.Undefined({ description: 'messages to be sent later are not supported' }))
  }),
  result: Type.Object({ message_id: Int, chat_id: Uin, seq: Int, created_at: Int }),
  async run({ caller, chats }, { chat_id, receiver_id, content, reply_to_id }) {
    const text = content.trim()
    if (text === '') throw new ActionError('invalid', 'content: expected some text', { field: 'content' })
    const chatId = chat_id ?? (receiver_id === undefined ? undefined : await chats.openPrivate(caller, receiver_id))
    if (chatId === undefined)
      throw new ActionError('invalid', 'chat_id: expected the id of a chat, it is missing', { field: 'chat_id' })
    const segments: DraftSegment[] = [{ type: 'text', text }]
    if (reply_to_id !== undefined) segments.unshift({ type: 'reply', messageId: reply_to_id })
    const message = await chats.send({ chatId, sender: caller, segments })
    return { message_id: message.id, chat_id: chatId, seq: message.seq, created_at: message.time }
  }
})

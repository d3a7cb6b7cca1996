import { Type } from '@sinclair/typebox'
import { defineAction } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import type { DraftSegment } from '../core/segment.ts'
import { Int, Nothing, Text, Uin } from '../schema/common.ts'
import { findMedia } from './media.ts'

// Actions that Milky has no word for: what people ask for through IM-Suite.

const FileId = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'expected the id of a file'
})
const ClientMessageId = Type.String({ minLength: 1, maxLength: 64, description: 'expected 1 to 64 characters' })

const MessageType = Type.Union(
  [
    Type.Literal('text'),
    Type.Literal('image'),
    Type.Literal('video'),
    Type.Literal('audio'),
    Type.Literal('voice'),
    Type.Literal('file'),
    Type.Literal('sticker'),
    Type.Literal('gif')
  ],
  { description: 'expected text, image, video, audio, voice, file, sticker or gif' }
)

/** IM-Suite 2.3 `message.send`. `receiver_id` finds or makes the private chat; `reply_to_id` is a global message id. */
export const sendChatMessage = defineAction({
  name: 'send_chat_message',
  params: Type.Object({
    chat_id: Type.Optional(Uin),
    receiver_id: Type.Optional(Uin),
    content: Type.Optional(Text),
    message_type: Type.Optional(MessageType),
    file_id: Type.Optional(FileId),
    file_url: Type.Optional(Type.String({ maxLength: 2048, description: 'expected an address' })),
    file_name: Type.Optional(Text),
    file_size: Type.Optional(Int),
    mime_type: Type.Optional(
      Type.String({ maxLength: 255, pattern: '^([\\w.+-]+/[\\w.+-]+(;.*)?)?$', description: 'expected a media type' })
    ),
    reply_to_id: Type.Optional(Int),
    client_msg_id: Type.Optional(ClientMessageId),
    // What some clients call it.
    random_id: Type.Optional(Type.Union([ClientMessageId, Int])),
    // Ignoring a wish for self-destruction would be a breach of trust, so these are refused until they work.
    ttl_seconds: Type.Optional(Type.Undefined({ description: 'messages that delete themselves are not supported' })),
    send_at: Type.Optional(Type.Undefined({ description: 'messages to be sent later are not supported' }))
  }),
  result: Type.Object({ message_id: Int, chat_id: Uin, seq: Int, created_at: Int, duplicate: Type.Boolean() }),
  async run(context, { chat_id, receiver_id, content = '', reply_to_id, client_msg_id, random_id, ...choice }) {
    const { caller, chats, allowances } = context
    const text = content.trim()
    const media = await findMedia(context, choice)
    if (text === '' && !media) throw new ActionError('invalid', 'content: expected some text', { field: 'content' })
    allowances.take('send', caller.id)
    const chatId = chat_id ?? (receiver_id === undefined ? undefined : await chats.openPrivate(caller, receiver_id))
    if (chatId === undefined)
      throw new ActionError('invalid', 'chat_id: expected the id of a chat, it is missing', { field: 'chat_id' })
    const segments: DraftSegment[] = []
    if (reply_to_id !== undefined) segments.push({ type: 'reply', messageId: reply_to_id })
    if (media) segments.push(media)
    if (text !== '') segments.push({ type: 'text', text })
    allowances.take('chat', chatId)
    const clientId = client_msg_id ?? (random_id === undefined ? undefined : String(random_id))
    const { message, isDuplicate } = await chats.send({ chatId, sender: caller, segments, clientId })
    return {
      message_id: message.id,
      chat_id: chatId,
      seq: message.seq,
      created_at: message.time,
      duplicate: isDuplicate
    }
  }
})

const MessageId = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'expected the id of a message'
})

/** IM-Suite 2.3 `message.edit`: by the sender; what was sent beside the words stays. */
export const editChatMessage = defineAction({
  name: 'edit_chat_message',
  params: Type.Object({ message_id: MessageId, content: Text, expected_rev: Type.Optional(Int) }),
  result: Type.Object({ message_id: Int, chat_id: Uin, seq: Int, rev: Int, updated_at: Int }),
  async run({ caller, chats, allowances }, { message_id, content, expected_rev }) {
    allowances.take('send', caller.id)
    const message = await chats.edit({
      editor: caller,
      messageId: message_id,
      text: content.trim(),
      expectedRev: expected_rev
    })
    const { chatId, seq, rev = 0, editedAt } = message
    return { message_id, chat_id: chatId, seq, rev, updated_at: editedAt ?? message.time }
  }
})

/** IM-Suite 2.3 `message.delete`: by the sender, or by the owner and the admins of a group. Again is no mistake. */
export const deleteChatMessage = defineAction({
  name: 'delete_chat_message',
  params: Type.Object({ message_id: MessageId }),
  result: Type.Object({ message_id: Int, chat_id: Uin, seq: Int }),
  async run({ caller, chats, allowances }, { message_id }) {
    if (caller.kind === 'person') allowances.take('send', caller.id)
    const { chatId, seq } = await chats.locate(caller.id, message_id)
    await chats.recall(caller.id, chatId, seq)
    return { message_id, chat_id: chatId, seq }
  }
})

/** IM-Suite 2.3 `message.read`: this message and everything before it. */
export const readChatMessage = defineAction({
  name: 'read_chat_message',
  params: Type.Object({ message_id: MessageId }),
  result: Nothing,
  async run({ caller, deviceId, receipts, allowances }, { message_id }) {
    allowances.take('read', caller.id)
    await receipts.mark(caller.id, message_id, deviceId)
    return {}
  }
})

/** IM-Suite 2.15 `message.delivered`, of the extension profile. */
export const confirmChatMessage = defineAction({
  name: 'confirm_chat_message',
  params: Type.Object({ message_id: MessageId }),
  result: Nothing,
  async run({ caller, receipts, allowances }, { message_id }) {
    allowances.take('read', caller.id)
    await receipts.deliver(caller.id, message_id)
    return {}
  }
})

import type { ChatRef } from '../core/event.ts'
import type { ShownMessage } from '../core/history.ts'
import type { LinkOf } from '../core/links.ts'
import type { ChatDetail } from '../core/people-store.ts'
import { toPlainText, type ForwardSegment, type ForwardedMessage } from '../core/segment.ts'
import type { ChatSummary, Revision } from '../core/store.ts'
import { toChat, toMessage, toTimestamp, toUser } from './imsuite.ts'

// Messages and chats in the REST answers of people (IM-Suite contract 1.5).

/** The document's message with what only REST tells: who said it, and how far a message of one's own has come. */
export function toShownMessage({ message, sender, status }: ShownMessage, linkOf: LinkOf) {
  const { rev = 0, editedAt = message.time, clientId } = message
  return {
    ...toMessage(message, linkOf),
    is_edited: rev > 0,
    edit_count: rev,
    is_deleted: false,
    updated_at: toTimestamp(editedAt),
    // Whose own message it is has chosen the name.
    ...(status !== undefined && { status, ...(clientId !== undefined && { client_msg_id: clientId }) }),
    sender: toUser(sender)
  }
}

/** What a message said before its edit number `rev + 1`. */
export function toRevision({ rev, segments, time }: Revision) {
  return { rev, content: toPlainText(segments), created_at: toTimestamp(time) }
}

/** What was passed on together. Forwards within it are told with their words only. */
export function toForward(
  { forwardId, title, summary }: ForwardSegment,
  messages: readonly ForwardedMessage[],
  linkOf: LinkOf
) {
  return {
    id: forwardId,
    title,
    summary,
    messages: messages.map(({ accountId, name, avatarUrl, time, segments }) => {
      const file = segments.find((segment) => segment.type === 'media')?.file
      return {
        sender: { id: accountId, nickname: name, avatar_url: avatarUrl },
        content: toPlainText(segments),
        ...(file && { file_url: linkOf(file), file_name: file.name, mime_type: file.mime, file_size: file.size }),
        created_at: toTimestamp(time)
      }
    })
  }
}

/** A chat in a list. `lastMessage` is absent when nothing was said, or nothing is left of it. */
export function toListedChat(
  { chat, unreadCount, isPinned, createdAt, updatedAt }: ChatSummary,
  viewerId: number,
  lastMessage: object | undefined
) {
  const peer = peerOf(chat, viewerId)
  return {
    ...toChat(chat, viewerId),
    avatar_url: (chat.kind === 'group' ? chat.avatarUrl : peer?.avatarUrl) ?? '',
    ...(peer && { peer: toUser(peer) }),
    unread_count: unreadCount,
    is_pinned: isPinned,
    last_message: lastMessage ?? null,
    created_at: toTimestamp(createdAt),
    updated_at: toTimestamp(updatedAt)
  }
}

/** A chat on its own page. */
export function toChatDetail(detail: ChatDetail, viewerId: number, lastMessage: object | undefined) {
  const { description, memberCount, ownerId, isMuted, role } = detail
  return {
    ...toListedChat(detail, viewerId, lastMessage),
    description,
    member_count: memberCount,
    ...(ownerId !== undefined && { owner_id: ownerId }),
    is_muted: isMuted,
    role
  }
}

/** A chat as the dialog list of contract 1.5 has it; times there are Unix seconds. */
export function toDialog(
  { chat, lastMessage, unreadCount, isPinned, updatedAt }: ChatSummary,
  viewerId: number,
  isMuted: boolean
) {
  const peer = peerOf(chat, viewerId)
  return {
    peer_id: peer?.id ?? chat.id,
    peer_type: peer ? 'user' : 'group',
    chat_id: chat.id,
    top_message_id: lastMessage?.id ?? 0,
    unread_count: unreadCount,
    pinned: isPinned,
    muted: isMuted,
    last_message_date: lastMessage?.time ?? updatedAt
  }
}

/** The other side of a private chat. */
export function peerOf(chat: ChatRef, viewerId: number) {
  if (chat.kind === 'group') return undefined
  const [low, high] = chat.parties
  return low.id === viewerId ? high : low
}

import { Type, type Static } from '@sinclair/typebox'
import type { LinkOf } from '../core/links.ts'
import type { Announcement, EssenceEntry } from '../core/note-store.ts'
import { Int, Uin } from './common.ts'
import { IncomingSegment, toIncomingSegment, type SegmentView } from './segment.ts'

// Milky 1.2 §2.8: what is noted on a group, and which of its messages are worth keeping.

export const GroupAnnouncementEntity = Type.Object({
  group_id: Uin,
  announcement_id: Type.String(),
  user_id: Uin,
  time: Int,
  content: Type.String(),
  image_url: Type.Optional(Type.String())
})
export type GroupAnnouncementEntity = Static<typeof GroupAnnouncementEntity>

/** `urlOf` gives an address with scheme and host, which is made anew each time. */
export function toAnnouncementEntity(announcement: Announcement, urlOf: LinkOf): GroupAnnouncementEntity {
  const { id, groupId, sender, content, file, createdAt } = announcement
  return {
    group_id: groupId,
    announcement_id: String(id),
    user_id: sender.id,
    time: createdAt,
    content,
    ...(file && { image_url: urlOf(file) })
  }
}

export const GroupEssenceMessage = Type.Object({
  group_id: Uin,
  message_seq: Int,
  message_time: Int,
  sender_id: Uin,
  sender_name: Type.String(),
  operator_id: Uin,
  operator_name: Type.String(),
  operation_time: Int,
  segments: Type.Array(IncomingSegment)
})
export type GroupEssenceMessage = Static<typeof GroupEssenceMessage>

export function toEssenceMessage(entry: EssenceEntry, view: SegmentView): GroupEssenceMessage {
  const { message, senderName, operatorId, operatorName, time } = entry
  return {
    group_id: message.chatId,
    message_seq: message.seq,
    message_time: message.time,
    sender_id: message.senderId,
    sender_name: senderName,
    operator_id: operatorId,
    operator_name: operatorName,
    operation_time: time,
    segments: message.segments.map((segment) => toIncomingSegment(segment, view))
  }
}

import { Type, type Static } from '@sinclair/typebox'
import type { Message } from '../core/store.ts'
import { Int, Uin } from './common.ts'
import { FriendEntity, GroupEntity, GroupMemberEntity } from './entity.ts'
import { IncomingSegment, toIncomingSegment, type SegmentView } from './segment.ts'

const common = {
  peer_id: Uin,
  message_seq: Int,
  sender_id: Uin,
  time: Int,
  segments: Type.Array(IncomingSegment)
}

/** Milky 1.2 §2.8. Every private chat is told as scene `friend`; `temp` is accepted where a scene is asked for, never sent. */
export const IncomingMessage = Type.Union([
  Type.Object({ message_scene: Type.Literal('friend'), ...common, friend: FriendEntity }),
  Type.Object({ message_scene: Type.Literal('group'), ...common, group: GroupEntity, group_member: GroupMemberEntity })
])
export type IncomingMessage = Static<typeof IncomingMessage>

/** What all scenes have in common; `peerId` is the group, or the other side of a private chat. */
export function toMessageFields(message: Message, peerId: number, view: SegmentView) {
  return {
    peer_id: peerId,
    message_seq: message.seq,
    sender_id: message.senderId,
    time: message.time,
    segments: message.segments.map((segment) => toIncomingSegment(segment, view))
  }
}

import { Type, type Static } from '@sinclair/typebox'
import type { ChatRef } from '../core/event.ts'
import type { GroupEntity, GroupMemberEntity, FriendEntity } from '../schema/entity.ts'
import type { IncomingMessage } from '../schema/message.ts'
import { OutgoingMedia, type IncomingSegment, type OutgoingSegment } from '../schema/segment.ts'
import { SegmentOf, Text, Uin, Int } from '../schema/common.ts'

// The draft's structs (draft "structs", contract 1.7) from and to those of Milky 1.2 (contract 1.11).

/** The draft types it int64 in a segment and string everywhere else; both are accepted (contract 1.5, 1.9). */
const ReplyTarget = Type.Union([Type.String(), Int], { description: 'expected a message_id string or a message seq' })

export const DraftOutgoingSegment = Type.Union(
  [
    SegmentOf('text', Type.Object({ text: Text })),
    SegmentOf('at', Type.Object({ user_id: Uin })),
    SegmentOf('face', Type.Object({ face_id: Text })),
    SegmentOf('reply', Type.Object({ message_id: ReplyTarget })),
    ...OutgoingMedia
  ],
  {
    description: 'expected a segment {type, data} with type text, at, face, reply, image, record or video and its data'
  }
)
export type DraftOutgoingSegment = Static<typeof DraftOutgoingSegment>

export type Scene = 'friend' | 'group' | 'temp'

export interface MessageAddress {
  readonly scene: Scene
  readonly peerId: number
  readonly seq: number
}

const PREFIX = { friend: 'Private', group: 'Group', temp: 'Temp' } as const
const MESSAGE_ID = /^(Private|Group|Temp):([1-9]\d{0,15}):([1-9]\d{0,15})$/

/** `Private:{peer}:{seq}`, `Group:{group}:{seq}` (contract 1.5). */
export function toMessageId({ scene, peerId, seq }: MessageAddress): string {
  return `${PREFIX[scene]}:${peerId}:${seq}`
}

/** Undefined for anything that `toMessageId` cannot have made. */
export function parseMessageId(text: string): MessageAddress | undefined {
  const [, prefix, peer, seq] = MESSAGE_ID.exec(text) ?? []
  if (!prefix) return undefined
  const scene = prefix === 'Private' ? 'friend' : prefix === 'Group' ? 'group' : 'temp'
  return { scene, peerId: Number(peer), seq: Number(seq) }
}

/** Where a chat is, as this viewer would name it. */
export function addressOf(chat: ChatRef, viewerId: number): { scene: 'friend' | 'group'; peerId: number } {
  if (chat.kind === 'group') return { scene: 'group', peerId: chat.id }
  const [low, high] = chat.parties
  return { scene: 'friend', peerId: low.id === viewerId ? high.id : low.id }
}

/** Undefined when a reply names a message that cannot exist in this conversation. */
export function toOutgoingSegment(
  segment: DraftOutgoingSegment,
  scene: Scene,
  peerId: number
): OutgoingSegment | undefined {
  if (segment.type === 'at') return { type: 'mention', data: { user_id: segment.data.user_id } }
  if (segment.type !== 'reply') return segment
  const { message_id: target } = segment.data
  if (typeof target === 'number') return { type: 'reply', data: { message_seq: target } }
  const address = parseMessageId(target)
  const isHere = address && (address.scene === 'group') === (scene === 'group') && address.peerId === peerId
  return isHere ? { type: 'reply', data: { message_seq: address.seq } } : undefined
}

/** `address` is where the message was said: quoted messages are in the same conversation. */
export function toDraftIncomingSegment(segment: IncomingSegment, address: { scene: Scene; peerId: number }) {
  if (segment.type === 'mention') return { type: 'at', data: { user_id: segment.data.user_id } }
  // The draft has no form for it (contract 1.11).
  if (segment.type === 'mention_all') return { type: 'text', data: { text: '@all' } }
  if (segment.type === 'face') return { type: 'face', data: { face_id: segment.data.face_id } }
  if (segment.type === 'reply')
    return { type: 'reply', data: { message_id: toMessageId({ ...address, seq: segment.data.message_seq }) } }
  if (segment.type === 'image') {
    const { resource_id, summary, sub_type } = segment.data
    return { type: 'image', data: { resource_id, summary, sub_type } }
  }
  if (segment.type === 'video') return { type: 'video', data: { resource_id: segment.data.resource_id } }
  return segment
}

export function toDraftMessage(message: IncomingMessage) {
  const address = { scene: message.message_scene, peerId: message.peer_id }
  return {
    message_id: toMessageId({ ...address, seq: message.message_seq }),
    time: message.time,
    user_id: message.sender_id,
    segments: message.segments.map((segment) => toDraftIncomingSegment(segment, address)),
    ...(address.scene === 'group' ? { message_type: 'group', group_id: address.peerId } : { message_type: 'private' })
  }
}

export function toDraftFriend({ user_id, nickname, qid, remark, category }: FriendEntity) {
  return { user_id, ...(qid && { qid }), nickname, remark, category }
}

export function toDraftGroup({ group_id, group_name, member_count, max_member_count }: GroupEntity) {
  return { group_id, name: group_name, member_count, max_member_count }
}

export function toDraftMember({ title, shut_up_end_time: _, ...member }: GroupMemberEntity) {
  return { ...member, ...(title && { title }) }
}

import { Type, type Static } from '@sinclair/typebox'
import { ActionError } from '../core/errors.ts'
import type { ChatRef } from '../core/event.ts'
import type { GroupEntity, GroupMemberEntity, FriendEntity } from '../schema/entity.ts'
import type { IncomingMessage } from '../schema/message.ts'
import type { Segment } from '../core/segment.ts'
import {
  FaceId,
  ForwardOf,
  OutgoingMedia,
  SenderName,
  toIncomingSegment,
  type IncomingSegment,
  type OutgoingSegment
} from '../schema/segment.ts'
import { SegmentOf, Text, Uin, Int } from '../schema/common.ts'

// The draft's structs (draft "structs", contract 1.7) from and to those of Milky 1.2 (contract 1.11).

/** The draft types it int64 in a segment and string everywhere else; both are accepted (contract 1.5, 1.9). */
const ReplyTarget = Type.Union([Type.String(), Int], { description: 'expected a message_id string or a message seq' })

export const DraftOutgoingSegment = Type.Recursive(
  (Self) =>
    Type.Union(
      [
        SegmentOf('text', Type.Object({ text: Text })),
        SegmentOf('at', Type.Object({ user_id: Uin })),
        SegmentOf('face', Type.Object({ face_id: FaceId })),
        SegmentOf('reply', Type.Object({ message_id: ReplyTarget })),
        ...OutgoingMedia,
        SegmentOf('forward', ForwardOf(Type.Object({ user_id: Uin, name: SenderName, segments: Type.Array(Self) })))
      ],
      {
        description:
          'expected a segment {type, data} with type text, at, face, reply, image, record, video or forward and its data'
      }
    ),
  { $id: 'DraftOutgoingSegment' }
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

/** Throws `not_found` when a reply names a message that cannot exist in this conversation. */
export function toOutgoingSegment(segment: DraftOutgoingSegment, scene: Scene, peerId: number): OutgoingSegment {
  switch (segment.type) {
    case 'at':
      return { type: 'mention', data: { user_id: segment.data.user_id } }
    case 'forward': {
      const messages = segment.data.messages.map(({ user_id, name, segments }) => ({
        user_id,
        sender_name: name,
        segments: segments.map((inner) => toOutgoingSegment(inner, scene, peerId))
      }))
      return { type: 'forward', data: { ...segment.data, messages } }
    }
    case 'reply':
      return { type: 'reply', data: { message_seq: toSeq(segment.data.message_id, scene, peerId) } }
    default:
      return segment
  }
}

function toSeq(target: string | number, scene: Scene, peerId: number): number {
  if (typeof target === 'number') return target
  const address = parseMessageId(target)
  const isHere = address && (address.scene === 'group') === (scene === 'group') && address.peerId === peerId
  if (!isHere)
    throw new ActionError('not_found', 'the message to reply to is not in this conversation', { field: 'message' })
  return address.seq
}

/** A segment as the draft tells it; undefined for files, of which other events tell (contract 1.11). `address` is where the message was said. */
export function toDraftIncomingSegment(
  segment: IncomingSegment,
  address: { scene: Scene; peerId: number }
): { readonly type: string; readonly data: object } | undefined {
  switch (segment.type) {
    case 'mention':
      return { type: 'at', data: { user_id: segment.data.user_id } }
    // The draft has no form for it (contract 1.11).
    case 'mention_all':
      return { type: 'text', data: { text: '@all' } }
    case 'face':
      return { type: 'face', data: { face_id: segment.data.face_id } }
    case 'reply':
      return { type: 'reply', data: { message_id: toMessageId({ ...address, seq: segment.data.message_seq }) } }
    case 'image': {
      const { resource_id, summary, sub_type } = segment.data
      return { type: 'image', data: { resource_id, summary, sub_type } }
    }
    case 'record': {
      const { resource_id, duration } = segment.data
      return { type: 'record', data: { resource_id, duration } }
    }
    case 'video':
      return { type: 'video', data: { resource_id: segment.data.resource_id } }
    case 'forward':
      return { type: 'forward', data: { forward_id: segment.data.forward_id } }
    case 'file':
      return undefined
    default:
      return segment
  }
}

/** The draft shows no addresses and no quoted words, so nothing has to be known of them. */
const PLAIN = { urlOf: () => '', isPrivate: false }

export function toDraftIncomingSegments(
  segments: readonly Segment[],
  address: { scene: Scene; peerId: number }
): object[] {
  return segments.flatMap((segment) => toDraftIncomingSegment(toIncomingSegment(segment, PLAIN), address) ?? [])
}

export function toDraftMessage(message: IncomingMessage) {
  const address = { scene: message.message_scene, peerId: message.peer_id }
  return {
    message_id: toMessageId({ ...address, seq: message.message_seq }),
    time: message.time,
    user_id: message.sender_id,
    segments: message.segments.flatMap((segment) => toDraftIncomingSegment(segment, address) ?? []),
    ...(address.scene === 'group' ? { message_type: 'group', group_id: address.peerId } : { message_type: 'private' })
  }
}

/** A message that was passed on, as `get_forward` gives it. */
export interface ForwardedShape {
  readonly user_id: number
  readonly message_seq: number
  readonly sender_name: string
  readonly time: number
  readonly segments: readonly IncomingSegment[]
}

/** The draft shows it as a message; there is no conversation in which its `message_id` could be asked for (contract 1.9). */
export function toDraftForwarded(forwardId: string, message: ForwardedShape) {
  const { user_id, message_seq, sender_name: name, time, segments } = message
  const nowhere = { scene: 'friend', peerId: user_id } as const
  return {
    message_id: `Forward:${forwardId}:${message_seq}`,
    time,
    user_id,
    name,
    segments: segments.flatMap((segment) => toDraftIncomingSegment(segment, nowhere) ?? []),
    message_type: 'private'
  }
}

/** What a `request_id` means: the draft has one number for everything that can be accepted or rejected. */
export type RequestAddress =
  | { readonly kind: 'Friend'; readonly initiatorId: number }
  | { readonly kind: 'Join' | 'InvitedJoin' | 'Invitation'; readonly groupId: number; readonly seq: number }

export function toRequestId(address: RequestAddress): string {
  if (address.kind === 'Friend') return `Friend:${address.initiatorId}`
  return `${address.kind}:${address.groupId}:${address.seq}`
}

const REQUEST_ID = /^(?:(Friend):([1-9]\d{0,15})|(Join|InvitedJoin|Invitation):([1-9]\d{0,15}):([1-9]\d{0,15}))$/

/** Undefined for anything that `toRequestId` cannot have made. */
export function parseRequestId(text: string): RequestAddress | undefined {
  const [, friend, initiator, kind, group, seq] = REQUEST_ID.exec(text) ?? []
  if (friend) return { kind: 'Friend', initiatorId: Number(initiator) }
  if (!kind) return undefined
  return { kind: kind as 'Join' | 'InvitedJoin' | 'Invitation', groupId: Number(group), seq: Number(seq) }
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

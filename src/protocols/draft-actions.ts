import { Type, type Static, type TObject } from '@sinclair/typebox'
import type { FriendEntity, GroupEntity, GroupMemberEntity } from '../schema/entity.ts'
import type { IncomingMessage } from '../schema/message.ts'
import type { OutgoingSegment } from '../schema/segment.ts'
import { ActionError } from '../core/errors.ts'
import { Bool, Int, Name, OptionalName, Uin } from '../schema/common.ts'
import {
  DraftOutgoingSegment,
  parseMessageId,
  toDraftFriend,
  toDraftGroup,
  toDraftMember,
  toDraftMessage,
  toMessageId,
  toOutgoingSegment,
  type MessageAddress,
  type Scene
} from './draft-shapes.ts'

/** One action of the draft: what it takes, and which action of Milky 1.2 with which parameters it means. */
export interface DraftAction {
  readonly name: string
  readonly params: TObject
  readonly toCall: (params: never) => Call
}

export interface Call {
  readonly action: string
  readonly params: object
  /** The answer in the draft's words; absent when it is the same. */
  readonly toData?: ((data: never) => object) | undefined
}

function draft<P extends TObject>(name: string, params: P, toCall: (params: Static<P>) => Call): DraftAction {
  return { name, params, toCall }
}

/** For actions that differ in nothing, or in the answer only. */
function same<P extends TObject>(name: string, params: P, toData?: (data: never) => object): DraftAction {
  return draft(name, params, (given) => ({ action: name, params: given, toData }))
}

const noCache = { no_cache: Type.Optional(Bool) }
const group = { group_id: Uin }
const member = { ...group, user_id: Uin }
const Message = Type.Array(DraftOutgoingSegment)
const MessageId = Type.String({ description: 'expected a message_id string' })
const history = { start_message_id: Type.Optional(MessageId), limit: Type.Optional(Int) }

/** What the draft has no action for (docs/milky.md, "Extensions"). */
export const draftExtensions: readonly DraftAction[] = [
  draft(
    'set_typing',
    Type.Object({ user_id: Type.Optional(Uin), group_id: Type.Optional(Uin), is_typing: Type.Optional(Bool) }),
    (params) => {
      if (params.user_id === undefined && params.group_id === undefined)
        throw new ActionError('invalid', 'user_id: expected the id of an account, or a group_id', { field: 'user_id' })
      return { action: 'set_typing', params }
    }
  )
]

/** The draft's chapters "system", "message" and "group" (contract 1.6), as far as they work. */
export const draftActions: readonly DraftAction[] = [
  same('get_login_info', Type.Object({})),
  same('get_friend_list', Type.Object(noCache), ({ friends }: { friends: FriendEntity[] }) => ({
    friends: friends.map(toDraftFriend)
  })),
  same('get_friend_info', Type.Object({ user_id: Uin, ...noCache }), ({ friend }: { friend: FriendEntity }) =>
    toDraftFriend(friend)
  ),
  same('get_group_list', Type.Object(noCache), ({ groups }: { groups: GroupEntity[] }) => ({
    groups: groups.map(toDraftGroup)
  })),
  same('get_group_info', Type.Object({ ...group, ...noCache }), ({ group: found }: { group: GroupEntity }) =>
    toDraftGroup(found)
  ),
  same(
    'get_group_member_list',
    Type.Object({ ...group, ...noCache }),
    ({ members }: { members: GroupMemberEntity[] }) => ({
      members: members.map(toDraftMember)
    })
  ),
  same(
    'get_group_member_info',
    Type.Object({ ...member, ...noCache }),
    ({ member: found }: { member: GroupMemberEntity }) => toDraftMember(found)
  ),

  draft('send_private_message', Type.Object({ user_id: Uin, message: Message }), ({ user_id, message }) =>
    send('send_private_message', { user_id }, 'friend', user_id, message)
  ),
  draft('send_group_message', Type.Object({ ...group, message: Message }), ({ group_id, message }) =>
    send('send_group_message', { group_id }, 'group', group_id, message)
  ),
  draft('get_message', Type.Object({ message_id: MessageId }), ({ message_id }) => {
    const { scene, peerId, seq } = mustParse(message_id)
    return {
      action: 'get_message',
      params: { message_scene: scene, peer_id: peerId, message_seq: seq },
      toData: ({ message }: { message: IncomingMessage }) => ({ message: toDraftMessage(message) })
    }
  }),
  draft('get_history_private_message', Type.Object({ user_id: Uin, ...history }), ({ user_id, ...page }) =>
    readHistory('friend', user_id, page)
  ),
  draft('get_history_group_message', Type.Object({ ...group, ...history }), ({ group_id, ...page }) =>
    readHistory('group', group_id, page)
  ),
  same('get_resource_temp_url', Type.Object({ resource_id: Type.String({ description: 'expected a string' }) })),
  draft('recall_message', Type.Object({ message_id: MessageId }), ({ message_id }) => {
    const { scene, peerId, seq } = mustParse(message_id)
    if (scene === 'group') return { action: 'recall_group_message', params: { group_id: peerId, message_seq: seq } }
    return { action: 'recall_private_message', params: { user_id: peerId, message_seq: seq } }
  }),

  draft('set_group_name', Type.Object({ ...group, name: Name(64) }), ({ group_id, name }) => ({
    action: 'set_group_name',
    params: { group_id, new_group_name: name }
  })),
  same('set_group_member_card', Type.Object({ ...member, card: OptionalName(64) })),
  same('set_group_member_admin', Type.Object({ ...member, is_set: Type.Optional(Bool) })),
  same('set_group_member_mute', Type.Object({ ...member, duration: Type.Optional(Int) })),
  same('set_group_whole_mute', Type.Object({ ...group, is_mute: Type.Optional(Bool) })),
  draft('kick_group_member', Type.Object({ ...member, reject_add_request: Type.Optional(Bool) }), (params) => ({
    action: 'kick_group_member',
    // The draft's default is the opposite of today's (contract 1.11).
    params: { reject_add_request: true, ...params }
  })),
  same('quit_group', Type.Object(group))
]

function send(
  action: string,
  target: object,
  scene: Scene,
  peerId: number,
  message: readonly DraftOutgoingSegment[]
): Call {
  return {
    action,
    params: { ...target, message: message.map((segment) => mustBeHere(toOutgoingSegment(segment, scene, peerId))) },
    toData: ({ message_seq, time }: { message_seq: number; time: number }) => ({
      message_id: toMessageId({ scene, peerId, seq: message_seq }),
      time
    })
  }
}

/** The draft knows no upper limit; who asks for more gets a page and where the next one starts. */
const MAX_PAGE = 30

function readHistory(
  scene: 'friend' | 'group',
  peerId: number,
  { start_message_id, limit }: { start_message_id?: string; limit?: number }
): Call {
  const start = start_message_id ? mustParse(start_message_id) : undefined
  if (start && (start.peerId !== peerId || (start.scene === 'group') !== (scene === 'group')))
    throw unknownMessage(start_message_id ?? '')
  return {
    action: 'get_history_messages',
    params: {
      message_scene: scene,
      peer_id: peerId,
      ...(start && { start_message_seq: start.seq }),
      ...(limit !== undefined && { limit: Math.min(limit, MAX_PAGE) })
    },
    toData: ({ messages, next_message_seq: next }: { messages: IncomingMessage[]; next_message_seq?: number }) => ({
      messages: messages.map(toDraftMessage),
      ...(next !== undefined && { next_start_message_id: toMessageId({ scene, peerId, seq: next }) })
    })
  }
}

function mustParse(messageId: string): MessageAddress {
  const address = parseMessageId(messageId)
  if (!address) throw unknownMessage(messageId)
  return address
}

function unknownMessage(messageId: string): ActionError {
  return new ActionError('not_found', `there is no message "${messageId.slice(0, 64)}"`, { field: 'message_id' })
}

function mustBeHere(segment: OutgoingSegment | undefined): OutgoingSegment {
  if (!segment)
    throw new ActionError('not_found', 'the message to reply to is not in this conversation', { field: 'message' })
  return segment
}

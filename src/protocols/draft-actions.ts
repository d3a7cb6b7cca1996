import { Type } from '@sinclair/typebox'
import type { FriendEntity, GroupEntity, GroupMemberEntity } from '../schema/entity.ts'
import type { IncomingMessage } from '../schema/message.ts'
import { ActionError } from '../core/errors.ts'
import { Bool, Int, Uin } from '../schema/common.ts'
import { Id, draft, group, member, same, type Call, type DraftAction } from './draft-action.ts'
import { draftFileActions } from './draft-file.ts'
import { draftFriendActions, draftFriendExtensions } from './draft-friend.ts'
import { draftGroupActions, draftGroupExtensions } from './draft-group.ts'
import { draftNoteActions } from './draft-notes.ts'
import {
  DraftOutgoingSegment,
  parseMessageId,
  toDraftForwarded,
  toDraftFriend,
  toDraftGroup,
  toDraftMember,
  toDraftMessage,
  toMessageId,
  toOutgoingSegment,
  type ForwardedShape,
  type MessageAddress,
  type Scene
} from './draft-shapes.ts'

const noCache = { no_cache: Type.Optional(Bool) }
const Message = Type.Array(DraftOutgoingSegment, { description: 'expected a list of segments' })
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
  ),
  ...draftGroupExtensions,
  ...draftFriendExtensions,
  same('get_action_result', Type.Object({ idempotency_key: Id }))
]

/** Everything that the draft names (contract 1.6). */
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
  draft('get_forwarded_messages', Type.Object({ forward_id: Id }), ({ forward_id }) => ({
    action: 'get_forward',
    params: { forward_id },
    toData: ({ messages }: { messages: ForwardedShape[] }) => ({
      messages: messages.map((message) => toDraftForwarded(forward_id, message))
    })
  })),
  draft('recall_message', Type.Object({ message_id: MessageId }), ({ message_id }) => {
    const { scene, peerId, seq } = mustParse(message_id)
    if (scene === 'group') return { action: 'recall_group_message', params: { group_id: peerId, message_seq: seq } }
    return { action: 'recall_private_message', params: { user_id: peerId, message_seq: seq } }
  }),
  ...draftGroupActions,
  ...draftFriendActions,
  ...draftFileActions,
  ...draftNoteActions
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
    params: { ...target, message: message.map((segment) => toOutgoingSegment(segment, scene, peerId)) },
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

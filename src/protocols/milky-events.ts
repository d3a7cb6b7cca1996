import type { AccountRef, EventKind, EventOf, GatewayEvent, PrivateRef } from '../core/event.ts'
import type { LinkOf } from '../core/links.ts'
import { MAX_GROUP_SIZE, toFriendEntity, toGroupEntity, toGroupMemberEntity } from '../schema/entity.ts'
import { toUid } from '../schema/friend.ts'
import { toMessageFields } from '../schema/message.ts'
import { encodeWith, type Codec } from './codec.ts'
import { addressOf } from './draft-shapes.ts'

/** Events of Milky 1.2 (contract 2.5): the bare object, alike on every transport. */
export interface MilkyCodec extends Codec {
  /** What an event of this kind is called here; undefined where there is no word for it. */
  readonly eventType: (event: GatewayEvent) => string | undefined
}

/** What all members of a group see alike is encoded once for all of them. `urlOf` gives addresses with scheme and host; `maxMembers` is how many a group may have. */
export function createMilkyCodec(urlOf: LinkOf, maxMembers = MAX_GROUP_SIZE): MilkyCodec {
  const toEventData = createDataEncoder({ urlOf, maxMembers })
  let lastEvent: GatewayEvent | undefined
  let lastData: string | undefined

  function encodeData(event: GatewayEvent, viewerId: number): string | undefined {
    if (event === lastEvent && event.chat.kind === 'group') return lastData
    const data = toEventData(event, viewerId)
    lastEvent = event
    lastData = data && JSON.stringify(data)
    return lastData
  }

  return {
    name: 'milky',
    eventType,
    encodeEvent(event, viewerId) {
      const type = eventType(event)
      const data = type && encodeData(event, viewerId)
      return data && `{"time":${event.time},"self_id":${viewerId},"event_type":"${type}","data":${data}}`
    }
  }
}

/** Where one word stands for all chats. The draft calls some of them otherwise. */
const TYPES: { readonly [K in EventKind]: string | undefined } = {
  'message.created': 'message_receive',
  // Neither dialect has a word for these: a bot that asks again sees what is true now.
  'message.edited': undefined,
  'owner.changed': undefined,
  'message.recalled': 'message_recall',
  'member.joined': 'group_member_increase',
  'member.left': 'group_member_decrease',
  'member.muted': 'group_mute',
  'admin.changed': 'group_admin_change',
  'group.renamed': 'group_name_change',
  'group.muted': 'group_whole_mute',
  'chat.nudged': 'nudge',
  'reaction.changed': 'group_message_reaction',
  'essence.changed': 'group_essence_message_change',
  'file.uploaded': 'file_upload',
  'friend.requested': 'friend_request',
  'group.requested': 'group_join_request',
  'group.invite_requested': 'group_invited_join_request',
  'group.invited': 'group_invitation',
  'pin.changed': 'peer_pin_change',
  'account.disabled': 'bot_offline'
}

function eventType({ kind, chat }: GatewayEvent): string | undefined {
  // People react in private chats too; there is a word for it in groups only.
  if (kind === 'reaction.changed' && chat.kind !== 'group') return undefined
  // These two have a word for each kind of chat.
  if (kind !== 'chat.nudged' && kind !== 'file.uploaded') return TYPES[kind]
  return `${chat.kind === 'group' ? 'group' : 'friend'}_${TYPES[kind]}`
}

const createDataEncoder = (
  surroundings: Surroundings
): ((event: GatewayEvent, viewerId: number) => object | undefined) =>
  encodeWith<object | undefined>({
    'message.created': (event, viewerId) => toMessage(event, viewerId, surroundings),
    'message.edited': null,
    'owner.changed': null,
    'message.recalled': ({ chat, data }, viewerId) => {
      const { scene, peerId } = addressOf(chat, viewerId)
      return {
        message_scene: scene,
        peer_id: peerId,
        message_seq: data.seq,
        sender_id: data.senderId,
        operator_id: data.operatorId,
        display_suffix: ''
      }
    },
    'member.joined': ({ chat, data }) => ({
      group_id: chat.id,
      user_id: data.accountId,
      operator_id: data.operatorId,
      invitor_id: data.inviterId
    }),
    'member.left': ({ chat, data }) => ({ group_id: chat.id, user_id: data.accountId, operator_id: data.operatorId }),
    'member.muted': ({ chat, data }) => ({
      group_id: chat.id,
      user_id: data.accountId,
      operator_id: data.operatorId,
      duration: data.durationS
    }),
    'admin.changed': ({ chat, data }) => ({
      group_id: chat.id,
      user_id: data.accountId,
      operator_id: data.operatorId,
      is_set: data.isSet
    }),
    'group.renamed': ({ chat, data }) => ({
      group_id: chat.id,
      new_group_name: data.name,
      operator_id: data.operatorId
    }),
    'group.muted': ({ chat, data }) => ({ group_id: chat.id, operator_id: data.operatorId, is_mute: data.isMute }),
    'chat.nudged': ({ chat, data: { senderId, receiverId } }, viewerId) => ({
      ...(chat.kind === 'group'
        ? { group_id: chat.id, sender_id: senderId, receiver_id: receiverId }
        : {
            user_id: addressOf(chat, viewerId).peerId,
            is_self_send: senderId === viewerId,
            is_self_receive: receiverId === viewerId
          }),
      display_action: '',
      display_suffix: '',
      display_action_img_url: ''
    }),
    'reaction.changed': ({ chat, data }) => ({
      group_id: chat.id,
      user_id: data.accountId,
      message_seq: data.seq,
      face_id: data.reaction,
      reaction_type: data.type,
      is_add: data.isAdd
    }),
    'essence.changed': ({ chat, data }) => ({
      group_id: chat.id,
      message_seq: data.seq,
      operator_id: data.operatorId,
      is_set: data.isSet
    }),
    'file.uploaded': ({ chat, data }, viewerId) => {
      const file = { file_id: String(data.fileId), file_name: data.name, file_size: data.size }
      if (chat.kind === 'group') return { group_id: chat.id, user_id: data.accountId, ...file }
      const user_id = addressOf(chat, viewerId).peerId
      return { user_id, ...file, file_hash: data.hash, is_self: data.accountId === viewerId }
    },
    'friend.requested': ({ data }) => ({
      initiator_id: data.initiatorId,
      initiator_uid: toUid(data.initiatorId),
      comment: data.comment,
      via: data.via
    }),
    'group.requested': ({ data }) => ({
      group_id: data.groupId,
      notification_seq: data.requestSeq,
      is_filtered: false,
      initiator_id: data.initiatorId,
      comment: data.comment
    }),
    'group.invite_requested': ({ data }) => ({
      group_id: data.groupId,
      notification_seq: data.requestSeq,
      initiator_id: data.initiatorId,
      target_user_id: data.targetId
    }),
    'group.invited': ({ data }) => ({
      group_id: data.groupId,
      invitation_seq: data.requestSeq,
      initiator_id: data.initiatorId
    }),
    'pin.changed': ({ data }) => ({ message_scene: data.scene, peer_id: data.peerId, is_pinned: data.isPinned }),
    'account.disabled': ({ data }) => ({ reason: data.reason })
  })

interface Surroundings {
  readonly urlOf: LinkOf
  /** Of one group. */
  readonly maxMembers: number
}

function toMessage(
  { chat, data }: EventOf<'message.created'>,
  viewerId: number,
  { urlOf, maxMembers }: Surroundings
): object {
  const { message, sender, member, quoted } = data
  const { scene, peerId } = addressOf(chat, viewerId)
  const fields = toMessageFields(message, peerId, { urlOf, isPrivate: chat.kind === 'private', quoted })
  if (chat.kind === 'private')
    return { message_scene: scene, ...fields, friend: toFriendEntity(peerOf(chat, viewerId)) }
  const gone = { role: 'member', card: '', title: '', mutedUntil: 0, joinedAt: 0 } as const
  const { id: accountId, nickname } = sender
  const shown = { ...gone, ...member, accountId, nickname, lastSentAt: message.time }
  return {
    message_scene: scene,
    ...fields,
    group: toGroupEntity(chat, maxMembers),
    group_member: toGroupMemberEntity(chat.id, shown, message.time)
  }
}

/** The other side of a private chat, as the viewer calls it. */
function peerOf({ parties, remarks }: PrivateRef, viewerId: number): AccountRef & { readonly remark: string } {
  const [low, high] = parties
  return low.id === viewerId ? { ...high, remark: remarks?.[0] ?? '' } : { ...low, remark: remarks?.[1] ?? '' }
}

import type { EventOf, GatewayEvent } from '../core/event.ts'
import type { LinkOf } from '../core/links.ts'
import type { CallParties, Signal } from '../core/signal.ts'
import { encodeSignalWith, encodeWith, type Codec } from './codec.ts'
import { encodeFrame, toChat, toMessage, toTimestamp, toUser } from './imsuite.ts'

/** A codec that also says how frames look that are no event. */
export interface ImSuiteCodec extends Codec {
  /** A frame of the document as this profile writes it. */
  readonly dress: (frame: string) => string
}

/** How a connection wants its frames (contract 2.0). */
export interface ImSuiteCodecs {
  /** Exactly the document's types and keys. */
  readonly base: ImSuiteCodec
  /** The same with `x`, and the types of contract 2.15. */
  readonly ext: ImSuiteCodec
  /** For clients that look for `data` where the document says `payload`. */
  readonly data: ImSuiteCodec
  /** For clients that know `{type:"message",data:Message}` only. */
  readonly legacy: ImSuiteCodec
}

/** All profiles share one encoding: what the extension adds comes after the bytes that base clients get. */
export function createImSuiteCodecs(linkOf: LinkOf): ImSuiteCodecs {
  const encodeEvent = createEventEncoder(linkOf)
  let last: { event: GatewayEvent; viewerId: number; frame: string | undefined } | undefined

  function encode(event: GatewayEvent, viewerId: number): string | undefined {
    // All members of a group see the same.
    if (last?.event === event && (event.chat.kind === 'group' || last.viewerId === viewerId)) return last.frame
    const frame = encodeEvent(event, viewerId)
    last = { event, viewerId, frame }
    return frame
  }

  const renamed = (frame: string | undefined): string | undefined => frame && rename(frame)

  return {
    base: { name: 'imsuite', encodeEvent: encode, encodeSignal, dress: (frame) => frame },
    ext: {
      name: 'imsuite-ext',
      dress: (frame) => frame,
      encodeEvent(event, viewerId) {
        const frame = encode(event, viewerId) ?? encodeMembership(event, viewerId)
        return frame && extend(frame, toExtension(event, viewerId))
      },
      encodeSignal(signal) {
        const frame = encodeSignal(signal) ?? encodeExtSignal(signal)
        const detail = signal.kind === 'call.ended' ? signal.data.detail : undefined
        return frame && detail !== undefined ? extend(frame, { detail }) : frame
      }
    },
    data: {
      name: 'imsuite-data',
      dress: rename,
      encodeEvent: (event, viewerId) => renamed(encode(event, viewerId)),
      encodeSignal: (signal) => renamed(encodeSignal(signal))
    },
    legacy: {
      name: 'imsuite-legacy',
      dress: rename,
      encodeEvent: (event, viewerId) =>
        event.kind === 'message.created'
          ? JSON.stringify({ type: 'message', data: toMessage(event.data.message, linkOf) })
          : renamed(encode(event, viewerId)),
      encodeSignal: (signal) => renamed(encodeSignal(signal))
    }
  }
}

/** The payload holds no such key before its own: the type comes first. */
function rename(frame: string): string {
  return frame.replace('"payload":', '"data":')
}

/** Adds `x` to a frame whose other bytes stay as they are (contract 2.0). */
export function extend(frame: string, x: object): string {
  return `${frame.slice(0, -1)},"x":${JSON.stringify(x)}}`
}

function toExtension(event: GatewayEvent, viewerId: number): object {
  // Positions are for chats, so that a reader sees what is missing; the rest has none.
  if (event.chat.kind === 'inbox') return {}
  const message = event.kind === 'message.created' || event.kind === 'message.edited' ? event.data.message : undefined
  const seq = message?.seq ?? (event.kind === 'message.recalled' ? event.data.seq : undefined)
  return {
    event_seq: event.eventSeq,
    prev_event_seq: event.eventSeq - 1,
    ...(seq !== undefined && { seq }),
    ...(event.kind === 'message.edited' && { rev: event.data.message.rev ?? 0 }),
    ...(message?.clientId !== undefined && message.senderId === viewerId && { client_msg_id: message.clientId })
  }
}

/** Events of the document. Membership has no event there; clients learn of it by REST. */
const createEventEncoder = (linkOf: LinkOf): ((event: GatewayEvent, viewerId: number) => string | undefined) =>
  encodeWith<string>({
    'message.created': ({ chat, time, data }, viewerId) =>
      encodeFrame(
        'message.new',
        { message: toMessage(data.message, linkOf), chat: toChat(chat, viewerId), sender: toUser(data.sender) },
        time
      ),
    'message.edited': ({ chat, time, data }, viewerId) =>
      encodeFrame('message.edit', { message: toEditedMessage(data, linkOf), chat: toChat(chat, viewerId) }, time),
    'message.recalled': ({ chat, time, data }) =>
      encodeFrame(
        'message.delete',
        { message_id: data.messageId, chat_id: chat.id, deleted_by: data.operatorId, deleted_at: toTimestamp(time) },
        time
      ),
    'member.joined': null,
    'member.left': null,
    'member.muted': null,
    'admin.changed': null,
    'owner.changed': null,
    'group.renamed': null,
    'group.muted': null,
    'chat.nudged': null,
    'reaction.changed': null,
    'essence.changed': null,
    'file.uploaded': null,
    'friend.requested': null,
    'group.requested': null,
    'group.invite_requested': null,
    'group.invited': null,
    'pin.changed': null,
    'account.disabled': null
  })

function toEditedMessage({ message }: EventOf<'message.edited'>['data'], linkOf: LinkOf) {
  const { id, chat_id, sender_id, content, message_type, ...rest } = toMessage(message, linkOf)
  const { created_at: _, ...more } = rest
  const updated_at = toTimestamp(message.editedAt ?? message.time)
  return { id, chat_id, sender_id, content, message_type, is_edited: true, updated_at, ...more }
}

/** What only the extension profile has words for (contract 2.15). */
const encodeMembership = encodeWith<string>({
  'message.created': null,
  'message.edited': null,
  'message.recalled': null,
  'member.joined': ({ chat, time, data }) =>
    encodeFrame(
      'member.joined',
      {
        chat_id: chat.id,
        user_id: data.accountId,
        ...(data.operatorId !== undefined && { operator_id: data.operatorId }),
        ...(data.inviterId !== undefined && { inviter_id: data.inviterId })
      },
      time
    ),
  'member.left': ({ chat, time, data }) =>
    encodeFrame(
      'member.left',
      {
        chat_id: chat.id,
        user_id: data.accountId,
        ...(data.operatorId !== undefined && { operator_id: data.operatorId })
      },
      time
    ),
  'member.muted': ({ chat, time, data }) =>
    encodeFrame(
      'member.updated',
      {
        chat_id: chat.id,
        user_id: data.accountId,
        operator_id: data.operatorId,
        muted_until: data.durationS === 0 ? null : toTimestamp(time + data.durationS)
      },
      time
    ),
  'admin.changed': ({ chat, time, data }) =>
    encodeFrame(
      'member.updated',
      {
        chat_id: chat.id,
        user_id: data.accountId,
        operator_id: data.operatorId,
        role: data.isSet ? 'admin' : 'member'
      },
      time
    ),
  'owner.changed': ({ chat, time, data }) =>
    encodeFrame(
      'member.updated',
      { chat_id: chat.id, user_id: data.accountId, operator_id: data.operatorId, role: 'owner' },
      time
    ),
  'group.renamed': ({ chat, time, data }, viewerId) =>
    encodeFrame('chat.updated', { chat: toChat(chat, viewerId), operator_id: data.operatorId }, time),
  'group.muted': ({ chat, time, data }, viewerId) =>
    encodeFrame(
      'chat.updated',
      { chat: toChat(chat, viewerId), operator_id: data.operatorId, is_muted: data.isMute },
      time
    ),
  'chat.nudged': ({ chat, time, data }) =>
    encodeFrame('chat.nudge', { chat_id: chat.id, from_user: data.senderId, to_user: data.receiverId }, time),
  'reaction.changed': ({ chat, time, data }) =>
    encodeFrame(
      'message.reaction',
      {
        message_id: data.messageId,
        chat_id: chat.id,
        user_id: data.accountId,
        reaction: data.reaction,
        reaction_type: data.type,
        is_add: data.isAdd
      },
      time
    ),
  'essence.changed': ({ chat, time, data }) =>
    encodeFrame(
      'message.essence',
      { message_id: data.messageId, chat_id: chat.id, operator_id: data.operatorId, is_set: data.isSet },
      time
    ),
  // It follows the message that shows the file; only the file's place in the group is new.
  'file.uploaded': ({ chat, time, data }) =>
    encodeFrame(
      'chat.file',
      {
        chat_id: chat.id,
        user_id: data.accountId,
        file_id: data.fileId,
        file_name: data.name,
        file_size: data.size
      },
      time
    ),
  'friend.requested': ({ time, data }) =>
    encodeFrame('contact.request', { from_user: data.initiatorId, comment: data.comment }, time),
  'group.requested': ({ time, data }) =>
    encodeFrame(
      'chat.request',
      { request_id: data.requestSeq, chat_id: data.groupId, user_id: data.initiatorId, comment: data.comment },
      time
    ),
  'group.invite_requested': ({ time, data }) =>
    encodeFrame(
      'chat.request',
      {
        request_id: data.requestSeq,
        chat_id: data.groupId,
        user_id: data.targetId,
        inviter_id: data.initiatorId,
        comment: ''
      },
      time
    ),
  'group.invited': ({ time, data }) =>
    encodeFrame(
      'chat.invitation',
      { request_id: data.requestSeq, chat_id: data.groupId, inviter_id: data.initiatorId },
      time
    ),
  'pin.changed': ({ time, data }) =>
    encodeFrame(
      'chat.pinned',
      { peer_type: data.scene === 'group' ? 'group' : 'user', peer_id: data.peerId, is_pinned: data.isPinned },
      time
    ),
  'account.disabled': null
})

const toParties = ({ callId, fromId, toId }: CallParties) => ({ call_id: callId, from_user: fromId, to_user: toId })

/** What is not stored, in the document's words (contract 2.4). */
const encodeSignal: (signal: Signal) => string | undefined = encodeSignalWith<string>({
  'message.delivered': null,
  'message.read': ({ time, data }) =>
    encodeFrame(
      'message.read',
      { message_id: data.messageId, chat_id: data.chatId, read_by: data.readerId, read_at: toTimestamp(time) },
      time
    ),
  'chat.typing': ({ time, data }) =>
    encodeFrame(
      'typing',
      { chat_id: data.chatId, user_id: data.account.id, is_typing: data.isTyping, user: toUser(data.account) },
      time
    ),
  'presence.changed': ({ time, data }) =>
    encodeFrame(
      'presence',
      {
        user_id: data.account.id,
        is_online: data.isOnline,
        last_seen: toTimestamp(data.lastSeenAt),
        user: toUser(data.account)
      },
      time
    ),
  'call.offered': ({ time, data }) =>
    encodeFrame(
      'call.offer',
      {
        ...toParties(data),
        call_type: data.kind,
        sdp: data.sdp,
        ice_candidates: data.candidates,
        created_at: toTimestamp(data.createdAt)
      },
      time
    ),
  'call.answered': ({ time, data }) =>
    encodeFrame(
      'call.answer',
      {
        ...toParties(data),
        sdp: data.sdp,
        ice_candidates: data.candidates,
        answered_at: toTimestamp(data.answeredAt)
      },
      time
    ),
  'call.candidate': ({ time, data }) =>
    encodeFrame('call.ice', { ...toParties(data), ice_candidate: data.candidate }, time),
  'call.ended': ({ time, data }) =>
    encodeFrame(
      'call.end',
      {
        ...toParties(data),
        reason: data.reason,
        duration: data.durationS,
        ended_at: toTimestamp(data.endedAt)
      },
      time
    ),
  'notice.sent': ({ time, data }) =>
    encodeFrame(
      'notification',
      { title: data.title, message: data.message, type: data.kind, action_url: data.actionUrl },
      time
    )
})

const encodeExtSignal = ({ kind, time, data }: Signal): string | undefined =>
  kind === 'message.delivered'
    ? encodeFrame(
        'message.delivered',
        {
          message_id: data.messageId,
          chat_id: data.chatId,
          delivered_to: data.accountId,
          delivered_at: toTimestamp(time)
        },
        time
      )
    : undefined

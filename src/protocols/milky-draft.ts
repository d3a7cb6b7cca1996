import type { Outcome } from '../core/action.ts'
import { toFailure, type Dispatcher, type DispatcherOptions } from '../core/dispatcher.ts'
import { ActionError, type Reason } from '../core/errors.ts'
import type { ChatRef, EventKind, EventOf, GatewayEvent } from '../core/event.ts'
import { compileParams } from '../core/validate.ts'
import { decodeCall, encodeAnswer } from './call-frame.ts'
import { findKey } from './call-key.ts'
import { encodeWith, type CallCodec, type Codec } from './codec.ts'
import type { Call } from './draft-action.ts'
import { draftActions, draftExtensions } from './draft-actions.ts'
import { addressOf, toDraftIncomingSegments, toMessageId, toRequestId } from './draft-shapes.ts'
import { explain } from './words.ts'

/** The draft leaves the numbers to the server; it shows -100 for "no such friend", the rest is ours (contract 1.1, 1.5). */
const RETCODES: { readonly [R in Reason]: number } = {
  invalid: -400,
  unknown_action: -404,
  not_found: -100,
  forbidden: -101,
  muted: -102,
  conflict: -103,
  too_late: -105,
  busy: -106,
  no_call: -107,
  wrong_state: -108,
  too_large: -104,
  rate_limited: -429,
  disabled: -403,
  unavailable: -503,
  timeout: -504,
  no_space: -507,
  unknown: -520,
  internal: -500
}

/** A dispatcher that speaks the draft: it takes the draft's names and parameters and answers in the draft's shapes. */
export function createDraftDispatcher(
  dispatcher: Dispatcher,
  bugs: Pick<DispatcherOptions, 'onBug' | 'newId'>
): Dispatcher {
  const table = new Map(
    [...draftActions, ...draftExtensions].map((action) => [
      action.name,
      { ...action, validate: compileParams(action.params) }
    ])
  )

  return {
    has: (name) => table.has(name),

    dispatch(name, params, caller) {
      const entry = table.get(name)
      if (!entry)
        return Promise.resolve({
          ok: false,
          error: new ActionError('unknown_action', `there is no action "${name.slice(0, 64)}"`)
        })
      let call: Call
      try {
        call = entry.toCall(entry.validate(params) as never)
      } catch (err) {
        return Promise.resolve(toFailure(err, name, bugs))
      }
      const { toData } = call
      const keyed = findKey({ dialect: 'draft', name, params, toData }, caller)
      // What is kept under a key is in the words of the dialect already.
      if (keyed) return dispatcher.dispatch(call.action, call.params, { ...caller, keyed })
      const outcome = dispatcher.dispatch(call.action, call.params, caller)
      if (!toData) return outcome
      return outcome.then((done) => (done.ok ? { ok: true, data: toData(done.data as never) } : done))
    }
  }
}

/** The envelope of every answer (draft "HTTP Server"), in the language that the caller prefers: the body over HTTP, the inner `data` on a socket. */
export function toDraftEnvelope(outcome: Outcome, acceptLanguage?: string): object {
  if (outcome.ok) return { status: 'ok', retcode: 0, data: outcome.data }
  const { error } = outcome
  return { status: 'failed', retcode: RETCODES[error.reason], message: explain(error, acceptLanguage) }
}

/** The bare event, as a webhook receives it (draft "WebHook"). */
export const draftWebhookCodec: Codec & { readonly eventType: (event: GatewayEvent) => string | undefined } = {
  name: 'milky-draft-webhook',
  encodeEvent: createEventEncoder(),
  eventType
}

/** Calls and events on one socket (draft "WebSocket"). */
export function createDraftSocketCodec(): CallCodec {
  const encode = createEventEncoder()
  return {
    name: 'milky-draft-socket',
    encodeEvent(event, viewerId) {
      const body = encode(event, viewerId)
      return body && `{"post_type":"event","self_id":${viewerId},"data":${body}}`
    },
    decode: decodeCall,
    encodeReply(echo, outcome, selfId) {
      const answer = encodeAnswer(echo, outcome, (failure) => toDraftEnvelope(failure))
      return `{"post_type":"action_response","self_id":${selfId},"data":${answer}}`
    }
  }
}

/** Encodes events as the bare JSON object. What all members of a group see alike is encoded once for all of them. */
function createEventEncoder(): (event: GatewayEvent, viewerId: number) => string | undefined {
  let lastEvent: GatewayEvent | undefined
  let lastBody: string | undefined

  return (event, viewerId) => {
    if (event === lastEvent && event.chat.kind === 'group') return lastBody
    const type = eventType(event)
    const data = type && toEventData(event, viewerId)
    lastEvent = event
    lastBody = type && data && `{"time":${event.time},"event_type":"${type}","data":${JSON.stringify(data)}}`
    return lastBody
  }
}

/** What the draft calls each kind of event (contract 1.8); undefined where it has no word for it. */
function eventType({ kind, chat }: GatewayEvent): string | undefined {
  // People react in private chats too; there is a word for it in groups only.
  if (kind === 'reaction.changed' && chat.kind !== 'group') return undefined
  // These two have a word for each kind of chat.
  if (kind === 'chat.nudged') return chat.kind === 'group' ? 'group_poke' : 'friend_poke'
  if (kind === 'file.uploaded') return chat.kind === 'group' ? 'group_file_upload' : 'friend_file_upload'
  return EVENT_TYPES[kind]
}

export const EVENT_TYPES: { readonly [K in Exclude<EventKind, 'chat.nudged' | 'file.uploaded'>]: string | undefined } =
  {
    'message.created': 'message_receive',
    // The draft has no word for these: a bot that asks again sees what is true now.
    'message.edited': undefined,
    'owner.changed': undefined,
    'pin.changed': undefined,
    'account.disabled': undefined,
    'message.recalled': 'message_recall',
    'member.joined': 'group_member_increase',
    'member.left': 'group_member_decrease',
    'member.muted': 'group_mute',
    'admin.changed': 'group_admin_change',
    'group.renamed': 'group_name_change',
    'group.muted': 'group_whole_mute',
    'reaction.changed': 'group_message_reaction',
    'essence.changed': 'group_essence_message_change',
    'friend.requested': 'friend_request',
    'group.requested': 'group_join_request',
    'group.invite_requested': 'group_invited_join_request',
    'group.invited': 'group_invitation_request'
  }

const toEventData = encodeWith<object | undefined>({
  'message.created': toMessage,
  'message.edited': null,
  'owner.changed': null,
  'pin.changed': null,
  'account.disabled': null,
  'message.recalled': ({ chat, data }, viewerId) => ({
    message_id: toMessageId({ ...addressOf(chat, viewerId), seq: data.seq }),
    operator_id: data.operatorId
  }),
  'member.joined': ({ chat, data }) =>
    inGroup(chat, { user_id: data.accountId, operator_id: data.operatorId, invitor_id: data.inviterId }),
  'member.left': ({ chat, data }) => inGroup(chat, { user_id: data.accountId, operator_id: data.operatorId }),
  'member.muted': ({ chat, data }) => inGroup(chat, { user_id: data.accountId, duration: data.durationS }),
  'admin.changed': ({ chat, data }) => inGroup(chat, { user_id: data.accountId, is_set: data.isSet }),
  'group.renamed': ({ chat, data }) => inGroup(chat, { name: data.name, operator_id: data.operatorId }),
  'group.muted': ({ chat, data }) => inGroup(chat, { operator_id: data.operatorId, is_mute: data.isMute }),
  'chat.nudged': ({ chat, data: { senderId, receiverId } }, viewerId) =>
    chat.kind === 'group'
      ? inGroup(chat, { sender_id: senderId, receiver_id: receiverId })
      : {
          user_id: addressOf(chat, viewerId).peerId,
          is_self_send: senderId === viewerId,
          is_self_receive: receiverId === viewerId
        },
  'reaction.changed': ({ chat, data }) =>
    inGroup(chat, {
      user_id: data.accountId,
      message_id: toMessageId({ scene: 'group', peerId: chat.id, seq: data.seq }),
      face_id: data.reaction,
      is_add: data.isAdd
    }),
  'essence.changed': ({ chat, data }) =>
    inGroup(chat, {
      message_id: toMessageId({ scene: 'group', peerId: chat.id, seq: data.seq }),
      is_set: data.isSet
    }),
  'file.uploaded': ({ chat, data }, viewerId) => {
    const file = { file_id: String(data.fileId), file_name: data.name, file_size: data.size }
    if (chat.kind === 'group') return inGroup(chat, { user_id: data.accountId, ...file })
    return { user_id: addressOf(chat, viewerId).peerId, ...file, is_self: data.accountId === viewerId }
  },
  'friend.requested': ({ data }) => ({
    request_id: toRequestId({ kind: 'Friend', initiatorId: data.initiatorId }),
    operator_id: data.initiatorId,
    comment: data.comment,
    via: data.via
  }),
  'group.requested': ({ data: { groupId, requestSeq, initiatorId, comment } }) => ({
    request_id: toRequestId({ kind: 'Join', groupId, seq: requestSeq }),
    operator_id: initiatorId,
    group_id: groupId,
    comment
  }),
  'group.invite_requested': ({ data: { groupId, requestSeq, initiatorId, targetId } }) => ({
    request_id: toRequestId({ kind: 'InvitedJoin', groupId, seq: requestSeq }),
    operator_id: initiatorId,
    group_id: groupId,
    invitee_id: targetId
  }),
  'group.invited': ({ data: { groupId, requestSeq, initiatorId } }) => ({
    request_id: toRequestId({ kind: 'Invitation', groupId, seq: requestSeq }),
    operator_id: initiatorId,
    group_id: groupId
  })
})

function inGroup(chat: ChatRef, data: object): object {
  return { group_id: chat.id, ...data }
}

/** Undefined for a message of files alone: the draft tells of a file by `friend_file_upload` and `group_file_upload`. */
function toMessage({ chat, data: { message } }: EventOf<'message.created'>, viewerId: number): object | undefined {
  const address = addressOf(chat, viewerId)
  const segments = toDraftIncomingSegments(message.segments, address)
  if (segments.length === 0) return undefined
  return {
    message_id: toMessageId({ ...address, seq: message.seq }),
    time: message.time,
    user_id: message.senderId,
    segments,
    ...(chat.kind === 'group' ? { message_type: 'group', group_id: chat.id } : { message_type: 'private' })
  }
}

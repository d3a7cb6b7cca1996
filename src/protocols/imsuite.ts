import { ActionError, type Reason } from '../core/errors.ts'
import type { AccountRef, ChatRef, GatewayEvent, Message } from '../core/event.ts'
import { toPlainText } from '../core/segment.ts'
import { encodeWith, type Codec } from './codec.ts'
import { parseObject } from './json.ts'

// IM-Suite, base profile (contract 2.0): every frame is {type, payload, timestamp} with exactly the document's keys.

/** Seconds as the document writes them: `2025-10-07T12:00:00Z`, no fraction. */
export function toTimestamp(time: number): string {
  return `${new Date(time * 1000).toISOString().slice(0, 19)}Z`
}

export function encodeFrame(type: string, payload: object, time: number): string {
  return `{"type":"${type}","payload":${JSON.stringify(payload)},"timestamp":"${toTimestamp(time)}"}`
}

export interface ClientFrame {
  readonly type: string
  readonly payload: Record<string, unknown>
  /** For correlation; returned in `details.request_id` of an error. */
  readonly id: string | undefined
}

/**
 * Reads tolerantly (contract 2.0): `data` stands for `payload`, a missing payload is empty, unknown keys are ignored.
 * Throws `ActionError('invalid')`; its `field` is absent when the text was not even a JSON object.
 */
export function decodeFrame(text: string): ClientFrame {
  const { type, payload, data, id } = parseObject(text)
  if (typeof type !== 'string') throw new ActionError('invalid', 'type: expected a string', { field: 'type' })
  const body = payload ?? data ?? {}
  if (typeof body !== 'object' || Array.isArray(body))
    throw new ActionError('invalid', 'payload: expected an object', { field: 'payload' })
  return {
    type,
    payload: unifyKeys(body as Record<string, unknown>),
    id: typeof id === 'string' && id.length <= 64 ? id : undefined
  }
}

const ALIASES: ReadonlyMap<string, string> = new Map([
  ['chatId', 'chat_id'],
  ['messageId', 'message_id'],
  ['messageType', 'message_type'],
  ['receiverId', 'receiver_id'],
  ['replyToId', 'reply_to_id'],
  ['replyTo', 'reply_to_id'],
  ['sendAt', 'send_at'],
  ['ttlSeconds', 'ttl_seconds']
])

/** Some clients write the document's keys in camel case. */
function unifyKeys(payload: Record<string, unknown>): Record<string, unknown> {
  if (!Object.keys(payload).some((key) => ALIASES.has(key))) return payload
  const renamed = Object.entries(payload).map(([key, value]) => [ALIASES.get(key) ?? key, value] as const)
  // Who sends both means the document's own key.
  return { ...Object.fromEntries(renamed), ...payload }
}

const ERROR_CODES: { readonly [R in Reason]: string } = {
  invalid: 'VALIDATION_ERROR',
  unknown_action: 'VALIDATION_ERROR',
  too_large: 'VALIDATION_ERROR',
  not_found: 'NOT_FOUND',
  forbidden: 'FORBIDDEN',
  muted: 'FORBIDDEN',
  conflict: 'CONFLICT',
  rate_limited: 'RATE_LIMITED',
  disabled: 'AUTHENTICATION_FAILED',
  unavailable: 'SERVICE_UNAVAILABLE',
  internal: 'INTERNAL_ERROR'
}

/** `error_code` of contract 2.6. */
export function toErrorCode(reason: Reason): string {
  return ERROR_CODES[reason]
}

/** The core's names of what a person sends, where the document has others. */
const FIELDS: ReadonlyMap<string, string> = new Map([
  ['message', 'content'],
  ['user_id', 'receiver_id']
])

/** The core finds no message to quote; to the document that is a mistake in the frame (contract 2.6, bad reply target). */
function isBadReply({ reason, details }: ActionError): boolean {
  return reason === 'not_found' && details.field === 'message'
}

/** The `error` frame (contract 2.4, 2.6). `details` is open, so what a client may want to know goes there. */
export function encodeError(
  given: ActionError,
  cause: { type?: string | undefined; id?: string | undefined },
  time: number
): string {
  const error = isBadReply(given) ? new ActionError('invalid', given.message, { field: 'reply_to_id' }) : given
  const { field, retryAfterMs, requestId } = error.details
  const details = {
    ...(field !== undefined && { field: FIELDS.get(field) ?? field }),
    ...(error.reason === 'muted' && { reason: 'muted' }),
    ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }),
    ...(cause.type !== undefined && { ref_type: cause.type.slice(0, 64) }),
    ...((cause.id ?? requestId) !== undefined && { request_id: cause.id ?? requestId })
  }
  return encodeFrame('error', { error_code: ERROR_CODES[error.reason], message: error.message, details }, time)
}

export function toUser({ id, nickname, avatarUrl }: AccountRef) {
  return { id, nickname, avatar_url: avatarUrl }
}

/** A private chat is called what the other side is called. */
export function toChat(chat: ChatRef, viewerId: number) {
  return {
    id: chat.id,
    type: chat.kind,
    title: chat.kind === 'group' ? chat.name : otherSide(chat.parties, viewerId).nickname
  }
}

function otherSide([low, high]: readonly [AccountRef, AccountRef], viewerId: number): AccountRef {
  return low.id === viewerId ? high : low
}

export function toMessage(message: Message) {
  const reply = message.segments.find((segment) => segment.type === 'reply')
  return {
    id: message.id,
    chat_id: message.chatId,
    sender_id: message.senderId,
    content: toPlainText(message.segments),
    message_type: 'text',
    created_at: toTimestamp(message.time),
    ...(reply && { reply_to_id: reply.messageId })
  }
}

/** Events as base clients see them. Membership has no event in the document; clients learn of it by REST. */
export function createImSuiteCodec(): Codec {
  let last: { event: GatewayEvent; viewerId: number; frame: string | undefined } | undefined

  return {
    name: 'imsuite',
    encodeEvent(event, viewerId) {
      // All members of a group see the same.
      if (last?.event === event && (event.chat.kind === 'group' || last.viewerId === viewerId)) return last.frame
      const frame = encodeEvent(event, viewerId)
      last = { event, viewerId, frame }
      return frame
    }
  }
}

const encodeEvent = encodeWith<string>({
  'message.created': ({ chat, time, data }, viewerId) =>
    encodeFrame(
      'message.new',
      { message: toMessage(data.message), chat: toChat(chat, viewerId), sender: toUser(data.sender) },
      time
    ),
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
  'group.renamed': null,
  'group.muted': null
})

import { ActionError, type Reason } from '../core/errors.ts'
import type { AccountRef, ChatRef, Message } from '../core/event.ts'
import type { LinkOf } from '../core/links.ts'
import { toPlainText, type MediaFile } from '../core/segment.ts'
import { explain } from './words.ts'
import { mustBeClear, readObject } from './json.ts'

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
  /** What clients of the extension profile add; read in both profiles (contract 2.0). */
  readonly x: Record<string, unknown>
}

/**
 * Reads tolerantly (contract 2.0): `data` stands for `payload`, a missing payload is empty, unknown keys are ignored.
 * Throws `ActionError('invalid')`; its `field` is absent when the text was not even a JSON object.
 */
export function decodeFrame(text: string, { isLenient = true } = {}): ClientFrame {
  const frame = readObject(text)
  const { type, payload, data, id: given, x } = frame
  const id = typeof given === 'string' && given.length <= 64 ? given : undefined
  const refusal = (field: string, message: string): ActionError =>
    new ActionError('invalid', `${field}: ${message}`, { field, ...(id !== undefined && { requestId: id }) })
  try {
    mustBeClear(frame, text)
  } catch (err) {
    throw refusal('payload', (err as ActionError).message)
  }
  if (typeof type !== 'string') throw refusal('type', 'expected a string')
  const body = payload ?? (isLenient ? data : undefined) ?? {}
  if (!isObject(body)) throw refusal('payload', 'expected an object')
  return { type, payload: isLenient ? unifyKeys(body) : body, id, x: isObject(x) ? x : {} }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const ALIASES: ReadonlyMap<string, string> = new Map([
  ['chatId', 'chat_id'],
  ['messageId', 'message_id'],
  ['messageType', 'message_type'],
  ['receiverId', 'receiver_id'],
  ['replyToId', 'reply_to_id'],
  ['replyTo', 'reply_to_id'],
  ['sendAt', 'send_at'],
  ['sendSilently', 'send_silently'],
  ['isTyping', 'is_typing'],
  ['isOnline', 'is_online'],
  ['fileId', 'file_id'],
  ['fileUrl', 'file_url'],
  ['fileName', 'file_name'],
  ['fileSize', 'file_size'],
  ['mimeType', 'mime_type'],
  ['toUser', 'to_user'],
  ['callId', 'call_id'],
  ['callType', 'call_type'],
  ['iceCandidate', 'ice_candidate'],
  ['iceCandidates', 'ice_candidates'],
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
  too_late: 'EDIT_WINDOW_EXPIRED',
  busy: 'CALL_BUSY',
  no_call: 'CALL_NOT_FOUND',
  wrong_state: 'CALL_STATE',
  rate_limited: 'RATE_LIMITED',
  disabled: 'AUTHENTICATION_FAILED',
  unavailable: 'SERVICE_UNAVAILABLE',
  timeout: 'TIMEOUT',
  no_space: 'SERVICE_UNAVAILABLE',
  unknown: 'OUTCOME_UNKNOWN',
  internal: 'INTERNAL_ERROR'
}

/** `error_code` of contract 2.6. */
export function toErrorCode(reason: Reason): string {
  return ERROR_CODES[reason]
}

/** The core's names of what a person sends, where the document has others. */
const REST_FIELDS: ReadonlyMap<string, string> = new Map([['message', 'content']])
const FRAME_FIELDS: ReadonlyMap<string, string> = new Map([...REST_FIELDS, ['user_id', 'receiver_id']])

/** The core finds no message to quote; to the document that is a mistake in the frame (contract 2.6, bad reply target). */
function isBadReply({ reason, details }: ActionError): boolean {
  return reason === 'not_found' && details.field === 'message'
}

/** What clients are told of an error (contract 2.6). `details` is open, so what they may want to know goes there. */
export function toErrorAnswer(
  given: ActionError,
  acceptLanguage?: string,
  fields: ReadonlyMap<string, string> = REST_FIELDS
) {
  const error = isBadReply(given) ? new ActionError('invalid', given.message, { field: 'reply_to_id' }) : given
  const { field, retryAfterMs, requestId, callId } = error.details
  const reason = error.details.cause ?? (error.reason === 'muted' ? 'muted' : undefined)
  const details = {
    ...(field !== undefined && { field: fields.get(field) ?? field }),
    ...(reason !== undefined && { reason }),
    ...(callId !== undefined && { call_id: callId }),
    ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }),
    ...(requestId !== undefined && { request_id: requestId })
  }
  return { reason: error.reason, code: ERROR_CODES[error.reason], message: explain(error, acceptLanguage), details }
}

/** The `error` frame (contract 2.4). */
export function encodeError(
  error: ActionError,
  cause: { type?: string | undefined; id?: string | undefined },
  time: number,
  acceptLanguage?: string
): string {
  const { code, message, details } = toErrorAnswer(error, acceptLanguage, FRAME_FIELDS)
  const related = {
    ...details,
    ...(cause.type !== undefined && { ref_type: cause.type.slice(0, 64) }),
    ...(cause.id !== undefined && { request_id: cause.id })
  }
  return encodeFrame('error', { error_code: code, message, details: related }, time)
}

export function toUser({ id, nickname, avatarUrl }: AccountRef) {
  return { id, nickname, avatar_url: avatarUrl }
}

/** A private chat is called what the other side is called. */
export function toChat(chat: ChatRef, viewerId: number) {
  return {
    id: chat.id,
    type: chat.kind === 'group' && chat.isChannel ? 'channel' : chat.kind,
    title: chat.kind === 'group' ? chat.name : otherSide(chat.parties, viewerId).nickname
  }
}

function otherSide([low, high]: readonly [AccountRef, AccountRef], viewerId: number): AccountRef {
  return low.id === viewerId ? high : low
}

/** One file goes with a message, the first; of further ones (bots send such) the text has a word in brackets. */
export function toMessage(message: Message, linkOf: LinkOf) {
  const reply = message.segments.find((segment) => segment.type === 'reply')
  const media = message.segments.find((segment) => segment.type === 'media')
  return {
    id: message.id,
    chat_id: message.chatId,
    sender_id: message.senderId,
    content: toPlainText(message.segments.filter((segment) => segment !== media)),
    message_type: media?.kind ?? 'text',
    created_at: toTimestamp(message.time),
    ...(reply && { reply_to_id: reply.messageId }),
    ...(media && toFileFields(media.file, linkOf))
  }
}

function toFileFields(file: MediaFile, linkOf: LinkOf) {
  const { name, size, mime } = file
  return {
    file_url: linkOf(file),
    ...(name !== '' && { file_name: name }),
    ...(size > 0 && { file_size: size }),
    ...(mime !== '' && { mime_type: mime })
  }
}

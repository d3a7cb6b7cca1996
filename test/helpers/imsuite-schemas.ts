import { FormatRegistry, Type, type TObject, type TProperties } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'

// Every frame that a base client may get, with exactly the keys and types of the document (contract 2.0, 2.4). Written
// down by hand from the document: the judge of the codec must not be made from it.

FormatRegistry.Set(
  'timestamp',
  (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) && !Number.isNaN(Date.parse(text))
)

const exact = <T extends TProperties>(properties: T): TObject<T> =>
  Type.Object(properties, { additionalProperties: false })
const Time = Type.String({ format: 'timestamp' })
const Id = Type.Integer({ minimum: 1 })
const Words = Type.String()

const user = exact({ id: Id, nickname: Words, avatar_url: Words })
const chat = exact({
  id: Id,
  type: Type.Union([Type.Literal('private'), Type.Literal('group'), Type.Literal('channel')]),
  title: Words
})
const messageType = Type.Union(
  ['text', 'image', 'video', 'audio', 'voice', 'file', 'sticker', 'gif'].map((type) => Type.Literal(type))
)
// A message that is not text could not be shown without these; they are there only when set (contract 2.4).
const more = {
  reply_to_id: Type.Optional(Id),
  file_url: Type.Optional(Words),
  file_name: Type.Optional(Words),
  file_size: Type.Optional(Type.Integer()),
  mime_type: Type.Optional(Words),
  is_silent: Type.Optional(Type.Boolean())
}
const candidate = Type.Object({ candidate: Words })
const parties = { call_id: Type.String({ minLength: 1 }), from_user: Id, to_user: Id }

const payloads = {
  connect: exact({ status: Type.Literal('connected'), user_id: Id, server_time: Time }),
  disconnect: exact({ status: Type.Literal('disconnected'), reason: Words }),
  'message.new': exact({
    message: exact({
      id: Id,
      chat_id: Id,
      sender_id: Id,
      content: Words,
      message_type: messageType,
      created_at: Time,
      ...more
    }),
    chat,
    sender: user
  }),
  'message.edit': exact({
    message: exact({
      id: Id,
      chat_id: Id,
      sender_id: Id,
      content: Words,
      message_type: messageType,
      is_edited: Type.Literal(true),
      updated_at: Time,
      ...more
    }),
    chat
  }),
  'message.delete': exact({ message_id: Id, chat_id: Id, deleted_by: Id, deleted_at: Time }),
  'message.read': exact({ message_id: Id, chat_id: Id, read_by: Id, read_at: Time }),
  typing: exact({ chat_id: Id, user_id: Id, is_typing: Type.Boolean(), user }),
  presence: exact({ user_id: Id, is_online: Type.Boolean(), last_seen: Time, user }),
  'call.offer': exact({
    ...parties,
    call_type: Type.Union([Type.Literal('audio'), Type.Literal('video')]),
    sdp: Words,
    ice_candidates: Type.Array(candidate),
    created_at: Time
  }),
  'call.answer': exact({ ...parties, sdp: Words, ice_candidates: Type.Array(candidate), answered_at: Time }),
  'call.ice': exact({ ...parties, ice_candidate: candidate }),
  'call.end': exact({ ...parties, reason: Words, duration: Type.Integer({ minimum: 0 }), ended_at: Time }),
  error: exact({ error_code: Type.String({ pattern: '^[A-Z_]+$' }), message: Words, details: Type.Object({}) }),
  notification: exact({
    title: Words,
    message: Words,
    type: Type.Union(['info', 'warning', 'error', 'success'].map((type) => Type.Literal(type))),
    action_url: Words
  }),
  pong: exact({ timestamp: Words })
}

export const BASE_TYPES = Object.keys(payloads)

const checks = new Map(
  Object.entries(payloads).map(([type, payload]) => [
    type,
    TypeCompiler.Compile(exact({ type: Type.Literal(type), payload, timestamp: Time }))
  ])
)

/** What is wrong with a frame that a base client got; undefined when nothing is. */
export function faultOf(frame: object & { readonly type?: unknown }): string | undefined {
  const check = checks.get(String(frame.type))
  if (!check) return `${String(frame.type)} is no type of the document`
  const error = check.Errors(frame).First()
  return error && `${String(frame.type)}${error.path}: ${error.message}`
}

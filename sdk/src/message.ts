/** An id as it is met in the field: documents say string, adapters send integers (contract 5.2). */
export type Id = string | number

/** One piece of a message: `{"type","data"}`. What `data` is depends on the type (contract 5.3). */
export interface Seg {
  readonly type: string | null
  readonly data: unknown
}

export interface GroupInfo {
  readonly platform?: string | null
  readonly group_id?: Id | null
  readonly group_name?: string | null
}

export interface UserInfo {
  readonly platform?: string | null
  readonly user_id?: Id | null
  readonly user_nickname?: string | null
  readonly user_cardname?: string | null
}

/** What a message consists of, and what its sender can show. */
export interface FormatInfo {
  readonly content_format?: readonly string[] | null
  readonly accept_format?: readonly string[] | null
}

export interface TemplateInfo {
  readonly template_items?: unknown
  readonly template_name?: unknown
  readonly template_default?: unknown
}

/** One side of a message. */
export interface InfoBase {
  readonly group_info?: GroupInfo | null
  readonly user_info?: UserInfo | null
}

export type SenderInfo = InfoBase
export type ReceiverInfo = InfoBase

export interface BaseMessageInfo {
  readonly platform?: string | null
  readonly message_id?: Id | null
  /** Unix seconds, with fractions. */
  readonly time?: number | null
  readonly group_info?: GroupInfo | null
  readonly user_info?: UserInfo | null
  readonly format_info?: FormatInfo | null
  readonly template_info?: TemplateInfo | null
  readonly additional_config?: Readonly<Record<string, unknown>> | null
  readonly sender_info?: SenderInfo | null
  readonly receiver_info?: ReceiverInfo | null
}

/** A message of the legacy protocol (contract 1.3). */
export interface MessageBase {
  readonly message_info: BaseMessageInfo
  readonly message_segment: Seg
  readonly raw_message?: string | null
}

/** Whom a message is for, not who sent it (API-Server guide, "消息路由机制"). */
export interface MessageDim {
  readonly api_key: string
  readonly platform: string
}

/** A message of the API-Server protocol (contract 2.6). */
export interface APIMessageBase {
  readonly message_info: Omit<BaseMessageInfo, 'group_info' | 'user_info'> & {
    readonly platform: string
    readonly message_id: Id
    readonly time: number
  }
  readonly message_segment: Seg
  readonly message_dim: MessageDim
}

type Fields = Readonly<Record<string, unknown>>

/** What was sent is no message; the text begins with the field. */
export class MessageError extends Error {
  override readonly name = 'MessageError'
}

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function mustBeObject(value: unknown, field: string): Fields {
  if (!isObject(value)) throw new MessageError(`${field}: expected an object`)
  return value
}

/** Only objects count; everything else is as if it were not there. */
function part<T>(value: unknown, read: (fields: Fields) => T): T | null {
  return isObject(value) ? read(value) : null
}

const orNull = (value: unknown): never => (value ?? null) as never

/** Lists this deep are nobody's message, and would end the stack. */
const MAX_DEPTH = 64

function readSeg(value: unknown, field: string, depth = 0): Seg {
  const { type, data } = mustBeObject(value, field)
  if (type !== 'seglist') return { type: orNull(type), data: orNull(data) }
  if (!Array.isArray(data)) throw new MessageError(`${field}.data: expected a list of segments`)
  if (depth === MAX_DEPTH) throw new MessageError(`${field}: nested too deeply`)
  return { type, data: data.map((seg, index) => readSeg(seg, `${field}.data[${index}]`, depth + 1)) }
}

/** Segments: what is given to `data` and what it becomes (contract 5.3). */
export const Seg = {
  /** Reads `{"type","data"}`; throws `MessageError` when it is none. */
  from: (value: unknown): Seg => readSeg(value, 'message_segment'),
  text: (text: string): Seg => ({ type: 'text', data: text }),
  list: (segments: readonly Seg[]): Seg => ({ type: 'seglist', data: segments }),
  /** `base64`: the bytes of a picture, without a `data:` prefix. */
  image: (base64: string): Seg => ({ type: 'image', data: base64 }),
  /** `base64`: the bytes of a sticker, without a `data:` prefix. */
  emoji: (base64: string): Seg => ({ type: 'emoji', data: base64 }),
  /** `base64`: WAV or MP3, without a `data:` prefix. */
  voice: (base64: string): Seg => ({ type: 'voice', data: base64 }),
  at: (userId: Id): Seg => ({ type: 'at', data: String(userId) }),
  reply: (messageId: Id): Seg => ({ type: 'reply', data: String(messageId) }),
  /** The segments of a message, whether or not they came in a list; lists in lists are taken apart. */
  flatten(seg: Seg): readonly Seg[] {
    return seg.type === 'seglist' && Array.isArray(seg.data)
      ? (seg.data as Seg[]).flatMap((inner) => Seg.flatten(inner))
      : [seg]
  },
  /** What is written in a message: its texts one after the other, without all else. */
  textOf: (seg: Seg): string =>
    Seg.flatten(seg)
      .map(({ type, data }) => (type === 'text' ? String(data ?? '') : ''))
      .join('')
}

const readFormat = (fields: Fields): FormatInfo => ({
  content_format: orNull(fields['content_format']),
  accept_format: orNull(fields['accept_format'])
})

const readTemplate = (fields: Fields): TemplateInfo => ({
  template_items: orNull(fields['template_items']),
  template_name: orNull(fields['template_name']),
  template_default: 'template_default' in fields ? fields['template_default'] : true
})

const readUser = (fields: Fields): UserInfo => ({
  platform: orNull(fields['platform']),
  user_id: orNull(fields['user_id']),
  user_nickname: orNull(fields['user_nickname']),
  user_cardname: orNull(fields['user_cardname'])
})

/** A group without an id is no group (contract 1.4). */
const readGroup = (fields: Fields): GroupInfo | null =>
  fields['group_id'] == null
    ? null
    : {
        platform: orNull(fields['platform']),
        group_id: fields['group_id'] as Id,
        group_name: orNull(fields['group_name'])
      }

/** A user that is not named at all is one of whom nothing is known; only null is nobody. */
const readSide = (fields: Fields): InfoBase => ({
  group_info: part(fields['group_info'], readGroup),
  user_info: 'user_info' in fields ? part(fields['user_info'], readUser) : readUser({})
})

const readInfo = (fields: Fields): BaseMessageInfo => ({
  platform: orNull(fields['platform']),
  message_id: orNull(fields['message_id']),
  time: orNull(fields['time']),
  group_info: part(fields['group_info'], readGroup),
  user_info: part(fields['user_info'], readUser),
  format_info: part(fields['format_info'], readFormat),
  template_info: part(fields['template_info'], readTemplate),
  additional_config: orNull(fields['additional_config']),
  sender_info: part(fields['sender_info'], readSide),
  receiver_info: part(fields['receiver_info'], readSide)
})

function withoutNulls(object: object): Record<string, unknown> {
  const kept: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(object)) if (value != null) kept[key] = value
  return kept
}

const INFO_KEYS = [
  'platform',
  'message_id',
  'time',
  'group_info',
  'user_info',
  'format_info',
  'template_info',
  'additional_config',
  'sender_info',
  'receiver_info'
] as const

/** Messages of the legacy protocol, by the rules of contract 1.4. */
export const MessageBase = {
  /** Reads what `JSON.parse` gave. Unknown keys are dropped, nothing is coerced. Throws `MessageError`. */
  from(value: unknown): MessageBase {
    const { message_info = {}, message_segment = {}, raw_message } = mustBeObject(value, 'message')
    return {
      message_info: readInfo(mustBeObject(message_info, 'message_info')),
      message_segment: readSeg(message_segment, 'message_segment'),
      raw_message: orNull(raw_message)
    }
  },

  /** What is written to the wire: nulls at the top are left out, those inside stay; keys in the order of the contract. */
  toObject(message: MessageBase): Record<string, unknown> {
    const given = message.message_info
    // What a program wrote itself has keys missing; read once, they are all there.
    const whole = readInfo(given as Fields)
    const info: Record<string, unknown> = {}
    for (const key of INFO_KEYS) if (whole[key] != null) info[key] = whole[key]
    const { raw_message } = message
    return {
      message_info: info,
      message_segment: message.message_segment,
      ...(raw_message != null && { raw_message })
    }
  }
}

function mustHave(fields: Fields, key: string, field: string): unknown {
  const value = fields[key]
  if (value == null) throw new MessageError(`${field}.${key}: missing`)
  return value
}

function readApiUser(fields: Fields, field: string): UserInfo {
  mustHave(fields, 'platform', field)
  mustHave(fields, 'user_id', field)
  return readUser(fields)
}

function readApiGroup(fields: Fields, field: string): GroupInfo | null {
  mustHave(fields, 'platform', field)
  mustHave(fields, 'group_id', field)
  return readGroup(fields)
}

const isEmpty = (fields: Fields): boolean => Object.keys(fields).length === 0

const readApiSide =
  (field: string) =>
  (fields: Fields): InfoBase => ({
    group_info: part(fields['group_info'], (group) =>
      isEmpty(group) ? null : readApiGroup(group, `${field}.group_info`)
    ),
    user_info: part(fields['user_info'], (user) => (isEmpty(user) ? null : readApiUser(user, `${field}.user_info`)))
  })

function toApiSide({ group_info, user_info }: InfoBase): Record<string, unknown> {
  const group = group_info && readGroup(group_info as Fields)
  return {
    ...(group && { group_info: withoutNulls(group) }),
    ...(user_info != null && { user_info: withoutNulls(readUser(user_info as Fields)) })
  }
}

/** Messages of the API-Server protocol, by the rules of contract 2.6. */
export const APIMessageBase = {
  /** Reads what `JSON.parse` gave. Throws `MessageError` when something is missing that is required. */
  from(value: unknown): APIMessageBase {
    const fields = mustBeObject(value, 'message')
    const info = mustBeObject(fields['message_info'], 'message_info')
    const dim = mustBeObject(fields['message_dim'], 'message_dim')
    return {
      message_info: {
        platform: mustHave(info, 'platform', 'message_info') as string,
        message_id: mustHave(info, 'message_id', 'message_info') as Id,
        time: mustHave(info, 'time', 'message_info') as number,
        format_info: part(info['format_info'], readFormat),
        template_info: part(info['template_info'], readTemplate),
        additional_config: orNull(info['additional_config']),
        sender_info: part(info['sender_info'], readApiSide('message_info.sender_info')),
        receiver_info: part(info['receiver_info'], readApiSide('message_info.receiver_info'))
      },
      message_segment: readSeg(fields['message_segment'], 'message_segment'),
      message_dim: {
        api_key: mustHave(dim, 'api_key', 'message_dim') as string,
        platform: mustHave(dim, 'platform', 'message_dim') as string
      }
    }
  },

  /** What is written to the wire: no nulls at any level, keys in the order of the contract. */
  toObject({ message_info: info, message_segment, message_dim }: APIMessageBase): Record<string, unknown> {
    const { platform, message_id, time, format_info, template_info, additional_config } = info
    return {
      message_info: {
        platform,
        message_id,
        time,
        ...(format_info != null && { format_info: withoutNulls(readFormat(format_info as Fields)) }),
        ...(template_info != null && { template_info: withoutNulls(readTemplate(template_info as Fields)) }),
        ...(additional_config != null && { additional_config }),
        ...(info.sender_info != null && { sender_info: toApiSide(info.sender_info) }),
        ...(info.receiver_info != null && { receiver_info: toApiSide(info.receiver_info) })
      },
      message_segment,
      message_dim
    }
  }
}

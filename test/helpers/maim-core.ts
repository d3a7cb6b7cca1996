import { APIMessageBase, MessageBase, isObject, type Seg } from '../../sdk/src/message.ts'
import { MessageConverter } from '../../sdk/src/converter.ts'

/** What a MaiBot core has understood of a message. */
export interface Heard {
  readonly platform: string
  readonly messageId: string
  /** Unix seconds. */
  readonly time: number
  readonly userId: string
  readonly nickname: string
  readonly card: string | null
  /** Undefined in a private chat. */
  readonly groupId: string | undefined
  readonly groupName: string | undefined
  readonly isAt: boolean
  readonly isMentioned: boolean
  /** The account of the bot, for routing. */
  readonly account: string | undefined
  readonly components: readonly Component[]
  /** What the language model reads. */
  readonly text: string
}

export interface Component {
  readonly type: string
  /** Of text, at and reply; what a file is called. */
  readonly text: string
  /** Of images, stickers, voices, and files that have them. */
  readonly bytes?: Buffer
}

export type Verdict = { readonly heard: Heard } | { readonly lost: string }

class Lost extends Error {}

function must(isSo: unknown, why: string): asserts isSo {
  if (!isSo) throw new Lost(why)
}

const mustBeText = (value: unknown, field: string): string => {
  must(typeof value === 'string', `${field}: expected a string, got ${JSON.stringify(value)}`)
  // Python's own strings may hold it, its databases and sockets refuse it.
  must(value.isWellFormed(), `${field}: holds half of a surrogate pair`)
  return value
}

/** Platforms that a core keeps for itself (contract 5.1). */
const RESERVED = new Set(['webui', 'bot_console', 'maisaka_cli'])

/**
 * What a stock core of 1.x does with a message, by the assertions of contract 5.1: it is heard, or lost without a trace.
 * Takes the text of a frame, or the object in it; messages of the API-Server protocol go through the library's converter.
 */
export function hearAsCore(wire: string | object): Verdict {
  const text = typeof wire === 'string' ? wire : JSON.stringify(wire)
  try {
    return { heard: hear(toMessage(JSON.parse(text))) }
  } catch (err) {
    return { lost: (err as Error).message }
  }
}

/** The same for tests in which it must be heard. */
export function mustHear(wire: string | object): Heard {
  const verdict = hearAsCore(wire)
  if ('lost' in verdict) throw new Error(`lost: ${verdict.lost}`)
  return verdict.heard
}

function toMessage(value: unknown): MessageBase {
  const isApi = isObject(value) && 'message_dim' in value
  return isApi ? MessageConverter.fromApiReceive(APIMessageBase.from(value)) : MessageBase.from(value)
}

function hear({ message_info: info, message_segment }: MessageBase): Heard {
  const platform = mustBeText(info.platform, 'platform')
  must(!RESERVED.has(platform.trim().toLowerCase()), `platform: ${platform} is reserved`)
  must(info.message_id, 'message_id: empty')
  must(typeof info.time === 'number' && info.time > 0 && info.time < 253_402_300_800, 'time: no point in time')
  const { user_info: user, group_info: group } = info
  must(user, 'user_info: missing')
  // The core makes texts of ids before it looks; of names it does not.
  must(user.user_id != null, 'user_id: missing')
  const config = info.additional_config ?? {}
  must(isObject(config), 'additional_config: expected an object')
  mustBeText(JSON.stringify(config), 'additional_config')
  const components = toComponents(message_segment)
  const account = config['platform_io_account_id']
  return {
    platform,
    messageId: mustBeText(String(info.message_id), 'message_id'),
    time: info.time,
    userId: mustBeText(String(user.user_id), 'user_id'),
    nickname: mustBeText(user.user_nickname, 'user_nickname'),
    card: user.user_cardname == null ? null : mustBeText(user.user_cardname, 'user_cardname'),
    groupId: group ? mustBeText(String(group.group_id), 'group_id') : undefined,
    groupName: group ? mustBeText(group.group_name, 'group_name') : undefined,
    isAt: Boolean(config['at_bot']),
    isMentioned: Boolean(config['at_bot']) || config['is_mentioned'] != null,
    account: account == null ? undefined : String(account),
    components,
    text: components.map(({ type, text }) => READ[type]?.(text) ?? text).join(' ')
  }
}

const READ: { readonly [type: string]: (text: string) => string } = {
  image: () => '[图片]',
  emoji: () => '[表情包]',
  voice: () => '[语音消息]',
  file: (name) => `[文件] ${name}`,
  at: (id) => `@${id}`,
  reply: (id) => `[回复 ${id}]`
}

/** One level of list; what is in it is read by a function that knows no lists. */
function toComponents(seg: Seg): Component[] {
  if (seg.type !== 'seglist') return [toComponent(seg)]
  must(Array.isArray(seg.data), 'seglist: expected a list')
  return (seg.data as Seg[]).map(toComponent)
}

function toComponent({ type, data }: Seg): Component {
  switch (type) {
    case 'text':
    case 'reply':
      return { type, text: mustBeText(data, type) }
    case 'image':
    case 'emoji':
    case 'voice':
      return { type, text: '', bytes: decode(data, type) }
    case 'file': {
      must(isObject(data), 'file: expected an object')
      const { base64, name = '' } = data
      return { type, text: mustBeText(name, 'file.name'), ...(base64 != null && { bytes: decode(base64, 'file') }) }
    }
    case 'at':
      // Cores before the object form take the id alone.
      return { type, text: mustBeText(data, 'at') }
    case 'dict':
      must(isObject(data), 'dict: expected an object')
      return { type, text: mustBeText(JSON.stringify(data), 'dict') }
    default:
      throw new Lost(`NotImplementedError: segment of type ${type}`)
  }
}

/** A `data:` prefix would be decoded too, into rubbish. */
function decode(data: unknown, field: string): Buffer {
  const base64 = mustBeText(data, field)
  must(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64), `${field}: no base64`)
  must(base64 !== '', `${field}: empty`)
  return Buffer.from(base64, 'base64')
}

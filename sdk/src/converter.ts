import type { APIMessageBase, GroupInfo, Id, InfoBase, MessageBase, UserInfo } from './message.ts'

export interface ConvertOptions {
  /** Whom the message is for. */
  readonly apiKey: string
  /** Overrides the platform of the message, everywhere in it. */
  readonly platform?: string | undefined
  /** Unix milliseconds; `Date.now` when absent. */
  readonly now?: (() => number) | undefined
}

/** An id as text; none at all is the empty string (contract 4, rule 4). */
const toText = (id: Id | null | undefined): string => (id ? String(id) : '')

function toGroup(group: GroupInfo, target: string): GroupInfo {
  const { platform, group_id, group_name = null } = group
  return { platform: platform || target, group_id: toText(group_id), group_name }
}

function toUser(user: UserInfo, target: string): UserInfo {
  const { platform, user_id, user_nickname = null, user_cardname = null } = user
  return { platform: platform || target, user_id: toText(user_id), user_nickname, user_cardname }
}

/** Legacy message → API message; the one side that the legacy message names becomes `side`, the other is lost. */
function toApi(message: MessageBase, side: 'sender_info' | 'receiver_info', options: ConvertOptions): APIMessageBase {
  const { message_info: info, message_segment } = message
  const { apiKey, platform, now = Date.now } = options
  const target = platform || info.platform || 'unknown'
  const group = info.group_info ?? info.sender_info?.group_info ?? info.receiver_info?.group_info
  const user = info.user_info ?? info.sender_info?.user_info ?? info.receiver_info?.user_info
  const given: InfoBase = {
    group_info: group ? toGroup(group, platform ?? target) : null,
    user_info: user ? toUser(user, platform ?? target) : null
  }
  return {
    message_info: {
      platform: target,
      message_id: toText(info.message_id) || String(now()),
      time: info.time || now() / 1000,
      format_info: info.format_info ?? null,
      template_info: info.template_info ?? null,
      additional_config: info.additional_config ?? null,
      ...((group || user) && { [side]: given })
    },
    message_segment,
    message_dim: { api_key: apiKey, platform: target }
  }
}

/** API message → legacy message: who stands directly in it is taken from `side`; both sides stay as they are. */
function fromApi(
  { message_info: info, message_segment }: APIMessageBase,
  side: InfoBase | null | undefined
): MessageBase {
  const { platform, message_id, time, format_info, template_info, additional_config } = info
  return {
    message_info: {
      platform,
      message_id,
      time,
      group_info: side?.group_info ?? null,
      user_info: side?.user_info ?? null,
      format_info: format_info ?? null,
      template_info: template_info ?? null,
      additional_config: additional_config ?? null,
      sender_info: info.sender_info ?? null,
      receiver_info: info.receiver_info ?? null
    },
    message_segment,
    raw_message: null
  }
}

/** Between the shapes of the two protocols (contract 4). "Receive" is from people to a brain, "send" from a brain to people. */
export const MessageConverter = {
  toApiReceive: (message: MessageBase, options: ConvertOptions): APIMessageBase =>
    toApi(message, 'sender_info', options),
  toApiSend: (message: MessageBase, options: ConvertOptions): APIMessageBase =>
    toApi(message, 'receiver_info', options),
  fromApiReceive: (message: APIMessageBase): MessageBase => fromApi(message, message.message_info.sender_info),
  fromApiSend: (message: APIMessageBase): MessageBase => fromApi(message, message.message_info.receiver_info)
}

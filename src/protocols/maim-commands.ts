import { ActionError } from '../core/errors.ts'
import type { FriendEntity, GroupEntity, GroupMemberEntity } from '../schema/entity.ts'
import type { IncomingMessage } from '../schema/message.ts'
import type { IncomingSegment } from '../schema/segment.ts'
import { CommandError, countIn, flagIn, idIn, idsIn, textIn, type Command } from './maim-command.ts'
import type { Target } from './maim-target.ts'

type Fields = Readonly<Record<string, unknown>>

/** Where a message is, as the actions name it. */
export interface MessagePlace {
  readonly message_scene: 'friend' | 'group'
  readonly peer_id: number
  readonly message_seq: number
}

/** What commands are made of. Each throws `ActionError` to refuse. */
export interface CommandTools {
  /** Runs an action on behalf of the bot. */
  readonly call: (action: string, params: object) => Promise<object>
  /** The place of a message, by its global id. */
  readonly findMessage: (messageId: number) => Promise<MessagePlace>
  /** The global id of another message in the same chat. */
  readonly findMessageId: (messageId: number, seq: number) => Promise<number | undefined>
}

interface Order {
  readonly args: Fields
  /** Whom the message is for that the command stands in; undefined when it names nobody. */
  readonly target: Target | undefined
  readonly tools: CommandTools
}

type Run = (order: Order) => Promise<unknown>

/** Members that are removed at once. */
const MAX_MEMBERS = 100
/** Thirty days: what adapters allow. */
const MAX_MUTE_S = 2_592_000

/** The group that the arguments name, or else the one that the message is for. */
function groupOf({ args, target }: Order): number {
  if (args['group_id'] != null && args['group_id'] !== '') return idIn(args, 'group_id')
  if (target && 'group_id' in target) return target.group_id
  throw new CommandError('group_id: expected a group, the message is for none')
}

/** MaiBot says `qq_id` in some commands and `user_id` in others. */
const userOf = ({ args }: Order): number => idIn(args, 'user_id', 'qq_id')

/** What changes something; done once under one key. */
export const DEEDS: { readonly [name: string]: Run } = {
  GROUP_BAN(order) {
    const duration = countIn(order.args, 'duration')
    if (duration > MAX_MUTE_S) throw new CommandError(`duration: expected at most ${MAX_MUTE_S} s`)
    return order.tools.call('set_group_member_mute', { group_id: groupOf(order), user_id: userOf(order), duration })
  },
  GROUP_WHOLE_BAN: (order) =>
    order.tools.call('set_group_whole_mute', { group_id: groupOf(order), is_mute: flagIn(order.args, 'enable') }),
  GROUP_KICK: (order) => kick(order, groupOf(order), userOf(order)),
  async GROUP_KICK_MEMBERS(order) {
    const group = groupOf(order)
    const failures: string[] = []
    const members = idsIn(order.args, 'user_id', MAX_MEMBERS)
    for (const member of members) {
      await kick(order, group, member).catch((err: unknown) => {
        if (!(err instanceof ActionError)) throw err
        failures.push(`${member}: ${err.message}`)
      })
    }
    if (failures.length > 0)
      throw new CommandError(
        `user_id: ${failures.length} of ${members.length} were not removed: ${failures.join('; ')}`
      )
    return {}
  },
  SET_GROUP_NAME: (order) =>
    order.tools.call('set_group_name', {
      group_id: groupOf(order),
      new_group_name: textIn(order.args, 'group_name')
    }),
  SEND_POKE(order) {
    const user_id = userOf(order)
    const isPrivate = order.args['group_id'] == null && !(order.target && 'group_id' in order.target)
    if (isPrivate) return order.tools.call('send_friend_nudge', { user_id })
    return order.tools.call('send_group_nudge', { group_id: groupOf(order), user_id })
  },
  async DELETE_MSG({ args, tools }) {
    await tools.call('delete_chat_message', { message_id: idIn(args, 'message_id') })
    return {}
  },
  SET_MSG_EMOJI_LIKE: react,
  // What older adapters call it.
  MESSAGE_LIKE: react,
  async SET_QQ_PROFILE({ args, tools }) {
    const { personal_note: note } = args
    await tools.call('set_nickname', { new_nickname: textIn(args, 'nickname') })
    if (typeof note === 'string') await tools.call('set_bio', { new_bio: note })
    return {}
  },
  async AI_VOICE_SEND() {
    throw new CommandError('AI_VOICE_SEND: there is no voice here that could read it out; send a voice segment instead')
  }
}

function kick({ args, tools }: Order, group_id: number, user_id: number): Promise<object> {
  const reject_add_request = flagIn(args, 'reject_add_request', false)
  return tools.call('kick_group_member', { group_id, user_id, reject_add_request })
}

/** QQ numbers its own faces up to three digits; longer numbers are code points. */
const MAX_FACE = 999

function react({ args, tools }: Order): Promise<object> {
  const message_id = idIn(args, 'message_id')
  const given = textIn(args, 'emoji_id')
  const isFace = /^\d+$/.test(given) && Number(given) <= MAX_FACE
  return tools.call('react_in_chat', {
    message_id,
    reaction: given,
    reaction_type: isFace ? 'face' : 'emoji',
    is_add: flagIn(args, 'set', true)
  })
}

/** What is only asked; answered in the shapes of OneBot 11, which brains know from MaiBot's adapter. */
export const QUESTIONS: { readonly [name: string]: Run } = {
  async GET_LOGIN_INFO({ tools }) {
    const { uin, nickname } = (await tools.call('get_login_info', {})) as { uin: number; nickname: string }
    return { user_id: uin, nickname }
  },
  async GET_STRANGER_INFO(order) {
    const user_id = userOf(order)
    const { nickname, sex, age, qid, level } = (await order.tools.call('get_user_profile', { user_id })) as Fields
    return { user_id, nickname, sex, age, qid, level }
  },
  async GET_FRIEND_LIST({ tools }) {
    const { friends } = (await tools.call('get_friend_list', {})) as { friends: FriendEntity[] }
    return friends.map(({ user_id, nickname, remark }) => ({ user_id, nickname, remark }))
  },
  GET_GROUP_INFO: getGroup,
  GET_GROUP_DETAIL_INFO: getGroup,
  async GET_GROUP_LIST({ tools }) {
    const { groups } = (await tools.call('get_group_list', {})) as { groups: GroupEntity[] }
    return groups.map(toGroup)
  },
  async GET_GROUP_AT_ALL_REMAIN(order) {
    await getGroup(order)
    // Nobody counts here how often all are mentioned.
    return { can_at_all: true, remain_at_all_count_for_group: 999, remain_at_all_count_for_uin: 999 }
  },
  async GET_GROUP_MEMBER_INFO(order) {
    const params = { group_id: groupOf(order), user_id: userOf(order) }
    const { member } = (await order.tools.call('get_group_member_info', params)) as { member: GroupMemberEntity }
    return toMember(member)
  },
  async GET_GROUP_MEMBER_LIST(order) {
    const params = { group_id: groupOf(order) }
    const { members } = (await order.tools.call('get_group_member_list', params)) as { members: GroupMemberEntity[] }
    return members.map(toMember)
  },
  async GET_MSG({ args, tools }) {
    const messageId = idIn(args, 'message_id')
    return toMessage(await getMessage(tools, messageId), messageId, tools)
  },
  async GET_FORWARD_MSG({ args, tools }) {
    const forwardId = await findForward(idIn(args, 'message_id', 'id'), tools)
    const { messages } = (await tools.call('get_forward', { forward_id: String(forwardId) })) as {
      messages: ForwardedMessage[]
    }
    return { messages: messages.map(toForwarded) }
  }
}

interface ForwardedMessage {
  readonly user_id: number
  readonly message_seq: number
  readonly sender_name: string
  readonly time: number
  readonly segments: readonly IncomingSegment[]
}

async function getMessage(tools: CommandTools, messageId: number): Promise<IncomingMessage> {
  const { message } = (await tools.call('get_message', await tools.findMessage(messageId))) as {
    message: IncomingMessage
  }
  return message
}

/** OneBot asks by the message that shows it; a brain that has heard the number of the forward may ask by that. */
async function findForward(id: number, tools: CommandTools): Promise<number | string> {
  const message = await getMessage(tools, id).catch((err: unknown) => {
    if (err instanceof ActionError && err.reason === 'not_found') return undefined
    throw err
  })
  const shown = message?.segments.find((segment) => segment.type === 'forward')
  return shown ? shown.data.forward_id : id
}

async function getGroup(order: Order): Promise<object> {
  const { group } = (await order.tools.call('get_group_info', { group_id: groupOf(order) })) as { group: GroupEntity }
  return toGroup(group)
}

function toGroup(group: GroupEntity): object {
  const { group_id, group_name, member_count, max_member_count, remark, created_time, description } = group
  return {
    group_id,
    group_name,
    member_count,
    max_member_count,
    group_remark: remark,
    group_create_time: created_time,
    group_memo: description
  }
}

function toMember(member: GroupMemberEntity): object {
  const { level, shut_up_end_time = 0, ...same } = member
  return { ...same, age: 0, area: '', level: String(level), unfriendly: false, shut_up_timestamp: shut_up_end_time }
}

async function toMessage(message: IncomingMessage, messageId: number, tools: CommandTools): Promise<object> {
  const isGroup = message.message_scene === 'group'
  const member = isGroup ? message.group_member : undefined
  const { uin } = (await tools.call('get_login_info', {})) as { uin: number }
  const quoted = message.segments.find((segment) => segment.type === 'reply')
  const quotedId = quoted && (await tools.findMessageId(messageId, quoted.data.message_seq))
  const segments = message.segments.flatMap((segment) => toSegment(segment, quotedId))
  return {
    self_id: uin,
    time: message.time,
    message_type: isGroup ? 'group' : 'private',
    message_id: messageId,
    message_seq: message.message_seq,
    real_id: messageId,
    user_id: message.sender_id,
    ...(isGroup && { group_id: message.peer_id }),
    sender: {
      user_id: message.sender_id,
      nickname: member ? member.nickname : await nameOf(message.sender_id, tools),
      ...(member && { card: member.card, role: member.role })
    },
    message: segments
  }
}

async function nameOf(user_id: number, tools: CommandTools): Promise<unknown> {
  return ((await tools.call('get_user_profile', { user_id })) as Fields)['nickname']
}

function toForwarded({ user_id, message_seq, sender_name, time, segments }: ForwardedMessage): object {
  return {
    user_id,
    message_id: message_seq,
    time,
    sender: { user_id, nickname: sender_name },
    message: segments.flatMap((segment) => toSegment(segment, undefined))
  }
}

/** In the words of OneBot 11. */
function toSegment(segment: IncomingSegment, quotedId: number | undefined): object[] {
  const one = (type: string, data: object): object[] => [{ type, data }]
  switch (segment.type) {
    case 'text':
      return one('text', { text: segment.data.text })
    case 'mention':
      return one('at', { qq: String(segment.data.user_id), name: segment.data.name })
    case 'mention_all':
      return one('at', { qq: 'all' })
    case 'face':
      return one('face', { id: segment.data.face_id })
    case 'reply':
      return quotedId === undefined ? [] : one('reply', { id: String(quotedId) })
    case 'image': {
      const { resource_id, temp_url, summary, sub_type } = segment.data
      return one('image', { file: resource_id, url: temp_url, summary, sub_type: sub_type === 'sticker' ? 1 : 0 })
    }
    case 'record':
      return one('record', { file: segment.data.resource_id, url: segment.data.temp_url })
    case 'video':
      return one('video', { file: segment.data.resource_id, url: segment.data.temp_url })
    case 'file':
      return one('file', {
        file: segment.data.file_name,
        file_id: segment.data.file_id,
        file_size: segment.data.file_size
      })
    case 'forward':
      return one('forward', { id: segment.data.forward_id })
    case 'light_app':
      return one('json', { data: segment.data.json_payload })
  }
}

/** Runs what the table has under the name. Throws `CommandError` or `ActionError`. */
export async function runCommand(
  { name, args }: Command,
  target: Target | undefined,
  tools: CommandTools
): Promise<unknown> {
  const table = isDeed(name) ? DEEDS : QUESTIONS
  const run = Object.hasOwn(table, name) ? table[name] : undefined
  if (!run) throw new CommandError(`name: there is no command "${name}"`)
  return run({ args, target, tools })
}

/** Whether the command changes something. */
export function isDeed(name: string): boolean {
  return Object.hasOwn(DEEDS, name)
}

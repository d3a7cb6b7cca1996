import type { GroupInfo, MessageBase, Seg, UserInfo } from '../../sdk/src/message.ts'
import type { ChatRef, EventOf, GatewayEvent, GroupRef } from '../core/event.ts'
import type { MediaSegment, Segment } from '../core/segment.ts'
import { encodeWith } from './codec.ts'
import {
  cardWord,
  cleanName,
  cleanText,
  cutText,
  faceWord,
  forwardWord,
  mediaWord,
  plainWord,
  sortOf,
  type FindForward
} from './maim-words.ts'

/** Somebody, as a brain is told of them. */
export interface Person {
  readonly id: number
  readonly nickname: string
  /** What they are called in the group; empty or absent for nothing. */
  readonly card?: string | undefined
}

/** What does not stand in an event and was looked up. */
export interface Known {
  readonly platform: string
  readonly notices: NoticeForm
  readonly personOf: (accountId: number) => Person
  readonly findForward: FindForward
}

/** An event that a brain has words for. */
export interface Plan {
  /** Accounts of whom the event holds no more than the id. */
  readonly accountIds: readonly number[]
  /** Forwards among these are told too. */
  readonly segments: readonly Segment[]
  readonly compose: (known: Known) => Telling
}

/** A message to a brain, before it is decided how media are told. */
export interface Telling {
  readonly messageId: string
  /** Unix seconds. */
  readonly time: number
  readonly user: UserInfo
  readonly group: GroupInfo | null
  readonly parts: readonly Part[]
  readonly config: Readonly<Record<string, unknown>>
}

/** `plain` is what the piece reads as in `raw_message`. */
export type Part =
  | { readonly type: 'text'; readonly plain: string }
  | { readonly type: 'seg'; readonly plain: string; readonly seg: Seg }
  | { readonly type: 'media'; readonly plain: string; readonly media: MediaSegment }

/** What our side takes of a brain (contract 5.2), told with every message. */
export const ACCEPT_FORMAT: readonly string[] = [
  'text',
  'image',
  'emoji',
  'voice',
  'at',
  'reply',
  'face',
  'file',
  'video',
  'forward',
  'command',
  'imageurl',
  'voiceurl',
  'videourl',
  'music'
]

/**
 * How what is no message is told: as the segment `notify`, as adapters do (contract 5.3), or in words for a core of 1.x,
 * which loses a message that holds such a segment (contract 5.1).
 */
export type NoticeForm = 'notify' | 'text'

/** The id of every notice as a segment: brains know them by it, and replies to it mean nothing (contract 5.2, 5.3). */
export const NOTICE_ID = 'notice'

/** Undefined for what brains have no word for, and for what the bot says itself. */
export const planTelling: (event: GatewayEvent, botId: number) => Plan | undefined = encodeWith<Plan | undefined>({
  'message.created': (event, botId) => (event.data.sender.id === botId ? undefined : planMessage(event, botId)),
  // What is said stays said for a brain, which has thought about it already.
  'message.edited': null,
  'message.recalled': (event, botId) => {
    const { messageId, senderId, operatorId } = event.data
    return planNotice(event, botId, operatorId, senderId, ({ user, name }) => ({
      text: operatorId === senderId ? '撤回了一条消息' : `撤回了 ${name(senderId)} 的一条消息`,
      notify: {
        sub_type: event.chat.kind === 'group' ? 'group_recall' : 'friend_recall',
        message_id: String(messageId),
        recalled_user_info: user(senderId)
      }
    }))
  },
  'member.joined': (event, botId) => {
    const { accountId, operatorId, inviterId } = event.data
    const actorId = operatorId ?? inviterId ?? accountId
    return planNotice(event, botId, actorId, accountId, ({ user, name }) => ({
      text: joinedText(actorId === accountId, operatorId === undefined, name(accountId)),
      notify: { sub_type: 'group_increase', joined_user_info: user(accountId) }
    }))
  },
  'member.left': (event, botId) => {
    const { accountId, operatorId = accountId } = event.data
    return planNotice(event, botId, operatorId, accountId, ({ user, name }) => ({
      text: operatorId === accountId ? '退出了群' : `将 ${name(accountId)} 移出了群`,
      notify: { sub_type: 'group_decrease', left_user_info: user(accountId) }
    }))
  },
  'member.muted': (event, botId) => {
    const { accountId, operatorId, durationS } = event.data
    return planNotice(event, botId, operatorId, accountId, ({ user, name }) =>
      durationS > 0
        ? {
            text: `禁言了 ${name(accountId)}（${toDuration(durationS)}）`,
            notify: { sub_type: 'ban', duration: durationS, banned_user_info: user(accountId) }
          }
        : {
            text: `解除了 ${name(accountId)} 的禁言`,
            notify: { sub_type: 'lift_ban', lifted_user_info: user(accountId) }
          }
    )
  },
  'group.muted': (event, botId) => {
    const { operatorId, isMute } = event.data
    return planNotice(event, botId, operatorId, undefined, () =>
      isMute
        ? { text: '开启了全员禁言', notify: { sub_type: 'whole_ban', duration: -1, banned_user_info: null } }
        : { text: '解除了全员禁言', notify: { sub_type: 'whole_lift_ban', lifted_user_info: null } }
    )
  },
  'admin.changed': (event, botId) => {
    const { accountId, operatorId, isSet } = event.data
    return planNotice(event, botId, operatorId, accountId, ({ user, name }) => ({
      text: isSet ? `将 ${name(accountId)} 设为管理员` : `取消了 ${name(accountId)} 的管理员身份`,
      notify: { sub_type: 'group_admin', is_set: isSet, admin_user_info: user(accountId) }
    }))
  },
  'owner.changed': (event, botId) => {
    const { accountId, operatorId } = event.data
    return planNotice(event, botId, operatorId, accountId, ({ user, name }) => ({
      text: `将群主转让给了 ${name(accountId)}`,
      notify: { sub_type: 'group_admin', owner_user_info: user(accountId) }
    }))
  },
  'group.renamed': (event, botId) => {
    const name = cleanName(event.data.name, '')
    return planNotice(event, botId, event.data.operatorId, undefined, () => ({
      text: `将群名改为「${name}」`,
      notify: { sub_type: 'group_name', group_name: name }
    }))
  },
  'chat.nudged': (event, botId) => {
    const { senderId, receiverId } = event.data
    if (senderId === botId) return undefined
    return planNotice(event, botId, senderId, receiverId, ({ user, name }) => ({
      text: senderId === receiverId ? '拍了拍自己' : `拍了拍 ${name(receiverId)}`,
      notify: { sub_type: 'poke', target_user_info: user(receiverId) }
    }))
  },
  'essence.changed': (event, botId) => {
    const { messageId, operatorId, isSet } = event.data
    return planNotice(event, botId, operatorId, undefined, () => ({
      text: isSet ? `将一条消息（ID: ${messageId}）设为精华` : `取消了一条消息（ID: ${messageId}）的精华`,
      notify: { sub_type: 'essence', is_set: isSet, message_id: String(messageId) }
    }))
  },
  'file.uploaded': (event, botId) => {
    const { accountId, fileId, name, size } = event.data
    // In a private chat the message has told it already.
    if (event.chat.kind !== 'group' || accountId === botId) return undefined
    return planNotice(event, botId, accountId, undefined, () => ({
      text: `上传了群文件「${cleanName(name, 'file')}」`,
      notify: { sub_type: 'group_upload', file: { file_id: String(fileId), name: cleanName(name, 'file'), size } }
    }))
  },
  // Brains know chats only, and no reactions in them.
  'reaction.changed': null,
  'friend.requested': null,
  'group.requested': null,
  'group.invite_requested': null,
  'group.invited': null,
  'pin.changed': null,
  'account.disabled': null
})

function joinedText(isAlone: boolean, isInvited: boolean, name: string): string {
  if (isAlone) return '加入了群'
  return isInvited ? `邀请 ${name} 加入了群` : `同意 ${name} 加入了群`
}

const UNITS = [
  [86_400, '天'],
  [3600, '小时'],
  [60, '分钟'],
  [1, '秒']
] as const

function toDuration(seconds: number): string {
  let rest = Math.max(1, Math.floor(seconds))
  const words = UNITS.map(([length, unit]) => {
    const count = Math.floor(rest / length)
    rest %= length
    return count > 0 ? `${count}${unit}` : ''
  })
  return words.join('')
}

export function toUserInfo(platform: string, { id, nickname, card = '' }: Person): UserInfo {
  return {
    platform,
    user_id: String(id),
    // Cores lose every message whose sender has no name (contract 5.1).
    user_nickname: cleanName(nickname, String(id)),
    user_cardname: cleanName(card, '') || null
  }
}

function toGroupInfo(platform: string, chat: GroupRef): GroupInfo {
  return { platform, group_id: String(chat.id), group_name: cleanName(chat.name, String(chat.id)) }
}

const groupOf = (platform: string, chat: ChatRef): GroupInfo | null =>
  chat.kind === 'group' ? toGroupInfo(platform, chat) : null

interface Notice {
  readonly text: string
  readonly notify: { readonly sub_type: string; readonly [key: string]: unknown }
}

interface Speech {
  readonly user: (accountId: number) => UserInfo
  /** As the bot would say it: itself is "you". */
  readonly name: (accountId: number) => string
}

/** Something that happened in a chat, told by whoever did it. What programs read stands in `additional_config.notify` too. */
function planNotice(
  { id, time, chat }: Pick<Extract<GatewayEvent, { chat: ChatRef }>, 'id' | 'time' | 'chat'>,
  botId: number,
  actorId: number,
  targetId: number | undefined,
  say: (speech: Speech) => Notice
): Plan | undefined {
  // A private chat is known to a brain by who speaks in it.
  if (chat.kind === 'private' && actorId === botId) return undefined
  return {
    accountIds: [actorId, ...(targetId === undefined ? [] : [targetId])],
    segments: [],
    compose({ platform, personOf, notices }) {
      const user = (accountId: number): UserInfo => toUserInfo(platform, personOf(accountId))
      const name = (accountId: number): string => {
        const { user_cardname, user_nickname } = user(accountId)
        return accountId === botId ? '你' : (user_cardname ?? user_nickname ?? '')
      }
      const { text, notify } = say({ user, name })
      return {
        // Cores of 1.x pass over a message whose id they know.
        messageId: notices === 'notify' ? NOTICE_ID : `${NOTICE_ID}_${id}`,
        time,
        user: user(actorId),
        group: groupOf(platform, chat),
        parts:
          notices === 'notify'
            ? [{ type: 'seg', plain: text, seg: { type: 'notify', data: notify } }]
            : [{ type: 'text', plain: text }],
        config: {
          platform_io_account_id: String(botId),
          ...(targetId !== undefined && { target_id: String(targetId) }),
          notify
        }
      }
    }
  }
}

function planMessage({ chat, data }: EventOf<'message.created'>, botId: number): Plan {
  const { message, sender, member } = data
  return {
    accountIds: [],
    segments: message.segments,
    compose({ platform, findForward }) {
      return {
        messageId: String(message.id),
        time: message.time,
        user: toUserInfo(platform, { id: sender.id, nickname: sender.nickname, card: member?.card }),
        group: groupOf(platform, chat),
        parts: message.segments.map((segment) => toPart(segment, findForward)),
        config: { platform_io_account_id: String(botId), ...toHints(message.segments, botId) }
      }
    }
  }
}

/** Only what is so: cores take any `is_mentioned` that is there, also false, for a mention. */
function toHints(segments: readonly Segment[], botId: number): Record<string, unknown> {
  const isAt = segments.some((segment) => segment.type === 'mention' && segment.accountId === botId)
  const reply = segments.find((segment) => segment.type === 'reply')
  return {
    ...(isAt && { at_bot: true }),
    ...((isAt || reply?.senderId === botId) && { is_mentioned: true }),
    ...(reply && { reply_message_id: String(reply.messageId) })
  }
}

function toPart(segment: Segment, findForward: FindForward): Part {
  switch (segment.type) {
    case 'text':
      return { type: 'text', plain: cleanText(segment.text) }
    case 'mention':
      return { type: 'seg', plain: plainWord(segment), seg: { type: 'at', data: String(segment.accountId) } }
    case 'mention_all':
      return { type: 'text', plain: plainWord(segment) }
    case 'face':
      return { type: 'text', plain: faceWord(segment.faceId) }
    case 'reply':
      return { type: 'seg', plain: '', seg: { type: 'reply', data: String(segment.messageId) } }
    case 'media':
      return { type: 'media', plain: mediaWord(segment), media: segment }
    case 'forward':
      return { type: 'text', plain: forwardWord(segment, findForward) }
    case 'light_app':
      return { type: 'text', plain: cardWord(segment.appName, segment.payload) }
  }
}

/** Media with their bytes; none at all gives a segment that only shows how much it takes. */
export function toWholeSeg(media: MediaSegment, base64: string, link: string): Seg {
  const sort = sortOf(media)
  if (sort === 'image' || sort === 'emoji' || sort === 'voice') return { type: sort, data: base64 }
  return { type: 'file', data: { ...toFileData(media, link), base64 } }
}

/** Media without: a file is one, everything else text that says where it lies. */
export function toLinkSeg(media: MediaSegment, link: string): Seg {
  if (sortOf(media) === 'file') return { type: 'file', data: toFileData(media, link) }
  return { type: 'text', data: mediaWord(media, link) }
}

function toFileData({ file }: MediaSegment, link: string): object {
  const { fileId, name, size, mime } = file
  return {
    name: cleanName(name, 'file'),
    size,
    url: cleanText(link),
    ...(fileId !== undefined && { file_id: String(fileId) }),
    mime_type: cleanName(mime, 'application/octet-stream')
  }
}

export interface AssembleOptions {
  readonly platform: string
  /** The segments that media became, in their order. */
  readonly media: readonly Seg[]
  /** Code units of what is told; everything behind is left out and a note says so. All of it when absent. */
  readonly limit?: number | undefined
}

const CUT_NOTE = '……（内容过长，已截断）'
/** What a message says in which nothing is left that can be told. */
const NOTHING = '[空消息]'

/** The message as it goes to the wire: one list, one level deep, of what every core takes (contract 5.1). */
export function assemble(telling: Telling, { platform, media, limit = Infinity }: AssembleOptions): MessageBase {
  const { segs, plain } = cutParts(telling.parts, media, limit)
  const list = joinText(segs)
  return {
    message_info: {
      platform,
      message_id: telling.messageId,
      time: telling.time,
      group_info: telling.group,
      user_info: telling.user,
      format_info: { content_format: [...new Set(list.map(({ type }) => type ?? ''))], accept_format: ACCEPT_FORMAT },
      additional_config: telling.config
    },
    // Adapters send a notice without a list around it.
    message_segment: list[0]?.type === 'notify' ? list[0] : { type: 'seglist', data: list },
    raw_message: plain
  }
}

function cutParts(parts: readonly Part[], media: readonly Seg[], limit: number): { segs: Seg[]; plain: string } {
  const waiting = media.values()
  const segs: Seg[] = []
  let [plain, used] = ['', 0]
  for (const part of parts) {
    const seg = toSeg(part, waiting)
    const isText = part.type === 'text'
    const length = isText ? part.plain.length : lengthOf(seg, limit)
    if (used + length > limit) {
      const rest = isText ? cutText(part.plain, limit - used) : ''
      return { segs: [...segs, { type: 'text', data: rest + CUT_NOTE }], plain: plain + rest + CUT_NOTE }
    }
    used += length
    plain += part.plain
    segs.push(seg)
  }
  return { segs, plain }
}

/** Nobody asks how long a film is when there is room for everything. */
const lengthOf = (seg: Seg, limit: number): number => (limit === Infinity ? 0 : JSON.stringify(seg).length)

function toSeg(part: Part, media: Iterator<Seg>): Seg {
  if (part.type === 'text') return { type: 'text', data: part.plain }
  if (part.type === 'seg') return part.seg
  return media.next().value ?? { type: 'text', data: part.plain }
}

/** Cores put a space between segments, so what was written without one is one segment. */
function joinText(segs: readonly Seg[]): Seg[] {
  const joined: Seg[] = []
  for (const seg of segs) {
    const last = joined.at(-1)
    if (seg.type !== 'text') joined.push(seg)
    else if (last?.type === 'text')
      joined.splice(-1, 1, { type: 'text', data: `${last.data as string}${seg.data as string}` })
    else if (seg.data !== '') joined.push(seg)
  }
  return joined.length > 0 ? joined : [{ type: 'text', data: NOTHING }]
}

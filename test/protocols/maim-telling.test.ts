import t from 'tap'
import { MessageBase } from '../../sdk/src/message.ts'
import {
  INBOX,
  type ChatRef,
  type EventData,
  type EventKind,
  type GatewayEvent,
  type InboxEventKind
} from '../../src/core/event.ts'
import type { ForwardedMessage, MediaFile, MediaKind, Segment } from '../../src/core/segment.ts'
import {
  ACCEPT_FORMAT,
  assemble,
  planTelling,
  toLinkSeg,
  toWholeSeg,
  type Known
} from '../../src/protocols/maim-telling.ts'
import { cleanName, cutText, FORWARD_LINES } from '../../src/protocols/maim-words.ts'
import { mustHear, type Heard } from '../helpers/maim-core.ts'

const BOT = 10001
const account = (id: number, nickname = `Account ${id}`) => ({ id, nickname, avatarUrl: '' })
const group: ChatRef = {
  id: 100001,
  kind: 'group',
  name: 'Test group',
  memberCount: 3,
  description: '',
  announcement: '',
  createdAt: 1_600_000_000
}
const privately: ChatRef = { id: 1_000_000_001, kind: 'private', parties: [account(BOT), account(10002)] }
const known: Known = {
  platform: 'lactea',
  notices: 'text',
  personOf: (id) => ({ id, nickname: `Account ${id}`, ...(id === 10003 && { card: 'Card of 3' }) }),
  findForward: () => undefined
}
const INBOX_KINDS: ReadonlySet<string> = new Set<InboxEventKind>([
  'friend.requested',
  'group.requested',
  'group.invite_requested',
  'group.invited',
  'pin.changed',
  'account.disabled'
])

function eventOf<K extends EventKind>(kind: K, data: EventData[K], chat: ChatRef = group): GatewayEvent {
  const place = INBOX_KINDS.has(kind) ? INBOX : chat
  return { id: 1, kind, time: 1_700_000_000, chat: place, eventSeq: 1, audience: [BOT], data } as GatewayEvent
}

const said = (
  segments: readonly Segment[],
  { chat = group as ChatRef, senderId = 10002, card = '' } = {}
): GatewayEvent =>
  eventOf(
    'message.created',
    {
      message: { id: 7, chatId: chat.id, seq: 4, senderId, time: 1_700_000_000, segments },
      sender: account(senderId),
      ...(chat.kind === 'group' && {
        member: { role: 'member', card, title: '', mutedUntil: 0, joinedAt: 0 } as const
      })
    },
    chat
  )

/** As it would be told with every piece of media by its bytes, and what a core makes of it. */
function tell(event: GatewayEvent, { knows = known, bytes = 'AAAA' } = {}): { wire: any; heard: Heard } | undefined {
  const telling = planTelling(event, BOT)?.compose(knows)
  if (!telling) return undefined
  const media = telling.parts.flatMap((part) => (part.type === 'media' ? [part.media] : []))
  const message = assemble(telling, {
    platform: 'lactea',
    media: media.map((piece) => toWholeSeg(piece, bytes, 'http://here/9'))
  })
  const wire = MessageBase.toObject(message)
  return { wire, heard: mustHear(wire) }
}

const segsOf = (segments: readonly Segment[], knows = known): unknown =>
  tell(said(segments), { knows })?.wire.message_segment.data

const notify = (event: GatewayEvent) => {
  const told = tell(event)
  return (
    told && {
      by: told.heard.userId,
      text: told.heard.text,
      notify: told.wire.message_info.additional_config.notify.sub_type as string,
      target: told.wire.message_info.additional_config.target_id as string | undefined
    }
  )
}

t.test('a message of a group has all that a core asks for', async (t) => {
  const { wire, heard } = tell(said([{ type: 'text', text: 'hi' }], { card: 'Card' }))!
  t.strictSame(wire, {
    message_info: {
      platform: 'lactea',
      message_id: '7',
      time: 1_700_000_000,
      group_info: { platform: 'lactea', group_id: '100001', group_name: 'Test group' },
      user_info: { platform: 'lactea', user_id: '10002', user_nickname: 'Account 10002', user_cardname: 'Card' },
      format_info: { content_format: ['text'], accept_format: [...ACCEPT_FORMAT] },
      additional_config: { platform_io_account_id: '10001' }
    },
    message_segment: { type: 'seglist', data: [{ type: 'text', data: 'hi' }] },
    raw_message: 'hi'
  })
  t.match(heard, { groupId: '100001', isMentioned: false, isAt: false, account: '10001', text: 'hi' })
})

t.test('a private message names no group', async (t) => {
  const { wire, heard } = tell(said([{ type: 'text', text: 'hi' }], { chat: privately }))!
  t.notOk('group_info' in wire.message_info)
  t.equal(heard.groupId, undefined)
  t.equal(heard.card, null)
})

t.test('what the bot says itself is not told', async (t) => {
  t.equal(tell(said([{ type: 'text', text: 'hi' }], { senderId: BOT })), undefined)
})

const file: MediaFile = {
  fileId: 9,
  name: 'a.bin',
  mime: 'application/octet-stream',
  size: 3,
  width: 0,
  height: 0,
  durationS: 0
}
const media = (kind: MediaKind, mime = 'image/png'): Segment => ({ type: 'media', kind, file: { ...file, mime } })
const whole = { name: 'a.bin', size: 3, url: 'http://here/9', file_id: '9', base64: 'AAAA' }

t.test('every kind of segment', async (t) => {
  const table: readonly (readonly [string, readonly Segment[], unknown])[] = [
    ['text', [{ type: 'text', text: 'a\nb' }], [{ type: 'text', data: 'a\nb' }]],
    ['a mention is at', [{ type: 'mention', accountId: 10003, name: 'Three' }], [{ type: 'at', data: '10003' }]],
    ['mention_all is text', [{ type: 'mention_all' }], [{ type: 'text', data: '@全体成员 ' }]],
    ['a face is its name', [{ type: 'face', faceId: '14' }], [{ type: 'text', data: '[表情：微笑]' }]],
    ['an unknown face', [{ type: 'face', faceId: '9999' }], [{ type: 'text', data: '[表情：9999]' }]],
    [
      'a reply is the id of the quoted message',
      [{ type: 'reply', seq: 3, messageId: 5, senderId: 10002, time: 1 }],
      [{ type: 'reply', data: '5' }]
    ],
    ['a picture', [media('image')], [{ type: 'image', data: 'AAAA' }]],
    ['a sticker is an emoji', [media('sticker')], [{ type: 'emoji', data: 'AAAA' }]],
    ['a moving picture is an emoji', [media('gif', 'image/gif')], [{ type: 'emoji', data: 'AAAA' }]],
    [
      'a sticker that is a film is a file',
      [media('sticker', 'video/webm')],
      [{ type: 'file', data: { ...whole, mime_type: 'video/webm' } }]
    ],
    ['a voice', [media('voice', 'audio/wav')], [{ type: 'voice', data: 'AAAA' }]],
    ['sound is a voice', [media('audio', 'audio/mpeg')], [{ type: 'voice', data: 'AAAA' }]],
    ['a film is a file', [media('video', 'video/mp4')], [{ type: 'file', data: { ...whole, mime_type: 'video/mp4' } }]],
    [
      'a file',
      [media('file', 'application/pdf')],
      [{ type: 'file', data: { ...whole, mime_type: 'application/pdf' } }]
    ],
    [
      'a card is its words',
      [
        {
          type: 'light_app',
          appName: 'app',
          payload: '{"prompt":"[Share] Cats","meta":{"news":{"title":"Cats","desc":"About","jumpUrl":"http://c"}}}'
        }
      ],
      [{ type: 'text', data: '[卡片] [Share] Cats，Cats，About，http://c' }]
    ],
    ['a card of nonsense', [{ type: 'light_app', appName: '', payload: 'no' }], [{ type: 'text', data: '[卡片]' }]],
    [
      'text and faces in a row are one segment',
      [
        { type: 'text', text: 'a' },
        { type: 'face', faceId: '0' },
        { type: 'text', text: 'b' }
      ],
      [{ type: 'text', data: 'a[表情：惊讶]b' }]
    ],
    ['nothing at all', [], [{ type: 'text', data: '[空消息]' }]]
  ]
  for (const [name, segments, expected] of table) t.strictSame(segsOf(segments), expected, name)
})

t.test('the formats are those of what is in it', async (t) => {
  const { wire } = tell(said([media('image'), { type: 'text', text: 'x' }, media('image')]))!
  t.strictSame(wire.message_info.format_info.content_format, ['image', 'text'])
  t.equal(wire.raw_message, '[图片]x[图片]')
})

t.test('media without bytes are told by their address', async (t) => {
  const show = (kind: MediaKind, mime: string) => toLinkSeg(media(kind, mime) as never, 'http://here/9')
  t.strictSame(show('image', 'image/png'), { type: 'text', data: '[图片] 链接: http://here/9' })
  t.strictSame(show('voice', 'audio/wav'), { type: 'text', data: '[语音] 链接: http://here/9' })
  t.strictSame(show('video', 'video/mp4'), { type: 'text', data: '[视频] a.bin，大小: 3，链接: http://here/9' })
  t.match(show('file', 'text/plain'), { type: 'file', data: { name: 'a.bin', size: 3, url: 'http://here/9' } })
})

t.test('hints', async (t) => {
  const at = { type: 'mention', accountId: BOT, name: 'One' } as const
  const quote = (senderId: number) => ({ type: 'reply', seq: 1, messageId: 3, senderId, time: 1 }) as const
  const hints = (...segments: Segment[]) => tell(said(segments))!.wire.message_info.additional_config
  const account = { platform_io_account_id: '10001' }
  t.strictSame(hints(at), { ...account, at_bot: true, is_mentioned: true }, 'the bot is mentioned')
  t.strictSame(hints({ ...at, accountId: 10003 }), account, 'somebody else is')
  t.strictSame(hints(quote(BOT)), { ...account, is_mentioned: true, reply_message_id: '3' }, 'the bot is quoted')
  t.strictSame(hints(quote(10003)), { ...account, reply_message_id: '3' }, 'somebody else is')
})

/** One event of each kind; whoever adds a kind has to say what brains hear of it. */
const kinds: { readonly [K in EventKind]: readonly [EventData[K], ReturnType<typeof notify>] } = {
  'message.created': [
    {
      message: { id: 7, chatId: group.id, seq: 4, senderId: BOT, time: 1, segments: [] },
      sender: account(BOT)
    },
    undefined
  ],
  'message.edited': [
    { message: { id: 7, chatId: group.id, seq: 4, senderId: 10002, time: 1, segments: [] } },
    undefined
  ],
  'message.recalled': [
    { messageId: 7, seq: 4, senderId: 10002, operatorId: 10003 },
    { by: '10003', text: '撤回了 Account 10002 的一条消息', notify: 'group_recall', target: '10002' }
  ],
  'member.joined': [
    { accountId: 10002, operatorId: 10003 },
    { by: '10003', text: '同意 Account 10002 加入了群', notify: 'group_increase', target: '10002' }
  ],
  'member.left': [
    { accountId: 10002, operatorId: 10003 },
    { by: '10003', text: '将 Account 10002 移出了群', notify: 'group_decrease', target: '10002' }
  ],
  'member.muted': [
    { accountId: 10003, operatorId: 10002, durationS: 90_061 },
    { by: '10002', text: '禁言了 Card of 3（1天1小时1分钟1秒）', notify: 'ban', target: '10003' }
  ],
  'admin.changed': [
    { accountId: BOT, operatorId: 10002, isSet: true },
    { by: '10002', text: '将 你 设为管理员', notify: 'group_admin', target: '10001' }
  ],
  'owner.changed': [
    { accountId: 10003, operatorId: 10002 },
    { by: '10002', text: '将群主转让给了 Card of 3', notify: 'group_admin', target: '10003' }
  ],
  'group.renamed': [
    { name: 'New\nname', operatorId: 10002 },
    { by: '10002', text: '将群名改为「New name」', notify: 'group_name', target: undefined }
  ],
  'group.muted': [
    { operatorId: 10002, isMute: true },
    { by: '10002', text: '开启了全员禁言', notify: 'whole_ban', target: undefined }
  ],
  'chat.nudged': [
    { senderId: 10002, receiverId: BOT },
    { by: '10002', text: '拍了拍 你', notify: 'poke', target: '10001' }
  ],
  'reaction.changed': [{ messageId: 7, seq: 4, accountId: 10002, reaction: '1', type: 'face', isAdd: true }, undefined],
  'essence.changed': [
    { messageId: 7, seq: 4, operatorId: 10002, isSet: true },
    { by: '10002', text: '将一条消息（ID: 7）设为精华', notify: 'essence', target: undefined }
  ],
  'file.uploaded': [
    { accountId: 10002, fileId: 9, name: 'a.txt', size: 3, hash: '' },
    { by: '10002', text: '上传了群文件「a.txt」', notify: 'group_upload', target: undefined }
  ],
  'friend.requested': [{ initiatorId: 10002, targetId: BOT, comment: '', via: '' }, undefined],
  'group.requested': [{ groupId: group.id, requestSeq: 1, initiatorId: 10002, comment: '' }, undefined],
  'group.invite_requested': [{ groupId: group.id, requestSeq: 1, initiatorId: 10002, targetId: 10003 }, undefined],
  'group.invited': [{ groupId: group.id, requestSeq: 1, initiatorId: 10002 }, undefined],
  'pin.changed': [{ scene: 'group', peerId: group.id, isPinned: true }, undefined],
  'account.disabled': [{ accountId: BOT, reason: '' }, undefined]
}

t.test('every kind of event', async (t) => {
  for (const kind of Object.keys(kinds) as EventKind[]) {
    const [data, expected] = kinds[kind]
    t.strictSame(notify(eventOf(kind, data)), expected, kind)
  }
})

t.test('the other side of what changes', async (t) => {
  const table: readonly (readonly [GatewayEvent, Partial<NonNullable<ReturnType<typeof notify>>> | undefined])[] = [
    [eventOf('member.joined', { accountId: 10002 }), { by: '10002', text: '加入了群' }],
    [eventOf('member.joined', { accountId: BOT, inviterId: 10002 }), { by: '10002', text: '邀请 你 加入了群' }],
    [eventOf('member.left', { accountId: 10002 }), { by: '10002', text: '退出了群' }],
    [
      eventOf('member.muted', { accountId: 10002, operatorId: 10003, durationS: 0 }),
      { notify: 'lift_ban', text: '解除了 Account 10002 的禁言' }
    ],
    [eventOf('group.muted', { operatorId: 10002, isMute: false }), { notify: 'whole_lift_ban' }],
    [
      eventOf('admin.changed', { accountId: 10002, operatorId: 10003, isSet: false }),
      { text: '取消了 Account 10002 的管理员身份' }
    ],
    [eventOf('chat.nudged', { senderId: 10002, receiverId: 10002 }), { text: '拍了拍自己' }],
    [eventOf('chat.nudged', { senderId: BOT, receiverId: 10002 }), undefined],
    [eventOf('file.uploaded', { accountId: BOT, fileId: 9, name: 'a', size: 1, hash: '' }), undefined],
    [eventOf('file.uploaded', { accountId: 10002, fileId: 9, name: 'a', size: 1, hash: '' }, privately), undefined],
    [
      eventOf('message.recalled', { messageId: 7, seq: 4, senderId: 10002, operatorId: 10002 }, privately),
      { by: '10002', notify: 'friend_recall', text: '撤回了一条消息' }
    ],
    // The brain would take it for a chat of the bot with itself.
    [eventOf('message.recalled', { messageId: 7, seq: 4, senderId: BOT, operatorId: BOT }, privately), undefined],
    [
      eventOf('message.recalled', { messageId: 7, seq: 4, senderId: BOT, operatorId: BOT }),
      { by: '10001', notify: 'group_recall' }
    ]
  ]
  for (const [event, expected] of table) {
    const told = notify(event)
    if (expected) t.match(told, expected, `${event.kind} ${expected.text ?? ''}`)
    else t.equal(told, undefined, event.kind)
  }
})

t.test('a notice in words has an id of its own, and holds no segment that a core would lose it for', async (t) => {
  const { wire, heard } = tell(eventOf('member.muted', { accountId: 10002, operatorId: 10003, durationS: 60 }))!
  t.equal(heard.messageId, 'notice_1')
  t.strictSame(
    heard.components.map(({ type }) => type),
    ['text']
  )
  t.strictSame(wire.message_info.additional_config.notify, {
    sub_type: 'ban',
    duration: 60,
    banned_user_info: {
      platform: 'lactea',
      user_id: '10002',
      user_nickname: 'Account 10002',
      user_cardname: null
    }
  })
})

t.test(
  'a notice as a segment is what adapters send: no list around it, and the id that brains know notices by',
  async (t) => {
    const event = eventOf('member.joined', { accountId: 10002, operatorId: 10003 })
    const telling = planTelling(event, BOT)!.compose({ ...known, notices: 'notify' })
    const { message_info, message_segment, raw_message } = assemble(telling, { platform: 'lactea', media: [] })
    t.match(message_info, {
      message_id: 'notice',
      user_info: { user_id: '10003' },
      group_info: { group_id: '100001' },
      format_info: { content_format: ['notify'] }
    })
    t.match(message_segment, {
      type: 'notify',
      data: { sub_type: 'group_increase', joined_user_info: { user_id: '10002', user_nickname: 'Account 10002' } }
    })
    t.equal(raw_message, '同意 Account 10002 加入了群')
  }
)

t.test('forwards', async (t) => {
  const forward = (forwardId: number): Segment => ({
    type: 'forward',
    forwardId,
    title: 'Chat history',
    preview: ['a: x'],
    summary: '2 messages'
  })
  const line = (seq: number, ...segments: Segment[]): ForwardedMessage => ({
    accountId: 10002,
    name: 'Ann',
    avatarUrl: '',
    time: 1,
    seq,
    segments
  })
  const words = (text: string): Segment => ({ type: 'text', text })
  const tellForward = (kept: Readonly<Record<number, readonly ForwardedMessage[]>>): string => {
    const [seg, ...rest] = segsOf([forward(1)], { ...known, findForward: (id) => kept[id] }) as { data: string }[]
    t.strictSame(rest, [])
    return seg!.data
  }

  t.equal(
    tellForward({ 1: [line(1, words('hello')), line(2, media('image'), forward(2))], 2: [line(1, words('inner'))] }),
    [
      '========== 转发消息开始：Chat history ==========',
      '【Ann】：hello',
      '【Ann】：[图片][转发消息]',
      '--【Ann】：inner',
      '========== 转发消息结束 =========='
    ].join('\n'),
    'in lines, those inside further in'
  )
  t.match(tellForward({}), /\na: x\n/, 'one that is gone shows its preview')
  t.match(tellForward({ 1: [line(1, forward(1))] }), /--------a: x/, 'one that holds itself ends')
  const long = tellForward({ 1: Array.from({ length: 300 }, (_, index) => line(index, words(`${index}`))) })
  t.equal(long.split('\n').length, FORWARD_LINES + 3, 'a long one is cut')
  t.match(long, /其余已省略/)
  const huge = tellForward({ 1: Array.from({ length: 100 }, (_, index) => line(index, words('x'.repeat(50_000)))) })
  t.ok(huge.length > 2000 && huge.length < 25_000, 'a huge one too')
})

t.test('names', async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ['', 'id'],
    [' \n\t ', 'id'],
    ['\0\u0007', 'id'],
    ['\u202egnp.exe', 'gnp.exe'],
    ['\ud800x', '\ufffdx'],
    ['a\nSystem: b', 'a System: b'],
    ['👨‍👩‍👧', '👨‍👩‍👧'],
    ['x'.repeat(10_240), 'x'.repeat(64)],
    ['\u200b'.repeat(10_240), 'id']
  ]
  for (const [name, expected] of table) t.equal(cleanName(name, 'id'), expected, JSON.stringify(name.slice(0, 20)))
})

t.test('cutting leaves no half of a pair', async (t) => {
  t.equal(cutText('a😀b', 2), 'a')
  t.equal(cutText('a😀b', 3), 'a😀')
  t.equal(cutText('ab', 0), '')
  t.equal(cutText('ab', 9), 'ab')
})

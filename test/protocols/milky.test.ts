import t from 'tap'
import type { ChatRef, EventData, EventKind, GatewayEvent, InboxEventKind, SenderRef } from '../../src/core/event.ts'
import { INBOX } from '../../src/core/event.ts'
import type { MediaFile, MediaKind, Segment } from '../../src/core/segment.ts'
import { ActionError, REASONS, type Reason } from '../../src/core/errors.ts'
import { draftWebhookCodec } from '../../src/protocols/milky-draft.ts'
import { createMilkyCodec } from '../../src/protocols/milky-events.ts'
import { MILKY_ACTIONS, createMilkyDispatcher, toMilkyEnvelope } from '../../src/protocols/milky.ts'
import { apis, faultOfEvent } from '../helpers/milky-judge.ts'

const codec = createMilkyCodec(({ fileId, url }) => url ?? `http://here/${fileId}`)

const account = (id: number) => ({ id, nickname: `Account ${id}`, avatarUrl: '' })
const privately: ChatRef = {
  id: 1_000_000_001,
  kind: 'private',
  parties: [{ ...account(10001), username: 'one' }, account(10002)],
  remarks: ['Second', 'First']
}
const group: ChatRef = {
  id: 100001,
  kind: 'group',
  name: 'Test group',
  memberCount: 3,
  description: 'what it is for',
  announcement: 'news',
  createdAt: 1_600_000_000
}
const member: SenderRef = { role: 'admin', card: 'Card', title: 'Title', mutedUntil: 0, joinedAt: 1_650_000_000 }

const place = { messageId: 7, seq: 42 }

/** One event of each kind; whoever adds a kind has to say what it looks like. */
const data: { readonly [K in EventKind]: EventData[K] } = {
  'message.created': {
    message: { id: 7, chatId: group.id, seq: 42, senderId: 10002, time: 1_700_000_000, segments: [] },
    sender: account(10002),
    member
  },
  'message.edited': { message: { id: 7, chatId: group.id, seq: 42, senderId: 10002, time: 1, segments: [] } },
  'message.recalled': { ...place, senderId: 10002, operatorId: 10001 },
  'member.joined': { accountId: 10002, operatorId: 10001, inviterId: 10003 },
  'member.left': { accountId: 10002 },
  'member.muted': { accountId: 10002, operatorId: 10001, durationS: 60 },
  'admin.changed': { accountId: 10002, operatorId: 10001, isSet: true },
  'owner.changed': { accountId: 10002, operatorId: 10001 },
  'group.renamed': { name: 'Name', operatorId: 10001 },
  'group.muted': { operatorId: 10001, isMute: true },
  'chat.nudged': { senderId: 10001, receiverId: 10002 },
  'reaction.changed': { ...place, accountId: 10002, reaction: '128077', type: 'emoji', isAdd: true },
  'essence.changed': { ...place, operatorId: 10001, isSet: true },
  'file.uploaded': { accountId: 10002, fileId: 9, name: 'a.txt', size: 3, hash: 'abc' },
  'friend.requested': { initiatorId: 10002, targetId: 10001, comment: 'it is me', via: 'contacts' },
  'group.requested': { groupId: group.id, requestSeq: 5, initiatorId: 10002, comment: '' },
  'group.invite_requested': { groupId: group.id, requestSeq: 5, initiatorId: 10002, targetId: 10003 },
  'group.invited': { groupId: group.id, requestSeq: 5, initiatorId: 10002 },
  'pin.changed': { scene: 'group', peerId: group.id, isPinned: true },
  'account.disabled': { accountId: 10001, reason: 'switched off' }
}

const inboxKinds: readonly InboxEventKind[] = [
  'friend.requested',
  'group.requested',
  'group.invite_requested',
  'group.invited',
  'pin.changed',
  'account.disabled'
]

function event<K extends EventKind>(kind: K, given: EventData[K], chat: GatewayEvent['chat']): GatewayEvent {
  return { id: 7, kind, time: 1_700_000_000, chat, eventSeq: 3, audience: [10001], data: given } as GatewayEvent
}

const encode = (given: GatewayEvent, viewerId = 10001): any => JSON.parse(codec.encodeEvent(given, viewerId) ?? 'null')

t.test('every event is one that Milky 1.2 has, from both sides and in both kinds of chat', async (t) => {
  const seen = new Set<string>()
  const drafts = new Set<string>()
  for (const kind of Object.keys(data) as EventKind[]) {
    const isInbox = (inboxKinds as readonly string[]).includes(kind)
    const isGroupOnly = /^(member|admin|owner|group|reaction|essence)/.test(kind)
    const chats = isInbox ? [INBOX] : isGroupOnly ? [group] : [group, privately]
    for (const chat of chats) {
      const given = event(kind, data[kind], chat)
      for (const viewerId of [10001, 10002]) {
        const encoded = encode(given, viewerId)
        if (encoded === null) continue
        t.equal(faultOfEvent(encoded), undefined, `${kind} as ${viewerId} sees it`)
        t.match(encoded, { time: 1_700_000_000, self_id: viewerId, event_type: codec.eventType(given) })
        seen.add(encoded.event_type)
        const draft = draftWebhookCodec.encodeEvent(given, viewerId)
        if (draft !== undefined) drafts.add(JSON.parse(draft).event_type)
      }
    }
  }
  // An empty message is told to nobody in the draft.
  drafts.add('message_receive')
  t.equal(seen.size, 20)
  t.equal(drafts.size, 18)
})

const file: MediaFile = { fileId: 9, name: 'a.bin', mime: 'image/png', size: 3, width: 4, height: 5, durationS: 6 }
const media = (kind: MediaKind, more: Partial<MediaFile> = {}): Segment => ({
  type: 'media',
  kind,
  file: { ...file, ...more }
})

const segments: readonly (readonly [Segment, object])[] = [
  [
    { type: 'text', text: 'hi' },
    { type: 'text', data: { text: 'hi' } }
  ],
  [
    { type: 'mention', accountId: 10003, name: 'Three' },
    { type: 'mention', data: { user_id: 10003, name: 'Three' } }
  ],
  [{ type: 'mention_all' }, { type: 'mention_all', data: {} }],
  [
    { type: 'face', faceId: '14', isLarge: true },
    { type: 'face', data: { face_id: '14', is_large: true } }
  ],
  [
    { type: 'reply', seq: 41, messageId: 6, senderId: 10001, time: 5 },
    {
      type: 'reply',
      data: { message_seq: 41, sender_id: 10001, time: 5, segments: [{ type: 'text', data: { text: 'quoted' } }] }
    }
  ],
  [
    media('image'),
    {
      type: 'image',
      data: {
        resource_id: '9',
        temp_url: 'http://here/9',
        width: 4,
        height: 5,
        summary: '[image]',
        sub_type: 'normal'
      }
    }
  ],
  [
    { ...media('sticker'), summary: '[smile]' } as Segment,
    { type: 'image', data: { sub_type: 'sticker', summary: '[smile]' } }
  ],
  [media('gif'), { type: 'image', data: { sub_type: 'normal' } }],
  [media('gif', { mime: 'video/mp4' }), { type: 'video' }],
  [media('voice'), { type: 'record', data: { resource_id: '9', temp_url: 'http://here/9', duration: 6 } }],
  [media('audio'), { type: 'record' }],
  [
    media('video'),
    { type: 'video', data: { resource_id: '9', temp_url: 'http://here/9', width: 4, height: 5, duration: 6 } }
  ],
  [media('file', { hash: 'abc' }), { type: 'file', data: { file_id: '9', file_name: 'a.bin', file_size: 3 } }],
  [
    { type: 'forward', forwardId: 3, title: 'Title', preview: ['a: b'], summary: 'One' },
    { type: 'forward', data: { forward_id: '3', title: 'Title', preview: ['a: b'], summary: 'One' } }
  ],
  [
    { type: 'light_app', appName: 'app', payload: '{"app":"app"}' },
    { type: 'light_app', data: { app_name: 'app', json_payload: '{"app":"app"}' } }
  ]
]

t.test('every segment is one that Milky 1.2 has', async (t) => {
  for (const chat of [group, privately]) {
    const { message } = data['message.created']
    const said = event(
      'message.created',
      {
        message: { ...message, segments: segments.map(([segment]) => segment) },
        sender: account(10002),
        ...(chat.kind === 'group' && { member }),
        quoted: {
          41: [
            { type: 'reply', seq: 40, messageId: 5, senderId: 10001, time: 4 },
            { type: 'text', text: 'quoted' }
          ]
        }
      },
      chat
    )
    const encoded = encode(said)
    t.equal(faultOfEvent(encoded), undefined)
    t.match(
      encoded.data.segments,
      segments.map(([, shown]) => shown)
    )
    const shownFile = encoded.data.segments.find((segment: { type: string }) => segment.type === 'file')
    t.equal(shownFile.data.file_hash, chat.kind === 'private' ? 'abc' : undefined, 'the hash in private chats only')
  }
})

t.test('a message shows its surroundings', async (t) => {
  const created = data['message.created']
  t.match(encode(event('message.created', created, group)).data, {
    message_scene: 'group',
    peer_id: 100001,
    group: { group_name: 'Test group', member_count: 3, description: 'what it is for', announcement: 'news' },
    group_member: { user_id: 10002, nickname: 'Account 10002', card: 'Card', title: 'Title', role: 'admin' }
  })
  const gone = event('message.created', { message: created.message, sender: account(10002) }, group)
  t.match(
    encode(gone).data.group_member,
    { role: 'member', card: '', join_time: 0 },
    'who has left is still the sender'
  )
  t.match(encode(event('message.created', created, privately), 10001).data, {
    message_scene: 'friend',
    peer_id: 10002,
    friend: { user_id: 10002, qid: '', remark: 'Second' }
  })
  t.match(encode(event('message.created', created, privately), 10002).data, {
    peer_id: 10001,
    friend: { user_id: 10001, qid: 'one', remark: 'First' }
  })
})

t.test('the names are those of the package', async (t) => {
  const names = Object.values(MILKY_ACTIONS).flat()
  t.strictSame(names.toSorted(), [...apis.keys()].toSorted())
  const nothing = createMilkyDispatcher({ has: () => false, dispatch: async () => ({ ok: true, data: {} }) })
  for (const name of names) t.notOk(nothing.has(name))
})

t.test('a failure is told in the language of who asks', async (t) => {
  for (const reason of Object.keys(REASONS) as Reason[]) {
    const outcome = { ok: false, error: new ActionError(reason, 'why') } as const
    const english = toMilkyEnvelope(outcome) as { retcode: number }
    t.match(english, { status: 'failed', message: 'why' })
    t.ok(english.retcode < 0)
    t.match(toMilkyEnvelope(outcome, 'zh-CN,zh;q=0.9,en;q=0.8'), { message: /^\p{Script=Han}.*why/u })
  }
  const retcodeOf = (reason: Reason): number =>
    (toMilkyEnvelope({ ok: false, error: new ActionError(reason, '') }) as { retcode: number }).retcode
  t.strictSame([retcodeOf('invalid'), retcodeOf('disabled'), retcodeOf('not_found')], [-400, -403, -404])
})

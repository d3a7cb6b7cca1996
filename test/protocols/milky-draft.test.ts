import t from 'tap'
import fc from 'fast-check'
import type { Outcome } from '../../src/core/action.ts'
import { ActionError, REASONS, type Reason } from '../../src/core/errors.ts'
import type { EventData, EventKind, GatewayEvent } from '../../src/core/event.ts'
import type { Segment } from '../../src/core/segment.ts'
import type { IncomingSegment } from '../../src/schema/segment.ts'
import { compileParams } from '../../src/core/validate.ts'
import { draftActions } from '../../src/protocols/draft-actions.ts'
import { encodeEnvelope } from '../../src/protocols/call-frame.ts'
import { parseMessageId, toDraftIncomingSegment, toMessageId } from '../../src/protocols/draft-shapes.ts'
import {
  createDraftDispatcher,
  createDraftSocketCodec,
  draftWebhookCodec,
  toDraftEnvelope
} from '../../src/protocols/milky-draft.ts'

const { decode, encodeEvent, encodeReply } = createDraftSocketCodec()

// The JSON blocks of the draft document, without their comments and the comma that is one too many.
const blocks = {
  params: { user_id: 123456789, message: [{ type: 'text', data: { text: 'Hello, world!' } }] },
  success: { status: 'ok', retcode: 0, data: { message_id: 'Private:123456789:23333', time: 1234567890 } },
  failure: { status: 'failed', retcode: -100, message: 'user_id 对应的好友不存在' },
  webhook: {
    time: 1234567890,
    event_type: 'message_receive',
    data: {
      message_id: 'Private:123456789:23333',
      time: 1234567890,
      user_id: 123456789,
      segments: [{ type: 'text', data: { text: 'Hello, world!' } }]
    }
  },
  call: {
    action: 'send_private_message',
    params: { user_id: 123456789, message: [{ type: 'text', data: { text: 'Hello, world!' } }] },
    echo: '123456'
  },
  answer: {
    post_type: 'action_response',
    self_id: 123456789,
    data: {
      status: 'ok',
      retcode: 0,
      data: { message_id: 'Private:123456789:23333', time: 1234567890 },
      echo: '123456'
    }
  },
  event: {
    post_type: 'event',
    self_id: 123456789,
    data: {
      time: 1234567890,
      event_type: 'message_receive',
      data: {
        message_id: 'Private:123456789:23333',
        time: 1234567890,
        user_id: 123456789,
        segments: [{ type: 'text', data: { text: 'Hello, world!' } }]
      }
    }
  }
}

const account = (id: number) => ({ id, nickname: `Account ${id}`, avatarUrl: '' })
const privately = { id: 200001, kind: 'private', parties: [account(10001), account(123456789)] } as const
const inGroup = {
  id: 100001,
  kind: 'group',
  name: 'Test group',
  memberCount: 2,
  description: '',
  announcement: '',
  createdAt: 0
} as const

function event<K extends EventKind>(kind: K, data: EventData[K], chat: GatewayEvent['chat'] = inGroup): GatewayEvent {
  return { id: 7, kind, time: 1234567890, chat, eventSeq: 3, audience: [10001], data } as unknown as GatewayEvent
}

function said(segments: readonly Segment[], { chat = inGroup as GatewayEvent['chat'], seq = 23333 } = {}) {
  const message = { id: 7, chatId: chat.id, seq, senderId: 123456789, time: 1234567890, segments }
  return event('message.created', { message, sender: account(123456789) }, chat)
}

const bare = (given: GatewayEvent, viewerId = 10001): unknown =>
  JSON.parse(draftWebhookCodec.encodeEvent(given, viewerId) ?? 'null')

t.test('the JSON blocks of the draft document', async (t) => {
  t.test('parameters of a call', async (t) => {
    const send = draftActions.find((action) => action.name === 'send_private_message')
    t.strictSame(compileParams(send?.params as never)(blocks.params), blocks.params)
  })

  t.test('a call on a socket', async (t) => {
    const { action, params, echo } = blocks.call
    t.strictSame(decode(JSON.stringify(blocks.call)), { kind: 'call', action, params, echo })
    t.strictSame(decode(JSON.stringify(blocks.call, undefined, 2)), { kind: 'call', action, params, echo })
  })

  t.test('answers', async (t) => {
    const success: Outcome = { ok: true, data: blocks.success.data }
    const failure: Outcome = { ok: false, error: new ActionError('not_found', blocks.failure.message) }
    t.strictSame(toDraftEnvelope(success), blocks.success)
    t.strictSame(toDraftEnvelope(failure), blocks.failure)
    for (const outcome of [success, failure])
      t.equal(encodeEnvelope(outcome, toDraftEnvelope), JSON.stringify(toDraftEnvelope(outcome)), 'as text')
    t.strictSame(JSON.parse(encodeReply('123456', success, 123456789)), blocks.answer)
    t.strictSame(JSON.parse(encodeReply(undefined, failure, 123456789)), {
      post_type: 'action_response',
      self_id: 123456789,
      data: blocks.failure
    })
  })

  t.test('an event, bare and on a socket', async (t) => {
    const given = said([{ type: 'text', text: 'Hello, world!' }], { chat: privately })
    // The document's own example leaves out `message_type`, which its structs require (contract 1.5).
    const data = { ...blocks.webhook.data, message_type: 'private' }
    t.strictSame(bare(given), { ...blocks.webhook, data })
    t.strictSame(JSON.parse(encodeEvent(given, 10001) ?? ''), {
      ...blocks.event,
      self_id: 10001,
      data: { ...blocks.event.data, data }
    })
  })
})

t.test('the retcode is 0 exactly when the status is ok', async (t) => {
  const codes: Record<Reason, number> = {
    invalid: -400,
    unknown_action: -404,
    not_found: -100,
    forbidden: -101,
    muted: -102,
    conflict: -103,
    too_late: -105,
    busy: -106,
    no_call: -107,
    wrong_state: -108,
    too_large: -104,
    rate_limited: -429,
    disabled: -403,
    unavailable: -503,
    timeout: -504,
    no_space: -507,
    unknown: -520,
    internal: -500
  }
  t.strictSame(Object.keys(codes), Object.keys(REASONS))
  for (const [reason, retcode] of Object.entries(codes)) {
    const error = new ActionError(reason as Reason, 'why')
    t.strictSame(toDraftEnvelope({ ok: false, error }), { status: 'failed', retcode, message: 'why' }, reason)
  }
})

t.test('events', async (t) => {
  const rows: [given: GatewayEvent, event_type: string, data: object][] = [
    [
      said([{ type: 'text', text: 'hi' }]),
      'message_receive',
      {
        message_id: 'Group:100001:23333',
        time: 1234567890,
        user_id: 123456789,
        segments: [{ type: 'text', data: { text: 'hi' } }],
        message_type: 'group',
        group_id: 100001
      }
    ],
    [
      event('message.recalled', { messageId: 5, seq: 23333, senderId: 10002, operatorId: 10003 }),
      'message_recall',
      { message_id: 'Group:100001:23333', operator_id: 10003 }
    ],
    [
      event('message.recalled', { messageId: 5, seq: 1, senderId: 10001, operatorId: 10001 }, privately),
      'message_recall',
      { message_id: 'Private:123456789:1', operator_id: 10001 }
    ],
    [event('member.joined', { accountId: 10002 }), 'group_member_increase', { group_id: 100001, user_id: 10002 }],
    [
      event('member.joined', { accountId: 10002, operatorId: 10003, inviterId: 10004 }),
      'group_member_increase',
      { group_id: 100001, user_id: 10002, operator_id: 10003, invitor_id: 10004 }
    ],
    [event('member.left', { accountId: 10002 }), 'group_member_decrease', { group_id: 100001, user_id: 10002 }],
    [
      event('member.left', { accountId: 10002, operatorId: 10003 }),
      'group_member_decrease',
      { group_id: 100001, user_id: 10002, operator_id: 10003 }
    ],
    [
      event('member.muted', { accountId: 10002, operatorId: 10003, durationS: 60 }),
      'group_mute',
      { group_id: 100001, user_id: 10002, duration: 60 }
    ],
    [
      event('admin.changed', { accountId: 10002, operatorId: 10003, isSet: false }),
      'group_admin_change',
      { group_id: 100001, user_id: 10002, is_set: false }
    ],
    [
      event('group.renamed', { name: 'New', operatorId: 10003 }),
      'group_name_change',
      { group_id: 100001, name: 'New', operator_id: 10003 }
    ],
    [
      event('group.muted', { operatorId: 10003, isMute: true }),
      'group_whole_mute',
      { group_id: 100001, operator_id: 10003, is_mute: true }
    ]
  ]
  for (const [given, event_type, data] of rows) {
    const body = { time: 1234567890, event_type, data }
    t.strictSame(bare(given), body, event_type)
    t.strictSame(JSON.parse(encodeEvent(given, 10001) ?? ''), { post_type: 'event', self_id: 10001, data: body })
    t.equal(draftWebhookCodec.eventType(given), event_type)
  }
  t.equal(new Set(rows.map(([given]) => given.kind)).size, 8, 'all kinds')
})

t.test('a private message has another name for each of its sides', async (t) => {
  const given = said([{ type: 'text', text: 'hi' }], { chat: privately, seq: 1 })
  t.match(bare(given, 10001), { data: { message_id: 'Private:123456789:1' } })
  t.match(bare(given, 123456789), { data: { message_id: 'Private:10001:1' } })
  t.match(bare(given, 10001), { data: { message_id: 'Private:123456789:1' } }, 'whoever was asked about before')
  t.match(JSON.parse(encodeEvent(given, 123456789) ?? ''), {
    self_id: 123456789,
    data: { data: { message_id: 'Private:10001:1' } }
  })
})

t.test('incoming segments', async (t) => {
  const rows: [segment: Segment, expected: object][] = [
    [
      { type: 'text', text: '' },
      { type: 'text', data: { text: '' } }
    ],
    [
      { type: 'mention', accountId: 10002, name: 'Two' },
      { type: 'at', data: { user_id: 10002 } }
    ],
    [{ type: 'mention_all' }, { type: 'text', data: { text: '@all' } }],
    [
      { type: 'face', faceId: '14' },
      { type: 'face', data: { face_id: '14' } }
    ],
    [
      { type: 'reply', seq: 3, messageId: 99, senderId: 10002, time: 1 },
      { type: 'reply', data: { message_id: 'Group:100001:3' } }
    ]
  ]
  for (const [segment, expected] of rows) {
    t.match(bare(said([segment])), { data: { segments: [expected] } }, segment.type)
    t.strictSame((bare(said([segment])) as { data: { segments: object[] } }).data.segments, [expected])
  }
  const reply: IncomingSegment = { type: 'reply', data: { message_seq: 3, sender_id: 1, time: 1, segments: [] } }
  t.strictSame(toDraftIncomingSegment(reply, { scene: 'friend', peerId: 10002 }), {
    type: 'reply',
    data: { message_id: 'Private:10002:3' }
  })
})

t.test('outgoing segments mean those of Milky 1.2', async (t) => {
  const calls: { name: string; params: any }[] = []
  const bugs = { onBug: (err: unknown) => t.fail(String(err)), newId: () => 'id' }
  const dispatcher = createDraftDispatcher(
    {
      has: () => true,
      async dispatch(name, params) {
        calls.push({ name, params })
        return { ok: true, data: { message_seq: 5, time: 1 } }
      }
    },
    bugs
  )
  const message = [
    { type: 'text', data: { text: 'x' } },
    { type: 'at', data: { user_id: 10002 } },
    { type: 'face', data: { face_id: '14' } },
    { type: 'reply', data: { message_id: 'Private:10011:3' } },
    { type: 'reply', data: { message_id: 3 } }
  ]
  const outcome = await dispatcher.dispatch('send_private_message', { user_id: 10011, message }, { accountId: 10001 })
  t.strictSame(outcome, { ok: true, data: { message_id: 'Private:10011:5', time: 1 } })
  t.strictSame(calls, [
    {
      name: 'send_private_message',
      params: {
        user_id: 10011,
        message: [
          { type: 'text', data: { text: 'x' } },
          { type: 'mention', data: { user_id: 10002 } },
          { type: 'face', data: { face_id: '14' } },
          { type: 'reply', data: { message_seq: 3 } },
          { type: 'reply', data: { message_seq: 3 } }
        ]
      }
    }
  ])
  for (const message_id of ['Private:10012:3', 'Group:10011:3', 'Temp:10012:3', '3', '']) {
    const given = { user_id: 10011, message: [{ type: 'reply', data: { message_id } }] }
    const refused = await dispatcher.dispatch('send_private_message', given, { accountId: 10001 })
    t.match(refused, { ok: false, error: { reason: 'not_found' } }, message_id)
  }
  t.equal(calls.length, 1)

  calls.length = 0
  await dispatcher.dispatch('kick_group_member', { group_id: 100001, user_id: 10002 }, { accountId: 10001 })
  await dispatcher.dispatch(
    'kick_group_member',
    { group_id: 100001, user_id: 10002, reject_add_request: false },
    { accountId: 10001 }
  )
  t.strictSame(
    calls.map(({ params }) => params.reject_add_request),
    [true, false],
    'reject_add_request is true by default in the draft'
  )
})

t.test('message ids', async (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom('friend' as const, 'group' as const, 'temp' as const),
      fc.integer({ min: 1, max: 999_999_999_999_999 }),
      fc.integer({ min: 1, max: 999_999_999_999_999 }),
      (scene, peerId, seq) => {
        const parsed = parseMessageId(toMessageId({ scene, peerId, seq }))
        return parsed?.scene === scene && parsed.peerId === peerId && parsed.seq === seq
      }
    )
  )
  fc.assert(
    fc.property(fc.string(), (text) => {
      const parsed = parseMessageId(text)
      return parsed === undefined || toMessageId(parsed) === text
    })
  )
  const strange = [
    'private:1:1',
    'PRIVATE:1:1',
    'Friend:1:1',
    'Private:1',
    'Private:1:',
    'Private::1',
    'Private:1:1:1',
    'Private:0:1',
    'Private:1:0',
    'Private:01:1',
    'Private:-1:1',
    'Private:1.0:1',
    'Private:1e3:1',
    'Private: 1:1',
    'Private:1:1\n',
    ' Private:1:1',
    'Private:１:1',
    'Private:12345678901234567:1'
  ]
  for (const text of strange) t.equal(parseMessageId(text), undefined, JSON.stringify(text))
})

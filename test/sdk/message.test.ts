import t from 'tap'
import { APIMessageBase, MessageBase, Seg } from '../../sdk/src/index.ts'

const segment = { type: 'text', data: 'hi' }
const info = (message_info: unknown): unknown =>
  MessageBase.toObject(MessageBase.from({ message_info, message_segment: segment }))['message_info']

t.test('the table of legacy fields (contract 1.4), row by row', async (t) => {
  const nobody = { platform: null, user_id: null, user_nickname: null, user_cardname: null }
  const rows: [string, unknown, unknown][] = [
    ['GroupInfo without an id is no group', { group_info: { platform: 'qq', group_name: 'g' } }, {}],
    ['GroupInfo with id null is no group', { group_info: { group_id: null } }, {}],
    [
      'GroupInfo keeps the id 0 and has all three keys',
      { group_info: { group_id: 0 } },
      { group_info: { platform: null, group_id: 0, group_name: null } }
    ],
    ['UserInfo {} is a user of whom nothing is known', { user_info: {} }, { user_info: nobody }],
    ['UserInfo null is nobody', { user_info: null }, {}],
    [
      'FormatInfo has both keys',
      { format_info: { content_format: ['text'] } },
      { format_info: { content_format: ['text'], accept_format: null } }
    ],
    [
      'TemplateInfo: template_default is true when it is absent, and null when it is null',
      { template_info: {} },
      { template_info: { template_items: null, template_name: null, template_default: true } }
    ],
    [
      '… and null when it is null',
      { template_info: { template_default: null } },
      { template_info: { template_items: null, template_name: null, template_default: null } }
    ],
    [
      'SenderInfo without user_info has one of whom nothing is known',
      { sender_info: {} },
      { sender_info: { group_info: null, user_info: nobody } }
    ],
    [
      'ReceiverInfo with user_info null has none',
      { receiver_info: { user_info: null } },
      { receiver_info: { group_info: null, user_info: null } }
    ],
    ['what is no object is not there', { group_info: 'x', user_info: [1], format_info: 5, sender_info: true }, {}],
    ['unknown keys are dropped', { platform: 'qq', zzz: 1 }, { platform: 'qq' }],
    [
      'nothing is coerced',
      { platform: 5, message_id: 123, time: '1', additional_config: [null] },
      { platform: 5, message_id: 123, time: '1', additional_config: [null] }
    ]
  ]
  for (const [what, given, expected] of rows) t.strictSame(info(given), expected, what)

  const raw = (raw_message: unknown) => MessageBase.toObject(MessageBase.from({ raw_message }))
  t.match(raw(''), { raw_message: '' }, 'an empty raw_message is kept')
  t.notOk('raw_message' in raw(null), 'null is not')
})

t.test('segments: lists of any depth are read, everything else is kept as it is', async (t) => {
  const deep = (depth: number): unknown => {
    let seg: unknown = segment
    for (let level = 0; level < depth; level++) seg = { type: 'seglist', data: [seg] }
    return seg
  }
  t.strictSame(Seg.from(deep(20)), deep(20))
  t.throws(() => Seg.from(deep(10_000)), { name: 'MessageError', message: /nested too deeply/ })
  t.strictSame(Seg.flatten(Seg.from(deep(20))), [segment])
  for (const data of ['', 5, null, { a: [null] }, [1, [2]]])
    t.strictSame(Seg.from({ type: 'x', data, more: 1 }), { type: 'x', data })
  t.strictSame(Seg.from({}), { type: null, data: null })
  for (const data of [null, 'text', [5], [null], {}, [{ type: 'seglist' }]])
    t.throws(() => Seg.from({ type: 'seglist', data }), { name: 'MessageError', message: /^message_segment\.data/ })
})

t.test('what is no message is refused with the field that is wrong', async (t) => {
  const good = {
    message_info: { platform: 'qq', message_id: 'm', time: 0 },
    message_segment: segment,
    message_dim: { api_key: '', platform: '' }
  }
  t.ok(APIMessageBase.from(good), 'zero and empty texts pass (contract 2.6)')
  const rows: [unknown, RegExp][] = [
    [undefined, /^message: expected an object/],
    [[], /^message: expected an object/],
    [{ ...good, message_info: undefined }, /^message_info: expected an object/],
    [{ ...good, message_dim: null }, /^message_dim: expected an object/],
    [{ ...good, message_segment: null }, /^message_segment: expected an object/],
    [{ ...good, message_dim: { api_key: 'k' } }, /^message_dim\.platform: missing/],
    [{ ...good, message_info: { ...good.message_info, time: null } }, /^message_info\.time: missing/],
    [
      { ...good, message_info: { ...good.message_info, sender_info: { user_info: { user_id: '1' } } } },
      /^message_info\.sender_info\.user_info\.platform: missing/
    ],
    [
      { ...good, message_info: { ...good.message_info, receiver_info: { group_info: { platform: 'qq' } } } },
      /^message_info\.receiver_info\.group_info\.group_id: missing/
    ]
  ]
  for (const [given, message] of rows) t.throws(() => APIMessageBase.from(given), { name: 'MessageError', message })
  for (const given of [null, 5, 'x', [], { message_info: null }, { message_info: 5 }, { message_segment: [] }])
    t.throws(() => MessageBase.from(given), { name: 'MessageError' })
})

t.test('keys that would reach into objects are only keys', async (t) => {
  const text = '{"message_info":{"__proto__":{"platform":"evil"},"additional_config":{"__proto__":{"x":1}}}}'
  const message = MessageBase.toObject(MessageBase.from(JSON.parse(text)))
  t.equal(({} as Record<string, unknown>)['platform'], undefined)
  t.equal(
    JSON.stringify(message),
    '{"message_info":{"additional_config":{"__proto__":{"x":1}}},"message_segment":{"type":null,"data":null}}'
  )
})

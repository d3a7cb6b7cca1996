import fc from 'fast-check'
import t from 'tap'
import { MessageBase } from '../../sdk/src/message.ts'
import { readSpeech, type Speech } from '../../src/protocols/maim-hearing.ts'
import { withHints } from '../../src/protocols/maim-target.ts'

const SELF = 10001
const OWN_LINK = 'https://chat.example/api/files/7/cat.png?exp=1&sig=x'
const PNG = `iVBORw0KGgo${'A'.repeat(60)}`
const JPEG = `/9j/${'A'.repeat(60)}`

const findFileId = (url: string): number | undefined =>
  url === OWN_LINK || url.startsWith('/api/files/7/') ? 7 : undefined

/** What a brain means by this message, whose parts may be anything. */
function speak(message_segment: unknown, message_info: object = {}): Speech {
  return readSpeech({ message_info, message_segment } as unknown as MessageBase, { selfId: SELF, findFileId })
}

const segment = (type: string, data: unknown) => ({ type, data })
const text = (words: string) => segment('text', { text: words })
const media = (kind: string, source: object) => segment('media', { kind, source })
const mention = (user_id: number, name = '') => segment('mention', { user_id, name })
const list = (...data: unknown[]) => segment('seglist', data)

t.test('a segment', async (t) => {
  const cases: readonly (readonly [label: string, given: unknown, said: readonly object[]])[] = [
    ['text', segment('text', 'hi'), [text('hi')]],
    ['text that is a number', segment('text', 5), [text('5')]],
    ['empty text', segment('text', ''), []],
    ['text after text', list(segment('text', 'a'), segment('text', 'b')), [text('ab')]],
    [
      'lists in lists',
      list(list(segment('text', 'a')), list(list(segment('face', 1)))),
      [text('a'), segment('face', { face_id: '1' })]
    ],
    [
      'MaiBot’s mention in text',
      segment('text', 'hey @<An:na:10011>, you'),
      [text('hey '), mention(10011, 'An:na'), text(', you')]
    ],
    [
      'what only looks like a mention',
      segment('text', '@<x> @<y:0> @<z:99999999999999999>'),
      [text('@<x> @<y:0> @<z:99999999999999999>')]
    ],
    ['image, base64', segment('image', PNG), [media('image', { uri: `base64://${PNG}` })]],
    [
      'image, base64 of a JPEG, which begins like a path',
      segment('image', JPEG),
      [media('image', { uri: `base64://${JPEG}` })]
    ],
    ['image, data URL', segment('image', `data:image/png;base64,${PNG}`), [media('image', { uri: `base64://${PNG}` })]],
    ['image, base64://', segment('image', `base64://${PNG}`), [media('image', { uri: `base64://${PNG}` })]],
    ['image, address', segment('image', 'http://x.example/a.png'), [media('image', { uri: 'http://x.example/a.png' })]],
    ['image, link of ours', segment('image', OWN_LINK), [media('image', { file_id: 7 })]],
    ['image, path of ours', segment('image', '/api/files/7/cat.png?exp=1'), [media('image', { file_id: 7 })]],
    [
      'image, path of no file of ours',
      segment('image', '/api/files/8/x'),
      [media('image', { uri: 'base64:///api/files/8/x' })]
    ],
    [
      'image, object with bytes and an address',
      segment('image', { url: 'http://x.example/a.png', base64: PNG }),
      [media('image', { uri: `base64://${PNG}` })]
    ],
    [
      'image, OneBot’s object',
      segment('image', { file: 'a.png', url: 'http://x.example/a.png' }),
      [media('image', { uri: 'http://x.example/a.png' })]
    ],
    ['image, nothing', segment('image', null), []],
    ['imageurl', segment('imageurl', 'https://x.example/a.png'), [media('image', { uri: 'https://x.example/a.png' })]],
    ['emoji, base64', segment('emoji', PNG), [media('sticker', { uri: `base64://${PNG}` })]],
    ['emoji that is text', segment('emoji', '👍🏽'), [text('👍🏽')]],
    ['emoji that is a name', segment('emoji', ':smile:'), [text(':smile:')]],
    ['voice', segment('voice', PNG), [media('voice', { uri: `base64://${PNG}` })]],
    ['voiceurl', segment('voiceurl', 'http://x.example/a.wav'), [media('voice', { uri: 'http://x.example/a.wav' })]],
    ['video', segment('video', PNG), [media('video', { uri: `base64://${PNG}` })]],
    ['videourl', segment('videourl', 'file:///srv/a.mp4'), [media('video', { uri: 'file:///srv/a.mp4' })]],
    [
      'file of MaiBot, bytes',
      segment('file', { name: 'a.txt', size: 2, url: '', file_id: '', base64: 'aGk=' }),
      [media('file', { uri: 'base64://aGk=', name: 'a.txt' })]
    ],
    [
      'file of MaiBot, address',
      segment('file', { name: 'a.txt', url: 'http://x.example/f', base64: null }),
      [media('file', { uri: 'http://x.example/f', name: 'a.txt' })]
    ],
    [
      'file of MaiBot, one of ours',
      segment('file', { name: 'a.txt', file_id: '12' }),
      [media('file', { file_id: 12 })]
    ],
    ['file, path', segment('file', '/srv/a b.txt'), [media('file', { uri: 'file:///srv/a%20b.txt' })]],
    ['file, path that climbs', segment('file', '/srv/../etc/passwd'), [media('file', { uri: 'file:///etc/passwd' })]],
    ['file, relative path', segment('file', 'a.txt'), []],
    [
      'file of adapters',
      segment('file', { file: '/srv/a.txt', name: 'b.txt', thumb: 'x' }),
      [media('file', { uri: 'file:///srv/a.txt', name: 'b.txt' })]
    ],
    [
      'file of adapters, by its path',
      segment('file', { path: '/srv/a.txt' }),
      [media('file', { uri: 'file:///srv/a.txt' })]
    ],
    ['at, text', segment('at', '10011'), [mention(10011)]],
    ['at, number', segment('at', 10011), [mention(10011)]],
    ['at, all', segment('at', 'all'), [segment('mention_all', {})]],
    ['at, OneBot’s object', segment('at', { qq: '10011', name: 'Anna' }), [mention(10011, 'Anna')]],
    ['at, target_user_id', segment('at', { target_user_id: 10011 }), [mention(10011)]],
    ['at, MaiBot’s text', segment('at', '@<Anna:10011>'), [mention(10011, 'Anna')]],
    ['at, a name', segment('at', 'Anna'), [text('@Anna')]],
    [
      'mention of several',
      segment('mention', { users: ['1', { id: 2 }], roles: ['3'], everyone: true }),
      [segment('mention_all', {}), mention(1), mention(2)]
    ],
    [
      'reply stands first',
      list(segment('text', 'a'), segment('reply', '5')),
      [segment('reply', { message_id: 5 }), text('a')]
    ],
    [
      'of several replies the last',
      list(segment('reply', 4), segment('reply', { id: 5 }), segment('text', 'a')),
      [segment('reply', { message_id: 5 }), text('a')]
    ],
    ['reply to a notice', list(segment('reply', 'notice'), segment('text', 'a')), [text('a')]],
    ['reply to somebody else’s id', list(segment('reply', 'mmc_1'), segment('text', 'a')), [text('a')]],
    ['reply and nothing else', segment('reply', '5'), []],
    ['face, number', segment('face', 14), [segment('face', { face_id: '14' })]],
    ['face, text', segment('face', '14'), [segment('face', { face_id: '14' })]],
    ['music', segment('music', '186016'), [text('https://music.163.com/song?id=186016')]],
    ['music of QQ', segment('music', { type: 'qq', id: 12 }), [text('https://y.qq.com/n/ryqq/songDetail/12')]],
    ['tts_text', segment('tts_text', { text: 'hi', lang: 'en' }), [text('hi')]],
    [
      'miniapp_card',
      segment('miniapp_card', { title: 'T', desc: '', url: 'https://x.example' }),
      [text('T\nhttps://x.example')]
    ]
  ]
  for (const [label, given, said] of cases) t.test(label, async (t) => t.strictSame(speak(given).said, said))
})

t.test('what means nothing in a chat is told by its type', async (t) => {
  const { said, passedOver } = speak(
    list(segment('gift', 'rose:1'), segment('text', 'a'), segment('__proto__', {}), {})
  )
  t.strictSame(said, [text('a')])
  t.strictSame(passedOver, ['gift', '__proto__', 'none'])
})

t.test('what only belongs to a message is passed over in silence', async (t) => {
  const beside = speak(list(segment('priority_info', { message_type: 'vip' }), segment('mention_bot', 1)))
  t.strictSame([beside.said, beside.passedOver], [[], []])
})

t.test('a forward', async (t) => {
  const node = (message_segment: unknown, message_info: object = {}) => ({ message_info, message_segment })
  const by = (user_id: unknown, user_nickname: unknown) => ({ user_info: { user_id, user_nickname }, time: 5.7 })

  t.test('has messages by whoever is named, and those that are there by their id', async (t) => {
    const nodes = [
      node(segment('text', 'a'), by('10011', 'Anna')),
      node(segment('id', '42')),
      node(list(segment('reply', '1'), segment('text', 'b')), by('x', 7)),
      node(segment('gift', 'x')),
      'nonsense'
    ]
    t.strictSame(speak(segment('forward', nodes)).said, [
      segment('forward', {
        messages: [
          { user_id: 10011, sender_name: 'Anna', time: 5, segments: [text('a')] },
          { message_id: 42 },
          { sender_name: '', time: 5, segments: [text('b')] }
        ]
      })
    ])
  })

  t.test('holds forwards three levels deep and no commands', async (t) => {
    let inner: unknown = segment('text', 'core')
    for (let level = 0; level < 4; level++) inner = segment('forward', [node(list(segment('text', `${level}`), inner))])
    const { said, passedOver } = speak(inner)
    t.strictSame(passedOver, ['forward'])
    t.equal(JSON.stringify(said).match(/"forward"/g)?.length, 3)
    t.strictSame(speak(segment('forward', [node(segment('command', { name: 'GROUP_KICK' }))])).commands, [])
  })

  t.test('without messages is nothing', async (t) => {
    for (const data of [[], [{}], 'x', null])
      t.strictSame(speak(segment('forward', data)).said, [], JSON.stringify(data))
  })
})

t.test('a command is the object or its JSON', async (t) => {
  const command = { name: 'GROUP_BAN', args: { qq_id: '1', duration: 5 } }
  t.strictSame(speak(segment('command', command)).commands, [command])
  t.strictSame(speak(list(segment('command', JSON.stringify(command)))).commands, [command])
  t.strictSame(speak(segment('command', { name: 'A', args: '{"x":1}' })).commands, [{ name: 'A', args: { x: 1 } }])
  for (const nonsense of [null, 5, '{', '[]', {}, { name: 5, args: [] }])
    t.strictSame(speak(segment('command', nonsense)).commands, [{ name: 'UNKNOWN', args: {} }])
  const many = Array.from({ length: 100 }, () => segment('command', command))
  t.equal(speak(list(...many)).commands.length, 32)
})

t.test('whom it is for', async (t) => {
  const user = (user_id: unknown) => ({ user_info: { user_id } })
  const group = (group_id: unknown) => ({ group_info: { group_id } })
  const hint = (kind: 'user' | 'group', id: unknown) => ({
    additional_config: { [`platform_io_target_${kind}_id`]: id }
  })
  const cases: readonly (readonly [label: string, info: object, target: object | RegExp])[] = [
    ['the hint for a group', { ...hint('group', '5'), ...group(6), ...user(7) }, { group_id: 5 }],
    ['the hint for a user', { ...hint('user', ' 5 '), ...user(SELF) }, { user_id: 5 }],
    ['a hint in message_info', { platform_io_target_user_id: 5, ...user(SELF) }, { user_id: 5 }],
    ['an empty hint', { ...hint('user', ''), ...user(7) }, { user_id: 7 }],
    ['the receiver', { receiver_info: user(5), ...user(SELF) }, { user_id: 5 }],
    ['the receiving group', { receiver_info: { ...group(5), ...user(6) }, ...group(7) }, { group_id: 5 }],
    ['a receiver of nulls', { receiver_info: { group_info: null, ...user(null) }, ...group('8') }, { group_id: 8 }],
    ['the direct group', { ...group(5), ...user(SELF) }, { group_id: 5 }],
    ['the direct user', user('5'), { user_id: 5 }],
    ['not the bot itself, but who sent', { ...user(SELF), sender_info: user(5) }, { user_id: 5 }],
    ['the sending group', { sender_info: { ...group(5), ...user(6) } }, { group_id: 5 }],
    ['nobody but the bot', { ...user(SELF), receiver_info: user(String(SELF)) }, /it names none/],
    ['nobody', {}, /it names none/],
    [
      'nonsense',
      { ...hint('user', 'anna'), ...user(7) },
      /platform_io_target_user_id: expected the number of an account, got "anna"/
    ],
    ['a list', user([5]), /user_info.user_id: expected the number of an account, got object/],
    ['no number of ours', group('-5'), /group_info.group_id: expected the number of a group, got "-5"/]
  ]
  for (const [label, info, target] of cases)
    t.test(label, async (t) => {
      const found = speak(segment('text', 'a'), info).target
      if (target instanceof RegExp) t.match(found, target)
      else t.strictSame(found, target)
    })

  t.test('hints that reading drops are put back', async (t) => {
    for (const fields of [
      { platform_io_target_group_id: 5, message_info: user(7) },
      { message_info: { ...user(7), platform_io_target_group_id: '5' } }
    ]) {
      const message = withHints(MessageBase.from({ ...fields, message_segment: segment('text', 'a') }), fields)
      t.strictSame(readSpeech(message, { selfId: SELF, findFileId }).target, { group_id: 5 })
    }
    const message = MessageBase.from({ message_info: user(7), message_segment: segment('text', 'a') })
    t.equal(withHints(message, {}), message, 'and nothing is changed without them')
  })
})

t.test('nothing that can be sent is more than it can bear', async (t) => {
  const types = [
    'text',
    'image',
    'emoji',
    'voice',
    'file',
    'at',
    'mention',
    'reply',
    'face',
    'forward',
    'music',
    'command',
    'seglist',
    'id'
  ]
  const { junk } = fc.letrec((tie) => ({
    junk: fc.oneof(
      { maxDepth: 5 },
      fc.jsonValue(),
      fc.record({
        type: fc.constantFrom(...types),
        data: fc.oneof(tie('junk'), fc.array(tie('junk'), { maxLength: 4 }))
      }),
      fc.record({ message_info: tie('junk'), message_segment: tie('junk') })
    )
  }))
  fc.assert(
    fc.property(junk, junk, (message_segment, message_info) => {
      const speech = speak(message_segment, message_info as object)
      return speech.said.every(({ type }) => typeof type === 'string')
    }),
    { numRuns: 2000 }
  )
  let deep: unknown = segment('text', 'a')
  for (let level = 0; level < 5000; level++)
    deep = level % 2 ? list(deep) : segment('forward', [{ message_segment: deep }])
  t.strictSame(speak(deep).said, [])
  t.equal(speak(segment('text', '@<'.repeat(200_000))).said.length, 1)
})

import fc from 'fast-check'
import t, { type Test } from 'tap'
import { MessageConverter } from '../../sdk/src/converter.ts'
import { APIMessageBase, MessageBase } from '../../sdk/src/message.ts'
import type { AccountRef, ChatRef, EventOf, GatewayEvent, GroupRef } from '../../src/core/event.ts'
import type { MediaFile, MediaKind, Segment } from '../../src/core/segment.ts'
import { base64Length, createMediaReader, type MediaReaderOptions } from '../../src/net/maim-media.ts'
import { createTeller, type Teller, type TellerOptions } from '../../src/net/maim-teller.ts'
import { GROUP, openWorld, START, who, type World } from '../core/world.ts'
import { mustHear, type Heard } from '../helpers/maim-core.ts'
import { mp4, pdf, png, wav } from '../helpers/pictures.ts'

const PLENTY = { platform: 'lactea', maxBytes: 1024 * 1024, notices: 'text' } as const
const LATER = START + 10_000

interface Stage extends World {
  readonly teller: Teller
  /** Every content that was read from the disk. */
  readonly reads: string[]
  readonly tellerWith: (options: Partial<TellerOptions>) => Teller
}

async function openStage(t: Test, options: Partial<MediaReaderOptions> = {}): Promise<Stage> {
  const world = await openWorld(t)
  const reads: string[] = []
  const media = createMediaReader({
    store: world.store,
    blobs: {
      read(sha256, range) {
        reads.push(sha256)
        return world.blobs.read(sha256, range)
      }
    },
    ...options
  })
  const parts: TellerOptions = {
    accountId: who.bot,
    store: world.store,
    media,
    linkOf: world.links.absoluteLinkOf,
    now: () => LATER
  }
  return { ...world, reads, teller: createTeller(parts), tellerWith: (other) => createTeller({ ...parts, ...other }) }
}

async function addFile({ files }: World, bytes: Buffer, name = 'cat.png'): Promise<MediaFile> {
  const { id, ...kept } = await files.add({ ownerId: who.member, bytes: [bytes], name })
  const { mime, size, width, height, durationS } = kept
  return { fileId: id, name, mime, size, width, height, durationS }
}

const media = (kind: MediaKind, file: MediaFile): Segment => ({ type: 'media', kind, file })

const group: GroupRef = {
  id: GROUP,
  kind: 'group',
  name: 'Group',
  memberCount: 6,
  description: '',
  announcement: '',
  createdAt: START
}

function said(segments: readonly Segment[], chat: ChatRef = group, sender?: AccountRef): EventOf<'message.created'> {
  const message = { id: 7, chatId: chat.id, seq: 4, senderId: who.member, time: START, segments }
  const from = sender ?? { id: who.member, nickname: 'member', avatarUrl: '' }
  return {
    id: 7,
    kind: 'message.created',
    time: START,
    chat,
    eventSeq: 4,
    audience: [who.bot],
    data: { message, sender: from }
  }
}

/** What goes over the wire, and what a core makes of it on either road. */
async function tell(
  teller: Teller,
  event: GatewayEvent,
  options = PLENTY
): Promise<{ wire: any; bytes: number; heard: Heard }> {
  const message = await teller.tell(event, options)
  if (!message) throw new Error('nothing was told')
  const text = JSON.stringify(MessageBase.toObject(message))
  const api = MessageConverter.toApiReceive(message, { apiKey: 'key' })
  mustHear(JSON.stringify(APIMessageBase.toObject(api)))
  return { wire: JSON.parse(text), bytes: Buffer.byteLength(text), heard: mustHear(text) }
}

t.test('what is said in a group arrives with its bytes, its quote and its mention', async (t) => {
  const stage = await openStage(t)
  const first = await stage.sendTo(who.member2, GROUP, 'first')
  const file = await addFile(stage, png(30, 20))
  await stage.sendTo(
    who.member,
    GROUP,
    { type: 'reply', seq: first.seq },
    { type: 'mention', accountId: who.bot },
    'look',
    { type: 'media', kind: 'image', fileId: file.fileId! }
  )
  const [, event] = await stage.news()
  const { heard, wire } = await tell(stage.teller, event!)
  t.strictSame(
    heard.components.map(({ type, text }) => [type, text]),
    [
      ['reply', String(first.id)],
      ['at', String(who.bot)],
      ['text', 'look'],
      ['image', '']
    ]
  )
  t.strictSame(heard.components[3]!.bytes, png(30, 20))
  t.match(heard, { isAt: true, isMentioned: true, groupName: 'Group', nickname: 'member', account: String(who.bot) })
  t.equal(wire.message_info.additional_config.reply_message_id, String(first.id))
})

t.test('a private message', async (t) => {
  const stage = await openStage(t)
  await stage.store.addFriendship(who.member, who.bot, START)
  await stage.writeTo(who.member, who.bot, 'psst')
  await stage.writeTo(who.bot, who.member, 'yes?')
  const [asked, answered] = await stage.news()
  const { heard } = await tell(stage.teller, asked!)
  t.match(heard, { text: 'psst', userId: String(who.member) })
  t.equal(heard.groupId, undefined)
  t.equal(await stage.teller.tell(answered!, PLENTY), undefined, 'the bot does not hear itself')
})

t.test('every kind of media', async (t) => {
  const stage = await openStage(t)
  const table = [
    ['image', png(3, 3), 'image'],
    ['sticker', png(4, 4), 'emoji'],
    ['voice', wav(), 'voice'],
    ['video', mp4(), 'file'],
    ['file', pdf(), 'file']
  ] as const
  for (const [kind, bytes, type] of table) {
    const file = await addFile(stage, bytes, `a.${kind}`)
    const { heard } = await tell(stage.teller, said([media(kind, file)]))
    t.match(heard.components, [{ type }], kind)
    t.strictSame(heard.components[0]!.bytes, bytes, `${kind}: its bytes`)
  }
})

t.test('names of those who are only a number in the event come from the store', async (t) => {
  const stage = await openStage(t)
  await stage.dispatch(who.owner, 'set_group_member_mute', { group_id: GROUP, user_id: who.member, duration: 60 })
  await stage.dispatch(who.owner, 'kick_group_member', { group_id: GROUP, user_id: who.member2 })
  const events = await stage.news()
  const told = await Promise.all(events.map((event) => tell(stage.teller, event)))
  t.strictSame(
    told.map(({ heard }) => [heard.messageId, heard.nickname, heard.text]),
    [
      [`notice_${events[0]?.id}`, 'owner', '禁言了 member（1分钟）'],
      // Who has left the group still has an account.
      [`notice_${events[1]?.id}`, 'owner', '将 member2 移出了群']
    ]
  )
})

t.test('what lies elsewhere is told by its address', async (t) => {
  const stage = await openStage(t)
  const away = {
    url: 'http://elsewhere/cat.png',
    name: 'cat.png',
    mime: 'image/png',
    size: 0,
    width: 0,
    height: 0,
    durationS: 0
  }
  const { heard } = await tell(stage.teller, said([media('image', away)]))
  t.equal(heard.text, '[图片] 链接: http://elsewhere/cat.png')
})

t.test('forwards are opened as far as the bot may see them', async (t) => {
  const stage = await openStage(t)
  const inner = {
    type: 'forward',
    messages: [{ accountId: who.admin, name: 'Ann', segments: [{ type: 'text', text: 'inside' }] }]
  } as const
  await stage.sendTo(who.member, GROUP, {
    type: 'forward',
    messages: [{ accountId: who.owner, name: 'Bob', segments: [{ type: 'text', text: 'hi' }, inner] }]
  })
  const [event] = await stage.news()
  const { heard } = await tell(stage.teller, event!)
  t.match(heard.text, /【Bob】：hi\[转发消息\]\n--【Ann】：inside\n/)
  const stranger = await tell(stage.tellerWith({ accountId: who.lonelyBot }), event!)
  t.notMatch(stranger.heard.text, /【Ann】/, 'not for a bot that is not there')
})

t.test('the time', async (t) => {
  const stage = await openStage(t)
  const timeAt = async (now: number): Promise<number> =>
    (await tell(stage.tellerWith({ now: () => now }), said([{ type: 'text', text: 'x' }]))).heard.time
  t.equal(await timeAt(START + 0.25), START + 0.25, 'what was said just now is told as said now')
  t.equal(await timeAt(START + 299.5), START + 299.5)
  t.equal(await timeAt(START + 300), START, 'what is old keeps its time')
  t.equal(await timeAt(START - 0.5), START, 'no clock makes it older than it is')
  t.equal(await timeAt(START - 3600), START)
})

t.test('media that do not fit go by a link, the largest first', async (t) => {
  const stage = await openStage(t)
  const [small, large] = [await addFile(stage, png(2, 2), 's.png'), await addFile(stage, png(50, 50, 7), 'l.png')]
  t.ok(large.size > small.size)
  const event = said([media('image', large), { type: 'text', text: 'and' }, media('image', small)])
  const all = await tell(stage.teller, event)
  t.strictSame(
    all.heard.components.map(({ type }) => type),
    ['image', 'text', 'image']
  )

  const exact = await tell(stage.teller, event, { ...PLENTY, maxBytes: all.bytes })
  t.equal(exact.bytes, all.bytes, 'exactly as large as allowed')

  const fresh = await openStage(t)
  const [tiny, big] = [await addFile(fresh, png(2, 2), 's.png'), await addFile(fresh, wav(), 'l.wav')]
  const sizes = said([media('voice', big), { type: 'text', text: 'and' }, media('image', tiny)])
  const full = await tell(fresh.tellerWith({ media: createMediaReader(fresh) }), sizes)
  const less = await tell(fresh.teller, sizes, { ...PLENTY, maxBytes: full.bytes - 1 })
  t.strictSame(
    less.heard.components.map(({ type }) => type),
    ['text', 'image']
  )
  t.match(less.heard.text, /^\[语音\] 链接: http.*and /)
  t.equal(fresh.reads.length, 1, 'what cannot fit is not read')
})

t.test('never more than the ceiling, at any ceiling', async (t) => {
  const stage = await openStage(t)
  const files = [await addFile(stage, png(2, 2)), await addFile(stage, wav()), await addFile(stage, pdf(), '文件.pdf')]
  const event = said([
    { type: 'text', text: '喵😀"\n'.repeat(60) },
    media('image', files[0]!),
    { type: 'mention', accountId: who.bot, name: 'bot' },
    media('voice', files[1]!),
    media('file', files[2]!),
    { type: 'text', text: 'end' }
  ])
  const { bytes: most } = await tell(stage.teller, event)
  const least = Number(
    /at least (\d+)/.exec(
      await stage.teller.tell(event, { ...PLENTY, maxBytes: 10 }).then(
        () => '',
        (err: Error) => err.message
      )
    )?.[1]
  )
  t.ok(least > 100 && least < 1500, `the least is ${least}`)
  await t.rejects(stage.teller.tell(event, { ...PLENTY, maxBytes: least - 1 }), /^maxBytes: expected at least/)
  let cut = 0
  for (let maxBytes = least; maxBytes <= most; maxBytes++) {
    const { bytes, heard } = await tell(stage.teller, event, { ...PLENTY, maxBytes })
    if (bytes > maxBytes) return t.fail(`${bytes} bytes where ${maxBytes} are allowed`)
    if (heard.text.endsWith('……（内容过长，已截断）')) cut++
  }
  t.ok(cut > 100, `${cut} of them were cut with a note`)
  t.equal((await tell(stage.teller, event, { ...PLENTY, maxBytes: most })).bytes, most)
})

t.test('bytes that are gone become a word', async (t) => {
  const stage = await openStage(t)
  const file = await addFile(stage, png(2, 2))
  const event = said([{ type: 'text', text: 'look ' }, media('image', file)])
  const { sha256 } = (await stage.store.findFile(file.fileId!))!
  await stage.blobs.remove(sha256)
  t.equal((await tell(stage.teller, event)).heard.text, 'look [图片已失效]', 'the bytes')
  await stage.files.remove(who.member, file.fileId!)
  t.equal((await tell(stage.teller, event)).heard.text, 'look [图片已失效]', 'the file')
})

t.test('a gone picture that was smaller than the word for it still leaves the ceiling whole', async (t) => {
  const stage = await openStage(t)
  const file = await addFile(stage, Buffer.from('a'), 'a')
  const event = said([
    { type: 'text', text: 'x'.repeat(100) },
    { type: 'mention', accountId: who.bot, name: 'bot' },
    media('image', file)
  ])
  const { bytes: maxBytes } = await tell(stage.teller, event)
  await stage.blobs.remove((await stage.store.findFile(file.fileId!))!.sha256)
  const other = stage.tellerWith({ media: createMediaReader(stage) })
  const told = await tell(other, event, { ...PLENTY, maxBytes })
  t.ok(told.bytes <= maxBytes)
  t.match(told.heard.text, /（内容过长，已截断）$/)
})

t.test('a disk that fails is an error, not a word', async (t) => {
  const failing = async (): Promise<never> => {
    throw new Error('EIO')
  }
  const stage = await openStage(t, { blobs: { read: failing } })
  const file = await addFile(stage, png(2, 2))
  await t.rejects(stage.teller.tell(said([media('image', file)]), PLENTY), /EIO/)
})

t.test('one reading is enough for several brains', async (t) => {
  const stage = await openStage(t)
  const file = await addFile(stage, png(2, 2))
  const event = said([media('image', file)])
  const other = stage.tellerWith({ accountId: who.openBot })
  await Promise.all([tell(stage.teller, event), tell(stage.teller, event), tell(other, event)])
  t.equal(stage.reads.length, 1, 'at once')
  await tell(other, event)
  t.equal(stage.reads.length, 1, 'and a little later')
})

t.test('what is kept for other brains is bounded', async (t) => {
  // Room for one of the pictures, not for the sound.
  const stage = await openStage(t, { maxKept: base64Length(png(3, 3).length) })
  const files = [await addFile(stage, png(2, 2)), await addFile(stage, png(3, 3)), await addFile(stage, wav())]
  const events = files.map((file) => said([media('image', file)]))
  for (const event of events) await tell(stage.teller, event)
  t.equal(stage.reads.length, 3)
  await tell(stage.teller, events[1]!)
  t.equal(stage.reads.length, 3, 'the latest that fits is there')
  await tell(stage.teller, events[0]!)
  await tell(stage.teller, events[2]!)
  t.equal(stage.reads.length, 5, 'the one before and the large one are not')
})

t.test('hostile names are never a lost message', async (t) => {
  const stage = await openStage(t)
  const names = ['', '\0', '\u202e\u2066', '\ud83d', 'x'.repeat(10_240), '\ud800'.repeat(10_240), '"\\\n', '  ']
  for (const name of names) {
    const event = said(
      [
        { type: 'mention', accountId: who.bot, name },
        { type: 'text', text: name },
        { type: 'face', faceId: name },
        { type: 'light_app', appName: name, payload: JSON.stringify({ prompt: name }) },
        { type: 'forward', forwardId: 1, title: name, preview: [name], summary: name }
      ],
      { ...group, name },
      { id: who.member, nickname: name, avatarUrl: '' }
    )
    const { heard } = await tell(stage.teller, event)
    t.ok(heard.nickname !== '' && heard.nickname.length < 200, JSON.stringify(name.slice(0, 10)))
    t.ok(heard.groupName !== '')
  }
})

t.test('whatever is said, a core hears it, and never more than is allowed', async (t) => {
  const stage = await openStage(t)
  const files = [
    await addFile(stage, png(2, 2)),
    await addFile(stage, wav()),
    await addFile(stage, mp4(), 'film.mp4'),
    await addFile(stage, Buffer.from('a'), 'a')
  ]
  const gone: MediaFile = { ...files[0]!, fileId: 999_999 }
  const away: MediaFile = {
    url: 'http://elsewhere/x',
    name: '',
    mime: 'image/png',
    size: 9,
    width: 0,
    height: 0,
    durationS: 0
  }
  const string = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom('', '\ud800', '\0', '喵'.repeat(900))
  )
  const segment: fc.Arbitrary<Segment> = fc.oneof(
    string.map((text): Segment => ({ type: 'text', text })),
    fc.record({ type: fc.constant('mention' as const), accountId: fc.nat(), name: string }),
    fc.constant<Segment>({ type: 'mention_all' }),
    string.map((faceId): Segment => ({ type: 'face', faceId })),
    fc.constant<Segment>({ type: 'reply', seq: 1, messageId: 3, senderId: who.bot, time: START }),
    fc.record({
      type: fc.constant('media' as const),
      kind: fc.constantFrom<MediaKind>('image', 'gif', 'sticker', 'voice', 'audio', 'video', 'file'),
      file: fc.constantFrom(...files, gone, away)
    }),
    fc.record({ type: fc.constant('light_app' as const), appName: string, payload: fc.oneof(fc.json(), string) }),
    fc.record({
      type: fc.constant('forward' as const),
      forwardId: fc.nat(3),
      title: string,
      preview: fc.array(string, { maxLength: 4 }),
      summary: string
    })
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(segment, { maxLength: 12 }),
      string,
      fc.integer({ min: 1500, max: 8000 }),
      async (segments, name, maxBytes) => {
        const event = said(segments, { ...group, name }, { id: who.member, nickname: name, avatarUrl: '' })
        const { bytes, heard } = await tell(stage.teller, event, { platform: 'lactea', notices: 'text', maxBytes })
        return bytes <= maxBytes && heard.components.length > 0
      }
    ),
    { numRuns: 300 }
  )
})

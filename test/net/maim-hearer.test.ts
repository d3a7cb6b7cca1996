import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { MessageBase, MessageError } from '../../sdk/src/message.ts'
import { ActionError } from '../../src/core/errors.ts'
import type { Message } from '../../src/core/store.ts'
import { createHearer, type Heard, type Hearer } from '../../src/net/maim-hearer.ts'
import { startApp, text, type Running, type StartOptions } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { png, wav } from '../helpers/pictures.ts'

const GROUP = 100001
const ALICE = 10011
const PICTURE = png(30, 20)
const BASE64 = PICTURE.toString('base64')

interface Stage extends Running {
  /** The mouth of the group's owner, 10001, and of a plain member, 10002. */
  readonly owner: Hearer
  readonly member: Hearer
  /** What was said in the group. */
  readonly group: () => Promise<Message[]>
  /** What was said between the owner and Alice. */
  readonly private: () => Promise<Message[]>
}

async function openStage(t: Test, options?: StartOptions): Promise<Stage> {
  const app = await startApp(t, options)
  const { gateway } = app.lactea
  const { store } = gateway
  const list = (chatId: number): Promise<Message[]> => store.listMessages({ chatId, afterSeq: 0, limit: 1000 })
  return {
    ...app,
    owner: createHearer({ ...gateway, accountId: 10001 }),
    member: createHearer({ ...gateway, accountId: 10002 }),
    group: () => list(GROUP),
    async private() {
      const chatId = await store.findPrivateChat(10001, ALICE)
      return chatId === undefined ? [] : list(chatId)
    }
  }
}

const segment = (type: string, data: unknown) => ({ type, data })
const inGroup = { group_info: { group_id: String(GROUP), group_name: 'g' }, user_info: { user_id: '10001' } }
const toAlice = { user_info: { user_id: '10001' }, receiver_info: { user_info: { user_id: String(ALICE) } } }

function message(message_segment: unknown, info: object = inGroup): MessageBase {
  return MessageBase.from({ message_info: { message_id: 'mmc_1', ...info }, message_segment })
}

const say = (hearer: Hearer, given: unknown, info?: object, key?: string): Promise<Heard> =>
  hearer.hear(message(given, info), { key })

const list = (...data: unknown[]) => segment('seglist', data)
const words = (messages: readonly Message[]) =>
  messages.map(({ segments }) => segments.map((one) => (one.type === 'text' ? one.text : `[${one.type}]`)).join(''))

t.test('what is said in a group stands there, and its id comes back', async (t) => {
  const stage = await openStage(t)
  const heard = await say(stage.owner, segment('text', 'hi'))
  const [said, ...more] = await stage.group()
  t.match(said, { senderId: 10001, segments: [{ type: 'text', text: 'hi' }] })
  t.strictSame(more, [])
  t.strictSame(heard, {
    answers: [{ name: 'message_id_echo', content: { type: 'echo', echo: 'mmc_1', actual_id: String(said?.id) } }]
  })
})

t.test('the id that comes back is the one that was given, of its type; without one nothing comes back', async (t) => {
  const stage = await openStage(t)
  const numbered = await say(stage.owner, segment('text', 'a'), { ...inGroup, message_id: 5 })
  t.match(numbered.answers, [{ content: { echo: 5 } }])
  t.strictSame(await say(stage.owner, segment('text', 'a'), { ...inGroup, message_id: null }), { answers: [] })
})

t.test('an answer to a person reaches the person, not the bot that stands where the person should', async (t) => {
  const stage = await openStage(t)
  const ways = [
    toAlice,
    { user_info: { user_id: '10001' }, additional_config: { platform_io_target_user_id: String(ALICE) } },
    { user_info: { user_id: ALICE } },
    { user_info: { user_id: 10001 }, sender_info: { user_info: { user_id: ALICE } } }
  ]
  for (const way of ways) t.notOk((await say(stage.owner, segment('text', 'psst'), way)).undeliverable)
  t.strictSame(words(await stage.private()), ['psst', 'psst', 'psst', 'psst'])
  t.strictSame(await stage.group(), [])
})

t.test('a message of several parts is one message', async (t) => {
  const stage = await openStage(t)
  await stage.milky('token-two', 'send_group_message', { group_id: GROUP, message: text('question') })
  const [question] = await stage.group()
  await say(
    stage.owner,
    list(
      segment('reply', String(question?.id)),
      segment('at', '10002'),
      segment('text', ' look: '),
      segment('image', BASE64),
      segment('emoji', `data:image/png;base64,${BASE64}`),
      segment('voice', wav().toString('base64')),
      segment('face', 14),
      segment('at', 'all')
    )
  )
  const [, said, ...more] = await stage.group()
  t.strictSame(more, [])
  t.match(said?.segments, [
    { type: 'reply', messageId: question?.id, senderId: 10002 },
    { type: 'mention', accountId: 10002, name: 'Two' },
    { type: 'text', text: ' look: ' },
    { type: 'media', kind: 'image', file: { width: 30, height: 20, mime: 'image/png' } },
    { type: 'media', kind: 'sticker' },
    { type: 'media', kind: 'voice' },
    { type: 'face', faceId: '14' },
    { type: 'mention_all' }
  ])
  t.equal(said?.segments.length, 8)
})

t.test('what cannot be quoted or called is said all the same', async (t) => {
  const stage = await openStage(t)
  await say(stage.owner, segment('text', 'in private'), toAlice)
  const [elsewhere] = await stage.private()
  for (const id of ['999999', String(elsewhere?.id)])
    await say(
      stage.owner,
      list(segment('reply', id), segment('at', { qq: '77777', name: 'Zoe' }), segment('text', '!'))
    )
  const shown = (await stage.group()).map(({ segments }) => segments)
  const said = [
    { type: 'text', text: '@Zoe' },
    { type: 'text', text: '!' }
  ]
  t.strictSame(shown, [said, said])
})

t.test('media', async (t) => {
  const server = createServer((request, response) => {
    if (request.url === '/cat.png') response.writeHead(200).end(PICTURE)
    else response.writeHead(request.url === '/busy' ? 503 : 404).end()
  })
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const web = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const dir = makeDirectory(t)
  const folder = join(dir, 'open')
  mkdirSync(folder)
  writeFileSync(join(folder, 'note.txt'), 'words')
  writeFileSync(join(dir, 'secret.txt'), 'secret')
  const stage = await openStage(t, { dir, config: { media: { folders: [folder], allowed_networks: ['127.0.0.1'] } } })

  t.test('comes from addresses, open folders, bytes and our own links', async (t) => {
    const cases = [
      [segment('imageurl', `${web}/cat.png`), { kind: 'image', file: { name: 'cat.png', width: 30 } }],
      [segment('file', join(folder, 'note.txt')), { kind: 'file', file: { name: 'note.txt', size: 5 } }],
      [segment('file', { name: 'b.txt', base64: 'aGk=' }), { kind: 'file', file: { name: 'b.txt', size: 2 } }]
    ] as const
    for (const [given, media] of cases) {
      t.notOk((await say(stage.owner, given)).undeliverable)
      t.match((await stage.group()).at(-1)?.segments, [{ type: 'media', ...media }])
    }
    const shown = (await stage.group())[0]?.segments[0]
    if (shown?.type !== 'media') throw new Error('expected the picture')
    const link = stage.lactea.gateway.links.absoluteLinkOf(shown.file)
    await say(stage.member, segment('image', link))
    t.strictSame((await stage.group()).at(-1)?.segments, [shown], 'the same file, not a copy')
  })

  t.test('that cannot be had is told in a sentence, and nothing is said', async (t) => {
    const before = (await stage.group()).length
    const cases: readonly (readonly [given: object, sentence: RegExp])[] = [
      [segment('file', join(dir, 'secret.txt')), /no such file in the folders/],
      [segment('file', join(folder, '..', 'secret.txt')), /no such file in the folders/],
      [segment('image', `${web}/none`), /status 404/],
      // A picture that is not to be had now must not be tried for ever before everything that follows.
      [segment('image', `${web}/busy`), /status 503/],
      [segment('image', 'http://169.254.169.254/x'), /169\.254/],
      [segment('image', 'https://user:pass@127.0.0.1/x'), /./],
      [segment('image', 'no base64 at all!'), /expected base64/],
      [segment('voice', BASE64), /cannot be sent as voice/],
      [segment('file', { file_id: '99' }), /there is no file 99/]
    ]
    for (const [given, sentence] of cases)
      t.match((await say(stage.owner, given)).undeliverable, sentence, JSON.stringify(given))
    t.equal((await stage.group()).length, before)
  })

  t.test('of somebody else’s chat is not there', async (t) => {
    await say(stage.owner, segment('image', png(3, 3).toString('base64')), toAlice)
    const [shown] = (await stage.private()).at(-1)?.segments ?? []
    if (shown?.type !== 'media') throw new Error('expected the picture')
    const link = stage.lactea.gateway.links.absoluteLinkOf(shown.file)
    t.match((await say(stage.member, segment('image', link))).undeliverable, /there is no file/)
  })
})

t.test('a forward holds what is given, what is there, and forwards', async (t) => {
  const stage = await openStage(t)
  await say(stage.owner, list(segment('text', 'first '), segment('image', BASE64)))
  const [first] = await stage.group()
  const node = (message_segment: object, user_id: unknown, user_nickname?: string) => ({
    message_info: { user_info: { user_id, user_nickname } },
    message_segment
  })
  const nodes = [
    node(segment('id', String(first?.id)), null),
    node(segment('id', '424242'), null),
    node(segment('text', 'made up'), ALICE, 'Al'),
    node(segment('forward', [node(segment('text', 'inner'), 'nobody')]), '10002')
  ]
  t.notOk((await say(stage.owner, segment('forward', nodes))).undeliverable)
  const [shown] = (await stage.group()).at(-1)?.segments ?? []
  if (shown?.type !== 'forward') throw new Error('expected a forward')
  const { chats } = stage.lactea.gateway
  const [one, two, three, ...more] = await chats.getForward(ALICE, shown.forwardId)
  t.match(one, { accountId: 10001, name: 'One', segments: [{ text: 'first ' }, { type: 'media', kind: 'image' }] })
  t.match(two, { accountId: ALICE, name: 'Al', segments: [{ text: 'made up' }] })
  t.match(three, { accountId: 10002, name: 'Two', segments: [{ type: 'forward' }] })
  t.strictSame(more, [], 'what is not there is left out')
  const [inner] = three?.segments ?? []
  if (inner?.type !== 'forward') throw new Error('expected a forward')
  t.match(await chats.getForward(ALICE, inner.forwardId), [{ accountId: 10001, name: 'One' }])

  t.test('a forward of a forward tells of it, and does not double it', async (t) => {
    const shownBy = (await stage.group()).at(-1)?.id
    await say(stage.owner, segment('forward', [node(segment('id', shownBy), 1), node(segment('id', shownBy), 1)]))
    const [again] = (await stage.group()).at(-1)?.segments ?? []
    if (again?.type !== 'forward') throw new Error('expected a forward')
    const said = { segments: [{ type: 'text', text: /Chat history/ }] }
    t.match(await chats.getForward(ALICE, again.forwardId), [said, said])
  })

  t.test('what others say in private cannot be passed on', async (t) => {
    await say(stage.owner, segment('text', 'secret'), toAlice)
    const [secret] = await stage.private()
    const heard = await say(stage.member, segment('forward', [node(segment('id', secret?.id), 1)]))
    t.match(heard.undeliverable, /empty/)
  })
})

t.test('what can never be said is told in a sentence', async (t) => {
  const stage = await openStage(t, { config: { limits: { bot_message_text: 10 } } })
  const hi = segment('text', 'hi')
  const { gateway } = stage.lactea
  const cases: readonly (readonly [label: string, hearer: Hearer, given: object, info: object, sentence: RegExp])[] = [
    ['nothing', stage.owner, list(), inGroup, /nothing in it to be said/],
    ['nothing but a notice', stage.owner, segment('reply', 'notice'), inGroup, /nothing in it to be said/],
    ['nothing that we know', stage.owner, segment('gift', 'rose:1'), inGroup, /only gift/],
    ['for nobody', stage.owner, hi, {}, /names none/],
    ['for an unknown group', stage.owner, hi, { group_info: { group_id: 5 } }, /group 5 does not exist/],
    ['for a stranger', stage.owner, hi, { user_info: { user_id: 10099 } }, /no friend 10099/],
    ['for a group of no number', stage.owner, hi, { group_info: { group_id: 'x' } }, /expected the number of a group/],
    ['too long', stage.owner, segment('text', 'x'.repeat(11)), inGroup, /at most 10 characters/],
    ['too much', stage.owner, list(...Array.from({ length: 201 }, () => segment('face', 1))), inGroup, /200 segments/]
  ]
  for (const [label, hearer, given, info, sentence] of cases)
    t.test(label, async (t) => {
      const heard = await say(hearer, given, info)
      t.match(heard.undeliverable, sentence)
      t.strictSame(heard.answers, [])
    })

  t.test('by who is muted', async (t) => {
    await gateway.groups.mute(10001, GROUP, 10002, 60)
    t.match((await say(stage.member, hi)).undeliverable, /you are muted/)
  })

  t.test('by who is switched off', async (t) => {
    await gateway.store.disableAccount(10002, gateway.now())
    t.match((await say(stage.member, hi)).undeliverable, /10002 is switched off/)
  })
  t.strictSame(await stage.group(), [])
})

t.test('a private chat is not reached by calling it a group', async (t) => {
  const stage = await openStage(t)
  await say(stage.owner, segment('text', 'x'), toAlice)
  const [{ chatId } = { chatId: 0 }] = await stage.private()
  const heard = await say(stage.owner, segment('text', 'x'), { group_info: { group_id: chatId } })
  t.match(heard.undeliverable, /does not exist/)
})

t.test('the types that are left out are in the log', async (t) => {
  const stage = await openStage(t, { logLevel: 'debug' })
  await say(stage.owner, list(segment('gift', 'rose:1'), segment('text', 'thanks')))
  t.match(await stage.logged('mean nothing in a chat'), /"types":\["gift"\]/)
  t.strictSame(words(await stage.group()), ['thanks'])
})

t.test('under one key', async (t) => {
  t.test('a message is said once, and its id comes back each time, also after a restart', async (t) => {
    const dir = makeDirectory(t)
    const first = await openStage(t, { dir })
    const key = 'the key of a brain '.repeat(20)
    const once = await say(first.owner, segment('text', 'hi'), inGroup, key)
    t.strictSame(await say(first.owner, segment('text', 'hi'), inGroup, key), once)
    await first.lactea.app.close()
    const second = await openStage(t, { dir })
    t.strictSame(await say(second.owner, segment('text', 'hi'), inGroup, key), once)
    await say(second.owner, segment('text', 'hi'), inGroup, `${key}2`)
    t.strictSame(words(await second.group()), ['hi', 'hi'])
  })

  t.test('two mouths of one bot say it once too, and keep its picture once', async (t) => {
    const stage = await openStage(t)
    const twin = createHearer({ ...stage.lactea.gateway, accountId: 10001 })
    const picture = segment('image', BASE64)
    const [a, b] = await Promise.all([
      say(stage.owner, picture, inGroup, 'key'),
      say(twin, picture, inGroup, 'key'),
      say(stage.member, segment('text', 'another bot'), inGroup, 'key')
    ])
    t.strictSame(a, b)
    t.strictSame(words(await stage.group()).toSorted(), ['[media]', 'another bot'])
    const { store } = stage.lactea.gateway
    const files = await Promise.all([1, 2, 3].map((id) => store.findFile(id)))
    t.equal(files.filter(Boolean).length, 1)
  })

  t.test('what is said again is not fetched again', async (t) => {
    let asked = 0
    const server = createServer((_, response) => response.writeHead(++asked === 1 ? 200 : 404).end(PICTURE))
    t.teardown(() => server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.png`
    const stage = await openStage(t, { config: { media: { allowed_networks: ['127.0.0.1'] } } })
    const once = await say(stage.owner, segment('image', url), inGroup, 'key')
    t.notOk(once.undeliverable)
    t.strictSame(await say(stage.owner, segment('image', url), inGroup, 'key'), once)
    t.equal(asked, 1)
  })

  t.test('a command has one effect, and its answer comes back', async (t) => {
    const stage = await openStage(t)
    const before = await stage.lactea.gateway.store.lastEventId()
    const poke = segment('command', { name: 'SEND_POKE', args: { qq_id: ALICE } })
    const once = await say(stage.owner, list(poke, poke), inGroup, 'key')
    t.match(once.answers, [{ content: { success: true } }, { content: { success: true } }])
    t.strictSame(await say(stage.owner, list(poke, poke), inGroup, 'key'), once)
    const { events } = await stage.lactea.gateway.store.readEvents(10001, before, 100)
    t.equal(events.length, 2, 'two pokes in the message are two')
  })

  t.test('without a key everything is new', async (t) => {
    const stage = await openStage(t)
    await say(stage.owner, segment('text', 'hi'))
    await say(stage.owner, segment('text', 'hi'))
    t.strictSame(words(await stage.group()), ['hi', 'hi'])
  })
})

t.test('Milky has no word for it: neither the action nor the name of a message', async (t) => {
  const stage = await openStage(t)
  const params = { group_id: GROUP, message: text('hi'), client_id: 'mine' }
  t.match(await stage.milky('token-one', 'say_in_chat', params), { http: 404 })
  t.not((await stage.call('token-one', 'say_in_chat', params)).status, 'ok')
  for (const _ of [1, 2]) t.match(await stage.milky('token-one', 'send_group_message', params), { status: 'ok' })
  t.strictSame(words(await stage.group()), ['hi', 'hi'])
})

t.test('messages are said in the order in which they came, whatever each takes', async (t) => {
  let release = (): void => {}
  const released = new Promise<void>((resolve) => (release = resolve))
  const server = createServer((_, response) => void released.then(() => response.writeHead(200).end(PICTURE)))
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stage = await openStage(t, { config: { media: { allowed_networks: ['127.0.0.1'] } } })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.png`
  const turns = [
    say(stage.owner, segment('image', url)),
    say(stage.owner, segment('gift', '1')),
    ...Array.from({ length: 20 }, (_, n) => say(stage.owner, segment('text', `${n}`)))
  ]
  await say(stage.member, segment('text', 'another bot does not wait'))
  release()
  await Promise.all(turns)
  const numbers = Array.from({ length: 20 }, (_, n) => `${n}`)
  t.strictSame(words(await stage.group()), ['another bot does not wait', '[media]', ...numbers])
})

t.test('more than can wait is turned away, and may come again', async (t) => {
  const stage = await openStage(t)
  const turns = Array.from({ length: 1001 }, () => say(stage.owner, segment('gift', '1')))
  const last = Promise.resolve(turns.pop())
  await t.rejects(last, new ActionError('unavailable', '1000 messages wait to be said already; try again later'))
  await Promise.all(turns)
  t.notOk((await say(stage.owner, segment('text', 'hi'))).undeliverable)
})

t.test('when the database is gone, words may be tried again and commands fail', async (t) => {
  const stage = await openStage(t)
  await say(stage.owner, segment('text', 'hi'))
  const { gateway } = stage.lactea
  const gone = new ActionError('unavailable', 'the database could not write')
  const hearer = createHearer({
    ...gateway,
    accountId: 10001,
    dispatcher: { dispatch: async () => ({ ok: false, error: gone }) }
  })
  await t.rejects(say(hearer, segment('text', 'hi'), inGroup, 'key'), gone)
  const name = segment('command', { name: 'SET_GROUP_NAME', args: { group_name: 'New' } })
  t.match((await say(hearer, name, inGroup, 'key')).answers, [{ content: { success: false, error: /database/ } }])
})

t.test('commands', async (t) => {
  const stage = await openStage(t)
  const { gateway } = stage.lactea
  const command = (name: string, args: object = {}) => segment('command', { name, args })

  async function run(hearer: Hearer, name: string, args: object = {}, info: object = inGroup) {
    const { answers, undeliverable } = await say(hearer, command(name, args), info)
    t.equal(undeliverable, undefined)
    t.equal(answers.length, 1)
    t.equal(answers[0]?.name, 'command_response')
    return answers[0]?.content as {
      command_name: string
      success: boolean
      timestamp: number
      data?: any
      error?: string
    }
  }

  t.test('answer with their name, the time, and data or an error', async (t) => {
    const answer = await run(stage.owner, 'GET_LOGIN_INFO')
    t.strictSame(Object.keys(answer), ['command_name', 'success', 'timestamp', 'data'])
    t.match(answer, { command_name: 'GET_LOGIN_INFO', success: true, data: { user_id: 10001, nickname: 'One' } })
    const failed = await run(stage.owner, 'FLY')
    t.strictSame(Object.keys(failed), ['command_name', 'success', 'timestamp', 'error'])
    t.match(failed, { command_name: 'FLY', success: false, error: 'name: there is no command "FLY"' })
    t.match(await run(stage.owner, '__proto__'), { success: false })
  })

  const refused: readonly (readonly [name: string, args: object])[] = [
    ['GROUP_BAN', { qq_id: ALICE, duration: 60 }],
    ['GROUP_WHOLE_BAN', { enable: true }],
    ['GROUP_KICK', { qq_id: ALICE }],
    ['GROUP_KICK_MEMBERS', { user_id: [ALICE] }],
    ['SET_GROUP_NAME', { group_name: 'Mine' }]
  ]
  for (const [name, args] of refused)
    t.test(`${name} is refused to who may not`, async (t) => {
      const before = await gateway.store.lastEventId()
      const answer = await run(stage.member, name, args)
      t.match(answer, { success: false, error: /admin|owner/ })
      t.equal(await gateway.store.lastEventId(), before)
    })

  t.test('GROUP_BAN mutes and lifts', async (t) => {
    const muted = async (): Promise<number> => (await gateway.store.findMember(GROUP, ALICE))?.mutedUntil ?? 0
    t.match(await run(stage.owner, 'GROUP_BAN', { qq_id: String(ALICE), duration: '60' }), { success: true })
    t.ok((await muted()) > gateway.now())
    t.match(await run(stage.owner, 'GROUP_BAN', { user_id: ALICE, duration: 0 }), { success: true })
    t.equal(await muted(), 0)
  })

  t.test('GROUP_WHOLE_BAN mutes all and lifts', async (t) => {
    for (const enable of [true, false]) {
      await run(stage.owner, 'GROUP_WHOLE_BAN', { enable })
      t.equal((await gateway.store.findGroup(GROUP))?.isMuted, enable)
    }
  })

  t.test('SET_GROUP_NAME renames', async (t) => {
    await run(stage.owner, 'SET_GROUP_NAME', { group_id: GROUP, group_name: 'New' }, {})
    t.equal((await gateway.store.findGroup(GROUP))?.name, 'New')
  })

  t.test('SEND_POKE nudges in a group and in private', async (t) => {
    const before = await gateway.store.lastEventId()
    t.match(await run(stage.owner, 'SEND_POKE', { qq_id: ALICE }), { success: true })
    t.match(await run(stage.owner, 'SEND_POKE', { qq_id: ALICE }, toAlice), { success: true })
    const { events } = await gateway.store.readEvents(10001, before, 10)
    t.equal(events.length, 2)
    t.match(await run(stage.owner, 'SEND_POKE', { qq_id: 10099 }), { success: false })
  })

  t.test('DELETE_MSG takes messages back in a group and in private', async (t) => {
    for (const [info, read] of [
      [inGroup, stage.group],
      [toAlice, stage.private]
    ] as const) {
      await say(stage.owner, segment('text', 'oops'), info)
      const id = (await read()).at(-1)?.id
      t.match(await run(stage.owner, 'DELETE_MSG', { message_id: String(id) }), { success: true })
      t.notOk((await read()).some((one) => one.id === id))
    }
    await stage.milky('token-one', 'send_group_message', { group_id: GROUP, message: text('mine') })
    const id = (await stage.group()).at(-1)?.id
    t.match(await run(stage.member, 'DELETE_MSG', { message_id: id }), { success: false, error: /only the sender/ })
    t.match(await run(stage.owner, 'DELETE_MSG', { message_id: 999_999 }), { success: false, error: /no message/ })
  })

  t.test('twenty-five messages are taken back at once: bots are not held to the pace of people', async (t) => {
    const ids: (number | undefined)[] = []
    for (let n = 0; n < 25; n++) {
      await say(stage.owner, segment('text', `${n}`))
      ids.push((await stage.group()).at(-1)?.id)
    }
    const { answers } = await say(stage.owner, list(...ids.map((message_id) => command('DELETE_MSG', { message_id }))))
    t.equal(answers.length, 25)
    for (const { content } of answers) t.match(content, { success: true })
  })

  for (const name of ['SET_MSG_EMOJI_LIKE', 'MESSAGE_LIKE'])
    t.test(`${name} reacts`, async (t) => {
      await stage.milky('token-two', 'send_group_message', { group_id: GROUP, message: text('nice') })
      const message_id = (await stage.group()).at(-1)?.id ?? 0
      for (const emoji_id of [76, '128077'])
        t.match(await run(stage.owner, name, { message_id, emoji_id }), { success: true })
      const shown = await gateway.reactions.list(10001, message_id)
      t.strictSame(shown.map(({ type, reaction }) => `${type} ${reaction}`).toSorted(), ['emoji 128077', 'face 76'])
      t.match(await run(stage.owner, name, { message_id, emoji_id: 76, set: false }), { success: true })
      t.equal((await gateway.reactions.list(10001, message_id)).length, 1)
      t.match(await run(stage.owner, name, { message_id, emoji_id: 'hello' }), { success: false })
    })

  t.test('SET_QQ_PROFILE names the bot', async (t) => {
    t.match(await run(stage.member, 'SET_QQ_PROFILE', { nickname: 'Duo', personal_note: 'beep', sex: 'x' }), {
      success: true
    })
    t.match(await run(stage.owner, 'GET_STRANGER_INFO', { user_id: 10002 }), { data: { nickname: 'Duo' } })
    t.match(await run(stage.member, 'SET_QQ_PROFILE', {}), { success: false, error: /^nickname: expected/ })
  })

  t.test('AI_VOICE_SEND says that there is no voice', async (t) => {
    t.match(await run(stage.owner, 'AI_VOICE_SEND', { character: 'a', text: 'b' }), {
      success: false,
      error: /no voice/
    })
  })

  t.test('the people and groups that the bot knows', async (t) => {
    t.match(await run(stage.owner, 'GET_FRIEND_LIST', { no_cache: true }, {}), {
      data: [{ user_id: 10002 }, { user_id: ALICE, nickname: 'Alice', remark: '' }]
    })
    t.match(await run(stage.owner, 'GET_GROUP_LIST', {}, {}), { data: [{ group_id: GROUP, member_count: 3 }] })
    for (const name of ['GET_GROUP_INFO', 'GET_GROUP_DETAIL_INFO'])
      t.match(await run(stage.owner, name), { data: { group_id: GROUP, group_name: String, max_member_count: Number } })
    t.match(await run(stage.owner, 'GET_GROUP_AT_ALL_REMAIN'), { data: { can_at_all: true } })
    t.match(await run(stage.owner, 'GET_GROUP_MEMBER_INFO', { user_id: String(ALICE) }), {
      data: { group_id: GROUP, user_id: ALICE, nickname: 'Alice', role: 'member', card: '', level: '1' }
    })
    const { data } = await run(stage.owner, 'GET_GROUP_MEMBER_LIST', {}, { group_info: { group_id: GROUP } })
    t.strictSame(data.map(({ user_id, role }: any) => [user_id, role]).toSorted(), [
      [10001, 'owner'],
      [10002, 'member'],
      [ALICE, 'member']
    ])
    t.match(await run(stage.owner, 'GET_GROUP_INFO', { group_id: 5 }), { success: false, error: /group 5/ })
    t.match(await run(stage.owner, 'GET_GROUP_INFO', {}, toAlice), { success: false, error: /^group_id: expected/ })
    t.match(await run(stage.owner, 'GET_STRANGER_INFO', {}), {
      success: false,
      error: 'user_id: expected an id, it is missing'
    })
  })

  t.test('GET_MSG tells a message in the words of OneBot', async (t) => {
    await stage.milky('token-two', 'send_group_message', { group_id: GROUP, message: text('first') })
    const first = (await stage.group()).at(-1)
    await say(stage.owner, list(segment('reply', first?.id), segment('at', ALICE), segment('image', BASE64)))
    const second = (await stage.group()).at(-1)
    t.match(await run(stage.member, 'GET_MSG', { message_id: String(second?.id) }, {}), {
      data: {
        self_id: 10002,
        message_type: 'group',
        group_id: GROUP,
        message_id: second?.id,
        time: second?.time,
        sender: { user_id: 10001, nickname: 'One', role: 'owner' },
        message: [
          { type: 'reply', data: { id: String(first?.id) } },
          { type: 'at', data: { qq: String(ALICE) } },
          { type: 'image', data: { url: /^http/ } }
        ]
      }
    })
    await say(stage.owner, segment('text', 'psst'), toAlice)
    const message_id = (await stage.private()).at(-1)?.id
    t.match(await run(stage.owner, 'GET_MSG', { message_id }), {
      data: { message_type: 'private', sender: { nickname: 'One' }, message: [{ data: { text: 'psst' } }] }
    })
    t.match(await run(stage.member, 'GET_MSG', { message_id }), { success: false, error: /there is no message/ })
  })

  t.test('GET_FORWARD_MSG tells what was passed on, by the message or by its number', async (t) => {
    const node = {
      message_info: { user_info: { user_id: ALICE, user_nickname: 'Al' } },
      message_segment: segment('text', 'x')
    }
    await say(stage.owner, segment('forward', [node]))
    const shown = (await stage.group()).at(-1)
    const [forward] = shown?.segments ?? []
    const number = forward?.type === 'forward' ? forward.forwardId : 0
    const data = { messages: [{ sender: { user_id: ALICE, nickname: 'Al' }, message: [{ data: { text: 'x' } }] }] }
    t.match(await run(stage.owner, 'GET_FORWARD_MSG', { message_id: String(shown?.id) }), { data })
    t.match(await run(stage.owner, 'GET_FORWARD_MSG', { id: number }), { data })
    t.match(await run(stage.owner, 'GET_FORWARD_MSG', { message_id: 999_999 }), { success: false })
  })

  t.test('stand beside words, which are said first', async (t) => {
    const { answers } = await say(stage.owner, list(command('GET_LOGIN_INFO'), segment('text', 'and this')))
    t.match(answers, [{ name: 'message_id_echo' }, { name: 'command_response' }])
  })

  t.test('GROUP_KICK and GROUP_KICK_MEMBERS remove, and say who could not be', async (t) => {
    t.match(await run(stage.owner, 'GROUP_KICK_MEMBERS', { user_id: [ALICE, '10099'] }), {
      success: false,
      error: /1 of 2 were not removed: 10099: /
    })
    t.equal(await gateway.store.isMember(GROUP, ALICE), false)
    t.match(await run(stage.owner, 'GROUP_KICK', { user_id: 10002, reject_add_request: false }), { success: true })
    t.equal(await gateway.store.isMember(GROUP, 10002), false)
    for (const user_id of [[], 'x', [null], Array.from({ length: 101 }, () => ALICE)])
      t.match(await run(stage.owner, 'GROUP_KICK_MEMBERS', { user_id }), {
        success: false,
        error: /^user_id: expected/
      })
  })
})

/** As a door reads it; undefined for what is no message at all. */
function read(fields: object): MessageBase | undefined {
  try {
    return MessageBase.from(fields)
  } catch (err) {
    if (err instanceof MessageError) return undefined
    throw err
  }
}

t.test('whatever a brain sends, it is answered, nothing is said twice, and the next is said', async (t) => {
  const options: StartOptions = { config: { limits: { bot_message_text: 2000 } }, logLevel: 'warn' }
  const stage = await openStage(t, options)
  const types = [
    'text',
    'image',
    'emoji',
    'voice',
    'file',
    'at',
    'reply',
    'face',
    'forward',
    'music',
    'command',
    'seglist',
    'id'
  ]
  const names = ['GROUP_BAN', 'SEND_POKE', 'DELETE_MSG', 'GET_MSG', 'GET_FORWARD_MSG', 'SET_MSG_EMOJI_LIKE']
  const ids = fc.constantFrom<unknown>(GROUP, String(GROUP), ALICE, 10001, 10002, 1, 0, -1, 'x', null, 1e300)
  const { junk } = fc.letrec((tie) => ({
    junk: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue(),
      ids,
      fc.constantFrom(
        BASE64,
        'data:,x',
        'http://127.0.0.1:1/',
        'file:///etc/passwd',
        '/etc/passwd',
        '\u0000',
        '\ud800'
      ),
      fc.record({ type: fc.constantFrom(...types), data: tie('junk') }),
      fc.record({ type: fc.constant('seglist'), data: fc.array(tie('junk'), { maxLength: 4 }) }),
      fc.record({
        name: fc.constantFrom(...names),
        args: fc.dictionary(fc.constantFrom('message_id', 'qq_id', 'emoji_id', 'duration'), tie('junk'))
      }),
      fc.record({ message_info: tie('junk'), message_segment: tie('junk') }),
      fc.array(fc.record({ message_info: tie('junk'), message_segment: tie('junk') }), { maxLength: 3 })
    )
  }))
  const info = fc.oneof(
    { weight: 3, arbitrary: fc.constant(inGroup) },
    fc.constant(toAlice),
    fc.record({ group_info: fc.record({ group_id: ids }), user_info: fc.record({ user_id: ids }), message_id: ids }),
    junk
  )
  const whole = fc.record({ type: fc.constantFrom(...types), data: junk })
  const words = fc.record({ type: fc.constantFrom('text', 'at', 'face', 'reply'), data: fc.oneof(fc.string(), ids) })
  const sensible = fc.record({
    type: fc.constant('seglist'),
    data: fc.array(fc.oneof({ weight: 3, arbitrary: words }, whole), { minLength: 1, maxLength: 4 })
  })
  const said: { given: MessageBase; key: string }[] = []
  let count = 0
  await fc.assert(
    fc.asyncProperty(fc.oneof(sensible, whole, junk), info, async (message_segment, message_info) => {
      const given = read({ message_segment, message_info })
      if (!given) return true
      const key = `junk ${count++}`
      const before = await messages(stage)
      const heard = await stage.owner.hear(given, { key })
      if ((await messages(stage)) > before && !JSON.stringify(given).includes('"command"')) said.push({ given, key })
      const position = await stage.lactea.gateway.store.lastEventId()
      await stage.owner.hear(given, { key })
      return heard.undeliverable !== '' && (await stage.lactea.gateway.store.lastEventId()) === position
    }),
    { numRuns: 400 }
  )
  t.ok(said.length > 20, `${said.length} of ${count} were said`)
  t.notOk((await say(stage.owner, segment('text', 'still here'), toAlice)).undeliverable)
  t.strictSame(stage.lines, [], 'nothing was taken for a mistake of ours')

  const before = await messages(stage)
  await stage.lactea.app.close()
  const next = await openStage(t, { ...options, dir: stage.dir })
  for (const { given, key } of said) t.notOk((await next.owner.hear(given, { key })).undeliverable)
  t.equal(await messages(next), before, 'after a restart it is still known')
})

async function messages(stage: Stage): Promise<number> {
  return (await stage.group()).length + (await stage.private()).length
}

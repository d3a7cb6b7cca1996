import t from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import { toReactionName } from '../../src/core/reactions.ts'
import type { ReactionName, ReactionType } from '../../src/core/note-store.ts'
import { png } from '../helpers/pictures.ts'
import { range, refusal } from '../suites/store.ts'
import { GROUP, openWorld, START, who, type World } from './world.ts'

type Name = keyof typeof who

const FACE: ReactionName = { type: 'face', reaction: '14' }
const THUMB: ReactionName = { type: 'emoji', reaction: '128077' }
const ALL = { offset: 0, limit: 50 }

/** What somebody may do, when the owner has announced and said something. */
const powers: Record<string, { act: (world: World, actor: number) => Promise<unknown>; who: Record<string, string> }> =
  {
    'send announcements': {
      act: ({ announcements }, actor) => announcements.send(actor, GROUP, { content: 'news' }),
      who: { owner: 'accepted', admin: 'accepted', member: 'forbidden', bot: 'forbidden', stranger: 'not_found' }
    },
    'find out whether they may send announcements': {
      act: ({ announcements }, actor) => announcements.check(actor, GROUP, 'news'),
      who: { owner: 'accepted', admin: 'accepted', member: 'forbidden', bot: 'forbidden', stranger: 'not_found' }
    },
    'delete announcements of others': {
      act: ({ announcements }, actor) => announcements.remove(actor, GROUP, 1),
      who: { owner: 'accepted', admin: 'accepted', member: 'forbidden', bot: 'forbidden', stranger: 'not_found' }
    },
    'read announcements': {
      act: ({ announcements }, actor) => announcements.list(actor, GROUP),
      who: { owner: 'accepted', admin: 'accepted', member: 'accepted', bot: 'accepted', stranger: 'not_found' }
    },
    'mark messages as essence': {
      act: ({ essence }, actor) => essence.set(actor, GROUP, 1, true),
      who: { owner: 'accepted', admin: 'accepted', member: 'forbidden', bot: 'forbidden', stranger: 'not_found' }
    },
    'take messages from the essence': {
      act: ({ essence }, actor) => essence.set(actor, GROUP, 1, false),
      who: { owner: 'accepted', admin: 'accepted', member: 'forbidden', bot: 'forbidden', stranger: 'not_found' }
    },
    'read the essence': {
      act: ({ essence }, actor) => essence.list(actor, GROUP, ALL),
      who: { owner: 'accepted', admin: 'accepted', member: 'accepted', bot: 'accepted', stranger: 'not_found' }
    },
    react: {
      act: ({ reactions }, actor) => reactions.add(actor, GROUP, 1, FACE),
      who: { owner: 'accepted', admin: 'accepted', member: 'accepted', bot: 'accepted', stranger: 'not_found' }
    },
    'take a reaction back': {
      act: ({ reactions }, actor) => reactions.remove(actor, GROUP, 1, FACE),
      who: { owner: 'accepted', admin: 'accepted', member: 'accepted', bot: 'accepted', stranger: 'not_found' }
    }
  }

for (const [power, { act, who: rows }] of Object.entries(powers)) {
  t.test(`who may ${power}`, async (t) => {
    for (const [name, expected] of Object.entries(rows)) {
      const world = await openWorld(t)
      await world.sendTo(who.owner, GROUP, 'hello')
      await world.announcements.send(who.owner, GROUP, { content: 'old news' })
      t.equal(await refusal(act(world, who[name as Name])), expected, `${name}: ${expected}`)
    }
  })
}

t.test('an announcement', async (t) => {
  t.test('has 1 to 2000 characters, without the space around them', async (t) => {
    const world = await openWorld(t)
    const { announcements } = world
    const rows: [content: string, expected: string][] = [
      ['', 'invalid'],
      [' \n\t ', 'invalid'],
      ['x', 'accepted'],
      [` ${'x'.repeat(2000)} `, 'accepted'],
      ['😀'.repeat(2000), 'accepted'],
      ['x'.repeat(2001), 'too_large']
    ]
    for (const [content, expected] of rows) {
      const label = `${content.length} characters: ${expected}`
      t.equal(await refusal(announcements.check(who.owner, GROUP, content)), expected, label)
      const sending = announcements.send(who.owner, GROUP, { content })
      t.equal(await refusal(sending), expected, label)
      if (expected !== 'accepted') await t.rejects(sending, { details: { field: 'content' }, message: /content/ })
    }
    await announcements.send(who.owner, GROUP, { content: '  two\r\nlines\0\u0007 ' })
    t.match(await announcements.list(who.member, GROUP), [{ content: 'two\nlines' }])
  })

  t.test('is nobody’s news, and shown with the group', async (t) => {
    const { announcements, groups, news } = await openWorld(t)
    const { id } = await announcements.send(who.admin, GROUP, { content: 'news' })
    t.match(await groups.get(who.member, GROUP), { announcement: 'news' })
    await announcements.remove(who.owner, GROUP, id)
    t.match(await groups.get(who.member, GROUP), { announcement: '' })
    t.strictSame(await news(), [])
  })

  t.test('of a group stays among the last 50', async (t) => {
    const { announcements } = await openWorld(t)
    for (const number of range(1, 52)) await announcements.send(who.owner, GROUP, { content: `${number}` })
    const contents = (await announcements.list(who.member, GROUP)).map(({ content }) => content)
    t.strictSame(contents, range(3, 52).toReversed().map(String))
  })

  t.test('takes its picture with it', async (t) => {
    const { announcements, blobs, files } = await openWorld(t)
    const content = png(3, 2)
    const { id: fileId, sha256 } = await files.add({ ownerId: who.owner, bytes: [content], name: 'a.png' })
    const { id } = await announcements.send(who.owner, GROUP, { content: 'look', fileId })
    t.match(await files.get(who.member, fileId), { id: fileId })
    t.equal(await refusal(files.get(who.stranger, fileId)), 'not_found')
    t.equal(await refusal(files.remove(who.owner, fileId)), 'conflict')
    await announcements.remove(who.owner, GROUP, id)
    t.equal(await refusal(files.get(who.owner, fileId)), 'not_found')
    t.equal(await blobs.read(sha256, { start: 0, end: 0 }), undefined, 'nothing of it is on the disk')
  })

  t.test('of who is an admin no more is theirs to delete no more', async (t) => {
    const { announcements, groups } = await openWorld(t)
    const { id } = await announcements.send(who.admin, GROUP, { content: 'mine' })
    await groups.setAdmin(who.owner, GROUP, who.admin, false)
    t.equal(await refusal(announcements.remove(who.admin, GROUP, id)), 'forbidden')
    await announcements.remove(who.admin2, GROUP, id)
    t.equal(await refusal(announcements.remove(who.admin2, GROUP, id)), 'not_found')
  })
})

t.test('the essence', async (t) => {
  t.test('changes once', async (t) => {
    const { essence, sendTo, news } = await openWorld(t)
    const { id: messageId } = await sendTo(who.member, GROUP, 'wise')
    await news()
    for (const isSet of [false, true, true, false, false]) await essence.set(who.admin, GROUP, 1, isSet)
    t.match(await news(), [
      { kind: 'essence.changed', time: START, data: { messageId, seq: 1, operatorId: who.admin, isSet: true } },
      { kind: 'essence.changed', data: { isSet: false } }
    ])
  })

  t.test('has up to 500 messages', async (t) => {
    const { essence, store, sendTo } = await openWorld(t)
    for (let left = 501; left > 0; left--) await sendTo(who.member, GROUP, 'x')
    await Promise.all(range(1, 500).map((seq) => essence.set(who.owner, GROUP, seq, true)))
    t.equal(await refusal(essence.set(who.owner, GROUP, 501, true)), 'too_large')
    await essence.set(who.owner, GROUP, 500, true)
    await essence.set(who.owner, GROUP, 7, false)
    await essence.set(who.owner, GROUP, 501, true)
    const { entries, total } = await essence.list(who.member, GROUP, { offset: 0, limit: 2 })
    t.strictSame([total, entries.map(({ message }) => message.seq)], [500, [501, 500]])
    for (const offset of [500, Number.MAX_SAFE_INTEGER, 2 ** 60])
      t.strictSame((await essence.list(who.member, GROUP, { offset, limit: 50 })).entries, [])
    t.equal((await store.listEssence(GROUP, ALL)).total, 500)
  })
})

t.test('a reaction', async (t) => {
  t.test('is given once', async (t) => {
    const { reactions, sendTo, news } = await openWorld(t)
    const { id: messageId } = await sendTo(who.member, GROUP, 'x')
    await news()
    await reactions.remove(who.bot, GROUP, 1, THUMB)
    for (const act of [reactions.add, reactions.add, reactions.remove, reactions.remove])
      await act(who.bot, GROUP, 1, THUMB)
    t.match(await news(), [
      { kind: 'reaction.changed', time: START, data: { messageId, seq: 1, accountId: who.bot, ...THUMB, isAdd: true } },
      { kind: 'reaction.changed', data: { ...THUMB, isAdd: false } }
    ])
  })

  t.test('is for those who may speak; what was given may be taken back', async (t) => {
    const silences: [label: string, reason: string, silence: (world: World) => Promise<unknown>][] = [
      ['a muted member', 'muted', ({ groups }) => groups.mute(who.owner, GROUP, who.member, 60)],
      ['a member of a muted group', 'muted', ({ groups }) => groups.muteAll(who.owner, GROUP, true)]
    ]
    for (const [label, reason, silence] of silences) {
      const world = await openWorld(t)
      await world.sendTo(who.owner, GROUP, 'x')
      await world.reactions.add(who.member, GROUP, 1, FACE)
      await silence(world)
      t.equal(await refusal(world.reactions.add(who.member, GROUP, 1, THUMB)), reason, label)
      t.equal(await refusal(world.reactions.add(who.member, GROUP, 1, FACE)), reason, `${label}, again`)
      await world.reactions.remove(who.member, GROUP, 1, FACE)
      await world.reactions.add(who.admin, GROUP, 1, THUMB)
    }
  })

  t.test('is there in private chats, until somebody is blocked', async (t) => {
    const { reactions, contacts, chats, writeTo } = await openWorld(t)
    const { chatId, id } = await writeTo(who.owner, who.member, 'x')
    await reactions.add(who.member, chatId, 1, THUMB)
    await reactions.add(who.owner, chatId, 1, FACE)
    t.match(await reactions.list(who.owner, id), [
      { ...THUMB, count: 1, isOwn: false, accountIds: [who.member] },
      { ...FACE, isOwn: true }
    ])
    t.equal(await refusal(reactions.add(who.admin, chatId, 1, THUMB)), 'not_found')
    t.equal(await refusal(reactions.list(who.admin, id)), 'not_found')
    await contacts.block(who.member, who.owner)
    t.equal(await refusal(reactions.add(who.owner, chatId, 1, THUMB)), 'forbidden')
    await chats.recall(who.owner, chatId, 1)
    t.equal(await refusal(reactions.list(who.owner, id)), 'not_found')
  })

  t.test('is one of up to 20 of a message', async (t) => {
    const { reactions, sendTo } = await openWorld(t)
    const { id } = await sendTo(who.owner, GROUP, 'x')
    const face = (number: number): ReactionName => ({ type: 'face', reaction: `${number}` })
    for (const number of range(1, 20)) await reactions.add(who.member, GROUP, 1, face(number))
    t.equal(await refusal(reactions.add(who.member, GROUP, 1, face(21))), 'too_large')
    t.equal(await refusal(reactions.add(who.member2, GROUP, 1, THUMB)), 'too_large')
    await reactions.add(who.member2, GROUP, 1, face(20))
    await reactions.remove(who.member, GROUP, 1, face(1))
    await reactions.add(who.member2, GROUP, 1, THUMB)
    const found = await reactions.list(who.owner, id)
    t.strictSame([found.length, found.find(({ reaction }) => reaction === '20')?.count], [20, 2])
  })

  t.test('stays when who gave it has left', async (t) => {
    const { reactions, groups, sendTo } = await openWorld(t)
    const { id } = await sendTo(who.owner, GROUP, 'x')
    await reactions.add(who.member, GROUP, 1, FACE)
    await groups.quit(who.member, GROUP)
    t.match(await reactions.list(who.owner, id), [{ ...FACE, accountIds: [who.member] }])
    t.equal(await refusal(reactions.remove(who.member, GROUP, 1, FACE)), 'not_found')
  })
})

t.test('what a reaction may be called', async (t) => {
  const refused = new ActionError('invalid', 'reaction: expected', { field: 'reaction' })
  const rows: [type: ReactionType, given: string, reaction: string | undefined][] = [
    ['face', '14', '14'],
    ['face', 'thumbs_up-2', 'thumbs_up-2'],
    ['face', 'x'.repeat(32), 'x'.repeat(32)],
    ['face', 'x'.repeat(33), undefined],
    ['face', '', undefined],
    ['face', 'a b', undefined],
    ['face', '14\n', undefined],
    ['face', '👍', undefined],
    ['emoji', '128077', '128077'],
    ['emoji', '9728', '9728'],
    ['emoji', '👍', '128077'],
    ['emoji', '👍🏽', '128077'],
    ['emoji', '❤️', '10084'],
    ['emoji', '👨‍👩‍👧‍👦', '128104'],
    ['emoji', '', undefined],
    ['emoji', '65', undefined],
    ['emoji', '49', undefined],
    ['emoji', '0128077', undefined],
    ['emoji', '-1', undefined],
    ['emoji', '128077.5', undefined],
    ['emoji', '1114112', undefined],
    ['emoji', '9999999', undefined],
    ['emoji', '55357', undefined],
    ['emoji', 'x', undefined],
    ['emoji', '👍👍', undefined],
    ['emoji', '👍 ', undefined],
    ['emoji', '🇩🇪', undefined],
    ['emoji', '1️⃣', undefined],
    ['emoji', '\ud83d', undefined],
    ['emoji', `👍${'\u0301'.repeat(100)}`, undefined]
  ]
  for (const [type, given, reaction] of rows) {
    const label = `${type} ${JSON.stringify(given).slice(0, 40)}`
    if (reaction !== undefined) t.strictSame(toReactionName(type, given), { type, reaction }, label)
    else t.throws(() => toReactionName(type, given), refused, label)
  }
})

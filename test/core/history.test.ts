import t from 'tap'
import { statusOf } from '../../src/core/history.ts'
import { refusal } from '../suites/store.ts'
import { GROUP, openWorld, START, who } from './world.ts'

t.test('how far a message has come', async (t) => {
  const message = { id: 70, chatId: GROUP, seq: 7, senderId: who.owner, time: START, segments: [] }
  const state = (readSeq: number, deliveredSeq = readSeq, deliveredId = 0) => ({
    accountId: 1,
    readSeq,
    deliveredSeq,
    deliveredId
  })
  const rows: [string, ReturnType<typeof state>[], string][] = [
    ['nobody else is there', [], 'sent'],
    ['nobody has it', [state(6)], 'sent'],
    ['one of two has it', [state(0, 7), state(6)], 'sent'],
    ['all have it, one by its number, one by the log', [state(0, 7), state(0, 0, 70)], 'delivered'],
    ['one has not read it', [state(7), state(6, 9)], 'delivered'],
    ['all have read it', [state(7), state(9)], 'read']
  ]
  for (const [label, others, status] of rows) t.equal(statusOf(message, others), status, label)
})

t.test('messages are shown with who said them, and one’s own with how far they have come', async (t) => {
  const { history, receipts, sendTo, store } = await openWorld(t)
  const own = await sendTo(who.owner, GROUP, 'mine')
  const other = await sendTo(who.bot, GROUP, 'theirs')
  t.match(await history.surround(who.owner, [own, other]), [
    { message: { id: own.id }, sender: { id: who.owner, nickname: 'owner' }, status: 'sent' },
    { message: { id: other.id }, sender: { nickname: 'bot' }, status: undefined }
  ])
  for (const { accountId } of await store.listMembers(GROUP)) await receipts.mark(accountId, own.id)
  t.match(await history.surround(who.owner, [own]), [{ status: 'read' }])
})

t.test('history is for members', async (t) => {
  const { chats, accounts, history, sendTo } = await openWorld(t)
  const { id } = await sendTo(who.owner, GROUP, 'one')
  await chats.edit({ editor: await accounts.get(who.owner), messageId: id, text: 'two' })
  t.match(await history.listRevisions(who.member, id), [{ rev: 0, segments: [{ text: 'one' }], time: START }])
  t.match(await history.listNewest(who.member, GROUP, { offset: 0, limit: 5 }), { messages: [{ id }], total: 1 })
  t.match(await history.search(who.member, { chatId: GROUP, words: 'two', limit: 5 }), { messages: [{ id }] })
  t.equal(await history.countUnread(who.member, GROUP), 1)
  t.equal(await history.countUnread(who.member), 1)
  const asStranger = [
    history.listRevisions(who.stranger, id),
    history.listNewest(who.stranger, GROUP, { offset: 0, limit: 5 }),
    history.search(who.stranger, { chatId: GROUP, words: 'two', limit: 5 }),
    history.countUnread(who.stranger, GROUP),
    chats.getDetail(who.stranger, GROUP)
  ]
  for (const work of asStranger) t.equal(await refusal(work), 'not_found')
  t.equal(await history.countUnread(who.stranger), 0)
})

t.test('taking a message back', async (t) => {
  t.test('is for its sender, within two minutes', async (t) => {
    const { chats, sendTo, news, setTime } = await openWorld(t)
    const { id } = await sendTo(who.member, GROUP, 'oops')
    await news()
    t.equal(await refusal(chats.takeBack(who.owner, id)), 'forbidden', 'the owner deletes')
    t.equal(await refusal(chats.takeBack(who.stranger, id)), 'not_found')
    setTime(START + 121)
    t.equal(await refusal(chats.takeBack(who.member, id)), 'too_late')
    setTime(START + 120)
    await chats.takeBack(who.member, id)
    t.match(await news(), [{ kind: 'message.recalled', data: { messageId: id, operatorId: who.member } }])
  })

  t.test('again is no news and no mistake, however late', async (t) => {
    const { chats, sendTo, news, setTime } = await openWorld(t)
    const { id } = await sendTo(who.member, GROUP, 'oops')
    await chats.takeBack(who.member, id)
    await news()
    setTime(START + 5000)
    await chats.takeBack(who.member, id)
    t.strictSame(await news(), [])
  })
})

t.test('who may not speak changes nothing of what they said', async (t) => {
  const { chats, accounts, groups, members, sendTo } = await openWorld(t)
  const { id } = await sendTo(who.member, GROUP, 'one')
  const edit = async (): Promise<string> =>
    refusal(chats.edit({ editor: await accounts.get(who.member), messageId: id, text: 'two' }))
  await groups.mute(who.owner, GROUP, who.member, 60)
  t.equal(await edit(), 'muted')
  await members.ban(who.owner, GROUP, who.member)
  t.equal(await edit(), 'not_found')
})

import t from 'tap'
import type { ActionError } from '../../src/core/errors.ts'
import { refusal } from '../suites/store.ts'
import { GROUP, openWorld, START, who, type World } from './world.ts'

const ALL = { offset: 0, limit: 10 }

const add = async ({ accounts, contacts }: World, owner: number, contactId: number, remark?: string) =>
  contacts.add(await accounts.get(owner), contactId, { remark })
const idsOf = async ({ contacts }: World, accountId: number): Promise<number[]> =>
  (await contacts.list(accountId, ALL)).contacts.map(({ id }) => id)

t.test('contacts', async (t) => {
  t.test('are a list of one’s own: the other side does not learn of it', async (t) => {
    const world = await openWorld(t)
    t.strictSame(await add(world, who.member, who.stranger, 'from work'), { isNew: true })
    t.match(await world.contacts.get(who.member, who.stranger), { remark: 'from work', createdAt: START })
    t.strictSame([await idsOf(world, who.member), await idsOf(world, who.stranger)], [[who.stranger], []])
    t.strictSame(await add(world, who.member, who.stranger), { isNew: false })
    t.strictSame(await world.news(), [])
  })

  t.test('a bot is asked by its new friend and may write first; removed, it may not any more', async (t) => {
    const world = await openWorld(t)
    t.equal(await refusal(world.writeTo(who.lonelyBot, who.stranger, 'hello?')), 'not_found')
    const stranger = await world.accounts.get(who.stranger)
    const added = await world.contacts.add(stranger, who.lonelyBot, { comment: 'let us talk' })
    t.strictSame(added, { isNew: true })
    t.match(await world.news(), [
      {
        kind: 'friend.requested',
        audience: [who.lonelyBot],
        data: { initiatorId: who.stranger, comment: 'let us talk', via: 'contacts' }
      }
    ])
    t.strictSame([await idsOf(world, who.lonelyBot), await idsOf(world, who.stranger)], [[], [who.lonelyBot]])
    const chatId = await world.chats.openPrivate(await world.accounts.get(who.lonelyBot), who.stranger)
    t.equal((await world.writeTo(who.lonelyBot, who.stranger, 'hello')).chatId, chatId)
    t.strictSame(await add(world, who.stranger, who.lonelyBot), { isNew: false })
    t.match(await world.news(), [{ kind: 'message.created' }], 'asked once')
    await world.contacts.remove(stranger, who.lonelyBot)
    t.strictSame([await idsOf(world, who.lonelyBot), await idsOf(world, who.stranger)], [[], []])
    t.strictSame(await world.friends.listRequests(who.lonelyBot, 10), [])
  })

  t.test('a bot that lets everybody in has its new friend at once, and hears of it', async (t) => {
    const world = await openWorld(t)
    await add(world, who.stranger, who.openBot)
    t.match(await world.news(), [{ kind: 'friend.requested', audience: [who.openBot] }])
    t.strictSame([await idsOf(world, who.openBot), await idsOf(world, who.stranger)], [[who.stranger], [who.openBot]])
    await add(world, who.stranger, who.openBot, 'my bot')
    t.strictSame(await world.news(), [])
    t.strictSame(world.signals(), [])
  })

  t.test('who is blocked cannot ask, in neither direction', async (t) => {
    const world = await openWorld(t)
    await world.store.addBlock(who.lonelyBot, who.stranger, START)
    t.equal(await refusal(add(world, who.stranger, who.lonelyBot)), 'forbidden')
    t.strictSame(await idsOf(world, who.stranger), [])
    await world.contacts.block(who.member, who.lonelyBot)
    t.equal(await refusal(add(world, who.member, who.lonelyBot)), 'forbidden')
    t.strictSame(await world.news(), [])
  })

  t.test('a bot adds nobody', async (t) => {
    const world = await openWorld(t)
    t.equal(await refusal(add(world, who.lonelyBot, who.stranger)), 'forbidden')
    t.strictSame(await idsOf(world, who.stranger), [])
  })

  t.test('are other accounts that exist', async (t) => {
    const world = await openWorld(t)
    const { contacts, accounts, store } = world
    t.equal(await refusal(add(world, who.member, who.member)), 'invalid')
    t.equal(await refusal(add(world, who.member, 4242)), 'not_found')
    await store.disableAccount(who.stranger, START)
    t.equal(await refusal(add(world, who.member, who.stranger)), 'not_found')
    t.equal(await refusal(contacts.update(who.member, who.admin, { remark: 'x' })), 'not_found')
    t.equal(await refusal(contacts.remove(await accounts.get(who.member), who.admin)), 'not_found')
    t.equal(await refusal(contacts.get(who.member, who.admin)), 'not_found')
  })
})

t.test('blocking', async (t) => {
  t.test('ends writing in both directions, also by way of an edit, and is lifted by who did it', async (t) => {
    const world = await openWorld(t)
    const { chats, contacts, accounts, writeTo } = world
    const sent = await writeTo(who.stranger, who.member, 'hello')
    await contacts.block(who.member, who.stranger)
    for (const [from, to] of [
      [who.stranger, who.member],
      [who.member, who.stranger]
    ] as const) {
      const refused = await writeTo(from, to, 'still?').catch((err: ActionError) => err)
      t.match(refused, { reason: 'forbidden', details: { cause: 'blocked' } })
      t.notMatch((refused as Error).message, /\d/, 'not said by whom')
    }
    const edit = { editor: await accounts.get(who.stranger), messageId: sent.id, text: 'still?' }
    t.equal(await refusal(chats.edit(edit)), 'forbidden')
    await contacts.unblock(who.stranger, who.member)
    t.equal(await refusal(writeTo(who.stranger, who.member, 'still?')), 'forbidden')
    await contacts.unblock(who.member, who.stranger)
    await writeTo(who.stranger, who.member, 'again')
  })

  t.test('keeps a chat from being begun', async (t) => {
    const { contacts, store, writeTo } = await openWorld(t)
    await contacts.block(who.member, who.stranger)
    for (const [from, to] of [
      [who.stranger, who.member],
      [who.member, who.stranger]
    ] as const)
      t.equal(await refusal(writeTo(from, to, 'hello')), 'forbidden')
    t.equal(await store.findPrivateChat(who.member, who.stranger), undefined)
  })

  t.test('changes nothing in a group that both are in', async (t) => {
    const { contacts, sendTo } = await openWorld(t)
    await contacts.block(who.member, who.member2)
    await sendTo(who.member2, GROUP, 'hello')
  })

  t.test('stops a bot that is a friend', async (t) => {
    const world = await openWorld(t)
    await add(world, who.stranger, who.openBot)
    await world.contacts.block(who.stranger, who.openBot)
    t.equal(await refusal(world.writeTo(who.openBot, who.stranger, 'hello')), 'forbidden')
  })

  t.test('is of others that exist, and seen by who did it', async (t) => {
    const { contacts } = await openWorld(t)
    t.equal(await refusal(contacts.block(who.member, who.member)), 'invalid')
    t.equal(await refusal(contacts.block(who.member, 4242)), 'not_found')
    await contacts.block(who.member, who.stranger)
    t.match(await contacts.listBlocked(who.member, ALL), { blocked: [{ id: who.stranger }], total: 1 })
    t.strictSame(await contacts.listBlocked(who.stranger, ALL), { blocked: [], total: 0 })
  })
})

import t from 'tap'
import type { ActionError } from '../../src/core/errors.ts'
import { refusal } from '../suites/store.ts'
import { GROUP, openWorld, START, who, type World } from './world.ts'

const DAY = 86_400

/** The sentence with which it was refused. */
const sentence = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'accepted',
    (err: ActionError) => `${err.reason}: ${err.message}`
  )

async function add({ accounts, contacts }: World, owner: number, contactId: number): Promise<void> {
  await contacts.add(await accounts.get(owner), contactId)
}
const friendsOf = async ({ store }: World, accountId: number): Promise<number[]> =>
  (await store.listFriends(accountId)).map(({ id }) => id)
const answers = ({ accounts, friends }: World, targetId: number) => ({
  accept: async (initiatorId: number) => friends.accept(await accounts.get(targetId), initiatorId),
  reject: async (initiatorId: number, reason = '') => friends.reject(await accounts.get(targetId), initiatorId, reason)
})

t.test('a friend request', async (t) => {
  t.test('is accepted: they are in each other’s lists, and the person is told once', async (t) => {
    const world = await openWorld(t)
    await add(world, who.stranger, who.lonelyBot)
    await world.news()
    const { accept, reject } = answers(world, who.lonelyBot)
    await accept(who.stranger)
    t.strictSame([await friendsOf(world, who.stranger), await friendsOf(world, who.lonelyBot)], [[10008], [10006]])
    t.match(world.signals(), [
      {
        kind: 'notice.sent',
        audience: [who.stranger],
        data: { title: /^lonelyBot.*has accepted your request/, message: /contacts/, kind: 'info' }
      }
    ])
    await accept(who.stranger)
    t.strictSame(world.signals(), [], 'again is a success that tells nobody')
    t.equal(await sentence(reject(who.stranger)), 'conflict: the request of 10006 was accepted already')
    t.strictSame(await world.news(), [], 'no event, and no second request')
    t.match(await world.friends.listRequests(who.lonelyBot, 10), [{ state: 'accepted' }])
  })

  t.test('is rejected: the person is told why, keeps the bot, and may ask again', async (t) => {
    const world = await openWorld(t)
    const { accept, reject } = answers(world, who.lonelyBot)
    await add(world, who.stranger, who.lonelyBot)
    await reject(who.stranger, ' not today ')
    t.match(world.signals(), [{ data: { title: /^lonelyBot.*has rejected your request/, message: 'not today' } }])
    t.strictSame([await friendsOf(world, who.stranger), await friendsOf(world, who.lonelyBot)], [[10008], []])
    t.equal(await sentence(reject(who.stranger)), 'conflict: the request of 10006 was rejected already')
    t.equal(await sentence(accept(who.stranger)), 'conflict: the request of 10006 was rejected already')
    await world.news()
    await add(world, who.stranger, who.lonelyBot)
    t.match(await world.news(), [{ kind: 'friend.requested' }])
    await reject(who.stranger)
    t.match(world.signals(), [{ data: { message: /no reason was given/ } }])
    await add(world, who.stranger, who.lonelyBot)
    await accept(who.stranger)
    t.strictSame(await friendsOf(world, who.lonelyBot), [who.stranger])
  })

  t.test('that there is none of cannot be answered', async (t) => {
    const world = await openWorld(t)
    const { accept, reject } = answers(world, who.lonelyBot)
    await add(world, who.member, who.lonelyBot)
    await world.accounts.remove(who.member)
    await add(world, who.stranger, who.lonelyBot)
    await accept(who.stranger)
    await world.friends.remove(who.lonelyBot, who.stranger)
    await add(world, who.member2, who.bot)
    for (const id of [who.member, who.stranger, who.member2, who.lonelyBot, 4242])
      t.equal(await sentence(accept(id)), `not_found: there is no request of ${id}`)
    for (const id of [who.member, who.member2, who.lonelyBot, 4242])
      t.equal(await sentence(reject(id)), `not_found: there is no request of ${id}`)
    t.strictSame(await friendsOf(world, who.lonelyBot), [])
  })

  t.test('between bots is asked by either, and makes friends when it is accepted', async (t) => {
    const world = await openWorld(t)
    const { accounts, friends } = world
    const ask = async (from: number, to: number) => friends.request(await accounts.get(from), to, 'hi')
    await ask(who.bot, who.lonelyBot)
    await ask(who.bot, who.lonelyBot)
    t.match(await world.news(), [{ audience: [who.lonelyBot], data: { comment: 'hi', via: 'bot' } }])
    t.strictSame(await friendsOf(world, who.bot), [], 'a bot has nobody in its list before they say so')
    t.equal(await refusal(world.writeTo(who.lonelyBot, who.bot, 'hello?')), 'not_found')
    await answers(world, who.lonelyBot).accept(who.bot)
    t.strictSame(world.signals(), [], 'bots hear no notices')
    t.strictSame([await friendsOf(world, who.bot), await friendsOf(world, who.lonelyBot)], [[10008], [10007]])
    await ask(who.bot, who.openBot)
    t.strictSame(await friendsOf(world, who.openBot), [who.bot])
    await ask(who.bot, who.openBot)
    t.equal((await world.news()).length, 1)
    for (const [to, reason] of [
      [who.stranger, 'forbidden'],
      [who.bot, 'invalid'],
      [4242, 'not_found']
    ] as const)
      t.equal(await refusal(ask(who.bot, to)), reason)
  })

  t.test('of two bots that ask each other is accepted', async (t) => {
    const world = await openWorld(t)
    const { accounts, friends } = world
    await friends.request(await accounts.get(who.bot), who.lonelyBot, '')
    await friends.request(await accounts.get(who.lonelyBot), who.bot, '')
    t.strictSame([await friendsOf(world, who.bot), await friendsOf(world, who.lonelyBot)], [[10008], [10007]])
  })
})

t.test('a friend is removed from both lists, whoever had whom', async (t) => {
  const world = await openWorld(t)
  const { friends, accounts } = world
  await accounts.befriend(who.bot, who.member)
  await friends.remove(who.bot, who.member)
  await add(world, who.stranger, who.bot)
  await friends.remove(who.bot, who.stranger)
  t.strictSame([await friendsOf(world, who.stranger), await friendsOf(world, who.bot)], [[], []])
  t.strictSame(await friends.listRequests(who.bot, 10), [])
  t.equal(await refusal(world.writeTo(who.bot, who.stranger, 'hello?')), 'not_found')
  for (const id of [who.member, who.stranger, who.bot, 4242])
    t.equal(await sentence(friends.remove(who.bot, id)), `not_found: there is no friend ${id}`)
})

t.test('a nudge', async (t) => {
  t.test('is heard by everybody in the chat, also of oneself', async (t) => {
    const { gestures, chats, accounts, news } = await openWorld(t)
    await gestures.nudge(who.bot, GROUP, who.member)
    const chatId = await chats.openPrivate(await accounts.get(who.bot), who.member)
    await gestures.nudge(who.bot, chatId, who.bot)
    t.match(await news(), [
      { kind: 'chat.nudged', chat: { id: GROUP }, data: { senderId: who.bot, receiverId: who.member } },
      { kind: 'chat.nudged', audience: [who.member, who.bot], data: { senderId: who.bot, receiverId: who.bot } }
    ])
  })

  t.test('is for who may speak', async (t) => {
    const { gestures, groups, contacts, chats, accounts, store, news } = await openWorld(t)
    const nudge = (from: number, to: number, chatId: number = GROUP) => refusal(gestures.nudge(from, chatId, to))
    const chatId = await chats.openPrivate(await accounts.get(who.stranger), who.member)
    await groups.mute(who.owner, GROUP, who.member, 60)
    await groups.muteAll(who.owner, GROUP, true)
    await contacts.block(who.member, who.stranger)
    await news()
    t.equal(await nudge(who.member, who.owner), 'muted')
    t.equal(await nudge(who.member2, who.owner), 'muted')
    t.equal(await nudge(who.admin, who.member), 'accepted')
    t.equal(await nudge(who.admin, who.stranger), 'not_found')
    t.equal(await nudge(who.stranger, who.member), 'not_found')
    t.equal(await nudge(who.stranger, who.member, chatId), 'forbidden')
    t.equal(await nudge(who.member, who.stranger, chatId), 'forbidden')
    t.equal(await nudge(who.member, who.member, chatId + 1), 'not_found')
    await contacts.unblock(who.member, who.stranger)
    await store.disableAccount(who.stranger, START)
    t.equal(await nudge(who.member, who.stranger, chatId), 'not_found')
    t.equal((await news()).filter(({ kind }) => kind === 'chat.nudged').length, 1)
  })
})

t.test('likes are ten a day at most, all or none', async (t) => {
  const { gestures, contacts, store, setTime } = await openWorld(t)
  await gestures.like(who.bot, who.member, 4)
  t.equal(
    await sentence(gestures.like(who.bot, who.member, 7)),
    'forbidden: one likes somebody 10 times a day; 6 are left today'
  )
  await gestures.like(who.bot, who.member, 6)
  t.equal(await refusal(gestures.like(who.bot, who.member, 1)), 'forbidden')
  await gestures.like(who.bot, who.member2, 10)
  await gestures.like(who.stranger, who.member, 1)
  t.strictSame(await gestures.listLikes(who.member), {
    total: 11,
    today: [
      { accountId: who.bot, count: 10 },
      { accountId: who.stranger, count: 1 }
    ]
  })
  setTime((Math.floor(START / DAY) + 1) * DAY)
  await gestures.like(who.bot, who.member, 10)
  t.match(await gestures.listLikes(who.member), { total: 21, today: [{ accountId: who.bot, count: 10 }] })
  await contacts.block(who.member, who.bot)
  t.equal(await refusal(gestures.like(who.bot, who.member, 1)), 'forbidden')
  await store.disableAccount(who.member2, START)
  for (const [id, reason] of [
    [who.bot, 'forbidden'],
    [who.member2, 'not_found'],
    [4242, 'not_found']
  ] as const)
    t.equal(await refusal(gestures.like(who.bot, id, 1)), reason)
})

t.test('a hundred can be pinned', async (t) => {
  const { pins, accounts, chats, news } = await openWorld(t)
  const member = await accounts.get(who.member)
  for (let peerId = 20_001; peerId <= 20_101; peerId++) {
    await accounts.add({ id: peerId, kind: 'person', nickname: 'P' })
    await chats.openPrivate(member, peerId)
    const pin = { scene: 'friend', peerId } as const
    t.equal(await refusal(pins.set(who.member, pin, true)), peerId === 20_101 ? 'forbidden' : 'accepted')
  }
  await pins.set(who.member, { scene: 'friend', peerId: 20_100 }, true)
  await pins.set(who.member, { scene: 'friend', peerId: 20_100 }, false)
  await pins.set(who.member, { scene: 'group', peerId: GROUP }, true)
  t.equal((await pins.list(who.member)).length, 100)
  t.equal((await news()).length, 102)
  const strange = await sentence(pins.set(who.stranger, { scene: 'group', peerId: GROUP }, true))
  t.match(strange, /^not_found: .*100001/)
})

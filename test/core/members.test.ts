import t from 'tap'
import { refusal } from '../suites/store.ts'
import { ActionError } from '../../src/core/errors.ts'
import { GROUP, openWorld, START, who, type World } from './world.ts'

type Name = keyof typeof who
const ALL = { offset: 0, limit: 10 }

const add = async (world: World, actor: Name, ...names: Name[]): Promise<readonly number[]> =>
  world.members.add(
    await world.accounts.get(who[actor]),
    GROUP,
    names.map((name) => who[name])
  )

t.test('putting somebody into a group', async (t) => {
  t.test('is for the owner and the admins', async (t) => {
    const expected = { owner: 'accepted', admin: 'accepted', member: 'forbidden', stranger: 'not_found' }
    for (const [actor, outcome] of Object.entries(expected)) {
      const world = await openWorld(t)
      t.equal(await refusal(add(world, actor as Name, 'lonelyBot')), outcome, actor)
    }
  })

  t.test('is told with who did it, to whoever came, too; again it is no news', async (t) => {
    const world = await openWorld(t)
    t.strictSame(await add(world, 'admin', 'stranger', 'member'), [who.stranger])
    t.match(await world.news(), [
      { kind: 'member.joined', eventSeq: 1, time: START, data: { accountId: who.stranger, operatorId: who.admin } }
    ])
    t.ok(await world.store.findMember(GROUP, who.stranger))
    t.strictSame(await add(world, 'admin', 'stranger'), [])
    t.strictSame(await world.news(), [])
  })

  t.test('lets all in or nobody', async (t) => {
    const world = await openWorld(t)
    const { store, members, accounts } = world
    await members.ban(who.owner, GROUP, who.lonelyBot)
    await world.news()
    await t.rejects(
      add(world, 'owner', 'stranger', 'lonelyBot'),
      new ActionError('forbidden', `account ${who.lonelyBot} is banned from this group`, { cause: 'banned' })
    )
    const owner = await accounts.get(who.owner)
    t.equal(await refusal(members.add(owner, GROUP, [who.stranger, 4242])), 'not_found')
    await store.disableAccount(who.lonelyBot, START)
    await world.news()
    t.equal(await refusal(members.add(owner, GROUP, [who.stranger, who.lonelyBot])), 'not_found')
    t.equal(await store.findMember(GROUP, who.stranger), undefined)
    t.strictSame(await world.news(), [])
  })

  t.test('is refused by whoever has blocked who does it, without a name', async (t) => {
    const world = await openWorld(t)
    await world.contacts.block(who.stranger, who.admin)
    const err = await add(world, 'admin', 'stranger', 'lonelyBot').catch((thrown: ActionError) => thrown)
    t.match(err, { reason: 'forbidden', details: { cause: 'blocked' } })
    t.notMatch((err as Error).message, String(who.stranger))
    t.strictSame(await add(world, 'owner', 'stranger'), [who.stranger])
  })

  t.test('ends where the group is full', async (t) => {
    const world = await openWorld(t)
    const { id } = await world.accounts.add({ kind: 'person', nickname: 'one too many' })
    await add(world, 'owner', 'stranger')
    await t.rejects(
      world.members.add(await world.accounts.get(who.owner), GROUP, [who.lonelyBot, id]),
      new ActionError('too_large', 'a group has at most 8 members', { field: 'user_ids' })
    )
    await add(world, 'owner', 'lonelyBot')
    t.match(await world.store.findGroup(GROUP), { memberCount: 8 })
  })

  t.test('is no way for a bot to reach strangers', async (t) => {
    const world = await openWorld(t)
    await world.groups.setAdmin(who.owner, GROUP, who.bot, true)
    t.equal(await refusal(add(world, 'bot', 'stranger')), 'not_found')
    await world.accounts.befriend(who.bot, who.stranger)
    t.strictSame(await add(world, 'bot', 'stranger'), [who.stranger])
  })
})

t.test('a new group', async (t) => {
  t.test('is its maker’s, who is not put into it a second time', async (t) => {
    const world = await openWorld(t)
    const maker = await world.accounts.get(who.stranger)
    const memberIds = [who.member, who.stranger]
    const group = await world.members.open(maker, { name: 'Mine', description: 'about', memberIds })
    t.match(group, { name: 'Mine', description: 'about', ownerId: who.stranger, memberCount: 2, isChannel: false })
    t.match(await world.news(), [{ kind: 'member.joined', data: { accountId: who.member, operatorId: who.stranger } }])
  })

  t.test('is not made when somebody cannot be put into it', async (t) => {
    const world = await openWorld(t)
    await world.contacts.block(who.member, who.stranger)
    const maker = await world.accounts.get(who.stranger)
    t.equal(await refusal(world.members.open(maker, { name: 'Mine', memberIds: [who.member] })), 'forbidden')
    t.equal(await refusal(world.members.open(maker, { name: 'Mine', memberIds: [4242] })), 'not_found')
    t.strictSame(await world.groups.list(who.stranger), [])
  })

  t.test('that is a channel hears its owner and the admins only', async (t) => {
    const world = await openWorld(t)
    const owner = await world.accounts.get(who.owner)
    const { id } = await world.members.open(owner, { name: 'News', isChannel: true, memberIds: [who.member] })
    await world.sendTo(who.owner, id, 'hear')
    const refused = await world.sendTo(who.member, id, 'me too').catch((err: ActionError) => err)
    t.match(refused, { reason: 'forbidden', details: { cause: 'readonly' } })
    await world.groups.setAdmin(who.owner, id, who.member, true)
    await world.sendTo(who.member, id, 'now I')
  })
})

t.test('banning', async (t) => {
  t.test('is for those of a higher role', async (t) => {
    const rows: [Name, Name, string][] = [
      ['owner', 'admin', 'accepted'],
      ['owner', 'member', 'accepted'],
      ['owner', 'stranger', 'accepted'],
      ['owner', 'owner', 'invalid'],
      ['admin', 'owner', 'forbidden'],
      ['admin', 'admin2', 'forbidden'],
      ['admin', 'member', 'accepted'],
      ['admin', 'stranger', 'accepted'],
      ['member', 'member2', 'forbidden'],
      ['member', 'stranger', 'forbidden'],
      ['stranger', 'member', 'not_found']
    ]
    for (const [actor, target, outcome] of rows) {
      const { members } = await openWorld(t)
      t.equal(await refusal(members.ban(who[actor], GROUP, who[target])), outcome, `${actor} bans ${target}`)
    }
  })

  t.test('of a member is told as leaving, of others it is nobody’s news; again neither is', async (t) => {
    const { members, news, store } = await openWorld(t)
    await members.ban(who.admin, GROUP, who.member)
    const [left] = await news()
    t.match(left, { kind: 'member.left', data: { accountId: who.member, operatorId: who.admin } })
    t.ok(left?.audience.includes(who.member))
    t.equal(await store.findMember(GROUP, who.member), undefined)
    await members.ban(who.admin, GROUP, who.member)
    await members.ban(who.admin, GROUP, who.stranger)
    t.strictSame(await news(), [])
    t.equal(await refusal(members.ban(who.admin, GROUP, 4242)), 'not_found')
  })

  t.test('keeps out until it is lifted', async (t) => {
    const world = await openWorld(t)
    const { members, sendTo } = world
    await members.ban(who.admin, GROUP, who.member)
    t.equal(await refusal(add(world, 'owner', 'member')), 'forbidden')
    const refused = await sendTo(who.member, GROUP, 'let me in').catch((err: ActionError) => err)
    t.match(refused, { reason: 'forbidden', details: { cause: 'banned' } })
    t.equal(await refusal(members.unban(who.member2, GROUP, who.member)), 'forbidden')
    await members.unban(who.admin2, GROUP, who.member)
    await members.unban(who.admin2, GROUP, who.member)
    t.strictSame(await add(world, 'owner', 'member'), [who.member])
  })

  t.test('is seen by the owner and the admins', async (t) => {
    const { members } = await openWorld(t)
    await members.ban(who.admin, GROUP, who.stranger)
    t.match(await members.listBans(who.owner, GROUP, ALL), {
      bans: [{ id: who.stranger, nickname: 'stranger', operatorId: who.admin, createdAt: START }],
      total: 1
    })
    t.equal(await refusal(members.listBans(who.member, GROUP, ALL)), 'forbidden')
    t.equal(await refusal(members.listBans(who.stranger, GROUP, ALL)), 'not_found')
    t.equal(await refusal(members.listBans(who.owner, 4242, ALL)), 'not_found')
  })
})

t.test('handing a group over', async (t) => {
  t.test('is for its owner, to a member', async (t) => {
    const rows: [Name, Name, string][] = [
      ['owner', 'member', 'accepted'],
      ['owner', 'admin', 'accepted'],
      ['owner', 'owner', 'accepted'],
      ['owner', 'stranger', 'not_found'],
      ['admin', 'member', 'forbidden'],
      ['member', 'member2', 'forbidden'],
      ['stranger', 'member', 'not_found']
    ]
    for (const [actor, target, outcome] of rows) {
      const { groups } = await openWorld(t)
      t.equal(await refusal(groups.handOver(who[actor], GROUP, who[target])), outcome, `${actor} to ${target}`)
    }
  })

  t.test('makes an admin of the old owner, and is told once', async (t) => {
    const { groups, news, store } = await openWorld(t)
    await groups.handOver(who.owner, GROUP, who.owner)
    t.strictSame(await news(), [])
    await groups.handOver(who.owner, GROUP, who.member)
    t.match(await news(), [{ kind: 'owner.changed', data: { accountId: who.member, operatorId: who.owner } }])
    t.match(await store.findGroup(GROUP), { ownerId: who.member })
    t.match(await store.findMember(GROUP, who.owner), { role: 'admin' })
    t.equal(await refusal(groups.handOver(who.owner, GROUP, who.admin)), 'forbidden')
  })
})

t.test('describing a group is for the owner and the admins, and nobody’s news', async (t) => {
  const { groups, news } = await openWorld(t)
  await groups.describe(who.admin, GROUP, 'what it is about')
  t.match(await groups.get(who.member, GROUP), { description: 'what it is about' })
  t.strictSame(await news(), [])
  t.equal(await refusal(groups.describe(who.member, GROUP, 'mine')), 'forbidden')
  t.equal(await refusal(groups.describe(who.stranger, GROUP, 'mine')), 'not_found')
})

t.test('members are listed for members', async (t) => {
  const { members, writeTo } = await openWorld(t)
  t.match(await members.list(who.member, GROUP, { offset: 0, limit: 2 }), {
    members: [{ accountId: who.owner }, { accountId: who.admin }],
    total: 6
  })
  const { chatId } = await writeTo(who.owner, who.stranger, 'hello')
  t.match(await members.list(who.stranger, chatId, ALL), { total: 2 })
  t.equal(await refusal(members.list(who.stranger, GROUP, ALL)), 'not_found')
  t.equal(await refusal(members.list(who.member, chatId, ALL)), 'not_found')
})

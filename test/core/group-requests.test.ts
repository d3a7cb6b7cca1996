import t from 'tap'
import type { RequestType } from '../../src/core/group-request-store.ts'
import { refusal } from '../suites/store.ts'
import { GROUP, openWorld, START, who, type World } from './world.ts'

type Name = keyof typeof who
const ALL = { offset: 0, limit: 10 }
const NO_GROUP = 4242
const ASKED = ['join_request', 'invited_join_request'] as const

const ask = async (world: World, name: Name, groupId = GROUP, comment = ''): Promise<number> =>
  (await world.groupRequests.ask(await world.accounts.get(who[name]), groupId, comment)).seq

const invite = async (world: World, inviter: Name, target: Name | number, groupId = GROUP): Promise<number> => {
  const targetId = typeof target === 'number' ? target : who[target]
  return (await world.groupRequests.invite(await world.accounts.get(who[inviter]), groupId, targetId)).seq
}

const answer = (
  { groupRequests }: World,
  verb: 'accept' | 'reject',
  name: Name,
  seq: number,
  types: readonly RequestType[] = ASKED,
  groupId = GROUP
): Promise<void> => groupRequests[verb](who[name], { seq, types, groupId })

async function fill(world: World): Promise<void> {
  for (const nickname of ['seventh', 'eighth']) {
    const { id } = await world.accounts.add({ kind: 'person', nickname })
    await world.groups.addMember(GROUP, id)
  }
}

t.test('asking to be let in', async (t) => {
  const rows: [string, string, (world: World) => Promise<unknown>][] = [
    ['a stranger', 'accepted', (world) => ask(world, 'stranger')],
    ['a bot', 'accepted', (world) => ask(world, 'lonelyBot')],
    ['a member', 'conflict', (world) => ask(world, 'member')],
    ['of a group that is not there', 'not_found', (world) => ask(world, 'stranger', NO_GROUP)],
    [
      'of a private chat',
      'not_found',
      async (world) => ask(world, 'stranger', (await world.writeTo(who.owner, who.member, 'hello')).chatId)
    ],
    [
      'who is banned',
      'forbidden',
      async (world) => {
        await world.members.ban(who.owner, GROUP, who.stranger)
        return ask(world, 'stranger')
      }
    ],
    [
      'who was kicked for good',
      'forbidden',
      async (world) => {
        await world.groups.kick(who.owner, GROUP, who.member, true)
        return ask(world, 'member')
      }
    ],
    [
      'who was only kicked',
      'accepted',
      async (world) => {
        await world.groups.kick(who.owner, GROUP, who.member)
        return ask(world, 'member')
      }
    ],
    [
      'of a group that is full',
      'too_large',
      async (world) => {
        await fill(world)
        return ask(world, 'stranger')
      }
    ],
    [
      'of a group that everybody has left',
      'not_found',
      async (world) => {
        for (const name of ['owner', 'admin', 'admin2', 'member', 'member2', 'bot'] as const)
          await world.groups.quit(who[name], GROUP)
        return ask(world, 'stranger')
      }
    ]
  ]
  for (const [label, expected, act] of rows) {
    const world = await openWorld(t)
    t.equal(await refusal(act(world)), expected, label)
    t.equal((await world.store.listRequests(GROUP, ALL)).total, expected === 'accepted' ? 1 : 0, label)
  }
})

t.test('is told once, to the owner and the admins', async (t) => {
  const world = await openWorld(t)
  const seq = await ask(world, 'stranger', GROUP, 'please')
  t.equal(await ask(world, 'stranger', GROUP, 'please!'), seq)
  t.match(await world.news(), [
    {
      kind: 'group.requested',
      time: START,
      audience: [who.owner, who.admin, who.admin2],
      data: { groupId: GROUP, requestSeq: seq, initiatorId: who.stranger, comment: 'please' }
    }
  ])
})

t.test('inviting', async (t) => {
  const rows: [Name, Name | number, string, ((world: World) => Promise<unknown>)?][] = [
    ['owner', 'stranger', 'group.invited'],
    ['admin', 'stranger', 'group.invited'],
    ['member', 'stranger', 'group.invite_requested'],
    ['stranger', 'lonelyBot', 'not_found'],
    ['owner', 'member', 'conflict'],
    ['owner', 'owner', 'conflict'],
    ['owner', 4242, 'not_found'],
    ['owner', 'stranger', 'not_found', ({ store }) => store.disableAccount(who.stranger, START)],
    ['owner', 'stranger', 'forbidden', ({ members }) => members.ban(who.admin, GROUP, who.stranger)],
    ['member', 'stranger', 'forbidden', ({ members }) => members.ban(who.admin, GROUP, who.stranger)],
    ['admin', 'stranger', 'forbidden', ({ contacts }) => contacts.block(who.stranger, who.admin)],
    ['owner', 'stranger', 'group.invited', ({ contacts }) => contacts.block(who.stranger, who.admin)],
    ['owner', 'stranger', 'too_large', fill],
    ['bot', 'stranger', 'not_found'],
    ['bot', 'stranger', 'group.invite_requested', ({ accounts }) => accounts.befriend(who.bot, who.stranger)]
  ]
  for (const [inviter, target, expected, prepare] of rows) {
    const world = await openWorld(t)
    await prepare?.(world)
    await world.news()
    const label = `${inviter} invites ${target}`
    const outcome = await refusal(invite(world, inviter, target))
    const kinds = (await world.news()).map(({ kind }) => kind)
    t.equal(outcome === 'accepted' ? kinds.join() : outcome, expected, label)
    if (outcome !== 'accepted') t.strictSame(kinds, [], label)
  }
})

t.test('who may answer what', async (t) => {
  const kinds: Record<string, { open: (world: World) => Promise<number>; types: readonly RequestType[] }> = {
    'a request': { open: (world) => ask(world, 'stranger'), types: ['join_request'] },
    'a request for another': {
      open: (world) => invite(world, 'member', 'stranger'),
      types: ['invited_join_request']
    },
    'an invitation': { open: (world) => invite(world, 'admin', 'stranger'), types: ['invitation'] }
  }
  const admins = { owner: 'accepted', admin2: 'accepted', member2: 'forbidden', member: 'forbidden' }
  const nobody = { owner: 'not_found', admin: 'not_found', member: 'not_found' }
  const expected: Record<string, Record<string, string>> = {
    'a request': { ...admins, stranger: 'not_found', lonelyBot: 'not_found' },
    'a request for another': { ...admins, stranger: 'not_found', lonelyBot: 'not_found' },
    'an invitation': { ...nobody, stranger: 'accepted', lonelyBot: 'not_found' }
  }
  for (const [kind, { open, types }] of Object.entries(kinds)) {
    for (const [name, outcome] of Object.entries(expected[kind] ?? {})) {
      for (const verb of ['accept', 'reject'] as const) {
        const world = await openWorld(t)
        const seq = await open(world)
        const label = `${name} ${verb}s ${kind}`
        t.equal(await refusal(answer(world, verb, name as Name, seq, types)), outcome, label)
        const isIn = outcome === 'accepted' && verb === 'accept'
        t.equal(await world.store.isMember(GROUP, who.stranger), isIn, label)
      }
    }
  }

  t.test('by its number, type and group', async (t) => {
    const world = await openWorld(t)
    const { id: other } = await world.store.addGroup({
      name: 'Other',
      ownerId: who.owner,
      adminIds: [],
      memberIds: [],
      createdAt: START
    })
    const seq = await ask(world, 'stranger')
    const wrong: [number, readonly RequestType[], number][] = [
      [seq + 1, ASKED, GROUP],
      [seq, ['invited_join_request'], GROUP],
      [seq, ['invitation'], GROUP],
      [seq, ASKED, other],
      [seq, ASKED, NO_GROUP]
    ]
    for (const verb of ['accept', 'reject'] as const)
      for (const key of wrong) t.equal(await refusal(answer(world, verb, 'owner', ...key)), 'not_found', key.join(' '))
    t.match(await world.groupRequests.list(who.owner, GROUP, ALL), { requests: [{ state: 'pending' }] })
  })
})

t.test('who is accepted is a member, told with who did it', async (t) => {
  const rows = [
    {
      open: (world: World) => ask(world, 'stranger'),
      by: 'admin' as Name,
      types: ASKED,
      data: { accountId: who.stranger, operatorId: who.admin }
    },
    {
      open: (world: World) => invite(world, 'member', 'stranger'),
      by: 'admin' as Name,
      types: ASKED,
      data: { accountId: who.stranger, operatorId: who.admin, inviterId: who.member }
    },
    {
      open: (world: World) => invite(world, 'admin', 'stranger'),
      by: 'stranger' as Name,
      types: ['invitation'] as const,
      data: { accountId: who.stranger, inviterId: who.admin }
    }
  ]
  for (const { open, by, types, data } of rows) {
    const world = await openWorld(t)
    const seq = await open(world)
    await world.news()
    await answer(world, 'accept', by, seq, types)
    const [event, ...rest] = await world.news()
    t.match(event, { kind: 'member.joined', chat: { id: GROUP } })
    t.strictSame([event?.data, rest], [data, []])
    await answer(world, 'accept', by, seq, types)
    t.strictSame(await world.news(), [], 'again is no mistake, and no news')
    t.equal(await refusal(answer(world, 'reject', by, seq, types)), 'conflict')
  }
})

t.test('what was answered is said to who answers otherwise', async (t) => {
  const world = await openWorld(t)
  const seq = await ask(world, 'stranger')
  await answer(world, 'reject', 'admin', seq)
  for (const verb of ['accept', 'reject'] as const)
    await t.rejects(answer(world, verb, 'owner', seq), { message: 'the request was rejected already' })
  const again = await ask(world, 'stranger')
  await answer(world, 'accept', 'owner', again)
  await t.rejects(answer(world, 'reject', 'admin', again), { message: 'the request was accepted already' })
})

t.test('accepting', async (t) => {
  t.test('by two at once lets in once', async (t) => {
    const world = await openWorld(t)
    const seq = await ask(world, 'stranger')
    await world.news()
    await Promise.all([answer(world, 'accept', 'owner', seq), answer(world, 'accept', 'admin', seq)])
    t.match(await world.news(), [{ kind: 'member.joined' }])
    t.match(await world.store.findGroup(GROUP), { memberCount: 7 })
  })

  t.test('against rejecting: one of the two counts', async (t) => {
    const world = await openWorld(t)
    const seq = await ask(world, 'stranger')
    const outcomes = await Promise.all([
      refusal(answer(world, 'reject', 'owner', seq)),
      refusal(answer(world, 'accept', 'admin', seq))
    ])
    t.strictSame(outcomes, ['accepted', 'conflict'])
    t.notOk(await world.store.isMember(GROUP, who.stranger))
  })

  t.test('minds what has changed since', async (t) => {
    const rows: [string, (world: World) => Promise<number>, (world: World) => Promise<unknown>, string][] = [
      [
        'a ban',
        (world) => ask(world, 'stranger'),
        ({ members }) => members.ban(who.owner, GROUP, who.stranger),
        'forbidden'
      ],
      ['no room', (world) => ask(world, 'stranger'), fill, 'too_large'],
      [
        'who invited left',
        (world) => invite(world, 'member', 'stranger'),
        ({ groups }) => groups.quit(who.member, GROUP),
        'conflict'
      ],
      [
        'who invited was blocked',
        (world) => invite(world, 'member', 'stranger'),
        ({ contacts }) => contacts.block(who.stranger, who.member),
        'forbidden'
      ],
      [
        'who asked is gone',
        (world) => ask(world, 'stranger'),
        ({ store }) => store.disableAccount(who.stranger, START),
        'not_found'
      ]
    ]
    for (const [label, open, happen, expected] of rows) {
      const world = await openWorld(t)
      const seq = await open(world)
      await Promise.all([happen(world), refusal(world.store.ping())])
      t.equal(await refusal(answer(world, 'accept', 'admin', seq)), expected, label)
      t.notOk(await world.store.isMember(GROUP, who.stranger), label)
    }
  })

  t.test('at the same moment as a ban: the ban wins or removes', async (t) => {
    const world = await openWorld(t)
    const seq = await ask(world, 'stranger')
    const outcomes = await Promise.all([
      refusal(world.members.ban(who.owner, GROUP, who.stranger)),
      refusal(answer(world, 'accept', 'admin', seq))
    ])
    t.strictSame(outcomes, ['accepted', 'forbidden'])
    await world.members.unban(who.owner, GROUP, who.stranger)
    await answer(world, 'accept', 'admin', seq)
    t.ok(await world.store.isMember(GROUP, who.stranger), 'a ban closes nothing')
  })

  t.test('an invitation while who invited is a member', async (t) => {
    const world = await openWorld(t)
    const seq = await invite(world, 'admin', 'stranger')
    await world.groups.setAdmin(who.owner, GROUP, who.admin, false)
    t.match(await world.groupRequests.listInvitations(who.stranger, ALL), { requests: [{ seq }], total: 1 })
    await world.groups.kick(who.owner, GROUP, who.admin)
    t.match(await world.groupRequests.listInvitations(who.stranger, ALL), { requests: [], total: 0 })
    t.equal(await refusal(answer(world, 'accept', 'stranger', seq, ['invitation'])), 'conflict')
    await world.groups.addMember(GROUP, who.admin)
    await answer(world, 'accept', 'stranger', seq, ['invitation'])
    t.ok(await world.store.isMember(GROUP, who.stranger))
  })

  t.test('one who came another way meanwhile is a success, and no news', async (t) => {
    const world = await openWorld(t)
    const seq = await ask(world, 'stranger')
    await world.members.add(await world.accounts.get(who.admin), GROUP, [who.stranger])
    await world.news()
    await answer(world, 'accept', 'owner', seq)
    t.strictSame(await world.news(), [])
    t.match(await world.groupRequests.list(who.owner, GROUP, ALL), {
      requests: [{ state: 'accepted', operatorId: who.admin }]
    })
  })
})

t.test('a person who has asked hears what became of it', async (t) => {
  const world = await openWorld(t)
  const told = (): object[] => world.signals().filter(({ kind }) => kind === 'notice.sent')
  const { groupRequests } = world
  const first = await ask(world, 'stranger')
  await groupRequests.reject(who.admin, { seq: first, types: ASKED }, 'not now')
  t.match(told(), [{ audience: [who.stranger], data: { kind: 'info', message: /^Group：.*rejected.*not now$/ } }])
  await groupRequests.reject(who.admin, { seq: await ask(world, 'stranger'), types: ASKED })
  t.match(told(), [{ audience: [who.stranger], data: { message: /rejected）$/ } }])

  await answer(world, 'accept', 'admin', await invite(world, 'member', 'stranger'))
  t.match(told(), [{ audience: [who.member], data: { kind: 'success', message: /^Group：.*accepted/ } }])
  t.match(await world.notices.list({ accountId: who.stranger, limit: 10 }), [{}, {}])

  await answer(world, 'accept', 'admin', await ask(world, 'lonelyBot'))
  t.strictSame(told(), [], 'a bot has no inbox')
  await world.groups.quit(who.stranger, GROUP)
  await answer(world, 'reject', 'stranger', await invite(world, 'admin', 'stranger'), ['invitation'])
  t.strictSame(told(), [], 'who declines does not say so')
  const own = await invite(world, 'member', 'stranger')
  await world.groups.setAdmin(who.owner, GROUP, who.member, true)
  await answer(world, 'accept', 'member', own)
  t.strictSame(told(), [], 'who accepts their own knows it')
})

t.test('requests are listed for the owner and the admins', async (t) => {
  const world = await openWorld(t)
  await ask(world, 'stranger', GROUP, 'please')
  const rows = { owner: 'accepted', admin: 'accepted', member: 'forbidden', stranger: 'not_found' }
  for (const [name, expected] of Object.entries(rows))
    t.equal(await refusal(world.groupRequests.list(who[name as Name], GROUP, ALL)), expected, name)
  t.equal(await refusal(world.groupRequests.list(who.owner, NO_GROUP, ALL)), 'not_found')
  const { chatId } = await world.writeTo(who.owner, who.member, 'hello')
  t.equal(await refusal(world.groupRequests.list(who.owner, chatId, ALL)), 'not_found', 'a private chat has none')
})

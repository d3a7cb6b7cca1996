import t from 'tap'
import { refusal } from '../suites/store.ts'
import { GROUP, openWorld, START, who, type World } from './world.ts'

type Name = keyof typeof who

/** What each role may do to each: to the owner, to an admin, to a member (never to themselves, the owner to the owner aside). */
const powers = {
  mute: {
    act: ({ groups }: World, actor: number, target: number) => groups.mute(actor, GROUP, target, 60),
    owner: ['forbidden', 'accepted', 'accepted'],
    admin: ['forbidden', 'forbidden', 'accepted'],
    member: ['forbidden', 'forbidden', 'forbidden']
  },
  kick: {
    act: ({ groups }: World, actor: number, target: number) => groups.kick(actor, GROUP, target),
    owner: ['invalid', 'accepted', 'accepted'],
    admin: ['forbidden', 'forbidden', 'accepted'],
    member: ['forbidden', 'forbidden', 'forbidden']
  },
  'kick for good': {
    act: ({ groups }: World, actor: number, target: number) => groups.kick(actor, GROUP, target, true),
    owner: ['invalid', 'accepted', 'accepted'],
    admin: ['forbidden', 'forbidden', 'accepted'],
    member: ['forbidden', 'forbidden', 'forbidden']
  },
  'give a title to': {
    act: ({ groups }: World, actor: number, target: number) => groups.setTitle(actor, GROUP, target, 'Poet'),
    owner: ['accepted', 'accepted', 'accepted'],
    admin: ['forbidden', 'forbidden', 'accepted'],
    member: ['forbidden', 'forbidden', 'forbidden']
  },
  'make an admin of': {
    act: ({ groups }: World, actor: number, target: number) => groups.setAdmin(actor, GROUP, target, true),
    owner: ['forbidden', 'accepted', 'accepted'],
    admin: ['forbidden', 'forbidden', 'forbidden'],
    member: ['forbidden', 'forbidden', 'forbidden']
  },
  'make a member of': {
    act: ({ groups }: World, actor: number, target: number) => groups.setAdmin(actor, GROUP, target, false),
    owner: ['forbidden', 'accepted', 'accepted'],
    admin: ['forbidden', 'forbidden', 'forbidden'],
    member: ['forbidden', 'forbidden', 'forbidden']
  },
  'set the card of': {
    act: ({ groups }: World, actor: number, target: number) => groups.setCard(actor, GROUP, target, 'card'),
    owner: ['accepted', 'accepted', 'accepted'],
    admin: ['forbidden', 'forbidden', 'accepted'],
    member: ['forbidden', 'forbidden', 'forbidden']
  }
} as const

const targets: readonly Name[] = ['owner', 'admin2', 'member2']

for (const [power, { act, ...rows }] of Object.entries(powers)) {
  t.test(`who may ${power} whom`, async (t) => {
    const all = { ...rows, stranger: ['not_found', 'not_found', 'not_found'] }
    for (const [actor, expected] of Object.entries(all)) {
      for (const [index, target] of targets.entries()) {
        const world = await openWorld(t)
        const before = await snapshot(world)
        const label = `${actor} → ${target}: ${expected[index]}`
        t.equal(await refusal(act(world, who[actor as Name], who[target])), expected[index], label)
        if (expected[index] !== 'accepted') t.strictSame(await snapshot(world), before, `${label}, and nothing changed`)
      }
    }
  })

  t.test(`nobody can ${power} somebody who is not in the group`, async (t) => {
    const world = await openWorld(t)
    t.equal(await refusal(act(world, who.owner, who.stranger)), 'not_found')
    t.equal(await refusal(act(world, who.owner, 4242)), 'not_found')
  })
}

t.test('who may change the group itself', async (t) => {
  const expected = { owner: 'accepted', admin: 'accepted', member: 'forbidden', stranger: 'not_found' }
  for (const [actor, outcome] of Object.entries(expected)) {
    const { groups } = await openWorld(t)
    t.equal(await refusal(groups.rename(who[actor as Name], GROUP, 'New')), outcome, `${actor} renames: ${outcome}`)
    t.equal(await refusal(groups.muteAll(who[actor as Name], GROUP, true)), outcome, `${actor} mutes all: ${outcome}`)
  }
})

t.test('owner and admins give themselves titles, members do not', async (t) => {
  const { groups } = await openWorld(t)
  const expected = { owner: 'accepted', admin: 'accepted', member: 'forbidden' }
  for (const [name, outcome] of Object.entries(expected)) {
    const id = who[name as Name]
    t.equal(await refusal(groups.setTitle(id, GROUP, id, 'Poet')), outcome, name)
  }
})

t.test('who is kicked for good is banned in the same moment, and told once', async (t) => {
  const { groups, members, news, store } = await openWorld(t)
  await groups.kick(who.admin, GROUP, who.member, true)
  t.match(await news(), [{ kind: 'member.left', data: { accountId: who.member, operatorId: who.admin } }])
  const all = { offset: 0, limit: 10 }
  t.match(await store.listBans(GROUP, all), { bans: [{ id: who.member, operatorId: who.admin }], total: 1 })
  await groups.kick(who.admin, GROUP, who.member2)
  t.match(await store.listBans(GROUP, all), { total: 1 })
  await members.unban(who.admin, GROUP, who.member)
  t.match(await store.listBans(GROUP, all), { total: 0 })
})

t.test('everybody sets their own card, nobody kicks or mutes themselves', async (t) => {
  const { groups } = await openWorld(t)
  for (const name of ['owner', 'admin', 'member'] as const) {
    await groups.setCard(who[name], GROUP, who[name], `I am ${name}`)
    t.match(await groups.getMember(who[name], GROUP, who[name]), { card: `I am ${name}` })
    t.not(await refusal(groups.kick(who[name], GROUP, who[name])), 'accepted')
    t.not(await refusal(groups.mute(who[name], GROUP, who[name], 60)), 'accepted')
  }
})

t.test('what a change tells', async (t) => {
  const { owner, admin, member } = who
  const changes = [
    {
      name: 'renaming',
      act: ({ groups }: World) => groups.rename(admin, GROUP, 'New'),
      event: { kind: 'group.renamed', chat: { name: 'New' }, data: { name: 'New', operatorId: admin } }
    },
    {
      name: 'muting',
      act: ({ groups }: World) => groups.mute(admin, GROUP, member, 60),
      event: { kind: 'member.muted', data: { accountId: member, operatorId: admin, durationS: 60 } }
    },
    {
      name: 'muting all',
      act: ({ groups }: World) => groups.muteAll(admin, GROUP, true),
      event: { kind: 'group.muted', data: { operatorId: admin, isMute: true } }
    },
    {
      name: 'appointing',
      act: ({ groups }: World) => groups.setAdmin(owner, GROUP, member, true),
      event: { kind: 'admin.changed', data: { accountId: member, operatorId: owner, isSet: true } }
    },
    {
      name: 'joining',
      act: ({ groups }: World) => groups.addMember(GROUP, who.stranger),
      event: { kind: 'member.joined', data: { accountId: who.stranger } }
    }
  ]
  for (const { name, act, event } of changes) {
    t.test(`${name} is told once; doing it again changes nothing and is no news`, async (t) => {
      const world = await openWorld(t)
      await act(world)
      t.match(await world.news(), [{ time: START, eventSeq: 1, ...event }])
      const before = await snapshot(world)
      await act(world)
      t.strictSame(await world.news(), [])
      t.strictSame(await snapshot(world), before)
    })
  }

  t.test('a card is nobody’s news', async (t) => {
    const { groups, news } = await openWorld(t)
    await groups.setCard(owner, GROUP, member, 'card')
    t.strictSame(await news(), [])
  })

  t.test('lifting a mute is told, lifting one that has ended is not', async (t) => {
    const { groups, news, setTime } = await openWorld(t)
    await groups.mute(owner, GROUP, member, 60)
    await groups.mute(owner, GROUP, member, 0)
    await groups.mute(owner, GROUP, member, 60)
    setTime(START + 60)
    await groups.mute(owner, GROUP, member, 0)
    t.match(await news(), [{ data: { durationS: 60 } }, { data: { durationS: 0 } }, { data: { durationS: 60 } }])
  })

  t.test('leaving and being kicked are told to the one who is gone, too', async (t) => {
    const { groups, news } = await openWorld(t)
    await groups.kick(admin, GROUP, member)
    await groups.quit(who.member2, GROUP)
    const [kicked, left] = await news()
    t.match(kicked, { kind: 'member.left', data: { accountId: member, operatorId: admin } })
    t.match(left, { kind: 'member.left', data: { accountId: who.member2 } })
    t.notOk('operatorId' in (left?.data ?? {}))
    t.ok(kicked?.audience.includes(member))
    t.strictSame([left?.audience.includes(member), left?.audience.includes(who.member2)], [false, true])
  })
})

t.test('quitting', async (t) => {
  t.test('an owner hands over to the longest-serving admin, then to the longest-serving member', async (t) => {
    const { groups, store } = await openWorld(t)
    const owners: (number | undefined)[] = []
    for (let left = 6; left > 1; left--) {
      const { ownerId } = (await store.findGroup(GROUP)) ?? {}
      await groups.quit(ownerId ?? 0, GROUP)
      const now = await store.findGroup(GROUP)
      owners.push(now?.ownerId)
      t.match(await store.findMember(GROUP, now?.ownerId ?? 0), { role: 'owner' })
      t.equal(now?.memberCount, left - 1)
    }
    t.strictSame(owners, [who.admin, who.admin2, who.member, who.member2, who.bot])
  })

  t.test('of the last member leaves an empty group, and whoever is put into it owns it', async (t) => {
    const { groups, store, news } = await openWorld(t)
    for (const name of ['member', 'member2', 'bot', 'admin', 'admin2', 'owner'] as const)
      await groups.quit(who[name], GROUP)
    t.equal((await news()).length, 6)
    t.match(await store.findGroup(GROUP), { memberCount: 0 })
    t.strictSame(await store.listGroups(), [])
    t.equal(await refusal(groups.get(who.owner, GROUP)), 'not_found')
    await groups.addMember(GROUP, who.member)
    await groups.addMember(GROUP, who.admin)
    t.match(await store.findGroup(GROUP), { memberCount: 2, ownerId: who.member })
    t.match(await store.listMembers(GROUP), [{ role: 'member' }, { role: 'owner' }])
    await groups.setAdmin(who.member, GROUP, who.admin, true)
  })

  t.test('of a stranger or a second time is not found', async (t) => {
    const { groups } = await openWorld(t)
    await groups.quit(who.member, GROUP)
    t.equal(await refusal(groups.quit(who.member, GROUP)), 'not_found')
    t.equal(await refusal(groups.quit(who.stranger, GROUP)), 'not_found')
  })

  t.test('loses what one was: a kicked admin comes back as a member who may speak', async (t) => {
    const { groups, store } = await openWorld(t)
    await groups.mute(who.owner, GROUP, who.admin, 600)
    await groups.kick(who.owner, GROUP, who.admin)
    await groups.addMember(GROUP, who.admin)
    t.match(await store.findMember(GROUP, who.admin), { role: 'member', mutedUntil: 0 })
  })
})

t.test('who is outside learns nothing', async (t) => {
  const { groups } = await openWorld(t)
  t.equal(await refusal(groups.get(who.stranger, GROUP)), 'not_found')
  t.equal(await refusal(groups.listMembers(who.stranger, GROUP)), 'not_found')
  t.equal(await refusal(groups.getMember(who.stranger, GROUP, who.owner)), 'not_found')
  t.equal(await refusal(groups.getMember(who.owner, GROUP, who.stranger)), 'not_found')
  t.strictSame(await groups.list(who.stranger), [])
})

t.test('an account that does not exist cannot be put into a group', async (t) => {
  const { groups, store } = await openWorld(t)
  t.equal(await refusal(groups.addMember(GROUP, 4242)), 'not_found')
  t.match(await store.findGroup(GROUP), { memberCount: 6 })
})

async function snapshot({ store }: World): Promise<unknown[]> {
  return [await store.findGroup(GROUP), await store.listMembers(GROUP), await store.lastEventId()]
}

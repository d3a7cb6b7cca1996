import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Undo } from '../../src/core/bus.ts'
import { GROUP, openWorld, START, who, type World } from './world.ts'

const { member, member2, admin, owner, stranger, bot } = who

/** `member` and `member2` are friends, `member` and `admin` have a private chat; those three are there. */
async function openRoom(t: Test): Promise<World> {
  const world = await openWorld(t)
  await world.accounts.befriend(member, member2)
  await world.writeTo(admin, member, 'hello')
  come(world, member2)
  come(world, admin)
  come(world, owner)
  await changes(world)
  return world
}

let lastDevice = 0

function come({ devices }: World, accountId: number, id = `device-${++lastDevice}`): Undo {
  return devices.add({ id, accountId, kind: accountId === bot ? 'bot' : 'person' })
}

/** Who was told what since this was last asked for, each as `who: on|off → whom`. */
async function changes(world: World): Promise<string[]> {
  await nextTurn()
  return world.signals().flatMap((signal) => {
    if (signal.kind !== 'presence.changed') return []
    const { account, isOnline } = signal.data
    const device = signal.onlyDevice === undefined ? '' : ` (${signal.onlyDevice})`
    return `${account.id}: ${isOnline ? 'on' : 'off'} → ${signal.audience?.join(' ')}${device}`
  })
}

const on = (id: number, ...to: (number | string)[]): string => `${id}: on → ${to.join(' ')}`
const off = (id: number, ...to: (number | string)[]): string => `${id}: off → ${to.join(' ')}`

void t.test('who comes and goes', async (t) => {
  t.test('is told to friends and to those they have a private chat with, and to nobody else', async (t) => {
    const world = await openRoom(t)
    come(world, member)
    t.strictSame(await changes(world), [on(member, admin, member2)])
  })

  t.test('is told with what others see of the account', async (t) => {
    const world = await openRoom(t)
    come(world, member)
    await nextTurn()
    t.match(world.signals(), [
      {
        kind: 'presence.changed',
        time: START,
        data: { account: { id: member, nickname: 'member', avatarUrl: '' }, isOnline: true, lastSeenAt: START }
      }
    ])
  })

  t.test('is told when the moment of grace is over, with the time of the last disconnect', async (t) => {
    const world = await openRoom(t)
    const go = come(world, member)
    await changes(world)
    world.clock.advance(60_000)
    go()
    world.clock.advance(9999)
    t.strictSame(await changes(world), [])
    t.equal(world.presence.isOnline(member), true)
    world.clock.advance(1)
    await nextTurn()
    t.match(world.signals(), [{ data: { account: { id: member }, isOnline: false, lastSeenAt: START + 60 } }])
    t.equal(world.presence.isOnline(member), false)
    t.equal(await world.presence.lastSeenAt(member), START + 60)
  })

  t.test('who is back within the grace was never away', async (t) => {
    const world = await openRoom(t)
    const go = come(world, member)
    await changes(world)
    world.clock.advance(60_000)
    go()
    world.clock.advance(9999)
    come(world, member)
    world.clock.advance(60_000)
    t.strictSame(await changes(world), [])
    t.equal(world.presence.isOnline(member), true)
  })

  t.test('the last of several devices counts', async (t) => {
    const world = await openRoom(t)
    const first = come(world, member)
    const second = come(world, member)
    t.strictSame(await changes(world), [on(member, admin, member2)], 'once')
    first()
    world.clock.advance(60_000)
    t.strictSame(await changes(world), [])
    second()
    world.clock.advance(10_000)
    t.strictSame(await changes(world), [off(member, admin, member2)])
  })

  t.test('is not told to who was blocked, nor to who has blocked', async (t) => {
    const world = await openRoom(t)
    await block(world, member, member2)
    await block(world, admin, member)
    come(world, member)
    t.strictSame(await changes(world), [])
  })

  t.test('bots are there like people', async (t) => {
    const world = await openRoom(t)
    await world.accounts.befriend(bot, admin)
    come(world, bot)
    t.strictSame(await changes(world), [on(bot, admin)])
  })

  t.test('nobody hears who is not there', async (t) => {
    const world = await openWorld(t)
    await world.accounts.befriend(member, member2)
    come(world, member)
    t.strictSame(await changes(world), [])
  })
})

void t.test('whoever flaps', async (t) => {
  t.test('is told about once in the interval, the last state wins', async (t) => {
    const world = await openRoom(t)
    come(world, member, 'phone')
    for (let count = 0; count < 5; count++) {
      world.presence.setVisible('phone', false)
      world.presence.setVisible('phone', true)
    }
    world.presence.setVisible('phone', false)
    t.strictSame(await changes(world), [on(member, admin, member2)])
    world.clock.advance(4999)
    t.strictSame(await changes(world), [])
    world.clock.advance(1)
    t.strictSame(await changes(world), [off(member, admin, member2)])
  })

  t.test('and comes back to what was told is not told again', async (t) => {
    const world = await openRoom(t)
    come(world, member, 'phone')
    await changes(world)
    world.presence.setVisible('phone', false)
    world.presence.setVisible('phone', true)
    world.clock.advance(60_000)
    t.strictSame(await changes(world), [])
  })
})

void t.test('a device that does not want to be seen', async (t) => {
  t.test('counts as away at once, and as there again at once', async (t) => {
    const world = await openRoom(t)
    come(world, member, 'phone')
    await changes(world)
    world.clock.advance(60_000)
    world.presence.setVisible('phone', false)
    world.presence.setVisible('phone', false)
    t.strictSame(await changes(world), [off(member, admin, member2)])
    t.equal(await world.presence.lastSeenAt(member), START + 60)
    world.clock.advance(60_000)
    world.presence.setVisible('phone', true)
    t.strictSame(await changes(world), [on(member, admin, member2)])
  })

  t.test('does not hide the others', async (t) => {
    const world = await openRoom(t)
    come(world, member, 'phone')
    come(world, member, 'desk')
    world.presence.setVisible('phone', false)
    world.clock.advance(60_000)
    t.strictSame(await changes(world), [on(member, admin, member2)])
    world.presence.setVisible('desk', false)
    t.strictSame(await changes(world), [off(member, admin, member2)])
  })

  t.test('may go without a word', async (t) => {
    const world = await openRoom(t)
    const go = come(world, member, 'phone')
    world.clock.advance(5000)
    world.presence.setVisible('phone', false)
    await changes(world)
    go()
    world.clock.advance(60_000)
    t.strictSame(await changes(world), [])
    come(world, member, 'phone')
    t.strictSame(await changes(world), [on(member, admin, member2)], 'and is seen when it comes again')
  })

  t.test('belongs to somebody who is connected', async (t) => {
    const world = await openRoom(t)
    world.presence.setVisible('nobody', false)
    come(world, member, 'nobody')
    t.equal(world.presence.isOnline(member), true)
  })
})

void t.test('when somebody was last seen', async (t) => {
  t.test('is now for who is there, and when the account was made for who never was', async (t) => {
    const world = await openRoom(t)
    world.clock.advance(60_000)
    t.equal(await world.presence.lastSeenAt(admin), START + 60)
    t.equal(await world.presence.lastSeenAt(stranger), START)
    t.equal(await world.presence.lastSeenAt(99999), 0)
  })

  t.test('is written down when they go, and every five minutes while they are there', async (t) => {
    const world = await openRoom(t)
    const { store, clock } = world
    const written = async (id: number): Promise<number | undefined> => (await store.listLastSeen([id])).get(id)
    const go = come(world, member)
    clock.advance(299_000)
    await store.ping()
    t.equal(await written(member), START)
    clock.advance(1000)
    await store.ping()
    t.equal(await written(member), START + 300)
    clock.advance(10_000)
    go()
    clock.advance(10_000)
    await store.ping()
    t.equal(await written(member), START + 310)
    clock.advance(600_000)
    await store.ping()
    t.equal(await written(member), START + 310)
    t.equal(await written(admin), START + 900)
  })

  t.test('is written down at the end, also of who was just going', async (t) => {
    const world = await openRoom(t)
    const { store, clock, presence } = world
    const go = come(world, member)
    clock.advance(60_000)
    go()
    clock.advance(5000)
    await presence.close()
    await presence.close()
    t.strictSame(
      [...(await store.listLastSeen([member, admin, stranger]))].toSorted(([a], [b]) => a - b),
      [
        [admin, START + 65],
        [member, START + 60],
        [stranger, START]
      ]
    )
    t.equal(clock.waiting(), 0)
  })
})

void t.test('a subscription', async (t) => {
  t.test('begins with how they are, without those whom the viewer may not know', async (t) => {
    const world = await openRoom(t)
    await block(world, owner, bot)
    world.clock.advance(60_000)
    come(world, bot, 'socket')
    const seen = await world.presence.subscribe(bot, 'socket', [admin, stranger, bot, owner, 99999, member, admin])
    t.strictSame(seen, [
      { accountId: admin, isOnline: true, lastSeenAt: START + 60 },
      { accountId: member, isOnline: false, lastSeenAt: START }
    ])
  })

  t.test('is told about those, to the one device', async (t) => {
    const world = await openRoom(t)
    come(world, owner, 'phone')
    await world.presence.subscribe(owner, 'phone', [member])
    come(world, member)
    t.strictSame(await changes(world), [on(member, admin, member2), on(member, `${owner} (phone)`)])
  })

  t.test('tells nothing twice', async (t) => {
    const world = await openRoom(t)
    come(world, admin, 'phone')
    await world.presence.subscribe(admin, 'phone', [member])
    come(world, member)
    t.strictSame(await changes(world), [on(member, admin, member2)])
  })

  t.test('ends with the next one, with the device, and with what made them know each other', async (t) => {
    const world = await openRoom(t)
    const phone = come(world, owner, 'phone')
    come(world, owner, 'desk')
    await world.presence.subscribe(owner, 'phone', [member])
    await world.presence.subscribe(owner, 'desk', [member])
    await world.presence.subscribe(owner, 'desk', [admin])
    phone()
    come(world, member, 'flap')
    t.strictSame(await changes(world), [on(member, admin, member2)])

    await world.presence.subscribe(owner, 'desk', [member])
    await world.groups.kick(owner, GROUP, member)
    world.clock.advance(60_000)
    world.presence.setVisible('flap', false)
    t.strictSame(await changes(world), [off(member, admin, member2)])
    t.strictSame(await world.presence.subscribe(owner, 'phone', [admin]), [], 'a device that is gone')
  })
})

void t.test('the actions', async (t) => {
  t.test('set_presence wants a connection and a word', async (t) => {
    const { dispatch } = await openRoom(t)
    t.match(await dispatch(member, 'set_presence'), { ok: false, error: { reason: 'invalid' } })
    t.match(await dispatch(member, 'set_presence', { status: 'busy' }), { ok: false, error: { reason: 'invalid' } })
    t.match(await dispatch(member, 'set_presence', { is_online: true }), { ok: false, error: { reason: 'invalid' } })
  })

  const words: [params: object, isOnline: boolean][] = [
    [{ is_online: false }, false],
    [{ is_online: true }, true],
    [{ status: 'away' }, false],
    [{ status: 'online' }, true],
    [{ status: 'offline' }, false],
    [{ status: 'offline', is_online: true }, true]
  ]
  t.test('set_presence takes both ways to say it', async (t) => {
    const world = await openRoom(t)
    come(world, member, 'phone')
    for (const [params, isOnline] of words) {
      t.match(await world.dispatch(member, 'set_presence', params, 'phone'), { ok: true })
      t.equal(world.presence.isOnline(member), isOnline, JSON.stringify(params))
    }
  })

  t.test('subscribe_presence takes up to 500 accounts', async (t) => {
    const world = await openRoom(t)
    const many = Array.from({ length: 500 }, (_, index) => 20_000 + index)
    come(world, owner, 'phone')
    const subscribe = (user_ids: number[]) => world.dispatch(owner, 'subscribe_presence', { user_ids }, 'phone')
    t.match(await subscribe([...many, member]), { ok: false, error: { details: { field: 'user_ids' } } })
    t.strictSame(await subscribe([...many.slice(1), admin]), {
      ok: true,
      data: { users: [{ user_id: admin, is_online: true, last_seen: START }] }
    })
    t.match(await world.dispatch(owner, 'subscribe_presence', { user_ids: [] }), { error: { reason: 'invalid' } })
  })
})

/** As one side of a private chat does it. */
async function block({ store }: World, accountId: number, blockedId: number): Promise<void> {
  await store.addBlock(accountId, blockedId, START)
}

import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Undo } from '../../src/core/bus.ts'
import { ActionError } from '../../src/core/errors.ts'
import { refusal } from '../suites/store.ts'
import { GROUP, openWorld, START, who, type World } from './world.ts'

const { owner, admin, admin2, member, member2, stranger, bot } = who

/** The owner, `member` and `member2` of the group are there, and a stranger. Four may be, for a group to hear of typing. */
async function openRoom(t: Test): Promise<World> {
  const world = await openWorld(t)
  for (const id of [owner, member, member2, stranger]) come(world, id)
  return world
}

let lastDevice = 0

function come({ devices }: World, accountId: number, id = `device-${++lastDevice}`): Undo {
  return devices.add({ id, accountId, kind: 'person' })
}

/** Who was told what since this was last asked for, each as `who in chat: on|off → whom`. */
async function told(world: World): Promise<string[]> {
  await nextTurn()
  return world.signals().flatMap((signal) => {
    if (signal.kind !== 'chat.typing') return []
    const { account, chatId, isTyping } = signal.data
    return `${account.id} in ${chatId}: ${isTyping ? 'on' : 'off'} → ${signal.audience?.join(' ')}`
  })
}

const on = (id: number, ...to: number[]): string => `${id} in ${GROUP}: on → ${to.join(' ')}`
const off = (id: number, ...to: number[]): string => `${id} in ${GROUP}: off → ${to.join(' ')}`

async function type({ typing, accounts }: World, id: number, isTyping = true, deviceId?: string): Promise<void> {
  await typing.set(await accounts.get(id), GROUP, isTyping, deviceId)
}

void t.test('who types', async (t) => {
  t.test('is told to the other members who are there, and to no device of their own', async (t) => {
    const world = await openRoom(t)
    come(world, member)
    await type(world, member)
    await nextTurn()
    t.strictSame(world.signals(), [
      {
        kind: 'chat.typing',
        time: START,
        audience: [owner, member2],
        data: { chatId: GROUP, account: { id: member, nickname: 'member', avatarUrl: '' }, isTyping: true }
      }
    ])
  })

  t.test('and says so again is told about every five seconds', async (t) => {
    const world = await openRoom(t)
    for (let second = 0; second < 12; second++) {
      await type(world, member)
      world.clock.advance(1000)
    }
    t.strictSame(await told(world), Array(3).fill(on(member, owner, member2)))
  })

  t.test('is in the chat, or gets the answer that a stranger gets', async (t) => {
    const world = await openRoom(t)
    const message = `chat ${GROUP} does not exist or you are not in it`
    await t.rejects(type(world, stranger), new ActionError('not_found', message))
    await t.rejects(type(world, stranger, false), new ActionError('not_found', message))
    t.equal(await refusal(world.typing.set(await world.accounts.get(member), 999, true)), 'not_found')
    t.strictSame(await told(world), [])
  })

  t.test('in a chat with more members online than the limit is told to nobody', async (t) => {
    const world = await openRoom(t)
    come(world, admin)
    await type(world, member)
    t.strictSame(await told(world), [on(member, owner, admin, member2)], 'four')
    come(world, admin2)
    await type(world, owner)
    t.strictSame(await told(world), [], 'five')
    await type(world, member, false)
    t.strictSame(await told(world), [off(member, owner, admin, admin2, member2)], 'the end of what was told is told')
    await type(world, owner, false)
    t.strictSame(await told(world), [])
  })

  t.test('and may not speak is refused as for a message', async (t) => {
    const world = await openRoom(t)
    await world.groups.mute(owner, GROUP, member, 60)
    t.equal(await refusal(type(world, member)), 'muted')
    await type(world, member, false)
    await world.groups.muteAll(owner, GROUP, true)
    t.equal(await refusal(type(world, member2)), 'muted')
    await type(world, owner)
    t.strictSame(await told(world), [on(owner, member, member2)])
  })
})

void t.test('typing ends', async (t) => {
  t.test('when they say so, once', async (t) => {
    const world = await openRoom(t)
    await type(world, member, false)
    t.strictSame(await told(world), [], 'nothing ends that did not begin')
    await type(world, member)
    await type(world, member, false)
    await type(world, member, false)
    t.strictSame(await told(world), [on(member, owner, member2), off(member, owner, member2)])
    await type(world, member)
    t.strictSame(await told(world), [on(member, owner, member2)], 'and begins again')
  })

  t.test('by itself after the time to live, which each repetition renews', async (t) => {
    const world = await openRoom(t)
    await type(world, member)
    world.clock.advance(29_000)
    await type(world, member)
    await told(world)
    world.clock.advance(29_999)
    t.strictSame(await told(world), [])
    world.clock.advance(1)
    t.strictSame(await told(world), [off(member, owner, member2)])
    world.clock.advance(60_000)
    t.strictSame(await told(world), [])
  })

  t.test('with a message of theirs in that chat', async (t) => {
    const world = await openRoom(t)
    await type(world, member)
    await told(world)
    await world.sendTo(member2, GROUP, 'other')
    await world.writeTo(member, owner, 'elsewhere')
    t.strictSame(await told(world), [])
    await world.sendTo(member, GROUP, 'done')
    t.strictSame(await told(world), [off(member, owner, member2)])
    world.clock.advance(60_000)
    t.strictSame(await told(world), [])
  })

  t.test('with the last of the devices that typed', async (t) => {
    const world = await openRoom(t)
    const phone = come(world, member, 'phone')
    const desk = come(world, member, 'desk')
    await type(world, member, true, 'phone')
    await type(world, member, true, 'desk')
    await told(world)
    phone()
    t.strictSame(await told(world), [])
    desk()
    t.strictSame(await told(world), [off(member, owner, member2)], 'though another device is there still')
  })

  t.test('with the last device at all, when it was said without one', async (t) => {
    const world = await openWorld(t)
    come(world, owner)
    const [first, second] = [come(world, bot), come(world, bot)]
    await type(world, bot)
    first()
    t.strictSame(await told(world), [on(bot, owner)])
    second()
    t.strictSame(await told(world), [off(bot, owner)])
  })

  t.test('before it begins, when the device is gone already', async (t) => {
    const world = await openRoom(t)
    const phone = come(world, member, 'phone')
    const before = world.clock.waiting()
    const saying = type(world, member, true, 'phone')
    phone()
    await saying
    t.strictSame(await told(world), [])
    t.equal(world.clock.waiting(), before, 'nothing waits for it')
  })

  t.test('with the gateway: nothing waits', async (t) => {
    const world = await openRoom(t)
    await type(world, member)
    await told(world)
    world.typing.close()
    await world.presence.close()
    t.equal(world.clock.waiting(), 0)
    await world.sendTo(member, GROUP, 'done')
    t.strictSame(await told(world), [])
  })
})

void t.test('in a private chat', async (t) => {
  const openPair = async (
    t: Test
  ): Promise<{ world: World; chatId: number; type: (isTyping?: boolean) => Promise<void> }> => {
    const world = await openRoom(t)
    const { chatId } = await world.writeTo(member, owner, 'hello')
    const typer = await world.accounts.get(member)
    await told(world)
    return { world, chatId, type: (isTyping = true) => world.typing.set(typer, chatId, isTyping) }
  }

  t.test('the other side hears it', async (t) => {
    const { world, chatId, type } = await openPair(t)
    await type()
    await type(false)
    t.strictSame(await told(world), [`${member} in ${chatId}: on → ${owner}`, `${member} in ${chatId}: off → ${owner}`])
  })

  for (const [first, second] of [
    [member, owner],
    [owner, member]
  ] as const) {
    t.test(
      `nobody hears it when ${first === member ? 'the one' : 'the other'} has blocked the other side`,
      async (t) => {
        const { world, type } = await openPair(t)
        await world.store.addBlock(first, second, START)
        await type()
        await type(false)
        t.strictSame(await told(world), [])
        await world.store.removeBlock(first, second)
        await type()
        await told(world)
        await world.store.addBlock(first, second, START)
        await type(false)
        t.strictSame(await told(world), [], 'nor the end of it')
      }
    )
  }
})

void t.test('who types in very many chats types in the latest twenty', async (t) => {
  const world = await openRoom(t)
  const typer = await world.accounts.get(member)
  const chatIds: number[] = []
  for (let index = 0; index < 21; index++) {
    const { id } = await world.store.addGroup({
      name: `${index}`,
      ownerId: owner,
      adminIds: [],
      memberIds: [member],
      createdAt: START
    })
    chatIds.push(id)
    await world.typing.set(typer, id, true)
  }
  const heard = await told(world)
  t.equal(heard.length, 22)
  t.strictSame(
    heard.filter((line) => line.includes('off')),
    [`${member} in ${chatIds[0]}: off → ${owner}`]
  )
})

void t.test('the action set_typing', async (t) => {
  t.test('takes a chat by every name that it has', async (t) => {
    const world = await openRoom(t)
    const { chatId } = await world.writeTo(member, owner, 'hello')
    const places = [
      { chat_id: GROUP },
      { group_id: GROUP },
      { chat_id: chatId },
      { receiver_id: owner },
      { user_id: owner }
    ]
    for (const place of places) {
      t.match(await world.dispatch(member, 'set_typing', place), { ok: true, data: {} })
      t.match(await world.dispatch(member, 'set_typing', { ...place, is_typing: false }), { ok: true })
      const chat = 'group_id' in place || place.chat_id === GROUP ? GROUP : chatId
      t.match(
        await told(world),
        [`${member} in ${chat}: on → ${owner}`, `${member} in ${chat}: off → ${owner}`].map(
          (line) => new RegExp(`^${line}`)
        )
      )
    }
  })

  const ways: [params: object, isTyping: boolean][] = [
    [{ is_typing: true }, true],
    [{ action: 'stop' }, false],
    [{ action: 'start' }, true],
    [{ action: 'cancel' }, false],
    [{ action: 'typing' }, true],
    [{ is_typing: false, action: 'start' }, false]
  ]
  t.test('takes both ways to say it', async (t) => {
    const world = await openRoom(t)
    for (const [params, isTyping] of ways) {
      t.match(await world.dispatch(member, 'set_typing', { chat_id: GROUP, ...params }), { ok: true })
      t.strictSame(
        await told(world),
        [isTyping ? on(member, owner, member2) : off(member, owner, member2)],
        JSON.stringify(params)
      )
    }
    t.match(await world.dispatch(member, 'set_typing', { chat_id: GROUP, action: 'dance' }), {
      error: { reason: 'invalid', details: { field: 'action' } }
    })
  })

  t.test('wants a place, and makes none', async (t) => {
    const world = await openRoom(t)
    t.match(await world.dispatch(member, 'set_typing'), { error: { reason: 'invalid', details: { field: 'chat_id' } } })
    t.match(await world.dispatch(member, 'set_typing', { receiver_id: stranger }), { error: { reason: 'not_found' } })
    t.match(await world.dispatch(stranger, 'set_typing', { group_id: GROUP }), { error: { reason: 'not_found' } })
    t.equal(await world.store.findPrivateChat(member, stranger), undefined)
  })

  t.test('is refused to who may not write to the channel', async (t) => {
    const world = await openRoom(t)
    const channel = await world.store.openGroup({
      name: 'News',
      description: '',
      isChannel: true,
      actorId: owner,
      accountIds: [member],
      time: START,
      decide: ({ candidates }) => candidates.map(({ accountId }) => accountId)
    })
    t.match(await world.dispatch(member, 'set_typing', { chat_id: channel.id }), {
      error: { reason: 'forbidden', details: { cause: 'readonly' } }
    })
    t.match(await world.dispatch(owner, 'set_typing', { chat_id: channel.id }), { ok: true })
    t.strictSame(await told(world), [`${owner} in ${channel.id}: on → ${member}`])
  })
})

import { Type } from '@sinclair/typebox'
import t, { type Test } from 'tap'
import { defineAction, type ActionContext, type Outcome } from '../../src/core/action.ts'
import { createDispatcher } from '../../src/core/dispatcher.ts'
import { createEffects } from '../../src/core/effects.ts'
import { ActionError } from '../../src/core/errors.ts'
import { digestToken } from '../../src/secrets.ts'
import { openWorld, GROUP, START, who, type World } from './world.ts'

const HOUR = 3600

/** Calls under a key, of one action that does whatever the test wants. */
function stage(world: World, run: (context: ActionContext, params: object) => Promise<object>) {
  const mistakes: unknown[] = []
  const effects = createEffects({
    store: world.store,
    now: world.now,
    digest: digestToken,
    keptMs: HOUR * 1000,
    onError: (err) => mistakes.push(err)
  })
  const action = defineAction({
    name: 'try',
    params: Type.Object({}),
    result: Type.Object({ seq: Type.Integer() }),
    resultOf: ({ message }: { message: { seq: number } }) => ({ seq: message.seq }),
    run: run as never
  })
  const dispatcher = createDispatcher({
    actions: [action],
    context: { ...world, effects },
    onBug: (err) => mistakes.push(err),
    newId: () => 'id',
    clock: world.clock,
    timeMs: 1000
  })
  const ask = (key: unknown = 'k', params: object = {}, toData?: (data: never) => object): Promise<Outcome> =>
    dispatcher.dispatch('try', params, {
      accountId: who.bot,
      keyed: { key, action: 'try', asked: ['test', params], toData }
    })
  return { ask, mistakes, effects }
}

async function say({ chats, caller }: ActionContext, words: string): Promise<{ seq: number }> {
  const { message } = await chats.send({ chatId: GROUP, sender: caller, segments: [{ type: 'text', text: words }] })
  return { seq: message.seq }
}

const countSaid = async ({ store }: World): Promise<number> =>
  (await store.listMessages({ chatId: GROUP, limit: 100 })).length

function isDone(t: Test, outcome: Outcome, seq: number, isReplay?: true): void {
  t.strictSame(outcome, { ok: true, data: { seq }, ...(isReplay && { isReplay }) })
}

t.test('what goes wrong behind the effect does not undo the answer', async (t) => {
  const world = await openWorld(t)
  for (const [round, err] of [
    new Error('a mistake'),
    new ActionError('unavailable', 'no space to tidy up')
  ].entries()) {
    const { ask, mistakes } = stage(world, async (context) => {
      await say(context, 'x')
      throw err
    })
    isDone(t, await ask(`k${round}`), round + 1)
    t.strictSame(mistakes, [err], 'somebody hears of it')
    isDone(t, await ask(`k${round}`), round + 1, true)
  }
  t.equal(await countSaid(world), 2)
})

t.test('an effect that is refused leaves the way open for another one', async (t) => {
  const world = await openWorld(t)
  const { ask } = stage(world, async (context) => {
    await say(context, 'far too long to be said by anybody').catch(() => {})
    await context.chats.recall(context.caller.id, GROUP, 99).catch(() => {})
    return say(context, 'short')
  })
  isDone(t, await ask(), 1)
  isDone(t, await ask(), 1, true)
  t.equal(await countSaid(world), 1)
})

t.test('only the first effect is the one that counts; what prepares it does not', async (t) => {
  const world = await openWorld(t)
  const { ask } = stage(world, async (context) => {
    await context.store.openPrivateChat(who.bot, who.member, START)
    const first = await say(context, 'first')
    await say(context, 'second')
    return first
  })
  isDone(t, await ask(), 1)
  isDone(t, await ask(), 1, true)
  t.equal(await countSaid(world), 2)
})

t.test('what goes on behind the call is not taken for its effect', async (t) => {
  const world = await openWorld(t)
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  let behind: Promise<unknown> = Promise.resolve()
  const { ask, effects } = stage(world, async (context) => {
    behind = gate.then(() => say(context, 'later'))
    throw new ActionError('too_late', 'nothing was done')
  })
  t.match(await ask(), { ok: false, error: { reason: 'too_late' } })
  open()
  await behind
  t.equal(await countSaid(world), 1)
  t.strictSame(await effects.find(who.bot, 'k'), { state: 'unknown' })
})

t.test('what others are told in the same commit is not taken for its effect', async (t) => {
  const world = await openWorld(t)
  const { store, chats, accounts } = world
  const sender = await accounts.get(who.owner)
  // A listener that answers a message, as brains do; it is called by the commit that the keyed call has asked for.
  const answered = new Promise<void>((resolve, reject) => {
    const stop = store.onCommit(() => {
      stop()
      chats.send({ chatId: GROUP, sender, segments: [{ type: 'text', text: 'answer' }] }).then(() => resolve(), reject)
    })
  })
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const { ask, effects } = stage(world, async (context) => {
    await gate
    await context.store.openPrivateChat(who.bot, who.member, START)
    await answered
    throw new ActionError('too_late', 'nothing was done')
  })
  const outcome = ask()
  await new Promise((resolve) => setImmediate(resolve))
  const other = gate.then(() => world.sendTo(who.owner, GROUP, 'other'))
  open()
  await other
  t.match(await outcome, { ok: false, error: { reason: 'too_late' } })
  t.equal(await countSaid(world), 2)
  t.strictSame(await effects.find(who.bot, 'k'), { state: 'unknown' })
})

t.test('a key is forgotten after its time', async (t) => {
  const world = await openWorld(t)
  const { ask, effects } = stage(world, (context) => say(context, 'x'))
  isDone(t, await ask(), 1)
  world.setTime(START + HOUR)
  isDone(t, await ask(), 1, true)
  world.setTime(START + HOUR + 1)
  t.strictSame(await effects.find(who.bot, 'k'), { state: 'unknown' })
  isDone(t, await ask(), 2)
  isDone(t, await ask(), 2, true)
  world.setTime(START + 3 * HOUR)
  t.equal(await world.store.forgetEffects(START + 2 * HOUR, 10), 1, 'and its row goes')
})

t.test('old keys go while new ones come', async (t) => {
  const world = await openWorld(t)
  const first = stage(world, (context) => say(context, 'x'))
  for (let index = 0; index < 5; index++) await first.ask(`old ${index}`)
  world.setTime(START + 2 * HOUR)
  await stage(world, (context) => say(context, 'x')).ask('new')
  t.equal(await world.store.forgetEffects(START + 10 * HOUR, 100), 1, 'a new process sweeps at its first call')
})

t.test('an answer is kept in the words of its dialect', async (t) => {
  const world = await openWorld(t)
  const { ask } = stage(world, (context) => say(context, 'x'))
  const toData = ({ seq }: { seq: number }): object => ({ message_id: `id ${seq}` })
  t.strictSame(await ask('k', {}, toData), { ok: true, data: { message_id: 'id 1' } })
  t.strictSame(await ask('k', {}, toData), { ok: true, data: { message_id: 'id 1' }, isReplay: true })
})

t.test('what takes longer than it may is answered, goes on, and can be asked for', async (t) => {
  const world = await openWorld(t)
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const { ask, effects } = stage(world, async (context) => {
    await gate
    return say(context, 'x')
  })
  const waiting = world.clock.waiting()
  const first = ask()
  const second = ask()
  await new Promise((resolve) => setImmediate(resolve))
  world.clock.advance(1000)
  for (const outcome of [await first, await second])
    t.match(outcome, { ok: false, error: { reason: 'timeout', message: /^try is still running after 1 s/ } })
  t.strictSame(await effects.find(who.bot, 'k'), { state: 'running' })
  const third = ask()
  open()
  isDone(t, await third, 1, true)
  t.equal(world.clock.waiting(), waiting, 'no timer is left')
})

t.test('parameters that nest too deeply to be compared are refused', async (t) => {
  const world = await openWorld(t)
  const { ask } = stage(world, (context) => say(context, 'x'))
  let deep: object = {}
  for (let level = 0; level < 100_000; level++) deep = { deep }
  t.match(await ask('k', deep), { ok: false, error: { reason: 'invalid' } })
  t.equal(await countSaid(world), 0)
})

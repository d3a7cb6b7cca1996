import type { Test } from 'tap'
import { MAX_REPLAY, type Progress } from '../../src/core/delivery-store.ts'
import type { Store } from '../../src/core/store.ts'

const ID = '10001-3f2a9c41d0be'

/** A store with two bots, two groups that the first is in, and a webhook of the first at the beginning of the log. */
async function openWithTarget(t: Test, open: (t: Test) => Promise<Store>) {
  const store = await open(t)
  for (const id of [10001, 10002]) await store.addAccount({ id, kind: 'bot', nickname: `Bot ${id}`, createdAt: 1 })
  for (const id of [1, 2])
    await store.addGroup({ id, name: 'G', ownerId: 10001, adminIds: [], memberIds: [10002], createdAt: 1 })
  const say = async (chatId: number, text = 'hello'): Promise<number> => {
    const draft = { chatId, senderId: 10002, segments: [{ type: 'text', text } as const], time: 5, check: () => {} }
    return (await store.appendMessage(draft)).message.id
  }
  const target = (change: object = {}) =>
    store.openTarget({ id: ID, botId: 10001, url: 'http://h/', cursorName: 'webhook:10001:old', time: 10, ...change })
  await target()
  const save = (change: Partial<Progress>): Promise<void> =>
    store.saveProgress(ID, () => ({
      cursor: 0,
      ahead: [],
      failingSince: undefined,
      attempts: [],
      taken: 0,
      failed: 0,
      keepAttempts: 5,
      rows: [],
      ...change
    }))
  const row = (eventId: number, chatId: number, change: object = {}) =>
    ({ type: 'put', eventId, chatId, state: 'waiting', attempts: 1, nextAt: 100, time: 50, ...change }) as const
  const due = async (time: number, isStrict = false): Promise<number[]> =>
    (await store.listDue(ID, { time, isStrict, limit: 100 })).map(({ eventId }) => eventId)
  return { store, say, target, save, row, due }
}

/** What every store must do with webhooks and what waits for them. */
export function deliveryStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  t.test('a new webhook begins at the end of the log, one of a former version where it was', async (t) => {
    const { store, say, target } = await openWithTarget(t, open)
    const last = await say(1)
    await store.openCursor('webhook:10001:new')
    await store.openCursor('webhook:10001:older')
    await say(1)
    const fresh = await target({ id: '10001-a', cursorName: 'webhook:10001:none' })
    t.equal(fresh.target.cursor, last + 1)
    const taken = await target({ id: '10001-b', cursorName: 'webhook:10001:older' })
    t.match(taken, { target: { cursor: last, state: 'active', failingSince: undefined, waiting: 0 }, ahead: [] })
    t.equal(await store.openCursor('webhook:10001:older'), last + 1, 'the old place is gone')
    await target({ id: '10001-b', url: 'http://shown/', cursorName: 'webhook:10001:new', time: 20 })
    t.match(await store.findTarget('10001-b'), { cursor: last, url: 'http://shown/', stateSince: 10 })
    t.strictSame(
      (await store.listTargets()).map(({ id }) => id),
      [ID, '10001-a', '10001-b']
    )
    t.equal(await store.findTarget('nobody'), undefined)
  })

  t.test('progress is kept as a whole: place, counts, tries, rows', async (t) => {
    const { store, target, save, row } = await openWithTarget(t, open)
    const attempt = { eventId: 7, number: 1, time: 60, latencyMs: 3, status: 500, answer: 'no', error: 'said 500' }
    await save({
      cursor: 8,
      ahead: [10, 12],
      failingSince: 55,
      attempts: [
        { ...attempt, id: 1 },
        { ...attempt, id: 2, eventId: 8, status: undefined, answer: '' },
        { ...attempt, id: 3, eventId: 10, status: 204, answer: '', error: '' }
      ],
      taken: 1,
      failed: 2,
      rows: [row(7, 1), row(8, 2, { state: 'dead', attempts: 10 }), row(9, 1, { attempts: 0 })]
    })
    t.match(await target(), {
      target: { cursor: 8, failingSince: 55, waiting: 2, dead: 1, takenCount: 1, failedCount: 2 },
      ahead: [10, 12],
      lastAttemptId: 3,
      waitingByChat: new Map([[1, 2]])
    })
    t.match(await store.listAttempts(ID, { limit: 2 }), [
      { id: 3, eventId: 10, status: 204, error: '' },
      { id: 2, eventId: 8, status: undefined }
    ])
    t.strictSame(await store.listAttempts(ID, { beforeId: 2, limit: 2 }), [{ ...attempt, id: 1, targetId: ID }])
    t.match(await store.listAttempts(ID, { eventId: 8, limit: 9 }), [{ id: 2 }])
    t.match(await store.listDeliveries(ID, 'waiting', { limit: 9 }), [
      { eventId: 9, attempts: 0, isReplay: false, createdAt: 50 },
      { eventId: 7, attempts: 1 }
    ])
    t.match(await store.listDeliveries(ID, 'waiting', { beforeId: 9, limit: 9 }), [{ eventId: 7 }])
    t.match(await store.listDeliveries(ID, 'dead', { limit: 9 }), [{ eventId: 8 }])

    await save({
      cursor: 6,
      attempts: [4, 5, 6, 7].map((id) => ({ ...attempt, id })),
      rows: [row(7, 1, { attempts: 2, nextAt: 300, time: 70 }), { type: 'remove', eventId: 9 }]
    })
    t.match(await target(), { target: { cursor: 8, failingSince: undefined, waiting: 1 }, ahead: [], lastAttemptId: 7 })
    t.match(await store.listDeliveries(ID, 'waiting', { limit: 9 }), [{ attempts: 2, nextAt: 300, createdAt: 50 }])
    const kept = (await store.listAttempts(ID, { limit: 100 })).map(({ id }) => id)
    t.strictSame(kept, [7, 6, 5, 4, 3], 'the newest five tries')
  })

  t.test('of each chat the first that waits is due, or of all in strict order', async (t) => {
    const { store, save, row, due } = await openWithTarget(t, open)
    await save({ rows: [row(3, 1, { nextAt: 200 }), row(4, 2), row(5, 1, { attempts: 0, nextAt: 50 }), row(6, 2)] })
    t.strictSame(await due(99), [])
    t.strictSame(await due(100), [4])
    t.strictSame(await due(200), [4, 3], 'the longest due first')
    t.strictSame(await due(199, true), [])
    t.strictSame(await due(200, true), [3])
    const soonest = async (after: number): Promise<unknown[]> => [
      await store.findNextDue(ID, after, false),
      await store.findNextDue(ID, after, true)
    ]
    t.strictSame(
      [await soonest(0), await soonest(100), await soonest(200)],
      [
        [100, 200],
        [200, 200],
        [undefined, undefined]
      ]
    )
    const first = (chatId: number, time: number) => store.findDueOfChat(ID, { chatId, isReplay: false, time })
    t.match(await first(1, 200), { eventId: 3 })
    t.strictSame([await first(1, 199), await first(3, 500)], [undefined, undefined])
    await store.hurry(ID, 51, 60)
    t.strictSame(await due(60), [], 'they were tried before that')
    await store.hurry(ID, 50, 60)
    t.strictSame(await due(60), [3, 4])
    await save({ rows: [3, 4, 5, 6].map((eventId) => ({ type: 'remove', eventId })) })
    t.strictSame(await soonest(0), [undefined, undefined])
    t.strictSame([await due(1000), await due(1000, true)], [[], []])
  })

  t.test('the dead are sent again once, however often it is asked, and keep nobody waiting', async (t) => {
    const { store, save, row, due, target } = await openWithTarget(t, open)
    const dead = { state: 'dead', attempts: 10 }
    await save({ rows: [row(3, 1, dead), row(4, 1, dead), row(5, 2, dead), row(6, 1)] })
    const told: string[] = []
    const undo = store.onTargetChange((id) => told.push(id))
    t.equal(await store.replay(ID, 'dead', 60), 3)
    t.equal(await store.replay(ID, 'dead', 61), 0)
    t.strictSame(told, [ID])
    undo()
    t.strictSame(await due(60), [3, 5], 'one of each chat at a time')
    t.strictSame(await due(60, true), [3, 5])
    t.equal(await store.findNextDue(ID, 59, true), 60)
    t.strictSame((await target()).waitingByChat, new Map([[1, 1]]))
    t.match(await store.listDeliveries(ID, 'waiting', { limit: 1, beforeId: 4 }), [{ attempts: 0, isReplay: true }])
    await save({ rows: [row(3, 1, { attempts: 1, nextAt: 900 })] })
    t.strictSame(await due(60), [4, 5], 'a replay that fails keeps no other waiting')
    t.match(await store.findDueOfChat(ID, { chatId: 1, isReplay: true, time: 60 }), { eventId: 4 })
    t.equal(await store.findDueOfChat(ID, { chatId: 2, isReplay: true, time: 59 }), undefined)
    t.match(await store.listDeliveries(ID, 'waiting', { limit: 1, beforeId: 4 }), [{ isReplay: true, attempts: 1 }])
    await t.rejects(store.replay('nobody', 'dead', 60), /no webhook nobody/)
  })

  t.test('chosen events are sent again when the bot saw them and the webhook has passed them', async (t) => {
    const { store, say, save, row, due } = await openWithTarget(t, open)
    await store.addAccount({ id: 10003, kind: 'bot', nickname: 'Stranger', createdAt: 1 })
    await store.addGroup({ id: 3, name: 'G', ownerId: 10003, adminIds: [], memberIds: [10002], createdAt: 1 })
    const ids: number[] = []
    for (const chatId of [1, 2, 3, 1, 2, 1]) ids.push(await say(chatId))
    const [one = 0, two = 0, three = 0, four = 0, five = 0, six = 0] = ids
    await save({ cursor: four, ahead: [six], rows: [row(two, 2, { nextAt: 500 })] })
    t.equal(await store.replay(ID, { eventIds: [one, two, three, five, 99] }, 60), 2)
    t.equal(await store.replay(ID, { eventIds: [one, two] }, 61), 0, 'they are due already')
    t.strictSame(await due(60), [one, two])
    t.match(await store.listDeliveries(ID, 'waiting', { limit: 9 }), [{ isReplay: false }, { isReplay: true }])
    t.equal(await store.replay(ID, { from: two, to: six + 10 }, 62), 2, 'the fourth and the sixth')
    t.strictSame(
      (await store.listDeliveries(ID, 'waiting', { limit: 9 })).map(({ eventId }) => eventId),
      [six, four, two, one]
    )
  })

  t.test('too many at once are refused, and then none is sent', async (t) => {
    const { store, say, save } = await openWithTarget(t, open)
    const all = await Promise.all(Array.from({ length: MAX_REPLAY + 1 }, () => say(1)))
    const [from = 0, to = 0] = [all.at(0), all.at(-1)]
    await save({ cursor: to })
    await t.rejects(store.replay(ID, { from, to }, 60), /at most 10000/)
    t.equal((await store.findTarget(ID))?.waiting, 0)
    t.equal(await store.replay(ID, { from: from + 1, to }, 60), MAX_REPLAY)
  })

  t.test('a state is set once, and going on makes due what waits', async (t) => {
    const { store, save, row, due } = await openWithTarget(t, open)
    await save({ failingSince: 40, rows: [row(3, 1, { nextAt: 500 })] })
    const told: string[] = []
    store.onTargetChange((id) => told.push(id))
    const set = (state: 'active' | 'paused' | 'disabled', time: number, id = ID) =>
      store.setTargetState(id, { state, reason: `${state} at ${time}`, time })
    t.strictSame(
      [await set('paused', 60), await set('paused', 61), await set('paused', 61, 'nobody')],
      [true, false, false]
    )
    t.match(await store.findTarget(ID), { state: 'paused', reason: 'paused at 60', stateSince: 60, failingSince: 40 })
    t.strictSame(await due(70), [])
    t.equal(await set('active', 70), true)
    t.match(await store.findTarget(ID), { state: 'active', failingSince: undefined })
    t.strictSame(await due(70), [3])
    t.strictSame(told, [ID, ID])
  })
}

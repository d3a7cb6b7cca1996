import t, { type Test } from 'tap'
import type { Store } from '../../src/core/store.ts'
import { createResume, type Resume } from '../../src/net/resume.ts'
import { createTestClock } from '../helpers/clock.ts'
import { openSqliteStore } from '../../src/store/index.ts'

const ALICE = 10001
const DAY = 24 * 3600

interface World {
  readonly store: Store
  readonly open: (sessionId?: string) => ReturnType<Resume['open']>
  /** As after a restart: only the store is left. */
  readonly forget: () => Promise<void>
  readonly set: (next: { position: number }) => void
  readonly advance: (seconds: number) => void
  readonly save: () => Promise<void>
}

async function openWorld(t: Test): Promise<World> {
  const store = await openSqliteStore({ path: ':memory:' })
  t.teardown(() => store.close())
  await store.addAccount({ id: ALICE, kind: 'person', nickname: 'Alice', createdAt: 0 })
  for (const id of ['one', 'two'])
    await store.addSession({ id, accountId: ALICE, refreshId: id, createdAt: 0, expiresAt: 10 * DAY })
  const clock = createTestClock(1000)
  const state = { position: 100 }
  const create = (): Resume =>
    createResume({ store, position: () => state.position, clock, onError: (err) => t.error(err) })
  let resume = create()
  return {
    store,
    open: (sessionId) => resume.open(ALICE, sessionId),
    async forget() {
      await resume.close()
      resume = create()
    },
    set: ({ position }) => (state.position = position),
    advance: (seconds) => clock.advance(seconds * 1000),
    save: () => resume.close()
  }
}

t.test('a session that is new has no place to go back to', async (t) => {
  const { open } = await openWorld(t)
  t.equal((await open('one')).from, undefined)
  t.equal((await open('two')).from, undefined)
})

t.test('a device goes on from what it last confirmed', async (t) => {
  const { open, set } = await openWorld(t)
  const first = await open('one')
  set({ position: 200 })
  first.confirm(150)
  first.close()
  const second = await open('one')
  t.equal(second.from, 150)
  second.close()
  t.equal((await open('one')).from, 150, 'what was sent again and not confirmed is sent once more')
})

t.test('a device that was cut off before it confirmed anything goes on from where it came in', async (t) => {
  const { open, set, forget } = await openWorld(t)
  await open('one')
  set({ position: 200 })
  await forget()
  t.equal((await open('one')).from, 100)
})

t.test('a device whose old connection still seems to live goes on from there, too', async (t) => {
  const { open, set } = await openWorld(t)
  const old = await open('one')
  set({ position: 200 })
  t.equal((await open('one')).from, 100)
  old.close()
})

t.test('of two windows the one that is further behind counts, until somebody came back for it', async (t) => {
  const { open, set } = await openWorld(t)
  const [left, right] = [await open('one'), await open('one')]
  set({ position: 300 })
  left.confirm(150)
  right.confirm(250)
  left.close()
  right.confirm(260)
  const back = await open('one')
  t.equal(back.from, 150)
  back.confirm(290)
  t.equal((await open('one')).from, 260)
})

t.test('a confirmation that comes late takes nothing back', async (t) => {
  const { open, set } = await openWorld(t)
  const first = await open('one')
  set({ position: 300 })
  first.confirm(200)
  first.confirm(120)
  first.close()
  t.equal((await open('one')).from, 200)
})

t.test('after a restart the store knows, for a day', async (t) => {
  const { open, set, forget, advance } = await openWorld(t)
  const first = await open('one')
  set({ position: 300 })
  first.confirm(200)
  first.close()
  await forget()
  advance(DAY - 1)
  t.equal((await open('one')).from, 200)
  await forget()
  advance(3 * DAY)
  t.equal((await open('one')).from, undefined)
})

t.test('without a session nothing is remembered, but what was delivered is', async (t) => {
  const { open, set, save, store } = await openWorld(t)
  const first = await open()
  set({ position: 300 })
  first.confirm(200)
  first.close()
  t.equal((await open()).from, undefined)
  await save()
  const chatId = await store.openPrivateChat(
    ALICE,
    (await store.addAccount({ kind: 'person', nickname: 'Bob', createdAt: 0 })).id,
    0
  )
  t.match(
    (await store.listReadStates(chatId)).find(({ accountId }) => accountId === ALICE),
    { deliveredId: 200 }
  )
})

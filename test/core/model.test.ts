import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { createChats } from '../../src/core/chats.ts'
import { createGroups } from '../../src/core/groups.ts'
import type { GatewayEvent } from '../../src/core/event.ts'
import type { Store } from '../../src/core/store.ts'
import { openSqliteStore } from '../../src/store/index.ts'
import { addAccounts, addGroup, range, refusal } from '../suites/store.ts'

const ACCOUNTS = [10001, 10002, 10003, 10004] as const
const GROUPS = [100001, 100002] as const
/** When the groups were made, too: nobody served longer than another. */
const TIME = 1_700_000_000

interface Step {
  readonly type: 'say' | 'recall' | 'join' | 'leave' | 'mute' | 'turn'
  readonly group: number
  readonly actor: number
  readonly target: number
  readonly seq: number
}

const step: fc.Arbitrary<Step> = fc.record({
  type: fc.constantFrom('say', 'say', 'say', 'recall', 'join', 'leave', 'mute', 'turn'),
  group: fc.constantFrom(...GROUPS),
  actor: fc.constantFrom(...ACCOUNTS),
  target: fc.constantFrom(...ACCOUNTS),
  seq: fc.integer({ min: 1, max: 6 })
})

/** One line of the model's log: what it says and who was there. */
interface Line {
  readonly group: number
  readonly text: string
  readonly seers: ReadonlySet<number>
  isRecalled: boolean
}

/** A chat in the simplest words: who is in it in the order of coming, who leads, who is silent, what was said. */
interface Chat {
  members: number[]
  owner: number | undefined
  readonly muted: Set<number>
  readonly said: { readonly sender: number; readonly line: Line }[]
}

function createModel() {
  const chats = new Map<number, Chat>(
    GROUPS.map((id) => [id, { members: [ACCOUNTS[0], ACCOUNTS[1]], owner: ACCOUNTS[0], muted: new Set(), said: [] }])
  )
  const log: Line[] = []

  function tell(group: number, text: string, seers: Iterable<number>): Line {
    const line = { group, text, seers: new Set(seers), isRecalled: false }
    log.push(line)
    return line
  }

  /** What becomes of a step: how it is answered, and what it adds to the log. */
  function take({ type, group, actor, target, seq }: Step): string {
    const chat = chats.get(group) as Chat
    const isMember = chat.members.includes(actor)
    if (type === 'turn') return 'accepted'
    if (type === 'join') {
      if (chat.members.includes(target)) return 'accepted'
      if (chat.members.length === 0) chat.owner = target
      chat.members.push(target)
      tell(group, `joined ${target}`, chat.members)
      return 'accepted'
    }
    if (!isMember) return 'not_found'
    if (type === 'say') {
      if (chat.muted.has(actor)) return 'muted'
      const line = tell(group, `${actor} said ${chat.said.length + 1}`, chat.members)
      chat.said.push({ sender: actor, line })
      return 'accepted'
    }
    if (type === 'leave') {
      tell(group, `left ${actor}`, chat.members)
      chat.members = chat.members.filter((id) => id !== actor)
      chat.muted.delete(actor)
      if (chat.owner === actor) chat.owner = sorted(chat.members)[0]
      return 'accepted'
    }
    if (type === 'mute') {
      if (chat.owner !== actor) return 'forbidden'
      if (!chat.members.includes(target)) return 'not_found'
      if (target === actor) return 'forbidden'
      if (chat.muted.has(target)) return 'accepted'
      chat.muted.add(target)
      tell(group, `muted ${target}`, chat.members)
      return 'accepted'
    }
    const message = chat.said[seq - 1]
    if (!message) return 'not_found'
    if (message.sender !== actor && chat.owner !== actor) return 'forbidden'
    if (!message.line.isRecalled) {
      message.line.isRecalled = true
      tell(group, `recalled ${seq}`, chat.members)
    }
    return 'accepted'
  }

  return {
    take,
    /** All that happened, with who was there. */
    lines: () => log.map((line) => `${line.group} ${line.text} to ${sorted(line.seers).join()}`),
    /** What is left of it for one account. */
    view: (account: number) =>
      log.filter((line) => !line.isRecalled && line.seers.has(account)).map((line) => `${line.group} ${line.text}`)
  }
}

async function openReal() {
  const store = await openSqliteStore({ path: ':memory:' })
  await addAccounts(store, ACCOUNTS.length)
  for (const id of GROUPS) await addGroup(store, [ACCOUNTS[0], ACCOUNTS[1]], { id })
  const chats = createChats(store, () => TIME, {
    personText: 100,
    botText: 100,
    segments: 10,
    forwarded: 6,
    editWindowS: 0
  })
  const groups = createGroups(store, () => TIME)
  const senders = new Map(await Promise.all(ACCOUNTS.map(async (id) => [id, await store.findAccount(id)] as const)))
  let count = 0

  function take({ type, group, actor, target, seq }: Step): Promise<unknown> {
    const sender = senders.get(actor as (typeof ACCOUNTS)[number])
    if (!sender) throw new Error('unknown sender')
    if (type === 'turn') return Promise.resolve()
    if (type === 'say')
      return chats.send({ chatId: group, sender, segments: [{ type: 'text', text: `said ${++count}` }] })
    if (type === 'recall') return chats.recall(actor, group, seq)
    if (type === 'join') return groups.addMember(group, target)
    if (type === 'leave') return groups.quit(actor, group)
    return groups.mute(actor, group, target, 60)
  }
  return { store, take }
}

/** Everything that an account may see, read in pages of the given sizes, in the model's words. */
async function read(store: Store, account: number, sizes: readonly number[]): Promise<string[]> {
  const seen: string[] = []
  let position = 0
  for (let page = 0; ; page++) {
    const { events, readTo } = await store.readEvents(account, position, sizes[page % sizes.length] as number)
    if (readTo === position) return seen
    position = readTo
    seen.push(...events.map(toWords))
  }
}

function toWords(event: GatewayEvent): string {
  const { chat, kind, data } = event
  if (kind === 'message.created') return `${chat.id} ${data.message.senderId} said ${data.message.seq}`
  if (kind === 'message.recalled') return `${chat.id} recalled ${data.seq}`
  if (kind === 'member.joined') return `${chat.id} joined ${data.accountId}`
  if (kind === 'member.left') return `${chat.id} left ${data.accountId}`
  if (kind === 'member.muted') return `${chat.id} muted ${data.accountId}`
  return `${chat.id} ${kind}`
}

function toLine(event: GatewayEvent): string {
  return `${toWords(event)} to ${sorted(event.audience).join()}`
}

function sorted(ids: Iterable<number>): number[] {
  return [...ids].toSorted((a, b) => a - b)
}

t.test('whatever several accounts do at once, everybody reads exactly what they were there for', async () => {
  const steps = fc.array(step, { minLength: 1, maxLength: 80 })
  const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(steps, sizes, async (list, pageSizes) => {
      const model = createModel()
      const { store, take } = await openReal()
      const heard: GatewayEvent[] = []
      store.onCommit((events) => heard.push(...events))

      const answers: Promise<string>[] = []
      for (const next of list) {
        // What is asked for between two turns shares a commit. A recall looks before it writes, so it has a turn of its own.
        if (next.type === 'turn' || next.type === 'recall') await Promise.all(answers)
        answers.push(refusal(take(next)))
        if (next.type === 'recall') await Promise.all(answers)
      }
      assert.deepEqual(await Promise.all(answers), list.map(model.take))

      // What was committed is told in the next turn.
      await new Promise((resolve) => setImmediate(resolve))
      assert.deepEqual(heard.map(toLine), model.lines())
      for (const group of GROUPS) {
        const own = heard.filter((event) => event.chat.id === group).map((event) => event.eventSeq)
        assert.deepEqual(own, range(1, own.length))
      }
      for (const account of ACCOUNTS) assert.deepEqual(await read(store, account, pageSizes), model.view(account))
      await store.close()
    }),
    { numRuns: 400, interruptAfterTimeLimit: 8000 }
  )
})

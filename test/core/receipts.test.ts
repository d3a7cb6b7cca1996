import t from 'tap'
import { createReceipts } from '../../src/core/receipts.ts'
import type { Signal } from '../../src/core/signal.ts'
import { createTestClock } from '../helpers/clock.ts'
import { GROUP, openWorld, who } from './world.ts'

/** Whom to tell is looked up first. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

t.test('read marks', async (t) => {
  t.test('go to both sides of a private chat and to all of a small group', async (t) => {
    const { receipts, signals, sendTo, writeTo } = await openWorld(t)
    const said = await sendTo(who.owner, GROUP, 'hi')
    await receipts.mark(who.member, said.id, 'phone')
    const written = await writeTo(who.owner, who.member, 'psst')
    await receipts.mark(who.member, written.id)
    await settled()
    t.match(signals(), [
      {
        kind: 'message.read',
        audience: [who.owner, who.admin, who.admin2, who.member, who.member2, who.bot],
        exceptDevice: 'phone',
        data: { chatId: GROUP, messageId: said.id, readerId: who.member }
      },
      { audience: [who.owner, who.member], exceptDevice: undefined }
    ])
  })

  t.test('of one reader are told together, the last one counts', async (t) => {
    const { receipts, signals, sendTo, clock } = await openWorld(t)
    const said = [
      await sendTo(who.owner, GROUP, '1'),
      await sendTo(who.owner, GROUP, '2'),
      await sendTo(who.owner, GROUP, '3')
    ]
    for (const { id } of said) await receipts.mark(who.member, id)
    await settled()
    t.match(signals(), [{ data: { messageId: said[0]?.id } }])
    clock.advance(1000)
    await settled()
    t.match(signals(), [{ data: { messageId: said[2]?.id } }])
    clock.advance(10_000)
    t.strictSame(signals(), [])
  })

  t.test('never go back and are told once', async (t) => {
    const { receipts, signals, sendTo, store } = await openWorld(t)
    const [first, second] = [await sendTo(who.owner, GROUP, '1'), await sendTo(who.owner, GROUP, '2')]
    await receipts.mark(who.member, second.id)
    await settled()
    t.equal(signals().length, 1)
    for (const { id } of [first, second, first]) await receipts.mark(who.member, id)
    t.strictSame(signals(), [])
    t.match(
      (await store.listReadStates(GROUP)).find(({ accountId }) => accountId === who.member),
      { readSeq: 2 }
    )
  })

  t.test('of what is not theirs are not found', async (t) => {
    const { receipts, sendTo } = await openWorld(t)
    const { id } = await sendTo(who.owner, GROUP, 'hi')
    await t.rejects(receipts.mark(who.stranger, id), { message: /no message/ })
    await t.rejects(receipts.mark(who.member, id + 99), { message: /no message/ })
  })
})

/** A group of `size`, in which everybody but the reader has said something in turn. */
async function audienceOf(size: number, { isChannel = false } = {}): Promise<readonly number[]> {
  const told: Signal[] = []
  const members = Array.from({ length: size }, (_, index) => index + 1)
  const receipts = createReceipts({
    store: {
      markRead: async () => ({ before: 0 }),
      findMessageId: async () => undefined,
      markDelivered: async () => {},
      findChat: async () => ({
        id: 1,
        kind: 'group',
        name: '',
        isChannel,
        memberCount: 1,
        description: '',
        announcement: '',
        createdAt: 0
      }),
      listAudience: async () => members,
      listAuthors: async (_chatId, _after, _upTo, limit) => [...members.slice(-limit + 1), 999_999]
    },
    chats: { locate: async () => ({ chatId: 1, seq: 5 }), getOwn: () => Promise.reject(new Error('not asked')) },
    clock: createTestClock(),
    tell: (signal) => void told.push(signal),
    onError: (err) => t.error(err),
    intervalMs: 1000
  })
  await receipts.mark(1, 77)
  await settled()
  return told[0]?.audience ?? []
}

t.test('the larger a group, the fewer hear of who has read (contract 2.3)', async (t) => {
  t.equal((await audienceOf(100)).length, 100)
  const some = await audienceOf(101)
  t.equal(some.length, 20, 'the reader and the authors that are still there')
  t.ok(some.includes(1))
  t.equal((await audienceOf(1000)).length, 20)
  t.strictSame(await audienceOf(1001), [1])
  t.strictSame(await audienceOf(10, { isChannel: true }), [1])
})

t.test('in a private chat the sender is told that a message has arrived', async (t) => {
  const { receipts, signals, writeTo, sendTo } = await openWorld(t)
  const written = await writeTo(who.owner, who.member, 'psst')
  await receipts.deliver(who.member, written.id)
  t.match(signals(), [{ kind: 'message.delivered', audience: [who.owner], data: { messageId: written.id } }])
  const said = await sendTo(who.owner, GROUP, 'hi')
  await receipts.deliver(who.member, said.id)
  t.strictSame(signals(), [])
})

import type { Test } from 'tap'
import type { KeyedCall } from '../../src/core/effect-store.ts'
import { ActionError } from '../../src/core/errors.ts'
import type { MessageDraft, Store } from '../../src/core/store.ts'
import { addAccounts, addGroup, refusal } from './store.ts'

/** What every store must do with calls that carry a key. */
export function effectStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  const call = (key: string, time = 1000): KeyedCall => ({
    accountId: 10001,
    key,
    action: 'try',
    digest: Buffer.from(key),
    time,
    validFrom: time - 100,
    answerOf: (effect) => ({ seq: (effect as { message?: { seq: number } }).message?.seq ?? 0 })
  })

  async function stage(t: Test): Promise<{
    store: Store
    say: (words: string, check?: MessageDraft['check']) => ReturnType<Store['appendMessage']>
  }> {
    const store = await open(t)
    await addAccounts(store, 2)
    const { id } = await addGroup(store, [10001, 10002])
    const say = (words: string, check: MessageDraft['check'] = () => {}): ReturnType<Store['appendMessage']> =>
      store.appendMessage({ chatId: id, senderId: 10001, segments: [{ type: 'text', text: words }], time: 1000, check })
    return { store, say }
  }

  t.test('the first effect is kept with the answer, whatever comes after it', async (t) => {
    const { store, say } = await stage(t)
    await t.rejects(
      store.keyed(call('a'), async () => {
        await say('one')
        await say('two')
        throw new Error('too late')
      }),
      { message: 'too late' }
    )
    t.match(await store.findEffect(10001, 'a', 0), { action: 'try', answer: { seq: 1 } })
    t.same(Buffer.from((await store.findEffect(10001, 'a', 0))?.digest ?? []), Buffer.from('a'))
    t.equal(await store.findEffect(10002, 'a', 0), undefined, 'of that account alone')
    t.equal(await store.findEffect(10001, 'a', 1001), undefined, 'nor when it is too old')
  })

  t.test('what is refused, changes nothing, or only prepares is no effect', async (t) => {
    const { store, say } = await stage(t)
    await store.keyed(call('b'), async () => {
      await store.openPrivateChat(10001, 10002, 1000)
      t.equal(await store.removeFriendship(10001, 10002), false)
      const refuse = (): void => {
        throw new ActionError('muted', 'no')
      }
      t.equal(await refusal(say('x', refuse)), 'muted')
    })
    t.equal(await store.findEffect(10001, 'b', 0), undefined)
    await say('outside')
    t.equal(await store.findEffect(10001, 'b', 0), undefined, 'nor is what others do')
  })

  t.test('a key that is taken takes nothing more, until it has expired', async (t) => {
    const { store, say } = await stage(t)
    await store.keyed(call('c'), () => say('one'))
    t.equal(await refusal(store.keyed(call('c'), () => say('two'))), 'conflict')
    t.match(await store.findEffect(10001, 'c', 0), { answer: { seq: 1 } })
    await store.keyed(call('c', 1101), () => say('three'))
    t.match(await store.findEffect(10001, 'c', 1001), { answer: { seq: 2 } })
  })

  t.test('old ones are forgotten, the oldest first, so many at once', async (t) => {
    const { store, say } = await stage(t)
    for (const [index, key] of ['d', 'e', 'f'].entries()) await store.keyed(call(key, 1000 + index), () => say(key))
    t.equal(await store.forgetEffects(1002, 1), 1)
    t.equal(await store.findEffect(10001, 'd', 0), undefined)
    t.equal(await store.forgetEffects(1002, 10), 1)
    t.equal(await store.forgetEffects(1002, 10), 0)
    t.match(await store.findEffect(10001, 'f', 0), { answer: { seq: 3 } })
  })
}

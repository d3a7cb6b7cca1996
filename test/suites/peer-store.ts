import type { Test } from 'tap'
import type { Store } from '../../src/core/store.ts'

const NOW = 1_700_000_000
const [ALICE, BOB, CAROL, DAVE, ERIN] = [10001, 10002, 10003, 10004, 10005] as const

/** What every driver must do about who knows whom. `open` gives an empty store that is closed when the test ends. */
export function peerStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  /** Alice has a private chat with Bob, is in Carol's list and has Dave in hers, and shares a group with Erin. */
  async function openPeopled(t: Test): Promise<Store> {
    const store = await open(t)
    for (const id of [ALICE, BOB, CAROL, DAVE, ERIN])
      await store.addAccount({ id, kind: 'person', nickname: `${id}`, createdAt: NOW })
    await store.openPrivateChat(ALICE, BOB, NOW + 1)
    await store.addContact({ accountId: CAROL, contactId: ALICE, time: NOW + 2 })
    await store.addFriendship(ALICE, DAVE, NOW + 3)
    await store.addGroup({ name: 'Group', ownerId: ALICE, adminIds: [], memberIds: [ERIN], createdAt: NOW })
    return store
  }

  t.test(
    'peers share a private chat or a list of contacts, and each stands there once, the latest first',
    async (t) => {
      const store = await openPeopled(t)
      t.strictSame(await store.listPeers(ALICE, 10), [DAVE, CAROL, BOB])
      t.strictSame(await store.listPeers(ALICE, 2), [DAVE, CAROL])
      await store.openPrivateChat(ALICE, CAROL, NOW + 4)
      t.strictSame(await store.listPeers(ALICE, 10), [CAROL, DAVE, BOB])
      t.strictSame(await store.listPeers(BOB, 10), [ALICE])
      t.strictSame(await store.listPeers(CAROL, 10), [ALICE])
      t.strictSame(await store.listPeers(ERIN, 10), [])
    }
  )

  t.test('who has blocked, was blocked or is switched off is no peer and not known', async (t) => {
    const store = await openPeopled(t)
    await store.addBlock(ALICE, BOB, NOW)
    await store.addBlock(CAROL, ALICE, NOW)
    t.strictSame(await store.listPeers(ALICE, 10), [DAVE])
    t.strictSame(await store.listPeers(BOB, 10), [])
    t.strictSame(await store.listKnown(ALICE, [BOB, CAROL, DAVE, ERIN]), [DAVE, ERIN])
    t.strictSame(await store.listKnown(BOB, [ALICE]), [])
    await store.disableAccount(DAVE, NOW)
    t.strictSame(await store.listPeers(ALICE, 10), [])
    t.strictSame(await store.listKnown(ALICE, [DAVE, ERIN]), [ERIN])
  })

  t.test('whom somebody knows is told in the order of the question, each once, without themselves', async (t) => {
    const store = await openPeopled(t)
    t.strictSame(await store.listKnown(ALICE, [ERIN, 99999, BOB, ALICE, ERIN, DAVE, CAROL]), [ERIN, BOB, DAVE, CAROL])
    for (const id of [BOB, CAROL, DAVE, ERIN]) t.strictSame(await store.listKnown(id, [ALICE]), [ALICE])
    t.strictSame(await store.listKnown(BOB, [CAROL, DAVE, ERIN]), [])
    t.strictSame(await store.listKnown(ALICE, []), [])
  })

  t.test('when somebody was last seen never goes back, and begins when the account was made', async (t) => {
    const store = await openPeopled(t)
    await store.saveLastSeen([ALICE, BOB], NOW + 10)
    await store.saveLastSeen([ALICE], NOW + 5)
    await store.saveLastSeen([], NOW + 99)
    t.strictSame(
      await store.listLastSeen([ALICE, BOB, CAROL, 99999]),
      new Map([
        [ALICE, NOW + 10],
        [BOB, NOW + 10],
        [CAROL, NOW]
      ])
    )
  })

  t.test('what decides whether somebody may speak can be asked without speaking', async (t) => {
    const store = await openPeopled(t)
    const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
    t.match(await store.findSpeaker(chatId, ALICE), { kind: 'private', isBlocked: false, isPeerDisabled: false })
    t.equal(await store.findSpeaker(chatId, CAROL), undefined)
    t.equal(await store.findSpeaker(99, ALICE), undefined)
    await store.addBlock(BOB, ALICE, NOW)
    t.match(await store.findSpeaker(chatId, ALICE), { isBlocked: true })
    await store.disableAccount(BOB, NOW)
    t.match(await store.findSpeaker(chatId, ALICE), { isPeerDisabled: true })
  })
}

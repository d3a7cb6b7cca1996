import type { Test } from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import type { FriendAnswerOrder, FriendRequestOrder, LikeOrder, Pin, PinOrder } from '../../src/core/friend-store.ts'
import type { DraftSegment } from '../../src/core/segment.ts'
import type { Store } from '../../src/core/store.ts'
import { addAccounts, addGroup, refusal } from './store.ts'

const NOW = 1_700_000_000
const DAY = 86_400
const [ALICE, BOB, CAROL, DAVE] = [10001, 10002, 10003, 10004] as const

const refuse = (): never => {
  throw new ActionError('forbidden', 'no')
}

/** What every driver must do about what goes on between two accounts. `open` gives an empty store that is closed when the test ends. */
export function friendStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  async function openPeopled(t: Test, count = 4): Promise<Store> {
    const store = await open(t)
    await addAccounts(store, count)
    return store
  }

  const friendsOf = async (store: Store, accountId: number): Promise<number[]> =>
    (await store.listFriends(accountId)).map(({ id }) => id)
  const eventsFor = async (store: Store, accountId: number) => (await store.readEvents(accountId, 0, 5000)).events

  t.test('friend requests', async (t) => {
    const ask = (store: Store, initiatorId: number, targetId: number, more: Partial<FriendRequestOrder> = {}) =>
      store.requestFriend({
        initiatorId,
        targetId,
        comment: '',
        via: 'contacts',
        isAccepted: false,
        time: NOW,
        check: () => {},
        ...more
      })
    const answer = (
      store: Store,
      initiatorId: number,
      targetId: number,
      state: 'accepted' | 'rejected',
      more: Partial<FriendAnswerOrder> = {}
    ) => store.answerFriendRequest({ initiatorId, targetId, time: NOW + 9, decide: () => ({ state }), ...more })
    const states = async (store: Store, targetId: number) =>
      (await store.listFriendRequests(targetId, 2000)).map(({ initiatorId, state }) => [initiatorId, state])

    t.test('are told to the target alone, once while they are open', async (t) => {
      const store = await openPeopled(t)
      await ask(store, ALICE, BOB, { comment: 'hello' })
      await ask(store, ALICE, BOB, { comment: 'again', time: NOW + 1 })
      t.match(await store.listFriendRequests(BOB, 10), [
        { initiatorId: ALICE, targetId: BOB, state: 'pending', comment: 'hello', via: 'contacts', createdAt: NOW }
      ])
      t.match(await eventsFor(store, BOB), [
        {
          kind: 'friend.requested',
          time: NOW,
          audience: [BOB],
          data: { initiatorId: ALICE, targetId: BOB, comment: 'hello', via: 'contacts' }
        }
      ])
      for (const id of [ALICE, CAROL]) t.strictSame(await eventsFor(store, id), [])
      t.strictSame(await friendsOf(store, BOB), [])
    })

    t.test('come newest first, without those who are switched off', async (t) => {
      const store = await openPeopled(t)
      for (const id of [ALICE, CAROL, DAVE]) await ask(store, id, BOB)
      t.strictSame(
        await states(store, BOB),
        [DAVE, CAROL, ALICE].map((id) => [id, 'pending'])
      )
      t.equal((await store.listFriendRequests(BOB, 1)).length, 1)
      t.strictSame(await store.listFriendRequests(BOB, 0), [])
      await store.disableAccount(CAROL, NOW)
      t.strictSame(
        await states(store, BOB),
        [DAVE, ALICE].map((id) => [id, 'pending'])
      )
    })

    t.test('that are accepted make friends of both, and are the newest of the two', async (t) => {
      const store = await openPeopled(t)
      await ask(store, ALICE, BOB)
      await answer(store, ALICE, BOB, 'rejected')
      await ask(store, ALICE, BOB, { comment: 'please' })
      const seen: unknown[] = []
      await store.answerFriendRequest({
        initiatorId: ALICE,
        targetId: BOB,
        time: NOW,
        decide(request, isFriend) {
          seen.push([request?.state, request?.comment, isFriend])
          return { state: 'accepted' }
        }
      })
      t.strictSame(seen, [['pending', 'please', false]])
      t.strictSame(await states(store, BOB), [
        [ALICE, 'accepted'],
        [ALICE, 'rejected']
      ])
      t.strictSame([await friendsOf(store, ALICE), await friendsOf(store, BOB)], [[BOB], [ALICE]])
      await answer(store, ALICE, BOB, 'accepted', {
        decide(request, isFriend) {
          seen.push([request?.state, isFriend])
          return undefined
        }
      })
      t.strictSame(seen[1], ['accepted', true])
      t.equal((await eventsFor(store, BOB)).length, 2, 'asked twice, and nothing is told of answers')
    })

    t.test('are answered once, when two answer at the same moment', async (t) => {
      const store = await openPeopled(t)
      await ask(store, ALICE, BOB)
      const once = (state: 'accepted' | 'rejected') =>
        refusal(
          answer(store, ALICE, BOB, state, {
            decide: (request) => (request?.state === 'pending' ? { state } : refuse())
          })
        )
      t.strictSame(await Promise.all([once('accepted'), once('rejected')]), ['accepted', 'forbidden'])
      t.strictSame(await states(store, BOB), [[ALICE, 'accepted']])
    })

    t.test('are refused by the rule before anything is written, also an answer', async (t) => {
      const store = await openPeopled(t)
      await store.addBlock(BOB, ALICE, NOW)
      const seen: boolean[] = []
      const check = ({ isBlocked }: { isBlocked: boolean }): void => {
        seen.push(isBlocked)
        refuse()
      }
      t.equal(await refusal(ask(store, ALICE, BOB, { check })), 'forbidden')
      t.equal(await refusal(ask(store, BOB, ALICE, { check })), 'forbidden', 'in both directions')
      t.equal(await refusal(ask(store, ALICE, CAROL, { check })), 'forbidden')
      t.strictSame(seen, [true, true, false])
      t.strictSame(await states(store, BOB), [])
      const notice = {
        audience: [ALICE],
        title: 't',
        message: 'm',
        kind: 'info',
        actionUrl: '',
        createdAt: NOW
      } as const
      await answer(store, CAROL, BOB, 'accepted', {
        decide: (request) => (request ? refuse() : { state: 'accepted', told: { notice, keepFrom: 0 } })
      })
      t.strictSame(await friendsOf(store, BOB), [], 'nothing is accepted that was not asked')
      t.equal(await store.lastNoticeId(), 0)
      t.strictSame(await eventsFor(store, BOB), [])
    })

    t.test('tell a notice with the answer', async (t) => {
      const store = await openPeopled(t)
      await ask(store, ALICE, BOB)
      const notice = {
        audience: [ALICE],
        title: 't',
        message: 'm',
        kind: 'info',
        actionUrl: '',
        createdAt: NOW
      } as const
      await answer(store, ALICE, BOB, 'rejected', {
        decide: () => ({ state: 'rejected', told: { notice, keepFrom: 0 } })
      })
      t.match(await store.listNotices({ accountId: ALICE, since: 0, limit: 9 }), [{ title: 't' }])
      t.strictSame(await store.listNotices({ accountId: BOB, since: 0, limit: 9 }), [])
    })

    t.test('that nobody has to answer are told all the same', async (t) => {
      const store = await openPeopled(t)
      await ask(store, ALICE, BOB, { isAccepted: true })
      await ask(store, ALICE, BOB, { isAccepted: true })
      t.strictSame(await states(store, BOB), [[ALICE, 'accepted']])
      t.match(await eventsFor(store, BOB), [{ kind: 'friend.requested' }])
      t.strictSame([await friendsOf(store, ALICE), await friendsOf(store, BOB)], [[BOB], [ALICE]])
      await ask(store, CAROL, BOB)
      await ask(store, CAROL, BOB, { isAccepted: true })
      t.strictSame((await states(store, BOB))[0], [CAROL, 'accepted'], 'one that was open, too')
    })

    t.test('of two who ask each other are accepted, and of friends there is none', async (t) => {
      const store = await openPeopled(t)
      await ask(store, ALICE, BOB)
      await ask(store, BOB, ALICE)
      t.strictSame([await friendsOf(store, ALICE), await friendsOf(store, BOB)], [[BOB], [ALICE]])
      t.strictSame([await states(store, ALICE), await states(store, BOB)], [[], [[ALICE, 'accepted']]])
      await ask(store, ALICE, BOB, { check: refuse })
      t.equal((await eventsFor(store, BOB)).length, 1)
      t.strictSame(await eventsFor(store, ALICE), [])
    })

    t.test('come with a contact, or not at all', async (t) => {
      const store = await openPeopled(t)
      const request = { comment: 'hello', via: 'contacts', isAccepted: false, check: () => {} }
      const contact = { accountId: ALICE, contactId: BOB, time: NOW }
      t.equal(await refusal(store.addContact({ ...contact, request: { ...request, check: refuse } })), 'forbidden')
      t.strictSame(await friendsOf(store, ALICE), [])
      t.equal(await store.addContact({ ...contact, remark: 'Bobby', request }), true)
      t.strictSame([await friendsOf(store, ALICE), await friendsOf(store, BOB)], [[BOB], []])
      await answer(store, ALICE, BOB, 'accepted')
      t.match(await store.findContact(ALICE, BOB), { remark: 'Bobby' })
      t.match(await store.findContact(BOB, ALICE), { remark: '' })
      t.equal(await store.addContact({ ...contact, request }), false)
      t.equal((await eventsFor(store, BOB)).length, 1)
    })

    t.test('that are open end with the friendship, and with one that is made otherwise', async (t) => {
      const store = await openPeopled(t)
      const request = { comment: '', via: 'contacts', isAccepted: false, check: () => {} }
      for (const end of [store.removeFriendship(ALICE, BOB), store.removeContact(ALICE, BOB, true)])
        t.equal(await end, false, 'there is nothing yet')
      for (const end of [
        () => store.removeFriendship(ALICE, BOB),
        () => store.removeFriendship(BOB, ALICE),
        () => store.removeContact(ALICE, BOB, true)
      ]) {
        await store.addContact({ accountId: ALICE, contactId: BOB, time: NOW, request })
        t.strictSame(await states(store, BOB), [[ALICE, 'pending']])
        t.equal(await end(), true)
        t.strictSame(await states(store, BOB), [])
        t.strictSame([await friendsOf(store, ALICE), await friendsOf(store, BOB)], [[], []])
      }
      await ask(store, ALICE, BOB)
      await store.addFriendship(BOB, ALICE, NOW)
      t.strictSame(await states(store, BOB), [[ALICE, 'accepted']])
    })

    t.test('that were answered are kept, the newest thousand; those that are open all', async (t) => {
      const store = await openPeopled(t)
      await ask(store, CAROL, BOB)
      await ask(store, ALICE, DAVE)
      await answer(store, ALICE, DAVE, 'rejected')
      for (let round = 0; round < 10; round++) {
        await Promise.all(
          Array.from({ length: 101 }, async (_, index) => {
            await Promise.all([
              ask(store, ALICE, BOB, { comment: `${round * 101 + index}` }),
              answer(store, ALICE, BOB, 'rejected')
            ])
          })
        )
      }
      const kept = await store.listFriendRequests(BOB, 5000)
      t.equal(kept.length, 1001)
      t.match(kept[0], { comment: '1009', state: 'rejected' })
      t.match(kept.at(-2), { comment: '10', state: 'rejected' })
      t.match(kept.at(-1), { initiatorId: CAROL, state: 'pending' })
      t.strictSame(await states(store, DAVE), [[ALICE, 'rejected']], 'of each')
    })
  })

  t.test('nudges', async (t) => {
    t.test('are told to everybody in the chat', async (t) => {
      const store = await openPeopled(t)
      const group = await addGroup(store, [ALICE, BOB])
      const chatId = await store.openPrivateChat(ALICE, CAROL, NOW)
      const check = (): void => {}
      await store.nudge({ chatId: group.id, senderId: ALICE, receiverId: BOB, time: NOW, check })
      await store.nudge({ chatId, senderId: ALICE, receiverId: ALICE, time: NOW + 1, check })
      t.match(await eventsFor(store, BOB), [
        { kind: 'chat.nudged', time: NOW, chat: { id: group.id }, data: { senderId: ALICE, receiverId: BOB } }
      ])
      t.match(await eventsFor(store, CAROL), [{ kind: 'chat.nudged', data: { senderId: ALICE, receiverId: ALICE } }])
      t.equal((await eventsFor(store, ALICE)).length, 2)
    })

    t.test('are refused by the rule, and where one of the two is not', async (t) => {
      const store = await openPeopled(t)
      const group = await addGroup(store, [ALICE, BOB])
      const nudge = { chatId: group.id, senderId: ALICE, receiverId: BOB, time: NOW, check: () => {} }
      const wrong = [{ senderId: CAROL }, { receiverId: CAROL }, { chatId: group.id + 1 }, { receiverId: 4242 }]
      for (const part of wrong)
        t.equal(await refusal(store.nudge({ ...nudge, ...part })), 'not_found', JSON.stringify(part))
      t.equal(await refusal(store.nudge({ ...nudge, check: refuse })), 'forbidden')
      t.match(await store.findSpeaker(group.id, ALICE), { kind: 'group' })
      t.strictSame(await eventsFor(store, ALICE), [])
    })
  })

  t.test('likes', async (t) => {
    const like = (store: Store, accountId: number, count: number, more: Partial<LikeOrder> = {}) =>
      store.addLikes({ accountId, targetId: ALICE, count, time: NOW, check: () => {}, ...more })

    t.test('are counted by day and in all', async (t) => {
      const store = await openPeopled(t)
      t.strictSame(await store.readLikes(ALICE, NOW, 10), { total: 0, today: [] })
      await like(store, BOB, 2)
      await like(store, CAROL, 5)
      await like(store, BOB, 1)
      const tomorrow = (Math.floor(NOW / DAY) + 1) * DAY
      await like(store, DAVE, 4, { time: tomorrow - 1 })
      await like(store, DAVE, 1, { time: tomorrow })
      t.strictSame(await store.readLikes(ALICE, NOW, 10), {
        total: 13,
        today: [
          { accountId: CAROL, count: 5 },
          { accountId: DAVE, count: 4 },
          { accountId: BOB, count: 3 }
        ]
      })
      t.strictSame((await store.readLikes(ALICE, NOW, 1)).today, [{ accountId: CAROL, count: 5 }])
      t.strictSame((await store.readLikes(ALICE, tomorrow, 10)).today, [{ accountId: DAVE, count: 1 }])
      t.strictSame(await store.readLikes(BOB, NOW, 10), { total: 0, today: [] })
    })

    t.test('are refused by the rule, which knows what was given and who has blocked whom', async (t) => {
      const store = await openPeopled(t)
      await store.addBlock(ALICE, CAROL, NOW)
      await store.addBlock(DAVE, ALICE, NOW)
      const seen: unknown[] = []
      const check: LikeOrder['check'] = (state) => void seen.push(state)
      await like(store, BOB, 3, { check })
      await like(store, BOB, 1, { check })
      await like(store, BOB, 1, { check, time: NOW + DAY })
      await like(store, CAROL, 1, { check })
      await like(store, DAVE, 1, { check })
      t.strictSame(seen, [
        { given: 0, hasBlocked: false },
        { given: 3, hasBlocked: false },
        { given: 0, hasBlocked: false },
        { given: 0, hasBlocked: true },
        { given: 0, hasBlocked: false }
      ])
      t.equal(await refusal(like(store, BOB, 1, { check: refuse })), 'forbidden')
      t.equal((await store.readLikes(ALICE, NOW, 10)).total, 7)
    })

    t.test('of a month ago are counted in the total only', async (t) => {
      const store = await openPeopled(t)
      await like(store, BOB, 2)
      await like(store, BOB, 2, { targetId: DAVE })
      await like(store, CAROL, 1, { time: NOW + 30 * DAY })
      t.equal((await store.readLikes(ALICE, NOW, 10)).today.length, 1)
      await like(store, CAROL, 1, { time: NOW + 31 * DAY })
      t.strictSame(await store.readLikes(ALICE, NOW, 10), { total: 4, today: [] })
      t.strictSame(await store.readLikes(DAVE, NOW, 10), { total: 2, today: [] }, 'of whomever')
    })
  })

  t.test('pins', async (t) => {
    const order = (pin: Pin, isPinned: boolean, more: Partial<PinOrder> = {}): PinOrder => ({
      ...pin,
      accountId: ALICE,
      isPinned,
      time: NOW,
      check({ isThere }) {
        if (!isThere) throw new ActionError('not_found', 'nothing there')
      },
      ...more
    })
    const bob = { scene: 'friend', peerId: BOB } as const
    const carol = { scene: 'friend', peerId: CAROL } as const

    t.test('are of friends, peers and own groups, told to oneself, the latest first', async (t) => {
      const store = await openPeopled(t)
      const { id } = await addGroup(store, [BOB, ALICE])
      const group = { scene: 'group', peerId: id } as const
      await store.addFriendship(ALICE, BOB, NOW)
      const chatId = await store.openPrivateChat(ALICE, CAROL, NOW)
      await store.setPin(order(bob, true))
      await store.setPin(order(group, true, { time: NOW + 1 }))
      await store.setPin(order(carol, true, { time: NOW + 2 }))
      await store.setPin(order(carol, true, { time: NOW + 3, check: refuse }))
      t.strictSame(await store.listPins(ALICE), [carol, group, bob])
      t.strictSame(await store.listPins(BOB), [])
      t.match(await eventsFor(store, ALICE), [
        { kind: 'pin.changed', time: NOW, audience: [ALICE], data: { ...bob, isPinned: true } },
        { data: { ...group, isPinned: true } },
        { data: { ...carol, isPinned: true } }
      ])
      t.strictSame(await eventsFor(store, BOB), [])
      const { chats } = await store.listChats(ALICE, { offset: 0, limit: 9 })
      t.strictSame(
        new Set(chats.map(({ chat, isPinned }) => `${chat.id} ${isPinned}`)),
        new Set([`${id} true`, `${chatId} true`])
      )
      t.match((await store.listChats(BOB, { offset: 0, limit: 9 })).chats, [{ isPinned: false }])
      t.match(await store.findChatDetail(ALICE, id), { isPinned: true })

      await store.setPin(order(bob, false))
      await store.setPin(order(bob, false))
      t.strictSame(await store.listPins(ALICE), [carol, group])
      t.match((await eventsFor(store, ALICE)).slice(3), [{ data: { ...bob, isPinned: false } }])
    })

    t.test('of what is not one’s own are refused, also taking them away', async (t) => {
      const store = await openPeopled(t)
      const { id } = await addGroup(store, [BOB])
      const chatId = await store.openPrivateChat(ALICE, CAROL, NOW)
      const wrong: Pin[] = [
        bob,
        { scene: 'friend', peerId: ALICE },
        { scene: 'friend', peerId: 4242 },
        { scene: 'group', peerId: id },
        { scene: 'group', peerId: chatId },
        { scene: 'friend', peerId: id },
        { scene: 'group', peerId: CAROL }
      ]
      for (const pin of wrong)
        for (const isPinned of [true, false])
          t.equal(await refusal(store.setPin(order(pin, isPinned))), 'not_found', JSON.stringify(pin))
      t.strictSame(await eventsFor(store, ALICE), [])
    })

    t.test('that lead nowhere any more are not listed, and take no place', async (t) => {
      const store = await openPeopled(t)
      await store.addFriendship(ALICE, BOB, NOW)
      await store.addFriendship(ALICE, DAVE, NOW)
      await store.openPrivateChat(ALICE, CAROL, NOW)
      for (const peerId of [BOB, CAROL, DAVE]) await store.setPin(order({ scene: 'friend', peerId }, true))
      await store.removeFriendship(ALICE, BOB)
      await store.disableAccount(CAROL, NOW)
      t.strictSame(await store.listPins(ALICE), [{ scene: 'friend', peerId: DAVE }])
      t.equal(await refusal(store.setPin(order(bob, true))), 'not_found')
      const { id } = await addGroup(store, [ALICE])
      const counts: number[] = []
      const check: PinOrder['check'] = ({ count }) => void counts.push(count)
      await store.setPin(order({ scene: 'group', peerId: id }, true, { check }))
      t.strictSame(counts, [1])
      await store.addFriendship(ALICE, BOB, NOW)
      t.equal((await store.listPins(ALICE)).length, 2, 'what was let go of does not come back by itself')
    })
  })

  t.test('custom faces', async (t) => {
    let fileNumber = 0
    const addFile = (store: Store, ownerId: number, sha256 = `content ${++fileNumber}`) =>
      store.addFile({
        ownerId,
        sha256,
        name: `${sha256}.png`,
        mime: 'image/png',
        size: 1,
        width: 1,
        height: 1,
        durationS: 0,
        createdAt: NOW
      })
    const media = (fileId: number, kind: 'sticker' | 'image' = 'sticker'): DraftSegment => ({
      type: 'media',
      kind,
      fileId
    })
    const say = async (store: Store, chatId: number, segments: DraftSegment[], time = NOW, senderId: number = ALICE) =>
      (await store.appendMessage({ chatId, senderId, segments, time, check: () => {} })).message
    const idsOf = async (store: Store, accountId: number = ALICE) =>
      (await store.listCustomFaces(accountId)).map(({ fileId }) => fileId)

    t.test('are the stickers that were sent, newest first, each content once', async (t) => {
      const store = await openPeopled(t)
      const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
      const [a, b, again, picture] = [
        await addFile(store, ALICE, 'a'),
        await addFile(store, ALICE, 'b'),
        await addFile(store, ALICE, 'a'),
        await addFile(store, ALICE)
      ]
      await say(store, chatId, [media(a.id), media(picture.id, 'image')])
      await say(store, chatId, [media(b.id)], NOW + 1)
      t.strictSame(await store.listCustomFaces(ALICE), [
        { fileId: b.id, name: 'b.png' },
        { fileId: a.id, name: 'a.png' }
      ])
      await say(store, chatId, [media(again.id)], NOW + 2)
      t.strictSame(await idsOf(store), [again.id, b.id])
      t.strictSame(await idsOf(store, BOB), [])
      await say(store, chatId, [media(b.id)], NOW, BOB)
      t.strictSame(await idsOf(store, BOB), [b.id], 'one that somebody else has shown')
      const refused = store.appendMessage({
        chatId,
        senderId: BOB,
        segments: [media(again.id)],
        time: NOW,
        check: refuse
      })
      t.equal(await refusal(refused), 'forbidden')
      t.strictSame(await idsOf(store, BOB), [b.id])
    })

    t.test('go with their file', async (t) => {
      const store = await openPeopled(t)
      const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
      const { id } = await addFile(store, ALICE)
      const first = await say(store, chatId, [media(id)])
      const second = await say(store, chatId, [media(id)])
      const recall = (seq: number) =>
        store.recallMessage({ chatId, seq, operatorId: ALICE, time: NOW, check: () => {} })
      await recall(first.seq)
      t.strictSame(await idsOf(store), [id])
      await recall(second.seq)
      t.strictSame(await idsOf(store), [])
      t.equal(await store.findFile(id), undefined)
    })

    t.test('are a hundred at most', async (t) => {
      const store = await openPeopled(t)
      const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
      const ids: number[] = []
      for (let index = 0; index < 102; index++) ids.push((await addFile(store, ALICE)).id)
      await Promise.all(ids.map((id, index) => say(store, chatId, [media(id)], NOW + Math.floor(index / 2))))
      t.strictSame(await idsOf(store), ids.slice(2).toReversed())
    })
  })

  t.test('the picture of a profile', async (t) => {
    const addFile = (store: Store, ownerId: number) =>
      store.addFile({
        ownerId,
        sha256: `picture of ${ownerId}`,
        name: 'a.png',
        mime: 'image/png',
        size: 1,
        width: 1,
        height: 1,
        durationS: 0,
        createdAt: NOW
      })
    const urlOf = (fileId: number): string => `/api/files/${fileId}/a.png`
    const fileIdOf = (url: string): number | undefined => Number(/^\/api\/files\/(\d+)\//.exec(url)?.[1]) || undefined

    t.test('goes with the next one, unless a message shows it or it is somebody else’s', async (t) => {
      const store = await openPeopled(t)
      const show = (fileId: number) => store.updateProfile(ALICE, { avatarUrl: urlOf(fileId) }, NOW, fileIdOf)
      const isThere = async (fileId: number) => (await store.findFile(fileId)) !== undefined
      const [one, two, bobs] = [await addFile(store, ALICE), await addFile(store, ALICE), await addFile(store, BOB)]
      await show(one.id)
      await show(one.id)
      t.ok(await isThere(one.id), 'the same again')
      await store.updateProfile(ALICE, { bio: 'x' }, NOW, fileIdOf)
      t.ok(await isThere(one.id), 'nothing about pictures')
      const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
      const segments = [{ type: 'media', kind: 'image', fileId: two.id }] as const
      await store.appendMessage({ chatId, senderId: ALICE, segments, time: NOW, check: () => {} })
      await show(two.id)
      t.notOk(await isThere(one.id))
      t.strictSame(await store.listLooseContents(9), [], 'the second has the same content')
      await show(bobs.id)
      t.ok(await isThere(two.id), 'a message shows it')
      await store.updateProfile(ALICE, { avatarUrl: '' }, NOW, fileIdOf)
      t.ok(await isThere(bobs.id))
    })
  })
}

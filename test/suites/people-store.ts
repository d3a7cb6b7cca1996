import type { Test } from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import type { InviteOrder } from '../../src/core/people-store.ts'
import type { GroupChange, Message, Store } from '../../src/core/store.ts'
import { addAccounts, addGroup, listen, range, refusal, say, textOf, wordsOf } from './store.ts'

const NOW = 1_700_000_000
const [ALICE, BOB, CAROL, DAVE] = [10001, 10002, 10003, 10004] as const
const ALL = { offset: 0, limit: 10 }

/** What every driver must do for the people's side. `open` gives an empty store that is closed when the test ends. */
export function peopleStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  async function openPeopled(t: Test): Promise<Store> {
    const store = await open(t)
    await addAccounts(store, 4)
    return store
  }

  t.test('profiles', async (t) => {
    t.test('change what is given and say when', async (t) => {
      const store = await openPeopled(t)
      const before = await store.findAccount(ALICE)
      await store.updateProfile(ALICE, { bio: 'I sing', avatarUrl: 'https://a.example/a.png' }, NOW + 5)
      t.strictSame(await store.findAccount(ALICE), {
        ...before,
        bio: 'I sing',
        avatarUrl: 'https://a.example/a.png',
        updatedAt: NOW + 5
      })
      await store.updateProfile(ALICE, { nickname: 'Al', bio: '' }, NOW + 6)
      t.match(await store.findAccount(ALICE), { nickname: 'Al', bio: '', avatarUrl: /a.png/, updatedAt: NOW + 6 })
    })

    t.test('are seen in later events and in the titles of private chats', async (t) => {
      const store = await openPeopled(t)
      const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
      const heard = listen(store)
      await say(store, chatId, ALICE, 'one')
      await store.updateProfile(ALICE, { nickname: 'Al', avatarUrl: 'https://a.example/a.png' }, NOW)
      await say(store, chatId, ALICE, 'two')
      t.match(await heard.next(2), [
        { data: { sender: { nickname: 'Account 10001', avatarUrl: '' } } },
        {
          chat: { parties: [{ nickname: 'Al' }, {}] },
          data: { sender: { nickname: 'Al', avatarUrl: 'https://a.example/a.png' } }
        }
      ])
    })
  })

  t.test('looking for accounts', async (t) => {
    const found = async (store: Store, words: string, limit = 10): Promise<string[]> =>
      (await store.searchAccounts(words, limit)).map(({ nickname }) => nickname)

    async function openNamed(t: Test, names: readonly (readonly [string, string?])[]): Promise<Store> {
      const store = await open(t)
      for (const [nickname, username] of names)
        await store.addAccount({ kind: 'person', nickname, username, phone: undefined, createdAt: NOW })
      return store
    }

    t.test('finds who begins with the words first, then who has them, each once', async (t) => {
      const store = await openNamed(t, [['Joanna'], ['Anna', 'anna'], ['Hannah', 'annabel'], ['Bo']])
      t.strictSame(await found(store, 'ann'), ['Anna', 'Hannah', 'Joanna'])
      t.strictSame(await found(store, 'ann', 2), ['Anna', 'Hannah'])
      t.strictSame(await found(store, 'zed'), [])
    })

    t.test('takes wildcards for what they are', async (t) => {
      const store = await openNamed(t, [['100%'], ['1000'], ['a_b'], ['axb'], ['back\\slash']])
      t.strictSame(await found(store, '0%'), ['100%'])
      t.strictSame(await found(store, 'a_b'), ['a_b'])
      t.strictSame(await found(store, '\\s'), ['back\\slash'])
      t.strictSame(await found(store, '%'), ['100%'])
    })

    t.test('finds bots, and nobody by their phone or who is switched off', async (t) => {
      const store = await open(t)
      await store.addAccount({ kind: 'bot', nickname: 'Helper', createdAt: NOW })
      await store.addAccount({ kind: 'person', nickname: 'Carl', phone: '13800000000', createdAt: NOW })
      const { id } = await store.addAccount({ kind: 'person', nickname: 'Hel', createdAt: NOW })
      await store.disableAccount(id, NOW)
      t.strictSame(await found(store, 'hel'), ['Helper'])
      t.strictSame(await found(store, '138'), [])
    })
  })

  t.test('contacts', async (t) => {
    const add = (store: Store, contactId: number, more: object = {}): Promise<boolean> =>
      store.addContact({ accountId: ALICE, contactId, time: NOW, ...more })
    const idsOf = async (store: Store, accountId: number, words?: string): Promise<number[]> =>
      (await store.listContacts(accountId, { ...ALL, words })).contacts.map(({ id }) => id)

    t.test('are one account’s own', async (t) => {
      const store = await openPeopled(t)
      t.equal(await add(store, BOB, { remark: 'Bobby' }), true)
      t.strictSame(await store.findContact(ALICE, BOB), {
        id: BOB,
        nickname: 'Account 10002',
        avatarUrl: '',
        username: undefined,
        remark: 'Bobby',
        isMuted: false,
        isBlocked: false,
        createdAt: NOW
      })
      t.equal(await store.findContact(BOB, ALICE), undefined)
      t.strictSame([await idsOf(store, ALICE), await idsOf(store, BOB)], [[BOB], []])
    })

    t.test('added again keep what is known of them', async (t) => {
      const store = await openPeopled(t)
      await add(store, BOB, { remark: 'Bobby' })
      t.equal(await add(store, BOB, { time: NOW + 1 }), false)
      t.match(await store.findContact(ALICE, BOB), { remark: 'Bobby', createdAt: NOW })
      t.equal(await add(store, BOB, { remark: 'Bo' }), false)
      t.match(await store.findContact(ALICE, BOB), { remark: 'Bo' })
    })

    t.test('of both sides come and go together', async (t) => {
      const store = await openPeopled(t)
      await add(store, BOB, { remark: 'Bobby' })
      await store.addFriendship(ALICE, BOB, NOW)
      t.match(await store.findContact(ALICE, BOB), { remark: 'Bobby' })
      t.match(await store.findContact(BOB, ALICE), { remark: '' })
      t.equal(await store.removeContact(ALICE, BOB, true), true)
      t.strictSame([await idsOf(store, ALICE), await idsOf(store, BOB)], [[], []])
      t.equal(await store.removeContact(ALICE, BOB, true), false)
    })

    t.test('change one thing at a time', async (t) => {
      const store = await openPeopled(t)
      await add(store, BOB)
      t.equal(await store.updateContact(ALICE, BOB, { remark: 'Bo' }), true)
      t.equal(await store.updateContact(ALICE, BOB, { isMuted: true }), true)
      t.match(await store.findContact(ALICE, BOB), { remark: 'Bo', isMuted: true })
      await store.updateContact(ALICE, BOB, { isMuted: false, remark: '' })
      t.match(await store.findContact(ALICE, BOB), { remark: '', isMuted: false })
      t.equal(await store.updateContact(ALICE, CAROL, { remark: 'who?' }), false)
    })

    t.test('come in pages, are found by any of their names, and leave out who was switched off', async (t) => {
      const store = await openPeopled(t)
      for (const id of [DAVE, CAROL, BOB]) await add(store, id)
      await store.updateContact(ALICE, CAROL, { remark: 'the 50% one' })
      t.match(await store.listContacts(ALICE, { offset: 1, limit: 1 }), { contacts: [{ id: CAROL }], total: 3 })
      t.strictSame(await idsOf(store, ALICE, '0%'), [CAROL])
      t.strictSame(await idsOf(store, ALICE, '10002'), [BOB])
      t.equal((await store.listContacts(ALICE, { ...ALL, words: '0%' })).total, 1)
      await store.disableAccount(BOB, NOW)
      t.strictSame(await idsOf(store, ALICE), [CAROL, DAVE])
      t.equal(await store.findContact(ALICE, BOB), undefined)
      t.equal(await store.removeContact(ALICE, BOB, false), true, 'who is gone can be taken out of the list')
    })
  })

  t.test('blocks', async (t) => {
    t.test('count in both directions, and are one side’s own', async (t) => {
      const store = await openPeopled(t)
      await store.addBlock(ALICE, BOB, NOW)
      await store.addBlock(ALICE, BOB, NOW + 9)
      t.strictSame([await store.isBlocked(ALICE, BOB), await store.isBlocked(BOB, ALICE)], [true, true])
      t.equal(await store.isBlocked(ALICE, CAROL), false)
      await store.addBlock(ALICE, CAROL, NOW + 1)
      t.strictSame(await store.listBlocks(ALICE, { offset: 1, limit: 5 }), {
        blocked: [{ id: BOB, nickname: 'Account 10002', avatarUrl: '', createdAt: NOW }],
        total: 2
      })
      t.strictSame(await store.listBlocks(BOB, ALL), { blocked: [], total: 0 })
      await store.removeBlock(BOB, ALICE)
      t.equal(await store.isBlocked(ALICE, BOB), true, 'only who has blocked can lift it')
      await store.removeBlock(ALICE, BOB)
      t.equal(await store.isBlocked(ALICE, BOB), false)
    })

    t.test('are told to the rule for sending and for editing, in the same commit', async (t) => {
      const store = await openPeopled(t)
      const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
      const told: (boolean | undefined)[] = []
      await say(store, chatId, BOB, 'hello', ({ isBlocked }) => void told.push(isBlocked))
      await Promise.all([
        store.addBlock(ALICE, BOB, NOW),
        say(store, chatId, BOB, 'again', ({ isBlocked }) => void told.push(isBlocked)),
        store.editMessage({
          chatId,
          seq: 1,
          time: NOW,
          edit: (_message, sender) => {
            told.push(sender?.isBlocked)
            return undefined
          }
        })
      ])
      t.strictSame(told, [false, true, true])
    })

    t.test('show in the list of contacts of who has blocked', async (t) => {
      const store = await openPeopled(t)
      await store.addFriendship(ALICE, BOB, NOW)
      await store.addBlock(ALICE, BOB, NOW)
      t.match(await store.findContact(ALICE, BOB), { isBlocked: true })
      t.match(await store.findContact(BOB, ALICE), { isBlocked: false })
    })
  })

  t.test('membership', async (t) => {
    const invite = (store: Store, groupId: number, accountIds: number[], more: Partial<InviteOrder> = {}) =>
      store.invite({
        groupId,
        actorId: ALICE,
        accountIds,
        time: NOW,
        decide: ({ candidates }) => candidates.filter(({ isMember }) => !isMember).map(({ accountId }) => accountId),
        ...more
      })

    t.test('those who come together hear of one another, and of nothing before', async (t) => {
      const store = await openPeopled(t)
      const { id } = await addGroup(store, [ALICE])
      const heard = listen(store)
      await say(store, id, ALICE, 'before')
      await heard.next(1)
      t.strictSame(await invite(store, id, [BOB, CAROL, BOB, ALICE]), [BOB, CAROL])
      const joined = await heard.next(2)
      t.match(joined, [
        { kind: 'member.joined', audience: [ALICE, BOB, CAROL], data: { accountId: BOB, operatorId: ALICE } },
        { kind: 'member.joined', audience: [ALICE, BOB, CAROL], data: { accountId: CAROL, operatorId: ALICE } }
      ])
      t.strictSame((await store.readEvents(BOB, 0, 100)).events.map(wordsOf), ['+10002', '+10003'])
      t.strictSame((await store.readEvents(CAROL, 0, 100)).events.map(wordsOf), ['+10002', '+10003'])
      t.match(await store.findGroup(id), { memberCount: 3 })
      t.match(await store.findMember(id, CAROL), { role: 'member', joinedAt: NOW })
      t.equal(await store.countUnread(CAROL, id), 0)
    })

    t.test('the rule knows who is there, banned, a member, or has blocked who asks', async (t) => {
      const store = await openPeopled(t)
      const { id } = await addGroup(store, [ALICE, DAVE])
      await store.changeGroup(banOf(id, BOB))
      await store.addBlock(CAROL, ALICE, NOW)
      await store.disableAccount(BOB, NOW)
      const decide: InviteOrder['decide'] = ({ group, actor, candidates }) => {
        t.match(group, { id, memberCount: 2 })
        t.match(actor, { accountId: ALICE, role: 'owner' })
        t.strictSame(candidates, [
          { accountId: BOB, isThere: false, isMember: false, isBanned: true, hasBlocked: false },
          { accountId: CAROL, isThere: true, isMember: false, isBanned: false, hasBlocked: true },
          { accountId: DAVE, isThere: true, isMember: true, isBanned: false, hasBlocked: false },
          { accountId: 4242, isThere: false, isMember: false, isBanned: false, hasBlocked: false }
        ])
        return []
      }
      t.strictSame(await invite(store, id, [BOB, CAROL, DAVE, 4242], { decide }), [])
    })

    t.test('a refused invitation leaves nothing, and is not found by strangers', async (t) => {
      const store = await openPeopled(t)
      const { id } = await addGroup(store, [ALICE])
      const before = [await store.findGroup(id), await store.lastEventId()]
      const decide = (): never => {
        throw new ActionError('too_large', 'full')
      }
      t.equal(await refusal(invite(store, id, [BOB], { decide })), 'too_large')
      t.equal(await refusal(invite(store, id, [BOB], { actorId: CAROL })), 'not_found')
      t.equal(await refusal(invite(store, 4242, [BOB])), 'not_found')
      t.strictSame([await store.findGroup(id), await store.lastEventId()], before)
    })

    t.test('twenty at once never put more into a group than the rule lets in', async (t) => {
      const store = await open(t)
      await addAccounts(store, 21)
      const { id } = await addGroup(store, [10001])
      const decide: InviteOrder['decide'] = ({ group, candidates }) => {
        if (group.memberCount + candidates.length > 10) throw new ActionError('too_large', 'full')
        return candidates.map(({ accountId }) => accountId)
      }
      const results = await Promise.all(
        range(10002, 10021).map((accountId) => refusal(invite(store, id, [accountId], { actorId: 10001, decide })))
      )
      t.equal(results.filter((result) => result === 'accepted').length, 9)
      t.match(await store.findGroup(id), { memberCount: 10 })
      t.equal((await store.listMembers(id)).length, 10)
    })

    t.test('a new group is its maker’s, with those who were let in', async (t) => {
      const store = await openPeopled(t)
      const heard = listen(store)
      const plan = {
        name: 'New',
        description: 'about it',
        isChannel: true,
        actorId: ALICE,
        accountIds: [BOB],
        time: NOW,
        decide: () => [BOB]
      }
      const group = await store.openGroup(plan)
      t.match(group, { name: 'New', description: 'about it', isChannel: true, ownerId: ALICE, memberCount: 2 })
      t.match(await store.findChat(group.id), { kind: 'group', isChannel: true })
      t.match(await heard.next(1), [{ eventSeq: 1, data: { accountId: BOB, operatorId: ALICE } }])
      t.strictSame((await store.readEvents(ALICE, 0, 10)).events.map(wordsOf), ['+10002'])

      const decide = (): never => {
        throw new ActionError('forbidden', 'no')
      }
      t.equal(await refusal(store.openGroup({ ...plan, decide })), 'forbidden')
      t.equal((await store.listGroups()).length, 1)
      t.equal(await store.findChat(group.id + 1), undefined)
    })

    t.test('is listed in pages, by role and then by account, in private chats too', async (t) => {
      const store = await openPeopled(t)
      const { id } = await addGroup(store, [CAROL, ALICE, BOB, DAVE])
      const change: GroupChange = { type: 'set-role', accountId: DAVE, role: 'admin' }
      await store.changeGroup({ groupId: id, time: NOW, decide: () => ({ change }) })
      const page = async (offset: number, limit: number): Promise<number[]> =>
        (await store.listMembersOf(id, { offset, limit })).members.map(({ accountId }) => accountId)
      t.strictSame([await page(0, 3), await page(3, 3), await page(9, 3)], [[CAROL, DAVE, ALICE], [BOB], []])
      t.equal((await store.listMembersOf(id, ALL)).total, 4)
      const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
      t.match(await store.listMembersOf(chatId, ALL), { members: [{ accountId: ALICE }, { accountId: BOB }], total: 2 })
    })

    t.test('a ban removes and keeps out, until it is lifted or somebody is put in by the operator', async (t) => {
      const store = await openPeopled(t)
      const { id } = await addGroup(store, [ALICE, BOB])
      await store.changeGroup(banOf(id, BOB, NOW))
      await store.changeGroup(banOf(id, CAROL, NOW + 1))
      t.match(await store.findGroup(id), { memberCount: 1 })
      t.equal(await store.findMember(id, BOB), undefined)
      t.strictSame(await store.listBans(id, { offset: 0, limit: 1 }), {
        bans: [{ id: CAROL, nickname: 'Account 10003', avatarUrl: '', operatorId: ALICE, createdAt: NOW + 1 }],
        total: 2
      })
      t.equal(await refusal(say(store, id, BOB, 'let me in')), 'forbidden')
      const change: GroupChange = { type: 'unban', accountId: BOB }
      await store.changeGroup({ groupId: id, targetId: BOB, time: NOW, decide: () => ({ change }) })
      t.equal(await refusal(say(store, id, BOB, 'let me in')), 'not_found')
      const add: GroupChange = { type: 'add', accountId: CAROL, role: 'member' }
      await store.changeGroup({
        groupId: id,
        targetId: CAROL,
        time: NOW,
        decide({ isTargetBanned }) {
          t.equal(isTargetBanned, true)
          return { change: add }
        }
      })
      t.strictSame(await store.listBans(id, ALL), { bans: [], total: 0 })
      t.equal(await refusal(store.changeGroup(banOf(id, 4242))), 'not_found')
    })

    t.test('handing over swaps the roles, describing changes the description', async (t) => {
      const store = await openPeopled(t)
      const { id } = await addGroup(store, [ALICE, BOB])
      const changes: GroupChange[] = [
        { type: 'hand-over', fromId: ALICE, toId: BOB },
        { type: 'describe', description: 'new' }
      ]
      for (const change of changes) await store.changeGroup({ groupId: id, time: NOW, decide: () => ({ change }) })
      t.match(await store.findGroup(id), { ownerId: BOB, description: 'new' })
      t.match(await store.listMembers(id), [{ role: 'admin' }, { role: 'owner' }])
    })

    t.test('a chat is shown to its members as each sees it', async (t) => {
      const store = await openPeopled(t)
      const { id } = await addGroup(store, [ALICE, BOB])
      await say(store, id, ALICE, 'hello')
      t.match(await store.findChatDetail(BOB, id), {
        chat: { id, name: 'Group' },
        lastMessage: { seq: 1 },
        unreadCount: 1,
        role: 'member',
        description: '',
        memberCount: 2,
        ownerId: ALICE,
        isMuted: false,
        createdAt: NOW
      })
      const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
      t.match(await store.findChatDetail(ALICE, chatId), {
        chat: { kind: 'private' },
        memberCount: 2,
        ownerId: undefined
      })
      t.equal(await store.findChatDetail(CAROL, id), undefined)
      t.equal(await store.findChatDetail(CAROL, 4242), undefined)
    })
  })

  t.test('reading what was said', async (t) => {
    async function openTalk(t: Test, texts: readonly string[]): Promise<{ store: Store; chatId: number }> {
      const store = await openPeopled(t)
      const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
      await Promise.all(texts.map((text) => say(store, chatId, ALICE, text)))
      return { store, chatId }
    }
    const recall = (store: Store, chatId: number, seq: number): Promise<void> =>
      store.recallMessage({ chatId, seq, operatorId: ALICE, time: NOW, check: () => {} })
    const texts = (messages: readonly Message[]): string[] => messages.map(textOf)

    t.test('newest first, without what was recalled, with how many there are', async (t) => {
      const { store, chatId } = await openTalk(t, ['a', 'b', 'c', 'd'])
      await recall(store, chatId, 3)
      const { messages, total } = await store.listNewest(chatId, { offset: 1, limit: 2 })
      t.strictSame([texts(messages), total], [['b', 'a'], 3])
      t.strictSame(await store.listNewest(chatId, { offset: 9, limit: 2 }), { messages: [], total: 3 })
      t.strictSame(await store.listNewest(4242, ALL), { messages: [], total: 0 })
    })

    t.test('a recall is asked about a message and whether it was recalled already', async (t) => {
      const { store, chatId } = await openTalk(t, ['a'])
      const told: boolean[] = []
      const order = {
        chatId,
        seq: 1,
        operatorId: ALICE,
        time: NOW,
        check: ({ isRecalled }: { isRecalled: boolean }) => void told.push(isRecalled)
      }
      await store.recallMessage(order)
      await store.recallMessage(order)
      t.strictSame(told, [false, true])
    })

    t.test('words are found in the text and nowhere else', async (t) => {
      const { store, chatId } = await openTalk(t, [
        'type text',
        '100% sure',
        'say "hi"\n你好',
        'back\\slash',
        'nothing'
      ])
      const found = async (words: string): Promise<string[]> =>
        texts((await store.searchMessages({ chatId, words, limit: 10 })).messages)
      t.strictSame(await found('text'), ['type text'], 'not in the names of the parts')
      t.strictSame(await found('TEXT'), ['type text'])
      t.strictSame(await found('0%'), ['100% sure'])
      t.strictSame(await found('%'), ['100% sure'])
      t.strictSame(await found('_'), [])
      t.strictSame(await found('"hi"\n你'), ['say "hi"\n你好'])
      t.strictSame(await found('\\s'), ['back\\slash'])
      t.strictSame(await found('"'), ['say "hi"\n你好'])
      t.strictSame(await found('\\n'), [], 'what is written for a line break is not what was said')
      await recall(store, chatId, 1)
      t.strictSame(await found('text'), [])
    })

    t.test('a search pages in both directions', async (t) => {
      const { store, chatId } = await openTalk(t, ['x1', 'x2', 'no', 'x3', 'x4'])
      const first = await store.searchMessages({ chatId, words: 'x', limit: 2 })
      t.strictSame([texts(first.messages), first.stoppedAt?.seq], [['x4', 'x3'], 4])
      const upToSeq = (first.stoppedAt?.seq ?? 0) - 1
      const second = await store.searchMessages({ chatId, words: 'x', upToSeq, limit: 2 })
      t.strictSame([texts(second.messages), second.stoppedAt], [['x2', 'x1'], undefined])
      const forward = await store.searchMessages({ chatId, words: 'x', afterSeq: 1, limit: 2 })
      t.strictSame([texts(forward.messages), forward.stoppedAt?.seq], [['x2', 'x3'], 4])
    })

    t.test('a search looks at so much at once and says where to go on', async (t) => {
      const { store, chatId } = await openTalk(t, ['the first', ...range(2, 5003).map(() => 'other')])
      const first = await store.searchMessages({ chatId, words: 'first', limit: 5 })
      t.strictSame([first.messages, first.stoppedAt?.seq], [[], 4])
      const second = await store.searchMessages({ chatId, words: 'first', upToSeq: 3, limit: 5 })
      t.strictSame([texts(second.messages), second.stoppedAt], [['the first'], undefined])
    })

    t.test('how far each has come is known by what was read, delivered and confirmed', async (t) => {
      const { store, chatId } = await openTalk(t, ['a', 'b'])
      await store.markRead(chatId, BOB, 1)
      await store.markDelivered(chatId, BOB, 2)
      await store.saveSessionCursors([{ sessionId: undefined, accountId: BOB, cursor: 7, deliveredId: 7, time: NOW }])
      t.strictSame(await store.listReadStates(chatId), [
        { accountId: ALICE, readSeq: 2, deliveredSeq: 2, deliveredId: 0 },
        { accountId: BOB, readSeq: 1, deliveredSeq: 2, deliveredId: 7 }
      ])
    })
  })
}

function banOf(groupId: number, accountId: number, time = NOW): Parameters<Store['changeGroup']>[0] {
  const change: GroupChange = { type: 'ban', accountId, operatorId: ALICE }
  return { groupId, actorId: ALICE, targetId: accountId, time, decide: () => ({ change }) }
}

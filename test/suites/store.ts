import type { Test } from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import type { GatewayEvent } from '../../src/core/event.ts'
import type { GroupChange, Message, MessageDraft, Store } from '../../src/core/store.ts'

const NOW = 1_700_000_000

/** What every driver must do. `open` gives an empty store that is closed when the test ends. */
export function storeSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  t.test('accounts', async (t) => {
    t.test('get the next free id from 10001, people and bots alike', async (t) => {
      const store = await open(t)
      const ids: number[] = []
      for (const kind of ['person', 'bot', 'person'] as const) ids.push((await addAccount(store, { kind })).id)
      t.strictSame(ids, [10001, 10002, 10003])
      await addAccount(store, { id: 20000 })
      t.equal((await addAccount(store)).id, 20001)
    })

    t.test('are found as they were added', async (t) => {
      const store = await open(t)
      const account = await store.addAccount({
        id: 10011,
        kind: 'person',
        nickname: 'Alice',
        username: 'alice',
        phone: '13800000000',
        passwordHash: 'hash',
        createdAt: NOW
      })
      t.strictSame(account, {
        id: 10011,
        kind: 'person',
        username: 'alice',
        phone: '13800000000',
        nickname: 'Alice',
        bio: '',
        avatarUrl: '',
        createdAt: NOW,
        updatedAt: NOW,
        isDisabled: false,
        isAdmin: false
      })
      t.strictSame(await store.findAccount(10011), account)
      t.strictSame(await store.findAccountByLogin({ username: 'alice' }), { ...account, passwordHash: 'hash' })
      t.strictSame(await store.findAccountByLogin({ phone: '13800000000' }), { ...account, passwordHash: 'hash' })
      t.equal(await store.findAccount(10012), undefined)
      t.equal(await store.findAccountByLogin({ username: 'bob' }), undefined)
      t.equal(await store.findAccountByLogin({}), undefined, 'no name is nobody, not everybody without a phone')
      t.strictSame(await store.listAccounts('person'), [account])
      t.strictSame(await store.listAccounts('bot'), [])
    })

    const taken = [
      { field: 'id', again: { id: 10011 } },
      { field: 'username', again: { username: 'alice' } },
      { field: 'phone', again: { phone: '138' } }
    ]
    for (const { field, again } of taken) {
      t.test(`a taken ${field} is a conflict that names it`, async (t) => {
        const store = await open(t)
        await addAccount(store, { id: 10011, username: 'alice', phone: '138' })
        await t.rejects(addAccount(store, again), new ActionError('conflict', '', { field }))
        t.equal((await store.listAccounts('person')).length, 1)
      })
    }

    t.test('one of several at once gets a username, the others are told', async (t) => {
      const store = await open(t)
      const results = await Promise.all(
        Array.from({ length: 20 }, () => refusal(addAccount(store, { username: 'alice' })))
      )
      t.strictSame(results.toSorted().slice(0, 2), ['accepted', 'conflict'])
    })

    t.test(
      'when switched off lose their names and sessions, and keep their id; their token is still known',
      async (t) => {
        const store = await open(t)
        const { id } = await addAccount(store, { username: 'alice', phone: '138', passwordHash: 'hash' })
        await store.replaceToken(id, digest(1), NOW)
        await store.addSession({ id: 's', accountId: id, refreshId: 'r', createdAt: NOW, expiresAt: NOW + 10 })
        await store.disableAccount(id, NOW)
        t.match(await store.findAccount(id), { id, isDisabled: true })
        t.equal(await store.findAccountByLogin({ username: 'alice' }), undefined)
        t.equal(await store.findAccountByLogin({ phone: '138' }), undefined)
        t.match(await store.findAccountByToken(digest(1)), { id, isDisabled: true })
        t.equal(await store.findSession('s'), undefined)
        t.equal((await addAccount(store, { username: 'alice', phone: '138' })).id, id + 1, 'the names are free again')
      }
    )

    t.test('a bot that is switched off hears of it, once and alone', async (t) => {
      const store = await open(t)
      const [bot, person] = [await addAccount(store, { kind: 'bot' }), await addAccount(store)]
      await store.addFriendship(bot.id, person.id, NOW)
      for (let count = 0; count < 2; count++) await store.disableAccount(bot.id, NOW)
      await store.disableAccount(person.id, NOW)
      const { events } = await store.readEvents(bot.id, 0, 10)
      t.match(events, [{ kind: 'account.disabled', time: NOW, audience: [bot.id], data: { accountId: bot.id } }])
      t.equal(events.length, 1)
      t.strictSame((await store.readEvents(person.id, 0, 10)).events, [])
    })

    t.test('are made admins, and are no longer', async (t) => {
      const store = await open(t)
      const [alice, bob] = [await addAccount(store), await addAccount(store)]
      const states = async (): Promise<boolean[]> => (await store.listAccounts('person')).map(({ isAdmin }) => isAdmin)
      t.match(await store.findAccount(alice.id), { isAdmin: false })
      await store.setAdmin(alice.id, true)
      t.match(await store.findAccount(alice.id), { isAdmin: true })
      t.strictSame(await states(), [true, false])
      await store.setAdmin(bob.id, true)
      await store.setAdmin(alice.id, false)
      t.match(await store.findAccount(alice.id), { isAdmin: false })
      t.strictSame(await states(), [false, true])
    })

    t.test('a new password ends every session', async (t) => {
      const store = await open(t)
      const { id } = await addAccount(store, { username: 'alice', passwordHash: 'old' })
      await store.addSession({ id: 's', accountId: id, refreshId: 'r', createdAt: NOW, expiresAt: NOW + 10 })
      t.strictSame(await store.setPassword(id, 'new'), ['s'])
      t.match(await store.findAccountByLogin({ username: 'alice' }), { passwordHash: 'new' })
      t.equal(await store.findPasswordHash(id), 'new')
      t.equal(await store.findSession('s'), undefined)
    })

    t.test("a new password keeps one session when asked to, and ends nobody else's", async (t) => {
      const store = await open(t)
      const [alice, bob] = [await addAccount(store), await addAccount(store)]
      const session = { refreshId: 'r', createdAt: NOW, expiresAt: NOW + 10 }
      for (const id of ['desk', 'phone', 'tablet']) await store.addSession({ ...session, id, accountId: alice.id })
      await store.addSession({ ...session, id: 'of bob', accountId: bob.id })
      t.equal(await store.findPasswordHash(alice.id), undefined)
      t.strictSame((await store.setPassword(alice.id, 'new', 'phone')).toSorted(), ['desk', 'tablet'])
      t.strictSame(await store.removeSessions(alice.id), ['phone'])
      t.strictSame(await store.removeSessions(alice.id), [])
      t.match(await store.findSession('of bob'), { accountId: bob.id })
    })
  })

  t.test('tokens', async (t) => {
    t.test('a new one voids the old one', async (t) => {
      const store = await open(t)
      const { id } = await addAccount(store, { kind: 'bot' })
      await store.replaceToken(id, digest(1), NOW)
      await store.replaceToken(id, digest(2), NOW)
      t.equal(await store.findAccountByToken(digest(1)), undefined)
      t.match(await store.findAccountByToken(digest(2)), { id })
      t.equal(await store.countTokens(id), 1)
    })

    t.test('the same one again is no mistake', async (t) => {
      const store = await open(t)
      const { id } = await addAccount(store, { kind: 'bot' })
      await store.replaceToken(id, digest(1), NOW)
      await store.replaceToken(id, digest(1), NOW)
      t.match(await store.findAccountByToken(digest(1)), { id })
    })

    t.test("another account's token is a conflict, and both keep theirs", async (t) => {
      const store = await open(t)
      const [one, two] = [await addAccount(store), await addAccount(store)]
      await store.replaceToken(one.id, digest(1), NOW)
      await store.replaceToken(two.id, digest(2), NOW)
      t.equal(await refusal(store.replaceToken(two.id, digest(1), NOW)), 'conflict')
      t.match(await store.findAccountByToken(digest(1)), { id: one.id })
      t.match(await store.findAccountByToken(digest(2)), { id: two.id })
    })
  })

  t.test('sessions', async (t) => {
    const session = { id: 's', refreshId: 'first', createdAt: NOW, expiresAt: NOW + 100 }

    t.test('rotate once per refresh id, even when two ask at once', async (t) => {
      const store = await open(t)
      const { id: accountId } = await addAccount(store)
      await store.addSession({ ...session, accountId })
      const tries = ['second', 'third'].map((next) => store.rotateSession('s', 'first', next, NOW + 200))
      t.strictSame(await Promise.all(tries), [true, false])
      t.match(await store.findSession('s'), { accountId, refreshId: 'second', expiresAt: NOW + 200 })
      t.equal(await store.rotateSession('s', 'second', 'fourth', NOW + 300), true)
      t.equal(await store.rotateSession('unknown', 'first', 'x', NOW), false)
    })

    t.test('are gone once removed', async (t) => {
      const store = await open(t)
      const { id: accountId } = await addAccount(store)
      await store.addSession({ ...session, accountId })
      await store.removeSession('s')
      t.equal(await store.findSession('s'), undefined)
      t.equal(await store.rotateSession('s', 'first', 'second', NOW), false)
    })

    t.test('the ended ones of everybody are cleared when somebody signs in', async (t) => {
      const store = await open(t)
      const [one, two] = [await addAccount(store), await addAccount(store)]
      await store.addSession({ ...session, accountId: one.id })
      const later = { id: 'later', refreshId: 'r', createdAt: NOW + 101, expiresAt: NOW + 500 }
      await store.addSession({ ...later, accountId: two.id })
      t.equal(await store.findSession('s'), undefined)
      t.match(await store.findSession('later'), { accountId: two.id })
    })
  })

  t.test('identities', async (t) => {
    const carol = { issuer: 'https://issuer', subject: 'u-1', nickname: 'Carol', time: NOW }

    t.test('make one person, however many are the first at once', async (t) => {
      const store = await open(t)
      const found = await Promise.all(Array.from({ length: 20 }, () => store.findOrAddIdentity(carol)))
      t.strictSame(new Set(found.map(({ id }) => id)), new Set([10001]))
      t.match(found[0], { kind: 'person', nickname: 'Carol', username: undefined, phone: undefined, createdAt: NOW })
      t.match(await store.findOrAddIdentity({ ...carol, nickname: 'Other' }), { id: 10001, nickname: 'Carol' })
    })

    t.test('are their issuer and their subject, each as it is written', async (t) => {
      const store = await open(t)
      const others = [
        {},
        { issuer: 'https://ISSUER' },
        { subject: 'U-1' },
        { issuer: 'https://issueru', subject: '-1' }
      ]
      const ids: number[] = []
      for (const other of others) ids.push((await store.findOrAddIdentity({ ...carol, ...other })).id)
      t.strictSame(ids, [10001, 10002, 10003, 10004])
    })

    t.test('stay those of an account that was switched off', async (t) => {
      const store = await open(t)
      const { id } = await store.findOrAddIdentity(carol)
      await store.disableAccount(id, NOW)
      t.match(await store.findOrAddIdentity(carol), { id, isDisabled: true })
    })
  })

  t.test('invitations', async (t) => {
    const invite = { digest: digest(1), createdAt: NOW, expiresAt: NOW + 100 }
    const join = (store: Store, more: object = {}): Promise<string> =>
      refusal(addAccount(store, { invite: digest(1), createdAt: NOW, ...more }))

    t.test('are good for one account, even when twenty come with one at once', async (t) => {
      const store = await open(t)
      await store.addInvite(invite)
      const ends = await Promise.all(Array.from({ length: 20 }, () => join(store)))
      t.strictSame(ends, ['accepted', ...Array<string>(19).fill('forbidden')])
      t.equal((await store.listAccounts('person')).length, 1)
      t.equal(await refusal(addAccount(store)), 'accepted', 'who needs none is not asked for one')
    })

    t.test('are not used up by an account that is not made', async (t) => {
      const store = await open(t)
      await addAccount(store, { username: 'alice' })
      await store.addInvite(invite)
      t.equal(await join(store, { username: 'alice' }), 'conflict')
      t.equal(await join(store, { username: 'bob' }), 'accepted')
    })

    t.test('do not tell whoever has none which names are taken', async (t) => {
      const store = await open(t)
      await addAccount(store, { username: 'alice' })
      t.equal(await join(store, { username: 'alice' }), 'forbidden')
    })

    t.test('end', async (t) => {
      const store = await open(t)
      await store.addInvite(invite)
      await store.addInvite({ ...invite, digest: digest(2) })
      t.equal(await join(store, { createdAt: NOW + 100 }), 'forbidden')
      t.equal(await join(store, { createdAt: NOW + 99 }), 'accepted')
      await store.addInvite({ digest: digest(3), createdAt: NOW + 100, expiresAt: NOW + 200 })
      t.equal(await join(store, { invite: digest(2) }), 'forbidden', 'the ended ones are gone')
      t.equal(await join(store, { invite: digest(3), createdAt: NOW + 100 }), 'accepted')
    })
  })

  t.test('friendships', async (t) => {
    t.test('are seen from both sides, once', async (t) => {
      const store = await open(t)
      await addAccounts(store, 3)
      await store.addFriendship(10001, 10002, NOW)
      await store.addFriendship(10002, 10001, NOW)
      t.strictSame(
        (await store.listFriends(10001)).map((friend) => friend.id),
        [10002]
      )
      t.strictSame(
        (await store.listFriends(10002)).map((friend) => friend.id),
        [10001]
      )
      t.match(await store.findFriend(10002, 10001), { id: 10001, nickname: 'Account 10001', remark: '' })
      t.equal(await store.findFriend(10001, 10003), undefined)
    })

    t.test('do not show who was switched off', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      await store.addFriendship(10001, 10002, NOW)
      await store.disableAccount(10002, NOW)
      t.strictSame(await store.listFriends(10001), [])
      t.equal(await store.findFriend(10001, 10002), undefined)
    })
  })

  t.test('private chats', async (t) => {
    t.test('fifty at once, from both sides, open one', async (t) => {
      const store = await open(t)
      await addAccounts(store, 3)
      const ids = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          index % 2 ? store.openPrivateChat(10001, 10002, NOW) : store.openPrivateChat(10002, 10001, NOW)
        )
      )
      t.equal(new Set(ids).size, 1)
      t.equal(await store.findPrivateChat(10002, 10001), ids[0])
      t.equal(await store.findPrivateChat(10001, 10003), undefined)
      const chat = await store.findChat(ids[0] as number)
      t.match(chat, { kind: 'private', parties: [{ id: 10001 }, { id: 10002 }] })
      t.strictSame(
        [await store.isMember(ids[0] as number, 10001), await store.isMember(ids[0] as number, 10003)],
        [true, false]
      )
    })

    t.test('tell the rule when the other side was switched off', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const chatId = await store.openPrivateChat(10001, 10002, NOW)
      const seen: boolean[] = []
      const check: MessageDraft['check'] = ({ isPeerDisabled }) => seen.push(isPeerDisabled)
      await say(store, chatId, 10001, 'before', check)
      await store.disableAccount(10002, NOW)
      await say(store, chatId, 10001, 'after', check)
      t.strictSame(seen, [false, true])
    })
  })

  t.test('groups', async (t) => {
    t.test('are made with roles, from 100001', async (t) => {
      const store = await open(t)
      await addAccounts(store, 4)
      const group = await store.addGroup({
        name: 'Ours',
        ownerId: 10002,
        adminIds: [10003, 10002],
        memberIds: [10001, 10002, 10003],
        createdAt: NOW
      })
      t.strictSame(group, {
        id: 100001,
        name: 'Ours',
        ownerId: 10002,
        memberCount: 3,
        isMuted: false,
        description: '',
        announcement: '',
        avatarUrl: '',
        isChannel: false,
        createdAt: NOW
      })
      t.strictSame(
        (await store.listMembers(100001)).map(({ accountId, role }) => [accountId, role]),
        [
          [10001, 'member'],
          [10002, 'owner'],
          [10003, 'admin']
        ]
      )
      t.strictSame(await store.findGroup(100001), group)
      t.strictSame(await store.listGroups(), [group])
      t.strictSame(await store.listGroups(10001), [group])
      t.strictSame(await store.listGroups(10004), [])
      t.match(await store.findMember(100001, 10001), { nickname: 'Account 10001', role: 'member', joinedAt: NOW })
      t.equal(await store.findMember(100001, 10004), undefined)
      t.strictSame([await store.shareGroup(10001, 10003), await store.shareGroup(10001, 10004)], [true, false])
    })

    t.test('a private chat is no shared group', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const chatId = await store.openPrivateChat(10001, 10002, NOW)
      t.equal(await store.shareGroup(10001, 10002), false)
      t.equal(await store.findGroup(chatId), undefined)
      t.strictSame(await store.listGroups(), [])
    })

    t.test('private chats take none of their numbers', async (t) => {
      const store = await open(t)
      await addAccounts(store, 3)
      const first = await store.openPrivateChat(10001, 10002, NOW)
      t.equal((await addGroup(store, [10001], { id: 100001 })).id, 100001)
      t.equal((await addGroup(store, [10001])).id, 100002)
      t.equal(await store.openPrivateChat(10001, 10003, NOW), first + 1)
      t.equal(await refusal(addGroup(store, [10001], { id: first + 2 })), 'invalid')
      t.equal(await refusal(addGroup(store, [10001], { id: 100001 })), 'conflict')
    })

    t.test('an unknown member is refused and nothing is made', async (t) => {
      const store = await open(t)
      await addAccounts(store, 1)
      t.equal(await refusal(addGroup(store, [10001, 10099])), 'not_found')
      t.strictSame(await store.listGroups(), [])
      t.strictSame(await store.findChat(100001), undefined)
    })

    const changes: readonly { name: string; change: GroupChange; group?: object; member?: object }[] = [
      { name: 'rename', change: { type: 'rename', name: 'New' }, group: { name: 'New' } },
      { name: 'mute all', change: { type: 'mute-all', isMute: true }, group: { isMuted: true } },
      { name: 'card', change: { type: 'set-card', accountId: 10002, card: 'Two' }, member: { card: 'Two' } },
      { name: 'role', change: { type: 'set-role', accountId: 10002, role: 'admin' }, member: { role: 'admin' } },
      { name: 'mute', change: { type: 'mute', accountId: 10002, until: 99 }, member: { mutedUntil: 99 } }
    ]
    for (const { name, change, group = {}, member = {} } of changes) {
      t.test(`keep a change: ${name}`, async (t) => {
        const store = await open(t)
        await addAccounts(store, 2)
        const before = await addGroup(store, [10001, 10002])
        await store.changeGroup({ groupId: before.id, actorId: 10001, time: NOW, decide: () => ({ change }) })
        t.strictSame(await store.findGroup(before.id), { ...before, ...group })
        t.match(await store.findMember(before.id, 10002), { accountId: 10002, ...member })
      })
    }

    t.test('hand over to a new owner when the owner leaves', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const { id } = await addGroup(store, [10001, 10002])
      const change: GroupChange = { type: 'remove', accountId: 10001, newOwnerId: 10002 }
      await store.changeGroup({ groupId: id, actorId: 10001, time: NOW, decide: () => ({ change }) })
      t.match(await store.findGroup(id), { ownerId: 10002, memberCount: 1 })
      t.match(await store.findMember(id, 10002), { role: 'owner' })
    })

    t.test('propose whoever served longest, admins first, the switched off last', async (t) => {
      const store = await open(t)
      await addAccounts(store, 5)
      const { id } = await addGroup(store, [10001])
      for (const [index, accountId] of [10004, 10003, 10002, 10005].entries())
        await join(store, id, accountId, NOW + index)
      const proposed: unknown[] = []
      const look = (): Promise<void> =>
        store.changeGroup({
          groupId: id,
          time: NOW,
          decide({ successor }) {
            proposed.push(successor?.accountId)
            return undefined
          }
        })
      await look()
      for (const accountId of [10005, 10002]) {
        const change: GroupChange = { type: 'set-role', accountId, role: 'admin' }
        await store.changeGroup({ groupId: id, time: NOW, decide: () => ({ change }) })
      }
      await look()
      await store.disableAccount(10002, NOW)
      await look()
      for (const accountId of [10003, 10004, 10005]) await store.disableAccount(accountId, NOW)
      await look()
      t.strictSame(proposed, [10004, 10002, 10005, 10002])
    })

    t.test('are not found by who is not in them', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const { id } = await addGroup(store, [10001])
      const decide = (): never => t.fail('asked for a decision') as never
      t.equal(await refusal(store.changeGroup({ groupId: id, actorId: 10002, time: NOW, decide })), 'not_found')
      t.equal(await refusal(store.changeGroup({ groupId: 5, time: NOW, decide })), 'not_found')
    })
  })

  t.test('messages', async (t) => {
    t.test('are found by the sender’s own name for them, in their chat', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const [here, there] = [await addGroup(store, [10001, 10002]), await addGroup(store, [10001, 10002])]
      const draft = { senderId: 10001, segments: [{ type: 'text', text: 'hi' }], time: NOW, check() {} } as const
      const { message } = await store.appendMessage({ ...draft, chatId: here.id, clientId: 'mine' })
      await store.appendMessage({ ...draft, chatId: here.id })
      t.strictSame(await store.findSent(here.id, 10001, 'mine'), message)
      t.equal(await store.findSent(there.id, 10001, 'mine'), undefined)
      t.equal(await store.findSent(here.id, 10002, 'mine'), undefined)
      t.equal(await store.findSent(here.id, 10001, 'yours'), undefined)
    })

    t.test('500 at once over 10 chats get every seq once, growing with the id, whatever is refused', async (t) => {
      const store = await open(t)
      await addAccounts(store, 3)
      const groups: number[] = []
      for (let count = 0; count < 10; count++) groups.push((await addGroup(store, [10001, 10002, 10003])).id)
      const refuse = (): void => {
        throw new ActionError('muted', 'not now')
      }
      const results = await Promise.all(
        Array.from({ length: 500 }, (_, index) => {
          const sent = say(store, groups[index % 10] as number, 10001 + (index % 3), `${index}`)
          const refused =
            index % 7 === 0 ? refusal(say(store, groups[index % 10] as number, 10001, 'no', refuse)) : 'no'
          return Promise.all([sent, refused])
        })
      )
      t.equal(results.filter(([, refused]) => refused === 'muted').length, 72)
      for (const chatId of groups) {
        const stored = await store.listMessages({ chatId, limit: 1000 })
        t.strictSame(seqs(stored), range(1, 50))
        t.ok(isGrowing(stored.map((message) => message.id)))
        const answered = results.map(([message]) => message).filter((message) => message.chatId === chatId)
        t.strictSame(stored, answered, 'what was answered is what is stored, in the order it was asked for')
      }
      const { events } = await store.readEvents(10001, 0, 1000)
      t.ok(isGrowing(events.map((event) => event.id)))
      for (const chatId of groups) {
        const own = events.filter((event) => event.chat.id === chatId)
        t.strictSame(
          own.map((event) => event.eventSeq),
          range(1, 50)
        )
      }
    })

    t.test('a refused one in the middle of a shared commit takes no seq and leaves nothing', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const { id } = await addGroup(store, [10001, 10002])
      const heard = listen(store)
      const refuse = (): void => {
        throw new ActionError('forbidden', 'no')
      }
      const results = await Promise.all([
        say(store, id, 10001, 'one'),
        refusal(say(store, id, 10001, 'refused', refuse)),
        refusal(store.appendMessage({ ...draft(id, 10001, 'x'), segments: [{ type: 'reply', seq: 99 }] })),
        say(store, id, 10002, 'two')
      ])
      t.match(results, [{ seq: 1 }, 'forbidden', 'not_found', { seq: 2 }])
      t.strictSame((await heard.next(2)).map(wordsOf), ['one', 'two'])
      t.strictSame((await store.listMessages({ chatId: id, limit: 10 })).map(textOf), ['one', 'two'])
      t.equal(await store.lastEventId(), (results[3] as Message).id)
    })

    t.test('a mistake inside of one operation takes nobody else with it', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const { id } = await addGroup(store, [10001])
      const mistake = new TypeError('a mistake')
      const results = await Promise.allSettled([
        say(store, id, 10001, 'one'),
        join(store, id, 10002),
        store.changeGroup({
          groupId: id,
          time: NOW,
          decide() {
            throw mistake
          }
        }),
        say(store, id, 10002, 'two')
      ])
      t.strictSame(
        results.map((result) => (result.status === 'rejected' ? result.reason : 'done')),
        ['done', 'done', mistake, 'done']
      )
      t.strictSame((await store.listMessages({ chatId: id, limit: 10 })).map(textOf), ['one', 'two'])
    })

    t.test('the same answer for a chat that is not there and one that is not theirs', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const { id } = await addGroup(store, [10001])
      t.equal(await refusal(say(store, id, 10002, 'x')), 'not_found')
      t.equal(await refusal(say(store, 424242, 10002, 'x')), 'not_found')
    })

    t.test('look up whom they mention and what they reply to', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const { id } = await addGroup(store, [10001, 10002])
      const other = await addGroup(store, [10001])
      const first = await say(store, id, 10001, 'first')
      const elsewhere = await say(store, other.id, 10001, 'elsewhere')
      const reply = { type: 'reply', seq: 1, messageId: first.id, senderId: 10001, time: NOW } as const
      const {
        message: { segments }
      } = await store.appendMessage({
        ...draft(id, 10002, ''),
        segments: [
          { type: 'reply', seq: 1 },
          { type: 'reply', messageId: first.id },
          { type: 'mention', accountId: 10001 },
          { type: 'mention', accountId: 77777 }
        ]
      })
      t.strictSame(segments, [
        reply,
        reply,
        { type: 'mention', accountId: 10001, name: 'Account 10001' },
        { type: 'mention', accountId: 77777, name: '' }
      ])
      t.strictSame((await store.findMessage(id, 2))?.segments, segments)
      const toElsewhere = { type: 'reply', messageId: elsewhere.id } as const
      t.equal(await refusal(store.appendMessage({ ...draft(id, 10002, ''), segments: [toElsewhere] })), 'not_found')
    })

    t.test('an account that is made after it was mentioned has its name from then on', async (t) => {
      const store = await open(t)
      await addAccounts(store, 1)
      const { id } = await addGroup(store, [10001])
      const mention = { ...draft(id, 10001, ''), segments: [{ type: 'mention', accountId: 10002 }] as const }
      await store.appendMessage(mention)
      await addAccounts(store, 1)
      t.match((await store.appendMessage(mention)).message.segments, [{ name: 'Account 10002' }])
    })

    t.test('what the rule is told about the speaker is true in the same commit', async (t) => {
      const store = await open(t)
      await addAccounts(store, 1)
      const { id } = await addGroup(store, [10001])
      const seen: unknown[] = []
      const check: MessageDraft['check'] = (speaker) => seen.push({ ...speaker })
      const change = (what: GroupChange): Promise<void> =>
        store.changeGroup({ groupId: id, time: NOW, decide: () => ({ change: what }) })
      await Promise.all([
        say(store, id, 10001, 'one', check),
        change({ type: 'mute', accountId: 10001, until: 5 }),
        change({ type: 'mute-all', isMute: true }),
        change({ type: 'set-role', accountId: 10001, role: 'member' }),
        say(store, id, 10001, 'two', check)
      ])
      t.match(seen, [
        { kind: 'group', role: 'owner', mutedUntil: 0, isGroupMuted: false, isPeerDisabled: false },
        { kind: 'group', role: 'member', mutedUntil: 5, isGroupMuted: true, isPeerDisabled: false }
      ])
    })

    t.test('whoever has spoken is looked at again when something has changed', async (t) => {
      const store = await open(t)
      await addAccounts(store, 3)
      const { id } = await addGroup(store, [10001, 10002, 10003])
      const seen: unknown[] = []
      const check: MessageDraft['check'] = (speaker) => seen.push({ ...speaker })
      const speak = (chatId: number): Promise<Message> => say(store, chatId, 10002, 'hi', check)
      const change = (what: GroupChange): Promise<void> =>
        store.changeGroup({ groupId: id, time: NOW, decide: () => ({ change: what }) })
      const before = { role: 'member', mutedUntil: 0, isGroupMuted: false, isPeerDisabled: false, isBlocked: false }

      await speak(id)
      t.match(seen.pop(), before)
      const rows: [change: GroupChange, expected: object][] = [
        [{ type: 'mute', accountId: 10002, until: 99 }, { mutedUntil: 99 }],
        [{ type: 'mute-all', isMute: true }, { isGroupMuted: true }],
        [{ type: 'set-role', accountId: 10002, role: 'admin' }, { role: 'admin' }],
        [{ type: 'hand-over', fromId: 10001, toId: 10002 }, { role: 'owner' }]
      ]
      for (const [what, expected] of rows) {
        await change(what)
        await speak(id)
        t.match(seen.pop(), expected, what.type)
      }
      await change({ type: 'ban', accountId: 10002, operatorId: 10001 })
      t.equal(await refusal(speak(id)), 'forbidden', 'banned')

      const chatId = await store.openPrivateChat(10002, 10003, NOW)
      await speak(chatId)
      t.match(seen.pop(), { isBlocked: false, isPeerDisabled: false })
      await store.addBlock(10003, 10002, NOW)
      await speak(chatId)
      t.match(seen.pop(), { isBlocked: true })
      await store.removeBlock(10003, 10002)
      await speak(chatId)
      t.match(seen.pop(), { isBlocked: false })
      await store.disableAccount(10003, NOW)
      await speak(chatId)
      t.match(seen.pop(), { isPeerDisabled: true })
    })

    t.test('what is undone is not remembered of whoever speaks', async (t) => {
      const store = await open(t)
      await addAccounts(store, 1)
      const { id } = await addGroup(store, [10001])
      const seen: unknown[] = []
      const check: MessageDraft['check'] = ({ mutedUntil }) => seen.push(mutedUntil)
      await Promise.all([
        say(store, id, 10001, 'one', check),
        refusal(
          store.changeGroup({
            groupId: id,
            time: NOW,
            // An event that cannot be written down, behind the change.
            decide: () => ({
              change: { type: 'mute', accountId: 10001, until: 99 },
              event: { kind: 'group.renamed', data: { name: 1n as never, operatorId: 10001 } }
            })
          })
        ),
        say(store, id, 10001, 'two', check)
      ])
      t.strictSame(seen, [0, 0])
      t.strictSame((await store.listMessages({ chatId: id, limit: 10 })).map(textOf), ['one', 'two'])
    })

    t.test('rows of the chat are true for whatever comes between messages of one commit', async (t) => {
      const store = await open(t)
      await addAccounts(store, 3)
      const { id } = await addGroup(store, [10001, 10002])
      const heard = listen(store)
      await Promise.all([
        say(store, id, 10001, 'one'),
        say(store, id, 10002, 'two'),
        join(store, id, 10003),
        say(store, id, 10003, 'three'),
        store.recallMessage({ chatId: id, seq: 1, operatorId: 10001, time: NOW, check: () => {} }),
        say(store, id, 10001, 'four')
      ])
      const events = await heard.next(6)
      t.strictSame(
        events.map((event) => [event.kind, event.eventSeq]),
        [
          ['message.created', 1],
          ['message.created', 2],
          ['member.joined', 3],
          ['message.created', 4],
          ['message.recalled', 5],
          ['message.created', 6]
        ]
      )
      t.equal(await store.countUnread(10003, id), 1, 'not what was said before')
      const states = new Map((await store.listReadStates(id)).map(({ accountId, readSeq }) => [accountId, readSeq]))
      t.strictSame([...states.values()], [4, 2, 3], 'who speaks has read what came before')
    })

    t.test('recalled, lose their words and keep their place', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const { id } = await addGroup(store, [10001, 10002])
      const heard = listen(store)
      const [one, two, three] = [
        await say(store, id, 10001, 'one'),
        await say(store, id, 10001, 'two'),
        await say(store, id, 10001, 'three')
      ]
      const roles: unknown[] = []
      const recall = (): Promise<void> =>
        store.recallMessage({
          chatId: id,
          seq: 2,
          operatorId: 10002,
          time: NOW,
          check: (message, kind, operatorRole) => roles.push([message.id, kind, operatorRole])
        })
      await recall()
      await recall()
      t.strictSame(roles, Array(2).fill([two.id, 'group', 'member']))
      t.equal(await store.findMessage(id, 2), undefined)
      t.strictSame(await store.findPosition(two.id), { chatId: id, seq: 2 })
      t.strictSame(await store.listMessages({ chatId: id, limit: 10 }), [one, three])
      t.equal((await say(store, id, 10001, 'four')).seq, 4)
      const [, , , told, next] = await heard.next(5)
      t.match(told, { kind: 'message.recalled', eventSeq: 4, data: { messageId: two.id, seq: 2, operatorId: 10002 } })
      t.match(next, { kind: 'message.created', eventSeq: 5 }, 'the second recall was no news')
      t.notOk(JSON.stringify(await store.readEvents(10002, 0, 100)).includes('two'))
    })

    t.test('a recall that is refused changes nothing', async (t) => {
      const store = await open(t)
      await addAccounts(store, 1)
      const { id } = await addGroup(store, [10001])
      const message = await say(store, id, 10001, 'stays')
      const order = { chatId: id, operatorId: 10001, time: NOW }
      const check = (): never => {
        throw new ActionError('forbidden', 'no')
      }
      t.equal(await refusal(store.recallMessage({ ...order, seq: 1, check })), 'forbidden')
      t.equal(await refusal(store.recallMessage({ ...order, seq: 2, check })), 'not_found')
      t.strictSame(await store.findMessage(id, 1), message)
    })

    t.test('are read in pages, ascending, without the recalled', async (t) => {
      const store = await open(t)
      await addAccounts(store, 1)
      const { id: chatId } = await addGroup(store, [10001])
      for (let count = 1; count <= 10; count++) await say(store, chatId, 10001, `${count}`)
      await store.recallMessage({ chatId, seq: 5, operatorId: 10001, time: NOW, check: () => {} })
      const pages = [
        [{ limit: 3 }, [8, 9, 10]],
        [{ limit: 3, upToSeq: 6 }, [3, 4, 6]],
        [{ limit: 100, upToSeq: 2 }, [1, 2]],
        [{ limit: 3, upToSeq: 0 }, []],
        [{ limit: 3, afterSeq: 3 }, [4, 6, 7]],
        [{ limit: 3, afterSeq: 0 }, [1, 2, 3]],
        [{ limit: 3, afterSeq: 10 }, []]
      ] as const
      for (const [page, expected] of pages)
        t.strictSame(seqs(await store.listMessages({ chatId, ...page })), expected, JSON.stringify(page))
    })
  })

  t.test('lists of chats', async (t) => {
    t.test('are newest first, with the last message and what is unread', async (t) => {
      const store = await open(t)
      await addAccounts(store, 3)
      const older = await store.openPrivateChat(10001, 10002, NOW)
      const newer = await addGroup(store, [10001, 10003])
      await say(store, older, 10002, 'unread')
      await say(store, older, 10002, 'recalled')
      await store.recallMessage({ chatId: older, seq: 2, operatorId: 10002, time: NOW, check: () => {} })
      await store.appendMessage({ ...draft(newer.id, 10003, 'one'), time: NOW + 1 })
      await store.appendMessage({ ...draft(newer.id, 10001, 'two'), time: NOW + 2 })
      const { chats, total } = await store.listChats(10001, { offset: 0, limit: 10 })
      t.equal(total, 2)
      t.match(chats, [
        { chat: { id: newer.id }, lastMessage: { seq: 2 }, unreadCount: 0, createdAt: NOW, updatedAt: NOW + 2 },
        { chat: { id: older }, lastMessage: { seq: 1 }, unreadCount: 1 }
      ])
      const second = await store.listChats(10001, { offset: 1, limit: 10 })
      t.strictSame(second, { chats: chats.slice(1), total: 2 })
      t.strictSame(await store.listChats(10009, { offset: 0, limit: 10 }), { chats: [], total: 0 })
    })

    t.test('what was said before somebody joined is not unread for them', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const { id } = await addGroup(store, [10001])
      await say(store, id, 10001, 'before')
      await join(store, id, 10002)
      await say(store, id, 10001, 'after')
      t.match(await store.listChats(10002, { offset: 0, limit: 1 }), { chats: [{ unreadCount: 1 }] })
    })
  })

  t.test('the log', async (t) => {
    t.test('every commit is told in order, once, after its promises were settled', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const { id } = await addGroup(store, [10001, 10002])
      const order: string[] = []
      const heard = listen(store, (events) => order.push(...events.map((event) => `told ${event.id}`)))
      const messages = await Promise.all(
        range(1, 300).map(async (count) => {
          const message = await say(store, id, 10001 + (count % 2), `${count}`)
          order.push(`answered ${message.id}`)
          return message
        })
      )
      const events = await heard.next(300)
      t.strictSame(
        events.map((event) => event.id),
        messages.map((message) => message.id)
      )
      for (const { id: messageId } of messages) {
        const [answered, told] = [order.indexOf(`answered ${messageId}`), order.indexOf(`told ${messageId}`)]
        if (answered > told) t.fail(`message ${messageId} was told before it was answered`)
      }
      t.strictSame(events, (await store.readEvents(10001, 0, 1000)).events.map(withAudience([10001, 10002])))
    })

    t.test('a listener that has gone hears nothing', async (t) => {
      const store = await open(t)
      await addAccounts(store, 1)
      const { id } = await addGroup(store, [10001])
      const undo = store.onCommit(() => t.fail('heard'))
      const heard = listen(store)
      undo()
      await say(store, id, 10001, 'x')
      await heard.next(1)
    })

    t.test('the audience follows who joins and leaves, also within one commit', async (t) => {
      const store = await open(t)
      await addAccounts(store, 3)
      const { id } = await addGroup(store, [10001, 10002])
      const heard = listen(store)
      await Promise.all([
        say(store, id, 10001, 'one'),
        join(store, id, 10003),
        say(store, id, 10003, 'two'),
        leave(store, id, 10002),
        say(store, id, 10001, 'three')
      ])
      await join(store, id, 10002)
      await say(store, id, 10001, 'four')
      t.strictSame(
        (await heard.next(7)).map(({ kind, audience }) => [kind, audience.toSorted((a, b) => a - b)]),
        [
          ['message.created', [10001, 10002]],
          ['member.joined', [10001, 10002, 10003]],
          ['message.created', [10001, 10002, 10003]],
          ['member.left', [10001, 10002, 10003]],
          ['message.created', [10001, 10003]],
          ['member.joined', [10001, 10002, 10003]],
          ['message.created', [10001, 10002, 10003]]
        ]
      )
    })

    t.test('shows an account what happened while it was there, and nothing else', async (t) => {
      const store = await open(t)
      await addAccounts(store, 4)
      const { id } = await addGroup(store, [10001, 10004])
      await say(store, id, 10001, 'before')
      await join(store, id, 10002)
      await say(store, id, 10001, 'first stay')
      await leave(store, id, 10002)
      await say(store, id, 10001, 'away')
      await join(store, id, 10002)
      await say(store, id, 10001, 'second stay')
      const all = ['before', '+10002', 'first stay', '-10002', 'away', '+10002', 'second stay']
      t.strictSame((await store.readEvents(10001, 0, 100)).events.map(wordsOf), all)
      t.strictSame((await store.readEvents(10004, 0, 100)).events.map(wordsOf), all)
      t.strictSame((await store.readEvents(10002, 0, 100)).events.map(wordsOf), [
        '+10002',
        'first stay',
        '-10002',
        '+10002',
        'second stay'
      ])
      t.strictSame(await store.readEvents(10003, 0, 100), { events: [], readTo: await store.lastEventId() })
    })

    t.test('is read on from where the last page ended, even when nothing in it was for the reader', async (t) => {
      const store = await open(t)
      await addAccounts(store, 3)
      const [own, other] = [await addGroup(store, [10001]), await addGroup(store, [10002])]
      for (let count = 1; count <= 5; count++) await say(store, other.id, 10002, 'other')
      await say(store, own.id, 10001, 'own')
      const pages: unknown[] = []
      let position = 0
      for (;;) {
        const { events, readTo } = await store.readEvents(10001, position, 2)
        if (readTo === position) break
        pages.push(events.map(wordsOf))
        position = readTo
      }
      t.strictSame(pages, [[], [], ['own']])
      t.equal(position, await store.lastEventId())
    })

    t.test('a message that was recalled before it was read is left out, its recall is told', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const chatId = await store.openPrivateChat(10001, 10002, NOW)
      const { id } = await say(store, chatId, 10001, 'regret')
      await store.recallMessage({ chatId, seq: 1, operatorId: 10001, time: NOW, check: () => {} })
      t.match((await store.readEvents(10002, 0, 10)).events, [
        { kind: 'message.recalled', eventSeq: 2, data: { messageId: id, seq: 1, senderId: 10001 } }
      ])
    })

    t.test('later events show the new name of a group and of an account', async (t) => {
      const store = await open(t)
      await addAccounts(store, 2)
      const { id } = await addGroup(store, [10001])
      const chatId = await store.openPrivateChat(10001, 10002, NOW)
      const heard = listen(store)
      await say(store, id, 10001, 'one')
      await Promise.all([
        store.changeGroup({
          groupId: id,
          time: NOW,
          decide: () => ({
            change: { type: 'rename', name: 'New' },
            event: { kind: 'group.renamed', data: { name: 'New', operatorId: 10001 } }
          })
        }),
        say(store, id, 10001, 'two')
      ])
      await store.setNickname(10001, 'Renamed')
      await say(store, id, 10001, 'three')
      await say(store, chatId, 10002, 'four')
      t.match(await heard.next(5), [
        { chat: { name: 'Group' }, data: { sender: { nickname: 'Account 10001' } } },
        { chat: { name: 'New' }, kind: 'group.renamed' },
        { chat: { name: 'New' }, data: { sender: { nickname: 'Account 10001' } } },
        { chat: { name: 'New' }, data: { sender: { nickname: 'Renamed' } } },
        { chat: { parties: [{ nickname: 'Renamed' }, { nickname: 'Account 10002' }] } }
      ])
      t.equal((await store.findMember(id, 10001))?.nickname, 'Renamed')
    })
  })

  /** Ten messages of ten seconds. */
  async function openFullLog(t: Test) {
    const store = await open(t)
    await addAccounts(store, 2)
    const { id } = await addGroup(store, [10001, 10002])
    const oldest = await store.lastEventId()
    for (let time = 1; time <= 10; time++)
      await store.appendMessage({
        chatId: id,
        senderId: 10001,
        segments: [{ type: 'text', text: `message ${time}` }],
        time,
        check: () => {}
      })
    return { store, id, oldest }
  }

  t.test('the log', async (t) => {
    const heard = async (store: Store, after = 0): Promise<number[]> =>
      (await store.readEvents(10002, after, 100)).events.map(({ id }) => id)

    t.test('drops what is too old, little by little, and knows from where on nothing is missing', async (t) => {
      const { store, id, oldest } = await openFullLog(t)
      t.equal(await store.oldestCursor(), 0)
      t.equal(await store.oldestEventSeq(id), 1)
      const all = await heard(store, oldest)
      const bounds = { keptFrom: 6, keep: 1000, limit: oldest + 3 }
      t.strictSame(await store.dropEvents(bounds), { events: oldest + 3, cursors: 0, isMore: true })
      t.equal(await store.oldestCursor(), all[2])
      t.strictSame(await store.dropEvents(bounds), { events: 2, cursors: 0, isMore: false })
      t.strictSame(await store.dropEvents(bounds), { events: 0, cursors: 0, isMore: false })
      t.strictSame(await heard(store), all.slice(5))
      t.equal(await store.oldestCursor(), all[4])
      t.equal(await store.oldestEventSeq(id), 6)
      const { events } = await store.readEvents(10002, 0, 1)
      t.match(events, [{ kind: 'message.created', data: { message: { seq: 6 } } }])
      t.equal((await store.listMessages({ chatId: id, limit: 100 })).length, 10, 'what was said stays')
    })

    t.test('keeps so many, and the newest in any case: numbers go on', async (t) => {
      const { store, id } = await openFullLog(t)
      await store.dropEvents({ keptFrom: 0, keep: 4, limit: 100 })
      const all = await heard(store)
      t.equal(all.length, 4)
      const last = await store.lastEventId()
      await store.dropEvents({ keptFrom: 1e9, keep: 4, limit: 100 })
      t.strictSame(await heard(store), [last])
      t.equal(await store.oldestCursor(), last - 1)
      t.equal((await say(store, id, 10001, 'next')).id, last + 1)
      t.equal(await store.oldestEventSeq(id), 10)
    })

    t.test('keeps the newest that belongs to no chat, on whose number the next one counts', async (t) => {
      const { store, id } = await openFullLog(t)
      await store.disableAccount((await store.addAccount({ kind: 'bot', nickname: 'x', createdAt: 1 })).id, 1)
      const bot = await store.addAccount({ kind: 'bot', nickname: 'y', createdAt: 1 })
      await store.disableAccount(bot.id, 2)
      await say(store, id, 10001, 'last')
      await store.dropEvents({ keptFrom: 1e9, keep: 1, limit: 100 })
      t.match((await store.readEvents(bot.id, 0, 10)).events, [{ kind: 'account.disabled', eventSeq: 2 }])
      const third = await store.addAccount({ kind: 'bot', nickname: 'z', createdAt: 1 })
      await store.disableAccount(third.id, 3)
      t.match((await store.readEvents(third.id, 0, 10)).events, [{ kind: 'account.disabled', eventSeq: 3 }])
      await say(store, id, 10001, 'last')
      await store.dropEvents({ keptFrom: 1e9, keep: 1, limit: 100 })
      t.strictSame((await store.readEvents(bot.id, 0, 10)).events, [], 'until there is a newer one')
    })

    t.test('of nothing has nothing to drop', async (t) => {
      const store = await open(t)
      const none = { events: 0, cursors: 0, isMore: false }
      t.strictSame(await store.dropEvents({ keptFrom: 1e9, keep: 1, limit: 10 }), none)
      t.strictSame([await store.oldestCursor(), await store.oldestEventSeq(100001)], [0, 1])
    })
  })

  t.test('cursors', async (t) => {
    t.test('open at the end of the log and move forward only', async (t) => {
      const store = await open(t)
      await addAccounts(store, 1)
      const { id } = await addGroup(store, [10001])
      await say(store, id, 10001, 'before')
      const end = await store.lastEventId()
      t.equal(await store.openCursor('hook'), end)
      await say(store, id, 10001, 'after')
      t.equal(await store.openCursor('hook'), end, 'an old one is where it was')
      await store.saveCursor('hook', end + 5)
      await store.saveCursor('hook', end + 3)
      t.equal(await store.openCursor('hook'), end + 5)
      t.equal(await store.openCursor('other'), end + 1)
    })

    t.test('go with the events behind them, unless somebody has opened them', async (t) => {
      const { store, id, oldest } = await openFullLog(t)
      await store.openCursor('in use')
      await store.saveCursor('left behind', 1)
      await store.saveCursor('not so far', oldest + 4)
      const dropped = await store.dropEvents({ keptFrom: 0, keep: 6, limit: 100 })
      t.equal(dropped.cursors, 1)
      t.equal(await store.openCursor('not so far'), oldest + 4)
      t.equal(await store.openCursor('left behind'), await store.lastEventId(), 'it is as if it had never been')
      await say(store, id, 10001, 'more')
      await store.dropEvents({ keptFrom: 0, keep: 1, limit: 100 })
      t.equal(
        await store.openCursor('not so far'),
        await store.oldestCursor(),
        'who had nothing to hear is taken along'
      )
    })

    t.test('of an empty log are at 0', async (t) => {
      const store = await open(t)
      t.strictSame([await store.openCursor('hook'), await store.lastEventId()], [0, 0])
    })
  })

  t.test('writes wait while anybody holds them', async (t) => {
    const store = await open(t)
    const release = [store.holdWrites(), store.holdWrites()]
    const added = addAccount(store)
    release[0]?.()
    release[0]?.()
    await turns(5)
    t.equal(await store.findAccount(10001), undefined)
    release[1]?.()
    t.equal((await added).id, 10001)
  })

  t.test('what is asked for before the end is written, what is asked for later is refused', async (t) => {
    const store = await open(t)
    const release = store.holdWrites()
    const added = Promise.all(range(1, 300).map(() => addAccount(store)))
    const closed = store.close()
    t.equal(await refusal(addAccount(store)), 'unavailable')
    t.equal((await added).length, 300)
    await closed
    await store.close()
    release()
    await turns(3)
  })

  t.test('meta values and ping', async (t) => {
    const store = await open(t)
    t.equal(await store.getMeta('key'), undefined)
    await store.setMeta('key', 'one')
    await store.setMeta('key', 'two')
    t.equal(await store.getMeta('key'), 'two')
    await t.resolves(store.ping())
  })
}

/** How a piece of work ended: `accepted`, or the reason or name of its error. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'accepted'
  } catch (err) {
    return err instanceof ActionError ? err.reason : (err as Error).name
  }
}

type AccountFields = Partial<Parameters<Store['addAccount']>[0]>

function addAccount(store: Store, fields: AccountFields = {}): ReturnType<Store['addAccount']> {
  return store.addAccount({ kind: 'person', nickname: 'Somebody', createdAt: NOW, ...fields })
}

/** Accounts with the next free ids, each named after its id. */
export async function addAccounts(store: Store, count: number): Promise<void> {
  for (let left = count; left > 0; left--) {
    const { id } = await addAccount(store)
    await store.setNickname(id, `Account ${id}`)
  }
}

/** A group that the first of the members owns. */
export function addGroup(
  store: Store,
  [ownerId, ...memberIds]: readonly [number, ...number[]],
  fields: { id?: number } = {}
): ReturnType<Store['addGroup']> {
  return store.addGroup({ name: 'Group', ownerId, adminIds: [], memberIds, createdAt: NOW, ...fields })
}

function draft(chatId: number, senderId: number, text: string): MessageDraft {
  return { chatId, senderId, segments: [{ type: 'text', text }], time: NOW, check: () => {} }
}

export async function say(
  store: Store,
  chatId: number,
  senderId: number,
  text: string,
  check: MessageDraft['check'] = () => {}
): Promise<Message> {
  return (await store.appendMessage({ ...draft(chatId, senderId, text), check })).message
}

export function join(store: Store, groupId: number, accountId: number, time = NOW): Promise<void> {
  return store.changeGroup({
    groupId,
    targetId: accountId,
    time,
    decide: () => ({
      change: { type: 'add', accountId, role: 'member' },
      event: { kind: 'member.joined', data: { accountId } }
    })
  })
}

export function leave(store: Store, groupId: number, accountId: number): Promise<void> {
  return store.changeGroup({
    groupId,
    targetId: accountId,
    time: NOW,
    decide: () => ({
      change: { type: 'remove', accountId, newOwnerId: undefined },
      event: { kind: 'member.left', data: { accountId } }
    })
  })
}

/** What is told from now on. `next` waits for so many events and takes them. */
export function listen(
  store: Store,
  also: (events: readonly GatewayEvent[]) => void = () => {}
): { next: (count: number) => Promise<GatewayEvent[]> } {
  const events: GatewayEvent[] = []
  let wake = (): void => {}
  store.onCommit((committed) => {
    events.push(...committed)
    also(committed)
    wake()
  })
  return {
    async next(count) {
      while (events.length < count) {
        await awake(
          new Promise<void>((resolve) => {
            wake = resolve
          })
        )
      }
      return events.splice(0, count)
    }
  }
}

/** Waits for what a store does in the background, which by itself keeps no process alive. */
export async function awake<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 1000)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}

/** An event in a word: the text of a message, who joined, who left. */
export function wordsOf(event: GatewayEvent): string {
  if (event.kind === 'message.created') return textOf(event.data.message)
  if (event.kind === 'member.joined') return `+${event.data.accountId}`
  if (event.kind === 'member.left') return `-${event.data.accountId}`
  return event.kind
}

export function textOf({ segments }: Message): string {
  return segments.map((segment) => (segment.type === 'text' ? segment.text : segment.type)).join('')
}

/** What is read from the log names the reader alone as its audience. */
function withAudience(audience: readonly number[]): (event: GatewayEvent) => GatewayEvent {
  return (event) => ({ ...event, audience })
}

function digest(byte: number): Uint8Array {
  return new Uint8Array(32).fill(byte)
}

function seqs(messages: readonly Message[]): number[] {
  return messages.map((message) => message.seq)
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

function isGrowing(ids: readonly number[]): boolean {
  return ids.every((id, index) => index === 0 || id > (ids[index - 1] as number))
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await new Promise((resolve) => setImmediate(resolve))
}

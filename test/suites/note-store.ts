import type { Test } from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import type { GatewayEvent } from '../../src/core/event.ts'
import type { AnnouncementOrder, EssenceOrder, ReactionOrder } from '../../src/core/note-store.ts'
import type { Member, Message, NewFile, Store } from '../../src/core/store.ts'
import { addAccounts, addGroup, leave, listen, range, refusal, say } from './store.ts'

const NOW = 1_700_000_000
const [ALICE, BOB, CAROL, DAVE] = [10001, 10002, 10003, 10004] as const
const GROUP = 100001
const OTHER = 100002
const SHA = 'a'.repeat(64)

/** What every driver must do about announcements, essence messages and reactions. `open` gives an empty store. */
export function noteStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  /** Alice owns the group of Bob and Carol; Dave owns another one. */
  async function openPeopled(t: Test): Promise<Store> {
    const store = await open(t)
    await addAccounts(store, 4)
    await addGroup(store, [ALICE, BOB, CAROL], { id: GROUP })
    await addGroup(store, [DAVE], { id: OTHER })
    return store
  }

  t.test('announcements', async (t) => {
    const announce = (store: Store, content: string, more: Partial<AnnouncementOrder> = {}) =>
      store.addAnnouncement({ groupId: GROUP, actorId: ALICE, content, time: NOW, keep: 3, check() {}, ...more })
    const remove = (store: Store, announcementId: number, more: object = {}) =>
      store.removeAnnouncement({ groupId: GROUP, actorId: ALICE, announcementId, check() {}, ...more })
    const contents = async (store: Store) => (await store.listAnnouncements(GROUP)).map(({ content }) => content)
    const shown = async (store: Store) => {
      const chat = await store.findChat(GROUP)
      return [chat?.kind === 'group' && chat.announcement, (await store.findGroup(GROUP))?.announcement]
    }

    t.test('are listed as they were sent, the newest first, of one group', async (t) => {
      const store = await openPeopled(t)
      const { id: fileId } = await store.addFile(picture(BOB))
      const first = await announce(store, 'one')
      const second = await announce(store, 'two', { actorId: BOB, fileId, time: NOW + 5 })
      await announce(store, 'elsewhere', { groupId: OTHER, actorId: DAVE })
      t.strictSame(await store.listAnnouncements(GROUP), [second, first])
      t.match(first, { groupId: GROUP, sender: { id: ALICE, nickname: 'Account 10001' }, content: 'one' })
      t.strictSame([first.file, first.createdAt], [undefined, NOW])
      t.match(second, { sender: { id: BOB }, file: { fileId, name: 'cat.png' }, createdAt: NOW + 5 })
      t.ok(second.id > first.id)
      t.strictSame(await store.listAnnouncements(4242), [])
    })

    t.test('of a group keep so many; the oldest goes, with its picture', async (t) => {
      const store = await openPeopled(t)
      const { id: fileId } = await store.addFile(picture(ALICE))
      await announce(store, '0', { fileId })
      for (const number of range(1, 3)) await announce(store, `${number}`)
      t.strictSame(await contents(store), ['3', '2', '1'])
      t.equal(await store.findFile(fileId), undefined)
      t.strictSame(await store.listLooseContents(10), [SHA])
    })

    t.test('give the group the words of the newest', async (t) => {
      const store = await openPeopled(t)
      t.strictSame(await shown(store), ['', ''])
      await announce(store, 'one')
      const second = await announce(store, 'two')
      t.strictSame(await shown(store), ['two', 'two'])
      const heard = listen(store)
      await say(store, GROUP, BOB, 'hello')
      t.match(await heard.next(1), [{ chat: { announcement: 'two' } }], 'also in what is said from then on')
      await remove(store, second.id)
      t.strictSame(await shown(store), ['one', 'one'])
      const [first] = await store.listAnnouncements(GROUP)
      await remove(store, first?.id ?? 0)
      t.strictSame(await shown(store), ['', ''])
      t.strictSame(await contents(store), [])
    })

    t.test('are numbered once', async (t) => {
      const store = await openPeopled(t)
      const first = await announce(store, 'one')
      await remove(store, first.id)
      t.ok((await announce(store, 'two')).id > first.id)
    })

    t.test('show their picture to members, who may pass it on, until they are deleted', async (t) => {
      const store = await openPeopled(t)
      const { id: fileId } = await store.addFile(picture(ALICE))
      const { id } = await announce(store, 'look', { fileId })
      const seen = () => Promise.all([BOB, DAVE].map((who) => store.isFileShownTo(fileId, who)))
      t.strictSame(await seen(), [true, false])
      t.equal(await store.removeFile(fileId), false, 'it is needed')
      const again = await announce(store, 'look again', { actorId: BOB, fileId })
      await leave(store, GROUP, BOB)
      t.strictSame(await seen(), [false, false], 'who has left sees it no more')
      await remove(store, id)
      t.type(await store.findFile(fileId), 'object', 'the other one shows it')
      await remove(store, again.id)
      t.equal(await store.findFile(fileId), undefined)
    })

    t.test('take no file that the sender cannot see', async (t) => {
      const store = await openPeopled(t)
      const { id: fileId } = await store.addFile(picture(DAVE))
      for (const wrong of [fileId, fileId + 1])
        await t.rejects(announce(store, 'x', { fileId: wrong }), new ActionError('not_found', '', { field: 'file_id' }))
      t.strictSame(await contents(store), [])
      t.strictSame(await shown(store), ['', ''])
    })

    t.test('ask the rule about who acts, and are not found by others', async (t) => {
      const store = await openPeopled(t)
      const { id } = await announce(store, 'one')
      const asked: Member[] = []
      const check = (actor: Member): void => {
        asked.push(actor)
        throw new ActionError('forbidden', 'no')
      }
      t.equal(await refusal(announce(store, 'x', { actorId: BOB, check })), 'forbidden')
      t.equal(await refusal(remove(store, id, { actorId: BOB, check })), 'forbidden')
      t.strictSame(
        asked.map(({ accountId, role }) => [accountId, role]),
        Array(2).fill([BOB, 'member'])
      )
      t.equal(await refusal(announce(store, 'x', { actorId: DAVE })), 'not_found')
      t.equal(await refusal(announce(store, 'x', { groupId: 4242 })), 'not_found')
      t.equal(await refusal(remove(store, id, { actorId: DAVE })), 'not_found')
      t.equal(
        await refusal(remove(store, id, { groupId: OTHER, actorId: DAVE })),
        'not_found',
        'it is of another group'
      )
      t.equal(await refusal(remove(store, id + 1)), 'not_found')
      t.strictSame(await contents(store), ['one'])
    })

    t.test('are no private matter', async (t) => {
      const store = await openPeopled(t)
      const groupId = await store.openPrivateChat(ALICE, BOB, NOW)
      t.equal(await refusal(announce(store, 'x', { groupId })), 'not_found')
    })
  })

  t.test('essence', async (t) => {
    const mark = (store: Store, seq: number, more: Partial<EssenceOrder> = {}) =>
      store.changeEssence({
        groupId: GROUP,
        seq,
        actorId: ALICE,
        isSet: true,
        time: NOW,
        decide: ({ isMarked }) => isMarked !== (more.isSet ?? true),
        ...more
      })
    const listed = async (store: Store, limit = 10, offset = 0) =>
      (await store.listEssence(GROUP, { offset, limit })).entries.map(({ message }) => message.seq)

    t.test('is listed with who said it and who marked it, the latest marked first', async (t) => {
      const store = await openPeopled(t)
      for (const number of range(1, 3)) await say(store, GROUP, BOB, `${number}`)
      for (const seq of [2, 3, 1]) await mark(store, seq, { time: NOW + 9 })
      t.strictSame(await listed(store), [1, 3, 2])
      t.strictSame([await listed(store, 2), await listed(store, 2, 2), await listed(store, 2, 4)], [[1, 3], [2], []])
      await store.changeGroup({
        groupId: GROUP,
        time: NOW,
        decide: () => ({ change: { type: 'set-card', accountId: BOB, card: 'Bobby' } })
      })
      const { entries, total } = await store.listEssence(GROUP, { offset: 0, limit: 1 })
      t.equal(total, 3)
      t.strictSame(entries, [
        {
          message: await store.findMessage(GROUP, 1),
          senderName: 'Bobby',
          operatorId: ALICE,
          operatorName: 'Account 10001',
          time: NOW + 9
        }
      ])
      await leave(store, GROUP, BOB)
      t.match((await store.listEssence(GROUP, { offset: 0, limit: 1 })).entries, [{ senderName: 'Account 10002' }])
      t.strictSame(await store.listEssence(OTHER, { offset: 0, limit: 10 }), { entries: [], total: 0 })
    })

    t.test('is told when the rule says that something changes', async (t) => {
      const store = await openPeopled(t)
      const { id: messageId } = await say(store, GROUP, BOB, 'wise')
      const events = await told(store)
      for (const isSet of [true, true, false, false, true]) await mark(store, 1, { isSet })
      const data = { messageId, seq: 1, operatorId: ALICE }
      t.strictSame(await events(), [
        { kind: 'essence.changed', audience: [ALICE, BOB, CAROL], data: { ...data, isSet: true } },
        { kind: 'essence.changed', audience: [ALICE, BOB, CAROL], data: { ...data, isSet: false } },
        { kind: 'essence.changed', audience: [ALICE, BOB, CAROL], data: { ...data, isSet: true } }
      ])
      t.strictSame(await listed(store), [1])
    })

    t.test('asks the rule with what there is', async (t) => {
      const store = await openPeopled(t)
      for (const number of range(1, 2)) await say(store, GROUP, BOB, `${number}`)
      await mark(store, 1)
      const asked: unknown[] = []
      const decide: EssenceOrder['decide'] = ({ actor, isMarked, count }) => {
        asked.push([actor.accountId, isMarked, count])
        throw new ActionError('forbidden', 'no')
      }
      t.equal(await refusal(mark(store, 1, { actorId: BOB, decide })), 'forbidden')
      t.equal(await refusal(mark(store, 2, { decide })), 'forbidden')
      t.strictSame(asked, [
        [BOB, true, 1],
        [ALICE, false, 1]
      ])
      t.strictSame(await listed(store), [1])
    })

    t.test('is not found where there is no such message or group', async (t) => {
      const store = await openPeopled(t)
      const message = await say(store, GROUP, BOB, 'x')
      await say(store, GROUP, BOB, 'y')
      await recall(store, message)
      t.equal(await refusal(mark(store, 1)), 'not_found', 'a recalled one')
      t.equal(await refusal(mark(store, 3)), 'not_found')
      t.equal(await refusal(mark(store, 2, { actorId: DAVE })), 'not_found')
      t.equal(await refusal(mark(store, 2, { groupId: 4242 })), 'not_found')
      t.equal(await refusal(mark(store, 2, { groupId: OTHER, actorId: DAVE })), 'not_found')
    })

    t.test('goes with a message that is recalled', async (t) => {
      const store = await openPeopled(t)
      const message = await say(store, GROUP, BOB, 'x')
      await mark(store, 1)
      const events = await told(store)
      await recall(store, message)
      t.strictSame(await store.listEssence(GROUP, { offset: 0, limit: 10 }), { entries: [], total: 0 })
      t.match(await events(), [{ kind: 'message.recalled' }])
    })
  })

  t.test('reactions', async (t) => {
    const react = (store: Store, seq: number, accountId: number, more: Partial<ReactionOrder> = {}) =>
      store.changeReaction({
        chatId: GROUP,
        seq,
        accountId,
        type: 'face',
        reaction: '14',
        isAdd: true,
        time: NOW,
        decide: ({ isThere }) => isThere !== (more.isAdd ?? true),
        ...more
      })

    t.test('are counted, in the order in which they were first given', async (t) => {
      const store = await openPeopled(t)
      const { id } = await say(store, GROUP, BOB, 'x')
      const emoji = { type: 'emoji', reaction: '128077' } as const
      await react(store, 1, CAROL, { ...emoji, time: NOW + 1 })
      await react(store, 1, BOB, { time: NOW + 2 })
      await react(store, 1, BOB, { type: 'emoji', reaction: '14', time: NOW + 3 })
      await react(store, 1, ALICE, { ...emoji, time: NOW + 4 })
      t.strictSame(await store.listReactions(id, BOB, 10), [
        { ...emoji, count: 2, isOwn: false, accountIds: [CAROL, ALICE] },
        { type: 'face', reaction: '14', count: 1, isOwn: true, accountIds: [BOB] },
        { type: 'emoji', reaction: '14', count: 1, isOwn: true, accountIds: [BOB] }
      ])
      t.match(await store.listReactions(id, ALICE, 1), [{ count: 2, isOwn: true, accountIds: [CAROL] }, {}, {}])
      await leave(store, GROUP, CAROL)
      t.match(await store.listReactions(id, BOB, 10), [{ count: 2 }, {}, {}], 'who has left is still counted')
      t.strictSame(await store.listReactions(4242, BOB, 10), [])
    })

    t.test('are told when the rule says that something changes', async (t) => {
      const store = await openPeopled(t)
      const { id: messageId } = await say(store, GROUP, BOB, 'x')
      const events = await told(store)
      for (const isAdd of [false, true, true, false, false]) await react(store, 1, CAROL, { isAdd })
      const data = { messageId, seq: 1, accountId: CAROL, reaction: '14', type: 'face' }
      t.strictSame(await events(), [
        { kind: 'reaction.changed', audience: [ALICE, BOB, CAROL], data: { ...data, isAdd: true } },
        { kind: 'reaction.changed', audience: [ALICE, BOB, CAROL], data: { ...data, isAdd: false } }
      ])
      t.strictSame(await store.listReactions(messageId, CAROL, 10), [])
    })

    t.test('ask the rule with what there is', async (t) => {
      const store = await openPeopled(t)
      await say(store, GROUP, BOB, 'x')
      await react(store, 1, ALICE)
      await react(store, 1, BOB)
      await react(store, 1, BOB, { type: 'emoji', reaction: '128077' })
      const asked: unknown[] = []
      const decide: ReactionOrder['decide'] = ({ speaker, isThere, isKnown, count }) => {
        asked.push([speaker.role, isThere, isKnown, count])
        throw new ActionError('muted', 'no')
      }
      for (const accountId of [ALICE, CAROL]) t.equal(await refusal(react(store, 1, accountId, { decide })), 'muted')
      t.equal(await refusal(react(store, 1, BOB, { reaction: '15', decide })), 'muted')
      t.strictSame(asked, [
        ['owner', true, true, 2],
        ['member', false, true, 2],
        ['member', false, false, 2]
      ])
    })

    t.test('are not found where there is no such message or chat', async (t) => {
      const store = await openPeopled(t)
      const message = await say(store, GROUP, BOB, 'x')
      await recall(store, message)
      for (const seq of [1, 2]) t.equal(await refusal(react(store, seq, BOB)), 'not_found')
      await say(store, GROUP, BOB, 'y')
      t.equal(await refusal(react(store, 2, DAVE)), 'not_found')
      t.equal(await refusal(react(store, 2, DAVE, { chatId: OTHER })), 'not_found')
      t.equal(await refusal(react(store, 2, BOB, { chatId: 4242 })), 'not_found')
    })

    t.test('are there in private chats too, and go with a message that is recalled', async (t) => {
      const store = await openPeopled(t)
      const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
      const message = await say(store, chatId, ALICE, 'x')
      await react(store, 1, BOB, { chatId })
      t.match(await store.listReactions(message.id, BOB, 10), [{ count: 1, isOwn: true }])
      const events = await told(store)
      await recall(store, message)
      t.strictSame(await store.listReactions(message.id, BOB, 10), [])
      t.match(await events(), [{ kind: 'message.recalled' }])
    })
  })

  function recall(store: Store, { chatId, seq, senderId }: Message): Promise<void> {
    return store.recallMessage({ chatId, seq, operatorId: senderId, time: NOW, check() {} })
  }
}

/** What is told from now on, with its audience. */
async function told(store: Store): Promise<() => Promise<object[]>> {
  const events: GatewayEvent[] = []
  // What was committed is told in the next turn.
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  await turn()
  store.onCommit((committed) => events.push(...committed))
  return async () => {
    await turn()
    return events.map(({ kind, audience, data }) => ({ kind, audience, data }))
  }
}

function picture(ownerId: number): NewFile {
  const shown = { name: 'cat.png', mime: 'image/png', size: 7, width: 3, height: 2, durationS: 0 }
  return { ownerId, sha256: SHA, ...shown, createdAt: NOW }
}

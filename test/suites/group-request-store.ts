import type { Test } from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import type { Answer, AnswerOrder, Asked, AskOrder, RequestType } from '../../src/core/group-request-store.ts'
import type { GroupDecision, Store } from '../../src/core/store.ts'
import { addAccounts, addGroup, join, leave, listen, range, refusal } from './store.ts'

const NOW = 1_700_000_000
const [OWNER, ADMIN, MEMBER, CAROL, DAVE] = [10001, 10002, 10003, 10004, 10005] as const
const ALL = { offset: 0, limit: 10 }
const BOTH: readonly RequestType[] = ['join_request', 'invited_join_request']
const NOBODY = 4242

/** What every driver must do about who wants to come into groups. `open` gives an empty store that is closed when the test ends. */
export function groupRequestStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  /** A group of an owner, an admin and a member; Carol and Dave are outside. */
  async function openGrouped(t: Test): Promise<{ store: Store; groupId: number }> {
    const store = await open(t)
    await addAccounts(store, 5)
    const { id: groupId } = await addGroup(store, [OWNER, ADMIN, MEMBER])
    await change(store, groupId, ADMIN, {
      change: { type: 'set-role', accountId: ADMIN, role: 'admin' }
    })
    return { store, groupId }
  }

  const ask = (store: Store, groupId: number, more: Partial<AskOrder> = {}): Promise<Asked> =>
    store.askForGroup({
      groupId,
      initiatorId: CAROL,
      targetId: more.initiatorId ?? CAROL,
      comment: '',
      time: NOW,
      decide: () => 'join_request',
      ...more
    })

  const invite = (
    store: Store,
    groupId: number,
    initiatorId: number = OWNER,
    targetId: number = CAROL
  ): Promise<Asked> =>
    ask(store, groupId, {
      initiatorId,
      targetId,
      decide: () => (initiatorId === MEMBER ? 'invited_join_request' : 'invitation')
    })

  const answer = (
    store: Store,
    seq: number,
    more: Partial<Omit<AnswerOrder, 'key'>> & Partial<AnswerOrder['key']> = {}
  ): Promise<void> => {
    const { types = BOTH, groupId, ...rest } = more
    return store.answerRequest({
      key: { seq, types, groupId },
      actorId: ADMIN,
      time: NOW + 1,
      decide: () => ({ state: 'accepted' }),
      ...rest
    })
  }

  t.test('asking', async (t) => {
    t.test('tells the owner and the admins of now, and nobody else', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const heard = listen(store)
      const { seq, ...asked } = await ask(store, groupId, { comment: 'please' })
      t.strictSame(asked, { type: 'join_request', isRepeated: false })
      const data = { groupId, requestSeq: seq, initiatorId: CAROL, comment: 'please' }
      t.match(await heard.next(1), [
        { kind: 'group.requested', chat: { kind: 'inbox' }, audience: [OWNER, ADMIN], data }
      ])
      for (const [accountId, count] of [
        [OWNER, 1],
        [MEMBER, 0],
        [CAROL, 0]
      ] as const)
        t.equal((await store.readEvents(accountId, 0, 10)).events.length, count, `${accountId}`)
      t.strictSame(await store.listRequests(groupId, ALL), {
        requests: [
          {
            type: 'join_request',
            seq,
            groupId,
            initiatorId: CAROL,
            targetId: CAROL,
            comment: 'please',
            state: 'pending',
            operatorId: undefined,
            createdAt: NOW
          }
        ],
        total: 1
      })
    })

    t.test('for somebody else tells them, or whom is asked for', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const heard = listen(store)
      const byMember = await invite(store, groupId, MEMBER)
      const byAdmin = await invite(store, groupId, ADMIN)
      t.match(await heard.next(2), [
        {
          kind: 'group.invite_requested',
          audience: [OWNER, ADMIN],
          data: { groupId, requestSeq: byMember.seq, initiatorId: MEMBER, targetId: CAROL }
        },
        {
          kind: 'group.invited',
          audience: [CAROL],
          data: { groupId, requestSeq: byAdmin.seq, initiatorId: ADMIN }
        }
      ])
      t.match(await store.listInvitations(CAROL, ALL), { requests: [{ seq: byAdmin.seq }], total: 1 })
      t.match(await store.listRequests(groupId, ALL), { requests: [{ seq: byMember.seq }], total: 1 })
      t.strictSame(await store.listInvitations(DAVE, ALL), { requests: [], total: 0 })
    })

    t.test('again while it is open is the same, also for twenty at once', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const before = await store.lastEventId()
      const asked = await Promise.all(range(1, 20).map(() => ask(store, groupId)))
      t.equal(new Set(asked.map(({ seq }) => seq)).size, 1)
      t.equal(asked.filter(({ isRepeated }) => !isRepeated).length, 1)
      t.equal(await store.lastEventId(), before + 1)
      const [{ seq } = { seq: 0 }] = asked
      await answer(store, seq, { decide: () => ({ state: 'rejected' }) })
      const again = await ask(store, groupId)
      t.ok(again.seq > seq)
      t.equal(again.isRepeated, false)
    })

    t.test('of who invited and left is asked anew by the next', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const first = await invite(store, groupId, ADMIN)
      t.match(await invite(store, groupId, OWNER), { seq: first.seq, isRepeated: true })
      await leave(store, groupId, ADMIN)
      t.strictSame(await store.listInvitations(CAROL, ALL), { requests: [], total: 0 })
      const second = await invite(store, groupId, OWNER)
      t.ok(second.seq > first.seq)
      t.match(await store.listInvitations(CAROL, ALL), {
        requests: [{ seq: second.seq, initiatorId: OWNER }],
        total: 1
      })
    })

    t.test('the rule knows the group, who asks, and whom it is about', async (t) => {
      const { store, groupId } = await openGrouped(t)
      await change(store, groupId, DAVE, { change: { type: 'ban', accountId: DAVE, operatorId: OWNER } })
      await store.addBlock(DAVE, MEMBER, NOW)
      const states: object[] = []
      const look = (more: Partial<AskOrder>): Promise<string> => {
        const decide: AskOrder['decide'] = (state) => {
          states.push(state)
          throw new ActionError('forbidden', 'no')
        }
        return refusal(ask(store, groupId, { ...more, decide }))
      }
      t.equal(await look({ initiatorId: MEMBER, targetId: DAVE }), 'forbidden')
      await look({ initiatorId: CAROL, targetId: OWNER })
      await look({ groupId: NOBODY, targetId: NOBODY })
      await store.disableAccount(CAROL, NOW)
      await look({ targetId: CAROL })
      t.match(states, [
        {
          group: { id: groupId, memberCount: 3 },
          initiator: { accountId: MEMBER, role: 'member' },
          target: { id: DAVE },
          isTargetMember: false,
          isTargetBanned: true,
          hasTargetBlocked: true
        },
        { initiator: undefined, target: { id: OWNER }, isTargetMember: true, isTargetBanned: false },
        { group: undefined, initiator: undefined, target: undefined },
        { target: undefined, hasTargetBlocked: false }
      ])
      t.strictSame(await store.listRequests(groupId, ALL), { requests: [], total: 0 }, 'what is refused leaves nothing')
    })
  })

  t.test('answering', async (t) => {
    t.test('lets in at once, and says by whom', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const heard = listen(store)
      const rows = [
        { asked: await ask(store, groupId), actorId: ADMIN, data: { accountId: CAROL, operatorId: ADMIN } },
        {
          asked: await invite(store, groupId, MEMBER, DAVE),
          actorId: OWNER,
          data: { accountId: DAVE, operatorId: OWNER, inviterId: MEMBER }
        }
      ]
      await heard.next(2)
      for (const { asked, actorId, data } of rows) {
        await answer(store, asked.seq, { actorId, groupId })
        const [event] = await heard.next(1)
        t.match(event, { kind: 'member.joined', chat: { id: groupId } })
        t.strictSame(event?.data, data)
        t.ok(event?.audience.includes(data.accountId), 'who comes hears it')
        t.ok(await store.isMember(groupId, data.accountId))
      }
      t.match(await store.findGroup(groupId), { memberCount: 5 })
      t.match(await store.listRequests(groupId, ALL), {
        requests: [
          { targetId: DAVE, state: 'accepted', operatorId: OWNER },
          { targetId: CAROL, state: 'accepted', operatorId: ADMIN }
        ]
      })
    })

    t.test('an invitation needs nobody’s approval', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const heard = listen(store)
      const { seq } = await invite(store, groupId, ADMIN)
      await heard.next(1)
      await answer(store, seq, { types: ['invitation'], actorId: CAROL })
      const [event] = await heard.next(1)
      t.strictSame(event?.data, { accountId: CAROL, inviterId: ADMIN })
      t.strictSame(await store.listInvitations(CAROL, ALL), { requests: [], total: 0 })
    })

    t.test('settles everything that was asked about who comes, whichever way they come', async (t) => {
      const ways: Record<string, (store: Store, groupId: number, seq: number) => Promise<unknown>> = {
        'by one of them': (store, _groupId, seq) => answer(store, seq),
        'put in by an admin': (store, groupId) =>
          store.invite({ groupId, actorId: ADMIN, accountIds: [CAROL], time: NOW, decide: () => [CAROL] }),
        'put in by the operator': (store, groupId) => join(store, groupId, CAROL)
      }
      for (const [way, comeIn] of Object.entries(ways)) {
        const { store, groupId } = await openGrouped(t)
        const seqs = [await ask(store, groupId), await invite(store, groupId, MEMBER), await invite(store, groupId)]
        const other = await ask(store, groupId, { initiatorId: DAVE })
        await comeIn(store, groupId, seqs[0]?.seq ?? 0)
        const { requests } = await store.listRequests(groupId, ALL)
        t.match(
          requests.map(({ seq, state }) => [seq, state]),
          [
            [other.seq, 'pending'],
            [seqs[1]?.seq, 'accepted'],
            [seqs[0]?.seq, 'accepted']
          ],
          way
        )
        t.strictSame(await store.listInvitations(CAROL, ALL), { requests: [], total: 0 }, way)
      }
    })

    t.test('the rule knows what is answered, and by whom', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const { seq } = await invite(store, groupId, MEMBER, DAVE)
      await change(store, groupId, DAVE, { change: { type: 'ban', accountId: DAVE, operatorId: OWNER } })
      await store.addBlock(DAVE, MEMBER, NOW)
      const looked: object[] = []
      const decide: AnswerOrder['decide'] = (state) => {
        looked.push(state)
        return undefined
      }
      await answer(store, seq, { decide })
      await leave(store, groupId, MEMBER)
      await answer(store, seq, { decide, actorId: MEMBER })
      t.match(looked, [
        {
          request: { seq, state: 'pending', type: 'invited_join_request' },
          group: { id: groupId },
          actor: { role: 'admin' },
          initiator: { id: MEMBER },
          isInitiatorMember: true,
          isTargetBanned: true,
          hasTargetBlocked: true
        },
        { actor: undefined, isInitiatorMember: false }
      ])
      t.match(await store.listRequests(groupId, ALL), { requests: [{ state: 'pending' }] }, 'and nothing changed')
    })

    t.test('finds none by another number, type or group, nor what is no request', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const { id: other } = await addGroup(store, [OWNER])
      const { seq } = await ask(store, groupId)
      await change(store, groupId, MEMBER, {
        change: { type: 'remove', accountId: MEMBER, newOwnerId: undefined },
        event: { kind: 'member.left', data: { accountId: MEMBER } }
      })
      const looked: (object | undefined)[] = []
      const decide: AnswerOrder['decide'] = ({ request }) => {
        looked.push(request)
        return { state: 'accepted' }
      }
      await answer(store, 999, { decide })
      await answer(store, seq, { decide, types: ['invitation'] })
      await answer(store, seq, { decide, groupId: other })
      await answer(store, seq + 1, { decide, types: [...BOTH, 'invitation'] })
      t.strictSame(looked, [undefined, undefined, undefined, undefined])
      t.match(await store.findGroup(groupId), { memberCount: 2 })
    })

    t.test('two at once: one lets in, the other sees it', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const { seq } = await ask(store, groupId)
      const decide: AnswerOrder['decide'] = ({ request }) =>
        request?.state === 'pending' ? { state: 'accepted' } : undefined
      await Promise.all([OWNER, ADMIN].map((actorId) => answer(store, seq, { actorId, decide })))
      const { events } = await store.readEvents(CAROL, 0, 10)
      t.equal(events.length, 1)
      t.match(await store.findGroup(groupId), { memberCount: 4 })
    })

    t.test('keeps what is told about it in the same commit, or neither', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const { seq } = await ask(store, groupId)
      const notice = {
        audience: [CAROL],
        title: 'title',
        message: 'words',
        kind: 'info',
        actionUrl: '',
        createdAt: NOW
      } as const
      const rejected: Answer = { state: 'rejected', notice: { notice, keepFrom: 0 } }
      const decide = (): never => {
        throw new ActionError('forbidden', 'no')
      }
      t.equal(await refusal(answer(store, seq, { decide })), 'forbidden')
      t.equal(await store.lastNoticeId(), 0)
      await answer(store, seq, { decide: () => rejected })
      t.match(await store.readNotices(0, 10), [{ audience: [CAROL], message: 'words' }])
      t.match(await store.listRequests(groupId, ALL), { requests: [{ state: 'rejected', operatorId: ADMIN }] })
      t.notOk(await store.isMember(groupId, CAROL))
    })
  })

  t.test('notifications', async (t) => {
    const typesOf = async (store: Store, accountId: number): Promise<string[]> =>
      (await store.listNotifications(accountId, { limit: 100 })).map(({ type, targetId }) => `${type} ${targetId}`)

    t.test('tell what became of members, newest first, to whom it concerns', async (t) => {
      const { store, groupId } = await openGrouped(t)
      await join(store, groupId, CAROL)
      await join(store, groupId, DAVE)
      const left = (accountId: number, operatorId?: number): NonNullable<GroupDecision> => ({
        change: { type: 'remove', accountId, newOwnerId: undefined },
        event: { kind: 'member.left', data: { accountId, ...(operatorId !== undefined && { operatorId }) } }
      })
      await change(store, groupId, MEMBER, {
        change: { type: 'set-role', accountId: MEMBER, role: 'admin' },
        event: { kind: 'admin.changed', data: { accountId: MEMBER, operatorId: OWNER, isSet: true } }
      })
      await change(store, groupId, CAROL, left(CAROL, ADMIN))
      await change(store, groupId, DAVE, left(DAVE))
      await change(store, groupId, MEMBER, {
        change: { type: 'ban', accountId: MEMBER, operatorId: OWNER },
        event: { kind: 'member.left', data: { accountId: MEMBER, operatorId: OWNER } }
      })
      await change(store, groupId, undefined, {
        change: { type: 'hand-over', fromId: OWNER, toId: ADMIN },
        event: { kind: 'owner.changed', data: { accountId: ADMIN, operatorId: OWNER } }
      })
      const everything = [`kick ${MEMBER}`, `quit ${DAVE}`, `kick ${CAROL}`, `admin_change ${MEMBER}`]
      t.strictSame(await typesOf(store, OWNER), everything)
      t.strictSame(await typesOf(store, ADMIN), everything)
      t.strictSame(await typesOf(store, MEMBER), [`kick ${MEMBER}`, `admin_change ${MEMBER}`])
      t.strictSame(await typesOf(store, CAROL), [`kick ${CAROL}`])
      t.strictSame(await typesOf(store, DAVE), [], 'who quits knows it')
      const [kick, , , promoted] = await store.listNotifications(OWNER, { limit: 10 })
      const common = { groupId, createdAt: NOW }
      t.strictSame(kick, { type: 'kick', seq: kick?.seq, targetId: MEMBER, operatorId: OWNER, ...common })
      t.match(promoted, { type: 'admin_change', targetId: MEMBER, operatorId: OWNER, isSet: true })
    })

    t.test('of several groups stand in one order, in pages', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const { id: other } = await addGroup(store, [OWNER])
      const { id: foreign } = await addGroup(store, [DAVE, OWNER])
      const seqs: number[] = []
      for (const id of [groupId, other, foreign, groupId, other])
        seqs.push((await ask(store, id, { initiatorId: (await addAccounts(store, 1), await newest(store)) })).seq)
      await invite(store, groupId)
      const own = [seqs[4], seqs[3], seqs[1], seqs[0]]
      const list = async (startSeq: number | undefined, limit: number): Promise<number[]> =>
        (await store.listNotifications(OWNER, { startSeq, limit })).map(({ seq }) => seq)
      t.strictSame(await list(undefined, 10), own)
      t.strictSame(await list(undefined, 2), own.slice(0, 2))
      t.strictSame(await list(own[2], 2), own.slice(2), 'the start is part of the page')
      t.strictSame(await list(seqs[2], 10), own.slice(2), 'and may be any number')
    })

    t.test('are kept while they are open, and of what is over the newest thousand', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const { id: other } = await addGroup(store, [OWNER])
      await addAccounts(store, 1003)
      const ids = range(10006, 11008)
      const pending = await ask(store, groupId, { initiatorId: 10006 })
      const foreign = await ask(store, other, { initiatorId: 10006 })
      await answer(store, foreign.seq, { actorId: OWNER, decide: () => ({ state: 'rejected' }) })
      const asked = await Promise.all(ids.slice(1).map((initiatorId) => ask(store, groupId, { initiatorId })))
      await Promise.all(asked.map(({ seq }) => answer(store, seq, { decide: () => ({ state: 'rejected' }) })))
      const { requests, total } = await store.listRequests(groupId, { offset: 0, limit: 2000 })
      t.equal(total, 1001)
      t.strictSame(
        requests.map(({ seq }) => seq),
        [
          pending.seq,
          ...asked
            .slice(-1000)
            .map(({ seq }) => seq)
            .toReversed()
        ]
      )
      t.match(await store.listRequests(other, ALL), { total: 1 }, 'each group has its own')
    })

    t.test('list what is open first', async (t) => {
      const { store, groupId } = await openGrouped(t)
      const first = await ask(store, groupId)
      const second = await ask(store, groupId, { initiatorId: DAVE })
      await answer(store, second.seq, { decide: () => ({ state: 'rejected' }) })
      const { requests, total } = await store.listRequests(groupId, { offset: 0, limit: 1 })
      t.strictSame([requests.map(({ seq }) => seq), total], [[first.seq], 2])
    })
  })

  t.test('when an account or a group goes, nothing of it waits', async (t) => {
    const { store, groupId } = await openGrouped(t)
    await ask(store, groupId, { initiatorId: DAVE })
    await invite(store, groupId, MEMBER, CAROL)
    const invitation = await invite(store, groupId, ADMIN, CAROL)
    await store.disableAccount(DAVE, NOW)
    t.match(await store.listRequests(groupId, ALL), { requests: [{ targetId: CAROL }], total: 1 })
    await store.disableAccount(MEMBER, NOW)
    t.strictSame(await store.listRequests(groupId, ALL), { requests: [], total: 0 })
    t.match(await store.listInvitations(CAROL, ALL), { requests: [{ seq: invitation.seq }] })

    await ask(store, groupId)
    for (const id of [OWNER, MEMBER, ADMIN]) await leave(store, groupId, id)
    t.strictSame(await store.listRequests(groupId, ALL), { requests: [], total: 0 })
    t.strictSame(await store.listInvitations(CAROL, ALL), { requests: [], total: 0 })
    await join(store, groupId, OWNER)
    await change(store, groupId, OWNER, { change: { type: 'set-role', accountId: OWNER, role: 'owner' } })
    t.strictSame(await store.listNotifications(OWNER, { limit: 10 }), [])
  })

  t.test('a picture of a group is kept until the next one', async (t) => {
    const { store, groupId } = await openGrouped(t)
    const add = (sha256: string): Promise<{ id: number }> =>
      store.addFile({
        ownerId: OWNER,
        sha256,
        name: 'a.png',
        mime: 'image/png',
        size: 1,
        width: 1,
        height: 1,
        durationS: 0,
        createdAt: NOW
      })
    const show = ({ id: fileId }: { id: number }): Promise<void> =>
      change(store, groupId, undefined, { change: { type: 'set-avatar', url: `/${fileId}`, fileId } })
    const [first, second] = [await add('aa'), await add('bb')]
    await show(first)
    t.match(await store.findGroup(groupId), { avatarUrl: `/${first.id}` })
    t.match(await store.findChat(groupId), { avatarUrl: `/${first.id}` })
    t.equal(await store.removeFile(first.id), false, 'it is shown')
    await show(first)
    t.ok(await store.findFile(first.id), 'the same again stays')
    await show(second)
    t.equal(await store.findFile(first.id), undefined)
    t.strictSame(await store.listLooseContents(10), ['aa'])
    t.match(await store.findChat(groupId), { avatarUrl: `/${second.id}` })
  })

  t.test('a title is given and taken away', async (t) => {
    const { store, groupId } = await openGrouped(t)
    for (const title of ['Poet', '']) {
      await change(store, groupId, MEMBER, { change: { type: 'set-title', accountId: MEMBER, title } })
      t.match(await store.findMember(groupId, MEMBER), { title })
      t.match(await store.findMember(groupId, OWNER), { title: '' })
    }
  })
}

async function newest(store: Store): Promise<number> {
  return (await store.listAccounts('person')).at(-1)?.id ?? 0
}

function change(
  store: Store,
  groupId: number,
  targetId: number | undefined,
  decision: NonNullable<GroupDecision>
): Promise<void> {
  return store.changeGroup({ groupId, targetId, time: NOW, decide: () => decision })
}

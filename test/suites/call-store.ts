import type { Test } from 'tap'
import type { CallBeginning, CallDraft } from '../../src/core/call-record.ts'
import { ActionError } from '../../src/core/errors.ts'
import type { Store } from '../../src/core/store.ts'
import { addAccounts, range, refusal } from './store.ts'

const NOW = 1_700_000_000
const [A, B, C] = [10001, 10002, 10003] as const

/** What every driver must do about calls. `open` gives an empty store that is closed when the test ends. */
export function callStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  async function openWithPeople(t: Test): Promise<Store> {
    const store = await open(t)
    await addAccounts(store, 3)
    return store
  }

  t.test('a call', async (t) => {
    t.test('rings, is answered and ends, and frees both', async (t) => {
      const store = await openWithPeople(t)
      t.strictSame(await begin(store, 'one', A, B), { type: 'begun' })
      const ringing = {
        id: 'one',
        callerId: A,
        calleeId: B,
        kind: 'audio',
        status: 'ringing',
        reason: undefined,
        createdAt: NOW,
        answeredAt: undefined,
        endedAt: undefined
      } as const
      t.strictSame(await store.findCall('one'), ringing)
      t.equal(await store.answerCall('one', NOW + 2), true)
      t.equal(await store.answerCall('one', NOW + 3), false, 'only one answers')
      const active = { ...ringing, status: 'active', answeredAt: NOW + 2 } as const
      t.strictSame(await store.findCall('one'), active)
      const end = { status: 'ended', reason: 'user_hangup', time: NOW + 9 } as const
      t.equal(await store.endCall('one', end), true)
      t.equal(await store.endCall('one', { ...end, reason: 'timeout', time: NOW + 10 }), false, 'it ends once')
      t.strictSame(await store.findCall('one'), { ...active, status: 'ended', reason: 'user_hangup', endedAt: NOW + 9 })
      t.equal(await store.answerCall('one', NOW + 11), false)
      t.strictSame(await begin(store, 'two', B, A), { type: 'begun' })
      t.equal(await store.findCall('three'), undefined)
      t.equal(await store.endCall('three', end), false)
    })

    t.test('of an id that was used is not begun', async (t) => {
      const store = await openWithPeople(t)
      await begin(store, 'one', A, B)
      t.strictSame(await begin(store, 'one', C, B), { type: 'taken' })
      await store.endCall('one', { status: 'missed', reason: 'timeout', time: NOW })
      t.strictSame(await begin(store, 'one', A, B), { type: 'taken' })
      t.match(await store.findCall('one'), { callerId: A, reason: 'timeout' })
    })

    t.test('of somebody in a call is not begun, and they hear which one it is', async (t) => {
      const store = await openWithPeople(t)
      await begin(store, 'one', A, B)
      for (const caller of [A, B]) {
        t.match(await begin(store, 'two', caller, C), { type: 'caller_busy', call: { id: 'one', callerId: A } })
        t.equal(await store.findCall('two'), undefined, 'nothing is kept')
      }
      t.match(await begin(store, 'two', B, A), { type: 'caller_busy', call: { id: 'one' } }, 'both are busy')
      t.strictSame(await begin(store, 'three', C, B), { type: 'callee_busy' })
      await store.endCall('one', { status: 'ended', reason: 'user_hangup', time: NOW })
      t.strictSame(await begin(store, 'four', C, B), { type: 'begun' }, 'nobody stayed busy')
    })

    t.test('to somebody in a call is missed', async (t) => {
      const store = await openWithPeople(t)
      await begin(store, 'one', A, B)
      t.strictSame(await begin(store, 'two', C, A), { type: 'callee_busy' })
      t.match(await store.findCall('two'), { status: 'missed', reason: 'user_busy', endedAt: NOW })
    })

    t.test('of two who call each other at once there is one', async (t) => {
      const store = await openWithPeople(t)
      for (const round of range(1, 50)) {
        const results = await Promise.all([begin(store, `a${round}`, A, B), begin(store, `b${round}`, B, A)])
        t.strictSame(results.map(({ type }) => type).toSorted(), ['begun', 'caller_busy'])
        const winner = results[0]?.type === 'begun' ? `a${round}` : `b${round}`
        t.match(
          results.find(({ type }) => type === 'caller_busy'),
          { call: { id: winner } }
        )
        await store.endCall(winner, { status: 'ended', reason: 'user_hangup', time: NOW })
      }
    })
  })

  t.test('the rule of who calls whom is asked in the transaction', async (t) => {
    const store = await openWithPeople(t)
    const seen: object[] = []
    const look = (callerId: number, calleeId: number): Promise<string> =>
      refusal(
        begin(store, 'one', callerId, calleeId, (relation) => {
          seen.push(relation)
          throw new ActionError('forbidden', 'only looking')
        })
      )
    t.equal(await look(A, B), 'forbidden')
    t.equal(await store.findCall('one'), undefined)
    await store.openPrivateChat(A, B, NOW)
    await look(A, B)
    await look(B, A)
    await store.addFriendship(A, C, NOW)
    await look(A, C)
    await look(C, A)
    await look(B, C)
    await look(A, 4242)
    await store.disableAccount(B, NOW)
    await look(A, B)
    const relation = (isThere: boolean, isAcquainted: boolean): object => ({ isThere, isAcquainted, isBlocked: false })
    t.strictSame(seen, [
      relation(true, false),
      relation(true, true),
      relation(true, true),
      relation(true, true),
      relation(true, true),
      relation(true, false),
      relation(false, false),
      relation(false, true)
    ])
  })

  t.test('what was live when the gateway crashed ends with the next start', async (t) => {
    const store = await openWithPeople(t)
    await addAccounts(store, 1)
    await begin(store, 'old', A, B)
    await store.endCall('old', { status: 'rejected', reason: 'user_rejected', time: NOW })
    await begin(store, 'ringing', A, B)
    await begin(store, 'active', C, 10004)
    await store.answerCall('active', NOW + 1)
    t.equal(await store.endAllCalls(NOW + 60), 2)
    t.match(await store.findCall('old'), { status: 'rejected', reason: 'user_rejected', endedAt: NOW })
    t.match(await store.findCall('ringing'), { status: 'missed', reason: 'network_error', endedAt: NOW + 60 })
    t.match(await store.findCall('active'), { status: 'ended', reason: 'network_error', endedAt: NOW + 60 })
    t.strictSame(await begin(store, 'new', 10004, B), { type: 'begun' })
    t.equal(await store.endAllCalls(NOW + 61), 1)
    t.equal(await store.endAllCalls(NOW + 62), 0)
  })

  t.test('calls are listed for both sides, the newest first, in pages', async (t) => {
    const store = await openWithPeople(t)
    for (const number of range(1, 6)) {
      const [caller, callee] = number % 2 === 0 ? [A, B] : [B, A]
      await begin(store, `call ${number}`, caller, callee, undefined, NOW + number)
      await store.endCall(`call ${number}`, { status: 'missed', reason: 'timeout', time: NOW + number })
    }
    await begin(store, 'other', C, B, undefined, NOW + 3)
    const ids = async (accountId: number, offset: number, limit: number): Promise<string[]> =>
      (await store.listCalls(accountId, { offset, limit })).calls.map(({ id }) => id)
    t.strictSame(await ids(A, 0, 4), ['call 6', 'call 5', 'call 4', 'call 3'])
    t.strictSame(await ids(A, 4, 4), ['call 2', 'call 1'])
    t.strictSame(await ids(B, 2, 4), ['call 4', 'other', 'call 3', 'call 2'])
    t.equal((await store.listCalls(A, { offset: 0, limit: 1 })).total, 6)
    t.equal((await store.listCalls(B, { offset: 9, limit: 1 })).total, 7)
    t.strictSame(await store.listCalls(4242, { offset: 0, limit: 9 }), { calls: [], total: 0 })
  })
}

function begin(
  store: Store,
  id: string,
  callerId: number,
  calleeId: number,
  check: CallDraft['check'] = () => {},
  time = NOW
): Promise<CallBeginning> {
  return store.beginCall({ id, callerId, calleeId, kind: 'audio', time, check })
}

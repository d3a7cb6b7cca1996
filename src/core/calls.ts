import type { Undo } from './bus.ts'
import { createCallLetters, type CallMedia, type Letter } from './call-letters.ts'
import type { CallEnd, CallKind, CallStore } from './call-record.ts'
import { busy, checkMayCall, elsewhere, isOver, isParty, over } from './call-rules.ts'
import { createCallSide, type CallSide } from './call-side.ts'
import type { Clock } from './clock.ts'
import type { Device, Devices } from './devices.ts'
import { ActionError } from './errors.ts'
import type { CallParties, IceCandidate, Signal } from './signal.ts'
import { createTurns } from './turns.ts'

/** Who does something about a call, and by which connection; none over REST. */
export interface CallActor {
  readonly accountId: number
  readonly deviceId: string | undefined
}

export interface CallOffer extends CallMedia {
  readonly toId: number
  /** The caller's own name for the call; used when no call ever had it. */
  readonly callId: string | undefined
  readonly kind: CallKind
  /** An offer with the id of a call that goes on is about that call, such as for a further stream. */
  readonly mayRenew: boolean
}

/**
 * Calls: who rings whom, who answers, how it ends (IM-Suite 2.5). Every method throws `ActionError` to refuse:
 * `busy`, `no_call` (also to who is no party), `wrong_state`, `forbidden` (blocked), `not_found`, `invalid`.
 */
export interface Calls {
  /** Gives the id of the call. Nobody there, and somebody in another call, are calls that end at once. */
  readonly offer: (caller: CallActor, offer: CallOffer) => Promise<string>
  readonly answer: (callee: CallActor, callId: string, media: CallMedia) => Promise<void>
  /** Without an id it is about the one live call of the account. */
  readonly sendCandidate: (actor: CallActor, callId: string | undefined, candidate: IceCandidate) => Promise<void>
  /** Again is no mistake. */
  readonly end: (actor: CallActor, callId: string | undefined, reason: string | undefined) => Promise<void>
  /** Whether the account is in this call now, and it was answered. */
  readonly isActive: (accountId: number, callId: string) => boolean
  /** Ends all that is live. */
  readonly close: () => Promise<void>
}

export interface CallsOptions {
  readonly store: CallStore
  readonly devices: Pick<Devices, 'of' | 'find' | 'watch'>
  readonly clock: Clock
  readonly tell: (signal: Signal) => void
  readonly onError: (err: unknown) => void
  readonly newId: () => string
  readonly ringMs: number
  /** How long a call waits for a device that lost its connection. */
  readonly graceMs: number
}

/** Candidates of one side in one call, those of its offer or answer counted (contract 2.5). */
const MAX_CANDIDATES = 200
/** Candidates of the caller that are kept for devices that come while it rings. */
const MAX_KEPT = 100
/** When the store could not write that a call has ended. */
const RETRY_MS = 1000

/** A call that rings, or, once the callee has a side, is talked in. It changes in its own turn only. */
interface LiveCall {
  readonly id: string
  readonly callerId: number
  readonly calleeId: number
  /** The offer and what the caller has sent since, for devices that come late. Never stored. */
  readonly kept: Letter[]
  readonly caller: CallSide
  callee: CallSide | undefined
  answeredAt: number | undefined
  readonly stopRinging: Undo
  /** Candidates so far, by account. */
  readonly counts: Map<number, number>
  /** Who has made a further offer that has no answer yet. */
  readonly renewing: Set<number>
}

interface Verdict {
  /** Of a call that nobody has answered; any other is `ended`. */
  readonly status: CallEnd['status']
  readonly reason: string
  /** More than the document has a word for. */
  readonly detail?: string
  /** The device that ended it, which need not be told. */
  readonly by?: string | undefined
}

export function createCalls(options: CallsOptions): Calls {
  const { store, devices, clock, tell, onError, newId } = options
  const { toOffer, toAnswer, toCandidate, toEnd } = createCallLetters(clock.now)
  /** What is decided about one call is decided in its turn; who is busy is decided by the store. */
  const turns = createTurns()
  const live = new Map<string, LiveCall>()
  const byAccount = new Map<number, LiveCall>()
  /** Sides of live calls, and of calls that ended while their device was away. */
  const sides = new Map<number, Set<CallSide>>()
  const waits = new Set<Undo>()
  let isClosed = false

  function after(ms: number, work: () => void): Undo {
    if (isClosed) return () => {}
    const undo = clock.after(ms, () => {
      waits.delete(cancel)
      work()
    })
    const cancel = (): void => {
      waits.delete(cancel)
      undo()
    }
    waits.add(cancel)
    return cancel
  }

  const ringing = (call: LiveCall): readonly Device[] =>
    devices.of(call.calleeId).filter(({ kind }) => kind === 'person')

  /** To each device by itself: one that comes at this moment is given everything once, on its coming. */
  function tellDevice({ accountId, id }: Device, letter: Letter): void {
    tell(letter({ audience: [accountId], onlyDevice: id }))
  }

  function deviceOf({ deviceId }: CallActor): Device {
    const device = deviceId === undefined ? undefined : devices.find(deviceId)
    if (device?.kind !== 'person')
      throw new ActionError('wrong_state', 'a call is made and answered by a WebSocket connection that is open')
    return device
  }

  function openSide(device: Device, call: () => LiveCall): CallSide {
    const own = sides.get(device.accountId) ?? new Set()
    const side = createCallSide({
      device,
      after,
      graceMs: options.graceMs,
      tell,
      onLost: (isAway) => conclude(call(), { status: 'missed', reason: 'network_error' }, isAway),
      onDone() {
        own.delete(side)
        if (own.size === 0 && sides.get(device.accountId) === own) sides.delete(device.accountId)
      }
    })
    sides.set(device.accountId, own.add(side))
    return side
  }

  /** The device may have gone while the store was writing. */
  function lookAfter(side: CallSide, device: Device): void {
    if (!devices.find(device.id)) side.left(device)
  }

  /** False when the id was used before. */
  async function begin(id: string, caller: Device, offer: CallOffer): Promise<boolean> {
    const { toId: calleeId, kind } = offer
    const callerId = caller.accountId
    const time = clock.now()
    const begun = await store.beginCall({ id, callerId, calleeId, kind, time, check: checkMayCall })
    if (begun.type === 'taken') return false
    if (begun.type === 'caller_busy') throw busy(callerId, calleeId, begun.call)
    if (begun.type === 'callee_busy') {
      const parties = { callId: id, fromId: calleeId, toId: callerId }
      tellDevice(caller, toEnd(parties, { reason: 'user_busy', endedAt: time }))
      return true
    }
    const call: LiveCall = {
      id,
      callerId,
      calleeId,
      kept: [toOffer({ callId: id, fromId: callerId, toId: calleeId }, kind, offer)],
      caller: openSide(caller, () => call),
      callee: undefined,
      answeredAt: undefined,
      stopRinging: after(options.ringMs, () =>
        conclude(call, { status: 'missed', reason: 'timeout' }, () => !call.callee)
      ),
      counts: new Map([[callerId, offer.candidates.length]]),
      renewing: new Set()
    }
    live.set(id, call)
    for (const accountId of [callerId, calleeId]) byAccount.set(accountId, call)
    const rung = ringing(call)
    for (const device of rung) replay(call, device)
    lookAfter(call.caller, caller)
    if (rung.length === 0) await finish(call, { status: 'missed', reason: 'timeout', detail: 'user_offline' })
    return true
  }

  function replay({ kept }: LiveCall, device: Device): void {
    for (const letter of kept) tellDevice(device, letter)
  }

  /** The call, in its turn; undefined when it is over. One answer for what is not there and what is not theirs. */
  async function find(accountId: number, callId: string): Promise<LiveCall | undefined> {
    const call = live.get(callId)
    const parties = call ?? (await store.findCall(callId))
    if (parties?.callerId !== accountId && parties?.calleeId !== accountId)
      throw new ActionError('no_call', `there is no call ${callId}`, { field: 'call_id' })
    return call
  }

  function idOf(accountId: number, callId: string | undefined): string {
    const id = callId ?? byAccount.get(accountId)?.id
    if (id === undefined) throw new ActionError('no_call', 'you are in no call', { field: 'call_id' })
    return id
  }

  /** The side that the device speaks for, and the other, when there is one. */
  function sidesOf(call: LiveCall, { accountId, deviceId }: CallActor) {
    const { caller, callee } = call
    const [own, peer] = accountId === call.callerId ? [caller, callee] : [callee, caller]
    if (!own) throw new ActionError('wrong_state', 'the call was not answered yet')
    if (deviceId === undefined || !own.admits(deviceId)) throw elsewhere()
    return { own, peer }
  }

  function count(call: LiveCall, accountId: number): void {
    const sum = (call.counts.get(accountId) ?? 0) + 1
    if (sum > MAX_CANDIDATES)
      throw new ActionError('too_large', `one side sends at most ${MAX_CANDIDATES} candidates`, {
        field: 'ice_candidate'
      })
    call.counts.set(accountId, sum)
  }

  /** A further offer in a call that goes on. */
  function renew(actor: CallActor, callId: string, offer: CallOffer): Promise<void> {
    return turns.take(callId, async () => {
      const call = await find(actor.accountId, callId)
      if (!call) throw over()
      const { own, peer } = sidesOf(call, actor)
      // Other media come by other roads.
      call.counts.set(own.accountId, offer.candidates.length)
      call.renewing.add(own.accountId)
      peer?.tell(toOffer(partiesOf(call, own.accountId), offer.kind, offer))
    })
  }

  async function finish(call: LiveCall, { status, reason, detail, by }: Verdict): Promise<void> {
    const { id: callId, caller, callee, callerId, calleeId, answeredAt } = call
    const endedAt = clock.now()
    await store.endCall(callId, { status: callee ? 'ended' : status, reason, time: endedAt })
    live.delete(callId)
    for (const accountId of [callerId, calleeId]) if (byAccount.get(accountId) === call) byAccount.delete(accountId)
    call.stopRinging()
    // Whoever is told hears it from the other side.
    const end = { reason, endedAt, answeredAt, detail }
    const toCaller = toEnd({ callId, fromId: calleeId, toId: callerId }, end)
    const toCallee = toEnd({ callId, fromId: callerId, toId: calleeId }, end)
    if (by === undefined || !caller.admits(by)) caller.tell(toCaller)
    if (!callee) for (const device of ringing(call)) if (device.id !== by) tellDevice(device, toCallee)
    if (callee && (by === undefined || !callee.admits(by))) callee.tell(toCallee)
    caller.leave()
    callee?.leave()
  }

  /** Time ends a call, if things are still so when its turn comes. */
  function conclude(call: LiveCall, verdict: Verdict, isStillSo: () => boolean): void {
    turns
      .take(call.id, async () => {
        if (live.get(call.id) === call && isStillSo()) await finish(call, verdict)
      })
      .catch((err: unknown) => {
        onError(err)
        // Two people must not stay busy for ever.
        after(RETRY_MS, () => conclude(call, verdict, isStillSo))
      })
  }

  function isActive(accountId: number, callId: string): boolean {
    const call = live.get(callId)
    return call?.callee !== undefined && [call.callerId, call.calleeId].includes(accountId)
  }

  const unwatch = devices.watch({
    joined(device) {
      for (const side of sides.get(device.accountId) ?? []) side.joined(device)
      const call = byAccount.get(device.accountId)
      if (device.kind === 'person' && call && !call.callee && call.calleeId === device.accountId) replay(call, device)
    },
    left(device) {
      for (const side of sides.get(device.accountId) ?? []) side.left(device)
    }
  })

  return {
    isActive,

    async offer(actor, offer) {
      const { toId, callId, mayRenew } = offer
      const caller = deviceOf(actor)
      if (callId !== undefined && isActive(actor.accountId, callId)) {
        if (!mayRenew) throw new ActionError('wrong_state', 'the call was answered already')
        await renew(actor, callId, offer)
        return callId
      }
      if (toId === actor.accountId) throw new ActionError('invalid', 'you cannot call yourself', { field: 'to_user' })
      const known = callId === undefined ? undefined : await store.findCall(callId)
      // Who meant a call that has just ended does not want to ring again.
      if (mayRenew && known && isOver(known) && isParty(known, actor.accountId)) throw over()
      for (let id = known ? newId() : (callId ?? newId()); ; id = newId()) {
        const wanted = id
        if (await turns.take(wanted, () => begin(wanted, caller, offer))) return wanted
      }
    },

    answer: (actor, callId, media) =>
      turns.take(callId, async () => {
        const call = await find(actor.accountId, callId)
        if (!call) throw over()
        const { callerId, calleeId } = call
        const time = clock.now()
        if (call.callee) return answerRenewal(call, actor, media, time)
        if (actor.accountId !== calleeId) throw new ActionError('wrong_state', 'only the callee answers a call')
        const device = deviceOf(actor)
        if (!(await store.answerCall(callId, time))) throw over()
        call.stopRinging()
        call.kept.length = 0
        call.answeredAt = time
        call.callee = openSide(device, () => call)
        call.counts.set(calleeId, media.candidates.length)
        call.caller.tell(toAnswer({ callId, fromId: calleeId, toId: callerId }, media, time))
        const taken = { reason: 'answered_elsewhere', endedAt: time }
        const toOthers = toEnd({ callId, fromId: callerId, toId: calleeId }, taken)
        for (const other of ringing(call)) if (other.id !== device.id) tellDevice(other, toOthers)
        lookAfter(call.callee, device)
      }),

    async sendCandidate(actor, given, candidate) {
      const callId = idOf(actor.accountId, given)
      await turns.take(callId, async () => {
        const call = await find(actor.accountId, callId)
        // Candidates are still under way when a call ends.
        if (!call) return
        const { own, peer } = sidesOf(call, actor)
        count(call, own.accountId)
        const letter = toCandidate(partiesOf(call, own.accountId), candidate)
        if (peer) return peer.tell(letter)
        if (call.kept.length <= MAX_KEPT) call.kept.push(letter)
        for (const device of ringing(call)) tellDevice(device, letter)
      })
    },

    async end({ accountId, deviceId }, given, reason) {
      const callId = idOf(accountId, given)
      await turns.take(callId, async () => {
        const call = await find(accountId, callId)
        if (!call) return
        const own = accountId === call.callerId ? call.caller : call.callee
        // While it rings every device of the callee speaks for them, and over REST the account itself.
        if (own && deviceId !== undefined && !own.admits(deviceId)) throw elsewhere()
        await finish(call, {
          status: own ? 'missed' : 'rejected',
          reason: reason ?? (own ? 'user_hangup' : 'user_rejected'),
          by: deviceId
        })
      })
    },

    async close() {
      unwatch()
      isClosed = true
      for (const cancel of waits) cancel()
      await turns.settled()
      await store.endAllCalls(clock.now()).catch(onError)
    }
  }

  function answerRenewal(call: LiveCall, actor: CallActor, media: CallMedia, time: number): void {
    const parties = partiesOf(call, actor.accountId)
    if (!call.renewing.has(parties.toId)) throw new ActionError('wrong_state', 'the call was answered already')
    const { own, peer } = sidesOf(call, actor)
    call.renewing.delete(parties.toId)
    call.counts.set(own.accountId, media.candidates.length)
    peer?.tell(toAnswer(parties, media, time))
  }
}

function partiesOf({ id, callerId, calleeId }: LiveCall, fromId: number): CallParties {
  return { callId: id, fromId, toId: fromId === callerId ? calleeId : callerId }
}

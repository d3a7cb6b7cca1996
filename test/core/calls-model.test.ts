import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import type { Undo } from '../../src/core/bus.ts'
import { createCalls } from '../../src/core/calls.ts'
import { createDevices } from '../../src/core/devices.ts'
import { ActionError } from '../../src/core/errors.ts'
import type { Signal } from '../../src/core/signal.ts'
import { openSqliteStore } from '../../src/store/index.ts'
import { createTestClock } from '../helpers/clock.ts'
import { addAccounts } from '../suites/store.ts'

const PEOPLE = [10001, 10002, 10003] as const
const RING_S = 30
const GRACE_S = 10

interface Step {
  readonly type: 'offer' | 'answer' | 'ice' | 'end' | 'come' | 'go' | 'time' | 'settle'
  readonly person: number
  readonly peer: number
  /** Which device of the person, of those that are there; one further is the account itself, over REST. */
  readonly device: number
  /** Which of the calls so far; the last is 0, and without a number it goes without an id. */
  readonly call: number | undefined
  readonly session: string | undefined
  readonly seconds: number
}

const step: fc.Arbitrary<Step> = fc.record({
  type: fc.constantFrom('offer', 'offer', 'answer', 'answer', 'ice', 'end', 'come', 'go', 'time', 'settle', 'settle'),
  person: fc.constantFrom(...PEOPLE),
  peer: fc.constantFrom(...PEOPLE),
  device: fc.nat({ max: 3 }),
  call: fc.option(fc.nat({ max: 2 }), { nil: undefined }),
  session: fc.constantFrom('one', 'two', undefined),
  seconds: fc.integer({ min: 1, max: RING_S })
})

async function openScene() {
  const store = await openSqliteStore({ path: ':memory:' })
  await addAccounts(store, PEOPLE.length)
  for (const a of PEOPLE) for (const b of PEOPLE) if (a < b) await store.addFriendship(a, b, 0)
  const clock = createTestClock()
  const devices = createDevices()
  const here = new Map<string, Undo>()
  /** What each device has heard, and what it has done with success, in order. */
  const heard = new Map<string, Signal[]>()
  const ended = new Set<string>()
  const ids: string[] = []
  let count = 0

  const calls = createCalls({
    store,
    devices,
    clock,
    tell(signal) {
      assert.ok(signal.onlyDevice !== undefined, 'what is about a call is for one device')
      if (here.has(signal.onlyDevice)) heard.get(signal.onlyDevice)?.push(signal)
    },
    onError: (err) => assert.fail(err as Error),
    newId: () => {
      const id = `call ${ids.length + 1}`
      ids.push(id)
      return id
    },
    ringMs: RING_S * 1000,
    graceMs: GRACE_S * 1000
  })

  function come(accountId: number, sessionId: string | undefined): void {
    const id = `${accountId}-${++count}`
    heard.set(id, [])
    // Here before it is told to anybody.
    here.set(id, () => {})
    here.set(id, devices.add({ id, accountId, sessionId, kind: 'person' }))
  }

  async function settle(): Promise<void> {
    for (let turn = 0; turn < 8; turn++) await nextTurn()
  }

  async function take(next: Step): Promise<void> {
    const { type, person, peer, call, seconds } = next
    const deviceId = devices.of(person)[next.device]?.id
    const actor = { accountId: person, deviceId }
    const callId = call === undefined ? undefined : ids.at(-1 - call)
    const media = { sdp: 'sdp', candidates: [] }
    if (type === 'offer') {
      await calls.offer(actor, { ...media, toId: peer, callId: undefined, kind: 'audio', mayRenew: false })
    } else if (type === 'answer') {
      if (callId !== undefined) await calls.answer(actor, callId, media)
    } else if (type === 'ice') {
      await calls.sendCandidate(actor, callId, { candidate: '' })
    } else if (type === 'end') {
      await calls.end(actor, callId, undefined)
      ended.add(`${deviceId} ${callId}`)
    } else if (type === 'come') {
      if (devices.of(person).length < 3) come(person, next.session)
    } else if (type === 'go') {
      here.get(deviceId ?? '')?.()
      here.delete(deviceId ?? '')
    } else if (type === 'time') {
      clock.advance(seconds * 1000)
    }
  }

  for (const id of PEOPLE) come(id, 'one')
  return { store, clock, devices, calls, heard, here, ended, ids, come, settle, take }
}

type Scene = Awaited<ReturnType<typeof openScene>>

async function checkNobodyIsInTwoCalls({ store }: Scene): Promise<void> {
  for (const id of PEOPLE) {
    const { calls } = await store.listCalls(id, { offset: 0, limit: 1000 })
    const live = calls.filter(({ status }) => status === 'ringing' || status === 'active')
    assert.ok(live.length <= 1, `${id} is in ${live.map((call) => call.id).join(' and ')}`)
  }
}

/** Everybody who is here can call everybody. */
async function checkNobodyIsBusy({ calls, devices, settle }: Scene): Promise<void> {
  for (const accountId of PEOPLE) {
    for (const toId of PEOPLE) {
      const device = devices.of(accountId)[0]
      if (!device || accountId === toId) continue
      const actor = { accountId, deviceId: device.id }
      const offer = { toId, callId: undefined, kind: 'audio', mayRenew: false, sdp: 'sdp', candidates: [] } as const
      await calls.end(actor, await calls.offer(actor, offer), undefined)
      await settle()
    }
  }
}

/** What one device heard about one call must make sense by itself. */
function checkStory(device: string, accountId: number, signals: readonly Signal[]): void {
  const byCall = Map.groupBy(signals, ({ data }) => ('callId' in data ? data.callId : ''))
  for (const [callId, story] of byCall) {
    const kinds = story.map(({ kind }) => kind)
    const words = `${device}, ${callId}: ${kinds.join(' ')}`
    const end = kinds.indexOf('call.ended')
    assert.ok(end === -1 || end === kinds.length - 1, `nothing comes after the end: ${words}`)
    assert.ok(kinds.filter((kind) => kind === 'call.offered').length <= 1, `it rings once: ${words}`)
    assert.ok(kinds.indexOf('call.offered') <= 0, `ringing comes first: ${words}`)
    assert.ok(kinds.filter((kind) => kind === 'call.answered').length <= 1, `it is answered once: ${words}`)
    for (const { audience, data } of story) {
      assert.deepEqual(audience, [accountId])
      assert.ok('toId' in data && data.toId === accountId && data.fromId !== accountId)
    }
  }
}

t.test('whatever people do at once, nobody is in two calls, and every call ends', async () => {
  const steps = fc.array(step, { minLength: 5, maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const scene = await openScene()
      const { store, clock, devices, heard, here, ended, ids, settle, take } = scene
      const refused = (err: unknown): void =>
        assert.ok(err instanceof ActionError && err.reason !== 'internal', String(err))

      let running: Promise<void>[] = []
      for (const next of list) {
        running.push(take(next).catch(refused))
        if (next.type !== 'settle') continue
        await settle()
        await Promise.all(running)
        running = []
        await checkNobodyIsInTwoCalls(scene)
      }
      await Promise.all(running)
      await settle()
      await checkNobodyIsInTwoCalls(scene)

      // Those who talk are cut off, those who ring give up.
      const stays = new Set(PEOPLE.flatMap((id) => devices.of(id).slice(0, 1)).map(({ id }) => id))
      for (const id of here.keys()) if (!stays.has(id)) await take({ ...goOf(id, devices.of), type: 'go' })
      clock.advance(GRACE_S * 1000)
      await settle()
      clock.advance(RING_S * 1000)
      await settle()
      for (const id of stays) {
        const accountId = Number(id.slice(0, 5))
        await scene.calls.end({ accountId, deviceId: undefined }, undefined, undefined).catch(refused)
      }
      await settle()

      for (const id of ids) {
        const call = await store.findCall(id)
        assert.ok(!call || (call.endedAt !== undefined && call.reason !== undefined), `${id} has ended`)
      }
      assert.equal(await store.endAllCalls(0), 0, 'nothing was left to a crash')
      clock.advance(GRACE_S * 1000)
      assert.equal(clock.waiting(), 0, 'nothing is waited for')
      for (const [device, signals] of heard) {
        checkStory(device, Number(device.slice(0, 5)), signals)
        if (!stays.has(device)) continue
        for (const { kind, data } of signals) {
          if (kind !== 'call.offered') continue
          const isTold = signals.some((other) => other.kind === 'call.ended' && other.data.callId === data.callId)
          const isOwn = ended.has(`${device} ${data.callId}`) || ended.has(`${device} undefined`)
          assert.ok(isTold || isOwn, `${device} knows that ${data.callId} has ended`)
        }
      }
      await checkNobodyIsBusy(scene)
      await scene.calls.close()
      await store.close()
    }),
    { numRuns: 300, interruptAfterTimeLimit: 10_000 }
  )
})

function goOf(deviceId: string, of: (accountId: number) => readonly { readonly id: string }[]): Step {
  const person = Number(deviceId.slice(0, 5))
  const device = of(person).findIndex(({ id }) => id === deviceId)
  return { type: 'go', person, peer: person, device, call: undefined, session: undefined, seconds: 1 }
}

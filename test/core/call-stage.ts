import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Undo } from '../../src/core/bus.ts'
import type { Signal } from '../../src/core/signal.ts'
import { openWorld, who, type World } from './world.ts'

/** Three people who know each other, and a bot that they know too. */
export const people = { a: who.owner, b: who.admin, c: who.member, bot: who.bot } as const
export type Name = keyof typeof people

export const SDP = 'v=0\r\n'
export const candidate = (number: number): { candidate: string; sdpMLineIndex: number; sdpMid: string } => ({
  candidate: `candidate:${number}`,
  sdpMLineIndex: 0,
  sdpMid: '0'
})

export interface Stage extends World {
  /** A device whose name begins with whose it is: `a1`, `b2`. Its session is that of the name, unless it is given. */
  readonly connect: (device: string, session?: string | null) => void
  readonly lose: (device: string) => void
  /** What a device asks for; gives `ok` or the reason of the refusal. */
  readonly ask: (device: string, action: string, params?: object) => Promise<string>
  readonly offer: (device: string, to: Name, more?: object) => Promise<string>
  readonly answer: (device: string, callId: string, more?: object) => Promise<string>
  readonly send: (device: string, callId: string | undefined, number?: number) => Promise<string>
  readonly end: (device: string, callId?: string, reason?: string) => Promise<string>
  /** Lets time pass, and what was due come to its end. */
  readonly pass: (seconds: number) => Promise<void>
  /** What devices have heard about calls since this was last asked for: `b1 offer call_001`. */
  readonly heard: () => Promise<string[]>
  /** The same, as it was told. */
  readonly told: () => Promise<Signal[]>
  readonly statusOf: (callId: string) => Promise<string | undefined>
}

export async function openStage(t: Test, devices: readonly string[] = ['a1', 'b1', 'b2', 'c1']): Promise<Stage> {
  const world = await openWorld(t)
  const { a, b, c, bot } = people
  await world.accounts.befriend(a, b)
  await world.accounts.befriend(a, bot)
  await world.writeTo(b, c, 'hello')
  await world.writeTo(c, a, 'hello')
  const connected = new Map<string, Undo>()

  function connect(device: string, session: string | null = `session of ${device}`): void {
    const name = device.replace(/\d+$/, '') as Name
    const kind = name === 'bot' ? 'bot' : 'person'
    const undo = world.devices.add({ id: device, accountId: people[name], sessionId: session ?? undefined, kind })
    connected.set(device, undo)
  }

  async function ask(device: string, action: string, params: object = {}): Promise<string> {
    const name = device.replace(/\d+$/, '') as Name
    const deviceId = /\d/.test(device) ? device : undefined
    const outcome = await world.dispatch(people[name], action, params, deviceId)
    if (outcome.ok) return 'ok'
    const { cause, callId } = outcome.error.details
    return [outcome.error.reason, cause, callId].filter((word) => word !== undefined).join(' ')
  }

  async function settle(): Promise<void> {
    // A commit takes a turn, and so does what comes of it.
    for (let turn = 0; turn < 6; turn++) await nextTurn()
  }

  async function told(): Promise<Signal[]> {
    await settle()
    return world.signals().filter(({ kind }) => kind.startsWith('call.'))
  }

  for (const device of devices) connect(device)
  await told()

  return {
    ...world,
    connect,
    lose: (device) => connected.get(device)?.(),
    ask,
    offer: (device, to, more = {}) =>
      ask(device, 'offer_call', { to_user: people[to], call_type: 'audio', sdp: SDP, ...more }),
    answer: (device, call_id, more = {}) => ask(device, 'answer_call', { call_id, sdp: SDP, ...more }),
    send: (device, call_id, number = 1) =>
      ask(device, 'send_call_candidate', { call_id, ice_candidate: candidate(number) }),
    end: (device, call_id, reason) => ask(device, 'end_call', { call_id, reason }),
    async pass(seconds) {
      world.clock.advance(seconds * 1000)
      await settle()
    },
    told,
    heard: async () => (await told()).map(toWords),
    statusOf: async (callId) => {
      const call = await world.store.findCall(callId)
      return call && [call.status, call.reason].filter((word) => word !== undefined).join(' ')
    }
  }
}

function toWords(signal: Signal): string {
  const to = signal.onlyDevice ?? 'everybody'
  if (signal.kind === 'call.offered') return `${to} offer ${signal.data.callId}`
  if (signal.kind === 'call.answered') return `${to} answer ${signal.data.callId}`
  if (signal.kind === 'call.candidate')
    return `${to} ice ${signal.data.callId} ${String(signal.data.candidate.candidate)}`
  if (signal.kind !== 'call.ended') return `${to} ${signal.kind}`
  const { callId, reason, durationS, detail } = signal.data
  return [to, 'end', callId, reason, `${durationS}s`, detail].filter((word) => word !== undefined).join(' ')
}

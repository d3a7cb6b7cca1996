import { SignJWT } from 'jose'
import type { Test } from 'tap'
import { startApp, type Running, type StartOptions } from './app.ts'
import { faultOf } from './imsuite-schemas.ts'
import { ask, type Answer } from './person.ts'
import { openSocket, type TestSocket } from './socket.ts'

export { TIMESTAMP } from './person.ts'
export const SECRET = 'a secret of at least thirty-two characters'
export const GROUP = 100001
export const alice = 10011
export const bob = 10012
export const carol = 10013

const people = {
  im: { jwt_secret: SECRET },
  provision: {
    accounts: [
      { id: alice, kind: 'person', username: 'alice', password: 'alice-secret', nickname: 'Alice' },
      { id: bob, kind: 'person', username: 'bob', password: 'bob-secret', nickname: 'Bob' },
      { id: carol, kind: 'person', username: 'carol', password: 'carol-secret', nickname: 'Carol' }
    ],
    // No friends: who is online is told to friends, and few tests want to hear it.
    friends: [],
    groups: [{ id: GROUP, name: 'Test group', owner: 10001, members: [10002, alice, bob] }]
  }
}

/** Limits that a test with many devices does not want to meet. */
const ROOMY = { im_user_connects: 1000, im_address_connects: 1000, sign_in_rate: 1000, login_rate: 1000 }

/** A running gateway with Alice and Bob, who share a group with two bots, and Carol, who is in nothing. */
export function startPeople(t: Test, more: Record<string, object> = {}, options: StartOptions = {}): Promise<Running> {
  const { limits, im, ...rest } = more
  return startApp(t, {
    ...options,
    config: { ...people, im: { ...people.im, ...im }, limits: { ...ROOMY, ...limits }, ...rest }
  })
}

/** A token as another IM-Suite server with the same secret makes it; no password has to be checked for it. */
export function tokenOf(accountId: number, lifeS = 3600): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT({ user_id: accountId, iat: now, exp: now + lifeS })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(new TextEncoder().encode(SECRET))
}

export interface DeviceOptions {
  /** A token of a session of ours, for what depends on sessions. */
  readonly token?: string
  /** More of the query, such as `ext=1`. */
  readonly query?: string
}

/** A device of a person, past its `connect` frame. What a base device hears is compared with the document as it comes. */
export async function openDevice(
  t: Test,
  app: Running,
  accountId: number,
  { token, query = '' }: DeviceOptions = {}
): Promise<TestSocket> {
  const device = await openSocket(t, `${app.ws}/ws?token=${token ?? (await tokenOf(accountId))}&${query}`)
  await device.next()
  if (query === '') {
    device.socket.on('message', (data) => {
      const fault = faultOf(JSON.parse(String(data)))
      if (fault !== undefined) t.fail(fault)
    })
  }
  return device
}

/**
 * Everything that came of what was sent until now: what is not there did not come. An answer comes before the events
 * that its question caused, so it takes two.
 */
export async function heardSoFar(device: TestSocket): Promise<any[]> {
  const heard: any[] = []
  for (const mark of [`first ${Math.random()}`, `second ${Math.random()}`]) {
    device.send({ type: 'ping', payload: { timestamp: mark } })
    for (let frame = await device.next(); frame.payload.timestamp !== mark; frame = await device.next())
      heard.push(frame)
  }
  return heard
}

/** A request of a person over REST. */
export const request = (app: Running, token: string, method: string, path: string, body?: unknown): Promise<Answer> =>
  ask(app, method, path, { token, body })

export const say = (content: string, chat_id = GROUP): object => ({
  type: 'message.send',
  payload: { chat_id, content }
})

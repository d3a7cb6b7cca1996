import type { Test } from 'tap'
import { sign, toSigningKey } from '../../src/net/signature.ts'
import { startApp, world, type Running, type StartOptions } from './app.ts'
import { ask, ROOMY, type Answer } from './person.ts'

/** A running gateway with Alice, who is an admin, and Bob, who is none. */
export interface Operated {
  readonly app: Running
  /** Of Alice. */
  readonly token: string
  /** Of Bob. */
  readonly stranger: string
  readonly get: (path: string, token?: string) => Promise<Answer>
  readonly post: (path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>
}

export const alice = 10011
export const bob = 10012

const provision = {
  ...world.provision,
  accounts: [
    ...world.provision.accounts,
    { id: bob, kind: 'person', username: 'bob', password: 'bob-secret', nickname: 'Bob' }
  ]
}

export async function startOperated(t: Test, { config = {}, ...more }: StartOptions = {}): Promise<Operated> {
  const app = await startApp(t, { ...more, config: { provision, ...ROOMY, ...config } })
  await app.lactea.gateway.store.setAdmin(alice, true)
  const [token, stranger] = [await app.signIn('alice', 'alice-secret'), await app.signIn('bob', 'bob-secret')]
  return {
    app,
    token,
    stranger,
    get: (path, who = token) => ask(app, 'GET', `/api/admin/${path}`, { token: who }),
    post: (path, body = {}, headers = {}) => ask(app, 'POST', `/api/admin/${path}`, { token, body, headers })
  }
}

/** A webhook that the store knows without a receiver behind it; gives its id. */
export async function addTarget({ app }: Pick<Operated, 'app'>, id = '10001-000000000001'): Promise<string> {
  const { store, now } = app.lactea.gateway
  const url = 'http://127.0.0.1:1/hook'
  await store.openTarget({ id, botId: 10001, url, cursorName: `webhook:${id}`, time: now() })
  return id
}

export interface SignedOrder {
  readonly id: string
  /** `whsec_…` */
  readonly key: string
  /** Of the key. */
  readonly keyId: number
  readonly time: number
  readonly body: string
}

/** The headers of a request that a script has signed. */
export function signedHeaders({ id, key, keyId, time, body }: SignedOrder): Record<string, string> {
  return {
    'operator-key': String(keyId),
    'webhook-id': id,
    'webhook-timestamp': String(time),
    'webhook-signature': sign([toSigningKey(key)], { id, time }, body)
  }
}

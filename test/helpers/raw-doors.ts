import type { Test } from 'tap'
import { world } from './app.ts'
import { dialRaw, type RawPeer } from './raw-peer.ts'

/** A configuration in which every kind of socket can be opened, and nothing that is counted gets in the way. */
export const openDoors = {
  ...world,
  limits: {
    http_rate: 10_000_000,
    upgrade_rate: 10_000_000,
    frame_rate: 10_000_000,
    im_user_connects: 10_000_000,
    im_address_connects: 10_000_000,
    im_connections: 10_000
  },
  maim: { keys: [{ api_key: 'key-one', account: 10001 }], legacy_tokens: ['legacy-one'] }
}

export interface Door {
  readonly path: string
  /** The key of its largest frame under `limits`. */
  readonly limit: 'milky_frame' | 'im_frame' | 'maim_frame' | 'maim_legacy_frame'
  /** `url` is that of the gateway, `ws://…`. */
  readonly dial: (t: Test, url: string, headers?: Record<string, string>) => Promise<RawPeer>
}

/** Every door that takes WebSockets; `token` is that of a person. */
export function doorsOf(token: string): readonly Door[] {
  let peers = 0
  const at = (path: string, limit: Door['limit'], query: string, own = (): Record<string, string> => ({})): Door => ({
    path,
    limit,
    dial: (t, url, headers = {}) => dialRaw(t, `${url}${path}?${query}`, { headers: { ...own(), ...headers } })
  })
  return [
    at('/', 'milky_frame', 'access_token=token-two'),
    at('/event', 'milky_frame', 'access_token=token-two'),
    at('/ws', 'im_frame', `token=${token}`),
    at('/im/ws', 'im_frame', `token=${token}`),
    at('/maim/ws', 'maim_frame', 'api_key=key-one&platform=x'),
    at('/maim/legacy/ws', 'maim_legacy_frame', '', () => ({
      platform: `peer-${++peers}`,
      authorization: 'legacy-one'
    }))
  ]
}

/** The token of the person in the world. */
export async function signIn(url: string): Promise<string> {
  const response = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'alice', password: 'alice-secret' })
  })
  return ((await response.json()) as { token: string }).token
}

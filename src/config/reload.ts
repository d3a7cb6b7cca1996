import type { Config } from './schema.ts'

/** When a change of a key counts. */
export type Effect = 'at once' | 'restart'

/**
 * What a reload (SIGHUP) takes: every key of the configuration is in here, alone or in the section or list around it, once.
 * A key is `at once` only if whatever reads it reads it again when it is used.
 */
export const EFFECTS = {
  'server.host': 'restart',
  'server.port': 'restart',
  // Their files are read again; it is their names that are not.
  'server.tls': 'restart',
  'server.listeners': 'restart',
  'server.trusted_proxies': 'restart',
  'server.public_url': 'restart',
  'server.bot_url': 'restart',
  'server.allowed_origins': 'at once',
  'server.metrics_token': 'at once',
  data: 'restart',
  media: 'restart',
  outgoing: 'restart',
  'im.registration': 'at once',
  'im.jwt_secret': 'restart',
  'im.accept_untyped_tokens': 'restart',
  'im.auth_reject': 'at once',
  'im.late_auth': 'at once',
  'im.lenient': 'at once',
  'im.replay': 'at once',
  'im.edit_window': 'at once',
  'im.ice_servers': 'at once',
  'im.jwks_url': 'restart',
  'im.jwks_issuer': 'restart',
  'im.jwks_audience': 'restart',
  bots: 'at once',
  'maim.keys': 'at once',
  'maim.legacy_tokens': 'at once',
  'maim.auth_reject': 'at once',
  'maim.compress': 'restart',
  provision: 'at once',
  'limits.http_body': 'restart',
  'limits.milky_frame': 'restart',
  'limits.im_frame': 'restart',
  'limits.maim_frame': 'restart',
  'limits.maim_legacy_frame': 'restart',
  'limits.maim_keep_time': 'restart',
  'limits.maim_keep_count': 'restart',
  'limits.maim_keep_bytes': 'restart',
  'limits.log_age': 'at once',
  'limits.log_count': 'at once',
  'limits.maim_repeat': 'restart',
  'limits.webhook_waiting': 'at once',
  'limits.webhook_attempts': 'at once',
  'limits.connection_buffer': 'at once',
  'limits.http_rate': 'at once',
  'limits.upgrade_rate': 'at once',
  'limits.login_rate': 'at once',
  'limits.login_failures': 'at once',
  'limits.frame_rate': 'at once',
  'limits.im_frame_rate': 'at once',
  'limits.im_frame_burst': 'at once',
  'limits.im_buffer': 'at once',
  'limits.im_connections': 'at once',
  'limits.im_user_connects': 'at once',
  'limits.im_address_connects': 'at once',
  'limits.im_message_rate': 'at once',
  'limits.im_message_burst': 'at once',
  'limits.im_chat_rate': 'at once',
  'limits.im_read_rate': 'at once',
  'limits.im_read_burst': 'at once',
  'limits.im_read_interval': 'at once',
  'limits.im_typing_ttl': 'at once',
  'limits.im_typing_members': 'at once',
  'limits.im_presence_grace': 'at once',
  'limits.im_presence_interval': 'at once',
  'limits.im_presence_audience': 'at once',
  'limits.im_ring_timeout': 'at once',
  'limits.im_call_grace': 'at once',
  'limits.im_offer_burst': 'at once',
  'limits.im_ping': 'restart',
  'limits.im_silence': 'at once',
  'limits.group_members': 'restart',
  'limits.file_size': 'restart',
  'limits.sign_in_rate': 'at once',
  'limits.action_time': 'at once',
  'limits.idempotency_time': 'at once',
  'limits.audit_entries': 'at once',
  'limits.message_text': 'at once',
  'limits.bot_message_text': 'at once',
  'log.level': 'at once'
} as const satisfies { readonly [key: string]: Effect }

/** `maim.keys[].account` → `maim.keys`: the entry of `EFFECTS` that a key of the reference belongs to. */
export function findEffectKey(key: string): keyof typeof EFFECTS | undefined {
  const known = Object.keys(EFFECTS) as (keyof typeof EFFECTS)[]
  return known.find((entry) => key === entry || key.startsWith(`${entry}.`) || key.startsWith(`${entry}[]`))
}

export interface ConfigChange {
  /** Keys that count from now on. */
  readonly applied: readonly string[]
  /** Keys that were changed in vain until the gateway is started again. */
  readonly waiting: readonly string[]
}

/**
 * Makes `current` say what `next` says, where that can change while the gateway runs. The sections of `current` stay the
 * same objects: whoever holds one and reads a key when it is needed has the new value, at no cost.
 */
export function adoptConfig(current: Config, next: Config): ConfigChange {
  const applied: string[] = []
  const waiting: string[] = []
  for (const [key, effect] of Object.entries(EFFECTS)) {
    const path = key.split('.')
    const value = valueAt(next, path)
    if (JSON.stringify(valueAt(current, path)) === JSON.stringify(value)) continue
    if (effect === 'restart') waiting.push(key)
    else {
      setAt(current, path, value)
      applied.push(key)
    }
  }
  return { applied, waiting }
}

type Tree = { [key: string]: unknown }

function valueAt(tree: object, path: readonly string[]): unknown {
  return path.reduce<unknown>((part, step) => (part as Tree)[step], tree)
}

function setAt(tree: object, path: readonly string[], value: unknown): void {
  const parent = valueAt(tree, path.slice(0, -1)) as Tree
  const last = path.at(-1) as string
  const before = parent[last]
  // A section as a whole keeps its object too.
  if (isSection(before) && isSection(value)) Object.assign(before, value)
  else parent[last] = value
}

function isSection(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

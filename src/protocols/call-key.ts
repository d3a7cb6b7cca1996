import type { Caller, KeyedAs } from '../core/action.ts'

/** A call in the words of its dialect. */
export interface DialectCall {
  readonly dialect: string
  readonly name: string
  readonly params: unknown
  readonly toData?: KeyedAs['toData']
}

/** Asks about a key instead of carrying one. */
const ASKS_ABOUT_KEYS = 'get_action_result'

/**
 * The key that a call carries, if any: what the door was told beside the parameters, else `idempotency_key` among them.
 * An answer is kept in the words of its dialect, so that the same call in another one is another call.
 */
export function findKey(
  { dialect, name, params, toData }: DialectCall,
  { idempotencyKey }: Caller
): KeyedAs | undefined {
  const isBare = typeof params !== 'object' || params === null || !('idempotency_key' in params)
  if ((isBare && idempotencyKey === undefined) || name === ASKS_ABOUT_KEYS) return undefined
  const { idempotency_key: given, ...asked } = (params ?? {}) as Record<string, unknown>
  const key = idempotencyKey ?? given
  return key == null ? undefined : { key, action: name, asked: [dialect, asked], toData }
}

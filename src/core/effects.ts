import type { Effect, KeyedCall } from './effect-store.ts'
import { ActionError } from './errors.ts'
import type { Store } from './store.ts'

/** A keyed call as a door hands it over. */
export interface KeyedOrder {
  readonly accountId: number
  /** As the client wrote it; `invalid` unless it is 1 to 255 printable characters. */
  readonly key: unknown
  readonly action: string
  /** What was asked, and in which language: under the same key it has to be the same again. */
  readonly asked: unknown
  readonly answerOf: KeyedCall['answerOf']
}

/** What a key has come to. `unknown`: it has changed nothing, was never seen, or is forgotten. */
export type KeyState =
  | { readonly state: 'done'; readonly action: string; readonly answer: object }
  | { readonly state: 'running' | 'unknown' }

/** Exactly one effect for calls that carry a key. Every method throws `ActionError` to refuse. */
export interface Effects {
  /**
   * Runs `work` unless the key has done it before; then gives the answer of that time. Who asks while it runs waits for it.
   * `conflict` when the key was used for something else. A call that fails leaves no key, nor does one that changes nothing.
   */
  readonly run: (order: KeyedOrder, work: () => Promise<object>) => Promise<Answered>
  readonly find: (accountId: number, key: unknown) => Promise<KeyState>
}

export interface Answered {
  readonly answer: object
  /** It is the answer of an earlier call. */
  readonly isReplay: boolean
}

export interface EffectsOptions {
  readonly store: Store
  /** Unix seconds. */
  readonly now: () => number
  readonly digest: (text: string) => Uint8Array
  /** How long keys are kept, in milliseconds; looked at anew each time. */
  readonly keptMs: number
  /** Told of mistakes that the caller does not hear of, because what was asked was done. */
  readonly onError: (err: unknown) => void
}

interface Running {
  readonly action: string
  readonly digest: Uint8Array
  readonly answer: Promise<Answered>
}

/** Forgotten at once, at most: deleting many rows would hold up everybody. */
const FORGOTTEN_AT_ONCE = 1000
/** Calls after which the old ones are looked for: twice as many can go as came. */
const CALLS_PER_SWEEP = 500

export function createEffects(options: EffectsOptions): Effects {
  const { store, now, digest, onError } = options
  const running = new Map<string, Running>()
  // Those that an earlier process left are looked for at the first call.
  let callsToSweep = 1

  const validFrom = (): number => now() - Math.ceil(options.keptMs / 1000)

  function sweep(): void {
    if (--callsToSweep > 0) return
    callsToSweep = CALLS_PER_SWEEP
    store.forgetEffects(validFrom(), FORGOTTEN_AT_ONCE).catch(onError)
  }

  async function runOnce(call: KeyedCall, work: () => Promise<object>): Promise<Answered> {
    const done = await store.findEffect(call.accountId, call.key, call.validFrom)
    if (done) {
      mustBeSame(done, call)
      return { answer: done.answer, isReplay: true }
    }
    try {
      return { answer: await store.keyed(call, work), isReplay: false }
    } catch (err) {
      // Something after the effect went wrong, such as tidying up: what was asked is done all the same.
      const effect = await store.findEffect(call.accountId, call.key, call.validFrom)
      if (!effect) throw err
      onError(err)
      return { answer: effect.answer, isReplay: false }
    }
  }

  return {
    async run({ accountId, key: given, action, asked, answerOf }, work) {
      const key = toKey(given)
      const call = {
        accountId,
        key,
        action,
        digest: digest(toText([action, asked])),
        time: now(),
        validFrom: validFrom(),
        answerOf
      }
      const place = `${accountId} ${key}`
      const first = running.get(place)
      if (first) {
        mustBeSame(first, call)
        return { ...(await first.answer), isReplay: true }
      }
      const answer = runOnce(call, work)
      running.set(place, { action, digest: call.digest, answer })
      try {
        return await answer
      } finally {
        running.delete(place)
        sweep()
      }
    },

    async find(accountId, given) {
      const key = toKey(given)
      if (running.has(`${accountId} ${key}`)) return { state: 'running' }
      const effect = await store.findEffect(accountId, key, validFrom())
      return effect ? { state: 'done', action: effect.action, answer: effect.answer } : { state: 'unknown' }
    }
  }
}

function toKey(given: unknown): string {
  if (typeof given === 'string' && /^\P{C}{1,255}$/u.test(given)) return given
  const field = 'idempotency_key'
  throw new ActionError('invalid', `${field}: expected a string of 1 to 255 printable characters`, { field })
}

function mustBeSame(known: Pick<Effect, 'action' | 'digest'>, call: Pick<KeyedCall, 'action' | 'digest'>): void {
  const field = 'idempotency_key'
  if (known.action !== call.action)
    throw new ActionError('conflict', `the idempotency key was used for ${known.action} already; take a new one`, {
      field
    })
  if (Buffer.compare(known.digest, call.digest) !== 0)
    throw new ActionError(
      'conflict',
      `the idempotency key was used for ${known.action} with other parameters already; take a new one`,
      { field }
    )
}

/** The same for what means the same: keys in any order, null as absent. */
function toText(asked: unknown): string {
  try {
    return JSON.stringify(asked, (_key, value: unknown) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
      const present = Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined)
      return Object.fromEntries(present.toSorted(([a], [b]) => (a < b ? -1 : 1)))
    })
  } catch (err) {
    // JSON.parse takes more levels than JSON.stringify can give back.
    if (err instanceof RangeError) throw new ActionError('invalid', 'the parameters are nested too deeply')
    throw err
  }
}

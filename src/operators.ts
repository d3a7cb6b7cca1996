import { randomBytes, type KeyObject } from 'node:crypto'
import type { AuditEntry, OnceClaim, OperatorToken } from './core/audit-store.ts'
import { ActionError } from './core/errors.ts'
import type { Store } from './core/store.ts'
import { toSigningKey } from './net/signature.ts'
import { createSeal } from './seal.ts'
import { createSetupCode, createToken, digestToken } from './secrets.ts'

/** Who does something to the gateway: a person who is an admin, or a script with a token or a key. */
export interface Operator {
  /** The same for ever: `user 10011`, `token 3`, `key 4`. */
  readonly id: string
  /** As the audit says it, with the name of the token or the key. */
  readonly name: string
}

/** What a call of an operator came to. */
export interface OperatorAnswer {
  /** HTTP. */
  readonly status: number
  readonly body: object
}

/** How operators come in, what they did, and calls that count once. */
export interface Operators {
  readonly findByToken: (token: string) => Promise<Operator | undefined>
  readonly findKey: (id: number) => Promise<{ readonly operator: Operator; readonly key: KeyObject } | undefined>
  /** The token is shown this once. */
  readonly addToken: (name: string) => Promise<{ readonly id: number; readonly token: string }>
  /** The same for a key to sign with, `whsec_…`. */
  readonly addKey: (name: string) => Promise<{ readonly id: number; readonly key: string }>
  /** A new set-up code for the console; the one before is void. */
  readonly renewSetupCode: () => Promise<string>
  /** Writes down what somebody did, or tried to do. What cannot be written goes to the log: it was done all the same. */
  readonly note: (entry: Omit<AuditEntry, 'id' | 'time'>) => Promise<void>
  /**
   * Works once under the key of the caller, and gives the same answer to who comes again within a day.
   * Throws `ActionError('conflict')` for a key that was used for something else, or whose work was cut short.
   */
  readonly once: (claim: Omit<OnceClaim, 'time'>, work: () => Promise<OperatorAnswer>) => Promise<OperatorAnswer>
}

export interface OperatorsOptions {
  readonly store: Store
  /** Signs what people carry about; what is sealed is sealed with keys that are derived from it. */
  readonly secret: string
  /** Entries of the audit that are kept; read whenever it is needed. */
  readonly maxEntries: () => number
  /** Unix seconds. */
  readonly now: () => number
  readonly onError: (err: unknown, entry: Omit<AuditEntry, 'id'>) => void
}

export function createOperators({ store, secret, maxEntries, now, onError }: OperatorsOptions): Operators {
  const keySeal = createSeal(secret, 'operator keys')
  const answerSeal = createSeal(secret, 'operator answers')
  const underWay = new Map<string, { readonly digest: Uint8Array; readonly answer: Promise<OperatorAnswer> }>()

  async function workOnce(claim: OnceClaim, work: () => Promise<OperatorAnswer>): Promise<OperatorAnswer> {
    const kept = await store.beginOnce(claim)
    if (kept) return readKept(claim, kept)
    let answer: OperatorAnswer
    try {
      answer = await work()
    } catch (err) {
      await store.forgetOnce(claim)
      throw err
    }
    await store.endOnce(claim, answerSeal.close(JSON.stringify(answer)))
    return answer
  }

  function readKept({ digest }: OnceClaim, kept: { digest: Uint8Array; answer: Uint8Array | undefined }) {
    refuseOther(kept.digest, digest)
    const text = kept.answer && answerSeal.open(kept.answer)
    if (text === undefined)
      throw new ActionError(
        'conflict',
        'what was begun under this key was cut short, and nobody knows what came of it: look, and go on under a new key'
      )
    return JSON.parse(text) as OperatorAnswer
  }

  return {
    async findByToken(token) {
      const found = await store.findOperatorToken(digestToken(token))
      return found && toOperator(found)
    },

    async findKey(id) {
      const found = await store.findOperatorKey(id)
      if (!found) return undefined
      const key = keySeal.open(found.sealedKey)
      return key === undefined ? undefined : { operator: toOperator(found), key: toSigningKey(key) }
    },

    async addToken(name) {
      const token = createToken()
      const { id } = await store.addOperatorToken({ kind: 'token', name, digest: digestToken(token), createdAt: now() })
      return { id, token }
    },

    async addKey(name) {
      const key = `whsec_${randomBytes(32).toString('base64')}`
      const sealedKey = keySeal.close(key)
      const { id } = await store.addOperatorToken({ kind: 'key', name, sealedKey, createdAt: now() })
      return { id, key }
    },

    async renewSetupCode() {
      const code = createSetupCode()
      await store.setMeta('console.setup_code', digestToken(code).toString('hex'))
      return code
    },

    async note(entry) {
      const dated = { ...entry, time: now() }
      await store.addAudit(dated, maxEntries()).catch((err: unknown) => onError(err, dated))
    },

    async once({ operator, key, digest }, work) {
      const name = JSON.stringify([operator, key])
      const running = underWay.get(name)
      if (running) {
        refuseOther(running.digest, digest)
        return running.answer
      }
      const answer = workOnce({ operator, key, digest, time: now() }, work).finally(() => underWay.delete(name))
      underWay.set(name, { digest, answer })
      return answer
    }
  }
}

function refuseOther(known: Uint8Array, digest: Uint8Array): void {
  if (Buffer.compare(known, digest) !== 0)
    throw new ActionError('conflict', 'this key was used for another call: take a new one')
}

function toOperator({ id, kind, name }: OperatorToken): Operator {
  return { id: `${kind} ${id}`, name: `${kind} ${id} (${name})` }
}

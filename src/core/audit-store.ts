import type { Account, NewAccount } from './store.ts'

/** Something that an operator did, or tried to do. */
export interface AuditEntry {
  readonly id: number
  /** Unix seconds. */
  readonly time: number
  /** Who: `user 10011`, `token 3 (deploy)`, `key 4 (deploy)`, `command line`, or `gateway` for what it did by itself. */
  readonly operator: string
  /** What, as `webhook.replay`. */
  readonly action: string
  /** On what, as `10001-3f2a9c41d0be`; empty when there is nothing to name. */
  readonly subject: string
  /** The rest; never a secret. `error` says why it was refused. */
  readonly details: Readonly<Record<string, unknown>>
  /** The address that it came from; empty on the command line. */
  readonly ip: string
}

/** How scripts of an operator come: with a token that they send, or with a key that they sign with. */
export interface OperatorToken {
  readonly id: number
  readonly kind: 'token' | 'key'
  readonly name: string
  readonly createdAt: number
}

/** What is kept of either: of a token its digest, of a key itself, sealed, since it must be read to verify. */
export type NewOperatorToken = { readonly name: string; readonly createdAt: number } & (
  | { readonly kind: 'token'; readonly digest: Uint8Array }
  | { readonly kind: 'key'; readonly sealedKey: Uint8Array }
)

/** A call that has one effect and one answer, however often it comes. */
export interface OnceRef {
  /** Who calls, as `user 10011`. */
  readonly operator: string
  /** The caller's own name for the call. */
  readonly key: string
}

export interface OnceClaim extends OnceRef {
  /** Of what was asked for: the same key with another question is a mistake. */
  readonly digest: Uint8Array
  readonly time: number
}

/** A call that was begun under the key before. */
export interface KeptCall {
  readonly digest: Uint8Array
  /** Sealed, since it may hold a new secret; undefined when the call has not come to its end. */
  readonly answer: Uint8Array | undefined
}

/** Seconds for which a call that came once is known. */
export const ONCE_S = 24 * 3600

/** What operators did and with which tokens they come; see `Store` for the manners of its methods. */
export interface AuditStore {
  /** What is older than the newest `keep` entries goes. */
  readonly addAudit: (entry: Omit<AuditEntry, 'id'>, keep?: number) => Promise<void>
  /** Newest first, ids below `beforeId`. */
  readonly listAudit: (page: {
    readonly beforeId?: number | undefined
    readonly limit: number
  }) => Promise<AuditEntry[]>
  readonly addOperatorToken: (token: NewOperatorToken) => Promise<OperatorToken>
  /** As it is in the database at this moment, whoever changed it. */
  readonly findOperatorToken: (digest: Uint8Array) => Promise<OperatorToken | undefined>
  /** The same for a key. */
  readonly findOperatorKey: (id: number) => Promise<(OperatorToken & { readonly sealedKey: Uint8Array }) | undefined>
  readonly listOperatorTokens: () => Promise<OperatorToken[]>
  /** False when there is none. */
  readonly removeOperatorToken: (id: number) => Promise<boolean>
  /** Whether the account is on and an admin, as it is in the database at this moment. */
  readonly isAdmin: (accountId: number) => Promise<boolean>
  /** Makes the account and an admin of it, and voids the code; undefined when the code does not count. */
  readonly spendSetupCode: (digest: Uint8Array, account: NewAccount) => Promise<Account | undefined>
  /** Notes that the call has begun; gives what is known of it when it had begun before. Forgets what is older than `ONCE_S`. */
  readonly beginOnce: (claim: OnceClaim) => Promise<KeptCall | undefined>
  readonly endOnce: (call: OnceRef, answer: Uint8Array) => Promise<void>
  /** It had no effect and may come again. */
  readonly forgetOnce: (call: OnceRef) => Promise<void>
  /** Sessions of people that have not expired. */
  readonly countSessions: (time: number) => Promise<number>
}

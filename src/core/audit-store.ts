/** Something that an operator did, or tried to do. */
export interface AuditEntry {
  readonly id: number
  /** Unix seconds. */
  readonly time: number
  /** Who: `user 10011`, `token 3 (deploy)`, `command line`, or `gateway` for what it did by itself. */
  readonly operator: string
  /** What, as `webhook.replay`. */
  readonly action: string
  /** On what, as `10001-3f2a9c41d0be`; empty when there is nothing to name. */
  readonly subject: string
  /** The rest; never a secret. */
  readonly details: Readonly<Record<string, unknown>>
  /** The address that it came from; empty on the command line. */
  readonly ip: string
}

/** A long-lived token of an operator, for scripts. */
export interface OperatorToken {
  readonly id: number
  readonly name: string
  readonly createdAt: number
}

/** What operators did and with which tokens they come; see `Store` for the manners of its methods. */
export interface AuditStore {
  /** What is older than the newest `keep` entries goes. */
  readonly addAudit: (entry: Omit<AuditEntry, 'id'>, keep?: number) => Promise<void>
  /** Newest first, ids below `beforeId`. */
  readonly listAudit: (page: {
    readonly beforeId?: number | undefined
    readonly limit: number
  }) => Promise<AuditEntry[]>
  readonly addOperatorToken: (token: {
    readonly name: string
    readonly digest: Uint8Array
    readonly createdAt: number
  }) => Promise<OperatorToken>
  readonly findOperatorToken: (digest: Uint8Array) => Promise<OperatorToken | undefined>
  readonly listOperatorTokens: () => Promise<OperatorToken[]>
  /** False when there is none. */
  readonly removeOperatorToken: (id: number) => Promise<boolean>
}

export type CallKind = 'audio' | 'video'

/** What is kept of a call: that it was, not what was said. SDP and candidates are never stored. */
export interface CallRecord {
  readonly id: string
  readonly callerId: number
  readonly calleeId: number
  readonly kind: CallKind
  /** `missed`: nobody answered; `rejected`: the callee did not want to; `ended`: they talked. */
  readonly status: 'ringing' | 'active' | 'ended' | 'missed' | 'rejected'
  /** Why it ended, in the words of IM-Suite 2.5 or those of a client. */
  readonly reason: string | undefined
  /** Unix seconds, as every time here. */
  readonly createdAt: number
  readonly answeredAt: number | undefined
  readonly endedAt: number | undefined
}

/** What decides whether somebody may call somebody; read in the transaction of the call itself. */
export interface CallRelation {
  /** The account exists and is not switched off. */
  readonly isThere: boolean
  /** They share a private chat, or one has the other as a contact. */
  readonly isAcquainted: boolean
  /** One side has blocked the other. */
  readonly isBlocked: boolean
}

export interface CallDraft {
  readonly id: string
  readonly callerId: number
  readonly calleeId: number
  readonly kind: CallKind
  readonly time: number
  /** The rule; throws to refuse, and then nothing is written. */
  readonly check: (relation: CallRelation) => void
}

export type CallBeginning =
  /** It rings, and both are busy from now on. */
  | { readonly type: 'begun' }
  /** There was a call of this id; nothing was written. */
  | { readonly type: 'taken' }
  /** The caller is in this call; nothing was written. */
  | { readonly type: 'caller_busy'; readonly call: CallRecord }
  /** The callee is in another call; this one is kept as missed. */
  | { readonly type: 'callee_busy' }

export interface CallEnd {
  readonly status: 'ended' | 'missed' | 'rejected'
  readonly reason: string
  readonly time: number
}

/** How the core keeps calls: nobody has two live ones, also when several gateways share the database. */
export interface CallStore {
  readonly beginCall: (draft: CallDraft) => Promise<CallBeginning>
  /** False when it does not ring any more. */
  readonly answerCall: (id: string, time: number) => Promise<boolean>
  /** Frees both sides. False when it had ended before; what was said of its end then stays. */
  readonly endCall: (id: string, end: CallEnd) => Promise<boolean>
  /** Ends what a crash has left live, with `network_error`; gives their number. */
  readonly endAllCalls: (time: number) => Promise<number>
  readonly findCall: (id: string) => Promise<CallRecord | undefined>
  /** Calls of the account, the newest first. */
  readonly listCalls: (
    accountId: number,
    page: { readonly offset: number; readonly limit: number }
  ) => Promise<{ calls: CallRecord[]; total: number }>
}

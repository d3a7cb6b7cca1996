/**
 * Why an action failed: a closed list. Adapters map it to a `retcode`, an HTTP status or an error frame;
 * `docs/errors.md` lists exactly these.
 */
export const REASONS = {
  invalid: 'the parameters are malformed',
  unknown_action: 'there is no such action',
  not_found: 'the account, group, chat or message does not exist, or the caller may not know of it',
  forbidden: 'the caller may not do this',
  muted: 'the caller may not speak in this group now',
  conflict: 'it contradicts what exists already',
  too_late: 'the message is too old to be changed',
  busy: 'one of the two is in a call already',
  no_call: 'there is no such call',
  wrong_state: 'the call is not in a state in which this can be done',
  too_large: 'more than the configured limit',
  rate_limited: 'too often; try again later',
  disabled: "the caller's account is switched off",
  unavailable:
    'the store, or a server that something is fetched from, cannot answer now; nothing was done, trying again is safe',
  timeout: 'it takes long and goes on; with an idempotency key, get_action_result tells what comes of it',
  no_space: 'the disk of the gateway is full; trying again is safe, once there is room',
  unknown: 'it may have been done or not; trying again is safe with an idempotency key only',
  internal: 'a mistake of the gateway'
} as const

export type Reason = keyof typeof REASONS

/** What more an adapter may tell: which parameter was wrong, when to come back, an id to find the log line by. */
export interface ErrorDetails {
  readonly field?: string
  readonly retryAfterMs?: number
  readonly requestId?: string
  /** Which of the ways to be forbidden it is (IM-Suite 2.6, `details.reason`), or why somebody is busy. */
  readonly cause?: 'muted' | 'banned' | 'blocked' | 'readonly' | 'not_sender' | 'role' | 'glare'
  /** The call that a caller should look at instead. */
  readonly callId?: string
}

/** Thrown by rules, caught once in the dispatcher. The message is written for the person who reads it. */
export class ActionError extends Error {
  readonly reason: Reason
  readonly details: ErrorDetails

  constructor(reason: Reason, message: string, details: ErrorDetails = {}) {
    super(message)
    this.name = 'ActionError'
    this.reason = reason
    this.details = details
  }
}

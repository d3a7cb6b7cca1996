import type { CallRecord, CallRelation } from './call-record.ts'
import { ActionError } from './errors.ts'

export function isOver({ status }: CallRecord): boolean {
  return status !== 'ringing' && status !== 'active'
}

export function isParty({ callerId, calleeId }: CallRecord, accountId: number): boolean {
  return accountId === callerId || accountId === calleeId
}

/** Who may call whom (contract 2.5, validation). */
export function checkMayCall({ isThere, isAcquainted, isBlocked }: CallRelation): void {
  // One answer for who does not exist and who is a stranger (contract 2.6).
  if (!isThere || !isAcquainted)
    throw new ActionError('not_found', 'there is nobody by this number whom you may call', { field: 'to_user' })
  if (isBlocked) throw new ActionError('forbidden', 'one of the two has blocked the other', { cause: 'blocked' })
}

/** Of two who call each other at once the store makes one win; the other should answer that call (contract 2.5, glare). */
export function busy(callerId: number, calleeId: number, call: CallRecord): ActionError {
  const isGlare = call.status === 'ringing' && call.callerId === calleeId && call.calleeId === callerId
  const message = isGlare ? 'they are calling you just now: answer that call' : 'you are in a call already'
  return new ActionError('busy', message, { callId: call.id, ...(isGlare && { cause: 'glare' }) })
}

export const over = (): ActionError => new ActionError('wrong_state', 'the call is over')
export const elsewhere = (): ActionError => new ActionError('wrong_state', 'another device of yours is in this call')

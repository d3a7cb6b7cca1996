import { ActionError } from '../core/errors.ts'
import { isBusy, isDamage, isFull, isUnwritable } from './result-codes.ts'

/** Why the database cannot be written, for operators and for those who are refused. */
export function describeTrouble(err: unknown): string {
  if (isFull(err)) return 'the disk is full'
  if (isBusy(err)) return 'another program has locked it'
  if (isUnwritable(err)) return 'it may only be read'
  if (isDamage(err)) return 'it is damaged; "lactea restore FILE --force" puts a backup in its place'
  return (err as Error).message
}

/** What is said to those whose change was not written. */
export function toRefusal(err: unknown): ActionError {
  return new ActionError(
    isFull(err) ? 'no_space' : 'unavailable',
    `the database could not write: ${describeTrouble(err)}`
  )
}

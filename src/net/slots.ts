import { ActionError } from '../core/errors.ts'

export interface SlotsOptions {
  /** How many may be in at the same time, */
  readonly total: number
  /** how many of them of one account, */
  readonly perAccount: number
  /** and how many of one account may wait. */
  readonly waiting: number
}

export interface Slots {
  /**
   * Resolves with how to leave when it is one's turn; rejects with the reason of the signal, and with
   * `ActionError('rate_limited')` when too many of the account wait already. One account cannot take all the places.
   */
  readonly enter: (accountId: number, signal: AbortSignal) => Promise<() => void>
}

interface Waiting {
  readonly accountId: number
  readonly admit: () => void
}

export function createSlots({ total, perAccount, waiting }: SlotsOptions): Slots {
  const counts = new Map<number, number>()
  let inside = 0
  let queue: Waiting[] = []

  const mayEnter = (accountId: number): boolean => inside < total && (counts.get(accountId) ?? 0) < perAccount

  function go(accountId: number): () => void {
    inside++
    counts.set(accountId, (counts.get(accountId) ?? 0) + 1)
    return () => {
      const left = (counts.get(accountId) ?? 0) - 1
      if (left > 0) counts.set(accountId, left)
      else counts.delete(accountId)
      inside--
      queue.find((next) => mayEnter(next.accountId))?.admit()
    }
  }

  return {
    async enter(accountId, signal) {
      signal.throwIfAborted()
      if (mayEnter(accountId)) return go(accountId)
      if (queue.filter((other) => other.accountId === accountId).length >= waiting)
        throw new ActionError(
          'rate_limited',
          `at most ${perAccount + waiting} files are fetched for one bot at a time`,
          {
            retryAfterMs: 1000
          }
        )
      return new Promise((resolve, reject) => {
        const end = (): void => {
          queue = queue.filter((other) => other !== self)
          signal.removeEventListener('abort', cut)
        }
        const cut = (): void => {
          end()
          reject(signal.reason as Error)
        }
        const self = {
          accountId,
          admit(): void {
            end()
            resolve(go(accountId))
          }
        }
        queue.push(self)
        signal.addEventListener('abort', cut, { once: true })
      })
    }
  }
}

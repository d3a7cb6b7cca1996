import { ActionError } from './core/errors.ts'
import { createToken } from './secrets.ts'
import type { Signed } from './sessions.ts'

/** One-time tickets (IM-Suite 2.1): a token in a URL ends up in logs and histories, a ticket is worth nothing there. */
export interface Tickets {
  /** Throws `ActionError('unavailable')` when too many are about. */
  readonly issue: (signed: Signed) => string
  /** Whose ticket it was; undefined when it was used before, is too old, or never was. */
  readonly take: (ticket: string) => Signed | undefined
}

/** Seconds from its issue in which a ticket counts. */
export const TICKET_S = 30
/** Tickets of one account at a time; a further one voids the oldest. */
const MAX_OWN = 10
const MAX_TICKETS = 100_000

interface Ticket {
  readonly signed: Signed
  readonly expiresAt: number
}

/** Kept in memory, and bounded: they live for half a minute. `now` in Unix seconds. */
export function createTickets(now: () => number): Tickets {
  // All live equally long, so the first are always the ones that expire first.
  const tickets = new Map<string, Ticket>()
  const own = new Map<number, string[]>()

  function remove(ticket: string): Ticket | undefined {
    const found = tickets.get(ticket)
    if (!found) return undefined
    tickets.delete(ticket)
    const { id } = found.signed.account
    const left = (own.get(id) ?? []).filter((one) => one !== ticket)
    if (left.length > 0) own.set(id, left)
    else own.delete(id)
    return found
  }

  function removeExpired(): void {
    for (const [ticket, { expiresAt }] of tickets) {
      if (expiresAt > now()) return
      remove(ticket)
    }
  }

  return {
    issue(signed) {
      removeExpired()
      const { id } = signed.account
      const [oldest, ...others] = own.get(id) ?? []
      if (oldest !== undefined && others.length >= MAX_OWN - 1) remove(oldest)
      if (tickets.size >= MAX_TICKETS)
        throw new ActionError('unavailable', 'there are too many tickets, try again soon')
      const ticket = createToken()
      tickets.set(ticket, { signed, expiresAt: now() + TICKET_S })
      own.set(id, [...(own.get(id) ?? []), ticket])
      return ticket
    },

    take(ticket) {
      removeExpired()
      return remove(ticket)?.signed
    }
  }
}

import type { Store } from '../core/store.ts'

/** Where each device is in the log, as far as it has confirmed it: it goes on from there when it comes back (IM-Suite 2.10). */
export interface Resume {
  /** `sessionId`: what a device is known by when it comes back; without one nothing is remembered. */
  readonly open: (accountId: number, sessionId: string | undefined) => Promise<Place>
}

export interface Place {
  /** What comes after this id was perhaps missed; undefined for a device that was not here within the last day. */
  readonly from: number | undefined
  /** Says that everything up to this id has arrived. */
  readonly confirm: (eventId: number) => void
  readonly close: () => void
}

export interface ResumeOptions {
  readonly store: Pick<Store, 'findSession' | 'saveSessionCursor'>
  /** Up to where everything was given out. */
  readonly position: () => number
  /** Unix seconds. */
  readonly now: () => number
  readonly onError: (err: unknown) => void
}

/** How long a place is worth going back to. */
const MAX_AGE_S = 24 * 3600

interface Entry {
  readonly places: Set<{ confirmed: number }>
  /** The earliest place of a device that has gone and not come back, while others of its session are still here. */
  lost: number | undefined
}

export function createResume({ store, position, now, onError }: ResumeOptions): Resume {
  const sessions = new Map<string, Entry>()

  /** Two windows of one session cannot be told apart, so the one that is further behind counts for both. */
  function earliest({ places, lost }: Entry): number | undefined {
    const all = [...places].map(({ confirmed }) => confirmed)
    if (lost !== undefined) all.push(lost)
    return all.length === 0 ? undefined : Math.min(...all)
  }

  async function findStored(sessionId: string): Promise<number | undefined> {
    const session = await store.findSession(sessionId)
    if (session?.cursor === undefined || session.cursorAt <= now() - MAX_AGE_S) return undefined
    return session.cursor
  }

  return {
    async open(accountId, sessionId) {
      const place = { confirmed: position() }
      const entry: Entry = (sessionId !== undefined && sessions.get(sessionId)) || {
        places: new Set(),
        lost: undefined
      }
      const known = earliest(entry)
      entry.lost = undefined
      entry.places.add(place)
      if (sessionId !== undefined) sessions.set(sessionId, entry)
      const from = known ?? (sessionId === undefined ? undefined : await findStored(sessionId))
      if (from !== undefined) place.confirmed = Math.min(from, place.confirmed)

      /** Nothing that was said before it came counts as delivered. */
      let deliveredId = 0
      async function save(): Promise<void> {
        const cursor = earliest(entry) ?? place.confirmed
        await store.saveSessionCursor({ sessionId, accountId, cursor, deliveredId, time: now() }).catch(onError)
      }
      // Also a device that is cut off before its first pong has a place to come back to.
      void save()

      return {
        from,
        confirm(eventId) {
          if (eventId <= place.confirmed) return
          place.confirmed = eventId
          deliveredId = eventId
          void save()
        },
        close() {
          if (!entry.places.delete(place)) return
          entry.lost = Math.min(entry.lost ?? place.confirmed, place.confirmed)
          void save().then(() => {
            // Not before: who comes back at once reads what is stored.
            if (entry.places.size === 0 && sessionId !== undefined && sessions.get(sessionId) === entry)
              sessions.delete(sessionId)
          })
        }
      }
    }
  }
}

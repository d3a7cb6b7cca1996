import type { Undo } from '../core/bus.ts'
import type { Clock } from '../core/clock.ts'
import type { SessionCursor, Store } from '../core/store.ts'

/** Where each device is in the log, as far as it has confirmed it: it goes on from there when it comes back (IM-Suite 2.10). */
export interface Resume {
  /** `sessionId`: what a device is known by when it comes back; without one nothing is remembered. */
  readonly open: (accountId: number, sessionId: string | undefined) => Promise<Place>
  /** Stores what is not stored yet. */
  readonly close: () => Promise<void>
}

export interface Place {
  /** What comes after this id was perhaps missed; undefined for a device that was not here within the last day. */
  readonly from: number | undefined
  /** Says that everything up to this id has arrived. */
  readonly confirm: (eventId: number) => void
  readonly close: () => void
}

export interface ResumeOptions {
  readonly store: Pick<Store, 'findSession' | 'saveSessionCursors'>
  /** Up to where everything was given out. */
  readonly position: () => number
  readonly clock: Clock
  readonly onError: (err: unknown) => void
}

/** How long a place is worth going back to. */
const MAX_AGE_S = 24 * 3600
/** Thousands of devices answer pings all the time; what they say is stored together. */
const SAVE_EVERY_MS = 500

interface Entry {
  readonly places: Set<{ confirmed: number }>
  /** The earliest place of a device that has gone and not come back, until that is stored and nobody is here any more. */
  lost: number | undefined
}

export function createResume({ store, position, clock, onError }: ResumeOptions): Resume {
  const sessions = new Map<string, Entry>()
  /** What changed since it was last stored, by session, or else by account. */
  let unsaved = new Map<string | number, SessionCursor>()
  let cancelSave: Undo | undefined

  /** Two windows of one session cannot be told apart, so the one that is further behind counts for both. */
  function earliest({ places, lost }: Entry): number | undefined {
    const all = [...places].map(({ confirmed }) => confirmed)
    if (lost !== undefined) all.push(lost)
    return all.length === 0 ? undefined : Math.min(...all)
  }

  async function findStored(sessionId: string): Promise<number | undefined> {
    const session = await store.findSession(sessionId)
    if (session?.cursor === undefined || session.cursorAt <= clock.now() - MAX_AGE_S) return undefined
    return session.cursor
  }

  async function save(): Promise<void> {
    cancelSave = undefined
    const saving = unsaved
    unsaved = new Map()
    await store.saveSessionCursors([...saving.values()])
    // Not before: who comes back at once reads what is stored.
    for (const sessionId of saving.keys())
      if (typeof sessionId === 'string' && sessions.get(sessionId)?.places.size === 0 && !unsaved.has(sessionId))
        sessions.delete(sessionId)
  }

  function remember(cursor: SessionCursor): void {
    const key = cursor.sessionId ?? cursor.accountId
    const deliveredId = Math.max(cursor.deliveredId, unsaved.get(key)?.deliveredId ?? 0)
    unsaved.set(key, { ...cursor, deliveredId })
    cancelSave ??= clock.after(SAVE_EVERY_MS, () => void save().catch(onError))
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

      const note = (deliveredId: number): void =>
        remember({
          sessionId,
          accountId,
          cursor: earliest(entry) ?? place.confirmed,
          deliveredId,
          time: clock.now()
        })
      // Also a device that is cut off before its first pong has a place to come back to.
      if (sessionId !== undefined) note(0)

      return {
        from,
        confirm(eventId) {
          if (eventId <= place.confirmed) return
          place.confirmed = eventId
          note(eventId)
        },
        close() {
          if (!entry.places.delete(place)) return
          entry.lost = Math.min(entry.lost ?? place.confirmed, place.confirmed)
          if (sessionId !== undefined) note(0)
        }
      }
    },

    async close() {
      cancelSave?.()
      if (unsaved.size > 0) await save()
    }
  }
}

import type { Store } from '../core/store.ts'

/** Where a reader of the log begins, and what it is told about that. */
export interface LogPlace {
  /** It hears what comes after this id. */
  readonly from: number
  /** Headers of the answer that lets it in. */
  readonly headers: Readonly<Record<string, string>>
}

export interface LogPlaceOptions {
  readonly store: Pick<Store, 'lastEventId' | 'oldestCursor'>
  /** Up to where everything was given out. */
  readonly position: () => number
}

/** What the reader has heard everything up to; `now` for one that only wants to know where it is. Undefined: it does not ask. */
export type Since = number | 'now' | undefined

/** A cursor, as we gave it; undefined when it is none. */
export function parseCursor(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/**
 * Finds where a reader begins. Whoever comes too late begins with the oldest event that there is, and is told so; a place
 * that was never given is one of another log, and there is nothing that could be told from it.
 */
export async function findLogPlace({ store, position }: LogPlaceOptions, since: Since): Promise<LogPlace> {
  // Before anything is waited for: what happens from here on is told.
  const now = position()
  if (since === undefined) return toPlace(now)
  const [oldest, last] = await Promise.all([store.oldestCursor(), store.lastEventId()])
  if (since === 'now') return toPlace(now, { isResumed: true, oldest })
  if (since > last) return toPlace(now, { isResumed: false, oldest })
  return toPlace(Math.max(since, oldest), { isResumed: since >= oldest, oldest })
}

function toPlace(from: number, resumed?: { readonly isResumed: boolean; readonly oldest: number }): LogPlace {
  return {
    from,
    headers: {
      'lactea-cursor': String(from),
      ...(resumed && { 'lactea-resumed': String(resumed.isResumed), 'lactea-oldest': String(resumed.oldest) })
    }
  }
}

import type { Undo } from '../core/bus.ts'
import type { Clock } from '../core/clock.ts'
import type { Attempt, Progress, RowChange } from '../core/delivery-store.ts'

/** Where a reader of the log is that may finish events out of order. */
export interface Place {
  /** Gives what to call when nothing more has to be done about the event; ids only grow. */
  readonly open: (id: number) => () => void
  /** Everything up to this id is of no concern, unless something before it is open. */
  readonly reach: (id: number) => void
  /** Open, or behind something that is. */
  readonly size: () => number
  /** Everything up to here is done. */
  readonly cursor: () => number
  /** Done, behind something that is open. */
  readonly ahead: () => number[]
}

export function createPlace(start: number): Place {
  const entries: { readonly id: number; isDone: boolean }[] = []
  let cursor = start

  return {
    open(id) {
      const entry = { id, isDone: false }
      entries.push(entry)
      return () => {
        entry.isDone = true
        while (entries[0]?.isDone) cursor = entries.shift()?.id ?? cursor
      }
    },
    reach(id) {
      if (entries.length === 0) cursor = Math.max(cursor, id)
    },
    size: () => entries.length,
    cursor: () => cursor,
    ahead: () => entries.filter(({ isDone }) => isDone).map(({ id }) => id)
  }
}

export type AttemptDraft = Omit<Attempt, 'id' | 'targetId'>

/** What became of events, on its way into the store. */
export interface Journal {
  /** Resolves when it is stored, with where everything stood then. */
  readonly note: (entry: { readonly attempt?: AttemptDraft; readonly row?: RowChange }) => Promise<void>
  /** Entries that are not stored yet. */
  readonly size: () => number
  /** Resolves when all that was noted until now is stored. */
  readonly flushed: () => Promise<void>
  /** The last write, tried once. */
  readonly close: () => Promise<void>
}

export interface JournalOptions {
  readonly save: (progress: () => Progress) => Promise<void>
  /** More will go with a write that waits. */
  readonly onMore: () => void
  /** Read at the moment of each write. */
  readonly position: () => Pick<Progress, 'cursor' | 'ahead' | 'failingSince'>
  readonly lastAttemptId: number
  readonly keepAttempts: number
  readonly clock: Pick<Clock, 'after' | 'ticks'>
  readonly onError: (err: unknown) => void
}

const RETRY_MS = 1000
/**
 * Tries that were taken at once are for people to read, and are written down together this often: one row in each of many places
 * costs more than all else of a delivery. A crash takes the last of them along, and nothing of what was delivered.
 */
const RECORD_MS = 2000
/** So many with one write: everybody else waits for it. */
const RECORDED_AT_ONCE = 100

interface Batch {
  readonly progress: Pick<Progress, 'attempts' | 'taken' | 'failed' | 'rows'>
  /** Who waits for it. */
  readonly waiting: readonly (() => void)[]
}

/**
 * One write at a time, each with all that has come up meanwhile: the place, the tries that failed and the rows of a moment
 * are stored together or not at all. When the store cannot write now, what was noted waits for it, and whoever noted it as
 * well.
 */
export function createJournal(options: JournalOptions): Journal {
  const { save, onMore, position, keepAttempts, clock, onError } = options
  /** Those that are not written down yet. */
  let attempts: Progress['attempts'][number][] = []
  let taken = 0
  let failed = 0
  let rows: RowChange[] = []
  let waiting: (() => void)[] = []
  let nextId = options.lastAttemptId + 1
  let recordedAt = -Infinity
  let mustRecord = false
  let cancelRecord: Undo | undefined
  let running: Promise<void> | undefined
  let isClosed = false
  let wake = (): void => {}

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      let batch: Batch | undefined
      try {
        // Asked a second time it is the same again: what was taken is taken.
        await save(() => ({ ...position(), keepAttempts, ...(batch ??= takeBatch()).progress }))
        for (const resolve of batch?.waiting ?? []) resolve()
      } catch (err) {
        onError(err)
        if (batch) putBack(batch)
        if (isClosed) break
        await pause()
      }
    }
    running = undefined
    if (attempts.length > 0) cancelRecord ??= clock.after(mustRecord ? 0 : RECORD_MS, record)
  }

  function takeBatch(): Batch {
    const batch = { progress: { attempts: takeAttempts(), taken, failed, rows }, waiting }
    taken = 0
    failed = 0
    rows = []
    waiting = []
    return batch
  }

  /** In front: the next write must not carry the place past a row that is missing. */
  function putBack({ progress, waiting: first }: Batch): void {
    attempts = [...progress.attempts, ...attempts]
    taken += progress.taken
    failed += progress.failed
    rows = [...progress.rows, ...rows]
    waiting = [...first, ...waiting]
    mustRecord = true
  }

  /** What is written down with the next write. */
  function takeAttempts(): typeof attempts {
    if (!mustRecord && !isClosed && clock.ticks() - recordedAt < RECORD_MS) return []
    const due = isClosed ? attempts.splice(0) : attempts.splice(0, RECORDED_AT_ONCE)
    mustRecord = attempts.length > 0
    recordedAt = clock.ticks()
    return due
  }

  function record(): void {
    cancelRecord = undefined
    if (attempts.length === 0) return
    mustRecord = true
    void note({})
  }

  async function pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      wake = resolve
      clock.after(RETRY_MS, resolve)
    })
  }

  function add(attempt: AttemptDraft): void {
    attempts.push({ ...attempt, id: nextId++ })
    // Those before would not be kept; all of them are looked at together, since that moves the others.
    if (attempts.length >= 2 * keepAttempts) attempts.splice(0, keepAttempts)
    if (attempt.error === '') taken++
    else failed++
  }

  function note({ attempt, row }: Parameters<Journal['note']>[0]): Promise<void> {
    if (attempt) add(attempt)
    if (row) rows.push(row)
    // What did not go at once, or was asked for, is looked after by somebody.
    mustRecord ||= row !== undefined
    return new Promise((resolve) => {
      waiting.push(resolve)
      if (running) onMore()
      else running = run()
    })
  }

  return {
    note,
    size: () => waiting.length,
    flushed: () => (running ? note({}) : Promise.resolve()),
    async close() {
      isClosed = true
      cancelRecord?.()
      void note({})
      wake()
      await running
      // Nobody is kept waiting for what can not be stored any more; it is done again after the next start.
      for (const resolve of waiting) resolve()
    }
  }
}

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
  readonly save: (progress: Progress) => Promise<void>
  /** Read at the moment of each write. */
  readonly position: () => Pick<Progress, 'cursor' | 'ahead' | 'failingSince'>
  readonly lastAttemptId: number
  readonly keepAttempts: number
  readonly clock: Pick<Clock, 'after'>
  readonly onError: (err: unknown) => void
}

const RETRY_MS = 1000

/**
 * One write at a time, each with all that has come up meanwhile: the place, the tries and the rows of a moment are stored
 * together or not at all. When the store cannot write now, what was noted waits for it, and whoever noted it as well.
 */
export function createJournal(options: JournalOptions): Journal {
  const { save, position, keepAttempts, clock, onError } = options
  let attempts: Progress['attempts'][number][] = []
  let rows: RowChange[] = []
  let waiting: (() => void)[] = []
  let nextId = options.lastAttemptId + 1
  let running: Promise<void> | undefined
  let isClosed = false
  let wake = (): void => {}

  async function run(): Promise<void> {
    // What comes up in the same turn goes with it.
    await Promise.resolve()
    while (waiting.length > 0) {
      const batch = { attempts, rows, waiting }
      attempts = []
      rows = []
      waiting = []
      try {
        await save({ ...position(), keepAttempts, attempts: batch.attempts.slice(-keepAttempts), rows: batch.rows })
        for (const resolve of batch.waiting) resolve()
      } catch (err) {
        onError(err)
        // In front: the next write must not carry the place past a row that is missing.
        attempts = [...batch.attempts, ...attempts]
        rows = [...batch.rows, ...rows]
        waiting = [...batch.waiting, ...waiting]
        if (isClosed) break
        await pause()
      }
    }
    running = undefined
  }

  async function pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      wake = resolve
      clock.after(RETRY_MS, resolve)
    })
  }

  function note({ attempt, row }: Parameters<Journal['note']>[0]): Promise<void> {
    if (attempt) attempts.push({ ...attempt, id: nextId++ })
    if (row) rows.push(row)
    return new Promise((resolve) => {
      waiting.push(resolve)
      running ??= run()
    })
  }

  return {
    note,
    size: () => waiting.length,
    flushed: () => (running ? note({}) : Promise.resolve()),
    async close() {
      isClosed = true
      void note({})
      wake()
      await running
      // Nobody is kept waiting for what can not be stored any more; it is done again after the next start.
      for (const resolve of waiting) resolve()
    }
  }
}

import type { DatabaseSync } from 'node:sqlite'
import type { Undo } from '../core/bus.ts'
import { ActionError } from '../core/errors.ts'
import type { GatewayEvent } from '../core/event.ts'

export type Emit = (event: GatewayEvent) => void

export interface Writer {
  /** Runs `operation` in the next shared transaction; resolves once that transaction is durable. */
  readonly write: <T>(operation: (emit: Emit) => T) => Promise<T>
  /** While any hold is open nothing is written. */
  readonly hold: () => Undo
  /** Writes what waits, then takes no more. */
  readonly close: () => void
}

export interface WriterListener {
  /** After each commit, when its promises were settled: what it added to the log, in order. */
  readonly onDurable: (events: readonly GatewayEvent[]) => void
  /** Something that was written has been taken back: what was remembered of it is wrong. */
  readonly onRollback: () => void
}

interface Waiting {
  readonly operation: (emit: Emit) => unknown
  readonly resolve: (value: never) => void
  readonly reject: (err: unknown) => void
}

/** Long enough that one disk flush is shared by many, short enough that the event loop is not held up. */
const BATCH = 128

/**
 * Group commit: what is asked for within one turn of the event loop shares one transaction, and so one disk flush.
 * Each operation has a savepoint of its own, so one that throws takes nobody else's work with it.
 */
export function createWriter(db: DatabaseSync, listener: WriterListener): Writer {
  const begin = db.prepare('begin immediate')
  const commit = db.prepare('commit')
  const savepoint = db.prepare('savepoint operation')
  const release = db.prepare('release operation')
  const undo = db.prepare('rollback to operation')
  let waiting: Waiting[] = []
  let holds = 0
  let scheduled: NodeJS.Immediate | undefined
  let isClosed = false

  function schedule(): void {
    if (scheduled || holds > 0 || waiting.length === 0) return
    scheduled = setImmediate(flush)
  }

  function flush(): void {
    scheduled = undefined
    if (holds > 0 && !isClosed) return
    const batch = waiting.slice(0, BATCH)
    waiting = waiting.slice(BATCH)
    const events: GatewayEvent[] = []
    const settle: (() => void)[] = []
    try {
      begin.run()
      for (const entry of batch) settle.push(runOne(entry, events))
      commit.run()
    } catch (err) {
      if (db.isTransaction) db.exec('rollback')
      listener.onRollback()
      // No space, a read-only file, a lock that nobody gives back: nothing of this batch was written.
      const failure = new ActionError('unavailable', `the database could not write: ${(err as Error).message}`)
      for (const entry of batch) entry.reject(failure)
      schedule()
      return
    }
    for (const done of settle) done()
    if (events.length > 0) listener.onDurable(events)
    schedule()
  }

  function runOne({ operation, resolve, reject }: Waiting, events: GatewayEvent[]): () => void {
    const already = events.length
    savepoint.run()
    try {
      const value = operation((event) => events.push(event)) as never
      release.run()
      return () => resolve(value)
    } catch (err) {
      // A full disk ends the whole transaction, not only the savepoint.
      if (!db.isTransaction) throw err
      undo.run()
      release.run()
      events.length = already
      if (!(err instanceof ActionError)) listener.onRollback()
      return () => reject(err)
    }
  }

  return {
    write(operation) {
      if (isClosed) return Promise.reject(new ActionError('unavailable', 'the database is closed'))
      return new Promise((resolve, reject) => {
        waiting.push({ operation, resolve: resolve as (value: never) => void, reject })
        schedule()
      })
    },
    hold() {
      let isOpen = true
      holds++
      return () => {
        if (!isOpen) return
        isOpen = false
        holds--
        schedule()
      }
    },
    close() {
      isClosed = true
      clearImmediate(scheduled)
      while (waiting.length > 0) flush()
    }
  }
}

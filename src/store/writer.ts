import { AsyncLocalStorage } from 'node:async_hooks'
import type { DatabaseSync } from 'node:sqlite'
import type { Undo } from '../core/bus.ts'
import { ActionError } from '../core/errors.ts'
import type { GatewayEvent } from '../core/event.ts'
import { isBusy, isDoubtful, isTrouble } from './result-codes.ts'
import { toRefusal } from './trouble.ts'

export type Emit = (event: GatewayEvent) => void

/**
 * What an operation is to the others of its transaction. `guarded`: it has a savepoint, and when it throws, what it has done
 * is undone. `plain`: it needs none, since it refuses, if at all, before its first change; and it does not look at rows
 * that others only count.
 */
export type Manner = 'guarded' | 'plain'

export interface WriteOptions {
  /** `guarded` when absent. */
  readonly manner?: Manner
  /** How long it waits for another process that is writing, in milliseconds. */
  readonly patienceMs?: number
}

export interface Writer {
  /** Runs `operation` in the next shared transaction; resolves once that transaction is durable. */
  readonly write: <T>(operation: (emit: Emit) => T, options?: WriteOptions) => Promise<T>
  /** More has come up that goes with an operation which waits. */
  readonly expectMore: () => void
  /** While any hold is open nothing is written. */
  readonly hold: () => Undo
  /** Writes what waits, then takes no more. */
  readonly close: () => void
}

export interface WriterListener {
  /** Each transaction begins with it: nobody else writes from here on. */
  readonly onBegin: () => void
  /** Writes what plain operations have counted so far: others are about to look at it, or it is about to be committed. */
  readonly onSettle: () => void
  /** After each commit, when its promises were settled: what it added to the log, in order. */
  readonly onDurable: (events: readonly GatewayEvent[]) => void
  /** Something that was written has been taken back: what was remembered of it is wrong. */
  readonly onRollback: () => void
  /** Nothing could be written; called for every batch that was refused because of it. */
  readonly onTrouble: (err: unknown) => void
  /** The first commit after that. */
  readonly onWell: () => void
}

interface Waiting {
  readonly operation: (emit: Emit) => unknown
  readonly resolve: (value: never) => void
  readonly reject: (err: unknown) => void
  readonly manner: Manner
  /** In the milliseconds of the monotonic clock. */
  readonly deadline: number
}

function maybeWritten(err: unknown): ActionError {
  return new ActionError('unknown', `the database may have written this or not: ${(err as Error).message}`)
}

/** Long enough that one disk flush is shared by many, short enough that the event loop is not held up. */
const BATCH = 128
/** How long changes wait for others, as long as more of them come, */
const GATHER_MS = 4
/** which is over after so many turns of the event loop that brought none: some 30 µs when nobody else is there. */
const QUIET_TURNS = 3
const PATIENCE_MS = 5000
const RETRY_MS = 20
/** Changes that may wait for their turn; there is memory for no more. A flush of all of them takes a second or two. */
const MAX_WAITING = 20_000
/** Those that may wait for another process, which may keep them waiting for as long as they have patience. */
const MAX_BEHIND_LOCK = 2000

/**
 * Group commit: what is asked for within one turn of the event loop shares one transaction, and so one disk flush.
 * One that throws takes nobody else's work with it: operations have savepoints, or change nothing before they may throw.
 */
export function createWriter(db: DatabaseSync, listener: WriterListener): Writer {
  const begin = db.prepare('begin immediate')
  const commit = db.prepare('commit')
  const savepoint = db.prepare('savepoint operation')
  const release = db.prepare('release operation')
  const undo = db.prepare('rollback to operation')
  // A flush serves many, and what it tells goes far: none of it belongs to the call that happened to ask for it.
  const outside = AsyncLocalStorage.snapshot()
  let waiting: Waiting[] = []
  /** What has come since the last flush, how much of it had come at the end of the last turn, and turns without any since. */
  let arrived = 0
  let gathered = 0
  let gatheredSince = 0
  let quietTurns = 0
  let holds = 0
  let cancelScheduled: Undo | undefined
  let isClosed = false
  let isLocked = false
  let isWell = true

  function schedule(): void {
    if (cancelScheduled || holds > 0 || isClosed || waiting.length === 0) return
    const immediate = setImmediate(outside, flushOrGather)
    cancelScheduled = () => clearImmediate(immediate)
  }

  /**
   * A flush costs as much for one change as for fifty. So it begins when a few turns have brought nothing new, which is at
   * once when nobody else is there; under load it waits for those who come meanwhile.
   */
  function flushOrGather(): void {
    const now = performance.now()
    if (gathered === 0) gatheredSince = now
    quietTurns = arrived > gathered ? 0 : quietTurns + 1
    gathered = arrived
    const isMore = quietTurns < QUIET_TURNS && waiting.length < BATCH && now - gatheredSince < GATHER_MS
    cancelScheduled = undefined
    if (isMore) schedule()
    else flush()
  }

  function flush(): void {
    cancelScheduled = undefined
    arrived = 0
    gathered = 0
    if (holds > 0 && !isClosed) return
    try {
      begin.run()
      isLocked = false
    } catch (err) {
      if (isBusy(err)) waitForLock(err)
      else fail(waiting.splice(0, BATCH), err)
      return
    }
    const batch = waiting.splice(0, BATCH)
    const events: GatewayEvent[] = []
    const settle: (() => void)[] = []
    try {
      listener.onBegin()
      for (const entry of batch) settle.push(runOne(entry, events))
      listener.onSettle()
    } catch (err) {
      if (!isTrouble(err) && batch.some(({ manner }) => manner === 'plain')) runAgain(batch)
      else takeBack(batch, err)
      return
    }
    try {
      commit.run()
    } catch (err) {
      takeBack(batch, err, isDoubtful(err) ? maybeWritten(err) : undefined)
      return
    }
    if (!isWell) {
      isWell = true
      listener.onWell()
    }
    for (const done of settle) done()
    if (events.length > 0) listener.onDurable(events)
    schedule()
  }

  function takeBack(batch: readonly Waiting[], err: unknown, failure?: ActionError): void {
    rollBack()
    fail(batch, err, failure)
  }

  /** One that was thought to be plain has a mistake in it; which, shows when each of them has a savepoint. */
  function runAgain(batch: readonly Waiting[]): void {
    rollBack()
    waiting = [...batch.map((entry) => ({ ...entry, manner: 'guarded' as const })), ...waiting]
    schedule()
  }

  function rollBack(): void {
    if (db.isTransaction) db.exec('rollback')
    listener.onRollback()
  }

  /** Another process has the lock. The event loop goes on meanwhile: whoever only reads is not kept waiting. */
  function waitForLock(err: unknown): void {
    isLocked = true
    const now = performance.now()
    const isLate = ({ deadline }: Waiting): boolean => isClosed || deadline <= now
    const late = waiting.filter(isLate)
    waiting = waiting.filter((entry) => !isLate(entry))
    if (waiting.length > 0) {
      const timer = setTimeout(flush, RETRY_MS)
      cancelScheduled = () => clearTimeout(timer)
    }
    fail(late, err)
  }

  /** No space, a read-only file, a lock that nobody gives back: nothing of this was written, unless `failure` says otherwise. */
  function fail(batch: readonly Waiting[], err: unknown, failure = toRefusal(err)): void {
    if (batch.length === 0) return
    listener.onTrouble(err)
    isWell = false
    for (const entry of batch) entry.reject(failure)
    schedule()
  }

  function runOne(entry: Waiting, events: GatewayEvent[]): () => void {
    const emit: Emit = (event) => events.push(event)
    return entry.manner === 'plain' ? runPlain(entry, emit) : runGuarded(entry, emit, events)
  }

  function runPlain({ operation, resolve, reject }: Waiting, emit: Emit): () => void {
    try {
      const value = operation(emit) as never
      return () => resolve(value)
    } catch (err) {
      if (!(err instanceof ActionError)) throw err
      return () => reject(err)
    }
  }

  function runGuarded({ operation, resolve, reject }: Waiting, emit: Emit, events: GatewayEvent[]): () => void {
    const already = events.length
    listener.onSettle()
    savepoint.run()
    try {
      const value = operation(emit) as never
      listener.onSettle()
      release.run()
      return () => resolve(value)
    } catch (err) {
      // A full disk is no mistake of this one operation, and may have ended the whole transaction.
      if (!db.isTransaction || isTrouble(err)) throw err
      undo.run()
      release.run()
      events.length = already
      listener.onRollback()
      return () => reject(err)
    }
  }

  return {
    write(operation, { manner = 'guarded', patienceMs = PATIENCE_MS } = {}) {
      if (isClosed) return Promise.reject(new ActionError('unavailable', 'the database is closed'))
      if (waiting.length >= (isLocked ? MAX_BEHIND_LOCK : MAX_WAITING))
        return Promise.reject(new ActionError('unavailable', 'too many changes wait for the database; try again later'))
      return new Promise((resolve, reject) => {
        const deadline = performance.now() + patienceMs
        arrived++
        waiting.push({ operation, resolve: resolve as (value: never) => void, reject, manner, deadline })
        schedule()
      })
    },
    expectMore() {
      arrived++
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
      cancelScheduled?.()
      // There is no later any more.
      db.exec(`pragma busy_timeout = ${PATIENCE_MS}`)
      while (waiting.length > 0) flush()
    }
  }
}

import type { Undo } from './bus.ts'
import type { Clock } from './clock.ts'
import type { Store } from './store.ts'

export interface RetentionOptions {
  readonly store: Pick<Store, 'dropEvents'>
  readonly clock: Clock
  /** How long events are kept, in seconds; read each time, as `count` is. */
  readonly ageS: number
  /** As many of the newest are kept. */
  readonly count: number
  readonly onError: (err: unknown) => void
}

const FIRST_MS = 5000
const EVERY_MS = 60_000
/** A write of a few milliseconds, and so many of them in a second that no load makes the log grow faster. */
const BATCH = 500
const PAUSE_MS = 100

/**
 * Drops what of the log is older than anybody may come back to, a little at a time. Messages stay: only who wants to hear
 * of it once more comes too late. Gives back its stop, which resolves when nothing is being written.
 */
export function startRetention(options: RetentionOptions): () => Promise<void> {
  const { store, clock, onError } = options
  let isStopped = false
  let running = Promise.resolve()
  // Not at once: those who come back after a start find their places first.
  let cancel: Undo = clock.after(FIRST_MS, run)

  async function dropSome(): Promise<void> {
    const bounds = { keptFrom: clock.now() - options.ageS, keep: options.count, limit: BATCH }
    const isMore = await store.dropEvents(bounds).then(
      (dropped) => dropped.isMore,
      // A database that cannot write now is asked again as if there were nothing to do.
      (err: unknown) => {
        onError(err)
        return undefined
      }
    )
    if (!isStopped) cancel = clock.after(isMore ? PAUSE_MS : EVERY_MS, run)
  }

  function run(): void {
    running = dropSome()
  }

  return async () => {
    isStopped = true
    cancel()
    await running
  }
}

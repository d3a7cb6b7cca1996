import { setImmediate as nextTurn } from 'node:timers/promises'

/** Lets pieces of work through one after the other, and others in between. */
export interface Turnstile {
  /** Runs `work` when it is its turn; gives what comes of it. */
  readonly pass: <T>(work: () => Promise<T>) => Promise<T>
}

/** How long the work of one turn of the event loop may take before everybody else has theirs. */
const BUDGET_MS = 5

/** However many want to read the log at once, nobody else waits longer than for a few of their pages. */
export function createTurnstile(budgetMs = BUDGET_MS): Turnstile {
  const waiting: (() => Promise<void>)[] = []
  let isRunning = false
  /** Undefined where nothing was done in this turn of the event loop. */
  let endsAt: number | undefined

  async function run(): Promise<void> {
    isRunning = true
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      if (endsAt === undefined) {
        endsAt = performance.now() + budgetMs
        setImmediate(() => (endsAt = undefined))
      }
      await next()
      // Also for the last one: whoever is let through comes again at once.
      if (performance.now() >= endsAt) await nextTurn()
    }
    isRunning = false
  }

  return {
    pass: (work) =>
      new Promise((resolve, reject) => {
        waiting.push(() => work().then(resolve, reject))
        if (!isRunning) void run()
      })
  }
}

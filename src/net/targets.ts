/** Something of the configuration that runs by itself: a webhook, a reverse WebSocket, a link to a brain. */
export interface Running {
  /** Ends it in good order; resolves when nothing of it is left. */
  readonly stop: () => Promise<void>
}

export interface TargetEntry {
  /** All that it depends on: an entry whose key is the same is the same and is not touched. May hold secrets. */
  readonly key: string
  readonly start: () => Promise<Running>
}

export interface Targets {
  /**
   * Makes what runs be what the entries say: those that are not named any more end, new ones begin, the others do not
   * notice. Rejects with the first failure to start, when all the others have been started.
   */
  readonly apply: (entries: readonly TargetEntry[]) => Promise<{ readonly started: number; readonly stopped: number }>
  /** Ends all of them, side by side; nothing is started after it. */
  readonly stop: () => Promise<void>
}

export function createTargets(): Targets {
  const running = new Map<string, Running>()
  let last: Promise<unknown> = Promise.resolve()
  let isStopped = false

  async function change(entries: readonly TargetEntry[]): Promise<{ started: number; stopped: number }> {
    if (isStopped) return { started: 0, stopped: 0 }
    const wanted = new Map(entries.map((entry) => [entry.key, entry]))
    const gone = [...running].filter(([key]) => !wanted.has(key))
    // First the old ones: two of one name would tell everything twice.
    for (const [key] of gone) running.delete(key)
    const ends = await Promise.allSettled(gone.map(([, target]) => target.stop()))
    const fresh = [...wanted].filter(([key]) => !running.has(key))
    const starts = await Promise.allSettled(
      fresh.map(async ([key, { start }]) => {
        running.set(key, await start())
      })
    )
    for (const end of [...starts, ...ends]) if (end.status === 'rejected') throw end.reason
    return { started: fresh.length, stopped: gone.length }
  }

  return {
    apply(entries) {
      const result = last.then(() => change(entries))
      last = result.catch(() => {})
      return result
    },
    async stop() {
      isStopped = true
      await last
      await Promise.all([...running.values()].map((target) => target.stop()))
      running.clear()
    }
  }
}

/** What is under way from a log, in its order. */
export interface Ledger {
  /** Gives what to call when the entry is done. Ids only grow. */
  readonly open: (id: number) => () => void
  readonly size: () => number
  /** Resolves when fewer than `limit` are open. One caller at a time. */
  readonly below: (limit: number) => Promise<void>
}

/** Entries may end in any order; `onAdvance` hears of the last one before which nothing is open any more. */
export function createLedger(onAdvance: (id: number) => void): Ledger {
  const entries: { readonly id: number; isDone: boolean }[] = []
  let wake = (): void => {}

  return {
    open(id) {
      const entry = { id, isDone: false }
      entries.push(entry)
      return () => {
        entry.isDone = true
        let last: number | undefined
        while (entries[0]?.isDone) last = entries.shift()?.id
        if (last === undefined) return
        onAdvance(last)
        wake()
      }
    },
    size: () => entries.length,
    async below(limit) {
      while (entries.length >= limit) await new Promise<void>((resolve) => (wake = resolve))
    }
  }
}

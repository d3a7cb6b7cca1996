/** Work under one key is done one after the other, in the order it was asked for; different keys go side by side. */
export interface Turns {
  readonly take: <T>(key: string, work: () => Promise<T>) => Promise<T>
  /** Resolves when everything that was asked for until now is done. */
  readonly settled: () => Promise<void>
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>()

  return {
    async take(key, work) {
      const turn = (last.get(key) ?? Promise.resolve()).then(work)
      const end = turn.catch(() => {})
      last.set(key, end)
      try {
        return await turn
      } finally {
        if (last.get(key) === end) last.delete(key)
      }
    },
    async settled() {
      await Promise.all(last.values())
    }
  }
}

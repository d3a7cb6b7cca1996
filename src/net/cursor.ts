import { createHash } from 'node:crypto'

/** A position in the log that is written behind: one write at a time, each with the newest position. */
export interface Cursor {
  readonly advance: (eventId: number) => void
  /** Resolves when the newest position is stored, or cannot be. */
  readonly settled: () => Promise<void>
}

export function createCursor(save: (eventId: number) => Promise<void>, onError: (err: unknown) => void): Cursor {
  let wanted = 0
  let isRunning = false
  let running = Promise.resolve()

  async function run(): Promise<void> {
    isRunning = true
    try {
      let saved = 0
      while (saved < wanted) {
        saved = wanted
        await save(saved)
      }
    } catch (err) {
      // A position that cannot be written is written with the next one; at worst something is told twice.
      onError(err)
    } finally {
      // In the same turn as the last look at `wanted`, or a position that comes in between would be forgotten.
      isRunning = false
    }
  }

  return {
    advance(eventId) {
      if (eventId <= wanted) return
      wanted = eventId
      if (!isRunning) running = run()
    },
    async settled() {
      await running
    }
  }
}

/** The name under which a target's place in the log is kept. The address goes in as a digest, since it may hold a secret. */
export function cursorName(kind: 'webhook' | 'reverse' | 'maim', botId: number, url: string): string {
  return `${kind}:${botId}:${createHash('sha256').update(url).digest('hex').slice(0, 32)}`
}

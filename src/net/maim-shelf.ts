import { Seen } from '../../sdk/src/seen.ts'

/** What peers have sent lately, by who they are; it outlives their connections for a while (contract 9, duplicates). */
export interface SeenShelf {
  /** Gives back how to put it away when the connection is over. */
  readonly take: (peer: string) => { readonly seen: Seen; readonly giveBack: () => void }
}

export interface SeenShelfOptions {
  /** How long what was put away is kept, in milliseconds. */
  readonly keepMs?: number
  /** Peers without a connection that are remembered; the one that has been away longest goes first. */
  readonly capacity?: number
  /** Milliseconds that only grow. */
  readonly ticks: () => number
}

export function createSeenShelf({ keepMs = 600_000, capacity = 1000, ticks }: SeenShelfOptions): SeenShelf {
  const inUse = new Map<string, { readonly seen: Seen; users: number }>()
  /** The one that has been away longest first. */
  const away = new Map<string, { readonly seen: Seen; readonly since: number }>()

  function dropOld(): void {
    for (const [peer, { since }] of away) {
      if (away.size <= capacity && ticks() - since <= keepMs) return
      away.delete(peer)
    }
  }

  return {
    take(peer) {
      dropOld()
      const entry = inUse.get(peer) ?? { seen: away.get(peer)?.seen ?? new Seen(), users: 0 }
      away.delete(peer)
      inUse.set(peer, entry)
      entry.users++
      return {
        seen: entry.seen,
        giveBack() {
          if (--entry.users > 0) return
          inUse.delete(peer)
          away.set(peer, { seen: entry.seen, since: ticks() })
          dropOld()
        }
      }
    }
  }
}

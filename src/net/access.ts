import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Undo } from '../core/bus.ts'

/** Somebody on an open socket whose right to be there may end: the token is replaced, the account is switched off. */
export interface Visitor {
  readonly mayStay: () => Promise<boolean>
  /** Called once, when `mayStay` has said no. */
  readonly end: () => void
}

export interface AccessWatch {
  readonly watch: (visitor: Visitor) => Undo
  readonly close: Undo
}

export interface AccessWatchOptions {
  /** Calls when who may be here may have changed. */
  readonly onAccessChange: (listener: () => void) => Undo
  readonly onError: (err: unknown) => void
}

/** Visitors that are asked about per turn of the event loop. */
const CHUNK = 256

/** Looks at every visitor again whenever the command line has changed the accounts, or a reload the tokens. */
export function watchAccess({ onAccessChange, onError }: AccessWatchOptions): AccessWatch {
  const visitors = new Set<Visitor>()
  let isWanted = false
  let running: Promise<void> | undefined

  async function lookAgain(): Promise<void> {
    // Those who are asked may hear of the change after us.
    await Promise.resolve()
    while (isWanted) {
      isWanted = false
      let asked = 0
      for (const visitor of visitors) {
        if (++asked % CHUNK === 0) await nextTurn()
        if (await visitor.mayStay()) continue
        // They may have left by themselves while they were asked about.
        if (visitors.delete(visitor)) visitor.end()
      }
    }
  }

  const close = onAccessChange(() => {
    isWanted = true
    running ??= lookAgain()
      .catch(onError)
      .finally(() => {
        running = undefined
      })
  })

  return {
    watch(visitor) {
      visitors.add(visitor)
      return () => visitors.delete(visitor)
    },
    close
  }
}

import { ActionError } from './errors.ts'
import type { Pin } from './friend-store.ts'
import type { Store } from './store.ts'

/** What each account keeps at the top of its list. Every method throws `ActionError` to refuse. */
export interface Pins {
  /** A friend, whoever one has a private chat with, or a group that one is in. What is so already stays so without an event. */
  readonly set: (accountId: number, pin: Pin, isPinned: boolean) => Promise<void>
  /** The latest first; what was pinned and is gone is left out. */
  readonly list: (accountId: number) => Promise<Pin[]>
}

const MAX_PINS = 100

/** `now` gives Unix seconds. */
export function createPins(store: Store, now: () => number): Pins {
  return {
    async set(accountId, { scene, peerId }, isPinned) {
      await store.setPin({
        accountId,
        scene,
        peerId,
        isPinned,
        time: now(),
        check({ isThere, count }) {
          if (!isThere)
            throw new ActionError('not_found', `there is no ${scene} ${peerId} that you could pin`, {
              field: 'peer_id'
            })
          if (isPinned && count >= MAX_PINS)
            throw new ActionError('forbidden', `at most ${MAX_PINS} can be pinned; unpin one first`)
        }
      })
    },
    list: (accountId) => store.listPins(accountId)
  }
}

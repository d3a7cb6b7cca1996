import { ActionError } from './errors.ts'
import { mustBeAdmin, type Groups } from './groups.ts'
import type { EssenceEntry } from './note-store.ts'
import type { Window } from './people-store.ts'
import type { Store } from './store.ts'

/** Messages that a group finds worth keeping. Every method throws `ActionError` to refuse; changing nothing is a success without an event. */
export interface Essence {
  /** By the owner and the admins; up to 500 messages of a group. */
  readonly set: (actorId: number, groupId: number, seq: number, isSet: boolean) => Promise<void>
  /** The latest marked first; for members. */
  readonly list: (
    accountId: number,
    groupId: number,
    window: Window
  ) => Promise<{ entries: EssenceEntry[]; total: number }>
}

/** Of one group: as many as somebody might look through. */
const MAX_ESSENCE = 500

export function createEssence(store: Store, groups: Pick<Groups, 'get'>, now: () => number): Essence {
  return {
    set: (actorId, groupId, seq, isSet) =>
      store.changeEssence({
        groupId,
        seq,
        actorId,
        isSet,
        time: now(),
        decide({ actor, isMarked, count }) {
          mustBeAdmin(actor, isSet ? 'mark messages as essence' : 'take messages from the essence')
          if (isMarked === isSet) return false
          if (isSet && count >= MAX_ESSENCE)
            throw new ActionError('too_large', `a group keeps at most ${MAX_ESSENCE} messages; take another one away`)
          return true
        }
      }),

    async list(accountId, groupId, { offset, limit }) {
      await groups.get(accountId, groupId)
      // Nothing is behind the last; the product of two numbers of a client may be more than a database counts.
      return store.listEssence(groupId, { offset: Math.min(offset, MAX_ESSENCE), limit })
    }
  }
}

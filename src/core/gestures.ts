import { blocked, checkMaySpeak } from './chats.ts'
import type { Directory } from './directory.ts'
import { ActionError } from './errors.ts'
import type { Likes } from './friend-store.ts'
import type { Store } from './store.ts'

/** Small signs that one account gives another. Every method throws `ActionError` to refuse. */
export interface Gestures {
  /** Somebody who is in the chat, or oneself; by who may speak there. */
  readonly nudge: (senderId: number, chatId: number, receiverId: number) => Promise<void>
  /** Ten times a day (UTC) at most; `forbidden` for more, and then none counts. */
  readonly like: (accountId: number, targetId: number, count: number) => Promise<void>
  /** How often the account was liked, and by whom today. */
  readonly listLikes: (accountId: number) => Promise<Likes>
}

export interface GesturesOptions {
  readonly store: Store
  readonly directory: Pick<Directory, 'get'>
  /** Unix seconds. */
  readonly now: () => number
}

/** Of one account by another, on one day. */
const MAX_LIKES = 10
/** How many of those who liked somebody today are listed. */
const MAX_LISTED = 100

export function createGestures({ store, directory, now }: GesturesOptions): Gestures {
  return {
    async nudge(senderId, chatId, receiverId) {
      const time = now()
      await store.nudge({ chatId, senderId, receiverId, time, check: (speaker) => checkMaySpeak(speaker, time) })
    },

    async like(accountId, targetId, count) {
      if (accountId === targetId) throw new ActionError('forbidden', 'you cannot like yourself')
      await directory.get(targetId)
      await store.addLikes({
        accountId,
        targetId,
        count,
        time: now(),
        check({ given, hasBlocked }) {
          if (hasBlocked) throw blocked()
          if (given + count <= MAX_LIKES) return
          const left = MAX_LIKES - given
          throw new ActionError('forbidden', `one likes somebody ${MAX_LIKES} times a day; ${left} are left today`)
        }
      })
    },

    listLikes: (accountId) => store.readLikes(accountId, now(), MAX_LISTED)
  }
}

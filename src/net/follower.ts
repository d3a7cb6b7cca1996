import { setTimeout as delay } from 'node:timers/promises'
import type { GatewayEvent } from '../core/event.ts'
import type { Store } from '../core/store.ts'
import type { Hub } from './hub.ts'
import { createTurnstile } from './turnstile.ts'

/** Reads everything that an account may hear, from a position of the log on, for ever. */
export interface Follower {
  /** The next event; waits for it. Undefined once closed. One call at a time. */
  readonly next: () => Promise<GatewayEvent | undefined>
  readonly close: () => void
}

export interface FollowerOptions {
  readonly store: Pick<Store, 'readEvents'>
  readonly hub: Hub
  readonly accountId: number
  /** Events after this id. */
  readonly from: number
  readonly wants: (event: GatewayEvent) => boolean
  /** Called when the log could not be read; it is tried again. */
  readonly onError: (err: unknown) => void
  /** Called whenever everything that there was has been given. */
  readonly onCaughtUp?: () => void
  readonly retryMs?: number
  /** Live events that may wait in memory; when there are more, the log is read again instead. */
  readonly capacity?: number
}

const PAGE = 200
/** One for all of them: thousands may come back at once, and a log may be long in which nothing is wanted. */
const turnstile = createTurnstile()

/**
 * Old events come from the log, new ones straight from the hub, and when the reader is too slow for those, from the log
 * again: memory is bounded and nothing is left out.
 */
export function createFollower(options: FollowerOptions): Follower {
  const { store, hub, accountId, from, wants, onError, onCaughtUp, retryMs = 1000, capacity = 1000 } = options
  const abort = new AbortController()
  let buffer: GatewayEvent[] = []
  /** Everything up to this id was taken from the buffer, or is of no concern to the account. */
  let position = from
  let pageEnd = from
  let isLive = false
  let wake = (): void => {}

  const detach = hub.attach({
    viewerId: accountId,
    receive(event) {
      if (!isLive || event.id <= position) return
      // From here on the log knows better; what waits in memory is still in order.
      if (buffer.length >= capacity) isLive = false
      else buffer.push(event)
      wake()
    }
  })

  async function readPage(): Promise<void> {
    const page = await turnstile.pass(async () => {
      // Live first, then read: what is committed in between is seen twice rather than never.
      isLive = true
      return store.readEvents(accountId, position, PAGE).catch((err: unknown) => {
        onError(err)
      })
    })
    if (!page) {
      // Who follows is there for weeks; a database that is busy for a moment must not end it.
      isLive = false
      buffer = []
      await delay(retryMs, undefined, { signal: abort.signal, ref: false }).catch(() => {})
      return
    }
    if (page.readTo === position) return
    isLive = false
    buffer = page.events
    pageEnd = page.readTo
  }

  function somethingNew(): Promise<void> {
    return new Promise((resolve) => {
      wake = resolve
    })
  }

  return {
    async next() {
      while (!abort.signal.aborted) {
        const event = buffer.shift()
        if (event) {
          position = event.id
          if (wants(event)) return event
          continue
        }
        position = Math.max(position, pageEnd)
        if (!isLive) {
          await readPage()
          continue
        }
        onCaughtUp?.()
        await somethingNew()
      }
      return undefined
    },
    close() {
      abort.abort()
      detach()
      wake()
    }
  }
}

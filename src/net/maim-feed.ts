import type { Outbox } from '../../sdk/src/outbox.ts'
import type { GatewayEvent } from '../core/event.ts'
import { createCursor } from './cursor.ts'
import type { Follower } from './follower.ts'
import { createLedger } from './ledger.ts'

export interface FeedOptions {
  readonly follower: Follower
  /** The frame for an event and its `msg_id`, the same at every try; undefined for what the peer has no use for. */
  readonly encode: (event: GatewayEvent) => Promise<{ readonly msgId: string; readonly text: string } | undefined>
  readonly outbox: Pick<Outbox, 'add'>
  /** Stores that everything up to this event is settled. */
  readonly saveCursor: (eventId: number) => Promise<void>
  /** An event that cannot be told is passed over: one poison message must not hold up all that follow. */
  readonly onError: (err: unknown) => void
  /** Events that may be under way. */
  readonly window?: number
}

/**
 * Tells events to a peer of the API-Server protocol, in order, many at a time, until each is acknowledged. The cursor moves
 * when nothing before it is open any more; what the peer has not taken stays in the log. Gives back its stop.
 */
export function startFeed(options: FeedOptions): { stop: () => Promise<void> } {
  const { follower, encode, outbox, saveCursor, onError, window = 256 } = options
  const cursor = createCursor(saveCursor, onError)
  const ledger = createLedger(cursor.advance)
  let isStopped = false
  let onStop = (): void => {}
  const stopped = new Promise<void>((resolve) => (onStop = resolve))

  async function pump(): Promise<void> {
    for (;;) {
      await Promise.race([ledger.below(window), stopped])
      const event = await follower.next()
      if (!event || isStopped) return
      const settle = ledger.open(event.id)
      const frame = await encode(event).catch(onError)
      if (frame) outbox.add(frame.msgId, frame.text, settle)
      else settle()
    }
  }

  const pumping = pump().catch(onError)

  return {
    async stop() {
      isStopped = true
      follower.close()
      onStop()
      await pumping
      await cursor.settled()
    }
  }
}

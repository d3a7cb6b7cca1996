import { setTimeout as delay } from 'node:timers/promises'
import { backoff } from '../../sdk/src/backoff.ts'
import type { GatewayEvent } from '../core/event.ts'
import { createCursor } from './cursor.ts'
import type { Follower } from './follower.ts'
import { createLedger } from './ledger.ts'

export interface DeliveryOptions {
  readonly follower: Follower
  /** One try; rejects when it failed. `attempt` is 1 for the first. The signal cuts it off when it outlives the stop for too long. */
  readonly deliver: (event: GatewayEvent, attempt: number, signal: AbortSignal) => Promise<void>
  /** Stores that everything up to this event is delivered. */
  readonly saveCursor: (eventId: number) => Promise<void>
  readonly onError: (err: unknown) => void
  /** Chats that are delivered at the same time; 1 is strict order over all of them. */
  readonly concurrency?: number
  /** Events that may be under way or wait behind a failing one. */
  readonly window?: number
  readonly retry?: { readonly firstMs: number; readonly maxMs: number }
  /** How long tries under way may take after the stop. */
  readonly graceMs?: number
}

/**
 * Gives events to one receiver, at least once, in order within each chat, several chats side by side, until each is
 * taken. The cursor moves when nothing before it is open any more, so a restart begins with what is not delivered.
 * Gives back its stop, which begins no more tries and resolves when those under way have ended, or were cut off.
 */
export function startDelivery(options: DeliveryOptions): { stop: () => Promise<void> } {
  const { follower, deliver, saveCursor, onError, concurrency = 8, window = 256, graceMs = 3000 } = options
  const retry = options.retry ?? { firstMs: 1000, maxMs: 60_000 }
  const stopping = new AbortController()
  const { signal } = stopping
  const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  const cutting = new AbortController()
  const cursor = createCursor(saveCursor, onError)
  const ledger = createLedger(cursor.advance)
  const lanes = new Map<number, Promise<void>>()
  const slots = createSlots(concurrency)

  async function pump(): Promise<void> {
    for (;;) {
      await Promise.race([ledger.below(window), stopped])
      const event = await follower.next()
      if (!event || signal.aborted) return
      const settle = ledger.open(event.id)
      // Strict order is one lane for all of them.
      const chatId = concurrency === 1 ? 0 : event.chat.id
      const lane = (lanes.get(chatId) ?? Promise.resolve()).then(() => deliverOne(event, settle))
      lanes.set(chatId, lane)
      void lane.then(() => lanes.get(chatId) === lane && lanes.delete(chatId))
    }
  }

  /** Never rejects: only stopping ends it before the event is delivered. */
  async function deliverOne(event: GatewayEvent, settle: () => void): Promise<void> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      const leave = await slots.enter()
      try {
        if (signal.aborted) return
        await deliver(event, attempt, cutting.signal)
        slots.setFailing(false)
        settle()
        return
      } catch (err) {
        if (signal.aborted) return
        slots.setFailing(true)
        onError(err)
      } finally {
        leave()
      }
      await delay(backoff(attempt, retry), undefined, { signal, ref: false }).catch(() => {})
    }
  }

  const pumping = pump().catch(onError)

  return {
    async stop() {
      stopping.abort()
      follower.close()
      // What a receiver is just taking is better finished than told again after the next start.
      const deadline = setTimeout(() => cutting.abort(), graceMs)
      await pumping
      await Promise.all(lanes.values())
      clearTimeout(deadline)
      await cursor.settled()
    }
  }
}

/** Lets `size` in at once, and only one while the receiver is failing: who is down is asked once, not eight times. */
function createSlots(size: number) {
  const waiting: (() => void)[] = []
  let inside = 0
  let isFailing = false

  function admit(): void {
    while (waiting.length > 0 && inside < (isFailing ? 1 : size)) {
      inside++
      waiting.shift()?.()
    }
  }

  return {
    async enter(): Promise<() => void> {
      const turn = new Promise<void>((resolve) => waiting.push(resolve))
      admit()
      await turn
      return () => {
        inside--
        admit()
      }
    },
    setFailing(value: boolean): void {
      isFailing = value
      admit()
    }
  }
}

import { setImmediate as nextTurn } from 'node:timers/promises'
import { MessageConverter } from '../../sdk/src/converter.ts'
import { encodeEnvelope } from '../../sdk/src/envelope.ts'
import { APIMessageBase } from '../../sdk/src/message.ts'
import { Outbox, type OutboxOptions } from '../../sdk/src/outbox.ts'
import type { GatewayEvent } from '../core/event.ts'
import type { Store } from '../core/store.ts'
import type { NoticeForm } from '../protocols/maim-telling.ts'
import { createFollower } from './follower.ts'
import type { Hub } from './hub.ts'
import { startFeed } from './maim-feed.ts'
import { nameOf } from './maim-link.ts'
import { drained, TOO_BIG, type FlowLine, type Visit } from './maim-road.ts'
import type { DoorStats } from './maim-stats.ts'
import type { Teller } from './maim-teller.ts'
import { isOwnMessage } from './serve.ts'

/** A connection that hears what is said in the chats of its account. */
export interface Listener extends FlowLine {
  readonly apiKey: string
  /** How what is no message is told; that of the first counts for all. */
  readonly notices: NoticeForm
  /** Largest frame that it takes, in bytes; may grow. */
  readonly maxFrame: () => number
}

/** Tells the brains of one account and platform what happens in its chats, as long as one is there (contract 2, 4). */
export interface ChatsOfRoad {
  readonly enter: (listener: Listener) => Visit
  readonly isIdle: () => boolean
  /** Resolves when the place in the log is stored. */
  readonly close: () => Promise<void>
}

export interface ChatsOptions {
  readonly accountId: number
  readonly platform: string
  readonly teller: Teller
  readonly store: Pick<Store, 'openCursor' | 'saveCursor' | 'readEvents'>
  readonly hub: Hub
  readonly stats: DoorStats
  readonly keepTimeMs: number
  readonly keepCount: number
  readonly outbox: OutboxOptions
  /** Characters of text that may be under way; a single message may be longer. */
  readonly window: number
  readonly onRest: () => void
  readonly log: { readonly warn: (fields: object, words: string) => void }
  /** Unix seconds. */
  readonly now: () => number
  readonly onError: (err: unknown) => void
}

/** What an envelope takes around its message. */
const ENVELOPE_BYTES = 1024
const PAGE = 500
/** Stands for an event when nobody is left to hear it. */
const UNTOLD = { msgId: '', text: '' }

export function createChatsOfRoad(options: ChatsOptions): ChatsOfRoad {
  const { accountId, platform, teller, store, hub, stats, window, onRest, log, now, onError } = options
  const road = `maim:api:${accountId}:${platform}`
  const listeners = new Set<Listener>()
  let stay: { readonly outbox: Outbox; readonly stop: () => Promise<void> } | undefined
  /** The stay before this one, which still stores its place. */
  let ending = Promise.resolve()
  let isEnding = false

  function begin(): NonNullable<typeof stay> {
    const outbox = new Outbox(options.outbox)
    const abort = new AbortController()
    const running = ending.then(() => feed(outbox, abort.signal)).catch(onError)
    return {
      outbox,
      async stop() {
        abort.abort()
        outbox.close()
        await (await running)?.stop()
      }
    }
  }

  async function feed(outbox: Outbox, signal: AbortSignal): Promise<{ stop: () => Promise<void> } | undefined> {
    const from = await findStart(options, await store.openCursor(road), signal)
    if (signal.aborted) return undefined
    let characters = 0
    let onRoom = (): void => {}
    signal.addEventListener('abort', () => onRoom())

    /** Resolves when more can be told without holding too much of it in memory. */
    async function room(): Promise<void> {
      while (!signal.aborted && characters >= window) await new Promise<void>((resolve) => (onRoom = resolve))
      await drained(listeners)
    }

    return startFeed({
      follower: createFollower({
        store,
        hub,
        accountId,
        from,
        wants: (event) => !isOwnMessage(event, accountId),
        onError
      }),
      async encode(event) {
        await room()
        return signal.aborted ? UNTOLD : encode(event)
      },
      outbox: {
        add(msgId, text, onSettled) {
          // Never settled, so it stays in the log.
          if (signal.aborted) return []
          characters += text.length
          const taken = outbox.add(msgId, text, (how) => {
            characters -= text.length
            onRoom()
            onSettled?.(how)
          })
          stats.sent += taken.length
          return taken
        }
      },
      saveCursor: (eventId) => store.saveCursor(road, eventId),
      onError
    })
  }

  async function encode(event: GatewayEvent): Promise<{ msgId: string; text: string } | undefined> {
    const first = firstOf(listeners)
    const apiKey = first?.apiKey ?? ''
    const maxBytes = Math.min(...[...listeners].map((listener) => listener.maxFrame())) - ENVELOPE_BYTES
    const message = await teller
      .tell(event, { platform, maxBytes, notices: first?.notices ?? 'notify' })
      .catch((err: unknown) => {
        stats.dropped['not told']++
        log.warn({ err, road, event: event.id }, 'an event cannot be told to a brain, it is left out')
      })
    if (!message) return undefined
    const payload = APIMessageBase.toObject(MessageConverter.toApiReceive(message, { apiKey, platform }))
    const msgId = nameOf(road, event)
    const meta = { sender_user: 'server', target_user: String(accountId), platform, timestamp: now() }
    return { msgId, text: encodeEnvelope('sys_std', msgId, meta, payload) }
  }

  /** The connection ended over a message that its peer does not take; sent again, it would end the next one too. */
  function giveUpLargest({ outbox }: { outbox: Outbox }): void {
    const { largest } = outbox
    if (largest === undefined) return
    stats.dropped['too large']++
    log.warn({ road, message: largest }, 'too large for the receiver, given up')
    outbox.drop(largest)
  }

  function end({ stop }: { stop: () => Promise<void> }): void {
    stay = undefined
    isEnding = true
    const stopped = stop()
      .catch(onError)
      .then(() => {
        if (ending !== stopped) return
        isEnding = false
        onRest()
      })
    ending = stopped
  }

  return {
    enter(listener) {
      listeners.add(listener)
      const present = (stay ??= begin())
      return {
        outbox: present.outbox,
        leave(code) {
          listeners.delete(listener)
          if (code === TOO_BIG) giveUpLargest(present)
          if (listeners.size === 0) end(present)
        }
      }
    },
    isIdle: () => !stay && !isEnding,
    close: () => ending
  }
}

function firstOf<T>(set: ReadonlySet<T>): T | undefined {
  for (const one of set) return one
  return undefined
}

/** Where to go on after an absence: what is too old is left out, and the oldest of what is too much (contract 9). */
async function findStart(
  { accountId, store, stats, keepTimeMs, keepCount, now }: ChatsOptions,
  cursor: number,
  signal: AbortSignal
): Promise<number> {
  const keptFrom = now() - keepTimeMs / 1000
  /** What may be told, the oldest first. */
  const kept: number[] = []
  let start = cursor
  for (let position = cursor; !signal.aborted;) {
    const { events, readTo } = await store.readEvents(accountId, position, PAGE)
    for (const event of events) {
      if (isOwnMessage(event, accountId)) continue
      if (event.time >= keptFrom) kept.push(event.id)
      else {
        stats.dropped['too old']++
        start = event.id
      }
    }
    if (readTo === position) break
    position = readTo
    await nextTurn()
  }
  const tooMany = kept.length - keepCount
  if (tooMany <= 0) return start
  stats.dropped['too many'] += tooMany
  return kept[tooMany - 1] ?? start
}

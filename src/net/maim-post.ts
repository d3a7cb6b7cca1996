import type { DropReason } from '../../sdk/src/outbox.ts'
import type { AckNote } from '../../sdk/src/session.ts'
import type { Store } from '../core/store.ts'
import type { Hub } from './hub.ts'
import type { BrainOf } from './maim-brains.ts'
import { createChatsOfRoad, type ChatsOfRoad, type Listener } from './maim-chats.ts'
import { Road, type Parcel, type RoadOptions, type Visit } from './maim-road.ts'
import type { MaimStats } from './maim-stats.ts'

/** Where messages go: an account and the name of a platform. */
export interface Address {
  readonly accountId: number
  readonly platform: string
}

/** The post office of the API-Server door: who is there, what is on its way, and what waits for those who are away. */
export interface MaimPost {
  /** A connection opens; `chats` says whether it hears the chats of its account. */
  readonly enter: (address: Address, listener: Listener, chats: boolean) => Visit
  /** See `Road`. */
  readonly send: (address: Address, parcel: Parcel) => Promise<AckNote>
  /** Connections that are there under the address. */
  readonly size: (address: Address) => number
  /** Resolves when everything is stored that was on its way. To be called when all connections are over. */
  readonly close: () => Promise<void>
}

export interface MaimPostOptions {
  readonly store: Pick<
    Store,
    'keepMail' | 'readMail' | 'dropMail' | 'tidyMail' | 'openCursor' | 'saveCursor' | 'readEvents'
  >
  readonly hub: Hub
  readonly brainOf: BrainOf
  readonly stats: MaimStats
  readonly limits: {
    readonly maim_keep_time: number
    readonly maim_keep_count: number
    readonly maim_keep_bytes: number
    readonly maim_repeat: number
    readonly connection_buffer: number
  }
  readonly log: { readonly warn: (fields: object, words: string) => void }
  /** Unix seconds. */
  readonly now: () => number
  readonly onError: (err: unknown) => void
}

const TIDY_EVERY_MS = 600_000

export function createMaimPost(options: MaimPostOptions): MaimPost {
  const { store, hub, brainOf, limits, log, now, onError } = options
  const stats = options.stats.api
  const roads = new Map<string, Road>()
  const chats = new Map<string, ChatsOfRoad>()
  const common = {
    store,
    stats,
    keepTimeMs: limits.maim_keep_time,
    outbox: {
      maxAgeMs: limits.maim_keep_time,
      repeatMs: [limits.maim_repeat, limits.maim_repeat * 3, limits.maim_repeat * 9],
      onRepeat: () => void stats.repeats++,
      onDrop: (why: DropReason) => void stats.dropped[why]++
    },
    window: limits.connection_buffer,
    log,
    now,
    onError
  }
  const roadOptions: RoadOptions = {
    ...common,
    // Now and then, since it looks at everything that is kept.
    onKept(count, characters) {
      keptSince += characters
      if (count > limits.maim_keep_count * 1.01 || keptSince > limits.maim_keep_bytes / 8) tidy()
    },
    onRest: (road) => void (road.isIdle && roads.get(road.name) === road && roads.delete(road.name))
  }
  let tidying: Promise<void> | undefined
  /** Characters that were written down since all was looked at. */
  let keptSince = 0
  const timer = setInterval(tidy, TIDY_EVERY_MS)
  timer.unref()
  tidy()

  function tidy(): void {
    if (tidying) return
    keptSince = 0
    const keptFrom = Math.floor(now() - limits.maim_keep_time / 1000)
    const { maim_keep_count: keep, maim_keep_bytes: keepBytes } = limits
    const everything = Number.MAX_SAFE_INTEGER
    tidying = store
      .tidyMail({ keptFrom, keep: everything, keepBytes: everything })
      .then(async (tooOld) => {
        stats.dropped['too old'] += tooOld
        stats.dropped['too many'] += await store.tidyMail({ keptFrom, keep, keepBytes })
      })
      .catch(onError)
      .finally(() => {
        tidying = undefined
      })
  }

  function roadOf({ accountId, platform }: Address): Road {
    const name = nameOf(accountId, platform)
    const known = roads.get(name)
    if (known) return known
    const road = new Road(name, roadOptions)
    roads.set(name, road)
    return road
  }

  function chatsOf({ accountId, platform }: Address): ChatsOfRoad {
    const name = nameOf(accountId, platform)
    const known = chats.get(name)
    if (known) return known
    const own = createChatsOfRoad({
      ...common,
      hub,
      accountId,
      platform,
      teller: brainOf(accountId).teller,
      keepCount: limits.maim_keep_count,
      onRest: () => own.isIdle() && chats.get(name) === own && chats.delete(name)
    })
    chats.set(name, own)
    return own
  }

  return {
    enter(address, listener, hears) {
      const mail = roadOf(address).enter(listener)
      return hears ? join(mail, chatsOf(address).enter(listener)) : mail
    },
    send: (address, parcel) => roadOf(address).send(parcel),
    size: ({ accountId, platform }) => roads.get(nameOf(accountId, platform))?.size ?? 0,
    async close() {
      clearInterval(timer)
      await Promise.all([...chats.values()].map((one) => one.close()))
      await Promise.all([...roads.values()].map((road) => road.settled()))
      await tidying
    }
  }
}

const nameOf = (accountId: number, platform: string): string => `api ${accountId} ${platform}`

/** Two boxes for one connection. */
function join(a: Visit, b: Visit): Visit {
  return {
    outbox: {
      open(line) {
        const closeA = a.outbox.open(line)
        const closeB = b.outbox.open(line)
        return () => {
          closeA()
          closeB()
        }
      },
      acked(msgId) {
        // Both learn that this peer acknowledges.
        const isOfA = a.outbox.acked(msgId)
        return b.outbox.acked(msgId) || isOfA
      },
      spoke() {
        a.outbox.spoke()
        b.outbox.spoke()
      }
    },
    leave(code) {
      a.leave(code)
      b.leave(code)
    }
  }
}

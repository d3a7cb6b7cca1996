import type { ApiConnection } from './api-connection.ts'
import type { ConnectionMetadata } from './config.ts'
import type { Outbox } from './outbox.ts'
import { Seen } from './seen.ts'

/** One open connection of a server. */
export interface Seat {
  readonly user: string
  readonly metadata: ConnectionMetadata
  readonly road: Road
  /** What is for this connection alone; it waits for the same `x-uuid` of the same user. */
  readonly own: Outbox
  readonly seen: Seen
  connection: ApiConnection | undefined
}

/** Everything that is for one user on one platform. */
export interface Road {
  readonly user: string
  readonly platform: string
  readonly outbox: Outbox
  readonly seats: Set<Seat>
}

export interface RoadsOptions {
  /** Whether anything is kept for those who are away. */
  readonly keeps: () => boolean
  readonly createOutbox: () => Outbox
}

/** Users on platforms that are remembered while they are away; those who went first are forgotten first. */
const MAX_AWAY = 10_000
/** Connections whose messages are remembered while they are away, and for how long (contract 9). */
const MAX_SEEN_AWAY = 1000
const SEEN_AWAY_MS = 600_000

const toKey = (...parts: readonly string[]): string => JSON.stringify(parts)

/** Who is connected and who was: user → platform → connections, with what waits for each. */
export class Roads {
  readonly #options: RoadsOptions
  readonly #users = new Map<string, Map<string, Road>>()
  readonly #seats = new Map<string, Seat>()
  readonly #away = new Set<Road>()
  readonly #owns = new Map<string, Outbox>()
  readonly #seenAway = new Map<string, { seen: Seen; leftAt: number }>()

  constructor(options: RoadsOptions) {
    this.#options = options
  }

  get seats(): ReadonlyMap<string, Seat> {
    return this.#seats
  }

  /** The roads of one user, or of everybody; also of those who are away. */
  *list(user?: string): Generator<Road> {
    if (user !== undefined) return yield* this.#users.get(user)?.values() ?? []
    for (const roads of this.#users.values()) yield* roads.values()
  }

  find(user: string, platform: string): Road | undefined {
    return this.#users.get(user)?.get(platform)
  }

  countUsers(): number {
    return new Set([...this.#seats.values()].map(({ user }) => user)).size
  }

  countWaiting(): number {
    let waiting = 0
    for (const { outbox } of this.list()) waiting += outbox.size
    for (const own of this.#owns.values()) waiting += own.size
    return waiting
  }

  /** Nobody else may hold the uuid. */
  enter(user: string, metadata: ConnectionMetadata): Seat {
    const { uuid, platform } = metadata
    const ownKey = toKey(user, uuid)
    const own = this.#owns.get(ownKey) ?? this.#options.createOutbox()
    this.#owns.set(ownKey, own)
    const seenKey = toKey(user, platform, uuid)
    const seen = this.#seenAway.get(seenKey)?.seen ?? new Seen()
    this.#seenAway.delete(seenKey)
    const road = this.find(user, platform) ?? this.#build(user, platform)
    const seat: Seat = { user, metadata, road, own, seen, connection: undefined }
    this.#away.delete(road)
    road.seats.add(seat)
    this.#seats.set(uuid, seat)
    return seat
  }

  /** Gives false when the seat was left before: somebody else may have it now. */
  leave(seat: Seat): boolean {
    const { user, road } = seat
    const { uuid, platform } = seat.metadata
    if (!road.seats.delete(seat)) return false
    this.#seats.delete(uuid)
    this.#remember(toKey(user, platform, uuid), seat.seen)
    if (!this.#options.keeps()) seat.own.close()
    this.tidy(seat)
    if (road.seats.size > 0) return true
    if (!this.#options.keeps()) {
      this.#forget(road)
      return true
    }
    this.#away.add(road)
    const [first] = this.#away
    if (first && this.#away.size > MAX_AWAY) this.#forget(first)
    return true
  }

  /** Lets go of what was for one connection alone, when nothing is left of it and the connection is gone. */
  tidy({ user, metadata, own }: Seat): void {
    const ownKey = toKey(user, metadata.uuid)
    if (own.size === 0 && this.#seats.get(metadata.uuid)?.own !== own && this.#owns.get(ownKey) === own)
      this.#owns.delete(ownKey)
  }

  /** Everything that waits is given up. */
  close(): void {
    for (const road of this.list()) road.outbox.close()
    for (const own of this.#owns.values()) own.close()
    this.#users.clear()
    this.#seats.clear()
    this.#away.clear()
    this.#owns.clear()
    this.#seenAway.clear()
  }

  #build(user: string, platform: string): Road {
    const road: Road = { user, platform, outbox: this.#options.createOutbox(), seats: new Set() }
    const roads = this.#users.get(user) ?? new Map<string, Road>()
    this.#users.set(user, roads.set(platform, road))
    return road
  }

  #forget(road: Road): void {
    road.outbox.close()
    this.#away.delete(road)
    const roads = this.#users.get(road.user)
    roads?.delete(road.platform)
    if (roads?.size === 0) this.#users.delete(road.user)
  }

  #remember(key: string, seen: Seen): void {
    this.#seenAway.delete(key)
    this.#seenAway.set(key, { seen, leftAt: Date.now() })
    for (const [old, { leftAt }] of this.#seenAway) {
      if (this.#seenAway.size <= MAX_SEEN_AWAY && Date.now() - leftAt < SEEN_AWAY_MS) return
      this.#seenAway.delete(old)
    }
  }
}

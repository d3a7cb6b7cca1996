import { setImmediate as nextTurn } from 'node:timers/promises'
import { Outbox, type Line, type OutboxOptions, type Settled } from '../../sdk/src/outbox.ts'
import type { AckNote } from '../../sdk/src/session.ts'
import { Waiting } from '../../sdk/src/waiting.ts'
import type { Mail, MailStore } from '../core/mail-store.ts'
import type { DoorStats } from './maim-stats.ts'

/** A connection, as whoever sends much to it sees it. */
export interface FlowLine extends Line {
  readonly isBusy: () => boolean
  /** Resolves when the peer has taken most of what was sent, or the connection is over. */
  readonly drained: () => Promise<void>
}

/** One message for a road: a frame that is ready to be sent. */
export interface Parcel {
  /** The same for a repeat of the message, also after a restart. */
  readonly msgId: string
  readonly text: string
  /** The connection that it came from, when it is for the others only. */
  readonly except?: Line | undefined
  /** Its sender may hear it too, and is acknowledged before (contract 2.3). */
  readonly isForSender?: boolean
}

/** One connection's time on a road. */
export interface Visit {
  readonly outbox: Pick<Outbox, 'open' | 'acked' | 'spoke'>
  /** Called when the connection is over, with its close code. */
  readonly leave: (code: number) => void
}

/** The same for all roads. */
export interface RoadOptions {
  readonly store: Pick<MailStore, 'keepMail' | 'readMail' | 'dropMail'>
  readonly stats: DoorStats
  readonly keepTimeMs: number
  readonly outbox: OutboxOptions
  /** Characters of text that may be under way; a single message may be longer. */
  readonly window: number
  /** Called with how many wait on disk, whenever one of so many characters was written down. */
  readonly onKept: (count: number, characters: number) => void
  /** Called when the road may have become idle. */
  readonly onRest: (road: Road) => void
  readonly log: { readonly warn: (fields: object, words: string) => void }
  /** Unix seconds. */
  readonly now: () => number
  readonly onError: (err: unknown) => void
}

/** How long the sender's acknowledgement waits for the receiver's before the message is written down. */
const GRACE_MS = 200
/** Messages that may be under way: new ones, and such as come from the disk. */
const MAX_LIVE = 1024
const MAX_FROM_DISK = 256
/** How long a connection that takes nothing holds up the others. */
const MAX_WAIT_MS = 10_000
/** "Message too big" (RFC 6455 §7.4.1). */
export const TOO_BIG = 1009
/** Messages that are read from the disk at once; fewer when they are long. */
const PAGE = 64
const SHORT_PAGE = 4
const LONG_MAIL = 64 * 1024

/**
 * Everything that peers say to one account under one platform, over its connections (contract 2.5, 9). Nearly all roads are
 * idle, and there may be thousands: these are classes, since closures of each would weigh more than all the rest.
 */
export class Road {
  readonly #options: RoadOptions
  readonly name: string
  /** Messages that are being written down. */
  #keeping = 0
  /** Those that are acknowledged, and on disk for a moment more. */
  #leaving: Set<string> | undefined
  #onQuiet: (() => void) | undefined
  #stay: Stay | undefined

  constructor(name: string, options: RoadOptions) {
    this.name = name
    this.#options = options
  }

  /** Connections that are here. */
  get size(): number {
    return this.#stay?.size ?? 0
  }

  /** Nobody is here and nothing is being written: it may be forgotten. */
  get isIdle(): boolean {
    return !this.#stay && this.#isAtRest
  }

  get #isAtRest(): boolean {
    return this.isQuiet && !this.#leaving?.size
  }

  enter(line: FlowLine): Visit {
    const present = (this.#stay ??= new Stay(this, this.#options))
    present.enter(line)
    return {
      outbox: present.outbox,
      leave: (code) => {
        if (!present.leave(line, code)) return
        if (this.#stay === present) this.#stay = undefined
        this.#options.onRest(this)
      }
    }
  }

  /**
   * Resolves with the note for the sender's acknowledgement when the message is in somebody's hands or on disk; rejects
   * when it could not be written down.
   */
  send(parcel: Parcel): Promise<AckNote> {
    return this.#stay ? this.#stay.send(parcel) : this.keep(parcel).then((queued) => ({ queued }))
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    if (!this.#isAtRest) await new Promise<void>((resolve) => (this.#onQuiet = resolve))
  }

  /** Writes a message down. Gives how many wait now. */
  async keep({ msgId, text }: Parcel): Promise<number> {
    const { store, stats, onKept, now } = this.#options
    this.#keeping++
    try {
      const count = await store.keepMail({ road: this.name, msgId, text, createdAt: now() })
      stats.kept++
      onKept(count, text.length)
      return count
    } finally {
      this.#keeping--
      this.#stay?.wake()
      this.#rest()
    }
  }

  drop(msgId: string): void {
    const { store, onError } = this.#options
    this.#leaving ??= new Set()
    this.#leaving.add(msgId)
    void store
      .dropMail(this.name, [msgId])
      // It is delivered once more, under the same id.
      .catch(onError)
      .finally(() => {
        this.#leaving?.delete(msgId)
        this.#rest()
      })
  }

  read(afterId: number, limit: number): Promise<Mail[]> {
    return this.#options.store.readMail(this.name, afterId, limit)
  }

  isLeaving(msgId: string): boolean {
    return this.#leaving?.has(msgId) ?? false
  }

  /** Nothing is being written down. */
  get isQuiet(): boolean {
    return this.#keeping === 0
  }

  #rest(): void {
    if (this.#isAtRest) this.#onQuiet?.()
    this.#options.onRest(this)
  }
}

interface UnderWay extends Parcel {
  /** Milliseconds of the monotonic clock. */
  readonly addedAt: number
  /** It is on disk, or on its way there. */
  isKept: boolean
  readonly handled: Promise<AckNote>
  readonly resolve: (note: AckNote) => void
  readonly reject: (err: unknown) => void
}

/** From the first connection on a road to the end of its last one. */
class Stay {
  readonly outbox: Outbox
  readonly #road: Road
  readonly #options: RoadOptions
  #lines: readonly FlowLine[] = []
  readonly #underWay = new Waiting<UnderWay>()
  #characters = 0
  /** Everything that was on disk is under way: what comes now can go straight on. */
  #isLive = false
  #isReading = false
  #isOver = false
  /** How far the disk was read. */
  #position = 0
  #timer: NodeJS.Timeout | undefined
  #onChange: (() => void) | undefined

  constructor(road: Road, options: RoadOptions) {
    this.#road = road
    this.#options = options
    this.outbox = new Outbox(options.outbox)
  }

  get size(): number {
    return this.#lines.length
  }

  enter(line: FlowLine): void {
    this.#lines = [...this.#lines, line]
    if (!this.#isLive) this.#startReading()
  }

  /** Gives whether that was the last one. */
  leave(line: FlowLine, code: number): boolean {
    this.#lines = this.#lines.filter((other) => other !== line)
    if (code === TOO_BIG) this.#giveUpLargest()
    if (this.#lines.length > 0 || this.#isOver) return false
    this.#end()
    return true
  }

  send(parcel: Parcel): Promise<AckNote> {
    const known = this.#underWay.get(parcel.msgId)
    if (known) return known.handled
    if (!parcel.isForSender && this.#isLive && !this.#isFull(MAX_LIVE) && !this.#lines.some((line) => line.isBusy()))
      return this.#hand(parcel, false).handled
    return this.#queue(parcel)
  }

  /** Behind all that is under way and on disk; from there it is fetched when there is room. */
  async #queue(parcel: Parcel): Promise<undefined> {
    for (const entry of this.#underWay) this.#keep(entry)
    const kept = this.#road.keep(parcel)
    this.#startReading()
    await kept
  }

  /** Something has changed for who waits. */
  wake(): void {
    this.#onChange?.()
  }

  #isFull(messages: number): boolean {
    return this.#underWay.size >= messages || this.#characters >= this.#options.window
  }

  #isKnown(msgId: string): boolean {
    return this.#underWay.get(msgId) !== undefined || this.#road.isLeaving(msgId)
  }

  #hand(parcel: Parcel, isKept: boolean): UnderWay {
    const { promise: handled, resolve, reject } = Promise.withResolvers<AckNote>()
    const { msgId, text, except } = parcel
    const entry: UnderWay = { msgId, text, except, addedAt: performance.now(), isKept, handled, resolve, reject }
    this.#underWay.add(entry)
    this.#characters += text.length
    this.#options.stats.sent += this.outbox.add(msgId, text, (how) => this.#settle(entry, how), except).length
    if (isKept) resolve(undefined)
    else this.#timer ??= setTimeout(() => this.#keepLate(), GRACE_MS)
    return entry
  }

  #settle(entry: UnderWay, how: Settled, note?: AckNote): void {
    if (!this.#remove(entry)) return
    if (entry.isKept) {
      this.#road.drop(entry.msgId)
      if (how === 'acked') this.#options.stats.keptDelivered++
    }
    entry.resolve(note)
  }

  #remove(entry: UnderWay): boolean {
    if (!this.#underWay.delete(entry)) return false
    this.#characters -= entry.text.length
    this.wake()
    return true
  }

  /** Nobody has acknowledged these for a while: the sender need not wait for it. */
  #keepLate(): void {
    this.#timer = undefined
    for (const entry of this.#underWay) {
      const left = entry.addedAt + GRACE_MS - performance.now()
      if (!entry.isKept && left > 1) {
        this.#timer = setTimeout(() => this.#keepLate(), left)
        return
      }
      this.#keep(entry)
    }
  }

  #keep(entry: UnderWay): void {
    if (entry.isKept) return
    entry.isKept = true
    this.#road.keep(entry).then(
      (queued) => entry.resolve(this.#isOver ? { queued } : undefined),
      (err: unknown) => {
        // The sender hears nothing and sends it again.
        this.#remove(entry)
        entry.reject(err)
      }
    )
  }

  #change(): Promise<void> {
    return new Promise((resolve) => (this.#onChange = resolve))
  }

  /** Resolves when more can be sent without holding too much of it in memory. */
  async #room(): Promise<void> {
    while (!this.#isOver && this.#isFull(MAX_FROM_DISK)) await this.#change()
    await drained(this.#lines)
  }

  /** What is on disk goes on its way, in order, until there is no more. */
  async #read(): Promise<void> {
    let limit = PAGE
    while (!this.#isOver) {
      const page = await this.#road.read(this.#position, limit)
      if (this.#isOver) return
      if (page.length === 0) {
        // Both in one turn: nobody comes in between, or its message would lie there unread.
        if (this.#road.isQuiet) {
          this.#isLive = true
          this.#isReading = false
          return
        }
        await this.#change()
        continue
      }
      // Whoever heard that it is written down hears that first.
      await nextTurn()
      for (const mail of page) {
        this.#position = mail.id
        await this.#handKept(mail)
        if (this.#isOver) return
      }
      const length = page.reduce((sum, { text }) => sum + text.length, 0)
      limit = length / page.length > LONG_MAIL ? SHORT_PAGE : PAGE
    }
  }

  async #handKept({ msgId, text, createdAt }: Mail): Promise<void> {
    const { keepTimeMs, stats, now } = this.#options
    if (this.#isKnown(msgId)) return
    if (createdAt < now() - keepTimeMs / 1000) {
      stats.dropped['too old']++
      this.#road.drop(msgId)
      return
    }
    await this.#room()
    if (!this.#isOver && !this.#isKnown(msgId)) this.#hand({ msgId, text }, true)
  }

  #startReading(): void {
    if (this.#isReading) return
    this.#isLive = false
    this.#isReading = true
    this.#read().catch((err: unknown) => {
      // The next message, or the next connection, tries again; meanwhile all are written down.
      this.#isReading = false
      this.#options.onError(err)
    })
  }

  /** The connection ended over a message that its peer does not take; sent again, it would end the next one too. */
  #giveUpLargest(): void {
    const { stats, log } = this.#options
    const entry = this.#underWay.get(this.outbox.largest ?? '')
    if (!entry) return
    stats.dropped['too large']++
    const { msgId: message, text } = entry
    log.warn({ road: this.#road.name, message, characters: text.length }, 'too large for the receiver, given up')
    this.#settle(entry, 'dropped', { undeliverable: 'too large for the receiver' })
    this.outbox.drop(message)
  }

  /** Nobody is left: what is under way is written down, in its order. */
  #end(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.outbox.close()
    for (const entry of this.#underWay) this.#keep(entry)
    this.wake()
  }
}

/** Resolves when all have taken most of what they were sent; who takes nothing is not waited for for long. */
export async function drained(lines: Iterable<FlowLine>): Promise<void> {
  const busy = [...lines].filter((line) => line.isBusy())
  if (busy.length === 0) return
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, MAX_WAIT_MS)))
  await Promise.race([Promise.all(busy.map((line) => line.drained())), late])
  clearTimeout(timer)
}

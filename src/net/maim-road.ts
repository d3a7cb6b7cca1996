import { Outbox, type Line, type Settled } from '../../sdk/src/outbox.ts'
import type { AckNote } from '../../sdk/src/session.ts'
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
}

/** One connection's time on a road. */
export interface Visit {
  readonly outbox: Pick<Outbox, 'open' | 'acked'>
  /** Called when the connection is over, with its close code. */
  readonly leave: (code: number) => void
}

/** Everything that peers say to one account under one platform, over its connections (contract 2.5, 9). */
export interface Road {
  readonly enter: (line: FlowLine) => Visit
  /**
   * Resolves with the note for the sender's acknowledgement when the message is in somebody's hands or on disk; rejects
   * when it could not be written down.
   */
  readonly send: (parcel: Parcel) => Promise<AckNote>
  /** Connections that are here. */
  readonly size: () => number
  /** Nobody is here and nothing is being written: it may be forgotten. */
  readonly isIdle: () => boolean
  /** Resolves when nothing is being written. */
  readonly settled: () => Promise<void>
}

export interface RoadOptions {
  readonly name: string
  readonly store: Pick<MailStore, 'keepMail' | 'readMail' | 'dropMail'>
  readonly stats: DoorStats
  readonly keepTimeMs: number
  /** See `Outbox`. */
  readonly repeatMs: readonly number[]
  /** Characters of text that may be under way; a single message may be longer. */
  readonly window: number
  /** Called with how many wait on disk, whenever one was written down. */
  readonly onKept: (count: number) => void
  /** Called when the road may have become idle. */
  readonly onRest: () => void
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

export function createRoad(options: RoadOptions): Road {
  const { name, store, stats, onKept, onRest, now, onError } = options
  /** Messages that are being written down. */
  let keeping = 0
  /** Those that are acknowledged, and on disk for a moment more. */
  const leaving = new Set<string>()
  let onQuiet = (): void => {}
  let stay: Stay | undefined

  const disk: Disk = {
    async keep({ msgId, text }) {
      keeping++
      try {
        const count = await store.keepMail({ road: name, msgId, text, createdAt: now() })
        stats.kept++
        onKept(count)
        return count
      } finally {
        keeping--
        stay?.wake()
        rest()
      }
    },
    drop(msgId) {
      leaving.add(msgId)
      void store
        .dropMail(name, [msgId])
        // It is delivered once more, under the same id.
        .catch(onError)
        .finally(() => {
          leaving.delete(msgId)
          rest()
        })
    },
    read: (afterId, limit) => store.readMail(name, afterId, limit),
    isLeaving: (msgId) => leaving.has(msgId),
    isQuiet: () => keeping === 0
  }

  const isQuiet = (): boolean => keeping === 0 && leaving.size === 0

  function rest(): void {
    if (isQuiet()) onQuiet()
    onRest()
  }

  return {
    enter(line) {
      const present = (stay ??= createStay(options, disk))
      const leave = present.enter(line)
      return {
        outbox: present.outbox,
        leave(code) {
          if (!leave(code)) return
          stay = undefined
          onRest()
        }
      }
    },
    async send(parcel) {
      return stay ? stay.send(parcel) : { queued: await disk.keep(parcel) }
    },
    size: () => stay?.size() ?? 0,
    isIdle: () => !stay && isQuiet(),
    async settled() {
      if (!isQuiet()) await new Promise<void>((resolve) => (onQuiet = resolve))
    }
  }
}

/** What is written down on a road. */
interface Disk {
  /** Gives how many wait now. */
  readonly keep: (parcel: Parcel) => Promise<number>
  readonly drop: (msgId: string) => void
  readonly read: (afterId: number, limit: number) => Promise<Mail[]>
  readonly isLeaving: (msgId: string) => boolean
  /** Nothing is being written down. */
  readonly isQuiet: () => boolean
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
interface Stay {
  readonly outbox: Pick<Outbox, 'open' | 'acked'>
  readonly size: () => number
  /** Gives back how to leave, which says whether that was the last one. */
  readonly enter: (line: FlowLine) => (code: number) => boolean
  readonly send: (parcel: Parcel) => Promise<AckNote>
  /** Something has changed for who waits. */
  readonly wake: () => void
}

function createStay(options: RoadOptions, disk: Disk): Stay {
  const { name, stats, keepTimeMs, repeatMs, window, log, now, onError } = options
  const outbox = new Outbox({
    maxAgeMs: keepTimeMs,
    repeatMs,
    onRepeat: () => stats.repeats++,
    onDrop: (why) => stats.dropped[why]++
  })
  const lines = new Set<FlowLine>()
  const underWay = new Map<string, UnderWay>()
  let characters = 0
  /** Everything that was on disk is under way: what comes now can go straight on. */
  let isLive = false
  let isReading = false
  let isOver = false
  /** How far the disk was read. */
  let position = 0
  let timer: NodeJS.Timeout | undefined
  let onChange = (): void => {}

  const isFull = (messages: number): boolean => underWay.size >= messages || characters >= window
  const isKnown = (msgId: string): boolean => underWay.has(msgId) || disk.isLeaving(msgId)

  function hand(parcel: Parcel, isKept: boolean): UnderWay {
    const { promise: handled, resolve, reject } = Promise.withResolvers<AckNote>()
    const entry: UnderWay = { ...parcel, addedAt: performance.now(), isKept, handled, resolve, reject }
    underWay.set(parcel.msgId, entry)
    characters += parcel.text.length
    stats.sent += outbox.add(parcel.msgId, parcel.text, (how) => settle(entry, how), parcel.except).length
    if (isKept) resolve(undefined)
    else timer ??= setTimeout(keepLate, GRACE_MS)
    return entry
  }

  function settle(entry: UnderWay, how: Settled, note?: AckNote): void {
    if (!remove(entry)) return
    if (entry.isKept) {
      disk.drop(entry.msgId)
      if (how === 'acked') stats.keptDelivered++
    }
    entry.resolve(note)
  }

  function remove(entry: UnderWay): boolean {
    if (underWay.get(entry.msgId) !== entry) return false
    underWay.delete(entry.msgId)
    characters -= entry.text.length
    onChange()
    return true
  }

  /** Nobody has acknowledged these for a while: the sender need not wait for it. */
  function keepLate(): void {
    timer = undefined
    for (const entry of underWay.values()) {
      const left = entry.addedAt + GRACE_MS - performance.now()
      if (!entry.isKept && left > 1) {
        timer = setTimeout(keepLate, left)
        return
      }
      keep(entry)
    }
  }

  function keep(entry: UnderWay): void {
    if (entry.isKept) return
    entry.isKept = true
    disk.keep(entry).then(
      (queued) => entry.resolve(isOver ? { queued } : undefined),
      (err: unknown) => {
        // The sender hears nothing and sends it again.
        remove(entry)
        entry.reject(err)
      }
    )
  }

  /** Resolves when more can be sent without holding too much of it in memory. */
  async function room(): Promise<void> {
    while (!isOver && isFull(MAX_FROM_DISK)) await new Promise<void>((resolve) => (onChange = resolve))
    await drained(lines)
  }

  /** What is on disk goes on its way, in order, until there is no more. */
  async function read(): Promise<void> {
    let limit = PAGE
    while (!isOver) {
      const page = await disk.read(position, limit)
      if (isOver) return
      if (page.length === 0) {
        // Both in one turn: nobody comes in between, or its message would lie there unread.
        if (disk.isQuiet()) {
          isLive = true
          isReading = false
          return
        }
        await new Promise<void>((resolve) => (onChange = resolve))
        continue
      }
      for (const mail of page) {
        position = mail.id
        await handKept(mail)
        if (isOver) return
      }
      const length = page.reduce((sum, { text }) => sum + text.length, 0)
      limit = length / page.length > LONG_MAIL ? SHORT_PAGE : PAGE
    }
  }

  async function handKept({ msgId, text, createdAt }: Mail): Promise<void> {
    if (isKnown(msgId)) return
    if (createdAt < now() - keepTimeMs / 1000) {
      stats.dropped['too old']++
      disk.drop(msgId)
      return
    }
    await room()
    if (!isOver && !isKnown(msgId)) hand({ msgId, text }, true)
  }

  function startReading(): void {
    if (isReading) return
    isLive = false
    isReading = true
    read().catch((err: unknown) => {
      // The next message, or the next connection, tries again; meanwhile all are written down.
      isReading = false
      onError(err)
    })
  }

  /** The connection ended over a message that its peer does not take; sent again, it would end the next one too. */
  function giveUpLargest(): void {
    const entry = underWay.get(outbox.largest ?? '')
    if (!entry) return
    stats.dropped['too large']++
    log.warn(
      { road: name, message: entry.msgId, characters: entry.text.length },
      'too large for the receiver, given up'
    )
    settle(entry, 'dropped', { undeliverable: 'too large for the receiver' })
    outbox.drop(entry.msgId)
  }

  /** Nobody is left: what is under way is written down, in its order. */
  function end(): void {
    isOver = true
    clearTimeout(timer)
    outbox.close()
    for (const entry of underWay.values()) keep(entry)
    onChange()
  }

  return {
    outbox,
    size: () => lines.size,
    wake: () => onChange(),

    enter(line) {
      lines.add(line)
      if (!isLive) startReading()
      return (code) => {
        lines.delete(line)
        if (code === TOO_BIG) giveUpLargest()
        if (lines.size > 0) return false
        end()
        return true
      }
    },

    async send(parcel) {
      const known = underWay.get(parcel.msgId)
      if (known) return known.handled
      if (isLive && !isFull(MAX_LIVE) && !isAnyBusy(lines)) return hand(parcel, false).handled
      // Behind all that is under way and on disk; from there it is fetched when there is room.
      for (const entry of underWay.values()) keep(entry)
      const kept = disk.keep(parcel)
      startReading()
      await kept
      return undefined
    }
  }
}

function isAnyBusy(lines: Iterable<FlowLine>): boolean {
  for (const line of lines) if (line.isBusy()) return true
  return false
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

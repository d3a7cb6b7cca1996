import { Waiting } from './waiting.ts'

/** Where text goes that is for one peer: one of its connections. */
export interface Line {
  /** Hands text to the connection; false when it is not open. */
  readonly send: (text: string) => boolean
  /** Whether it has much to take still: then nothing is repeated on it. */
  readonly isBusy?: () => boolean
}

export type Settled = 'acked' | 'dropped'
export type DropReason = 'too old' | 'too many' | 'never acknowledged'

export interface OutboxOptions {
  /** How long a message is kept for its acknowledgement; for ever when absent. */
  readonly maxAgeMs?: number
  /** How many are kept; the oldest goes first. As many as there are when absent. */
  readonly maxCount?: number
  /** How long until a message is repeated on a connection that stays silent; the last one counts for all further tries. */
  readonly repeatMs?: readonly number[]
  /** How often a message is sent to a peer that has never acknowledged anything. */
  readonly maxTriesUnheard?: number
  readonly onRepeat?: () => void
  readonly onDrop?: (why: DropReason) => void
  readonly now?: () => number
}

interface Entry {
  readonly msgId: string
  readonly text: string
  readonly addedAt: number
  readonly onSettled: ((how: Settled) => void) | undefined
  readonly except: Line | undefined
  tries: number
  /** When it was sent last. */
  sentAt: number
  dueAt: number
}

const REPEAT_MS = [5000, 15_000, 45_000]
/** How often it is looked whether something has to be repeated. */
const TICK_MS = 100

/**
 * What is on its way to one peer and not acknowledged yet. It goes to all its connections at once, in order; to those that
 * open later all of it goes again. The first acknowledgement settles a message, whichever connection it comes by.
 */
export class Outbox {
  readonly #entries = new Waiting<Entry>()
  #lines: readonly Line[] = []
  readonly #options: OutboxOptions
  #timer: NodeJS.Timeout | undefined
  #hasAcked = false
  /** When the peer last said something, while it has acknowledged nothing. */
  #spokeAt = -Infinity

  constructor(options: OutboxOptions = {}) {
    this.#options = options
  }

  /** Messages that are not acknowledged. */
  get size(): number {
    return this.#entries.size
  }

  /** Connections that are open. */
  get lines(): readonly Line[] {
    return this.#lines
  }

  /**
   * Sends a message, now or when a connection opens, until it is acknowledged. `msgId` is unique among those that wait.
   * `onSettled` is called once. `except` does not get it. Gives the connections that have taken it.
   */
  add(msgId: string, text: string, onSettled?: (how: Settled) => void, except?: Line): Line[] {
    const { now = Date.now, repeatMs = REPEAT_MS, maxCount = Infinity } = this.#options
    const addedAt = now()
    const dueAt = addedAt + (repeatMs[0] ?? Infinity)
    const entry: Entry = { msgId, text, addedAt, onSettled, except, tries: 1, sentAt: addedAt, dueAt }
    this.#entries.add(entry)
    if (this.#entries.size > maxCount) this.#dropOldest()
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref()
    return this.#lines.filter((line) => line !== except && line.send(text))
  }

  /** The `msgId` of what has waited longest. */
  get oldest(): string | undefined {
    return this.#entries.first?.msgId
  }

  /** The `msgId` of what has most text. */
  get largest(): string | undefined {
    let largest: Entry | undefined
    for (const entry of this.#entries) if (!largest || entry.text.length > largest.text.length) largest = entry
    return largest?.msgId
  }

  /** Gives up a message that the peer does not survive. */
  drop(msgId: string): void {
    const entry = this.#entries.get(msgId)
    if (entry) this.#settle(entry, 'dropped')
  }

  /** Gives whether somebody waited for it. */
  acked(msgId: unknown): boolean {
    this.#hasAcked = true
    const entry = typeof msgId === 'string' ? this.#entries.get(msgId) : undefined
    if (!entry) return false
    this.#settle(entry, 'acked')
    return true
  }

  /**
   * The peer has said something. Of one that never acknowledges it is the only sign that it hears: what it was told before
   * that is not told again when its time comes.
   */
  spoke(): void {
    if (!this.#hasAcked) this.#spokeAt = (this.#options.now ?? Date.now)()
  }

  /** A connection of the peer is there: it gets everything that waits. Gives back its end. */
  open(line: Line): () => void {
    this.#lines = [...this.#lines, line]
    for (const entry of this.#entries) if (entry.except !== line) this.#send(entry, [line])
    return () => {
      this.#lines = this.#lines.filter((other) => other !== line)
    }
  }

  /** Everything that waits is given up; nothing is called back any more. */
  close(): void {
    this.#entries.clear()
    this.#lines = []
    this.#rest()
  }

  #send(entry: Entry, lines: readonly Line[]): void {
    const { now = Date.now, repeatMs = REPEAT_MS } = this.#options
    for (const line of lines) line.send(entry.text)
    entry.sentAt = now()
    entry.dueAt = entry.sentAt + (repeatMs[Math.min(entry.tries, repeatMs.length - 1)] ?? Infinity)
    entry.tries++
  }

  #tick(): void {
    const { now = Date.now, maxAgeMs = Infinity, maxTriesUnheard = 4, onRepeat } = this.#options
    // Not when the last one is settled: the next one may be on its heels.
    if (this.#entries.size === 0) return this.#rest()
    const time = now()
    for (const entry of this.#entries) {
      if (time - entry.addedAt > maxAgeMs) this.#drop(entry, 'too old')
      else if (time >= entry.dueAt) {
        const lines = this.#lines.filter((line) => line !== entry.except && !line.isBusy?.())
        if (lines.length === 0) continue
        // An answer may be there within the millisecond.
        if (!this.#hasAcked && this.#spokeAt >= entry.sentAt) {
          this.#settle(entry, 'acked')
          continue
        }
        if (!this.#hasAcked && entry.tries >= maxTriesUnheard) {
          this.#drop(entry, 'never acknowledged')
          continue
        }
        onRepeat?.()
        this.#send(entry, lines)
      }
    }
  }

  #dropOldest(): void {
    const { first } = this.#entries
    if (first) this.#drop(first, 'too many')
  }

  #drop(entry: Entry, why: DropReason): void {
    this.#options.onDrop?.(why)
    this.#settle(entry, 'dropped')
  }

  #settle(entry: Entry, how: Settled): void {
    // It may be settled already by what was called back.
    if (!this.#entries.delete(entry)) return
    entry.onSettled?.(how)
  }

  #rest(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

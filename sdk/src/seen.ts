import { hash } from 'node:crypto'

/** What became of a message that came before; without a note when `isDone` is false: it is still being worked on. */
export interface Known {
  readonly isDone: boolean
  readonly note: object | undefined
}

const PENDING: Known = { isDone: false, note: undefined }
const DONE: Known = { isDone: true, note: undefined }

/** How many messages of one peer are remembered at least, and for how long at least (contract 9: 10 minutes). */
const GENERATION = 4096
const GENERATION_MS = 600_000

/**
 * The messages that one peer has sent lately, over its connections. A message is known by its id and its content together:
 * ids alone collide (contract 0.5). Nearly all of them are done and have no note, so no object is kept for them.
 */
export class Seen {
  readonly #now: () => number
  #since: number
  /** Few at a time, which come and go: see `Waiting` for why it is no set. */
  #pending: string[] = []
  // Each is absent while there is nothing: most peers that are there say nothing.
  #young: Set<string> | undefined
  #old: Set<string> | undefined
  #youngNotes: Map<string, object> | undefined
  #oldNotes: Map<string, object> | undefined

  constructor(now: () => number = Date.now) {
    this.#now = now
    this.#since = now()
  }

  /** Names a message by what it says: 20 bytes, as text of as many characters (`binary`, which is latin1). */
  static keyOf(msgId: unknown, content: string): string {
    return hash('sha1', `${JSON.stringify(msgId)}\n${content}`, 'binary')
  }

  find(key: string): Known | undefined {
    if (this.#young?.has(key) || this.#old?.has(key)) return DONE
    if (this.#pending.includes(key)) return PENDING
    const note = this.#youngNotes?.get(key) ?? this.#oldNotes?.get(key)
    return note && { isDone: true, note }
  }

  /** The message is being worked on. */
  add(key: string): void {
    if (!this.#pending.includes(key)) this.#pending.push(key)
  }

  /** It is done; `note` is what its acknowledgement says beside that. */
  done(key: string, note: object | undefined): void {
    this.#settle(key)
    this.#rotate()
    if (note) {
      this.#youngNotes ??= new Map()
      this.#youngNotes.set(key, note)
      return
    }
    this.#young ??= new Set()
    this.#young.add(key)
  }

  forget(key: string): void {
    this.#settle(key)
    for (const keys of [this.#young, this.#old, this.#youngNotes, this.#oldNotes]) keys?.delete(key)
  }

  #settle(key: string): void {
    const index = this.#pending.indexOf(key)
    if (index === 0) this.#pending.shift()
    else if (index > 0) this.#pending.splice(index, 1)
  }

  #rotate(): void {
    const size = (this.#young?.size ?? 0) + (this.#youngNotes?.size ?? 0)
    if (size === 0 || (size < GENERATION && this.#now() - this.#since <= GENERATION_MS)) return
    this.#old = this.#young
    this.#oldNotes = this.#youngNotes
    this.#young = undefined
    this.#youngNotes = undefined
    this.#since = this.#now()
  }
}

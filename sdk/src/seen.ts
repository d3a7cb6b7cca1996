import { hash } from 'node:crypto'

/** What became of a message that came before: `undefined` while it is still being worked on. */
export interface Known {
  note: object | undefined
  isDone: boolean
}

/** How many messages of one peer are remembered at least, and for how long at least (contract 9: 10 minutes). */
const GENERATION = 8192
const GENERATION_MS = 600_000

/**
 * The messages that one peer has sent lately, over its connections. A message is known by its id and its content together:
 * ids alone collide (contract 0.5).
 */
export class Seen {
  /** Absent while there is nothing: most peers that are there say nothing. */
  #young: Map<string, Known> | undefined
  #old: Map<string, Known> | undefined
  #since: number
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
    this.#since = now()
  }

  /** Names a message by what it says: 40 hexadecimal digits. */
  static keyOf(msgId: unknown, content: string): string {
    return hash('sha1', `${JSON.stringify(msgId)}\n${content}`, 'hex')
  }

  find(key: string): Known | undefined {
    return this.#young?.get(key) ?? this.#old?.get(key)
  }

  add(key: string): Known {
    if (this.#young && (this.#young.size >= GENERATION || this.#now() - this.#since > GENERATION_MS)) {
      this.#old = this.#young
      this.#young = undefined
      this.#since = this.#now()
    }
    this.#young ??= new Map()
    const known: Known = { note: undefined, isDone: false }
    this.#young.set(key, known)
    return known
  }

  forget(key: string): void {
    this.#young?.delete(key)
    this.#old?.delete(key)
  }
}

import { ackedId, encodeAck, readEnvelope, sliceMember, wantsAck, type Envelope } from './envelope.ts'
import type { Line, Outbox } from './outbox.ts'
import { Seen } from './seen.ts'

/** What a message turned out to be, with what was written as its payload. */
export interface Received {
  readonly envelope: Envelope
  /** The payload exactly as it was written; undefined when there is none. */
  readonly payloadText: string | undefined
  /** Names the message among those of its sender, in this and in every later process; undefined for one without an id. */
  readonly key: string | undefined
}

/** Further keys for the payload of the acknowledgement. */
export type AckNote = object | undefined

export interface SessionOptions {
  /** Which side of the connection we are. */
  readonly side: 'server' | 'client'
  /** The `x-uuid` of the connection. */
  readonly uuid: string
  readonly line: Line
  /** What the peer has not acknowledged yet. */
  readonly outbox: Pick<Outbox, 'open' | 'acked' | 'spoke'>
  /** What the peer has sent lately; it outlives the connection. */
  readonly seen?: Seen
  /**
   * Called for each new message, in order. The message is acknowledged when this returns, or when its promise resolves,
   * with the note that it gives. When it throws or rejects, the peer hears nothing and may send the message again.
   */
  readonly onMessage: (received: Received) => AckNote | Promise<AckNote>
  /** A message was not taken, because `onMessage` failed. */
  readonly onError: (err: unknown) => void
  /** Called with how many messages are being worked on, whenever that has changed. */
  readonly onPending?: (count: number) => void
  readonly count?: (what: SessionCount) => void
  readonly now?: () => number
}

export type SessionCount = 'received' | 'acked' | 'ack received' | 'duplicate' | 'unreadable'

/** One connection of the API-Server protocol, on either side: acknowledgements both ways, and no message twice (contract 2.3, 9). */
export class ApiSession {
  readonly #options: SessionOptions
  readonly #seen: Seen
  readonly #now: () => number
  readonly #leave: () => void
  readonly #count: (what: SessionCount) => void
  #pending = 0

  constructor(options: SessionOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#seen = options.seen ?? new Seen(this.#now)
    this.#count = options.count ?? (() => {})
    this.#leave = options.outbox.open(options.line)
  }

  /** Messages of the peer that are being worked on. */
  get pending(): number {
    return this.#pending
  }

  /** Takes one text frame. What is no envelope is passed over without a word, as the real library does (contract 2.4). */
  receive(text: string): void {
    const envelope = readEnvelope(text)
    if (!envelope) return this.#count('unreadable')
    this.#count('received')
    if (envelope.type === 'sys_ack') {
      this.#count('ack received')
      this.#options.outbox.acked(ackedId(envelope))
      return
    }
    this.#options.outbox.spoke()
    const payloadText = sliceMember(text, 'payload')
    if (!wantsAck(envelope)) return this.#work({ envelope, payloadText, key: undefined })
    const key = Seen.keyOf(envelope.msg_id, `${String(envelope.type)}\n${payloadText}`)
    const known = this.#seen.find(key)
    if (!known) return this.#work({ envelope, payloadText, key })
    this.#count('duplicate')
    // While the first one is being worked on, its acknowledgement will do for both.
    if (known.isDone) this.#ack(envelope.msg_id, known.note)
  }

  /** The connection is over. What is being worked on is finished, and remembered for the next connection. */
  close(): void {
    this.#leave()
  }

  #work(received: Received): void {
    const { key } = received
    if (key !== undefined) this.#seen.add(key)
    let result: AckNote | Promise<AckNote>
    try {
      result = this.#options.onMessage(received)
    } catch (err) {
      return this.#failed(key, err)
    }
    if (!(result instanceof Promise)) return this.#done(received, result)
    this.#pend(1)
    // One more promise in the chain would be one more for each message.
    void result.then(
      (note) => {
        this.#done(received, note)
        this.#pend(-1)
      },
      (err: unknown) => {
        this.#failed(key, err)
        this.#pend(-1)
      }
    )
  }

  #pend(change: number): void {
    this.#pending += change
    this.#options.onPending?.(this.#pending)
  }

  #done({ envelope, key }: Received, note: AckNote): void {
    if (key === undefined) return
    this.#seen.done(key, note)
    this.#ack(envelope.msg_id, note)
  }

  #failed(key: string | undefined, err: unknown): void {
    if (key !== undefined) this.#seen.forget(key)
    this.#options.onError(err)
  }

  #ack(msgId: unknown, note: AckNote): void {
    const { side, uuid, line } = this.#options
    this.#count('acked')
    line.send(encodeAck({ side, uuid, msgId, nowMs: this.#now(), note }))
  }
}

import type { Outcome } from '../core/action.ts'
import type { EventKind, EventOf, GatewayEvent } from '../core/event.ts'
import type { Signal, SignalKind, SignalOf } from '../core/signal.ts'

/** A wire language, as far as events are concerned. Pure: no I/O, no clock. */
export interface Codec {
  readonly name: string
  /** The frame that `viewerId` gets to see, or undefined when the language has no word for it. */
  readonly encodeEvent: (event: GatewayEvent, viewerId: number) => string | undefined
  /** The same for what is not stored, which looks alike to everybody; absent when the language has no words for any of it. */
  readonly encodeSignal?: (signal: Signal) => string | undefined
}

/** What a text frame turned out to be. */
export type Inbound =
  | { readonly kind: 'call'; readonly action: string; readonly params: unknown; readonly echo: unknown }
  /** It cannot be run; this is the answer. */
  | { readonly kind: 'refused'; readonly outcome: Outcome; readonly echo: unknown }

/** A codec of a socket on which calls and answers travel too. */
export interface CallCodec extends Codec {
  readonly decode: (text: string) => Inbound
  readonly encodeReply: (echo: unknown, outcome: Outcome, selfId: number) => string
}

type EncoderTable<T> = { readonly [K in EventKind]: ((event: EventOf<K>, viewerId: number) => T) | null }

/** Turns a table with one line per kind of event into one function; `null` says that the language has no word for it. */
export function encodeWith<T>(table: EncoderTable<T>): (event: GatewayEvent, viewerId: number) => T | undefined {
  return (event, viewerId) => {
    const encode = table[event.kind] as ((event: GatewayEvent, viewerId: number) => T) | null
    return encode?.(event, viewerId)
  }
}

type SignalTable<T> = { readonly [K in SignalKind]: ((signal: SignalOf<K>) => T) | null }

/** The same for signals. */
export function encodeSignalWith<T>(table: SignalTable<T>): (signal: Signal) => T | undefined {
  return (signal) => {
    const encode = table[signal.kind] as ((signal: Signal) => T) | null
    return encode?.(signal)
  }
}

import type { AccountRef } from './event.ts'

/** Whoever can be called about something: `sdpMLineIndex` and the like are passed on as they came (WebRTC). */
export type IceCandidate = Readonly<Record<string, unknown>>

/**
 * What happens and is not stored: who misses it learns the state elsewhere, or does not need it any more.
 * A new kind is one new line; codecs that have signals then fail to compile until they map it or say null.
 */
export interface SignalData {
  /** Everything up to this message was read. */
  'message.read': { readonly chatId: number; readonly messageId: number; readonly readerId: number }
  /** A message has reached a device of the account. */
  'message.delivered': { readonly chatId: number; readonly messageId: number; readonly accountId: number }
  'chat.typing': { readonly chatId: number; readonly account: AccountRef; readonly isTyping: boolean }
  'presence.changed': { readonly account: AccountRef; readonly isOnline: boolean; readonly lastSeenAt: number }
  'call.offered': CallParties & {
    readonly kind: 'audio' | 'video'
    readonly sdp: string
    readonly candidates: readonly IceCandidate[]
    readonly createdAt: number
  }
  'call.answered': CallParties & {
    readonly sdp: string
    readonly candidates: readonly IceCandidate[]
    readonly answeredAt: number
  }
  'call.candidate': CallParties & { readonly candidate: IceCandidate }
  'call.ended': CallParties & {
    readonly reason: string
    /** Seconds from the answer to the end; 0 when nobody answered. */
    readonly durationS: number
    readonly endedAt: number
    /** More than the document has a word for. */
    readonly detail?: string
  }
  'notice.sent': {
    readonly noticeId: number
    readonly title: string
    readonly message: string
    readonly kind: 'info' | 'warning' | 'error' | 'success'
    readonly actionUrl: string
  }
}

export interface CallParties {
  readonly callId: string
  /** Who does it: offers, answers, ends. */
  readonly fromId: number
  readonly toId: number
}

export type SignalKind = keyof SignalData

export interface SignalOf<K extends SignalKind> {
  readonly kind: K
  /** Unix seconds. */
  readonly time: number
  /** Accounts that hear it; null is everybody who is there. */
  readonly audience: readonly number[] | null
  /** Only this device of the audience hears it. */
  readonly onlyDevice?: string
  /** All devices of the audience but this one hear it. */
  readonly exceptDevice?: string
  readonly data: SignalData[K]
}

export type Signal = { [K in SignalKind]: SignalOf<K> }[SignalKind]

/** Signals that say how things are right now: the first to go when a reader is slow. */
const EPHEMERAL: ReadonlySet<SignalKind> = new Set([
  'message.read',
  'message.delivered',
  'chat.typing',
  'presence.changed'
])

export function isEphemeral(signal: Signal): boolean {
  return EPHEMERAL.has(signal.kind)
}

import type { CallKind } from './call-record.ts'
import type { CallParties, IceCandidate, Signal } from './signal.ts'

/** Where a signal about a call goes to: media is agreed on between devices, not between accounts. */
export interface Address {
  readonly audience: readonly number[]
  readonly onlyDevice: string
}

/** A signal that does not know yet which device will hear it, and when. */
export type Letter = (to: Address) => Signal

/** What one side tells the other about its media (WebRTC). */
export interface CallMedia {
  readonly sdp: string
  readonly candidates: readonly IceCandidate[]
}

export interface CallLetters {
  readonly toOffer: (parties: CallParties, kind: CallKind, media: CallMedia) => Letter
  readonly toAnswer: (parties: CallParties, media: CallMedia, answeredAt: number) => Letter
  readonly toCandidate: (parties: CallParties, candidate: IceCandidate) => Letter
  readonly toEnd: (parties: CallParties, end: CallEnding) => Letter
}

export interface CallEnding {
  readonly reason: string
  readonly endedAt: number
  /** Absent when nobody answered. */
  readonly answeredAt?: number | undefined
  readonly detail?: string | undefined
}

/** `now` gives Unix seconds. */
export function createCallLetters(now: () => number): CallLetters {
  return {
    toOffer(parties, kind, { sdp, candidates }) {
      const data = { ...parties, kind, sdp, candidates, createdAt: now() }
      return (to) => ({ kind: 'call.offered', time: now(), ...to, data })
    },
    toAnswer(parties, { sdp, candidates }, answeredAt) {
      const data = { ...parties, sdp, candidates, answeredAt }
      return (to) => ({ kind: 'call.answered', time: now(), ...to, data })
    },
    toCandidate(parties, candidate) {
      const data = { ...parties, candidate }
      return (to) => ({ kind: 'call.candidate', time: now(), ...to, data })
    },
    toEnd(parties, { reason, endedAt, answeredAt, detail }) {
      const durationS = answeredAt === undefined ? 0 : Math.max(0, endedAt - answeredAt)
      const data = { ...parties, reason, durationS, endedAt, ...(detail !== undefined && { detail }) }
      return (to) => ({ kind: 'call.ended', time: now(), ...to, data })
    }
  }
}

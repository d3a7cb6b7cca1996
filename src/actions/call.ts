import { Type, type Static } from '@sinclair/typebox'
import { defineAction } from '../core/action.ts'
import type { CallMedia } from '../core/call-letters.ts'
import type { IceCandidate } from '../core/signal.ts'
import { Bool, Int, Nothing, Uin } from '../schema/common.ts'

// Calls between people (IM-Suite 2.5). What is said in them goes from device to device; these are the words before it.

/** As long as one frame has room for. */
const SDP = Type.String({ minLength: 1, maxLength: 48 * 1024, description: 'expected the SDP, 1 to 49152 characters' })
/** Some clients send what their browser gives them: `{type, sdp}`. */
const Sdp = Type.Union([SDP, Type.Object({ sdp: SDP })], { description: 'expected the SDP as a string' })

const Candidate = Type.Object(
  {
    candidate: Type.String({ maxLength: 2048, description: 'expected a string of at most 2048 characters' }),
    sdpMLineIndex: Type.Optional(Type.Union([Int, Type.Null()])),
    sdpMid: Type.Optional(Type.Union([Type.String({ maxLength: 256 }), Type.Null()]))
  },
  { description: 'expected an ICE candidate, {"candidate", "sdpMLineIndex", "sdpMid"}' }
)
const Candidates = Type.Array(Candidate, { maxItems: 50, description: 'expected a list of at most 50 ICE candidates' })
const CallId = Type.String({ minLength: 1, maxLength: 128, description: 'expected the id of a call' })

const media = { sdp: Sdp, ice_candidates: Type.Optional(Candidates) }

/** Ids that callers may choose; any other, and one that was used, is replaced. */
const CHOSEN_ID = /^[A-Za-z0-9_.~-]{8,128}$/

function toMedia(params: {
  sdp: Static<typeof Sdp>
  ice_candidates?: Static<typeof Candidate>[] | undefined
}): CallMedia {
  const { sdp, ice_candidates: candidates = [] } = params
  return { sdp: typeof sdp === 'string' ? sdp : sdp.sdp, candidates: candidates.map(toCandidate) }
}

/** The keys that the document has and no other. */
function toCandidate({ candidate, sdpMLineIndex, sdpMid }: Static<typeof Candidate>): IceCandidate {
  return { candidate, ...(sdpMLineIndex !== undefined && { sdpMLineIndex }), ...(sdpMid !== undefined && { sdpMid }) }
}

/** `renegotiate`: with the id of a call that goes on the offer is about that call (extension profile). */
export const offerCall = defineAction({
  name: 'offer_call',
  params: Type.Object({
    to_user: Uin,
    call_type: Type.Union([Type.Literal('audio'), Type.Literal('video')], {
      description: 'expected "audio" or "video"'
    }),
    ...media,
    call_id: Type.Optional(Type.Unknown()),
    renegotiate: Type.Optional(Bool)
  }),
  result: Type.Object({ call_id: CallId }),
  async run({ caller, deviceId, calls, allowances }, params) {
    const { to_user, call_type, call_id, renegotiate: mayRenew = false } = params
    const callId = typeof call_id === 'string' && CHOSEN_ID.test(call_id) ? call_id : undefined
    // Within a call browsers offer anew as often as they see fit.
    const isRenewal = mayRenew && callId !== undefined && calls.isActive(caller.id, callId)
    if (!isRenewal) allowances.take('offer', caller.id)
    const offer = { toId: to_user, callId, kind: call_type, mayRenew, ...toMedia(params) }
    return { call_id: await calls.offer({ accountId: caller.id, deviceId }, offer) }
  }
})

export const answerCall = defineAction({
  name: 'answer_call',
  params: Type.Object({ call_id: CallId, ...media }),
  result: Nothing,
  async run({ caller, deviceId, calls }, params) {
    await calls.answer({ accountId: caller.id, deviceId }, params.call_id, toMedia(params))
    return {}
  }
})

/** Who knows no id means the one call they are in. */
export const sendCallCandidate = defineAction({
  name: 'send_call_candidate',
  params: Type.Object({ call_id: Type.Optional(CallId), ice_candidate: Candidate }),
  result: Nothing,
  async run({ caller, deviceId, calls }, { call_id, ice_candidate }) {
    await calls.sendCandidate({ accountId: caller.id, deviceId }, call_id, toCandidate(ice_candidate))
    return {}
  }
})

/** Reasons are passed on as they are: the document names none. */
export const endCall = defineAction({
  name: 'end_call',
  params: Type.Object({
    call_id: Type.Optional(CallId),
    reason: Type.Optional(Type.String({ maxLength: 64, description: 'expected a string of at most 64 characters' }))
  }),
  result: Nothing,
  async run({ caller, deviceId, calls }, { call_id, reason }) {
    await calls.end({ accountId: caller.id, deviceId }, call_id, reason || undefined)
    return {}
  }
})

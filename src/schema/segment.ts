import { Type, type Static } from '@sinclair/typebox'
import { toPlainText, type DraftSegment, type Segment } from '../core/segment.ts'
import { Int, Nothing, SegmentOf, Text, Uin } from './common.ts'

/** Milky 1.2 "outgoing segments": what a bot may say. */
export const OutgoingSegment = Type.Union(
  [
    SegmentOf('text', Type.Object({ text: Text })),
    SegmentOf('mention', Type.Object({ user_id: Uin })),
    // Some clients send no `data` for it, so none is required.
    Type.Object({ type: Type.Literal('mention_all') }),
    SegmentOf('face', Type.Object({ face_id: Text })),
    SegmentOf('reply', Type.Object({ message_seq: Int }))
  ],
  { description: 'expected a segment {type, data} with type text, mention, mention_all, face or reply and its data' }
)
export type OutgoingSegment = Static<typeof OutgoingSegment>

/** Milky 1.2 "incoming segments": what a bot hears. */
export const IncomingSegment = Type.Union([
  SegmentOf('text', Type.Object({ text: Type.String() })),
  SegmentOf('mention', Type.Object({ user_id: Uin, name: Type.String() })),
  SegmentOf('mention_all', Nothing),
  SegmentOf('face', Type.Object({ face_id: Type.String(), is_large: Type.Boolean() })),
  SegmentOf('reply', Type.Object({ message_seq: Int, sender_id: Uin, time: Int, segments: Type.Array(Type.Unknown()) }))
])
export type IncomingSegment = Static<typeof IncomingSegment>

export function toDraftSegment(segment: OutgoingSegment): DraftSegment {
  if (segment.type === 'text') return { type: 'text', text: segment.data.text }
  if (segment.type === 'mention') return { type: 'mention', accountId: segment.data.user_id }
  if (segment.type === 'face') return { type: 'face', faceId: segment.data.face_id }
  if (segment.type === 'reply') return { type: 'reply', seq: segment.data.message_seq }
  return { type: 'mention_all' }
}

export function toIncomingSegment(segment: Segment): IncomingSegment {
  if (segment.type === 'text') return { type: 'text', data: { text: segment.text } }
  if (segment.type === 'mention') return { type: 'mention', data: { user_id: segment.accountId, name: segment.name } }
  if (segment.type === 'face') return { type: 'face', data: { face_id: segment.faceId, is_large: false } }
  if (segment.type === 'mention_all') return { type: 'mention_all', data: {} }
  if (segment.type === 'media') return { type: 'text', data: { text: toPlainText([segment]) } }
  return {
    type: 'reply',
    data: { message_seq: segment.seq, sender_id: segment.senderId, time: segment.time, segments: [] }
  }
}

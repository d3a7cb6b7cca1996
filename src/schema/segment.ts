import { Type, type Static } from '@sinclair/typebox'
import { toPlainText, type DraftSegment, type MediaKind, type MediaSegment, type Segment } from '../core/segment.ts'
import { Int, Nothing, SegmentOf, Text, Uin } from './common.ts'

/** Clients send null for what they leave out. */
const OptionalText = Type.Optional(Type.Union([Text, Type.Null()]))
const SubType = Type.Union([Type.Literal('normal'), Type.Literal('sticker')], {
  description: 'expected "normal" or "sticker"'
})

/** What media is sent as; in the draft the same. */
export const OutgoingMedia = [
  SegmentOf(
    'image',
    Type.Object({ uri: Text, sub_type: Type.Optional(Type.Union([SubType, Type.Null()])), summary: OptionalText })
  ),
  SegmentOf('record', Type.Object({ uri: Text })),
  SegmentOf('video', Type.Object({ uri: Text, thumb_uri: OptionalText }))
] as const

/** Milky 1.2 "outgoing segments": what a bot may say. */
export const OutgoingSegment = Type.Union(
  [
    SegmentOf('text', Type.Object({ text: Text })),
    SegmentOf('mention', Type.Object({ user_id: Uin })),
    // Some clients send no `data` for it, so none is required.
    Type.Object({ type: Type.Literal('mention_all') }),
    SegmentOf('face', Type.Object({ face_id: Text })),
    SegmentOf('reply', Type.Object({ message_seq: Int })),
    ...OutgoingMedia
  ],
  {
    description:
      'expected a segment {type, data} with type text, mention, mention_all, face, reply, image, record or video and its data'
  }
)
export type OutgoingSegment = Static<typeof OutgoingSegment>
type OutgoingMediaSegment = Extract<OutgoingSegment, { type: 'image' | 'record' | 'video' }>

/** Milky 1.2 "incoming segments": what a bot hears. */
export const IncomingSegment = Type.Union([
  SegmentOf('text', Type.Object({ text: Type.String() })),
  SegmentOf('mention', Type.Object({ user_id: Uin, name: Type.String() })),
  SegmentOf('mention_all', Nothing),
  SegmentOf('face', Type.Object({ face_id: Type.String(), is_large: Type.Boolean() })),
  SegmentOf(
    'reply',
    Type.Object({ message_seq: Int, sender_id: Uin, time: Int, segments: Type.Array(Type.Unknown()) })
  ),
  SegmentOf(
    'image',
    Type.Object({ resource_id: Type.String(), width: Int, height: Int, summary: Type.String(), sub_type: SubType })
  ),
  SegmentOf('record', Type.Object({ resource_id: Type.String(), duration: Int })),
  SegmentOf('video', Type.Object({ resource_id: Type.String(), width: Int, height: Int, duration: Int }))
])
export type IncomingSegment = Static<typeof IncomingSegment>

export function isMediaSegment(segment: OutgoingSegment): segment is OutgoingMediaSegment {
  return segment.type === 'image' || segment.type === 'record' || segment.type === 'video'
}

export function toMediaKind(segment: OutgoingMediaSegment): MediaKind {
  if (segment.type === 'record') return 'voice'
  if (segment.type === 'video') return 'video'
  return segment.data.sub_type === 'sticker' ? 'sticker' : 'image'
}

/** All but media, which has to be kept first. */
export function toDraftSegment(segment: Exclude<OutgoingSegment, OutgoingMediaSegment>): DraftSegment {
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
  if (segment.type === 'media') return MEDIA[segment.kind](segment)
  return {
    type: 'reply',
    data: { message_seq: segment.seq, sender_id: segment.senderId, time: segment.time, segments: [] }
  }
}

const MEDIA: { readonly [K in MediaKind]: (segment: MediaSegment) => IncomingSegment } = {
  image: (segment) => toImage(segment, 'normal'),
  gif: (segment) => (segment.file.mime.startsWith('video/') ? toVideo(segment) : toImage(segment, 'normal')),
  sticker: (segment) => (segment.file.mime.startsWith('video/') ? toVideo(segment) : toImage(segment, 'sticker')),
  voice: toRecord,
  audio: toRecord,
  video: toVideo,
  // Bots hear of it as text until files have their segment.
  file: (segment) => ({ type: 'text', data: { text: toPlainText([segment]) } })
}

function toImage(segment: MediaSegment, sub_type: 'normal' | 'sticker'): IncomingSegment {
  const { width, height } = segment.file
  const summary = toPlainText([segment])
  return { type: 'image', data: { resource_id: toResourceId(segment), width, height, summary, sub_type } }
}

function toRecord(segment: MediaSegment): IncomingSegment {
  return { type: 'record', data: { resource_id: toResourceId(segment), duration: segment.file.durationS } }
}

function toVideo(segment: MediaSegment): IncomingSegment {
  const { width, height, durationS: duration } = segment.file
  return { type: 'video', data: { resource_id: toResourceId(segment), width, height, duration } }
}

/** By which bots ask for an address: the number of a file of ours, or the address of what lies elsewhere. */
function toResourceId({ file }: MediaSegment): string {
  return file.fileId === undefined ? (file.url ?? '') : String(file.fileId)
}

/** What a `resource_id` means; undefined for what `toResourceId` cannot have made. */
export function parseResourceId(
  resourceId: string
): { readonly fileId: number } | { readonly url: string } | undefined {
  if (/^[1-9]\d{0,14}$/.test(resourceId)) return { fileId: Number(resourceId) }
  return URL.parse(resourceId)?.protocol === 'https:' ? { url: resourceId } : undefined
}

import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { ActionError } from '../core/errors.ts'
import type { LinkOf } from '../core/links.ts'
import { toPlainText, type DraftSegment, type MediaKind, type MediaSegment, type Segment } from '../core/segment.ts'
import { Bool, Int, Nothing, SegmentOf, ShortText, Text, Uin } from './common.ts'

const OptionalText = Type.Optional(Text)
const Label = ShortText(256)
const OptionalLabel = Type.Optional(Label)
/** Of a face: the sets of QQ have numbers, others may have names. */
export const FaceId = ShortText(64)
/** What the sender of a message that is passed on is called. */
export const SenderName = ShortText(128)
/** A card is drawn by a program that finds in it what it needs; pictures belong to addresses. */
const CardPayload = ShortText(65_536)
const SubType = Type.Union([Type.Literal('normal'), Type.Literal('sticker')], {
  description: 'expected "normal" or "sticker"'
})

/** Messages that are passed on together; the draft calls the members of a message otherwise. */
export function ForwardOf<M extends TSchema>(message: M) {
  return Type.Object({
    messages: Type.Array(message),
    title: OptionalLabel,
    preview: Type.Optional(Type.Array(Label)),
    summary: OptionalLabel,
    prompt: OptionalLabel
  })
}

/** What media is sent as; in the draft the same. */
export const OutgoingMedia = [
  SegmentOf('image', Type.Object({ uri: Text, sub_type: Type.Optional(SubType), summary: OptionalLabel })),
  SegmentOf('record', Type.Object({ uri: Text })),
  SegmentOf('video', Type.Object({ uri: Text, thumb_uri: OptionalText }))
] as const

const TypeBelow = Type.Object({ type: Type.String() })

/** Milky 1.2 "outgoing segments": what a bot may say. */
export const OutgoingSegment = Type.Recursive(
  (Self) =>
    Type.Union(
      [
        SegmentOf('text', Type.Object({ text: Text })),
        SegmentOf('mention', Type.Object({ user_id: Uin })),
        // Some clients send no `data` for it, so none is required.
        Type.Object({ type: Type.Literal('mention_all') }),
        SegmentOf('face', Type.Object({ face_id: FaceId, is_large: Type.Optional(Bool) })),
        SegmentOf('reply', Type.Object({ message_seq: Int })),
        ...OutgoingMedia,
        SegmentOf(
          'forward',
          ForwardOf(
            Type.Object({
              user_id: Uin,
              sender_name: SenderName,
              segments: Type.Array(Self),
              // Milky 1.3.
              time: Type.Optional(Int)
            })
          )
        ),
        SegmentOf('light_app', Type.Object({ json_payload: CardPayload }))
      ],
      {
        description:
          'expected a segment {type, data} with type text, mention, mention_all, face, reply, image, record, video, forward or light_app and its data'
      }
    ),
  { $id: 'OutgoingSegment' }
)
export type OutgoingSegment = Static<typeof OutgoingSegment>
export type OutgoingMediaSegment = Extract<OutgoingSegment, { type: 'image' | 'record' | 'video' }>
export type OutgoingForwardSegment = Extract<OutgoingSegment, { type: 'forward' }>

/** Milky 1.2 "incoming segments": what a bot hears. The segments of a quoted message are of the same kinds. */
export const IncomingSegment = Type.Union([
  SegmentOf('text', Type.Object({ text: Type.String() })),
  SegmentOf('mention', Type.Object({ user_id: Uin, name: Type.String() })),
  SegmentOf('mention_all', Nothing),
  SegmentOf('face', Type.Object({ face_id: Type.String(), is_large: Type.Boolean() })),
  SegmentOf('reply', Type.Object({ message_seq: Int, sender_id: Uin, time: Int, segments: Type.Array(TypeBelow) })),
  SegmentOf(
    'image',
    Type.Object({
      resource_id: Type.String(),
      temp_url: Type.String(),
      width: Int,
      height: Int,
      summary: Type.String(),
      sub_type: SubType
    })
  ),
  SegmentOf('record', Type.Object({ resource_id: Type.String(), temp_url: Type.String(), duration: Int })),
  SegmentOf(
    'video',
    Type.Object({ resource_id: Type.String(), temp_url: Type.String(), width: Int, height: Int, duration: Int })
  ),
  SegmentOf(
    'file',
    Type.Object({
      file_id: Type.String(),
      file_name: Type.String(),
      file_size: Int,
      file_hash: Type.Optional(Type.String())
    })
  ),
  SegmentOf(
    'forward',
    Type.Object({
      forward_id: Type.String(),
      title: Type.String(),
      preview: Type.Array(Type.String()),
      summary: Type.String()
    })
  ),
  SegmentOf('light_app', Type.Object({ app_name: Type.String(), json_payload: Type.String() }))
])
export type IncomingSegment = Static<typeof IncomingSegment>

function isMediaSegment(segment: OutgoingSegment): segment is OutgoingMediaSegment {
  return segment.type === 'image' || segment.type === 'record' || segment.type === 'video'
}

export function toMediaKind(segment: OutgoingMediaSegment): MediaKind {
  if (segment.type === 'record') return 'voice'
  if (segment.type === 'video') return 'video'
  return segment.data.sub_type === 'sticker' ? 'sticker' : 'image'
}

/** What needs nothing to be kept or read first. */
export type PlainOutgoingSegment = Exclude<OutgoingSegment, OutgoingMediaSegment | OutgoingForwardSegment>

export function isPlainSegment(segment: OutgoingSegment): segment is PlainOutgoingSegment {
  return segment.type !== 'forward' && !isMediaSegment(segment)
}

export function toDraftSegment(segment: PlainOutgoingSegment): DraftSegment {
  switch (segment.type) {
    case 'text':
      return { type: 'text', text: segment.data.text }
    case 'mention':
      return { type: 'mention', accountId: segment.data.user_id }
    case 'face':
      return { type: 'face', faceId: segment.data.face_id, ...(segment.data.is_large && { isLarge: true }) }
    case 'reply':
      return { type: 'reply', seq: segment.data.message_seq }
    case 'light_app':
      return toLightApp(segment.data.json_payload)
    case 'mention_all':
      return { type: 'mention_all' }
  }
}

function toLightApp(payload: string): DraftSegment {
  const field = 'message'
  const refused = new ActionError('invalid', `${field}: json_payload: expected a JSON object`, { field })
  let card: unknown
  try {
    card = JSON.parse(payload)
  } catch {
    throw refused
  }
  if (typeof card !== 'object' || card === null || Array.isArray(card)) throw refused
  const { app } = card as { app?: unknown }
  return { type: 'light_app', appName: typeof app === 'string' ? app : '', payload }
}

/** What a segment is shown with that does not stand in it. */
export interface SegmentView {
  /** Where a file can be fetched for a while, with scheme and host. */
  readonly urlOf: LinkOf
  /** In a private chat files are told with their hash. */
  readonly isPrivate: boolean
  /** What the message with this seq says, where it is known. */
  readonly quoted?: Readonly<Record<number, readonly Segment[]>> | undefined
}

export function toIncomingSegment(segment: Segment, view: SegmentView): IncomingSegment {
  switch (segment.type) {
    case 'text':
      return { type: 'text', data: { text: segment.text } }
    case 'mention':
      return { type: 'mention', data: { user_id: segment.accountId, name: segment.name } }
    case 'face':
      return { type: 'face', data: { face_id: segment.faceId, is_large: segment.isLarge ?? false } }
    case 'mention_all':
      return { type: 'mention_all', data: {} }
    case 'media':
      return MEDIA[segment.kind](segment, view)
    case 'forward': {
      const { forwardId, title, preview, summary } = segment
      return { type: 'forward', data: { forward_id: String(forwardId), title, preview: [...preview], summary } }
    }
    case 'light_app':
      return { type: 'light_app', data: { app_name: segment.appName, json_payload: segment.payload } }
    case 'reply': {
      const { seq, senderId, time } = segment
      // What a quoted message quotes itself is left out: chains of quotes would grow without end.
      const words = (view.quoted?.[seq] ?? []).filter((inner) => inner.type !== 'reply')
      const segments = words.map((inner) => toIncomingSegment(inner, view))
      return { type: 'reply', data: { message_seq: seq, sender_id: senderId, time, segments } }
    }
  }
}

type ShowMedia = (segment: MediaSegment, view: SegmentView) => IncomingSegment

const MEDIA: { readonly [K in MediaKind]: ShowMedia } = {
  image: toImage,
  gif: (segment, view) => (segment.file.mime.startsWith('video/') ? toVideo(segment, view) : toImage(segment, view)),
  sticker: (segment, view) =>
    segment.file.mime.startsWith('video/') ? toVideo(segment, view) : toImage(segment, view),
  voice: toRecord,
  audio: toRecord,
  video: toVideo,
  file: toFile
}

function toImage(segment: MediaSegment, { urlOf }: SegmentView): IncomingSegment {
  const { width, height } = segment.file
  return {
    type: 'image',
    data: {
      resource_id: toResourceId(segment),
      temp_url: urlOf(segment.file),
      width,
      height,
      summary: segment.summary ?? toPlainText([segment]),
      sub_type: segment.kind === 'sticker' ? 'sticker' : 'normal'
    }
  }
}

function toRecord(segment: MediaSegment, { urlOf }: SegmentView): IncomingSegment {
  const { file } = segment
  return {
    type: 'record',
    data: { resource_id: toResourceId(segment), temp_url: urlOf(file), duration: file.durationS }
  }
}

function toVideo(segment: MediaSegment, { urlOf }: SegmentView): IncomingSegment {
  const { width, height, durationS: duration } = segment.file
  return {
    type: 'video',
    data: { resource_id: toResourceId(segment), temp_url: urlOf(segment.file), width, height, duration }
  }
}

function toFile({ file }: MediaSegment, { isPrivate }: SegmentView): IncomingSegment {
  // What lies on somebody else's server is no file of this chat that could be asked for.
  if (file.fileId === undefined) return { type: 'text', data: { text: `[file ${file.name}] ${file.url ?? ''}` } }
  const { fileId, name: file_name, size: file_size, hash = '' } = file
  return {
    type: 'file',
    data: { file_id: String(fileId), file_name, file_size, ...(isPrivate && { file_hash: hash }) }
  }
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

/** What a message is made of, in the core's own words; codecs turn it into the words of each wire. */
export type Segment =
  | { readonly type: 'text'; readonly text: string }
  /** `name` is what the account was called when the message was said. */
  | { readonly type: 'mention'; readonly accountId: number; readonly name: string }
  | { readonly type: 'mention_all' }
  | { readonly type: 'face'; readonly faceId: string }
  | {
      readonly type: 'reply'
      readonly seq: number
      readonly messageId: number
      readonly senderId: number
      readonly time: number
    }
  | MediaSegment

/** What a picture, a sound or a document was sent as; every wire has its own words for them. */
export type MediaKind = 'image' | 'gif' | 'sticker' | 'voice' | 'audio' | 'video' | 'file'

export interface MediaSegment {
  readonly type: 'media'
  readonly kind: MediaKind
  readonly file: MediaFile
}

/** As much of a file as a message keeps of it: enough to show it without asking for it. */
export interface MediaFile {
  /** Absent when the file lies on somebody else's server, at `url`. */
  readonly fileId?: number
  /** Only for a file that is not ours. */
  readonly url?: string
  readonly name: string
  readonly mime: string
  /** Bytes; 0 when unknown, as width, height (pixels) and durationS. */
  readonly size: number
  readonly width: number
  readonly height: number
  readonly durationS: number
}

/** As a sender gives them: whom and what they mean is looked up when the message is stored. */
export type DraftSegment =
  | Exclude<Segment, { type: 'mention' | 'reply' | 'media' }>
  /** One of the sender's own files, or one that they may see; or, without `fileId`, an address elsewhere. */
  | { readonly type: 'media'; readonly kind: MediaKind; readonly fileId: number }
  | { readonly type: 'media'; readonly kind: MediaKind; readonly file: MediaFile }
  | { readonly type: 'mention'; readonly accountId: number }
  /** The quoted message by its seq in the same chat, or by its global id. */
  | { readonly type: 'reply'; readonly seq: number }
  | { readonly type: 'reply'; readonly messageId: number }

/** The text for a reader who knows nothing but text; other segments become a word in brackets. */
export function toPlainText(segments: readonly Segment[]): string {
  return segments.map(plainText).join('')
}

function plainText(segment: Segment): string {
  if (segment.type === 'text') return segment.text
  if (segment.type === 'mention') return `@${segment.name || segment.accountId}`
  if (segment.type === 'mention_all') return '@all'
  if (segment.type === 'face') return `[face ${segment.faceId}]`
  if (segment.type === 'media') return segment.kind === 'file' ? `[file ${segment.file.name}]` : `[${segment.kind}]`
  return ''
}

/** Whether all text together has more than `limit` Unicode code points. */
export function exceedsText(segments: readonly DraftSegment[], limit: number): boolean {
  const texts = segments.flatMap((segment) => (segment.type === 'text' ? [segment.text] : []))
  // Code points are never more than UTF-16 units, so the exact count is needed for long texts only.
  const units = texts.reduce((sum, text) => sum + text.length, 0)
  return units > limit && texts.reduce((sum, text) => sum + [...text].length, 0) > limit
}

/** What a message is made of, in the core's own words; codecs turn it into the words of each wire. */
export type Segment =
  | { readonly type: 'text'; readonly text: string }
  /** `name` is what the account was called when the message was said. */
  | { readonly type: 'mention'; readonly accountId: number; readonly name: string }
  | { readonly type: 'mention_all' }
  | { readonly type: 'face'; readonly faceId: string; readonly isLarge?: boolean }
  | {
      readonly type: 'reply'
      readonly seq: number
      readonly messageId: number
      readonly senderId: number
      readonly time: number
    }
  | MediaSegment
  | ForwardSegment
  /** A card that some program draws; `payload` is JSON that only the program understands. */
  | { readonly type: 'light_app'; readonly appName: string; readonly payload: string }

/** What a picture, a sound or a document was sent as; every wire has its own words for them. */
export type MediaKind = 'image' | 'gif' | 'sticker' | 'voice' | 'audio' | 'video' | 'file'

export interface MediaSegment {
  readonly type: 'media'
  readonly kind: MediaKind
  readonly file: MediaFile
  /** What stands for a picture where it cannot be shown; absent when the sender gave none. */
  readonly summary?: string
}

/** Messages that are passed on together; they are kept beside the message, under this number. */
export interface ForwardSegment {
  readonly type: 'forward'
  readonly forwardId: number
  readonly title: string
  /** One to four lines. */
  readonly preview: readonly string[]
  readonly summary: string
}

/** One message of those that are passed on together, as it is kept. */
export interface ForwardedMessage {
  readonly accountId: number
  /** As whoever passes it on calls the sender. */
  readonly name: string
  readonly avatarUrl: string
  /** Unix seconds. */
  readonly time: number
  /** From 1, in its forward. */
  readonly seq: number
  readonly segments: readonly Segment[]
}

/** The same before it is kept; `time` is that of the forward when absent. */
export interface ForwardedDraft {
  readonly accountId: number
  readonly name: string
  readonly time?: number | undefined
  readonly segments: readonly DraftSegment[]
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
  /** SHA-256 of the bytes, in hexadecimal; only for what was sent as a file. */
  readonly hash?: string
}

/** As a sender gives them: whom and what they mean is looked up when the message is stored. */
export type DraftSegment =
  | Exclude<Segment, { type: 'mention' | 'reply' | 'media' | 'forward' }>
  /** One of the sender's own files, or one that they may see; or, without `fileId`, an address elsewhere. */
  | { readonly type: 'media'; readonly kind: MediaKind; readonly fileId: number; readonly summary?: string }
  | { readonly type: 'media'; readonly kind: MediaKind; readonly file: MediaFile }
  | { readonly type: 'mention'; readonly accountId: number }
  /** One that the sender may see. */
  | { readonly type: 'forward'; readonly forwardId: number }
  | {
      readonly type: 'forward'
      readonly messages: readonly ForwardedDraft[]
      /** What is absent is made up from the messages. */
      readonly title?: string | undefined
      readonly preview?: readonly string[] | undefined
      readonly summary?: string | undefined
    }
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
  if (segment.type === 'forward') return [`[${segment.title}]`, ...segment.preview, segment.summary].join('\n')
  if (segment.type === 'light_app') return segment.appName === '' ? '[card]' : `[card ${segment.appName}]`
  return ''
}

/** Whether all text together has more than `limit` Unicode code points. */
export function exceedsText(segments: readonly DraftSegment[], limit: number): boolean {
  const texts = segments.flatMap((segment) => (segment.type === 'text' ? [segment.text] : []))
  // Code points are never more than UTF-16 units, so the exact count is needed for long texts only.
  const units = texts.reduce((sum, text) => sum + text.length, 0)
  return units > limit && texts.reduce((sum, text) => sum + [...text].length, 0) > limit
}

/** How many lines of a forward are shown before it is opened (Milky 1.2, `forward`). */
export const PREVIEW_LINES = 4
/** Code points of one line. */
const PREVIEW_LENGTH = 64

/** What stands for a forward until it is opened: what the sender says, or else is made up from the messages. */
export function describeForward(
  given: {
    readonly title?: string | undefined
    readonly preview?: readonly string[] | undefined
    readonly summary?: string | undefined
  },
  messages: readonly Pick<ForwardedMessage, 'name' | 'segments'>[]
): { title: string; preview: readonly string[]; summary: string } {
  const { title = 'Chat history', summary = `${messages.length} forwarded messages` } = given
  const preview =
    given.preview ??
    messages.slice(0, PREVIEW_LINES).map(({ name, segments }) => {
      const words = toPlainText(segments).replaceAll(/\s+/g, ' ')
      return `${name}: ${[...words].slice(0, PREVIEW_LENGTH).join('')}`
    })
  return { title, preview, summary }
}

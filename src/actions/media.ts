import type { ActionContext } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { checkKind, guessKind, toFileName } from '../core/files.ts'
import type { Delivery } from '../core/intake.ts'
import type { DraftSegment, ForwardedDraft, MediaKind } from '../core/segment.ts'
import type { StoredFile } from '../core/store.ts'
import {
  isPlainSegment,
  toDraftSegment,
  toMediaKind,
  type OutgoingForwardSegment,
  type OutgoingSegment
} from '../schema/segment.ts'

/** How a person says which file goes with a message (IM-Suite 2.3). */
export interface FileChoice {
  readonly message_type?: 'text' | MediaKind
  readonly file_id?: number
  /** A link to one of our files, or an https address elsewhere; the rest is only for the latter. */
  readonly file_url?: string
  readonly file_name?: string
  readonly file_size?: number
  readonly mime_type?: string
}

/** The file that goes with a person's message; undefined for one of words alone. */
export async function findMedia(context: ActionContext, choice: FileChoice): Promise<DraftSegment | undefined> {
  const { message_type: type, file_url: url = '' } = choice
  const fileId = choice.file_id ?? context.links.findFileId(url)
  if (fileId === undefined && url === '') {
    if (type === undefined || type === 'text') return undefined
    throw new ActionError('invalid', `file_id: a message of type ${type} needs a file`, { field: 'file_id' })
  }
  if (type === 'text')
    throw new ActionError('invalid', 'message_type: a message with a file is of another type than text', {
      field: 'message_type'
    })
  return fileId === undefined ? toForeignMedia(url, type, choice) : findOwnMedia(context, fileId, type)
}

async function findOwnMedia(
  { caller, files }: ActionContext,
  fileId: number,
  type: MediaKind | undefined
): Promise<DraftSegment> {
  const { mime } = await files.get(caller.id, fileId)
  const kind = type ?? guessKind(mime)
  checkKind(kind, mime, 'message_type')
  return { type: 'media', kind, fileId }
}

function toForeignMedia(
  given: string,
  type: MediaKind | undefined,
  { file_name = '', file_size: size = 0, mime_type = '' }: FileChoice
): DraftSegment {
  const parsed = URL.parse(given)
  if (parsed?.protocol !== 'https:' || parsed.username !== '' || parsed.password !== '')
    throw new ActionError('invalid', 'file_url: expected a link to a file of this server, or an https address', {
      field: 'file_url'
    })
  const [mime = ''] = mime_type.toLowerCase().split(';', 1)
  const kind = type ?? guessKind(mime)
  if (mime !== '') checkKind(kind, mime, 'message_type')
  const name = toFileName(file_name || lastOf(parsed.pathname))
  const file = { url: parsed.href, name, mime, size, width: 0, height: 0, durationS: 0 }
  return { type: 'media', kind, file }
}

function lastOf(path: string): string {
  const last = path.split('/').at(-1) ?? ''
  try {
    return decodeURIComponent(last)
  } catch {
    return last
  }
}

/** A picture that the caller has uploaded, by its link; anything else is refused. */
export async function findOwnPicture(
  { caller, files }: ActionContext,
  fileId: number,
  field: string
): Promise<StoredFile> {
  const file = await files.get(caller.id, fileId)
  if (file.ownerId === caller.id && file.mime.startsWith('image/')) return file
  throw new ActionError('invalid', `${field}: expected a picture that you have uploaded`, { field })
}

/** Keeps what an address means as a file of the caller's. */
export type Take = (delivery: Omit<Delivery, 'ownerId'>) => Promise<StoredFile>

/** Runs `work`, which may take files in; when it fails, or has no use for them after all, they go again. */
export async function withUploads<T>(
  { caller, files, intake }: ActionContext,
  work: (take: Take) => Promise<T>,
  isUsed: (result: T) => boolean = () => true
): Promise<T> {
  const kept: number[] = []
  const takeIn = intake.begin()
  let isDone = false
  try {
    const result = await work(async (delivery) => {
      const file = await takeIn({ ...delivery, ownerId: caller.id })
      kept.push(file.id)
      return file
    })
    isDone = isUsed(result)
    return result
  } finally {
    // What cannot be removed now is the bot's own and harms nobody; what came of the work is what the bot has to hear.
    if (!isDone) for (const id of kept) await files.remove(caller.id, id).catch(() => {})
  }
}

/** What a bot says, with its media kept as files of the bot. `send` does the rest; when it fails, the files go again. */
export function withMedia<T>(
  context: ActionContext,
  message: readonly OutgoingSegment[],
  send: (segments: DraftSegment[]) => Promise<T>
): Promise<T> {
  // Most messages are words, for which there is nothing to wait.
  if (message.every(isPlainSegment)) return send(message.map(toDraftSegment))
  return withUploads(context, async (take) => send(await toDraftSegments(message, take)))
}

async function toDraftSegments(message: readonly OutgoingSegment[], take: Take): Promise<DraftSegment[]> {
  const segments: DraftSegment[] = []
  // One after the other: a message of many pictures does not open as many connections.
  for (const segment of message) segments.push(await toDraft(segment, take))
  return segments
}

async function toDraft(segment: OutgoingSegment, take: Take): Promise<DraftSegment> {
  if (isPlainSegment(segment)) return toDraftSegment(segment)
  if (segment.type === 'forward') return toForward(segment, take)
  const kind = toMediaKind(segment)
  const { id: fileId } = await take({ uri: segment.data.uri, kind, field: 'message' })
  const summary = segment.type === 'image' ? segment.data.summary : undefined
  return { type: 'media', kind, fileId, ...(summary && { summary }) }
}

async function toForward({ data }: OutgoingForwardSegment, take: Take): Promise<DraftSegment> {
  const messages: ForwardedDraft[] = []
  for (const { user_id, sender_name, segments, time } of data.messages) {
    // What it answered stands in another conversation: the words are worth more than the quote.
    const said = segments.filter(({ type }) => type !== 'reply')
    messages.push({
      accountId: user_id,
      name: sender_name,
      time,
      segments: await toDraftSegments(said, take)
    })
  }
  return {
    type: 'forward',
    messages,
    title: data.title,
    preview: data.preview && data.preview.length > 0 ? data.preview : undefined,
    summary: data.summary
  }
}

import type { ActionContext } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { checkKind, guessKind, toFileName } from '../core/files.ts'
import type { DraftSegment, MediaKind } from '../core/segment.ts'
import { isMediaSegment, toDraftSegment, toMediaKind, type OutgoingSegment } from '../schema/segment.ts'

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

/**
 * What a bot says, with its media kept as files of the bot. `send` does the rest; when it fails, the files go again.
 * Media comes as `base64://…`.
 */
export async function withMedia<T>(
  { caller, files }: ActionContext,
  message: readonly OutgoingSegment[],
  send: (segments: DraftSegment[]) => Promise<T>
): Promise<T> {
  const kept: number[] = []

  async function toSegment(segment: OutgoingSegment): Promise<DraftSegment> {
    if (!isMediaSegment(segment)) return toDraftSegment(segment)
    const kind = toMediaKind(segment)
    const as = { kind, field: 'message' }
    const { id } = await files.add({ ownerId: caller.id, bytes: [decodeUri(segment.data.uri)], as })
    kept.push(id)
    return { type: 'media', kind, fileId: id }
  }

  try {
    const segments: DraftSegment[] = []
    for (const segment of message) segments.push(await toSegment(segment))
    return await send(segments)
  } catch (err) {
    // What cannot be removed now is the bot's own and harms nobody; why the message failed is what the bot has to hear.
    for (const id of kept) await files.remove(caller.id, id).catch(() => {})
    throw err
  }
}

const BASE64 = 'base64://'

function decodeUri(uri: string): Uint8Array {
  const field = 'message'
  if (!uri.startsWith(BASE64)) {
    const scheme = /^(\w{1,16}):\/\//.exec(uri)?.[1] ?? 'other'
    throw new ActionError('invalid', `${field}: ${scheme} addresses of media cannot be used yet, send base64://…`, {
      field
    })
  }
  const text = uri.slice(BASE64.length)
  if (!/^[\w+/-]+={0,2}$/.test(text))
    throw new ActionError('invalid', `${field}: expected base64 after base64://`, { field })
  return Buffer.from(text, 'base64')
}

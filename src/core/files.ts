import { ActionError } from './errors.ts'
import type { MediaKind } from './segment.ts'
import type { NewFile, Store, StoredFile } from './store.ts'

/** What bytes turned out to be. */
export interface Content {
  /** In hexadecimal; bytes are kept once, under it. */
  readonly sha256: string
  readonly size: number
  /** From the bytes, never from what somebody says of them; `application/octet-stream` when they say nothing. */
  readonly mime: string
  /** What names of such files end with, without the dot. */
  readonly extension: string
  /** Pixels, of pictures and films; 0 when unknown. */
  readonly width: number
  readonly height: number
  /** Whole seconds, rounded up, of sound and films; 0 when unknown. */
  readonly durationS: number
}

/** Where bytes are kept. Whoever reads and writes one content does it alone. */
export interface Blobs {
  /**
   * Takes bytes in, then lets `use` decide: what it does not `keep` is gone afterwards, as after any error.
   * Throws `ActionError('too_large')` above `maxBytes`, `ActionError('no_space')` or
   * `ActionError('unavailable')` when the disk cannot take them.
   */
  readonly receive: <T>(
    bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    maxBytes: number,
    use: (content: Content, keep: () => Promise<void>) => Promise<T>
  ) => Promise<T>
  /** Runs `work` while nobody else keeps or removes this content. */
  readonly alone: <T>(sha256: string, work: () => Promise<T>) => Promise<T>
  /** No mistake when it is not there. */
  readonly remove: (sha256: string) => Promise<void>
}

export interface Upload {
  readonly ownerId: number
  readonly bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  /** As the sender calls it; made up from what it is when absent. */
  readonly name?: string | undefined
  /** What it is to be shown as; anything else is refused, naming this field. */
  readonly as?: { readonly kind: MediaKind; readonly field: string }
}

/** Files that people and bots upload. Every method throws `ActionError` to refuse. */
export interface Files {
  readonly add: (upload: Upload) => Promise<StoredFile>
  /** The file, if it is the account's own or in a message of one of its chats; `not_found` otherwise. */
  readonly get: (accountId: number, fileId: number) => Promise<StoredFile>
  /** By its owner, while neither a message, a group nor their profile shows it. */
  readonly remove: (ownerId: number, fileId: number) => Promise<void>
  /** Removes the bytes of which no file is left. Never rejects: what was done before it is done, and the next time takes the rest. */
  readonly tidy: () => Promise<void>
}

export interface FilesOptions {
  readonly store: Store
  readonly blobs: Blobs
  /** Unix seconds. */
  readonly now: () => number
  readonly maxBytes: number
  /** Told of what could not be tidied. */
  readonly onError: (err: unknown) => void
}

/** Contents removed between two looks at the list. */
const BATCH = 100

export function createFiles({ store, blobs, now, maxBytes, onError }: FilesOptions): Files {
  async function find(accountId: number, fileId: number): Promise<StoredFile> {
    const file = await store.findFile(fileId)
    // One answer for what is not there and what is not theirs (IM-Suite 2.6).
    if (!file || (file.ownerId !== accountId && !(await store.isFileShownTo(fileId, accountId))))
      throw new ActionError('not_found', `there is no file ${fileId}`, { field: 'file_id' })
    return file
  }

  async function removeLoose(sha256: string): Promise<void> {
    await blobs.alone(sha256, async () => {
      // Somebody has uploaded the same bytes again.
      if (await store.isContentUsed(sha256)) return
      await blobs.remove(sha256)
      await store.forgetContent(sha256)
    })
  }

  async function sweep(): Promise<void> {
    for (;;) {
      const loose = await store.listLooseContents(BATCH)
      // All at once: they share their commits.
      await Promise.all(loose.map(removeLoose))
      if (loose.length < BATCH) return
    }
  }

  let running: Promise<void> | undefined
  let following: Promise<void> | undefined

  /** Who asks while somebody sweeps waits for one more sweep, together with all others who ask meanwhile. */
  function tidy(): Promise<void> {
    if (!running) {
      running = sweep()
        .catch(onError)
        .finally(() => (running = undefined))
      return running
    }
    following ??= running.then(() => {
      following = undefined
      return tidy()
    })
    return following
  }

  return {
    add: ({ ownerId, bytes, name, as }) =>
      blobs.receive(bytes, maxBytes, async (content, keep) => {
        if (content.size === 0) throw new ActionError('invalid', 'the file is empty', { field: as?.field ?? 'file' })
        if (as) checkKind(as.kind, content.mime, as.field)
        // In this order a crash in between leaves nothing but a name on the list of what can go.
        await store.expectContent(content.sha256)
        await keep()
        const { extension, ...kept } = content
        const file: NewFile = {
          ...kept,
          ownerId,
          name: name === undefined ? inventName(content.mime, extension) : toFileName(name),
          createdAt: now()
        }
        return store.addFile(file)
      }),

    get: find,

    async remove(ownerId, fileId) {
      const file = await find(ownerId, fileId)
      if (file.ownerId !== ownerId) throw new ActionError('forbidden', 'the file is somebody else’s')
      if (!(await store.removeFile(fileId)))
        throw new ActionError('conflict', 'a message, a group or your profile shows the file')
      await tidy()
    },

    tidy
  }
}

/** What each kind can be made of. Recorders of browsers write sound into the containers of films. */
const MIMES: { readonly [K in MediaKind]: RegExp } = {
  image: /^image\//,
  gif: /^(image\/|video\/(mp4|webm)$)/,
  sticker: /^(image\/|video\/webm$)/,
  voice: /^(audio\/|application\/ogg$|video\/(mp4|webm|ogg)$)/,
  audio: /^(audio\/|application\/ogg$|video\/(mp4|webm|ogg)$)/,
  video: /^video\//,
  file: /^/
}

/** Throws `ActionError('invalid')` when something of this type cannot be shown as this kind. */
export function checkKind(kind: MediaKind, mime: string, field: string): void {
  if (!MIMES[kind].test(mime))
    throw new ActionError('invalid', `${field}: a file of type ${mime} cannot be sent as ${kind}`, { field })
}

/** What somebody most likely means who sends such a file and does not say. */
export function guessKind(mime: string): MediaKind {
  const [kind] = (['image', 'video', 'audio'] as const).filter((major) => mime.startsWith(`${major}/`))
  return kind ?? 'file'
}

/** Names are shown and saved by others, so they carry no path, no control characters, and nothing that turns text around. */
export function toFileName(name: string): string {
  const bare = name
    .slice(0, 4096)
    .normalize('NFC')
    .replace(/^.*[/\\]/s, '')
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '')
    .trim()
  if (/^\.*$/.test(bare)) return 'file'
  const letters = [...bare]
  if (letters.length <= MAX_NAME) return bare
  const [extension = ''] = /\.[^.]{1,16}$/u.exec(bare) ?? []
  return letters.slice(0, MAX_NAME - [...extension].length).join('') + extension
}

/** Code points. */
const MAX_NAME = 128

function inventName(mime: string, extension: string): string {
  return `${guessKind(mime)}.${extension}`
}

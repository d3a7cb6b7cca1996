import type { Readable } from 'node:stream'
import type { Store } from '../core/store.ts'

/** Bytes of a file that are read when they are wanted. */
export interface Media {
  /** Bytes of the file itself. */
  readonly size: number
  /** Undefined when the bytes are gone. Rejects when they cannot be read. */
  readonly read: () => Promise<string | undefined>
}

/** Files as base64, as maim_message carries them. */
export interface MediaReader {
  /** Undefined when there is no such file any more. */
  readonly find: (fileId: number) => Promise<Media | undefined>
}

export interface MediaReaderOptions {
  readonly store: Pick<Store, 'findFile'>
  /** Where the bytes are kept. */
  readonly blobs: {
    readonly read: (sha256: string, range: { start: number; end: number }) => Promise<Readable | undefined>
  }
  /** Characters of base64 that are kept for the next brain that is told the same. */
  readonly maxKept?: number
}

/** Characters that `bytes` bytes take. */
export const base64Length = (bytes: number): number => Math.ceil(bytes / 3) * 4

/** Several brains that are told the same at once share one reading; what was read last is kept for those that come later. */
export function createMediaReader({ store, blobs, maxKept = 8 * 1024 * 1024 }: MediaReaderOptions): MediaReader {
  const reading = new Map<string, Promise<string | undefined>>()
  /** The latest used at the end. */
  const kept = new Map<string, string>()
  let keptLength = 0

  function forget(sha256: string): void {
    keptLength -= kept.get(sha256)?.length ?? 0
    kept.delete(sha256)
  }

  function keep(sha256: string, base64: string): void {
    forget(sha256)
    if (base64.length > maxKept) return
    kept.set(sha256, base64)
    keptLength += base64.length
    for (const oldest of kept.keys()) {
      if (keptLength <= maxKept) return
      forget(oldest)
    }
  }

  async function load(sha256: string, size: number): Promise<string | undefined> {
    const stream = await blobs.read(sha256, { start: 0, end: size - 1 })
    if (!stream) return undefined
    const chunks = (await stream.toArray()) as Buffer[]
    const bytes = Buffer.concat(chunks)
    if (bytes.length !== size) return undefined
    const base64 = bytes.toString('base64')
    keep(sha256, base64)
    return base64
  }

  async function read(sha256: string, size: number): Promise<string | undefined> {
    const known = kept.get(sha256)
    if (known !== undefined) {
      keep(sha256, known)
      return known
    }
    const running = reading.get(sha256) ?? load(sha256, size).finally(() => reading.delete(sha256))
    reading.set(sha256, running)
    return running
  }

  return {
    async find(fileId) {
      const file = await store.findFile(fileId)
      return file && { size: file.size, read: () => read(file.sha256, file.size) }
    }
  }
}

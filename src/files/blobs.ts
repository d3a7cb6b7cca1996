import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { ActionError } from '../core/errors.ts'
import type { Blobs } from '../core/files.ts'
import { measure } from './measure.ts'
import { HEAD_BYTES, recognise } from './recognise.ts'

export interface BlobStore extends Blobs {
  /** The bytes from `start` to `end`, both included; undefined when there is no such content. */
  readonly read: (sha256: string, range: { start: number; end: number }) => Promise<Readable | undefined>
}

/**
 * Bytes in a directory, each content once: `ab/cdef…`, after its SHA-256. What comes in is written to `incoming/` and
 * moved when it is whole and on the disk. No path holds anything that a client has chosen.
 * Whatever an earlier process left half-way in `incoming/` is removed; the caller makes sure that no other works there.
 */
export async function openBlobs(dir: string): Promise<BlobStore> {
  const incoming = join(dir, 'incoming')
  await rm(incoming, { recursive: true, force: true })
  await mkdir(incoming, { recursive: true, mode: 0o700 })
  const busy = new Map<string, Promise<unknown>>()

  const folderOf = (sha256: string): string => join(dir, sha256.slice(0, 2))
  const pathOf = (sha256: string): string => join(folderOf(sha256), sha256.slice(2))

  async function alone<T>(sha256: string, work: () => Promise<T>): Promise<T> {
    const before = busy.get(sha256) ?? Promise.resolve()
    const mine = before.then(work, work)
    busy.set(sha256, mine)
    try {
      return await mine
    } finally {
      if (busy.get(sha256) === mine) busy.delete(sha256)
    }
  }

  async function keep(from: string, sha256: string): Promise<void> {
    await mkdir(folderOf(sha256), { recursive: true, mode: 0o700 })
    await rename(from, pathOf(sha256))
    // Without it a power cut may take the names back, though not the bytes.
    await Promise.all([syncFolder(folderOf(sha256)), syncFolder(dir)])
  }

  return {
    alone,

    async receive(bytes, maxBytes, use) {
      const path = join(incoming, randomUUID())
      try {
        const { sha256, size, head } = await withTrouble(() => write(path, bytes, maxBytes))
        const looks = await recognise(head)
        const content = { sha256, size, ...looks, ...(await measure(path, looks)) }
        return await alone(sha256, () => use(content, () => withTrouble(() => keep(path, sha256))))
      } finally {
        await rm(path, { force: true })
      }
    },

    async remove(sha256) {
      await rm(pathOf(sha256), { force: true })
    },

    async read(sha256, range) {
      const file = await open(pathOf(sha256)).catch((err: NodeJS.ErrnoException) => {
        if (err.code === 'ENOENT') return undefined
        throw err
      })
      return file?.createReadStream(range)
    }
  }
}

async function write(
  path: string,
  bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  maxBytes: number
): Promise<{ sha256: string; size: number; head: Uint8Array }> {
  const file = await open(path, 'wx', 0o600)
  try {
    const digest = createHash('sha256')
    const head: Uint8Array[] = []
    let size = 0
    for await (const chunk of bytes) {
      const room = HEAD_BYTES - size
      if (room > 0) head.push(Buffer.from(chunk.subarray(0, room)))
      size += chunk.length
      if (size > maxBytes) throw new ActionError('too_large', `a file has at most ${maxBytes} bytes`, { field: 'file' })
      digest.update(chunk)
      await writeAll(file, chunk)
    }
    await file.sync()
    return { sha256: digest.digest('hex'), size, head: Buffer.concat(head) }
  } finally {
    await file.close()
  }
}

/** A full disk may take a part of what it is given. */
async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length;) offset += (await file.write(chunk, offset)).bytesWritten
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

const DISK_TROUBLE: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EMFILE', 'ENFILE'])

/** What the disk refuses is no mistake of ours, and the client may come again. */
async function withTrouble<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException
    if (!DISK_TROUBLE.has(code)) throw err
    if (code === 'ENOSPC' || code === 'EDQUOT')
      throw new ActionError('no_space', 'the disk of the gateway has no room for the file')
    throw new ActionError('unavailable', `the disk cannot take the file now (${code})`)
  }
}

import { constants } from 'node:fs'
import { open, readlink, realpath, type FileHandle } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ActionError } from '../core/errors.ts'
import type { Source, SourceOrder } from '../core/intake.ts'

export interface FoldersOptions {
  /** Below these lies what bots may send. */
  readonly folders: readonly string[]
  /** Nothing in here but `media` is ever given out, whatever the folders say: it holds the database and the keys. */
  readonly dataDir: string
  readonly maxBytes: number
}

const CHUNK_BYTES = 64 * 1024

/** Reads `file://` addresses below the folders that are open: regular files only, symbolic links followed and looked at. */
export function createFolders({ folders, dataDir, maxBytes }: FoldersOptions): Source {
  const media = join(resolve(dataDir), 'media')
  const open = [...folders.map((folder) => resolve(folder)), media]

  /** Where this really is, if bots may read there. Asked anew each time: folders come and go, and are moved. */
  async function isOpen(path: string): Promise<boolean> {
    const [roots, closed, exception] = await Promise.all([
      Promise.all(open.map(findReal)),
      findReal(dataDir),
      findReal(media)
    ])
    if (isBelow(path, closed) && !isBelow(path, exception)) return false
    return roots.some((root) => isBelow(path, root))
  }

  return async (order, use) => {
    const refused = new ActionError(
      'not_found',
      // One sentence for what is not there and what is not open: else others could ask what there is on the disk.
      `${order.field}: there is no such file in the folders that media.folders opens`,
      { field: order.field }
    )
    const path = toPath(order)
    const real = path === undefined ? undefined : await findReal(path)
    if (path === undefined || real === undefined || !(await isOpen(real))) throw refused
    const file = await openFile(real).catch(() => undefined)
    if (!file) throw refused
    try {
      // What was looked at may have been changed for something else before it was opened.
      const opened = await findOpened(file, path)
      const stat = await file.stat()
      if (opened === undefined || !stat.isFile() || !(await isOpen(opened))) throw refused
      if (stat.size > maxBytes)
        throw new ActionError('too_large', `${order.field}: a file has at most ${maxBytes} bytes`, {
          field: order.field
        })
      return await use(read(file, order.signal))
    } finally {
      await file.close()
    }
  }
}

/** Undefined for what cannot be a path. */
function toPath({ address, field }: SourceOrder): string | undefined {
  if (address.host !== '')
    throw new ActionError('invalid', `${field}: expected file:/// and an absolute path of the gateway’s machine`, {
      field
    })
  if (address.search !== '' || address.hash !== '')
    throw new ActionError('invalid', `${field}: in a file address ? is written %3F and # is written %23`, { field })
  try {
    const path = fileURLToPath(address)
    return path.includes('\0') ? undefined : path
  } catch {
    return undefined
  }
}

function findReal(path: string): Promise<string | undefined> {
  return realpath(path).catch(() => undefined)
}

function isBelow(path: string, folder: string | undefined): boolean {
  return folder !== undefined && path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}

/** Neither waits for who writes into a pipe nor follows a link that was not there before. */
function openFile(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
}

/** Where the file that is open lies; the kernel knows for certain where there is `/proc`. */
async function findOpened(file: FileHandle, path: string): Promise<string | undefined> {
  return readlink(`/proc/self/fd/${file.fd}`).catch(() => findReal(path))
}

async function* read(file: FileHandle, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (;;) {
    signal.throwIfAborted()
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, null)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

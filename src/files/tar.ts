import type { FileHandle } from 'node:fs/promises'

/** One regular file of an archive. */
export interface TarEntry {
  readonly name: string
  readonly size: number
  /** To be read to its end, or not at all, before the next entry is asked for. */
  readonly bytes: AsyncIterable<Uint8Array>
}

export interface TarWriter {
  /** Throws when `bytes` gives another number of bytes than `size`. */
  readonly add: (name: string, size: number, bytes: AsyncIterable<Uint8Array>) => Promise<void>
  /** Nothing can be added afterwards. */
  readonly end: () => Promise<void>
}

const BLOCK = 512
const CHUNK_BYTES = 64 * 1024
/** Below it a size is written in octal digits, as POSIX says; above it in binary, as GNU and BSD tar do. */
const OCTAL_SIZE = 8 ** 11

/** Writes a POSIX archive (ustar) of regular files for their owner alone. `time` in Unix seconds is that of every file. */
export function createTarWriter(write: (bytes: Uint8Array) => Promise<void>, time: number): TarWriter {
  return {
    async add(name, size, bytes) {
      await write(encodeHeader(name, size, time))
      let written = 0
      for await (const chunk of bytes) {
        written += chunk.length
        if (written > size) break
        await write(chunk)
      }
      if (written !== size) throw new Error(`${name} was changed while it was read`)
      await write(Buffer.alloc(paddingOf(size)))
    },
    end: () => write(Buffer.alloc(2 * BLOCK))
  }
}

/** The regular files of an archive, in their order. Throws with a sentence when it is damaged, cut off, or no archive. */
export async function* readTar(file: FileHandle): AsyncGenerator<TarEntry> {
  let at = 0
  for (;;) {
    const header = await readAt(file, at, BLOCK)
    if (header.every((byte) => byte === 0)) return
    const { name, size, type } = decodeHeader(header)
    const start = at + BLOCK
    if (type === '0' || type === '\0') yield { name, size, bytes: readRange(file, start, size) }
    // Whoever has packed it anew may have put folders in; anything else is none of ours.
    else if (type !== '5') throw new Error(`${name} is no regular file`)
    at = start + size + paddingOf(size)
  }
}

function encodeHeader(name: string, size: number, time: number): Buffer {
  if (Buffer.byteLength(name) > 100) throw new Error(`the name ${name} is too long for the archive`)
  const header = Buffer.alloc(BLOCK)
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`
  header.write(name, 0)
  header.write(`${octal(0o600, 7)}${octal(0, 7)}${octal(0, 7)}`, 100)
  if (size < OCTAL_SIZE) header.write(octal(size, 11), 124)
  else {
    header[124] = 0x80
    header.writeBigUInt64BE(BigInt(size), 128)
  }
  header.write(`${octal(time, 11)}${' '.repeat(8)}0`, 136)
  header.write('ustar\u000000', 257)
  header.write(`${sumOf(header).toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

function decodeHeader(header: Buffer): { name: string; size: number; type: string } {
  const textAt = (start: number, length: number): string =>
    header.toString('utf8', start, start + length).replace(/\0.*$/s, '')
  const octalAt = (start: number, length: number): number => Number.parseInt(textAt(start, length).trim() || '0', 8)
  const sum = octalAt(148, 8)
  const blank = Buffer.from(header)
  blank.fill(' ', 148, 156)
  if (!textAt(257, 6).startsWith('ustar') || sum !== sumOf(blank)) throw new Error('it is damaged, or no archive')
  const prefix = textAt(345, 155)
  const name = `${prefix === '' ? '' : `${prefix}/`}${textAt(0, 100)}`.replace(/^(?:\.\/)+/, '')
  const size = header[124] === 0x80 ? Number(header.readBigUInt64BE(128)) : octalAt(124, 12)
  if (!Number.isSafeInteger(size) || size < 0) throw new Error('it is damaged')
  return { name, size, type: String.fromCharCode(header[156] as number) }
}

function sumOf(header: Uint8Array): number {
  return header.reduce((sum, byte) => sum + byte, 0)
}

function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK
}

async function* readRange(file: FileHandle, start: number, size: number): AsyncGenerator<Uint8Array> {
  for (let read = 0; read < size;) {
    const chunk = await readAt(file, start + read, Math.min(CHUNK_BYTES, size - read))
    read += chunk.length
    yield chunk
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  for (let filled = 0; filled < length;) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled)
    if (bytesRead === 0) throw new Error('it ends in the middle')
    filled += bytesRead
  }
  return buffer
}

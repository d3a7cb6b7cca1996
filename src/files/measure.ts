import { open, type FileHandle } from 'node:fs/promises'
import type { Content } from '../core/files.ts'

/** What is looked at only for so long: a file that was made to be slow to read is like one that is broken. */
const MAX_MS = 2000
/** The most that is read of a file at once. */
const MAX_READ = 1024 * 1024
/** Boxes of a film that are looked at in one of them. */
const MAX_BOXES = 1000
/** More than this is a mistake in the file. */
const MAX_SECONDS = 1e9

type Measures = Pick<Content, 'width' | 'height' | 'durationS'>
const NOTHING: Measures = { width: 0, height: 0, durationS: 0 }
type Known = Pick<Content, 'mime' | 'width' | 'height'>

/** How long sound and films last, and how large films are. What is broken or unknown is 0; nothing is thrown. */
export async function measure(path: string, { mime, width, height }: Known): Promise<Measures> {
  const rest = { width, height, durationS: 0 }
  if (!/^(audio\/|video\/|application\/ogg$)/.test(mime)) return rest
  try {
    const found = await measureAs(path, mime)
    return { width: toPixels(found.width), height: toPixels(found.height), durationS: toSeconds(found.durationS) }
  } catch {
    return rest
  }
}

/** Seconds may have a fraction here. */
function measureAs(path: string, mime: string): Promise<Measures> {
  if (mime === 'audio/silk') return withFile(path, (file) => countFrames(file, measureSilk))
  if (mime === 'audio/amr') return withFile(path, (file) => countFrames(file, measureAmr))
  if (/mp4|quicktime|m4[av]|3gpp/.test(mime)) return measureMp4(path)
  if (/webm|matroska/.test(mime)) return measureWebm(path, mime)
  return measureOther(path, mime)
}

async function withFile<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path)
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position)
  return buffer.subarray(0, bytesRead)
}

const FRAME_S = 0.02

/** Voices of phones are frames of 20 ms, one after the other; only the first megabyte is looked at. */
async function countFrames(file: FileHandle, find: (bytes: Buffer) => number[]): Promise<Measures> {
  const bytes = await readAt(file, 0, MAX_READ)
  const frames = find(bytes)
  const read = frames.at(-1) ?? 0
  const { size } = await file.stat()
  // The rest of a long one is as the beginning was.
  const share = size > MAX_READ && read > 0 ? size / read : 1
  return { width: 0, height: 0, durationS: frames.length * FRAME_S * share }
}

/** Where each frame ends. A frame is its length in two bytes and so many bytes; the length 0xffff is the end. */
function measureSilk(bytes: Buffer): number[] {
  const ends: number[] = []
  // One messenger puts a byte in front.
  let at = bytes.indexOf('#!SILK_V3', 0, 'latin1') + '#!SILK_V3'.length
  while (at + 2 <= bytes.length) {
    const length = bytes.readUInt16LE(at)
    if (length === 0xffff || at + 2 + length > bytes.length) break
    at += 2 + length
    ends.push(at)
  }
  return ends
}

/** Bytes of a frame with its first one, in which its kind stands (RFC 4867 §5.3). */
const AMR_SIZES = [13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1]
const AMR_WB_SIZES = [18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1]

function measureAmr(bytes: Buffer): number[] {
  const isWide = bytes.toString('latin1', 0, 9) === '#!AMR-WB\n'
  const sizes = isWide ? AMR_WB_SIZES : AMR_SIZES
  const ends: number[] = []
  for (let at = isWide ? 9 : 6; at < bytes.length;) {
    at += sizes[((bytes[at] ?? 0) >> 3) & 15] ?? 1
    ends.push(at)
  }
  return ends
}

/** Which boxes of a film are looked at, and in which others they stand (ISO/IEC 14496-12). */
const BOXES: { readonly [parent: string]: readonly string[] } = {
  file: ['moov'],
  moov: ['mvhd', 'trak', 'mvex'],
  trak: ['tkhd'],
  mvex: ['mehd']
}
/** Of those that say something, only the beginning matters. */
const BOX_BYTES = 128

/** MP4 and QuickTime: what the header of the film says, and the largest of its pictures. */
async function measureMp4(path: string): Promise<Measures> {
  const found = await withFile(path, async (file) => {
    const { size } = await file.stat()
    const boxes = await readBoxes(file, 'file', { start: 0, end: size })
    const contentsOf = (type: string): Buffer[] => boxes.filter((box) => box.type === type).map(({ bytes }) => bytes)
    const [movie] = contentsOf('mvhd')
    const [fragments] = contentsOf('mehd')
    const { units, timescale } = movie ? readMovie(movie) : { units: 0, timescale: 0 }
    const total = units || (fragments ? readUnits(fragments, 4) : 0)
    const picture = contentsOf('tkhd').map(readTrackSize).reduce(larger, { width: 0, height: 0 })
    return { ...picture, durationS: timescale === 0 ? 0 : total / timescale }
  })
  if (found.durationS > 0) return found
  // Recorded in pieces, without a word on how long they are altogether.
  const pieces = await measureOther(path, 'audio/mp4').catch(() => found)
  return { ...found, durationS: pieces.durationS }
}

interface Box {
  readonly type: string
  /** How it begins. */
  readonly bytes: Buffer
}

async function readBoxes(
  file: FileHandle,
  parent: string,
  { start, end }: { start: number; end: number }
): Promise<Box[]> {
  const boxes: Box[] = []
  for (let at = start, steps = 0; at + 8 <= end && steps < MAX_BOXES; steps++) {
    const head = await readAt(file, at, 16)
    const given = head.readUInt32BE(0)
    // A length of 1 stands for a longer one behind, and 0 for all that is left.
    const length = given === 1 ? Number(head.readBigUInt64BE(8)) : given || end - at
    const inner = { start: at + (given === 1 ? 16 : 8), end: Math.min(at + length, end) }
    if (length < 8) break
    const type = head.toString('latin1', 4, 8)
    at += length
    if (!BOXES[parent]?.includes(type)) continue
    if (BOXES[type]) boxes.push(...(await readBoxes(file, type, inner)))
    else boxes.push({ type, bytes: await readAt(file, inner.start, Math.min(inner.end - inner.start, BOX_BYTES)) })
    if (type === 'moov') break
  }
  return boxes
}

/** `mvhd`: how many units of so many per second; 0 when it is not known. */
function readMovie(bytes: Buffer): { units: number; timescale: number } {
  const isLong = bytes[0] === 1
  const units = readUnits(bytes, isLong ? 24 : 16)
  return { units: units >= 0xffffffff ? 0 : units, timescale: bytes.readUInt32BE(isLong ? 20 : 12) }
}

/** Eight bytes in the first version of a box, else four. */
function readUnits(bytes: Buffer, at: number): number {
  return bytes[0] === 1 ? Number(bytes.readBigUInt64BE(at)) : bytes.readUInt32BE(at)
}

/** In 16.16 fixed point, behind a matrix that may turn the picture by a quarter. */
function readTrackSize(tkhd: Buffer): { width: number; height: number } {
  const matrix = tkhd[0] === 1 ? 52 : 40
  const [width, height] = [tkhd.readUInt32BE(matrix + 36) / 65536, tkhd.readUInt32BE(matrix + 40) / 65536]
  const isTurned = tkhd.readInt32BE(matrix) === 0 && tkhd.readInt32BE(matrix + 16) === 0
  return isTurned ? { width: height, height: width } : { width, height }
}

function larger<T extends { width: number; height: number }>(one: T, other: T): T {
  return other.width * other.height > one.width * one.height ? other : one
}

/** WebM and Matroska. Browsers write the head before they know how long they will record, so the end says it then. */
async function measureWebm(path: string, mime: string): Promise<Measures> {
  const found = await measureOther(path, mime).catch(() => NOTHING)
  if (found.durationS > 0) return found
  const tail = await withFile(path, async (file) => {
    const { size } = await file.stat()
    return readAt(file, Math.max(0, size - MAX_READ), MAX_READ)
  })
  return { ...found, durationS: findLastTime(tail) }
}

const CLUSTER = Buffer.from('1f43b675', 'hex')
const [TIME, SIMPLE_BLOCK, BLOCK_GROUP, BLOCK] = [0xe7, 0xa3, 0xa0, 0xa1]

/** The time of the last block of the last cluster; in milliseconds, as all who write in this way count. */
function findLastTime(bytes: Buffer): number {
  const cluster = bytes.lastIndexOf(CLUSTER)
  if (cluster < 0) return 0
  let [begin, last] = [0, 0]
  let at = cluster + CLUSTER.length
  at += readVint(bytes, at).length
  while (at < bytes.length) {
    const id = bytes[at] ?? 0
    const { value: size, length } = readVint(bytes, at + 1)
    const start = at + 1 + length
    if (start + 4 > bytes.length) break
    if (id === TIME) begin = bytes.subarray(start, start + Math.min(size, 8)).reduce((sum, byte) => sum * 256 + byte, 0)
    // Behind the number of its track a block says when it is, counted from its cluster.
    if (id === SIMPLE_BLOCK || id === BLOCK)
      last = Math.max(last, bytes.readInt16BE(start + readVint(bytes, start).length))
    // A group is looked into, everything else is passed over.
    at = id === BLOCK_GROUP ? start : start + size
  }
  return (begin + last) / 1000
}

/** A number whose first byte says how many there are (RFC 8794 §4). */
function readVint(bytes: Buffer, at: number): { value: number; length: number } {
  const first = bytes[at] ?? 0
  const length = Math.clz32(first) - 23
  let value = first & (0xff >> length)
  for (let index = 1; index < length; index++) value = value * 256 + (bytes[at + index] ?? 0)
  return { value, length }
}

/** Everything else is left to a library, which is loaded when it is needed first. */
async function measureOther(path: string, mimeType: string): Promise<Measures> {
  const [{ parseFromTokenizer }, { fromFile }] = await Promise.all([import('music-metadata'), import('strtok3')])
  const tokenizer = await fromFile(path, { maxBufferSize: MAX_READ, fileInfo: { mimeType } })
  const close = (): void => void tokenizer.close().catch(() => {})
  // Whatever is read after this fails.
  const timer = setTimeout(close, MAX_MS)
  try {
    const { format } = await parseFromTokenizer(tokenizer, { duration: true, skipCovers: true })
    const videos = format.trackInfo.map(({ video }) => ({
      width: video?.pixelWidth ?? 0,
      height: video?.pixelHeight ?? 0
    }))
    return { ...videos.reduce(larger, { width: 0, height: 0 }), durationS: format.duration ?? 0 }
  } finally {
    clearTimeout(timer)
    close()
  }
}

/** Up, so that nothing that can be heard lasts no time; what is a few milliseconds above is not. */
function toSeconds(seconds: number): number {
  if (!(seconds > 0 && seconds < MAX_SECONDS)) return 0
  return Math.max(1, Math.ceil(seconds - 0.005))
}

function toPixels(pixels: number): number {
  const whole = Math.round(pixels)
  return Number.isSafeInteger(whole) && whole > 0 ? whole : 0
}

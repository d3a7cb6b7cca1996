/** Small files of sound and films, as short as their formats allow; what is heard in them is silence at best. */

const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4)
  return bytes
}

/** A WAV of so many seconds, a hundred bytes each. */
export function sound(seconds: number): Buffer {
  const size = Math.round(seconds * 100)
  const header = Buffer.alloc(44)
  header.write('RIFF', 0)
  header.writeUInt32LE(36 + size, 4)
  header.write('WAVEfmt ', 8)
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(1, 20)
  header.writeUInt16LE(1, 22)
  header.writeUInt32LE(100, 24)
  header.writeUInt32LE(100, 28)
  header.writeUInt16LE(1, 32)
  header.writeUInt16LE(8, 34)
  header.write('data', 36)
  header.writeUInt32LE(size, 40)
  return Buffer.concat([header, Buffer.alloc(size, 0x80)])
}

/** Frames of MPEG-1 layer 3 at 44.1 kHz, 26 ms each; `rates` are their third bytes in turn, 0x90 is 128 kbit/s. */
export function mp3(frames: number, rates: readonly number[] = [0x90]): Buffer {
  const kbits: Record<number, number> = { 0x90: 128, 0xa0: 160, 0xb0: 192 }
  return Buffer.concat(
    Array.from({ length: frames }, (_, index) => {
      const rate = rates[index % rates.length] ?? 0x90
      const frame = Buffer.alloc(Math.floor((144_000 * (kbits[rate] ?? 0)) / 44_100))
      frame.set([0xff, 0xfb, rate, 0])
      return frame
    })
  )
}

/** Opus in Ogg. */
export function ogg(seconds: number): Buffer {
  const head = Buffer.alloc(19)
  head.write('OpusHead')
  head.set([1, 1], 8)
  head.writeUInt32LE(48_000, 12)
  const tags = Buffer.alloc(16)
  tags.write('OpusTags')
  const page = (index: number, kind: number, granule: number, data: Buffer): Buffer => {
    const header = Buffer.alloc(28)
    header.write('OggS')
    header[5] = kind
    header.writeBigUInt64LE(BigInt(granule), 6)
    header.writeUInt32LE(1, 14)
    header.writeUInt32LE(index, 18)
    header.set([1, data.length], 26)
    return Buffer.concat([header, data])
  }
  return Buffer.concat([page(0, 2, 0, head), page(1, 0, 0, tags), page(2, 4, seconds * 48_000, Buffer.alloc(40))])
}

/** The head of a FLAC of one channel at 8 kHz. */
export function flac(seconds: number): Buffer {
  const info = Buffer.alloc(34)
  info.writeUInt16BE(4096, 0)
  info.writeUInt16BE(4096, 2)
  info.writeBigUInt64BE((8000n << 44n) | (15n << 36n) | BigInt(seconds * 8000), 10)
  return Buffer.concat([Buffer.from('fLaC'), Buffer.from([0x80, 0, 0, info.length]), info, Buffer.alloc(64)])
}

export function silk(frames: number): Buffer {
  const frame = Buffer.from([5, 0, 1, 2, 3, 4, 5])
  return Buffer.concat([Buffer.from('#!SILK_V3'), ...Array.from({ length: frames }, () => frame)])
}

/** AMR of 12.2 kbit/s. */
export function amr(frames: number): Buffer {
  const frame = Buffer.alloc(32)
  frame[0] = 0x3c
  return Buffer.concat([Buffer.from('#!AMR\n'), ...Array.from({ length: frames }, () => frame)])
}

export function box(type: string, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([u32(content.length + 8), Buffer.from(type, 'latin1'), content])
}

export interface MovieOptions {
  readonly brand?: string
  readonly width?: number
  readonly height?: number
  readonly durationS: number
  /** What a film in fragments says of all of them. */
  readonly fragmentsS?: number
  /** Bytes that stand before the head. */
  readonly ahead?: number
  /** Times of eight bytes. */
  readonly isLong?: boolean
  readonly isTurned?: boolean
}

/** An MP4 that has nothing but its head. */
export function movie(options: MovieOptions): Buffer {
  const { brand = 'isom', width = 0, height = 0, durationS, fragmentsS, ahead = 0, isLong = false } = options
  const version = u32(isLong ? 0x01000000 : 0)
  const units = (value: number): Buffer => (isLong ? u32(0, value) : u32(value))
  const one = 0x10000
  const matrix = options.isTurned
    ? [0, one, 0, -one >>> 0, 0, 0, 0, 0, 0x40000000]
    : [one, 0, 0, 0, one, 0, 0, 0, 0x40000000]
  const mvhd = box('mvhd', version, units(0), units(0), u32(1000), units(durationS * 1000), Buffer.alloc(80))
  const tkhd = box(
    'tkhd',
    version,
    units(0),
    units(0),
    u32(1, 0),
    units(durationS * 1000),
    Buffer.alloc(16),
    u32(...matrix),
    u32(width * one, height * one)
  )
  const mvex = fragmentsS === undefined ? [] : [box('mvex', box('mehd', version, units(fragmentsS * 1000)))]
  return Buffer.concat([
    box('ftyp', Buffer.from(brand), u32(512), Buffer.from(brand)),
    box('mdat', Buffer.alloc(ahead)),
    box('moov', mvhd, box('trak', tkhd), ...mvex)
  ])
}

export interface WebmOptions {
  readonly width?: number
  readonly height?: number
  readonly durationS?: number
  /** When they begin, in milliseconds; each has one block, a second later. */
  readonly clusters?: readonly number[]
}

export function webm({ width = 0, height = 0, durationS, clusters = [] }: WebmOptions): Buffer {
  const element = (id: string, ...contents: Buffer[]): Buffer => {
    const content = Buffer.concat(contents)
    return Buffer.concat([Buffer.from(id, 'hex'), u32(0x01000000, content.length), content])
  }
  const double = (value: number): Buffer => {
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(value)
    return bytes
  }
  const length = durationS === undefined ? [] : [element('4489', double(durationS * 1000))]
  const sampling = element('e1', element('b5', double(48_000)))
  const picture = width === 0 ? [sampling] : [element('e0', element('b0', u32(width)), element('ba', u32(height)))]
  const kind = Buffer.from([width === 0 ? 2 : 1])
  const codec = Buffer.from(width === 0 ? 'A_OPUS' : 'V_VP8')
  return Buffer.concat([
    element('1a45dfa3', element('4282', Buffer.from('webm'))),
    // How long it is, is not known while it is recorded.
    Buffer.from('1853806701ffffffffffffff', 'hex'),
    element('1549a966', element('2ad7b1', u32(1_000_000)), ...length),
    element('1654ae6b', element('ae', element('d7', u32(1)), element('83', kind), element('86', codec), ...picture)),
    ...clusters.map((time) =>
      element('1f43b675', element('e7', u32(time)), element('a3', Buffer.from([0x81, 0x03, 0xe8, 0x80, 1, 2, 3])))
    )
  ])
}

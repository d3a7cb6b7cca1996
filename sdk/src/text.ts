import type { RawData } from 'ws'

const strictUtf8 = new TextDecoder('utf-8', { fatal: true })

/** The bytes of a frame, in one piece. */
export function toBuffer(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data)
  return Buffer.isBuffer(data) ? data : Buffer.from(data)
}

/** The text in a binary frame, when it holds JSON; real clients that send one mean a text frame (contract 9). */
export function readBinary(bytes: Buffer): string | undefined {
  try {
    const text = strictUtf8.decode(bytes)
    JSON.parse(text)
    return text
  } catch {
    return undefined
  }
}

/** Headers hold bytes (RFC 9110 §5.5); Python's clients write text into them as UTF-8, and Node reads each byte as a letter. */
export function decodeHeader(value: string | string[] | undefined): string | undefined {
  if (typeof value !== 'string') return undefined
  try {
    return strictUtf8.decode(Buffer.from(value, 'latin1'))
  } catch {
    return value
  }
}

/** Text for a header, the way that Python's clients write it. */
export function encodeHeader(text: string): string {
  return Buffer.from(text).toString('latin1')
}

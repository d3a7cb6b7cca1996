/** One text message for sockets, encoded once however many receive it. */
export interface Frame {
  readonly text: string
  /** The payload and, before it, the header of an unmasked RFC 6455 text frame: ready to be written as it is. */
  readonly bytes: Buffer
  /** Typing and the like: the first to go when a reader is slow. */
  readonly isEphemeral: boolean
}

/** `text` must be well-formed; it becomes one unfragmented, uncompressed text frame (RFC 6455 §5.2). */
export function createFrame(text: string, { isEphemeral = false } = {}): Frame {
  const length = Buffer.byteLength(text)
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const bytes = Buffer.allocUnsafe(header + length)
  bytes[0] = 0x81
  if (header === 2) bytes[1] = length
  if (header === 4) {
    bytes[1] = 126
    bytes.writeUInt16BE(length, 2)
  }
  if (header === 10) {
    bytes[1] = 127
    bytes.writeBigUInt64BE(BigInt(length), 2)
  }
  bytes.write(text, header, 'utf8')
  return { text, bytes, isEphemeral }
}

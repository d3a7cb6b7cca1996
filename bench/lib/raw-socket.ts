import { connect, type Socket } from 'node:net'

// A WebSocket client that counts frames, or shows them. A real one would cost more than the server that is to be measured.

export interface RawSocket {
  readonly write: (bytes: Uint8Array) => void
  /** Called with the number of text frames that one read brought. */
  onFrames: (count: number) => void
  /** Called with each text frame, whole; the bytes are there only until it returns. Absent, frames are merely counted. */
  onText: ((payload: Buffer) => void) | undefined
  readonly close: () => void
}

/** One buffer for all sockets: what was read is looked at before anybody reads again. */
const BUFFER = Buffer.allocUnsafe(256 * 1024)

export function openRawSocket(port: number, path: string): Promise<RawSocket> {
  return new Promise((resolve, reject) => {
    let isOpen = false
    let isClosing = false
    let head = ''
    const countFrames = createFrameCounter({
      onPing: (payload) => socket.write(pongOf(payload)),
      onText: () => raw.onText
    })
    const raw: RawSocket = {
      write: (bytes) => socket.write(bytes),
      onFrames: () => {},
      onText: undefined,
      close() {
        isClosing = true
        socket.destroy()
      }
    }

    function onRead(chunk: Buffer): void {
      if (isOpen) {
        const count = countFrames(chunk)
        if (count > 0) raw.onFrames(count)
        return
      }
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      if (!head.startsWith('HTTP/1.1 101 ')) return reject(new Error(`the handshake was refused: ${head}`))
      isOpen = true
      resolve(raw)
      if (head.length > end + 4) onRead(Buffer.from(head.slice(end + 4), 'latin1'))
    }

    const socket: Socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: BUFFER,
        callback(size) {
          onRead(BUFFER.subarray(0, size))
          return true
        }
      }
    })
    socket.on('error', reject)
    socket.on('close', () => {
      if (!isClosing) throw new Error('the server closed a socket of the bench')
    })
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n'
    )
  })
}

/** Opens many, some at a time. */
export async function openRawSockets(count: number, open: (index: number) => Promise<RawSocket>): Promise<RawSocket[]> {
  const sockets: RawSocket[] = []
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(50, count - sockets.length) }, (_, index) =>
      open(sockets.length + index)
    )
    sockets.push(...(await Promise.all(some)))
  }
  return sockets
}

/** A text frame as clients send it (RFC 6455 §5.3); with a mask of zeros the payload stays as it is. */
export function maskedFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  if (payload.length > 0xffff) throw new Error('too long for the bench')
  const header =
    payload.length < 126 ? [payload.length | 0x80] : [126 | 0x80, payload.length >> 8, payload.length & 255]
  return Buffer.concat([Buffer.from([0x81, ...header, 0, 0, 0, 0]), payload])
}

/** With what came in the ping, as RFC 6455 §5.5.3 wants it: the service learns from it what has arrived. */
function pongOf(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x8a, payload.length | 0x80, 0, 0, 0, 0]), payload])
}

interface FrameListeners {
  readonly onPing: (payload: Buffer) => void
  /** Who listens to texts now. */
  readonly onText: () => RawSocket['onText']
}

/** Counts the text frames that are complete; a frame, or its header, may be cut anywhere. */
function createFrameCounter({ onPing, onText }: FrameListeners): (chunk: Buffer) => number {
  let rest = 0
  let opcode = 0
  let cut: Buffer | undefined

  return (chunk) => {
    const data = cut ? Buffer.concat([cut, chunk]) : chunk
    cut = undefined
    const hear = onText()
    let count = 0
    let at = 0
    while (at < data.length) {
      if (rest === 0) {
        const short = (data[at + 1] ?? 0) & 0x7f
        const size = short === 127 ? 10 : short === 126 ? 4 : 2
        if (at + size > data.length) {
          cut = Buffer.from(data.subarray(at))
          break
        }
        const length =
          size === 2 ? short : size === 4 ? data.readUInt16BE(at + 2) : Number(data.readBigUInt64BE(at + 2))
        opcode = (data[at] ?? 0) & 0x0f
        const isRead = opcode === 9 || (opcode === 1 && hear !== undefined)
        if (isRead && at + size + length > data.length) {
          cut = Buffer.from(data.subarray(at))
          break
        }
        at += size
        rest = length
        if (opcode === 9) onPing(data.subarray(at, at + length))
        else if (isRead) hear?.(data.subarray(at, at + length))
      }
      const taken = Math.min(rest, data.length - at)
      rest -= taken
      at += taken
      if (rest > 0) continue
      if (opcode === 1) count++
    }
    return count
  }
}

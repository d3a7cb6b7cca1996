import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A frame of RFC 6455 §5.2, right or wrong. */
export interface RawFrame {
  readonly opcode: number
  readonly payload?: Buffer | string
  /** True when absent. */
  readonly fin?: boolean
  /** The three reserved bits as a number: RSV1 is 4. */
  readonly rsv?: number
  /** Against the rule: unmasked by a client, masked by a server. */
  readonly isWronglyMasked?: boolean
  /** The length that is declared, when it is not that of the payload; always in eight bytes. */
  readonly length?: bigint
}

export interface HeardFrame {
  readonly opcode: number
  readonly fin: boolean
  readonly rsv: number
  readonly isMasked: boolean
  readonly payload: Buffer
}

export const TEXT = 1
export const BINARY = 2
export const CLOSE = 8
export const PING = 9
export const PONG = 10

/** The other end of a WebSocket, which sends what it likes. */
export interface RawPeer {
  readonly socket: Socket
  /** The request or answer line and headers of the other side. */
  readonly head: string
  readonly build: (frame: RawFrame) => Buffer
  readonly send: (...frames: readonly RawFrame[]) => void
  /** The next frame; undefined when the other side has ended the connection. */
  readonly next: () => Promise<HeardFrame | undefined>
  /** The code and reason of the close frame, passing over what comes before it; code 1006 when there was none. */
  readonly closed: () => Promise<{ code: number; reason: string }>
  /** Whether pings are answered by themselves; they are until it is said otherwise. */
  readonly answersPings: (isSo: boolean) => void
  /** Resolves when the other side has ended the TCP connection. */
  readonly ended: Promise<void>
}

/** Builds the bytes of a frame; `isClient` says whether it should be masked. */
export function buildFrame(frame: RawFrame, isClient: boolean): Buffer {
  const { opcode, fin = true, rsv = 0, isWronglyMasked = false, length } = frame
  const payload = Buffer.from(frame.payload ?? '')
  const isMasked = isClient !== isWronglyMasked
  const declared = length ?? BigInt(payload.length)
  const form = length !== undefined || payload.length > 65_535 ? 127 : payload.length > 125 ? 126 : payload.length
  const head = Buffer.alloc(form === 127 ? 10 : form === 126 ? 4 : 2)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (isMasked ? 0x80 : 0) | form
  if (form === 126) head.writeUInt16BE(Number(declared), 2)
  if (form === 127) head.writeBigUInt64BE(declared, 2)
  if (!isMasked) return Buffer.concat([head, payload])
  const key = randomBytes(4)
  const masked = Buffer.allocUnsafe(payload.length)
  for (let index = 0; index < payload.length; index++)
    masked[index] = (payload[index] as number) ^ (key[index & 3] as number)
  return Buffer.concat([head, key, masked])
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: string | Buffer = ''): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)])
}

export interface DialOptions {
  readonly headers?: Record<string, string>
}

/** Opens a WebSocket to a server of this machine by hand; rejects when it is not let in. */
export async function dialRaw(t: Test, url: string, { headers = {} }: DialOptions = {}): Promise<RawPeer> {
  const { port, pathname, search } = new URL(url)
  const socket = connect(Number(port), '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  const lines = Object.entries({
    Host: `127.0.0.1:${port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...headers
  }).map(([name, value]) => `${name}: ${value}`)
  socket.write(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
  const peer = await openPeer(socket, true)
  if (!peer.head.startsWith('HTTP/1.1 101 ')) throw new Error(`not let in: ${peer.head.split('\r\n', 1)[0]}`)
  return peer
}

export interface RawServer {
  /** `ws://127.0.0.1:port` */
  readonly url: string
  /** The next connection to this path that was not taken yet, its handshake answered; waits for it. */
  readonly next: (path: string) => Promise<RawPeer>
  /** How often each path was dialled. */
  readonly dials: (path: string) => number
  /** Connections to it that are open now. */
  readonly open: (path: string) => number
}

/** A WebSocket server by hand. A path that was dialled once is refused from then on, unless `isOpen` says otherwise. */
export async function startRawServer(t: Test, { isOpen = false } = {}): Promise<RawServer> {
  const arrived = new Map<string, RawPeer[]>()
  const wanted = new Map<string, (peer: RawPeer) => void>()
  const dials = new Map<string, number>()
  const open = new Map<string, number>()
  const sockets = new Set<Socket>()

  async function welcome(socket: Socket): Promise<void> {
    const peer = await openPeer(socket, false)
    const path = /^GET (\S+)/.exec(peer.head)?.[1] ?? ''
    dials.set(path, (dials.get(path) ?? 0) + 1)
    if (!isOpen && dials.get(path) !== 1)
      return void socket.end('HTTP/1.1 503 Once\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    const key = /^sec-websocket-key: *(\S+)/im.exec(peer.head)?.[1] ?? ''
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`
    )
    open.set(path, (open.get(path) ?? 0) + 1)
    void peer.ended.then(() => open.set(path, (open.get(path) ?? 0) - 1))
    const take = wanted.get(path)
    wanted.delete(path)
    if (take) take(peer)
    else arrived.set(path, [...(arrived.get(path) ?? []), peer])
  }

  const server = createServer((socket) => {
    socket.setNoDelay(true)
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    welcome(socket).catch(() => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dials: (path) => dials.get(path) ?? 0,
    open: (path) => open.get(path) ?? 0,
    next(path) {
      const peer = arrived.get(path)?.shift()
      if (peer) return Promise.resolve(peer)
      return new Promise((resolve) => wanted.set(path, resolve))
    }
  }
}

/** What a server proves that it speaks WebSocket with (RFC 6455 §4.2.2). */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

/** Resolves when the head of the other side has come; everything behind it is frames. */
async function openPeer(socket: Socket, isClient: boolean): Promise<RawPeer> {
  socket.setNoDelay(true)
  const frames: HeardFrame[] = []
  let chunks: Buffer[] = []
  let size = 0
  /** How many bytes are needed before it is worth looking again. */
  let needed = 0
  let head: string | undefined
  let isOver = false
  let isPolite = true
  const build = (frame: RawFrame): Buffer => buildFrame(frame, isClient)
  let wake = (): void => {}

  function hear(frame: HeardFrame): void {
    if (frame.opcode !== PING || !isPolite) return void frames.push(frame)
    socket.write(build({ opcode: PONG, payload: frame.payload }))
  }

  function take(chunk: Buffer): void {
    chunks.push(chunk)
    size += chunk.length
    if (size < needed) return
    let bytes = Buffer.concat(chunks)
    if (head === undefined) {
      const end = bytes.indexOf('\r\n\r\n')
      if (end >= 0) {
        head = bytes.toString('latin1', 0, end)
        bytes = bytes.subarray(end + 4)
      }
    }
    if (head !== undefined) {
      for (let frame = readFrame(bytes); frame; frame = readFrame(bytes)) {
        if (frame.heard) hear(frame.heard)
        needed = frame.heard ? 0 : frame.length
        if (!frame.heard) break
        bytes = bytes.subarray(frame.length)
      }
    }
    chunks = [bytes]
    size = bytes.length
    wake()
  }

  const ended = new Promise<void>((resolve) => {
    const finish = (): void => {
      isOver = true
      wake()
      resolve()
    }
    socket.once('close', finish)
    socket.once('end', () => {
      socket.end()
      finish()
    })
  })
  socket.on('data', take)

  const wait = (): Promise<void> => new Promise((resolve) => (wake = resolve))
  while (head === undefined) {
    if (isOver) throw new Error('the connection ended before its head came')
    await wait()
  }

  async function next(): Promise<HeardFrame | undefined> {
    while (frames.length === 0) {
      if (isOver) return undefined
      await wait()
    }
    return frames.shift()
  }

  return {
    socket,
    head,
    build,
    send: (...list) => void socket.write(Buffer.concat(list.map(build))),
    next,
    answersPings: (isSo) => void (isPolite = isSo),
    ended,
    async closed() {
      for (let frame = await next(); frame; frame = await next()) {
        const { opcode, payload } = frame
        if (opcode !== CLOSE) continue
        return { code: payload.length < 2 ? 1005 : payload.readUInt16BE(0), reason: payload.toString('utf8', 2) }
      }
      return { code: 1006, reason: '' }
    }
  }
}

/** The frame at the beginning, if it is whole, and how long it is; undefined when not even that can be told. */
function readFrame(bytes: Buffer): { heard: HeardFrame | undefined; length: number } | undefined {
  if (bytes.length < 2) return undefined
  const [first = 0, second = 0] = bytes
  const short = second & 0x7f
  let at = short === 126 ? 4 : short === 127 ? 10 : 2
  if (bytes.length < at) return undefined
  const size = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
  const isMasked = (second & 0x80) !== 0
  const key = isMasked ? bytes.subarray(at, at + 4) : undefined
  if (isMasked) at += 4
  const length = at + size
  if (bytes.length < length) return { heard: undefined, length }
  const payload = Buffer.from(bytes.subarray(at, length))
  if (key)
    for (let index = 0; index < size; index++) payload[index] = (payload[index] as number) ^ (key[index & 3] as number)
  return {
    heard: { opcode: first & 0x0f, fin: (first & 0x80) !== 0, rsv: (first >> 4) & 7, isMasked, payload },
    length
  }
}

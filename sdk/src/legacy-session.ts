import type { WebSocket } from 'ws'
import { isCustomMessage, type CustomMessage } from './custom.ts'
import { isObject, MessageBase } from './message.ts'
import { readBinary, toBuffer } from './text.ts'

/** Largest frame of the legacy protocol, inclusive (contract 1.2). */
export const LEGACY_MAX_FRAME = 104_857_600

/** What a connection is called whose handshake names no platform (contract 9). */
export const DEFAULT_PLATFORM = 'default'

/** How legacy connections are closed (contract 1.1, 9): code and reason as they go over the wire. */
export const LEGACY_CLOSE = {
  unauthenticated: { code: 1008, reason: 'Invalid or missing token' },
  replaced: { code: 1000, reason: '新的连接已建立' },
  binary: { code: 1003, reason: 'text frames of JSON only' },
  silent: { code: 1011, reason: 'keepalive ping timeout' },
  shutdown: { code: 1001, reason: 'server shutdown' }
} as const

/** A frame that is no custom message: an object, and nothing else is known of it. */
export interface LegacyFrame {
  /** Exactly as it was written: numbers that JavaScript cannot hold have their digits here. */
  readonly text: string
  /** The same, parsed. `MessageBase.from` reads it strictly. */
  readonly fields: Readonly<Record<string, unknown>>
}

export interface LegacySessionOptions {
  /** Of either side; what came before this call is not read. */
  readonly socket: WebSocket
  /**
   * Called for each message, in the order in which they came, without waiting for the promise of the one before. While too
   * many of those promises are open the socket is not read.
   */
  readonly onMessage: (frame: LegacyFrame) => void | Promise<void>
  readonly onCustomMessage: (custom: CustomMessage, text: string) => void | Promise<void>
  /** Names of custom messages that need not be marked as such (contract 1.5). */
  readonly isKnown?: (name: string) => boolean
  /** A frame was passed over because it is no JSON object: `why` is for people. The connection stays (contract 1.2). */
  readonly onUnreadable?: (why: string) => void
  /** One of the two above failed; the connection stays. */
  readonly onError: (err: unknown) => void
  /** Called for every frame, before it is looked at. */
  readonly onFrame?: (bytes: number) => void
  readonly close: (reason: { readonly code: number; readonly reason: string }) => void
  /** False once we have closed it: what still comes is not read. */
  readonly isOpen: () => boolean
  /** Messages that may be worked on at a time. */
  readonly maxPending?: number
  /** Stops and resumes reading; those of the socket when absent. */
  readonly flow?: { readonly hold: () => void; readonly release: () => void }
}

function parse(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

/** Reads one connection of the legacy protocol, on either side (contract 1.2, 1.5), from now until the socket closes. */
export function readLegacy(options: LegacySessionOptions): void {
  const { socket, onMessage, onCustomMessage, isKnown, onUnreadable = () => {}, onError, onFrame } = options
  const { close, isOpen, maxPending = 256 } = options
  const flow = options.flow ?? { hold: () => socket.pause(), release: () => socket.resume() }
  let pending = 0

  function work(handle: () => void | Promise<void>): void {
    try {
      const result = handle()
      if (!(result instanceof Promise)) return
      if (++pending === maxPending) flow.hold()
      void result.catch(onError).finally(() => {
        if (pending-- === maxPending) flow.release()
      })
    } catch (err) {
      onError(err)
    }
  }

  function read(text: string): void {
    const parsed = parse(text)
    if (!parsed) return onUnreadable(text === '' ? 'frame: empty' : 'frame: expected JSON')
    const { value } = parsed
    if (!isObject(value)) return onUnreadable('frame: expected a JSON object')
    if (isCustomMessage(value, isKnown)) return work(() => onCustomMessage(value, text))
    work(() => onMessage({ text, fields: value }))
  }

  socket.on('message', (data, isBinary) => {
    if (!isOpen()) return
    const bytes = toBuffer(data)
    onFrame?.(bytes.length)
    const text = isBinary ? readBinary(bytes) : bytes.toString()
    if (text === undefined) return close(LEGACY_CLOSE.binary)
    read(text)
  })
}

/** What is written to the wire: messages by the rules of contract 1.4, custom messages as they are. */
export function encodeLegacy(message: MessageBase | CustomMessage): string {
  return JSON.stringify(isCustomMessage(message) ? message : MessageBase.toObject(message))
}

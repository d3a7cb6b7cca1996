import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import { createCustomMessage, type CustomMessage } from './custom.ts'
import { startDialer } from './dialer.ts'
import { LegacyHandlers, type CustomMessageHandler, type LegacyHooks, type MessageHandler } from './legacy-handlers.ts'
import { DEFAULT_PLATFORM, encodeLegacy, LEGACY_CLOSE, LEGACY_MAX_FRAME, readLegacy } from './legacy-session.ts'
import type { MessageBase } from './message.ts'
import { startPings } from './pings.ts'
import { encodeHeader } from './text.ts'
import { createClientTls, type ClientTls } from './tls.ts'

/** Where a server of the legacy protocol is, and how it is dialled. */
export interface TargetConfig {
  /** `ws://` or `wss://`. */
  readonly url: string
  /** Sent as it is in `Authorization`, without `Bearer`. */
  readonly token?: string
  /** For `wss://`. The certificate of the server is looked at unless `verify` is false. */
  readonly tls?: ClientTls
}

/** `refused`: the server was reached and does not take our token. It is dialled again all the same, ever more rarely. */
export type LegacyState =
  | { readonly state: 'open' }
  | { readonly state: 'closed' | 'refused'; readonly why: string; readonly waitMs: number }

export interface MessageClientOptions extends TargetConfig, LegacyHooks {
  /** What we are called over there; `default` when absent. */
  readonly platform?: string
  readonly onState?: (state: LegacyState) => void
  /** Waits between tries: from the first to the longest; 2 s and 30 s when absent. */
  readonly retry?: { readonly firstMs: number; readonly maxMs: number }
  /** From one ping to the next; 20 s when absent. */
  readonly pingIntervalMs?: number
  /** How long the server may take to answer a ping before the connection counts as dead; 10 s when absent. */
  readonly pingTimeoutMs?: number
  /** Largest frame that is taken, in bytes, inclusive; 100 MiB when absent. */
  readonly maxFrame?: number
  /** Bytes that may wait for the server; what comes then is not sent. 64 MiB when absent. */
  readonly maxQueuedBytes?: number
  /** Whether permessage-deflate is offered; false when absent. */
  readonly compress?: boolean
}

/** What a client has seen since it was made. */
export interface MessageClientStats {
  readonly connected: boolean
  /** Connections that the server has let in. */
  readonly successfulConnects: number
  /** Tries that failed, and connections that ended before the server had let us in. */
  readonly failedConnects: number
  readonly messagesReceived: number
  readonly customMessagesReceived: number
  /** Frames of both kinds that were handed to the connection. */
  readonly messagesSent: number
  readonly bytesReceived: number
  readonly bytesSent: number
  readonly lastError: string | undefined
}

/**
 * A client of the legacy protocol: one connection to one server, dialled again for ever until `stop`. Messages are handled
 * in the order in which they came.
 */
export class MessageClient {
  readonly #options: MessageClientOptions
  readonly #handlers: LegacyHandlers
  /** Of TLS. The types of `ws` describe some of them otherwise than Node, to which they go. */
  readonly #secure: object
  readonly #counts = {
    successfulConnects: 0,
    failedConnects: 0,
    messagesReceived: 0,
    customMessagesReceived: 0,
    messagesSent: 0,
    bytesReceived: 0,
    bytesSent: 0
  }
  #dialer: ReturnType<typeof startDialer> | undefined
  #socket: WebSocket | undefined
  /** The server has answered on this connection, so it has not refused it. */
  #isIn = false
  #isRefused = false
  #lastError: string | undefined
  /** Those who want to hear how the try goes that is under way. */
  #waiting: ((isIn: boolean) => void)[] = []

  /** Throws when the address is none that can be dialled, or a certificate cannot be used (`TlsError`). */
  constructor(options: MessageClientOptions, handlers = new LegacyHandlers(options)) {
    if (!/^wss?:\/\//i.test(options.url) || !URL.canParse(options.url))
      throw new TypeError(`url: expected an address that begins with ws:// or wss://, got "${options.url}"`)
    this.#options = options
    this.#secure = options.tls ? createClientTls(options.tls) : {}
    this.#handlers = handlers
  }

  /** What we are called over there. */
  get platform(): string {
    return this.#options.platform ?? DEFAULT_PLATFORM
  }

  get isConnected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN
  }

  /** Why the last try or connection ended; undefined while nothing went wrong. */
  get lastError(): string | undefined {
    return this.#lastError
  }

  /** Every handler gets every message. Gives back its undo. */
  registerMessageHandler(handler: MessageHandler): () => void {
    return this.#handlers.add(handler)
  }

  /** For custom messages of this name, also those that are not marked as such. Gives back its undo. */
  registerCustomMessageHandler(name: string, handler: CustomMessageHandler): () => void {
    return this.#handlers.addCustom(name, handler)
  }

  /**
   * Begins to dial, and goes on until `stop` whatever this resolves with: true when the server has let us in, false when
   * the first try failed or the token is refused; `lastError` tells why. A server looks at the token only after the
   * handshake (contract 1.1), so this waits for its answer to a ping.
   */
  connect(): Promise<boolean> {
    if (this.isConnected && this.#isIn) return Promise.resolve(true)
    this.#dialer ??= this.#dial()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Closes the connection with 1000 and dials no more. The client can be connected again. */
  async stop(): Promise<void> {
    const dialer = this.#dialer
    this.#dialer = undefined
    await dialer?.stop({ code: 1000, reason: '' })
    this.#settle(false)
  }

  /** Hands a message to the connection; false while there is none, or too much waits for it. Nothing is kept for later. */
  sendMessage(message: MessageBase): boolean {
    return this.#send(message)
  }

  sendCustomMessage(name: string, content: unknown): boolean {
    return this.#send(createCustomMessage(this.platform, name, content))
  }

  getStats(): MessageClientStats {
    return { connected: this.isConnected, ...this.#counts, lastError: this.#lastError }
  }

  #send(message: MessageBase | CustomMessage): boolean {
    const { maxQueuedBytes = 64 * 1024 * 1024 } = this.#options
    const socket = this.#socket
    if (socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > maxQueuedBytes) return false
    const text = encodeLegacy(message)
    socket.send(text)
    this.#counts.messagesSent++
    this.#counts.bytesSent += Buffer.byteLength(text)
    return true
  }

  #dial(): ReturnType<typeof startDialer> {
    const { url, token, maxFrame = LEGACY_MAX_FRAME, compress = false, retry } = this.#options
    return startDialer({
      url,
      keepsAlive: true,
      retry: retry ?? { firstMs: 2000, maxMs: 30_000 },
      socketOptions: {
        ...this.#secure,
        maxPayload: maxFrame,
        perMessageDeflate: compress,
        headers: {
          platform: encodeHeader(this.platform),
          ...(token !== undefined && { authorization: encodeHeader(token) })
        }
      },
      onOpen: (socket, stream) => this.#open(socket, stream),
      onState: (change) => {
        if (change.state === 'open') return this.#options.onState?.(change)
        const { why, waitMs } = change
        const isRefused = this.#isRefused
        if (!this.#isIn) this.#counts.failedConnects++
        this.#isIn = false
        this.#isRefused = false
        this.#lastError = isRefused ? 'token: the server does not take it' : why
        this.#settle(false)
        this.#options.onState?.({ state: isRefused ? 'refused' : 'closed', why: this.#lastError, waitMs })
      }
    })
  }

  #open(socket: WebSocket, stream: Socket | undefined): () => void {
    const { pingIntervalMs = 20_000, pingTimeoutMs = 10_000 } = this.#options
    const handlers = this.#handlers
    const counts = this.#counts
    const { platform } = this
    const enter = (): void => {
      if (this.#isIn) return
      this.#isIn = true
      counts.successfulConnects++
      this.#lastError = undefined
      this.#settle(true)
    }
    this.#socket = socket
    this.#isIn = false
    socket.once('pong', enter)
    socket.once('message', enter)
    socket.ping()
    startPings({
      socket,
      intervalMs: pingIntervalMs,
      timeoutMs: pingTimeoutMs,
      bytesRead: () => stream?.bytesRead ?? 0,
      onSilent: () => socket.terminate()
    })
    readLegacy({
      socket,
      isOpen: () => socket.readyState === WebSocket.OPEN,
      close: ({ code, reason }) => socket.close(code, reason),
      isKnown: handlers.isKnown,
      onError: handlers.onError,
      onFrame: (bytes) => (counts.bytesReceived += bytes),
      onUnreadable: (why) => handlers.drop(why, platform),
      onMessage(frame) {
        counts.messagesReceived++
        return handlers.message(frame, platform)
      },
      onCustomMessage(custom, text) {
        counts.customMessagesReceived++
        return handlers.customMessage(custom, text, platform)
      }
    })
    socket.once('close', (code) => (this.#isRefused = code === LEGACY_CLOSE.unauthenticated.code))
    return () => (this.#socket = undefined)
  }

  #settle(isIn: boolean): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve(isIn)
  }
}

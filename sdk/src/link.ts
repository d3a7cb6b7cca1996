import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { ClientOptions, WebSocket } from 'ws'
import { openApiConnection, TOO_BIG } from './api-connection.ts'
import type { LinkConfig } from './config.ts'
import { startDialer, type DialState } from './dialer.ts'
import { createMessageId, encodeEnvelope } from './envelope.ts'
import type { Logger } from './log.ts'
import { Outbox } from './outbox.ts'
import { Seen } from './seen.ts'
import type { AckNote, Received } from './session.ts'
import type { Counters } from './stats.ts'
import { encodeHeader } from './text.ts'
import { toClientTls } from './tls-config.ts'

/**
 * `disconnected` until it is told to connect, and after it was told to disconnect; `reconnecting` between a lost connection
 * or a failed try and the next try that succeeds; `failed` when it was given up.
 */
export type LinkState = 'disconnected' | 'connecting' | 'connected' | 'reconnecting' | 'failed'

/** Counters of dialling, of all links of a client together. */
export interface DialCounters {
  connectAttempts: number
  successfulConnects: number
  failedConnects: number
  reconnectAttempts: number
}

export interface LinkOptions {
  readonly config: LinkConfig
  readonly counters: Counters & DialCounters
  readonly log: Logger
  readonly onMessage: (link: Link, received: Received) => AckNote | Promise<AckNote>
  readonly onConnect: (link: Link) => void
  readonly onDisconnect: (link: Link, error: string | undefined) => void
  /** A try or a connection has ended. */
  readonly onFailure: (why: string) => void
}

/** How long a server that refuses after the upgrade may take, until the connection counts as let in (contract 2.1). */
const SETTLE_MS = 1000

/** One connection of a client to one server, with one `x-uuid` for all its life. */
export class Link {
  readonly uuid: string
  readonly config: LinkConfig
  readonly outbox: Outbox
  readonly #options: LinkOptions
  readonly #seen = new Seen()
  #state: LinkState = 'disconnected'
  #dialer: ReturnType<typeof startDialer> | undefined
  #waiting: ((isIn: boolean) => void)[] = []
  /** Whether a server has ever let us in. */
  #wasIn = false
  /** Whether the try that is under way has led to a connection. */
  #wasOpen = false
  #isFirstTry = true
  /** How often it was told to disconnect. */
  #ends = 0

  constructor(prefix: string, options: LinkOptions) {
    this.uuid = `${prefix}_${randomUUID().replaceAll('-', '')}`
    this.config = options.config
    this.#options = options
    const { messageCacheTtl, messageCacheMaxSize, repeatInterval } = options.config
    this.outbox = new Outbox({
      maxAgeMs: messageCacheTtl * 1000,
      maxCount: messageCacheMaxSize,
      repeatMs: [1000, 3000, 9000].map((ms) => ms * repeatInterval),
      onRepeat: () => void options.counters.messagesRepeated++,
      onDrop: (why) => this.#dropped(why)
    })
  }

  get state(): LinkState {
    return this.#state
  }

  get isConnected(): boolean {
    return this.#state === 'connected'
  }

  /** Whether what cannot be sent now waits for the connection that is on its way back. */
  get keeps(): boolean {
    return this.#state === 'reconnecting' && this.#wasIn && this.config.enableMessageCache
  }

  /**
   * Dials, and goes on as the options say whatever this resolves with: whether the server has let us in at the first try.
   * Rejects with `ConfigError` when certificates cannot be read.
   */
  async connect(): Promise<boolean> {
    if (this.#state === 'connected' && this.#waiting.length === 0) return true
    // Who waits for the next try need not wait any longer.
    const ends = this.#ends
    if (this.#state === 'reconnecting') await this.#stopDialer()
    // Meanwhile it was told to stay away.
    if (ends !== this.#ends) return false
    this.#dialer ??= this.#dial()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Closes the connection and dials no more, until it is connected again. What waits stays. */
  async disconnect(): Promise<void> {
    this.#ends++
    await this.#stopDialer()
    this.#state = 'disconnected'
    this.#settle(false)
  }

  /** Gives whether the message was taken: by the connection, or to wait for it (`keeps`). */
  send(type: string, prefix: 'msg' | 'custom', payload: unknown): boolean {
    const { apiKey, platform, enableMessageCache } = this.config
    if (!this.isConnected && !this.keeps) return false
    const msgId = createMessageId(prefix)
    const meta = { sender_user: apiKey, platform, timestamp: Date.now() / 1000 }
    const text = encodeEnvelope(type, msgId, meta, payload)
    if (!enableMessageCache) return [...this.outbox.lines].some((line) => line.send(text))
    this.outbox.add(msgId, text)
    return true
  }

  async #stopDialer(): Promise<void> {
    const dialer = this.#dialer
    this.#dialer = undefined
    await dialer?.stop({ code: 1000, reason: '' })
  }

  #dial(): ReturnType<typeof startDialer> {
    const { config } = this
    const retries = config.maxReconnectAttempts === 0 ? Infinity : config.maxReconnectAttempts
    // The types of `ws` describe some options of TLS otherwise than Node, to which they go.
    const tls: ClientOptions = config.sslEnabled ? (toClientTls(config) as object) : {}
    this.#state = 'connecting'
    this.#isFirstTry = true
    return startDialer({
      url: config.url,
      socketOptions: {
        ...tls,
        maxPayload: config.maxMessageSize,
        perMessageDeflate: config.compress,
        handshakeTimeout: config.connectTimeout * 1000,
        headers: {
          ...config.headers,
          'x-uuid': this.uuid,
          'x-apikey': encodeHeader(config.apiKey),
          'x-platform': encodeHeader(config.platform)
        }
      },
      retry: { firstMs: config.reconnectDelay * 1000, maxMs: config.maxReconnectDelay * 1000 },
      maxRetries: config.autoReconnect ? retries : 0,
      keepsAlive: true,
      closeMs: config.closeTimeout * 1000,
      onOpen: (socket, stream) => this.#open(socket, stream),
      onState: (change) => this.#changed(change),
      onGiveUp: (why) => this.#givenUp(why)
    })
  }

  #changed(change: DialState): void {
    if (change.state === 'open') return
    this.#state = 'reconnecting'
    this.#failed(change.why)
    if (this.config.enableConnectionLog)
      this.#options.log.info(`${this.uuid} is not connected (${change.why}), will dial again in ${change.waitMs} ms`)
  }

  #givenUp(why: string): void {
    this.#state = 'failed'
    this.#dialer = undefined
    this.#options.log.warn(`${this.uuid} is given up: ${why}`)
    this.#failed(why)
  }

  /** A try that came to nothing, or a connection that was open. */
  #failed(why: string): void {
    if (!this.#wasOpen) {
      this.#tried()
      this.#options.counters.failedConnects++
    }
    this.#wasOpen = false
    this.#options.onFailure(why)
    this.#settle(false)
  }

  #tried(): void {
    const { counters } = this.#options
    counters.connectAttempts++
    if (!this.#isFirstTry) counters.reconnectAttempts++
    this.#isFirstTry = false
  }

  #open(socket: WebSocket, stream: Socket | undefined): () => void {
    const { counters, log } = this.#options
    const { pingInterval, pingTimeout, maxBufferedBytes, enableConnectionLog } = this.config
    this.#state = 'connected'
    this.#wasOpen = true
    this.#tried()
    counters.totalConnections++
    counters.successfulConnects++
    const connection = openApiConnection({
      socket,
      stream,
      side: 'client',
      uuid: this.uuid,
      outbox: this.outbox,
      seen: this.#seen,
      pingIntervalMs: pingInterval * 1000,
      pingTimeoutMs: pingTimeout * 1000,
      maxBufferedBytes,
      counters,
      onMessage: (received) => this.#options.onMessage(this, received),
      onError: (err) => log.error(`a handler failed, its message was not taken: ${String(err)}`)
    })
    this.#awaitWelcome(socket)
    if (enableConnectionLog) log.info(`${this.uuid} is connected`)
    socket.once('close', (code, reason) => {
      if (code === TOO_BIG) this.#giveUpLargest()
      const isWanted = this.#dialer !== undefined
      const why = `closed by the other side: ${code} ${String(reason)}`.trim()
      this.#options.onDisconnect(this, isWanted ? why : undefined)
    })
    this.#options.onConnect(this)
    return () => {
      connection.end()
      this.#state = this.#dialer ? 'reconnecting' : 'disconnected'
    }
  }

  /** Old servers look at the key after the upgrade only: they have let us in when they answer instead of closing. */
  #awaitWelcome(socket: WebSocket): void {
    const isIn = (): void => {
      clearTimeout(timer)
      this.#wasIn = true
      this.#settle(true)
    }
    const timer = setTimeout(isIn, SETTLE_MS)
    socket.once('pong', isIn)
    socket.once('close', () => clearTimeout(timer))
    socket.ping()
  }

  #giveUpLargest(): void {
    const msgId = this.outbox.largest
    if (msgId === undefined) return
    this.outbox.drop(msgId)
    this.#dropped(`too big for the server (${msgId})`)
  }

  #dropped(why: string): void {
    this.#options.counters.messagesDropped++
    this.#options.log.warn(`a message was given up: ${why}`)
  }

  #settle(isIn: boolean): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve(isIn)
  }
}

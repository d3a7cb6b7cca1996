import {
  createClientConfig,
  type ClientConfig,
  type ClientMetadata,
  type ClientOptions,
  type LinkConfig
} from './config.ts'
import { toCustomType, type CustomHandler } from './custom-type.ts'
import { dispatch, shorten, toHandlers } from './dispatch.ts'
import { Link, type DialCounters, type LinkState } from './link.ts'
import { createLog, type Logger } from './log.ts'
import { APIMessageBase, type MessageDim } from './message.ts'
import type { AckNote, Received } from './session.ts'
import { createCounters, toCommonStats, toNetworkStats, type ClientStats, type Counters } from './stats.ts'

/** One connection as `getConnections` tells it. */
export interface ClientConnection {
  readonly url: string
  readonly apiKey: string
  readonly platform: string
  readonly state: LinkState
}

/** What a further connection may have different from the main one. */
export type LinkOverrides = Partial<Omit<LinkConfig, 'url' | 'apiKey' | 'platform' | 'sslEnabled'>>

/**
 * A client of the API-Server protocol (contract 2): one main connection, and as many more as are added, each with its own
 * server, key and platform. Lost connections are dialled again, with the same `x-uuid`.
 */
export class WebSocketClient {
  readonly #config: ClientConfig
  readonly #log: Logger
  readonly #handlers: Map<string, CustomHandler<ClientMetadata>>
  readonly #counters: Counters & DialCounters
  readonly #links = new Map<string, Link>()
  readonly #main: Link
  #lastError: string | undefined
  #statsTimer: NodeJS.Timeout | undefined
  #isRunning = false

  /** Throws `ConfigError`. */
  constructor(options: ClientOptions) {
    this.#config = createClientConfig(options)
    this.#log = createLog(this.#config.logLevel, this.#config.logger)
    this.#handlers = toHandlers(this.#config.customHandlers)
    const dials = { connectAttempts: 0, successfulConnects: 0, failedConnects: 0, reconnectAttempts: 0 }
    this.#counters = { ...createCounters(), ...dials }
    this.#main = this.#add('single', this.#config)
  }

  /** The `x-uuid` of the main connection. */
  get uuid(): string {
    return this.#main.uuid
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** Why the last try or connection of any kind ended; undefined while nothing went wrong. */
  get lastError(): string | undefined {
    return this.#lastError
  }

  /** Whether a connection is open; the main one when no uuid is given. */
  isConnected(uuid: string = this.#main.uuid): boolean {
    return this.#links.get(uuid)?.isConnected ?? false
  }

  /** Makes the client ready; `connect` does so too. It does not dial. */
  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    const { statsCallback, enableStats, statsInterval } = this.#config
    if (statsCallback && enableStats)
      this.#statsTimer = setInterval(
        () => this.#hook('statsCallback', () => statsCallback(this.getStats())),
        statsInterval * 1000
      ).unref()
  }

  /**
   * Dials the main server. True when it has let us in; false when the first try failed, and `lastError` tells why. Unless
   * `autoReconnect` is false it goes on trying. Rejects with `ConfigError` when certificates cannot be read.
   */
  connect(): Promise<boolean> {
    return this.connectTo(this.#main.uuid)
  }

  /** The same for a connection that was added; false for one that is not there. */
  async connectTo(uuid: string): Promise<boolean> {
    const link = this.#links.get(uuid)
    if (!link) return false
    this.start()
    return link.connect()
  }

  /**
   * A further connection, which is not dialled yet, with the options of the main one where `options` say nothing else. Gives
   * its uuid. Throws `ConfigError`.
   */
  addConnection(url: string, apiKey: string, platform: string, options: LinkOverrides = {}): string {
    const { sslCertfile, sslKeyfile, sslCaCerts, ...plain } = this.#config
    const certificates = /^wss:/i.test(url) ? { sslCertfile, sslKeyfile, sslCaCerts } : {}
    const config = { ...plain, ...certificates, ...options, sslEnabled: undefined, url, apiKey, platform }
    return this.#add('multi', createClientConfig(config)).uuid
  }

  /** Closes a connection, the main one when no uuid is given; it stays closed until it is connected again. */
  async disconnect(uuid: string = this.#main.uuid): Promise<void> {
    await this.#links.get(uuid)?.disconnect()
  }

  /** Closes a connection and forgets it, with what waits for it. Gives whether it was there; the main one cannot be removed. */
  async removeConnection(uuid: string): Promise<boolean> {
    const link = this.#links.get(uuid)
    if (!link || link === this.#main) return false
    this.#links.delete(uuid)
    await link.disconnect()
    link.outbox.close()
    return true
  }

  /** Closes every connection; what waits is given up. The client can be started again. */
  async stop(): Promise<void> {
    this.#isRunning = false
    clearInterval(this.#statsTimer)
    await Promise.all([...this.#links.values()].map((link) => link.disconnect()))
    for (const link of this.#links.values()) link.outbox.close()
  }

  /** Every connection, by its uuid. */
  getConnections(): Record<string, ClientConnection> {
    return describeLinks(this.#links.values())
  }

  /** Those that are open. */
  getActiveConnections(): Record<string, ClientConnection> {
    return describeLinks(this.#connected())
  }

  /**
   * Sends over the best open connection: of exactly the key and platform in `message_dim`, else of the key, else of the
   * platform. When none of these is open, but one was and is being dialled again, the message waits for it, as long as
   * `messageCacheTtl` says. True when it was taken in one of these ways, else false. Rejects with `MessageError`.
   */
  async sendMessage(message: APIMessageBase): Promise<boolean> {
    const payload = APIMessageBase.toObject(APIMessageBase.from(message))
    const link = this.#route(message.message_dim)
    if (!link) return false
    if (this.#config.enableMessageLog) this.#log.info(`sent a message over ${link.uuid}`)
    return link.send('sys_std', 'msg', payload)
  }

  /** Sends over the main connection or the one that is named; puts `custom_` before the name when it is not there. */
  async sendCustomMessage(
    name: string,
    payload: unknown,
    { connectionUuid = this.#main.uuid }: { readonly connectionUuid?: string | undefined } = {}
  ): Promise<boolean> {
    return this.#links.get(connectionUuid)?.send(toCustomType(name), 'custom', payload) ?? false
  }

  /** `name` with or without `custom_`; for all connections. A later handler takes the place of the earlier. */
  registerCustomHandler(name: string, handler: CustomHandler<ClientMetadata>): void {
    this.#handlers.set(toCustomType(name), handler)
  }

  /** Gives whether there was one. */
  unregisterCustomHandler(name: string): boolean {
    return this.#handlers.delete(toCustomType(name))
  }

  getStats(): ClientStats {
    const { connectAttempts, successfulConnects, failedConnects, reconnectAttempts } = this.#counters
    const connectedCount = this.#connected().length
    const waiting = [...this.#links.values()].reduce((sum, link) => sum + link.outbox.size, 0)
    const network = toNetworkStats(this.#counters, connectedCount)
    return {
      connectAttempts,
      successfulConnects,
      failedConnects,
      reconnectAttempts,
      messagesReceived: network.messagesReceived,
      messagesSent: network.messagesSent,
      ...toCommonStats(this.#counters, waiting),
      connectionUuid: this.#main.uuid,
      connected: this.#main.isConnected,
      lastError: this.#lastError,
      connectedCount,
      network: { ...network, reconnectAttempts }
    }
  }

  #add(prefix: string, config: LinkConfig): Link {
    const link = new Link(prefix, {
      config,
      counters: this.#counters,
      log: this.#log,
      onMessage: (from, received) => this.#receive(from, received),
      onConnect: ({ uuid }) => {
        const { onConnect } = this.#config
        if (onConnect) this.#hook('onConnect', () => onConnect(uuid, config))
      },
      onDisconnect: ({ uuid }, error) => {
        const { onDisconnect } = this.#config
        if (onDisconnect) this.#hook('onDisconnect', () => onDisconnect(uuid, error))
      },
      onFailure: (why) => {
        this.#lastError = why
      }
    })
    this.#links.set(link.uuid, link)
    return link
  }

  #receive({ uuid, config }: Link, received: Received): AckNote | Promise<AckNote> {
    const { url, apiKey, platform, enableMessageLog } = config
    const { type, msg_id } = received.envelope
    if (enableMessageLog) this.#log.info(`received ${shorten(type)} ${shorten(msg_id)} over ${uuid}`)
    return dispatch(received, {
      self: { api_key: apiKey, platform },
      metadataOf: ({ meta }) => ({ connectionUuid: uuid, url, apiKey, platform, meta }),
      onMessage: this.#config.onMessage,
      handlers: this.#handlers,
      counters: this.#counters,
      log: this.#log
    })
  }

  #connected(): Link[] {
    return [...this.#links.values()].filter((link) => link.isConnected)
  }

  #route(dim: MessageDim): Link | undefined {
    return (
      findBest(this.#connected(), dim) ??
      findBest(
        [...this.#links.values()].filter(({ keeps }) => keeps),
        dim
      )
    )
  }

  /** Calls a function of the program, which may fail or wait without harm. */
  #hook(name: string, call: () => unknown): void {
    const run = async (): Promise<unknown> => call()
    run().catch((err: unknown) => this.#log.error(`${name} failed: ${String(err)}`))
  }
}

/** Routing by contract 7. */
function findBest(links: readonly Link[], { api_key, platform }: MessageDim): Link | undefined {
  return (
    links.find(({ config }) => config.apiKey === api_key && config.platform === platform) ??
    links.find(({ config }) => config.apiKey === api_key) ??
    links.find(({ config }) => config.platform === platform)
  )
}

function describeLinks(links: Iterable<Link>): Record<string, ClientConnection> {
  return Object.fromEntries(
    [...links].map(({ uuid, state, config: { url, apiKey, platform } }) => [uuid, { url, apiKey, platform, state }])
  )
}

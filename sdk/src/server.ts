import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { WebSocketServer as SocketServer, type WebSocket } from 'ws'
import { API_CLOSE, openApiConnection, TOO_BIG } from './api-connection.ts'
import {
  changeServerConfig,
  createServerConfig,
  type ConnectionMetadata,
  type ServerConfig,
  type ServerOptions
} from './config.ts'
import { toCustomType, type CustomHandler } from './custom-type.ts'
import { dispatch, shorten, toHandlers } from './dispatch.ts'
import { closeSocket, refuseUpgrade } from './ends.ts'
import { createMessageId, encodeEnvelope } from './envelope.ts'
import { readHandshake } from './handshake.ts'
import { createLog, type Logger } from './log.ts'
import { APIMessageBase } from './message.ts'
import { Outbox, type Line } from './outbox.ts'
import { guardReading, MAX_FRAGMENTS } from './read-guard.ts'
import { Roads, type Road, type Seat } from './roads.ts'
import { createCounters, toCommonStats, toNetworkStats, type ServerStats } from './stats.ts'
import { toServerTls } from './tls-config.ts'

/** For each connection, by its uuid, whether it has taken what was sent. */
export type SendResults = Record<string, boolean>

/** Whom a custom message is for. With several of these, connections that fit all of them. */
export interface CustomTarget {
  readonly targetUser?: string | undefined
  readonly targetPlatform?: string | undefined
  readonly connectionUuid?: string | undefined
}

export interface ServerAddress {
  readonly host: string
  readonly port: number
  /** What a client on this machine dials. */
  readonly url: string
}

/** One connection as `getConnections` tells it. */
export interface ServerConnection {
  readonly user: string
  readonly platform: string
  readonly clientIp: string
  /** Unix seconds. */
  readonly connectedAt: number
}

/** How the old library refuses who is not let in (contract 2.1). */
const OLD_REFUSAL = { code: 1000, reason: 'Authentication failed: 认证失败' }
/** How long handlers may go on when the server stops. */
const FINISH_MS = 3000
/** Handshakes that may wait for `onAuth` at a time. */
const MAX_HANDSHAKES = 1000

/** A server of the API-Server protocol (contract 2). */
export class WebSocketServer {
  #config: ServerConfig
  #log: Logger
  #handlers: Map<string, CustomHandler<ConnectionMetadata>>
  readonly #counters = createCounters()
  #auths = { total: 0, good: 0, bad: 0 }
  readonly #roads: Roads
  readonly #working = new Set<Promise<unknown>>()
  readonly #handshakes = new Set<Duplex>()
  #http: HttpServer | undefined
  #isOurs = false
  #sockets: SocketServer | undefined
  #statsTimer: NodeJS.Timeout | undefined

  /** Throws `ConfigError`. */
  constructor(options: ServerOptions = {}) {
    this.#config = createServerConfig(options)
    this.#log = createLog(this.#config.logLevel, this.#config.logger)
    this.#handlers = toHandlers(this.#config.customHandlers)
    this.#roads = new Roads({
      keeps: () => this.#config.enableMessageCache,
      createOutbox: () => this.#createOutbox()
    })
  }

  get isRunning(): boolean {
    return this.#http !== undefined
  }

  /** Where the server listens; undefined while it does not. */
  get address(): ServerAddress | undefined {
    const address = this.#http?.address()
    if (typeof address !== 'object' || !address) return undefined
    const { port, address: host } = address
    const isAnywhere = host === '0.0.0.0' || host === '::'
    const name = isAnywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host
    const { sslEnabled, path } = this.#config
    const isSecure = this.#isOurs ? sslEnabled : 'setSecureContext' in (this.#http as object)
    return { host, port, url: `${isSecure ? 'wss' : 'ws'}://${name}:${port}${path}` }
  }

  /**
   * Begins to listen; resolves when it does, rejects when it cannot. With a server of the program, takes the sockets that
   * come to `path` there; that server is neither listened with nor closed.
   */
  async start(given?: HttpServer): Promise<void> {
    if (this.#http) throw new Error('the server runs already')
    const { sslEnabled, maxMessageSize, compress, host, port, path } = this.#config
    const http =
      given ??
      (sslEnabled
        ? createTlsServer(toServerTls(this.#config), (request, response) => answerPlain(request, response, path))
        : createServer((request, response) => answerPlain(request, response, path)))
    this.#http = http
    this.#isOurs = !given
    this.#sockets = new SocketServer({
      noServer: true,
      maxPayload: maxMessageSize,
      maxFragments: MAX_FRAGMENTS,
      perMessageDeflate: compress
    })
    http.on('upgrade', this.#onUpgrade)
    if (!given) await this.#listen(http, port, host)
    this.#startStats()
    if (this.#config.enableConnectionLog) this.#log.info(`the server takes connections at ${this.address?.url ?? path}`)
  }

  /**
   * Lets nobody in any more, gives handlers a moment to finish, closes every connection with 1012, and the port. What was
   * kept for anybody is gone.
   */
  async stop(): Promise<void> {
    const http = this.#http
    if (!http) return
    this.#http = undefined
    clearInterval(this.#statsTimer)
    http.off('upgrade', this.#onUpgrade)
    const closed = this.#isOurs ? new Promise<void>((resolve) => http.close(() => resolve())) : undefined
    for (const stream of this.#handshakes) stream.destroy()
    await Promise.race([Promise.allSettled(this.#working), delay(FINISH_MS, undefined, { ref: false })])
    // What has just finished is acknowledged in this turn of the event loop.
    await nextTurn()
    await Promise.all([...(this.#sockets?.clients ?? [])].map((socket) => closeSocket(socket, API_CLOSE.restart)))
    if (this.#isOurs) http.closeAllConnections()
    await closed
    this.#roads.close()
  }

  /**
   * Sends to every connection of the user that the key in `message_dim` belongs to, on exactly the platform there, or on
   * `targetPlatform`. Empty when none is connected; for a user who was connected before the message is kept then, if
   * `enableMessageCache` says so. Rejects with `MessageError` when the message lacks something.
   */
  async sendMessage(
    message: APIMessageBase,
    { targetPlatform }: { readonly targetPlatform?: string | undefined } = {}
  ): Promise<SendResults> {
    const read = APIMessageBase.from(message)
    const dim = { ...read.message_dim, platform: targetPlatform ?? read.message_dim.platform }
    const user = await this.#findUser(dim.api_key, dim.platform)
    const road = user === undefined ? undefined : this.#roads.find(user, dim.platform)
    if (!road) return {}
    const payload = APIMessageBase.toObject({ ...read, message_dim: dim })
    const msgId = createMessageId()
    return this.#sendTo(road, msgId, encodeEnvelope('sys_std', msgId, metaFor(road), payload))
  }

  /**
   * Sends a custom message to whom the target names; with no target at all to nobody. `custom_` is put before the name when
   * it is not there, since clients take nothing else. With `connectionUuid` to that connection alone.
   */
  async sendCustomMessage(name: string, payload: unknown, target: CustomTarget = {}): Promise<SendResults> {
    const type = toCustomType(name)
    const msgId = createMessageId('custom')
    const { targetUser, targetPlatform, connectionUuid } = target
    const fits = ({ user, platform }: Road): boolean =>
      (targetUser ?? user) === user && (targetPlatform ?? platform) === platform
    if (connectionUuid !== undefined) {
      const seat = this.#roads.seats.get(connectionUuid)
      if (!seat || !fits(seat.road)) return {}
      return this.#sendToOne(seat, msgId, encodeEnvelope(type, msgId, metaFor(seat.road), payload))
    }
    if (targetUser === undefined && targetPlatform === undefined) return {}
    const roads = [...this.#roads.list(targetUser)].filter(fits)
    const results = roads.map((road) => this.#sendTo(road, msgId, encodeEnvelope(type, msgId, metaFor(road), payload)))
    return mergeResults(results)
  }

  /** Sends to every connection, or to every one of a platform. Who is away gets nothing. Rejects with `MessageError`. */
  async broadcastMessage(message: APIMessageBase, platform?: string): Promise<SendResults> {
    const payload = APIMessageBase.toObject(APIMessageBase.from(message))
    const msgId = createMessageId('broadcast')
    const meta = { broadcast: true, ...(platform !== undefined && { platform }), timestamp: Date.now() / 1000 }
    const text = encodeEnvelope('sys_std', msgId, meta, payload)
    const roads = [...this.#roads.list()].filter(
      (road) => road.seats.size > 0 && (platform ?? road.platform) === road.platform
    )
    return mergeResults(roads.map((road) => this.#sendTo(road, msgId, text)))
  }

  /** Uuids of the user's connections, by platform. */
  getUserConnections(user: string): Record<string, string[]> {
    const roads = [...this.#roads.list(user)].filter((road) => road.seats.size > 0)
    return Object.fromEntries(roads.map((road) => [road.platform, uuidsOf(road)]))
  }

  /** Uuids of the connections of a platform. */
  getPlatformConnections(platform: string): string[] {
    return [...this.#roads.list()].filter((road) => road.platform === platform).flatMap(uuidsOf)
  }

  getConnectionUser(uuid: string): string | undefined {
    return this.#roads.seats.get(uuid)?.user
  }

  /** Every open connection, by its uuid. */
  getConnections(): Record<string, ServerConnection> {
    return Object.fromEntries(
      [...this.#roads.seats].map(
        ([
          uuid,
          {
            user,
            metadata: { platform, clientIp, connectedAt }
          }
        ]) => [uuid, { user, platform, clientIp, connectedAt }]
      )
    )
  }

  /** Users with an open connection. */
  getUserCount(): number {
    return this.#roads.countUsers()
  }

  getConnectionCount(): number {
    return this.#roads.seats.size
  }

  getStats(): ServerStats {
    const currentConnections = this.getConnectionCount()
    return {
      totalAuthRequests: this.#auths.total,
      successfulAuths: this.#auths.good,
      failedAuths: this.#auths.bad,
      ...toCommonStats(this.#counters, this.#roads.countWaiting()),
      currentUsers: this.getUserCount(),
      currentConnections,
      network: toNetworkStats(this.#counters, currentConnections)
    }
  }

  /**
   * Changes options; what concerns single connections counts for those that come later. While the server runs its address,
   * TLS, compression and frame size stay. Throws `ConfigError`, and changes nothing then.
   */
  updateConfig(changes: ServerOptions): void {
    this.#config = changeServerConfig(this.#config, changes, this.isRunning)
    this.#log = createLog(this.#config.logLevel, this.#config.logger)
    if (changes.customHandlers) this.#handlers = toHandlers(changes.customHandlers)
    if (this.isRunning) this.#startStats()
  }

  /** `name` with or without `custom_`; a later handler takes the place of the earlier. */
  registerCustomHandler(name: string, handler: CustomHandler<ConnectionMetadata>): void {
    this.#handlers.set(toCustomType(name), handler)
  }

  /** Gives whether there was one. */
  unregisterCustomHandler(name: string): boolean {
    return this.#handlers.delete(toCustomType(name))
  }

  #createOutbox(): Outbox {
    const { messageCacheTtl, messageCacheMaxSize, repeatInterval } = this.#config
    return new Outbox({
      maxAgeMs: messageCacheTtl * 1000,
      maxCount: messageCacheMaxSize,
      repeatMs: [1000, 3000, 9000].map((ms) => ms * repeatInterval),
      onRepeat: () => void this.#counters.messagesRepeated++,
      onDrop: (why) => {
        this.#counters.messagesDropped++
        this.#log.warn(`a message was given up: ${why}`)
      }
    })
  }

  async #findUser(apiKey: string, platform: string): Promise<string | undefined> {
    try {
      const given = this.#config.onAuthExtractUser({ apiKey, platform, messageType: 'outgoing' })
      // Without a promise there is no wait: messages keep the order in which they were sent.
      const user = given instanceof Promise ? await given : given
      return user || undefined
    } catch (err) {
      this.#log.error(`onAuthExtractUser failed, the message is for nobody: ${describe(err)}`)
      return undefined
    }
  }

  #sendTo({ outbox, seats }: Road, msgId: string, text: string): SendResults {
    const taken = this.#send(outbox, msgId, text)
    const results = [...seats].map(({ metadata, connection }) => [
      metadata.uuid,
      connection !== undefined && taken.includes(connection.line)
    ])
    return Object.fromEntries(results) as SendResults
  }

  #sendToOne(seat: Seat, msgId: string, text: string): SendResults {
    const taken = this.#send(seat.own, msgId, text, () => this.#roads.tidy(seat))
    return Object.fromEntries([[seat.metadata.uuid, taken.length > 0]])
  }

  #send(outbox: Outbox, msgId: string, text: string, onSettled?: () => void): Line[] {
    if (this.#config.enableMessageLog) this.#log.info(`sent ${msgId}`)
    if (this.#config.enableMessageCache) return outbox.add(msgId, text, onSettled)
    return [...outbox.lines].filter((line) => line.send(text))
  }

  async #listen(http: HttpServer, port: number, host: string): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => {
        http.once('error', reject)
        http.listen(port, host, () => {
          http.off('error', reject)
          resolve()
        })
      })
    } catch (err) {
      this.#http = undefined
      throw err
    }
  }

  #startStats(): void {
    clearInterval(this.#statsTimer)
    const { statsCallback, enableStats, statsInterval } = this.#config
    if (!statsCallback || !enableStats) return
    this.#statsTimer = setInterval(
      () => this.#hook('statsCallback', () => statsCallback(this.getStats())),
      statsInterval * 1000
    ).unref()
  }

  readonly #onUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer): void => {
    const { path } = this.#config
    const [asked, query = ''] = (request.url ?? '').split('?', 2)
    if (asked !== path && asked !== `${path}/`) {
      // On a server of the program, another path is somebody else's.
      if (this.#isOurs) refuseUpgrade(stream, '404 Not Found', `there is no WebSocket at this path; connect to ${path}`)
      return
    }
    if (new URLSearchParams(query).has('EIO'))
      return refuseUpgrade(
        stream,
        '400 Bad Request',
        'Socket.IO (maim_message 0.7) is not spoken here, use maim_message 0.6'
      )
    if (this.#handshakes.size >= MAX_HANDSHAKES)
      return refuseUpgrade(stream, '503 Service Unavailable', 'too many handshakes at a time, try again later')
    this.#handshakes.add(stream)
    const onError = (): void => void stream.destroy()
    stream.on('error', onError)
    void this.#admit(request, stream, head)
      .catch((err: unknown) => {
        this.#log.error(`a handshake failed: ${describe(err)}`)
        stream.destroy()
      })
      .finally(() => {
        this.#handshakes.delete(stream)
        stream.off('error', onError)
      })
  }

  /** Lets in or refuses; nothing is read from the connection before that is decided (contract 2.1). */
  async #admit(request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    const metadata = readHandshake(request)
    this.#auths.total++
    const user = await this.#authenticate(metadata)
    if (stream.destroyed || !this.isRunning || !this.#sockets) return void stream.destroy()
    if (user === undefined) {
      this.#auths.bad++
      return this.#refuse(request, stream, head)
    }
    const old = this.#roads.seats.get(metadata.uuid)
    // A uuid says where answers go: nobody takes that of somebody else.
    if (old && old.user !== user) {
      this.#auths.bad++
      return refuseUpgrade(stream, '409 Conflict', 'x-uuid: in use by another user')
    }
    this.#auths.good++
    this.#sockets.handleUpgrade(request, stream, head, (socket) => this.#enter(socket, request.socket, user, metadata))
  }

  async #authenticate(metadata: ConnectionMetadata): Promise<string | undefined> {
    const { onAuth, onAuthExtractUser, authTimeout } = this.#config
    const ask = async (): Promise<string | undefined> => {
      if ((await onAuth(metadata)) !== true) return undefined
      const user: unknown = await onAuthExtractUser(metadata)
      return typeof user === 'string' && user !== '' ? user : undefined
    }
    const abort = new AbortController()
    try {
      const late = delay(authTimeout * 1000, 'late' as const, { signal: abort.signal, ref: false })
      // What loses the race may still fail.
      late.catch(() => {})
      const asked = ask().then((user) => ({ user }))
      asked.catch(() => {})
      const answer = await Promise.race([asked, late])
      if (answer !== 'late') return answer.user
      this.#log.error('onAuth has not answered in time, the connection is refused')
    } catch (err) {
      this.#log.error(`onAuth failed, the connection is refused: ${describe(err)}`)
    } finally {
      abort.abort()
    }
    return undefined
  }

  #refuse(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { authReject, enableConnectionLog } = this.#config
    if (enableConnectionLog) this.#log.info(`a connection from ${request.socket.remoteAddress} was refused`)
    if (authReject === 'http401') return refuseUpgrade(stream, '401 Unauthorized', 'api_key: missing or not accepted')
    this.#sockets?.handleUpgrade(request, stream, head, (socket) => {
      socket.on('error', () => {})
      void closeSocket(socket, OLD_REFUSAL)
    })
  }

  #enter(socket: WebSocket, stream: Socket, user: string, metadata: ConnectionMetadata): void {
    guardReading({ socket, stream, isMasked: true })
    const old = this.#roads.seats.get(metadata.uuid)
    if (old) {
      this.#leave(old)
      old.connection?.end(API_CLOSE.replaced)
    }
    const seat = this.#roads.enter(user, metadata)
    const { road, own } = seat
    const { pingInterval, pingTimeout, maxBufferedBytes, enableConnectionLog } = this.#config
    const name = `${shorten(metadata.uuid)} on ${shorten(metadata.platform)}`
    this.#counters.totalConnections++
    seat.connection = openApiConnection({
      socket,
      stream,
      side: 'server',
      uuid: metadata.uuid,
      outbox: {
        open(line) {
          const leaves = [road.outbox.open(line), own.open(line)]
          return () => leaves.forEach((leave) => leave())
        },
        // Both are told: each has to know that the peer acknowledges at all.
        acked: (msgId) => [road.outbox.acked(msgId), own.acked(msgId)].includes(true),
        spoke() {
          road.outbox.spoke()
          own.spoke()
        }
      },
      seen: seat.seen,
      pingIntervalMs: pingInterval * 1000,
      pingTimeoutMs: pingTimeout * 1000,
      maxBufferedBytes,
      counters: this.#counters,
      onMessage: ({ envelope, ...rest }) => {
        if (this.#config.enableMessageLog)
          this.#log.info(`received ${shorten(envelope.type)} ${shorten(envelope.msg_id)}`)
        const result = dispatch(
          { envelope, ...rest },
          {
            self: { api_key: metadata.apiKey, platform: metadata.platform },
            metadataOf: () => metadata,
            onMessage: this.#config.onMessage,
            handlers: this.#handlers,
            counters: this.#counters,
            log: this.#log
          }
        )
        if (result) this.#watch(result)
        return result
      },
      onError: (err) => this.#log.error(`a handler failed, its message was not taken: ${describe(err)}`)
    })
    socket.once('close', (code) => {
      // The other side says that a message was too big: it would be the end of each connection to come.
      if (code === TOO_BIG) this.#giveUpLargest(seat)
      this.#leave(seat)
      if (enableConnectionLog) this.#log.info(`${name} has gone with ${code}`)
    })
    if (enableConnectionLog) this.#log.info(`${name} has come from ${metadata.clientIp}`)
    const { onConnect } = this.#config
    if (onConnect) this.#hook('onConnect', () => onConnect(metadata.uuid, metadata))
  }

  #watch(work: Promise<unknown>): void {
    this.#working.add(work)
    const done = (): void => void this.#working.delete(work)
    work.then(done, done)
  }

  #giveUpLargest({ road, own }: Seat): void {
    const outbox = road.outbox.largest === undefined ? own : road.outbox
    const msgId = outbox.largest
    if (msgId === undefined) return
    outbox.drop(msgId)
    this.#counters.messagesDropped++
    this.#log.warn(`a message was given up: too big for the other side (${msgId})`)
  }

  /** A late close of a connection must not take away the one that came after it. */
  #leave(seat: Seat): void {
    seat.connection?.end()
    if (!this.#roads.leave(seat)) return
    const { onDisconnect } = this.#config
    if (onDisconnect) this.#hook('onDisconnect', () => onDisconnect(seat.metadata.uuid, seat.metadata))
  }

  /** Calls a function of the program, which may fail or wait without harm. */
  #hook(name: string, call: () => unknown): void {
    const run = async (): Promise<unknown> => call()
    run().catch((err: unknown) => this.#log.error(`${name} failed: ${describe(err)}`))
  }
}

const uuidsOf = (road: Road): string[] => [...road.seats].map(({ metadata }) => metadata.uuid)

const metaFor = ({ user, platform }: Road): object => ({
  sender_user: 'server',
  target_user: user,
  platform,
  timestamp: Date.now() / 1000
})

const mergeResults = (results: readonly SendResults[]): SendResults =>
  Object.fromEntries(results.flatMap((one) => Object.entries(one)))

const describe = (err: unknown): string => (err instanceof Error ? (err.stack ?? err.message) : String(err))

/** What who comes without a WebSocket is told. */
function answerPlain({ url = '' }: IncomingMessage, response: ServerResponse, path: string): void {
  const [asked] = url.split('?')
  const isHere = asked === path || asked === `${path}/`
  const detail = isHere ? 'this is a WebSocket of maim_message (API-Server)' : 'Not Found'
  response
    .writeHead(isHere ? 426 : 404, { 'content-type': 'application/json', ...(isHere && { upgrade: 'websocket' }) })
    .end(JSON.stringify({ detail }))
}

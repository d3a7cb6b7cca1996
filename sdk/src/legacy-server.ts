import { hash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import { createCustomMessage, type CustomMessage } from './custom.ts'
import { closeSocket, refuseUpgrade } from './ends.ts'
import { LegacyHandlers, type CustomMessageHandler, type LegacyHooks, type MessageHandler } from './legacy-handlers.ts'
import { DEFAULT_PLATFORM, encodeLegacy, LEGACY_CLOSE, LEGACY_MAX_FRAME, readLegacy } from './legacy-session.ts'
import type { MessageBase } from './message.ts'
import { startPings } from './pings.ts'
import { guardReading, MAX_FRAGMENTS } from './read-guard.ts'
import { createServerTls, type ServerTls } from './tls.ts'
import { decodeHeader } from './text.ts'

export interface MessageServerOptions extends LegacyHooks {
  /** All addresses when absent. */
  readonly host?: string
  /** 18000 when absent; 0 is any free one, which `address` then tells. */
  readonly port?: number
  /** `/ws` when absent. With a slash behind it, it is accepted too. */
  readonly path?: string
  /** Whoever connects has to show one of these as it is, without `Bearer`. No token is needed when this is absent. */
  readonly tokens?: Iterable<string>
  /** Certificate and key; listens for `wss://` then. */
  readonly tls?: ServerTls
  /** A server of the program, to take sockets from; it is not listened with and not closed. */
  readonly server?: HttpServer
  /** Largest frame that is taken, in bytes, inclusive; 100 MiB when absent. */
  readonly maxFrame?: number
  /** Bytes that may wait for one peer; what comes then is not sent. 64 MiB when absent. */
  readonly maxQueuedBytes?: number
  /** Whether permessage-deflate is agreed to; false when absent. */
  readonly compress?: boolean
  /** From one ping of a connection to the next; 30 s when absent. */
  readonly pingIntervalMs?: number
  /** How long a peer may take to answer a ping before it is closed with 1011; 10 s when absent. */
  readonly pingTimeoutMs?: number
  readonly onConnect?: (connection: LegacyConnection) => void
  readonly onDisconnect?: (connection: LegacyConnection, code: number) => void
}

/** One connected peer. */
export interface LegacyConnection {
  readonly platform: string
  readonly address: string
  /** Unix milliseconds. */
  readonly connectedAt: number
}

/** What a server has seen since it was made. */
export interface MessageServerStats {
  /** Connections that are open now. */
  readonly currentConnections: number
  /** Connections that were let in. */
  readonly totalConnections: number
  /** Handshakes with no token or a wrong one. */
  readonly refusedConnections: number
  /** Connections that were closed because their platform connected again. */
  readonly replacedConnections: number
  readonly messagesReceived: number
  readonly customMessagesReceived: number
  /** Frames of both kinds that were handed to a connection. */
  readonly messagesSent: number
  readonly bytesReceived: number
  readonly bytesSent: number
}

interface Seat extends LegacyConnection {
  readonly socket: WebSocket
}

const digest = (token: string): string => hash('sha256', token, 'base64')

/**
 * A server of the legacy protocol: plain messages, one connection per platform (contract 1). Messages of one connection are
 * handled in the order in which they came.
 */
export class MessageServer {
  readonly #options: MessageServerOptions
  readonly #handlers: LegacyHandlers
  readonly #seats = new Map<string, Seat>()
  /** Digests, so that looking one up tells nothing about how much of a guess was right. */
  readonly #tokens: Set<string>
  readonly #needsToken: boolean
  readonly #sockets: WebSocketServer
  readonly #counts = {
    totalConnections: 0,
    refusedConnections: 0,
    replacedConnections: 0,
    messagesReceived: 0,
    customMessagesReceived: 0,
    messagesSent: 0,
    bytesReceived: 0,
    bytesSent: 0
  }
  #listening: HttpServer | undefined

  constructor(options: MessageServerOptions = {}) {
    this.#options = options
    this.#handlers = new LegacyHandlers(options)
    this.#tokens = new Set([...(options.tokens ?? [])].map(digest))
    this.#needsToken = options.tokens !== undefined
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: options.maxFrame ?? LEGACY_MAX_FRAME,
      maxFragments: MAX_FRAGMENTS,
      perMessageDeflate: options.compress ?? false
    })
  }

  /** Where the server listens; undefined while it does not. */
  get address(): AddressInfo | undefined {
    const address = this.#listening?.address()
    return typeof address === 'object' && address ? address : undefined
  }

  get isRunning(): boolean {
    return this.#listening !== undefined
  }

  /** Every handler gets every message. Gives back its undo. */
  registerMessageHandler(handler: MessageHandler): () => void {
    return this.#handlers.add(handler)
  }

  /** For custom messages of this name, also those that are not marked as such. Gives back its undo. */
  registerCustomMessageHandler(name: string, handler: CustomMessageHandler): () => void {
    return this.#handlers.addCustom(name, handler)
  }

  /** Whether whoever shows this would be let in. */
  verifyToken(token: string | undefined): boolean {
    return !this.#needsToken || (token !== undefined && this.#tokens.has(digest(token)))
  }

  addValidToken(token: string): void {
    this.#tokens.add(digest(token))
  }

  /** Nobody gets in with it any more; who is in already stays. */
  removeValidToken(token: string): void {
    this.#tokens.delete(digest(token))
  }

  /** Resolves when the server listens; rejects when it cannot. */
  async start(): Promise<void> {
    if (this.#listening) throw new Error('the server runs already')
    const { server: given, tls, host = '0.0.0.0', port = 18_000 } = this.#options
    const server = given ?? (tls ? createTlsServer(createServerTls(tls), notFound) : createServer(notFound))
    this.#listening = server
    server.on('upgrade', this.#onUpgrade)
    if (given) return
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.off('error', reject)
          resolve()
        })
      })
    } catch (err) {
      this.#listening = undefined
      throw err
    }
  }

  /** Closes every connection with 1001, and the port. Resolves when all of that has ended. */
  async stop(): Promise<void> {
    const server = this.#listening
    if (!server) return
    this.#listening = undefined
    server.off('upgrade', this.#onUpgrade)
    const ends = [...this.#sockets.clients].map((socket) => closeSocket(socket, LEGACY_CLOSE.shutdown))
    const closed = this.#options.server
      ? Promise.resolve()
      : new Promise<void>((resolve) => server.close(() => resolve()))
    await Promise.all(ends)
    await closed
  }

  /** Sends to the connection that `message_info.platform` names; false when there is none (nothing is kept). */
  sendMessage(message: MessageBase): boolean {
    return this.broadcastToPlatform(message.message_info.platform ?? '', message)
  }

  sendCustomMessage(platform: string, name: string, content: unknown): boolean {
    return this.broadcastToPlatform(platform, createCustomMessage(platform, name, content))
  }

  /** Sends to every connection, whatever the message says of its platform. Tells for each whether it could. */
  broadcastMessage(message: MessageBase | CustomMessage): Record<string, boolean> {
    const text = encodeLegacy(message)
    const results = [...this.#seats.values()].map((seat) => [seat.platform, this.#send(seat, text)] as const)
    return Object.fromEntries(results)
  }

  /** Sends to the connection of this name, whatever the message says of its platform. */
  broadcastToPlatform(platform: string, message: MessageBase | CustomMessage): boolean {
    const seat = this.#seats.get(platform)
    return seat !== undefined && this.#send(seat, encodeLegacy(message))
  }

  isConnected(platform: string): boolean {
    return this.#seats.has(platform)
  }

  getConnections(): LegacyConnection[] {
    return [...this.#seats.values()].map(({ platform, address, connectedAt }) => ({ platform, address, connectedAt }))
  }

  getStats(): MessageServerStats {
    return { currentConnections: this.#seats.size, ...this.#counts }
  }

  #send({ socket }: Seat, text: string): boolean {
    const { maxQueuedBytes = 64 * 1024 * 1024 } = this.#options
    if (socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > maxQueuedBytes) return false
    socket.send(text)
    this.#counts.messagesSent++
    this.#counts.bytesSent += Buffer.byteLength(text)
    return true
  }

  readonly #onUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer): void => {
    const { path = '/ws', server } = this.#options
    const asked = request.url?.split('?')[0]
    if (asked !== path && asked !== `${path}/`) {
      // On a server of the program, another path is somebody else's.
      if (!server) refuseUpgrade(stream, '404 Not Found', `there is no WebSocket at ${asked}; connect to ${path}`)
      return
    }
    this.#sockets.handleUpgrade(request, stream, head, (socket: WebSocket) => this.#enter(socket, request))
  }

  #enter(socket: WebSocket, { headers, socket: stream }: IncomingMessage): void {
    // Without a listener an error on any socket ends the process; the close that follows tells enough.
    socket.on('error', () => {})
    guardReading({ socket, stream, isMasked: true })
    if (!this.verifyToken(decodeHeader(headers.authorization))) {
      this.#counts.refusedConnections++
      void closeSocket(socket, LEGACY_CLOSE.unauthenticated)
      return
    }
    const platform = decodeHeader(headers['platform']) || DEFAULT_PLATFORM
    const seat: Seat = { platform, address: stream.remoteAddress ?? '', connectedAt: Date.now(), socket }
    const old = this.#seats.get(platform)
    if (old) {
      this.#counts.replacedConnections++
      this.#leave(old, LEGACY_CLOSE.replaced.code)
      void closeSocket(old.socket, LEGACY_CLOSE.replaced)
    }
    this.#seats.set(platform, seat)
    this.#counts.totalConnections++
    this.#read(seat)
    startPings({
      socket,
      intervalMs: this.#options.pingIntervalMs ?? 30_000,
      timeoutMs: this.#options.pingTimeoutMs ?? 10_000,
      bytesRead: () => stream.bytesRead,
      onSilent: () => void closeSocket(socket, LEGACY_CLOSE.silent)
    })
    socket.once('close', (code) => this.#leave(seat, code))
    this.#options.onConnect?.(seat)
  }

  #read({ platform, socket }: Seat): void {
    const handlers = this.#handlers
    const counts = this.#counts
    readLegacy({
      socket,
      isOpen: () => socket.readyState === WebSocket.OPEN,
      close: (reason) => void closeSocket(socket, reason),
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
  }

  /** A late close of a connection must not take away the one that came after it. */
  #leave(seat: Seat, code: number): void {
    if (this.#seats.get(seat.platform) !== seat) return
    this.#seats.delete(seat.platform)
    this.#options.onDisconnect?.(seat, code)
  }
}

function notFound(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'application/json' }).end('{"detail":"Not Found"}')
}

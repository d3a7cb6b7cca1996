import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import { bearerToken, isForeignOrigin, queryValue } from '../plugins/auth.ts'
import type { Config } from '../src/config.ts'
import type { Caller } from '../src/core/action.ts'
import { ActionError } from '../src/core/errors.ts'
import type { Gateway } from '../src/gateway.ts'
import { watchAccess } from '../src/net/access.ts'
import { CLOSE, type CloseReason } from '../src/net/close-codes.ts'
import { createConnection, type Connection } from '../src/net/connection.ts'
import { createFrame } from '../src/net/frame.ts'
import { createFrameBudget } from '../src/net/frame-budget.ts'
import { decodeFrame, encodeError, encodeFrame, toTimestamp, type ClientFrame } from '../src/protocols/imsuite.ts'
import { createImSuiteCodecs } from '../src/protocols/imsuite-codec.ts'
import { toCall } from '../src/protocols/imsuite-frames.ts'
import { createId } from '../src/secrets.ts'
import { isFault, type Sessions, type Signed, type TokenFault } from '../src/sessions.ts'

export interface ImSuiteSocketOptions {
  readonly gateway: Gateway
  readonly sessions: Sessions
  readonly config: Config
}

declare module 'fastify' {
  interface FastifyRequest {
    signed: Signed | TokenFault | null
  }
}

/** Frames that are not JSON within a minute before the connection is given up (contract 2.1, close codes). */
const MAX_NONSENSE = 5
/** A client that says nothing for so long is gone (contract 2.1, liveness). */
const SILENCE_MS = 75_000
/** Connections of one account; a further one takes the place of the oldest (contract 2.1, devices). */
const MAX_CONNECTIONS = 10

/** What base clients may send by the document, and this version cannot do yet. */
const LATER: ReadonlySet<string> = new Set(['typing', 'presence', 'call.offer', 'call.answer', 'call.ice', 'call.end'])

interface Device {
  readonly signed: Signed
  readonly connection: Connection
}

/** People over WebSocket: IM-Suite, base profile (contract 2.1–2.4). */
export async function imSuiteSocket(
  app: FastifyInstance,
  { gateway, sessions, config }: ImSuiteSocketOptions
): Promise<void> {
  const { limits } = config
  const codec = createImSuiteCodecs().base
  const access = watchAccess({ store: gateway.store, onError: gateway.onError })
  /** Open connections by account, the oldest first. */
  const devices = new Map<number, Set<Device>>()

  /** Before the upgrade, so that no frame can arrive while the token is looked at. What is wrong is told after it: a browser cannot see a 401. */
  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (!request.ws)
      return reply
        .code(426)
        .header('upgrade', 'websocket')
        .send({ success: false, error: 'this address speaks WebSocket' })
    const wait = await app.budgets.upgrade(request)
    if (wait !== undefined)
      return reply.code(429).header('retry-after', wait).send({ success: false, error: 'too many connections' })
    if (isForeignOrigin(request, config.server.allowed_origins))
      return reply.code(403).send({ success: false, error: 'this origin is not allowed' })
    const token = queryValue(request, 'token') ?? bearerToken(request) ?? protocolToken(request)
    request.signed = token === undefined ? { fault: '令牌无效' } : await sessions.verify(token)
  }

  function open(socket: WebSocket, request: FastifyRequest): void {
    const connection = createConnection({
      socket,
      stream: request.raw.socket,
      maxQueuedBytes: limits.connection_buffer,
      onError: (err) => gateway.log.debug({ err, door: 'im-suite' }, 'socket error'),
      onSlow: () => say(connection, 'disconnect', { status: 'disconnected', reason: 'slow_consumer' })
    })
    const { signed } = request
    if (!signed || isFault(signed)) return refuse(connection, signed?.fault ?? '令牌无效')

    const { account } = signed
    app.farewells.set(socket, () =>
      say(connection, 'disconnect', { status: 'disconnected', reason: 'server_shutdown' })
    )
    say(connection, 'connect', { status: 'connected', user_id: account.id, server_time: toTimestamp(gateway.now()) })
    const deviceId = createId()
    const detach = gateway.hub.attach({
      viewerId: account.id,
      deviceId,
      hear(_signal, frameOf) {
        const frame = frameOf(codec, account.id)
        if (frame) connection.send(frame)
      },
      receive(event, frameOf) {
        const frame = frameOf(codec, account.id)
        if (frame) connection.send(frame)
      }
    })
    const undo = [
      detach,
      register({ signed, connection }),
      gateway.devices.add({ id: deviceId, accountId: account.id, sessionId: signed.sessionId, kind: 'person' }),
      access.watch({
        mayStay: () => sessions.isLive(signed),
        end: () => end(connection, 'session_revoked', CLOSE.unauthenticated)
      }),
      gateway.heartbeat.watch(socket),
      watchSilence(socket, connection),
      watchExpiry(signed, connection)
    ]
    read(socket, connection, { accountId: account.id, deviceId })
    socket.once('close', () => {
      app.farewells.delete(socket)
      for (const step of undo) step()
    })
  }

  function register(device: Device): () => void {
    const { id } = device.signed.account
    const own = devices.get(id) ?? new Set()
    devices.set(id, own)
    const [oldest] = own
    if (oldest && own.size >= MAX_CONNECTIONS) {
      // At once, since its close takes as long as its client likes.
      own.delete(oldest)
      end(oldest.connection, 'replaced', CLOSE.replaced)
    }
    own.add(device)
    return () => {
      own.delete(device)
      if (own.size === 0 && devices.get(id) === own) devices.delete(id)
    }
  }

  function say(connection: Connection, type: string, payload: object): void {
    connection.send(createFrame(encodeFrame(type, payload, gateway.now())))
  }

  function refuse(connection: Connection, reason: string): void {
    sayUnauthenticated(connection, reason)
    connection.close(CLOSE.unauthenticated)
  }

  function sayUnauthenticated(connection: Connection, reason: string): void {
    say(connection, 'error', { error_code: 'AUTHENTICATION_FAILED', message: '认证失败', details: { reason } })
  }

  function end(connection: Connection, reason: string, close: CloseReason): void {
    say(connection, 'disconnect', { status: 'disconnected', reason })
    connection.close(close)
  }

  function watchSilence(socket: WebSocket, connection: Connection): () => void {
    const timer = setTimeout(() => end(connection, 'heartbeat_timeout', CLOSE.heartbeat), SILENCE_MS)
    timer.unref()
    const refresh = (): void => {
      timer.refresh()
    }
    for (const event of ['message', 'ping', 'pong']) socket.on(event, refresh)
    return () => clearTimeout(timer)
  }

  /** A token ends its connection too (contract 2.1). Timers count in 32 bits, so far ends are looked at again. */
  function watchExpiry(signed: Signed, connection: Connection): () => void {
    let timer: NodeJS.Timeout
    const wait = (): void => {
      const leftMs = (signed.expiresAt - gateway.now()) * 1000
      if (leftMs <= 0) {
        sayUnauthenticated(connection, '令牌已过期')
        return end(connection, 'auth_expired', CLOSE.unauthenticated)
      }
      timer = setTimeout(wait, Math.min(leftMs, 2 ** 31 - 1))
      timer.unref()
    }
    wait()
    return () => clearTimeout(timer)
  }

  /** One frame after the other: the next begins when the last one's work is done, so that each sender's order holds (contract 2.2). */
  function read(socket: WebSocket, connection: Connection, caller: Caller): void {
    const budget = createFrameBudget(socket, limits.im_frame_rate, limits.im_frame_rate * 3)
    const nonsense: number[] = []
    let previous = Promise.resolve()
    let waiting = 0

    async function answer(text: string): Promise<void> {
      let frame: ClientFrame | undefined
      try {
        frame = decodeFrame(text)
        await handle(connection, caller, frame)
      } catch (err) {
        if (!(err instanceof ActionError)) throw err
        connection.send(createFrame(encodeError(err, frame ?? {}, gateway.now())))
        if (!frame && err.details.field === undefined) countNonsense()
      }
    }

    function countNonsense(): void {
      const now = gateway.now()
      nonsense.push(now)
      while (nonsense[0] !== undefined && nonsense[0] <= now - 60) nonsense.shift()
      if (nonsense.length >= MAX_NONSENSE) end(connection, 'policy', CLOSE.nonsense)
    }

    socket.on('message', (data, isBinary) => {
      // What still comes after we have ended it may come from somebody who is no longer let in.
      if (!connection.isOpen()) return
      if (isBinary) return end(connection, 'policy', CLOSE.binary)
      budget.take()
      // Order needs a queue, and a queue needs an end: what does not fit stays in the network.
      if (++waiting === 16) budget.hold()
      const text = String(data)
      previous = previous
        .then(() => answer(text))
        .catch((err: unknown) => {
          gateway.onError(err)
          end(connection, 'internal_error', CLOSE.bug)
        })
        .finally(() => {
          if (waiting-- === 16) budget.release()
        })
    })
  }

  async function handle(connection: Connection, caller: Caller, frame: ClientFrame): Promise<void> {
    const { type, payload } = frame
    if (type === 'ping') {
      const timestamp =
        typeof payload.timestamp === 'string' ? payload.timestamp.slice(0, 64) : toTimestamp(gateway.now())
      return say(connection, 'pong', { timestamp })
    }
    if (LATER.has(type))
      throw new ActionError('unknown_action', `type: "${type}" is not supported by this version yet`, { field: 'type' })
    const call = toCall(frame)
    if (!call)
      throw new ActionError('unknown_action', `type: there is no event "${type.slice(0, 64)}" that clients send`, {
        field: 'type'
      })
    const outcome = await gateway.dispatcher.dispatch(call.action, call.params, caller)
    if (!outcome.ok) throw outcome.error
  }

  app.decorateRequest('signed', null)
  const unsubscribe = sessions.onEnd((sessionId) => {
    for (const { signed, connection } of [...devices.values()].flatMap((own) => [...own])) {
      if (signed.sessionId === sessionId) end(connection, 'session_revoked', CLOSE.signedOut)
    }
  })
  app.addHook('onClose', async () => {
    unsubscribe()
    access.close()
  })
  for (const url of ['/ws', '/im/ws']) {
    app.route({
      method: 'GET',
      url,
      onRequest: admit,
      config: { maxFrame: limits.im_frame },
      handler: (_request, reply) => reply.code(426).send(),
      wsHandler: open
    })
  }
}

/** `Sec-WebSocket-Protocol: bearer, <jwt>`: the one header that a browser can choose (contract 2.1, credentials). */
function protocolToken(request: FastifyRequest): string | undefined {
  return /^bearer *, *([^ ,]+)$/i.exec(request.headers['sec-websocket-protocol'] ?? '')?.[1]
}

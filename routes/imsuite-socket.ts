import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import { admit as admitAt, identifyPerson, isForeignOrigin, queryValue, type Admission } from '../src/admission.ts'
import type { Config } from '../src/config.ts'
import { createAllowances, liveRate } from '../src/core/allowances.ts'
import { ActionError } from '../src/core/errors.ts'
import { isEphemeral } from '../src/core/signal.ts'
import type { Gateway } from '../src/gateway.ts'
import { watchAccess } from '../src/net/access.ts'
import { CLOSE, type CloseReason } from '../src/net/close-codes.ts'
import { createConnection, type Connection } from '../src/net/connection.ts'
import { watchExpiry, watchSilence } from '../src/net/ends.ts'
import { createFrame } from '../src/net/frame.ts'
import { readFrames } from '../src/net/frame-reader.ts'
import { createGate, type Gate } from '../src/net/gate.ts'
import { holdFrames } from '../src/net/held-frames.ts'
import { startHeartbeat } from '../src/net/heartbeat.ts'
import { createPersonFrames, type PersonFrames } from '../src/net/person-frames.ts'
import { createReplay } from '../src/net/replay.ts'
import { createResume, type Place } from '../src/net/resume.ts'
import { createSync } from '../src/net/sync.ts'
import { decodeFrame, encodeError, encodeFrame, toTimestamp } from '../src/protocols/imsuite.ts'
import { createImSuiteCodecs, extend, type ImSuiteCodec } from '../src/protocols/imsuite-codec.ts'
import { toPublishedLimits } from '../src/protocols/imsuite-ext.ts'
import { say } from '../src/protocols/words.ts'
import { createId } from '../src/secrets.ts'
import { isFault, type Sessions, type Signed, type TokenFault } from '../src/sessions.ts'

export interface ImSuiteSocketOptions {
  readonly gateway: Gateway
  readonly sessions: Sessions
  readonly config: Config
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What came of the credentials; null when there were none. */
    signed: Signed | TokenFault | null
  }
}

/** How long a socket without a token may take to send one, and to go when it has not: ten seconds (contract 2.1, late auth). */
const LATE_AUTH_MS = 9000
const LATE_CLOSE_MS = 400
/** How long before its end a token of an extension client is asked to be renewed. */
const EXPIRING_S = 60
const EXT_PROTOCOL = 'imsuite.ext.v1'

/** One connection, and how it wants its frames. */
interface Line {
  readonly connection: Connection
  readonly codec: ImSuiteCodec
  /** What the person reads (`Accept-Language`). */
  readonly language: string | undefined
}

/** The same once it is known whose it is. */
interface Seat extends Line {
  signed: Signed
  readonly deviceId: string
}

/** People over WebSocket: IM-Suite (contract 2.0–2.4, 2.10). */
export async function imSuiteSocket(
  app: FastifyInstance,
  { gateway, sessions, config }: ImSuiteSocketOptions
): Promise<void> {
  const { limits, im } = config
  const { store, hub, clock, now } = gateway
  const codecs = createImSuiteCodecs(gateway.links.linkOf)
  const access = watchAccess(gateway)
  const resume = createResume({ store, position: hub.position, clock, onError: gateway.onError })
  // Its pings carry the cursor; who answers nothing at all is found by `watchSilence`.
  const heartbeat = startHeartbeat({ periodMs: limits.im_ping, pongMs: Infinity })
  const allowances = createAllowances(
    {
      frame: liveRate(() => [limits.im_frame_rate, limits.im_frame_burst]),
      account: liveRate(() => [limits.im_user_connects / 60, limits.im_user_connects]),
      address: liveRate(() => [limits.im_address_connects / 60, limits.im_address_connects])
    },
    clock
  )
  /** Everybody who is here, by device; of one account the oldest first. */
  const seats = new Map<string, Seat>()
  const ended = new WeakSet<Connection>()
  const identifyToken = identifyPerson(sessions.verify)
  const identifyTicket = identifyPerson(sessions.redeem)

  /** Before the upgrade, so that no frame can arrive while the token is looked at. What is wrong is told after it: a browser cannot see a 401. */
  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const refuse = (status: number, error: string): FastifyReply =>
      reply.code(status).send({ success: false, error, code: status === 429 ? 'RATE_LIMITED' : 'UNAUTHORIZED' })
    if (!request.ws)
      return reply
        .code(426)
        .header('upgrade', 'websocket')
        .send({ success: false, error: 'this address speaks WebSocket' })
    const wait = await waitOf(request)
    if (wait !== undefined) return refuse(429, 'too many connections').header('retry-after', wait)
    if (isForeignOrigin(request, config.server.allowed_origins))
      return reply.code(403).send({ success: false, error: 'this origin is not allowed' })
    const { who, fault } = await admitPerson(request)
    request.signed = who ?? fault ?? null
    if (im.auth_reject !== 'http401' || (!request.signed && im.late_auth)) return
    // As the upstream server words it (contract 1.3).
    if (!request.signed) return refuse(401, '缺少认证token')
    if (isFault(request.signed)) return refuse(401, 'token无效')
  }

  /** A ticket counts where no token is shown; it is used up by that. */
  async function admitPerson(request: FastifyRequest): Promise<Admission<Signed>> {
    const byToken = await admitAt(request, 'person-socket', identifyToken)
    return byToken.why === 'missing' ? admitAt(request, 'person-ticket', identifyTicket) : byToken
  }

  /** Seconds until this address may connect again; undefined when it may now. */
  async function waitOf(request: FastifyRequest): Promise<number | undefined> {
    const wait = await app.budgets.upgrade(request)
    if (wait !== undefined) return wait
    try {
      allowances.take('address', request.ip)
      return undefined
    } catch (err) {
      return Math.ceil(((err as ActionError).details.retryAfterMs ?? 1000) / 1000)
    }
  }

  function open(socket: WebSocket, request: FastifyRequest): void {
    const connection = createConnection({
      socket,
      stream: request.raw.socket,
      maxQueuedBytes: limits.im_buffer,
      slow: CLOSE.slowPerson,
      onError: (err) => gateway.log.debug({ err, door: 'im-suite' }, 'socket error'),
      onSlow: () => sayTo(line, 'disconnect', { status: 'disconnected', reason: 'slow_consumer' })
    })
    const line = { connection, codec: codecOf(request), language: request.headers['accept-language'] }
    const { signed } = request
    if (!signed && im.late_auth) return waitForToken(socket, line)
    if (!signed || isFault(signed)) return refuse(line, signed?.fault ?? '令牌无效')
    enter(socket, line, signed)
  }

  /** Some clients show their token in the first frame (contract 2.1, late auth; off unless it is asked for). */
  function waitForToken(socket: WebSocket, line: Line): void {
    const giveUp = clock.after(LATE_AUTH_MS, () => {
      refuse(line, '令牌无效')
      clock.after(LATE_CLOSE_MS, () => socket.terminate())
    })
    socket.once('close', giveUp)
    const { first, release } = holdFrames(socket)
    first
      .then(async (text) => {
        giveUp()
        const signed = await verifyFirst(text)
        if (!line.connection.isOpen()) return
        if (!signed || isFault(signed)) return refuse(line, signed?.fault ?? '令牌无效')
        enter(socket, line, signed)
      })
      .catch((err: unknown) => {
        gateway.onError(err)
        end(line, 'internal_error', CLOSE.bug)
      })
      .finally(release)
  }

  async function verifyFirst(text: string): Promise<Signed | TokenFault | undefined> {
    try {
      const { type, payload } = decodeFrame(text)
      return type === 'auth' && typeof payload.token === 'string' ? await sessions.verify(payload.token) : undefined
    } catch (err) {
      if (err instanceof ActionError) return undefined
      throw err
    }
  }

  function enter(socket: WebSocket, line: Line, signed: Signed): void {
    const { connection, codec } = line
    const { id: accountId } = signed.account
    try {
      allowances.take('account', accountId)
    } catch (err) {
      connection.send(createFrame(codec.dress(encodeError(err as ActionError, {}, now(), line.language))))
      return end(line, 'policy', CLOSE.flood)
    }
    const seat: Seat = { ...line, signed, deviceId: createId() }
    app.farewells.set(socket, () => sayTo(line, 'disconnect', { status: 'disconnected', reason: 'server_shutdown' }))
    greet(seat)
    makeRoom(accountId)
    seats.set(seat.deviceId, seat)

    const gate = createGate((frame) => connection.send(frame))
    let place: Place | undefined
    /** What this device has certainly been given; sent along with each ping, and confirmed by its pong. */
    let sent = -1
    const undo = [
      hub.attach({
        viewerId: accountId,
        deviceId: seat.deviceId,
        receive(event, frameOf) {
          const frame = frameOf(codec, accountId)
          if (frame) gate.pass(event, frame)
        },
        hear(signal, frameOf) {
          // A read mark must not come before its message.
          if (!gate.isOpen() && isEphemeral(signal)) return
          const frame = frameOf(codec, accountId)
          if (frame) connection.send(frame)
        }
      }),
      gateway.devices.add({ id: seat.deviceId, accountId, sessionId: signed.sessionId, kind: 'person' }),
      access.watch({
        mayStay: () => sessions.isLive(seat.signed),
        end: () => end(line, 'session_revoked', CLOSE.unauthenticated)
      }),
      heartbeat.watch(socket, {
        payload() {
          if (gate.isOpen()) sent = hub.position()
          return sent < 0 ? '' : String(sent)
        }
      }),
      watchSilence(socket, limits.im_silence, () => end(seat, 'heartbeat_timeout', CLOSE.heartbeat)),
      watchToken(seat),
      () => seats.delete(seat.deviceId),
      () => app.farewells.delete(socket),
      () => place?.close()
    ]
    socket.on('pong', (data) => {
      const cursor = Number(String(data) || NaN)
      if (cursor <= sent) place?.confirm(cursor)
    })
    socket.once('close', () => {
      for (const step of undo) step()
    })

    const position = hub.position()
    let replay: ReturnType<typeof createReplay> | undefined
    const ready = gate
      .catchUp(async () => {
        place ??= await resume.open(accountId, signed.sessionId)
        // It went while its place was looked up.
        if (socket.readyState !== socket.OPEN) place.close()
        // A client of the extension says itself what it knows, and asks for the rest.
        if (codec === codecs.ext) return () => false
        const from = im.replay ? place.from : undefined
        replay ??= createReplay({ store, connection, codec, viewerId: accountId, from: from ?? position })
        return replay()
      })
      .catch((err: unknown) => {
        gateway.onError(err)
        end(line, 'internal_error', CLOSE.bug)
      })
      .finally(() => (replay = undefined))
    read(socket, seat, ready, gate)
  }

  function greet(seat: Seat): void {
    const { signed, deviceId, connection, codec } = seat
    const payload = { status: 'connected', user_id: signed.account.id, server_time: toTimestamp(now()) }
    if (codec !== codecs.ext) return sayTo(seat, 'connect', payload)
    const x = {
      session_id: signed.sessionId ?? '',
      device_id: deviceId,
      epoch,
      heartbeat_s: 30,
      limits: toPublishedLimits(limits),
      server: 'lactea'
    }
    connection.send(createFrame(extend(encodeFrame('connect', payload, now()), x)))
  }

  /** At once, since the close of the oldest takes as long as its client likes (contract 2.1, devices). */
  function makeRoom(accountId: number): void {
    const own = gateway.devices.of(accountId).flatMap(({ id }) => seats.get(id) ?? [])
    for (const seat of own.slice(0, Math.max(0, own.length + 1 - limits.im_connections))) {
      seats.delete(seat.deviceId)
      end(seat, 'replaced', CLOSE.replaced)
    }
  }

  function sayTo({ connection, codec }: Line, type: string, payload: object): void {
    connection.send(createFrame(codec.dress(encodeFrame(type, payload, now()))))
  }

  function refuse(line: Line, reason: string): void {
    sayUnauthenticated(line, reason)
    line.connection.close(CLOSE.unauthenticated)
  }

  function sayUnauthenticated(line: Line, reason: string): void {
    const message = say('认证失败', line.language)
    sayTo(line, 'error', { error_code: 'AUTHENTICATION_FAILED', message, details: { reason } })
  }

  function end(line: Line, reason: string, close: CloseReason): void {
    sayTo(line, 'disconnect', { status: 'disconnected', reason })
    ended.add(line.connection)
    line.connection.close(close)
  }

  /** A token ends its connection too (contract 2.1), unless a newer one came. */
  function watchToken(seat: Seat): () => void {
    return watchExpiry({
      clock: gateway.steady,
      expiresAt: () => seat.signed.expiresAt,
      warnS: seat.codec === codecs.ext ? EXPIRING_S : 0,
      onExpiring: (expiresAt) => sayTo(seat, 'auth.expiring', { expires_at: toTimestamp(expiresAt) }),
      onExpired() {
        sayUnauthenticated(seat, '令牌已过期')
        end(seat, 'auth_expired', CLOSE.unauthenticated)
      }
    })
  }

  /** One frame after the other, and none before what was missed is sent. */
  function read(socket: WebSocket, seat: Seat, ready: Promise<void>, gate: Gate): void {
    const { connection, codec, deviceId } = seat
    const { id: accountId } = seat.signed.account
    const tell = (type: string, payload: object): void => sayTo(seat, type, payload)
    const createHandle = (): PersonFrames =>
      createPersonFrames({
        ...seat,
        isExt: codec === codecs.ext,
        isLenient: im.lenient,
        dispatch: (action, params) => gateway.dispatcher.dispatch(action, params, { accountId, deviceId }),
        takeFrame: () => allowances.take('frame', deviceId),
        sync: createSync({ store, connection, gate, codec, viewerId: accountId, epoch, say: tell, now }),
        async renew(token) {
          const signed = await sessions.verify(token)
          if (isFault(signed)) return signed.fault
          if (signed.account.id !== accountId) return '令牌无效'
          seat.signed = signed
          return signed.expiresAt
        },
        end: (reason, close) => end(seat, reason, close),
        onBug: gateway.onError,
        now,
        ticks: clock.ticks
      })
    // Most sockets only listen: what is needed to speak would be a quarter of what each of them takes.
    let handle: PersonFrames | undefined
    readFrames({
      socket,
      isEnded: () => ended.has(connection),
      handle: (text) => ready.then(() => (handle ??= createHandle())(text)),
      onBinary: () => end(seat, 'policy', CLOSE.binary)
    })
  }

  function codecOf(request: FastifyRequest): ImSuiteCodec {
    const protocols = request.headers['sec-websocket-protocol'] ?? ''
    if (queryValue(request, 'ext') === '1' || protocols.split(/ *, */).includes(EXT_PROTOCOL)) return codecs.ext
    const dialect = queryValue(request, 'dialect')
    return dialect === 'data' || dialect === 'legacy' ? codecs[dialect] : codecs.base
  }

  const epoch = await openEpoch(gateway)
  app.decorateRequest('signed', null)
  const unsubscribe = sessions.onEnd((sessionId) => {
    for (const seat of seats.values()) {
      if (seat.signed.sessionId === sessionId) end(seat, 'session_revoked', CLOSE.signedOut)
    }
  })
  app.addHook('onClose', async () => {
    unsubscribe()
    access.close()
    heartbeat.stop()
    await resume.close()
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

/** Names the event log: another one once the database was replaced, so that clients know that their places mean nothing there. */
async function openEpoch({ store }: Gateway): Promise<string> {
  const known = await store.getMeta('epoch')
  if (known !== undefined) return known
  const epoch = createId()
  await store.setMeta('epoch', epoch)
  return epoch
}

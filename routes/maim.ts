import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import type { Envelope } from '../sdk/src/envelope.ts'
import { isObject } from '../sdk/src/message.ts'
import { ApiSession, type AckNote, type Received } from '../sdk/src/session.ts'
import { decodeHeader, readBinary, toBuffer } from '../sdk/src/text.ts'
import { admit as admitAt, PLACES, queryValue, type Identify } from '../src/admission.ts'
import type { Config } from '../src/config.ts'
import type { Gateway } from '../src/gateway.ts'
import { watchAccess } from '../src/net/access.ts'
import { CLOSE, type CloseReason } from '../src/net/close-codes.ts'
import { createConnection, type Connection } from '../src/net/connection.ts'
import { createFrame, type Frame } from '../src/net/frame.ts'
import { FrameBudget } from '../src/net/frame-budget.ts'
import { startHeartbeat } from '../src/net/heartbeat.ts'
import type { BrainOf } from '../src/net/maim-brains.ts'
import type { Listener } from '../src/net/maim-chats.ts'
import { createMaimDispatch, MAX_PLATFORM, saltOf, type MaimKey, type Sender } from '../src/net/maim-dispatch.ts'
import { countIn } from '../src/net/maim-link.ts'
import { createMaimPost } from '../src/net/maim-post.ts'
import { createSeenShelf } from '../src/net/maim-shelf.ts'
import type { MaimStats } from '../src/net/maim-stats.ts'
import { createPlatformNames, MAX_NAMES } from '../src/net/platform-names.ts'
import { createId, createKeyring } from '../src/secrets.ts'

export interface MaimOptions {
  readonly gateway: Gateway
  readonly config: Config
  readonly stats: MaimStats
  readonly brainOf: BrainOf
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose key was shown; null for one that is let in to be told that it is wrong. */
    maimKey: MaimKey | null
  }
}

/** As the real server (contract 2.7). */
const PING_MS = 20_000
/** Less than the 20 s of the real server: whoever is gone is found within 33 s. */
const PONG_MS = 12_000
/** What the client of 0.6.4 takes, and what later ones take (contract 2.7). */
const OLD_MAX_FRAME = 1024 * 1024
const NEW_MAX_FRAME = 104_857_600
/** Ids of clients since 0.6.7 (contract 2.2). */
const NEW_ID = /^(?:msg|custom)_[\da-f]{12}_\d+$/
/** Messages of one connection that are being worked on; then its socket is not read. */
const MAX_PENDING = 256
/** How long what is under way may take when the gateway shuts down. */
const FINISH_MS = 2000
const MAX_UUID = 255

/** What the old library says (contract 2.1). */
const OLD_REFUSAL = { code: 1000, reason: 'Authentication failed: 认证失败' }
const ACCOUNT_OFF = { code: 1008, reason: 'the account of this key is switched off' }
const KEY_VOID = { code: 1008, reason: 'this api_key is not known any more' }
const STRANGERS: readonly { readonly key: string; readonly close: CloseReason; readonly words: string }[] = [
  {
    key: 'post_type',
    close: { code: 1008, reason: 'OneBot is not spoken here; use Milky at / or /event, or a OneBot adapter' },
    words: 'a OneBot client came to the API-Server door of maim_message; bots speak Milky here, at / and /event'
  },
  {
    key: 'message_info',
    close: { code: 1008, reason: 'this door takes API-Server envelopes; for MessageBase connect to /maim/legacy/ws' },
    words:
      'a legacy client of maim_message came to the API-Server door; its door is /maim/legacy/ws, without an api_key'
  }
]

/** One open connection. */
interface Seat extends Sender {
  readonly connection: Connection
}

/** The API-Server protocol of maim_message over native WebSocket (contract 2, 9). */
export async function maim(app: FastifyInstance, { gateway, config, stats, brainOf }: MaimOptions): Promise<void> {
  const { store, hub, devices, onError, now, clock } = gateway
  const { limits, maim: settings } = config
  const door = stats.api
  const log = gateway.log.child({ door: 'maim-api' })
  let { keys, keyring } = createKeys(settings.keys)
  gateway.onConfigChange(() => ({ keys, keyring } = createKeys(settings.keys)))
  const heartbeat = startHeartbeat({ periodMs: PING_MS, pongMs: PONG_MS })
  const access = watchAccess(gateway)
  const shelf = createSeenShelf({ ticks: clock.ticks })
  const post = createMaimPost({ store, hub, brainOf, stats, limits, log, now, onError })
  const names = createPlatformNames()
  const dispatch = createMaimDispatch({
    findKey: (apiKey) => keys.get(apiKey),
    post,
    names,
    brainOf,
    stats: door,
    log,
    onError
  })
  const count = countIn(door)
  /** By account and the `x-uuid` that the client named. */
  const seats = new Map<string, Seat>()
  const connectionsOf = new Map<number, number>()
  let lastFrame = createFrame('')

  /** One message goes to several connections, one after the other. */
  function frameOf(text: string): Frame {
    if (lastFrame.text !== text) lastFrame = createFrame(text)
    return lastFrame
  }

  /** Decided in the handshake, before anything is read: what comes after it could be delivered otherwise (contract 2.1). */
  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const refuse = (status: number, message: string): FastifyReply =>
      reply.code(status).send({ status: 'failed', retcode: -status, message })
    if (!request.ws) {
      void reply.header('upgrade', 'websocket')
      return refuse(426, 'this address speaks WebSocket: the API-Server protocol of maim_message')
    }
    const { who: key, why } = await admitAt(request, 'maim-api', identify)
    const wait = key ? app.budgets.http(request, `maim ${key.account}`) : await app.budgets.upgrade(request)
    if (wait !== undefined) {
      void reply.header('retry-after', wait)
      return refuse(429, `too many connections; try again in ${wait} s`)
    }
    if (platformOf(request).length > MAX_PLATFORM) return refuse(400, `platform: at most ${MAX_PLATFORM} letters`)
    if (key && why === undefined) {
      if (!names.admit(key.account, platformOf(request)))
        return refuse(400, `platform: this account has ${MAX_NAMES} names already`)
      request.maimKey = key
    }
    if (why === undefined || settings.auth_reject === 'close1000') return undefined
    door.refused++
    return refuse(401, why === 'off' ? ACCOUNT_OFF.reason : describeRefusal(request))
  }

  const identify: Identify<MaimKey> = async (tokens) => {
    const key = keyring.find(tokens)
    return key && { who: key, isOff: !(await isAccountOn(key.account)) }
  }

  /** Why who came in with this key has to go; one whose settings are others comes back by itself. */
  async function findEnd(key: MaimKey): Promise<CloseReason | undefined> {
    if (!(await isAccountOn(key.account))) return ACCOUNT_OFF
    const current = keys.get(key.api_key)
    if (current?.account !== key.account) return KEY_VOID
    return current === key || isDeepStrictEqual(current, key) ? undefined : CLOSE.restart
  }

  const isAccountOn = async (id: number): Promise<boolean> => (await store.findAccount(id))?.isDisabled === false

  function open(socket: WebSocket, request: FastifyRequest): void {
    const { maimKey: key } = request
    const isCompressed = socket.extensions.includes('permessage-deflate')
    const connection = createConnection({
      socket,
      // Frames that are written as they are would not be compressed.
      ...(!isCompressed && { stream: request.raw.socket }),
      maxQueuedBytes: limits.connection_buffer + Math.max(limits.maim_frame, key?.max_frame ?? 0),
      onError: (err) => log.debug({ err }, 'socket error'),
      onSlow: () => log.warn({ account: key?.account }, 'a maim client reads too slowly, its socket is closed')
    })
    if (key) return enter(socket, connection, request, key)
    door.refused++
    connection.close(OLD_REFUSAL)
  }

  function enter(socket: WebSocket, connection: Connection, request: FastifyRequest, key: MaimKey): void {
    const { account: accountId } = key
    const platform = platformOf(request)
    const named = uuidOf(request)
    const uuid = named ?? createId()
    const place = `${accountId} ${uuid}`
    const end = (reason: CloseReason): void => connection.close(reason)
    const tellEnd = async (): Promise<void> => end((await findEnd(key)) ?? CLOSE.restart)
    let maxFrame = key.max_frame ?? Math.min(OLD_MAX_FRAME, limits.maim_frame)
    const line: Listener = {
      apiKey: key.api_key,
      notices: key.notices,
      maxFrame: () => maxFrame,
      send(text) {
        if (!connection.isOpen()) return false
        connection.send(frameOf(text))
        return true
      },
      isBusy: () => connection.queuedBytes() > limits.connection_buffer / 2,
      drained: connection.drained
    }
    const seat: Seat = { accountId, platform, uuid, key, line, connection, salt: saltOf(accountId, platform, uuid) }
    const visit = post.enter({ accountId, platform }, line, key.chats)
    const { seen, giveBack } = shelf.take(`${accountId} ${platform} ${uuid}`)
    const deviceId = createId()

    const reading = read(socket, seat, (envelope) => {
      if (key.max_frame === null && typeof envelope.msg_id === 'string' && NEW_ID.test(envelope.msg_id))
        maxFrame = Math.min(NEW_MAX_FRAME, limits.maim_frame)
    })
    const session = new ApiSession({
      side: 'server',
      uuid,
      line,
      outbox: visit.outbox,
      seen,
      count,
      onMessage: (received) => reading.take(received),
      onPending: (pending) => reading.onPending(pending),
      onError: (err) => log.warn({ err, account: accountId, platform }, 'a maim message could not be taken')
    })
    reading.start(session)

    const replaced = seats.get(place)
    seats.set(place, seat)
    door.connections++
    countUser(accountId, 1)
    const undo = [
      hub.attach({
        viewerId: accountId,
        receive: ({ kind }) => kind === 'account.disabled' && end(ACCOUNT_OFF)
      }),
      access.watch({
        mayStay: async () => (await findEnd(key)) === undefined,
        end: () => void tellEnd().catch(onError)
      }),
      heartbeat.watch(socket, { stream: request.raw.socket }),
      key.chats ? devices.add({ id: deviceId, accountId, kind: 'bot' }) : () => {},
      () => app.farewells.delete(socket)
    ]
    app.farewells.set(socket, async () => {
      await Promise.race([reading.finish(), delay(FINISH_MS, undefined, { ref: false })])
      end(CLOSE.restart)
    })
    log.info({ account: accountId, platform, uuid }, 'maim client connected')
    socket.once('close', (code: number) => {
      for (const step of undo) step()
      session.close()
      visit.leave(code)
      giveBack()
      if (seats.get(place) === seat) seats.delete(place)
      door.connections--
      countUser(accountId, -1)
      log.info({ account: accountId, platform, uuid, code }, 'maim client disconnected')
    })
    // It is closed last, so that the road does not become empty in between.
    if (replaced) replaced.connection.close(CLOSE.taken)
    // While it came in, its account may have been switched off, and told to those who were there.
    findEnd(key)
      .then((reason) => reason && end(reason))
      .catch(onError)
  }

  /** Reads the frames of a connection, as fast as it is good for everybody. */
  function read(socket: WebSocket, seat: Seat, look: (envelope: Envelope) => void) {
    const { connection } = seat
    const budget = new FrameBudget(socket, limits.frame_rate)
    let pending = 0
    let isFinishing = false
    let onIdle = (): void => {}

    return {
      take(received: Received): AckNote | Promise<AckNote> {
        const { envelope } = received
        look(envelope)
        const stranger = findStranger(envelope)
        if (stranger) {
          log.warn({ account: seat.accountId, platform: seat.platform }, stranger.words)
          connection.close(stranger.close)
          return undefined
        }
        return dispatch(seat, received)
      },
      onPending(count: number) {
        if (count === MAX_PENDING) budget.hold()
        else if (count === MAX_PENDING - 1 && pending === MAX_PENDING) budget.release()
        pending = count
        if (count === 0) onIdle()
      },
      start(session: ApiSession) {
        socket.on('message', (data, isBinary) => {
          // What still comes after the close is not acknowledged, so whoever cares sends it again.
          if (isFinishing || !connection.isOpen()) return
          budget.take()
          const text = isBinary ? readBinary(toBuffer(data)) : String(data)
          if (text === undefined) return connection.close(CLOSE.binary)
          session.receive(text)
        })
      },
      finish(): Promise<void> {
        isFinishing = true
        return pending === 0 ? Promise.resolve() : new Promise((resolve) => (onIdle = resolve))
      }
    }
  }

  function countUser(accountId: number, change: number): void {
    const connections = (connectionsOf.get(accountId) ?? 0) + change
    if (connections > 0) connectionsOf.set(accountId, connections)
    else connectionsOf.delete(accountId)
    door.users = connectionsOf.size
  }

  app.decorateRequest('maimKey', null)
  app.addHook('onClose', async () => {
    access.close()
    heartbeat.stop()
    await post.close()
  })
  for (const [url, constraints] of [
    ['/maim/ws', {}],
    ['/ws', { speech: 'maim-api' }],
    ['/ws/', { speech: 'maim-api' }]
  ] as const) {
    app.route({
      method: 'GET',
      url,
      constraints,
      onRequest: admit,
      config: { maxFrame: limits.maim_frame, compress: settings.compress },
      handler: (_request, reply) => reply.code(426).send(),
      wsHandler: open
    })
  }
}

function createKeys(configured: readonly MaimKey[]) {
  return {
    keys: new Map(configured.map((key) => [key.api_key, key])),
    keyring: createKeyring(configured.map((key) => [key.api_key, key] as const))
  }
}

function platformOf(request: FastifyRequest): string {
  return queryValue(request, 'platform') ?? (decodeHeader(request.headers['x-platform']) || 'unknown')
}

function uuidOf(request: FastifyRequest): string | undefined {
  const uuid = decodeHeader(request.headers['x-uuid'])
  return uuid && uuid.length <= MAX_UUID ? uuid : undefined
}

function describeRefusal(request: FastifyRequest): string {
  if (PLACES['maim-api'](request).length > 0)
    return 'this api_key is not known: it has to stand under maim.keys in the configuration'
  return 'no api_key: connect with ?api_key=<key>&platform=<name>, or the headers x-apikey and x-platform'
}

/** Who speaks another language in here, and does not know it (contract 6.9). */
function findStranger(envelope: Envelope): (typeof STRANGERS)[number] | undefined {
  if ('type' in envelope || !isObject(envelope)) return undefined
  return STRANGERS.find(({ key }) => key in envelope)
}

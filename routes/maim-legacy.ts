import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import { createCustomMessage } from '../sdk/src/custom.ts'
import {
  DEFAULT_PLATFORM,
  encodeLegacy,
  LEGACY_CLOSE,
  LEGACY_MAX_FRAME,
  readLegacy
} from '../sdk/src/legacy-session.ts'
import { isObject, MessageBase, MessageError } from '../sdk/src/message.ts'
import { decodeHeader } from '../sdk/src/text.ts'
import { admit as admitAt, PLACES, type Found } from '../src/admission.ts'
import type { Config } from '../src/config.ts'
import type { Gateway } from '../src/gateway.ts'
import { watchAccess } from '../src/net/access.ts'
import { CLOSE } from '../src/net/close-codes.ts'
import { createConfirmedPush, type ConfirmedPush } from '../src/net/confirmed-push.ts'
import { createConnection, type Connection } from '../src/net/connection.ts'
import { createFrame } from '../src/net/frame.ts'
import { FrameBudget } from '../src/net/frame-budget.ts'
import type { BrainOf } from '../src/net/maim-brains.ts'
import type { Hearer } from '../src/net/maim-hearer.ts'
import { createLegacyPost, type Mailbox } from '../src/net/maim-legacy-post.ts'
import type { MaimStats } from '../src/net/maim-stats.ts'
import { createPlatformNames, MAX_NAMES } from '../src/net/platform-names.ts'
import type { TellOptions } from '../src/net/maim-teller.ts'
import { isOwnMessage } from '../src/net/serve.ts'
import { findStranger, type Stranger } from '../src/protocols/maim-strangers.ts'
import { createId, createKeyring, type Keyring } from '../src/secrets.ts'

export interface MaimLegacyOptions {
  readonly gateway: Gateway
  readonly config: Config
  readonly stats: MaimStats
  readonly brainOf: BrainOf
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who comes to the legacy door; null when it is nobody who may. */
    legacyPeer: Peer | null
  }
}

/** Somebody with a good token, or who needs none. */
interface Peer {
  readonly platform: string
  /** The bot that the token speaks for. */
  readonly accountId?: number
  /** There when it hears and speaks in the chats of that bot. */
  readonly push?: ConfirmedPush
  /** Whether its token still opens the same. */
  readonly mayStay: () => Promise<boolean>
}

/** What a token opens. */
interface Grant {
  readonly accountId?: number
  readonly chats: boolean
  readonly tell: Pick<TellOptions, 'maxBytes' | 'notices'>
}

interface Seat extends Peer {
  readonly ip: string
  readonly address: string
  readonly connection: Connection
  readonly mailbox: Mailbox
  /** Ends what the connection has begun; the second call does nothing. */
  readonly leave: (code: number) => void
  /** Ends when everything that it has said so far is said. */
  spoken: Promise<void>
}

/** Longest name of a platform, in letters. */
const MAX_PLATFORM = 200
/** Messages of one peer that are worked on at a time; then its socket is not read. */
const MAX_PENDING = 64
/** How often the other side may go away over one event until it is given up. */
const MAX_DEATHS = 5
/** When something that a brain says is tried again; then it is given up. */
const TRY_AGAIN_MS = [1000, 3000, 9000]
/** How long what brains have said may take when the gateway shuts down. */
const FINISH_MS = 3000
/** How long a peer may take to confirm what has arrived when the gateway shuts down. */
const FAREWELL_MS = 500
/** Names under which brains have come whose places in the log are at hand. */
const MAX_PUSHES = 1000
/** Addresses that are remembered for having been warned about. */
const MAX_WARNED = 1000

/**
 * The legacy protocol of maim_message: peers are known by the name of their platform, and messages go to whoever bears the
 * name in them, as they were written. Who shows the key of a bot is its brain (contract 1, 5, 9).
 */
export async function maimLegacy(app: FastifyInstance, options: MaimLegacyOptions): Promise<void> {
  const { gateway, config, brainOf } = options
  const { store, hub, heartbeat, devices, onError, now } = gateway
  const { limits, maim, server } = config
  const stats = options.stats.legacy
  const log = gateway.log.child({ door: 'maim-legacy' })
  const access = watchAccess(gateway)
  // What comes behind the largest message must not count as too much.
  const maxQueuedBytes = (): number => limits.connection_buffer + limits.maim_legacy_frame
  const keepS = limits.maim_keep_time / 1000
  const names = createPlatformNames()
  const post = createLegacyPost({
    mail: store,
    stats,
    keepS,
    keepCount: limits.maim_keep_count,
    keepBytes: limits.maim_keep_bytes,
    get maxQueuedBytes() {
      return maxQueuedBytes()
    },
    now,
    onError
  })
  let keyring = createGrants(maim)
  gateway.onConfigChange(() => (keyring = createGrants(maim)))
  const seats = new Map<string, Seat>()
  /** By account and platform: two connections must not have two ideas of what was told. */
  const pushes = new Map<string, { readonly push: Promise<ConfirmedPush>; tell: Grant['tell'] }>()
  /** What brains say that is not said yet. */
  const speaking = new Set<Promise<void>>()
  const warned = new Set<string>()

  /** Once for each address and reason: who is refused comes back every two seconds. */
  function warnOnce(
    address: string,
    words: string,
    fields: { readonly why?: string; readonly platform?: string } = {}
  ) {
    const key = `${address} ${words} ${fields.why}`
    if (warned.has(key)) return
    if (warned.size >= MAX_WARNED) warned.clear()
    warned.add(key)
    log.warn({ address, ...fields }, words)
  }

  const identify = async (tokens: readonly string[]): Promise<Found<Grant> | undefined> => {
    const grant = keyring.find(tokens)
    if (grant) return { who: grant, isOff: grant.accountId !== undefined && !(await isOn(grant.accountId)) }
    // A key that is mistyped must not come in as a stranger who hears nothing.
    const isBare = maim.legacy_tokens.length === 0 && (tokens.length === 0 || maim.keys.length === 0)
    return isBare ? { who: NO_ACCOUNT, isBare } : undefined
  }

  async function stillOpens(tokens: readonly string[], grant: Grant): Promise<boolean> {
    const found = await identify(tokens)
    return found !== undefined && !found.isOff && isDeepStrictEqual(found.who, grant)
  }

  const isOn = async (accountId: number): Promise<boolean> => (await store.findAccount(accountId))?.isDisabled === false

  /** Before the upgrade, so that nothing is read meanwhile; the refusal itself comes after it (contract 1.1). */
  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    if (!request.ws) {
      const message = 'this address speaks WebSocket: the legacy protocol of maim_message'
      return reply.code(426).header('upgrade', 'websocket').send({ status: 'failed', retcode: -426, message })
    }
    const { headers } = request
    const platform = decodeHeader(headers['platform']) || DEFAULT_PLATFORM
    const { who: grant, why } = await admitAt(request, 'maim-legacy', identify, server.allowed_origins)
    if (!grant || why !== undefined) {
      stats.refused++
      const waitS = await app.budgets.upgrade(request)
      if (waitS === undefined) return undefined
      const message = `too many requests; try again in ${waitS} s`
      return reply.code(429).header('retry-after', waitS).send({ status: 'failed', retcode: -429, message })
    }
    const { accountId } = grant
    if (platform.length <= MAX_PLATFORM && !names.admit(accountId ?? 0, platform)) {
      const message = `platform: there are ${MAX_NAMES} names already`
      return reply.code(400).send({ status: 'failed', retcode: -400, message })
    }
    const tokens = PLACES['maim-legacy'](request)
    request.legacyPeer = {
      platform,
      mayStay: () => stillOpens(tokens, grant),
      ...(accountId !== undefined && { accountId }),
      ...(accountId !== undefined &&
        grant.chats &&
        platform.length <= MAX_PLATFORM && { push: await pushOf(accountId, platform, grant.tell) })
    }
    return undefined
  }

  function pushOf(accountId: number, platform: string, tell: Grant['tell']): Promise<ConfirmedPush> {
    const cursor = cursorOf(accountId, platform)
    const known = pushes.get(cursor)
    if (known) {
      known.tell = tell
      return known.push
    }
    const { teller } = brainOf(accountId)
    const push = createConfirmedPush({
      store,
      hub,
      heartbeat,
      accountId,
      cursor,
      // What is too old for who was away is passed over.
      wants: (event) => !isOwnMessage(event, accountId) && event.time >= now() - keepS,
      async encode(event) {
        try {
          const message = await teller.tell(event, { platform, ...(pushes.get(cursor)?.tell ?? tell) })
          if (message) stats.sent++
          return message && encodeLegacy(message)
        } catch (err) {
          stats.dropped['not told']++
          throw err
        }
      },
      onPoison(eventId) {
        stats.dropped['too large']++
        log.warn({ platform, event: eventId }, 'the peer went away each time it was told this event; it is left out')
      },
      maxDeaths: MAX_DEATHS,
      onError
    })
    pushes.set(cursor, { push, tell })
    push.catch(() => pushes.delete(cursor))
    forgetPushes()
    return push
  }

  /** Names are chosen by those who come; of the many that one may have had, only the places in the log stay. */
  function forgetPushes(): void {
    if (pushes.size <= MAX_PUSHES) return
    const seated = new Set([...seats.values()].map(({ accountId, platform }) => cursorOf(accountId, platform)))
    for (const cursor of pushes.keys()) {
      if (pushes.size <= MAX_PUSHES) return
      if (!seated.has(cursor)) pushes.delete(cursor)
    }
  }

  function open(socket: WebSocket, request: FastifyRequest): void {
    const isCompressed = socket.extensions.includes('permessage-deflate')
    const connection = createConnection({
      socket,
      // Frames that are written as they are would not be compressed.
      ...(!isCompressed && { stream: request.raw.socket }),
      maxQueuedBytes: maxQueuedBytes(),
      onError: (err) => log.debug({ err }, 'socket error'),
      onSlow: () => log.warn({ address: request.ip }, 'the peer reads too slowly, its socket is closed')
    })
    const isOneBot = ONEBOT_HEADERS.some((name) => request.headers[name] !== undefined)
    if (isOneBot) return sendAway(connection, request.ip, findStranger({ post_type: '' }))
    const peer = request.legacyPeer
    if (peer && peer.platform.length > MAX_PLATFORM)
      return connection.close({ code: 1008, reason: `platform: at most ${MAX_PLATFORM} letters` })
    if (peer) return enter(socket, connection, request, peer)
    warnOnce(request.ip, 'a peer was refused: its token is missing, or known neither as a token nor as a key')
    connection.close(LEGACY_CLOSE.unauthenticated)
  }

  /** Tells somebody who speaks another protocol where they are. */
  function sendAway(connection: Connection, address: string, stranger: Stranger | undefined): void {
    if (!stranger) return
    warnOnce(address, stranger.message)
    const { message, reason } = stranger
    connection.send(createFrame(JSON.stringify({ status: 'failed', retcode: 1400, message })))
    connection.close({ code: 1008, reason })
  }

  function enter(socket: WebSocket, connection: Connection, request: FastifyRequest, peer: Peer): void {
    const { platform, accountId, push } = peer
    const stream = request.raw.socket
    const address = `${request.ip}:${stream.remotePort}`
    const old = seats.get(platform)
    if (old) {
      log.warn(
        { platform, address, old: old.address },
        'two peers bear the name of one platform: the newer takes the place of the older; give each its own'
      )
      old.leave(LEGACY_CLOSE.replaced.code)
      old.connection.close(LEGACY_CLOSE.replaced)
    }
    const mailbox = post.open(platform, socket, connection)
    const undo = [
      mailbox.close,
      ...(push ? [push.open(socket, connection, stream)] : [heartbeat.watch(socket, { stream })]),
      access.watch({
        mayStay: peer.mayStay,
        end: () => connection.close(CLOSE.unauthenticated)
      }),
      ...(accountId === undefined ? [] : attend(accountId, connection, Boolean(push))),
      () => void app.farewells.delete(socket)
    ]
    let isIn = true
    const seat: Seat = {
      ...peer,
      ip: request.ip,
      address,
      connection,
      mailbox,
      spoken: Promise.resolve(),
      leave(code) {
        if (!isIn) return
        isIn = false
        for (const step of undo) step(code)
        stats.connections--
        if (seats.get(platform) === seat) seats.delete(platform)
        stats.users = seats.size
        log.info({ platform, address, code }, 'peer disconnected')
      }
    }
    seats.set(platform, seat)
    stats.connections++
    stats.users = seats.size
    log.info({ platform, address, ...(accountId !== undefined && { bot: accountId }) }, 'peer connected')
    socket.once('close', seat.leave)
    app.farewells.set(socket, () => Promise.race([mailbox.confirmed(), delay(FAREWELL_MS, undefined, { ref: false })]))
    read(socket, seat)
  }

  /** What lasts as long as a connection that speaks for an account. */
  function attend(accountId: number, connection: Connection, isBrain: boolean): (() => void)[] {
    const end = (): void => connection.close(CLOSE.unauthenticated)
    return [
      hub.attach({
        viewerId: accountId,
        receive(event) {
          if (event.kind === 'account.disabled' && event.data.accountId === accountId) end()
        }
      }),
      ...(isBrain ? [devices.add({ id: createId(), accountId, kind: 'bot' })] : [])
    ]
  }

  function read(socket: WebSocket, seat: Seat): void {
    const { connection, platform, ip } = seat
    const budget = new FrameBudget(socket, limits.frame_rate)
    readLegacy({
      socket,
      flow: budget,
      maxPending: MAX_PENDING,
      isOpen: () => connection.isOpen(),
      close: (reason) => connection.close(reason),
      onFrame: () => budget.take(),
      onUnreadable: (why) => log.debug({ platform, why }, 'a frame was passed over'),
      onError,
      onMessage({ fields, text }) {
        stats.received++
        const { message_info: info } = fields
        if (info === undefined) {
          const stranger = findStranger(fields)
          if (stranger) return sendAway(connection, ip, stranger)
        }
        const target = isObject(info) ? nameFrom(info['platform']) : undefined
        if (seat.push && (target === undefined || target === platform)) return speak(seat, fields)
        return route(seat, target, 'message_info.platform', text)
      },
      onCustomMessage(custom, text) {
        stats.received++
        return route(seat, nameFrom(custom.platform), 'platform', text)
      }
    })
  }

  /** As it was written, to whoever bears the name. */
  function route(seat: Seat, target: string | undefined, field: string, text: string): void | Promise<void> {
    if (target === undefined || target.length > MAX_PLATFORM) return refuse(seat, `${field}: names nobody`)
    if (target === seat.platform) return refuse(seat, `${field}: names nobody but the sender`)
    return post.send(target, text)
  }

  function refuse({ platform, ip }: Seat, why: string): void {
    stats.undeliverable++
    warnOnce(ip, 'what a peer said could not be delivered', { platform, why })
  }

  /** In the order in which it was said, one after the other. */
  function speak(seat: Seat, fields: object): Promise<void> {
    const spoken = seat.spoken
      .then(() => say(seat, fields))
      .catch((err: unknown) => {
        onError(err)
        refuse(seat, 'it could not be said, however often it was tried')
      })
      .finally(() => speaking.delete(spoken))
    speaking.add(spoken)
    seat.spoken = spoken
    return spoken
  }

  async function say(seat: Seat, fields: object): Promise<void> {
    const { platform, accountId = 0 } = seat
    let message: MessageBase
    try {
      message = MessageBase.from(fields)
    } catch (err) {
      if (err instanceof MessageError) return refuse(seat, err.message)
      throw err
    }
    const { answers, undeliverable } = await hearAtLast(brainOf(accountId).hearer, message)
    if (undeliverable !== undefined) refuse(seat, undeliverable)
    for (const { name, content } of answers)
      await post.send(platform, encodeLegacy(createCustomMessage(platform, name, content)))
  }

  function nameFrom(value: unknown): string | undefined {
    if (typeof value === 'number') return String(value)
    return typeof value === 'string' && value !== '' ? value : undefined
  }

  app.decorateRequest('legacyPeer', null)
  app.stops.add(async () => {
    await Promise.race([Promise.all(speaking), delay(FINISH_MS, undefined, { ref: false })])
  })
  app.addHook('onClose', async () => {
    access.close()
    await post.settled()
    for (const { push } of pushes.values()) await (await push).settled()
  })
  for (const constraints of [undefined, { speech: 'maim-legacy' }]) {
    for (const url of constraints ? ['/ws', '/ws/'] : ['/maim/legacy/ws', '/maim/legacy/ws/']) {
      app.route({
        method: 'GET',
        url,
        ...(constraints && { constraints }),
        onRequest: admit,
        config: { maxFrame: limits.maim_legacy_frame, compress: maim.compress },
        handler: (_request, reply) => reply.code(426).send(),
        wsHandler: open
      })
    }
  }
}

function createGrants({ legacy_tokens: tokens, keys }: Config['maim']): Keyring<Grant> {
  return createKeyring<Grant>([
    ...tokens.map((token) => [token, NO_ACCOUNT] as const),
    ...keys.map(
      ({ api_key: key, account: accountId, chats, max_frame: maxFrame, notices }) =>
        [key, { accountId, chats, tell: { maxBytes: maxFrame ?? LEGACY_MAX_FRAME, notices } }] as const
    )
  ])
}

/** A token that stands for no bot. */
const NO_ACCOUNT: Grant = { chats: false, tell: { maxBytes: LEGACY_MAX_FRAME } }

/** The name under which a brain's place in the log is kept. */
const cursorOf = (accountId: number | undefined, platform: string): string => `maim:legacy:${accountId}:${platform}`

/** What OneBot clients send along with the handshake. */
const ONEBOT_HEADERS = ['x-self-id', 'x-client-role']

/** The sender hears of no failure and does not try again, so it is tried again here. */
async function hearAtLast(hearer: Hearer, message: MessageBase): ReturnType<Hearer['hear']> {
  for (const waitMs of TRY_AGAIN_MS) {
    try {
      return await hearer.hear(message, { key: undefined })
    } catch {
      await delay(waitMs, undefined, { ref: false })
    }
  }
  return hearer.hear(message, { key: undefined })
}

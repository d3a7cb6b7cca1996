import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  admitBot,
  createTenure,
  findPreflightRefusal,
  isRefusal,
  MALFORMED_SINCE,
  refuseBot,
  type IdentifyBot
} from '../plugins/auth.ts'
import { allowOrigin, permitCall } from '../plugins/cors.ts'
import { findStart, type Start } from '../plugins/since.ts'
import type { Config } from '../src/config.ts'
import type { Gateway } from '../src/gateway.ts'
import { watchAccess } from '../src/net/access.ts'
import { openBotSocket, watchTenure } from '../src/net/bot-socket.ts'
import { openEventStream, type EventStream } from '../src/net/event-stream.ts'
import { createFollower, type Follower } from '../src/net/follower.ts'
import { FrameBudget } from '../src/net/frame-budget.ts'
import { isOwnMessage } from '../src/net/serve.ts'
import { createTurnstile } from '../src/net/turnstile.ts'
import { withCursor } from '../src/protocols/cursor-codec.ts'
import { createMilkyCodec } from '../src/protocols/milky-events.ts'
import { createId } from '../src/secrets.ts'

export interface MilkyEventOptions {
  readonly gateway: Gateway
  readonly identifyBot: IdentifyBot
  readonly config: Config
}

/** How often a stream on which nothing happens says that it lives (contract 3.3). */
const BEAT_MS = 15_000

/** Events of Milky 1.2 at `/event` (contract 2.2): with an upgrade a WebSocket, else Server-Sent Events. Nothing is asked here. */
export async function milkyEvent(
  app: FastifyInstance,
  { gateway, identifyBot, config }: MilkyEventOptions
): Promise<void> {
  const { hub, devices, heartbeat, store, onError } = gateway
  const { limits, server } = config
  const codec = createMilkyCodec(gateway.links.absoluteLinkOf, limits.group_members)
  const cursorCodec = withCursor(codec)
  const turnstile = createTurnstile()
  const access = watchAccess(gateway)
  const streams = new Set<EventStream>()
  let isStopping = false
  // One for all of them.
  const beat = setInterval(() => streams.forEach((stream) => stream.beat()), BEAT_MS)
  beat.unref()

  /** Decided in the handshake: a client whose token is wrong is never let in to be thrown out. */
  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const bot = await admitBot(request, {
      app,
      identifyBot,
      wrongToken: 401,
      allowedOrigins: server.allowed_origins,
      isHandshake: true
    })
    if (!(isRefusal(bot) && bot.isIntrusion)) allowOrigin(request, reply)
    if (isRefusal(bot)) return refuseBot(request, reply, bot)
    if (bot.isDisabled) return refuseBot(request, reply, { status: 401, sentence: 'this bot is switched off' })
    if (isStopping) return refuseBot(request, reply, { status: 503, sentence: 'the gateway shuts down' })
    const start = await findStart(request, reply, { store, position: hub.position })
    if (start === 'malformed') return refuseBot(request, reply, MALFORMED_SINCE)
    request.botId = bot.accountId
    request.start = start
    return undefined
  }

  /** Gives the stream what happens, from where the reader was before it was cut off, or else from now on. */
  function openStream(request: FastifyRequest, reply: FastifyReply): void {
    const accountId = request.botId
    const log = gateway.log.child({ door: 'milky-sse', bot: accountId })
    let isCaughtUp = false
    const follower = createFollower({
      store,
      hub,
      accountId,
      from: request.start?.from ?? hub.position(),
      wants: (event) => !isOwnMessage(event, accountId) || gateway.reportsSelf(accountId),
      onCaughtUp: () => (isCaughtUp = true),
      onError
    })
    const stream = openEventStream({
      response: reply.raw,
      headers: reply.getHeaders(),
      maxQueuedBytes: limits.connection_buffer,
      onSlow: () => log.warn('the bot reads too slowly, its stream is cut off'),
      onClose() {
        streams.delete(stream)
        follower.close()
        leave()
        unwatch()
        log.info('bot disconnected')
      }
    })
    const leave = devices.add({ id: createId(), accountId, kind: 'bot' })
    const unwatch = watchTenure(createTenure(request, { access, store, identifyBot, onError }), stream.end)
    streams.add(stream)
    log.info('bot connected')
    // A long absence must not look like a slow reader; for what happens now nobody waits.
    void push(follower, stream, accountId, () => (isCaughtUp ? undefined : stream.drained())).catch(onError)
  }

  async function push(
    follower: Follower,
    stream: EventStream,
    accountId: number,
    rest: () => Promise<void> | undefined
  ): Promise<void> {
    for (let event = await follower.next(); event; event = await follower.next()) {
      const data = codec.encodeEvent(event, accountId)
      if (data !== undefined) stream.send({ event: 'milky_event', id: String(event.id), data })
      // Whoever is switched off hears of it, and nothing after it.
      if (event.kind === 'account.disabled') return stream.end()
      await rest()
    }
  }

  app.decorateRequest('botId', 0)
  app.decorateRequest<Start | undefined, 'start'>('start', undefined)
  app.stops.add(async () => {
    isStopping = true
    clearInterval(beat)
    for (const stream of streams) stream.end()
  })
  app.addHook('onClose', async () => access.close())

  app.route({
    method: 'GET',
    url: '/event',
    // It would open a stream that nobody reads.
    exposeHeadRoute: false,
    onRequest: admit,
    config: { maxFrame: limits.milky_frame },
    handler(request, reply) {
      reply.hijack()
      // Who has gone meanwhile is not told of a second time.
      if (!reply.raw.destroyed) openStream(request, reply)
    },
    wsHandler(socket, request) {
      const accountId = request.botId
      openBotSocket({
        socket,
        stream: request.raw.socket,
        accountId,
        deviceId: createId(),
        codec: request.start?.tellsCursor ? cursorCodec : codec,
        from: request.start?.from ?? hub.position(),
        store,
        turnstile,
        reportsSelf: () => gateway.reportsSelf(accountId),
        maxQueuedBytes: limits.connection_buffer,
        hub,
        devices,
        heartbeat,
        tenure: createTenure(request, { access, store, identifyBot, onError }),
        log: gateway.log,
        door: 'milky-event'
      })
      // Some clients send frames of their own, such as a heartbeat; nobody answers, but a flood is read slowly.
      const budget = new FrameBudget(socket, limits.frame_rate)
      socket.on('message', () => budget.take())
    }
  })

  app.options('/event', async (request, reply) => {
    const refusal = await findPreflightRefusal(request, { identifyBot, allowedOrigins: server.allowed_origins })
    return refusal ? refuseBot(request, reply, refusal) : permitCall(request, reply, 'GET')
  })
}

import { resolve, join } from 'node:path'
import underPressure from '@fastify/under-pressure'
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance, type FastifyReply } from 'fastify'
import { createBotAuth, type IdentifyBot } from '../plugins/auth.ts'
import errors, { answerClientError } from '../plugins/errors.ts'
import { createListeners, putBehind, type Address, type Listeners } from '../plugins/listeners.ts'
import metricsPlugin from '../plugins/metrics.ts'
import { startMilkyReverse } from '../plugins/milky-reverse.ts'
import { startMilkyWebhook } from '../plugins/milky-webhook.ts'
import operatorsPlugin from '../plugins/operators.ts'
import people from '../plugins/people.ts'
import rateLimit from '../plugins/rate-limit.ts'
import { constraints } from '../plugins/speech.ts'
import stops from '../plugins/stops.ts'
import websocket from '../plugins/websocket.ts'
import { admin } from '../routes/admin.ts'
import { adminAccounts } from '../routes/admin-accounts.ts'
import { adminWebhooks } from '../routes/admin-webhooks.ts'
import { frontPage } from '../routes/front-page.ts'
import { health } from '../routes/health.ts'
import { imSuiteAuth } from '../routes/imsuite-auth.ts'
import { imSuiteCalls } from '../routes/imsuite-calls.ts'
import { imSuiteChats } from '../routes/imsuite-chats.ts'
import { imSuiteContacts } from '../routes/imsuite-contacts.ts'
import { imSuiteGroupFiles } from '../routes/imsuite-group-files.ts'
import { imSuiteMembers } from '../routes/imsuite-members.ts'
import { imSuiteMessages } from '../routes/imsuite-messages.ts'
import { imSuiteNotes } from '../routes/imsuite-notes.ts'
import { imSuiteNotices } from '../routes/imsuite-notices.ts'
import { imSuiteRequests } from '../routes/imsuite-requests.ts'
import { imSuiteFiles } from '../routes/imsuite-files.ts'
import { imSuiteSocket } from '../routes/imsuite-socket.ts'
import { imSuiteUsers } from '../routes/imsuite-users.ts'
import { maimLegacy } from '../routes/maim-legacy.ts'
import { maim } from '../routes/maim.ts'
import { metrics } from '../routes/metrics.ts'
import { milkyApi } from '../routes/milky-api.ts'
import { milkyEvent } from '../routes/milky-event.ts'
import { milkySocket } from '../routes/milky-socket.ts'
import { pages } from '../routes/pages.ts'
import { wsLost } from '../routes/ws-lost.ts'
import { createMemoryBus } from './bus/memory.ts'
import { findWarnings, isLoopback, maskUrl, secretsOf, toOrigin, type Config, type ConfigChange } from './config.ts'
import type { Clock } from './core/clock.ts'
import { openBlobs } from './files/blobs.ts'
import { welcome, type Welcome } from './first-start.ts'
import { createGateway, type Gateway } from './gateway.ts'
import { createForeignIssuer, type ForeignIssuer } from './jwks.ts'
import { createLiveConfig, type LiveConfig } from './live-config.ts'
import { tellTrouble, type RootLogger } from './log.ts'
import type { BrainOf } from './net/maim-brains.ts'
import { createMaimStats, type MaimStats } from './net/maim-stats.ts'
import { createStandstillCheck, LOOK_EVERY_MS } from './net/standstill.ts'
import { createTargets, type TargetEntry } from './net/targets.ts'
import { createOperators } from './operators.ts'
import { provision } from './provision.ts'
import { complete } from './restore.ts'
import { loadJwtSecret, prepareDataDir } from './secrets.ts'
import { createSessions, LEEWAY_S } from './sessions.ts'
import { databaseBytes, lockDirectory, openSqliteStore } from './store/index.ts'
import { readVersion } from './version.ts'

export interface Lactea {
  /** Ready to listen. Closing it closes everything. */
  readonly app: FastifyInstance
  readonly gateway: Gateway
  /** What was made because nothing was there; its secrets are shown once. */
  readonly welcome: Welcome | undefined
  /** Opens every address, the main one here when it is said where. Rejects with a sentence for people. */
  readonly listen: (main?: { readonly host: string; readonly port: number }) => Promise<void>
  /** Where it listens, the main address first. */
  readonly addresses: () => readonly Address[]
  /**
   * Takes over a configuration that was read again, where that can be done without a restart; what did not change is not
   * touched. Rejects with a sentence, and then the old one stays as a whole.
   */
  readonly reload: (next: Config) => Promise<Reloaded>
  /** Reads the certificates again; false when there are none. Throws with a sentence, and then the old ones stay. */
  readonly renewCertificates: () => boolean
}

export interface Reloaded extends ConfigChange {
  /** Webhooks, reverse WebSockets and links that began and that ended. */
  readonly started: number
  readonly stopped: number
  /** The first of those that could not begin: what all the others say counts nevertheless. */
  readonly failure?: unknown
}

export interface BuildOptions {
  /** The machine's when absent. */
  readonly clock?: Clock
}

/**
 * The whole gateway: what every door needs, then the doors in the order they open.
 * Throws with a sentence for people when the configuration contradicts the database or another gateway is running.
 */
export async function buildApp(given: Config, log: RootLogger, { clock }: BuildOptions = {}): Promise<Lactea> {
  log.hide(secretsOf(given))
  const live = createLiveConfig(given)
  const config = live.current
  const dir = resolve(config.data.dir)
  await prepareDataDir(dir)
  const unlock = lockDirectory(dir)
  let gateway: Gateway | undefined
  try {
    // A restore that was cut off.
    await complete(dir)
    const listeners = createListeners(config.server)
    const secret = config.im.jwt_secret ?? (await loadJwtSecret(dir))
    const ground = {
      live,
      config,
      dir,
      log,
      secret,
      unlock,
      clock,
      listeners,
      place: { origin: toOrigin(config.server) }
    }
    gateway = await openGateway(ground)
    return await buildOn(gateway, ground)
  } catch (err) {
    await gateway?.close()
    unlock()
    throw err
  }
}

interface Ground {
  readonly live: LiveConfig
  /** That of `live`. */
  readonly config: Config
  readonly dir: string
  readonly log: RootLogger
  /** Signs what people carry about. */
  readonly secret: string
  /** Where the gateway listens; known for certain only when it does. */
  readonly place: { origin: string }
  readonly unlock: () => void
  readonly listeners: Listeners
  readonly clock: Clock | undefined
}

async function buildOn(gateway: Gateway, ground: Ground): Promise<Lactea> {
  const { live, config, log, secret, place, listeners, unlock } = ground
  const { store, accounts } = gateway
  for (const words of findWarnings(config)) log.warn(words)
  await provision(config, gateway)
  const made = await welcome({ store, accounts, config })
  const bots = await createBotIdentity(config, gateway)
  const identifyBot = bots.identify
  const sessions = createSessions({
    store,
    secret,
    acceptsUntyped: config.im.accept_untyped_tokens,
    foreignIssuer: await findForeignIssuer(config, gateway),
    now: gateway.now,
    steadyNow: gateway.steady.now
  })
  const operators = createOperators({
    store,
    secret,
    maxEntries: () => config.limits.audit_entries,
    now: gateway.now,
    onError: (err, entry) => log.error({ err, entry }, 'what an operator did could not be written down')
  })
  const measure = (): Promise<number> => databaseBytes(ground.dir)

  const app = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    // A line per call would cost half the throughput, and its URL would hold tokens.
    logController: new LogController({ disableRequestLogging: true }),
    // A logger for each request would cost a twentieth of a call, and hardly one of them says anything.
    childLoggerFactory: (logger) => logger,
    trustProxy: config.server.trusted_proxies.length > 0 ? config.server.trusted_proxies : false,
    bodyLimit: 1024 * 1024,
    // Fastify would load a hundred files for a second validation, at each start.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    routerOptions: { constraints },
    serverFactory: listeners.serverFactory,
    // Those that come while it ends are told more (plugins/stops.ts).
    return503OnClosing: false,
    clientErrorHandler: answerClientError,
    // A path that cannot be decoded or is too long never reaches a door.
    frameworkErrors: (err, _request, reply: FastifyReply) => {
      const status = err.statusCode ?? 400
      void reply.code(status).send({ status: 'failed', retcode: -status, message: err.message })
    }
  })
  let isServing = true
  app.addHook('preClose', (done) => {
    isServing = false
    done()
  })
  app.addHook('onListen', async () => {
    const bound = app.server.address()
    if (typeof bound === 'object' && bound) place.origin = toOrigin({ ...config.server, port: bound.port })
  })
  app.addHook('onClose', async () => {
    await gateway.close()
    unlock()
  })

  const maimStats = createMaimStats()
  const brains = createLazyBrains(gateway)
  const { brainOf } = brains
  await brains.load(config)

  await app.register(errors)
  await app.register(stops)
  app.stops.add(async () => gateway.intake.stop())
  await app.register(websocket)
  await app.register(listeners.plugin)
  await app.register(metricsPlugin)
  await app.register(rateLimit, { limits: config.limits, clock: gateway.clock })
  await app.register(health, { gateway, isServing: () => isServing })
  await app.register(async (scope) => {
    putBehind(scope, 'pages')
    await scope.register(pages)
  })
  await app.register(async (scope) => {
    putBehind(scope, 'ops')
    await scope.register(metrics, {
      gateway,
      config,
      stats: maimStats,
      databaseBytes: measure,
      version: readVersion()
    })
  })
  await app.register(async (doors) => {
    await doors.register(underPressure, {
      maxEventLoopDelay: 2000,
      healthCheck: createStandstillCheck(),
      healthCheckInterval: LOOK_EVERY_MS,
      retryAfter: 5,
      message: 'the gateway is overloaded; try again in a few seconds'
    })
    // The people's REST routes fail in their own form, which is set for this scope alone.
    await doors.register(async (rest) => {
      putBehind(rest, 'im')
      await rest.register(people, { sessions, isForBots: gateway.milky.has, isAdmin: store.isAdmin })
      await rest.register(imSuiteAuth, { gateway, sessions, config })
      await rest.register(imSuiteUsers, { gateway })
      await rest.register(imSuiteContacts, { gateway })
      await rest.register(imSuiteChats, { gateway })
      await rest.register(imSuiteNotices, { gateway, operators })
      await rest.register(imSuiteCalls, { gateway, config })
      await rest.register(imSuiteFiles, { gateway, config })
      await rest.register(imSuiteGroupFiles, { gateway })
      await rest.register(imSuiteMembers, { gateway })
      await rest.register(imSuiteRequests, { gateway })
      await rest.register(imSuiteMessages, { gateway })
      await rest.register(imSuiteNotes, { gateway })
      await rest.register(async (scope) => {
        await scope.register(operatorsPlugin, { operators, sessions, store, server: config.server, now: gateway.now })
        await scope.register(admin, { gateway, operators, sessions, version: readVersion(), databaseBytes: measure })
        await scope.register(adminWebhooks, { store, now: gateway.steady.now })
        await scope.register(adminAccounts, { gateway, sessions, config })
      })
    })
    await doors.register(async (scope) => {
      putBehind(scope, 'im', 'maim')
      await scope.register(wsLost, { gateway })
    })
    await doors.register(async (scope) => {
      putBehind(scope, 'im')
      await scope.register(imSuiteSocket, { gateway, sessions, config })
    })
    await doors.register(async (scope) => {
      putBehind(scope, 'maim')
      await scope.register(maim, { gateway, config, stats: maimStats, brainOf })
      await scope.register(maimLegacy, { gateway, config, stats: maimStats, brainOf })
    })
    await doors.register(async (scope) => {
      putBehind(scope, 'milky')
      await scope.register(milkySocket, { gateway, identifyBot, config, frontPage })
      await scope.register(milkyEvent, { gateway, identifyBot, config })
      await scope.register(milkyApi, { gateway, identifyBot, config })
    })
  })
  const targets = createTargets()
  app.stops.add(targets.stop)
  const targetsNow = (): TargetEntry[] => listTargets(config, { gateway, brainOf, stats: maimStats })
  app.addHook('onReady', async () => void (await targets.apply(targetsNow())))

  async function reload(next: Config): Promise<Reloaded> {
    log.hide(secretsOf(next))
    // Whatever may say no comes first.
    await provision(next, gateway)
    await brains.load(next)
    await bots.use(next)
    for (const words of findWarnings(next)) log.warn(words)
    const change = live.adopt(next)
    log.level = config.log.level
    try {
      return { ...change, ...(await targets.apply(targetsNow())) }
    } catch (failure) {
      return { ...change, started: 0, stopped: 0, failure }
    }
  }
  let lastReload: Promise<unknown> = Promise.resolve()

  // Those that were added last run first: nothing ends under the feet of a request.
  app.addHook('onClose', listeners.close)
  return {
    app,
    gateway,
    welcome: made,
    listen: (main) => listeners.open(app, main),
    addresses: listeners.addresses,
    reload(next) {
      const result = lastReload.then(() => reload(next))
      lastReload = result.catch(() => {})
      return result
    },
    renewCertificates: listeners.renew
  }
}

function noSchemas(): never {
  throw new Error('routes have no schemas here: what comes in is validated by its action (src/core/validate.ts)')
}

interface TargetGround {
  readonly gateway: Gateway
  readonly brainOf: BrainOf
  readonly stats: MaimStats
}

/** Everything that the gateway dials or posts to by itself. */
function listTargets({ bots, limits }: Config, { gateway, brainOf, stats }: TargetGround): TargetEntry[] {
  const limitsOf = {
    webhook: [limits.webhook_waiting, limits.webhook_attempts],
    reverse: [],
    maim: [limits.frame_rate]
  }
  return bots.flatMap((bot) => {
    // Other limits are looked up when they are needed, or change only with a restart.
    const keyOf = (kind: keyof typeof limitsOf, target: object): string =>
      JSON.stringify([kind, bot.id, bot.report_self, target, limitsOf[kind]])
    return [
      ...bot.webhooks.map((target) => ({
        key: keyOf('webhook', target),
        start: () => startMilkyWebhook({ gateway, bot, target, limits })
      })),
      ...bot.reverse_ws.map((target) => ({
        key: keyOf('reverse', target),
        start: () => startMilkyReverse({ gateway, bot, target, limits })
      })),
      ...bot.maim.map((target) => ({
        key: keyOf('maim', target),
        async start() {
          const { startMaimClient } = await import('../plugins/maim-client.ts')
          return startMaimClient({ gateway, bot, target, limits, brain: brainOf(bot.id), stats })
        }
      }))
    ]
  })
}

async function openGateway({ live, config, dir, log, secret, place, clock }: Ground): Promise<Gateway> {
  const onError = (err: unknown): void => log.error({ err }, 'the database failed in the background')
  const blobs = await openBlobs(join(dir, 'files'))
  const store = await openSqliteStore({ path: join(dir, 'lactea.db'), onError, onTrouble: tellTrouble(log) })
  return createGateway({
    store,
    bus: createMemoryBus(),
    blobs,
    secret,
    origin: () => place.origin,
    log,
    config,
    onConfigChange: live.onChange,
    version: readVersion(),
    ...(clock && { clock })
  })
}

/** Loaded where a brain may come or is dialled: who starts the gateway without one should not wait for it. */
function createLazyBrains(gateway: Gateway): {
  readonly brainOf: BrainOf
  readonly load: (config: Config) => Promise<void>
} {
  let brains: BrainOf = (accountId) => {
    throw new Error(`nobody may be a brain of bot ${accountId}`)
  }
  let isLoaded = false
  return {
    brainOf: (accountId) => brains(accountId),
    async load({ maim, bots }) {
      if (isLoaded || !(maim.keys.length > 0 || bots.some((bot) => bot.maim.length > 0))) return
      brains = (await import('./net/maim-brains.ts')).createBrains(gateway)
      isLoaded = true
    }
  }
}

async function findForeignIssuer({ im }: Config, gateway: Gateway): Promise<ForeignIssuer | undefined> {
  const { now, steady, log, outgoing } = gateway
  const { jwks_url: url, jwks_issuer: issuer, jwks_audience: audience } = im
  if (url === null) return undefined
  const onUnreachable = (err: unknown): void =>
    log.warn({ err, url: maskUrl(url) }, 'the keys of the foreign issuer cannot be fetched; its tokens are refused')
  const lookup = await outgoing.lookupFor(url, (words) => log.warn({ key: 'im.jwks_url' }, words))
  return createForeignIssuer({
    url,
    issuer,
    audience,
    now,
    steadyNow: steady.now,
    leewayS: LEEWAY_S,
    lookup,
    onUnreachable
  })
}

interface BotIdentity {
  readonly identify: IdentifyBot
  /** From now on the tokens of this configuration count. Rejects with a sentence when they may not. */
  readonly use: (config: Pick<Config, 'bots'>) => Promise<void>
}

/** Tells bots by their tokens; which bot needs none is asked again when the accounts have changed. */
async function createBotIdentity(config: Config, gateway: Gateway): Promise<BotIdentity> {
  const { store, onAccessChange, onError } = gateway
  const create = async (bots: Config['bots']): Promise<IdentifyBot> =>
    createBotAuth(store, bots, await findOpenBot({ bots, server: config.server }, gateway))
  let identify = await create(config.bots)
  /** The last one that is under way: whoever comes meanwhile waits for it. */
  let renewing: Promise<void> | undefined
  onAccessChange(() => {
    const own = create(config.bots)
      .then((next) => void (identify = next))
      .catch(onError)
      .finally(() => {
        if (renewing === own) renewing = undefined
      })
    renewing = own
  })
  return {
    identify: (tokens, connection) =>
      renewing ? renewing.then(() => identify(tokens, connection)) : identify(tokens, connection),
    async use({ bots }) {
      identify = await create(bots)
    }
  }
}

/**
 * The bot that needs no token: the only one there is, and only while nobody else can reach this address.
 * Throws when a bot without a token would be open to the network.
 */
async function findOpenBot(config: Pick<Config, 'bots' | 'server'>, { store }: Gateway): Promise<number | undefined> {
  const configured = new Set(config.bots.filter((bot) => bot.access_token).map((bot) => bot.id))
  const bots = (await store.listAccounts('bot')).filter((bot) => !bot.isDisabled)
  const open: number[] = []
  for (const { id } of bots) if (!configured.has(id) && (await store.countTokens(id)) === 0) open.push(id)
  const host = findPublicHost(config)
  if (open.length > 0 && host !== undefined) {
    throw new Error(
      `bot ${open[0]} has no access token, so ${host} would let anybody speak for it: give it one in the configuration or with "lactea bot token ${open[0]}", or listen on 127.0.0.1`
    )
  }
  return bots.length === 1 ? open[0] : undefined
}

/** Where others than this machine reach the doors of bots. */
function findPublicHost({ server }: Pick<Config, 'server'>): string | undefined {
  const further = server.listeners.filter(({ doors }) => doors.length === 0 || doors.includes('milky'))
  return [server, ...further].map(({ host }) => host ?? server.host).find((host) => !isLoopback(host))
}

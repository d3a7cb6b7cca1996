import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TlsOptions } from 'node:tls'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { DOORS, toOrigin, type Config, type Door, type ServerTls } from '../src/config.ts'
import { findFault, refuseRequest } from '../src/net/request-fault.ts'
import { readServerTls } from '../src/net/tls-files.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Doors behind which the route is; it is there where one of them is open. Without it the route is everywhere. */
    doors?: readonly Door[]
  }
  interface FastifyInstance {
    /** The doors that are open where this request came in. */
    openDoors: (request: FastifyRequest) => readonly Door[]
  }
}

/** Where the gateway listens. */
export interface Address {
  /** Scheme, host and port. */
  readonly url: string
  readonly doors: readonly Door[]
}

export interface Listeners {
  /** For `Fastify({ serverFactory })`: the server of the main address. */
  readonly serverFactory: (handler: RequestListener) => Server
  /** Comes before all routes, and after the WebSockets. */
  readonly plugin: FastifyPluginAsync
  /** Opens all addresses, the main one here when it is said where. Rejects with a sentence that names the one that cannot be. */
  readonly open: (app: FastifyInstance, main?: { readonly host: string; readonly port: number }) => Promise<void>
  /** Those that are open, the main one first. */
  readonly addresses: () => readonly Address[]
  /**
   * Reads all certificates again; connections from now on get to see the new ones. False when there is no TLS.
   * Throws with a sentence, and then all stays as it was.
   */
  readonly renew: () => boolean
  /** Resolves when nobody is connected any more; nobody new is let in. */
  readonly close: () => Promise<void>
}

/** One address of the configuration. */
interface Spot {
  /** Its key in the configuration. */
  readonly key: 'server' | `server.listeners[${number}]`
  host: string
  readonly port: number
  readonly files: ServerTls | null
  readonly doors: readonly Door[]
  tls: TlsOptions | undefined
  /** Two where `localhost` is two addresses. */
  readonly servers: Server[]
}

/** What `localhost` means (RFC 6761). */
const LOOPBACK = ['127.0.0.1', '::1']
/**
 * Nobody holds a connection by being slow: headers have to be there within 30 seconds and the whole request within 60, both
 * of which are looked at every second. Who says nothing for long is asked by the operating system whether they are there.
 */
const SERVER_OPTIONS = {
  headersTimeout: 28_000,
  requestTimeout: 58_000,
  connectionsCheckingInterval: 1000,
  keepAliveTimeout: 72_000,
  keepAlive: true,
  keepAliveInitialDelay: 30_000
}
/** How often connections that wait for nothing are looked for while the gateway closes. */
const SWEEP_MS = 100
/** How long requests under way may take when the gateway ends; a container is killed after ten seconds. */
const FINISH_MS = 5000

/** All addresses feed one application. Throws with a sentence when there is something wrong with the files of TLS. */
export function createListeners({ host, port, tls, listeners }: Config['server']): Listeners {
  const main: Spot = createSpot('server', { host, port, tls, doors: [] })
  const further = listeners.map((given, index) =>
    createSpot(`server.listeners[${index}]`, { ...given, host: given.host ?? host })
  )
  const spots = [main, ...further]
  const choosy = spots.filter(({ doors }) => doors.length < DOORS.length)
  /** Where a socket came in, for addresses at which not all doors are open. */
  const origins = new WeakMap<object, Spot>()
  let sweep: NodeJS.Timeout | undefined
  let cut: NodeJS.Timeout | undefined

  function addServer(spot: Spot, handler: RequestListener): Server {
    // Before everything else, and for less than what a hook of Fastify costs.
    const server = createServer(spot.tls, (request, response) => {
      const fault = findFault(request, false)
      if (fault) refuseRequest(response, fault)
      else handler(request, response)
    })
    spot.servers.push(server)
    if (choosy.includes(spot))
      server.on(spot.tls ? 'secureConnection' : 'connection', (socket: object) => origins.set(socket, spot))
    return server
  }

  /** A further server that behaves like the first. */
  function addTwin(app: FastifyInstance, spot: Spot): Server {
    const server = addServer(spot, (request, response) => app.routing(request, response))
    app.takeUpgrades(server)
    server.on('clientError', (err, socket) => {
      if (!app.server.emit('clientError', err, socket)) socket.destroy(err)
    })
    return server
  }

  async function openFurther(app: FastifyInstance, spot: Spot): Promise<void> {
    const server = addTwin(app, spot)
    try {
      await listen(server, spot.host, spot.port)
      app.log.info(tellOf(spot, `${spot.host}:${(server.address() as AddressInfo).port}`))
    } catch (err) {
      throw new Error(describeListenError(err as NodeJS.ErrnoException, spot), { cause: err })
    }
  }

  /** Some programs take `localhost` for 127.0.0.1 and some for ::1. */
  async function openTwins(app: FastifyInstance, spot: Spot): Promise<void> {
    const [first] = spot.servers
    if (spot.host !== 'localhost' || !first) return
    const bound = first.address() as AddressInfo
    for (const address of LOOPBACK.filter((one) => one !== bound.address)) {
      const twin = addTwin(app, spot)
      await listen(twin, address, bound.port).catch((err: unknown) => {
        spot.servers.splice(spot.servers.indexOf(twin), 1)
        app.log.debug({ err, address }, 'localhost is open at one of its addresses only')
      })
    }
  }

  const servers = (): Server[] => spots.flatMap((spot) => spot.servers)

  return {
    serverFactory: (handler) => addServer(main, handler),

    plugin: fp(async (app: FastifyInstance) => {
      app.decorate('openDoors', (request) => origins.get(request.raw.socket)?.doors ?? DOORS)
      app.addHook('preClose', (done) => {
        for (const spot of further) for (const server of spot.servers) server.close()
        // What is under way is answered; a client that then keeps its connection for later would hold up the end.
        sweep = setInterval(() => {
          for (const server of servers()) server.closeIdleConnections()
        }, SWEEP_MS)
        cut = setTimeout(() => {
          for (const server of servers()) server.closeAllConnections()
        }, FINISH_MS)
        done()
      })
      if (choosy.length === 0) return
      app.addHook('onRequest', (request, reply, done) => {
        const { doors } = request.routeOptions.config
        const open = app.openDoors(request)
        if (!doors || doors.some((door) => open.includes(door)) || isFrontPage(request)) return done()
        const what = `${request.ws ? 'WebSocket' : request.method} ${request.url.split('?', 1)[0]}`
        const message = `there is nothing at ${what} here; open at this address: ${open.join(', ')}`
        void reply.code(404).send({ status: 'failed', retcode: -404, message })
      })
    }),

    async open(app, at = main) {
      main.host = at.host
      const listenTextResolver = (address: string): string => tellOf(main, new URL(address).host)
      try {
        await app.listen({ host: at.host, port: at.port, listenTextResolver })
      } catch (err) {
        throw new Error(describeListenError(err as NodeJS.ErrnoException, { ...main, ...at }), { cause: err })
      }
      await openTwins(app, main)
      for (const spot of further) {
        await openFurther(app, spot)
        await openTwins(app, spot)
      }
      for (const server of servers()) server.on('error', (err) => app.log.error({ err }, 'a listener failed'))
    },

    addresses: () =>
      spots.flatMap((spot) => {
        const bound = spot.servers[0]?.address()
        if (typeof bound !== 'object' || bound === null) return []
        return { url: toOrigin({ host: spot.host, port: bound.port, tls: spot.files }), doors: spot.doors }
      }),

    renew() {
      const renewed = spots.map((spot) => ({ spot, tls: readTls(spot) })).filter(({ tls: read }) => read !== undefined)
      for (const { spot, tls: read } of renewed) {
        spot.tls = read
        for (const server of spot.servers) (server as HttpsServer).setSecureContext(read ?? {})
      }
      return renewed.length > 0
    },

    async close() {
      await Promise.all(servers().map((server) => new Promise((resolve) => server.close(resolve))))
      clearInterval(sweep)
      clearTimeout(cut)
    }
  }
}

/** The routes that are registered in this scope from now on are behind these doors. */
export function putBehind(scope: FastifyInstance, ...doors: readonly Door[]): void {
  scope.addHook('onRoute', (route) => {
    route.config = { doors, ...route.config }
  })
}

function createSpot(
  key: Spot['key'],
  { host, port, tls: files, doors }: Pick<Spot, 'host' | 'port' | 'doors'> & { readonly tls: ServerTls | null }
): Spot {
  return {
    key,
    host,
    port,
    files,
    doors: doors.length > 0 ? doors : DOORS,
    tls: readTls({ key, files }),
    servers: []
  }
}

function readTls({ key, files }: Pick<Spot, 'key' | 'files'>): TlsOptions | undefined {
  return files === null ? undefined : readServerTls(files, `${key}.tls`)
}

function createServer(tls: TlsOptions | undefined, handler: RequestListener): Server {
  // Fastify has one type for both.
  const server = tls
    ? (createHttpsServer({ ...SERVER_OPTIONS, ...tls }, handler) as Server)
    : createHttpServer(SERVER_OPTIONS, handler)
  // Node would leave out those above 2 000 in silence, and with them perhaps what a decision rests on; we refuse them all.
  server.maxHeadersCount = 0
  return server
}

function tellOf({ tls, doors }: Spot, host: string): string {
  const choice = doors.length < DOORS.length ? `, open: ${doors.join(', ')}` : ''
  return `listening at ${tls ? 'https' : 'http'}://${host}${choice}`
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen({ host, port })
  await once(server, 'listening')
}

/** It names the doors that are open. */
function isFrontPage({ ws, routeOptions }: FastifyRequest): boolean {
  return !ws && routeOptions.url === '/'
}

function describeListenError(
  { code, message }: NodeJS.ErrnoException,
  { key, host, port }: Pick<Spot, 'key' | 'host' | 'port'>
): string {
  const isMain = key === 'server'
  const address = isMain ? `${host}:${port}` : `${key}: ${host}:${port}`
  const otherPort = isMain ? 'with --port' : `in ${key}.port`
  if (code === 'EADDRINUSE')
    return `${address} is in use by another program: stop it, or choose another port ${otherPort}`
  if (code === 'EACCES') return `this user may not listen on ${address}: choose a port above 1023 ${otherPort}`
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `${address} is no address of this machine: choose another host ${isMain ? 'with --host' : `in ${key}.host`}`
  return `cannot listen on ${address}: ${message}`
}

import { existsSync, statfsSync } from 'node:fs'
import { access, constants, stat } from 'node:fs/promises'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { isLoopback, isUnspecified, maskUrl, toOrigin, type BotConfig, type Config } from '../config.ts'
import { isInContainer } from '../net/container.ts'
import { callLink, callReverse, readLinkTls } from '../net/dial.ts'
import { explainFailure, type DialledAddress } from '../net/explain.ts'
import { createOutgoing, doubtAbout, type Outgoing } from '../net/outgoing.ts'
import { probeSocket, probeWebhook, type Finding } from '../net/probe.ts'
import { createId } from '../secrets.ts'
import { describeAccess, examineDatabase } from '../store/index.ts'

/** One thing that was looked at. `words` say what was found and, where something is wrong, what to do about it. */
export interface Diagnosis {
  readonly state: 'ok' | 'warning' | 'failure'
  readonly words: string
}

export interface DoctorOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly isContainer?: boolean
  /** How long one address may take. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 10_000
const MIB = 1024 * 1024
/** Below the first nothing can be stored soon; below the second it should be looked at. */
const LITTLE_SPACE = 64 * MIB
const SCARCE_SPACE = 1024 * MIB
/** The second at which this was written, in round numbers: a clock before it is wrong. */
const LONG_AGO = Date.UTC(2026, 0, 1)

const ok = (words: string): Diagnosis => ({ state: 'ok', words })
const warning = (words: string): Diagnosis => ({ state: 'warning', words })
const failure = (words: string): Diagnosis => ({ state: 'failure', words })

/**
 * Looks at everything that a gateway with this configuration depends on, and changes nothing. A gateway that is running
 * is not disturbed, but a program that takes one connection only may drop the gateway's for a moment.
 */
export async function examine(config: Config, options: DoctorOptions = {}): Promise<Diagnosis[]> {
  const { env = process.env, isContainer = isInContainer(), timeoutMs = TIMEOUT_MS } = options
  const outgoing = createOutgoing({
    guard: config.outgoing.guard,
    allowedNetworks: config.outgoing.allowed_networks,
    isContainer
  })
  const dialled = config.bots.flatMap((bot) => examineTargets(bot, { outgoing, isContainer, timeoutMs }))
  const [directory, address, ...targets] = await Promise.all([
    examineDirectory(config),
    examineAddress(config),
    ...dialled
  ])
  return [...examineClock(), ...directory, ...address, ...examineProxies(config, env), ...targets.flat()]
}

/** As they are printed: one line each, the state first. */
export function toReport(diagnoses: readonly Diagnosis[]): string {
  const label = { ok: 'ok  ', warning: 'WARN', failure: 'FAIL' }
  const failures = diagnoses.filter(({ state }) => state === 'failure').length
  const warnings = diagnoses.filter(({ state }) => state === 'warning').length
  const lines = diagnoses.map(({ state, words }) => `${label[state]} ${words}`)
  const sum =
    failures > 0 ? `${failures} to correct` : warnings > 0 ? `nothing fails, ${warnings} to look at` : 'all is well'
  return [...lines, sum].join('\n')
}

interface TargetOptions {
  readonly outgoing: Outgoing
  readonly isContainer: boolean
  readonly timeoutMs: number
}

function examineTargets({ id, webhooks, reverse_ws, maim }: BotConfig, options: TargetOptions): Promise<Diagnosis[]>[] {
  const { timeoutMs } = options
  return [
    ...webhooks.map(({ url, access_token: token, timeout }) => {
      const headers = { 'x-self-id': String(id), ...(token && { authorization: `Bearer ${token}` }) }
      return dial(`webhook of bot ${id}`, { kind: 'webhook', url }, options, (lookup) =>
        probeWebhook({ url, headers }, { lookup, timeoutMs: Math.min(timeout, timeoutMs) })
      )
    }),
    ...reverse_ws.map((target) =>
      dial(`reverse WebSocket of bot ${id}`, { kind: 'reverse', url: target.url }, options, (lookup) =>
        probeSocket(callReverse(target, id), { lookup, timeoutMs })
      )
    ),
    ...maim.map((target) =>
      dial(
        `maim link of bot ${id} (${target.mode})`,
        { kind: target.mode, url: target.url },
        options,
        async (lookup) => {
          // Under a name of its own: a server takes the newer of two connections of one name, and drops that of the gateway.
          const call = callLink({ ...target, platform: `${target.platform}_doctor` }, `doctor_${createId()}`)
          return probeSocket(call, { lookup, timeoutMs, options: readLinkTls(target) })
        }
      )
    )
  ]
}

async function dial(
  name: string,
  to: DialledAddress,
  { outgoing, isContainer }: TargetOptions,
  probe: (lookup: Awaited<ReturnType<Outgoing['lookupFor']>>) => Promise<Finding>
): Promise<Diagnosis[]> {
  const what = `${name}, ${maskUrl(to.url)}`
  const doubt = doubtAbout(to.url, isContainer)
  const why = await outgoing
    .lookupFor(to.url, () => {})
    .then(probe)
    .catch((err: unknown) => (err as Error).message)
  if (why === undefined) return [ok(`${what}: answers`), ...(doubt === undefined ? [] : [warning(`${what}: ${doubt}`)])]
  return [failure(`${what}: ${explainFailure(why, to)}${doubt === undefined ? '' : `; ${doubt}`}`)]
}

function examineClock(): Diagnosis[] {
  const now = new Date()
  if (now.getTime() >= LONG_AGO) return [ok(`the clock says ${now.toISOString()}`)]
  return [failure(`the clock says ${now.toISOString()}: set it, since certificates and tokens depend on it`)]
}

async function examineDirectory(config: Config): Promise<Diagnosis[]> {
  const dir = resolve(config.data.dir)
  const nearest = findExisting(dir)
  try {
    await access(nearest, constants.W_OK | constants.X_OK)
  } catch {
    return [failure(`data directory ${dir}: it cannot be written to; ${describeAccess(dir)}`)]
  }
  const space = examineSpace(dir, nearest)
  if (nearest !== dir) return [ok(`data directory ${dir}: not there yet, the first start makes it`), space]
  const { mode } = await stat(dir)
  const isOpen = (mode & 0o077) !== 0
  const rights = isOpen
    ? warning(
        `data directory ${dir}: others on this machine may look into it (mode ${(mode & 0o777).toString(8)}); chmod 700 ${dir}`
      )
    : ok(`data directory ${dir}: for its owner alone`)
  return [rights, space, ...examineData(join(dir, 'lactea.db'), config)]
}

function findExisting(dir: string): string {
  return existsSync(dir) || dir === dirname(dir) ? dir : findExisting(dirname(dir))
}

function examineSpace(dir: string, at: string): Diagnosis {
  const { bavail, bsize } = statfsSync(at)
  const free = bavail * bsize
  const words = `disk of ${dir}: ${Math.floor(free / MIB)} MiB free`
  if (free < LITTLE_SPACE) return failure(`${words}; make room, or sends will be refused`)
  return free < SCARCE_SPACE ? warning(`${words}; make room soon`) : ok(words)
}

function examineData(path: string, { bots, server }: Config): Diagnosis[] {
  if (!existsSync(path)) return [ok('database: not there yet, the first start makes it')]
  try {
    const { lastEventAt, tokenless } = examineDatabase(path)
    const configured = new Set(bots.filter((bot) => bot.access_token).map((bot) => bot.id))
    const open = tokenless.filter((id) => !configured.has(id))
    const isPublic = [server, ...server.listeners].some(({ host }) => !isLoopback(host ?? server.host))
    const isAhead = lastEventAt > Date.now() / 1000 + 60
    return [
      ok('database: sound'),
      ...(isAhead
        ? [
            warning(
              `the last event is of ${new Date(lastEventAt * 1000).toISOString()}, which is still to come: the clock was wrong then, or is now`
            )
          ]
        : []),
      ...(isPublic && open.length > 0
        ? [
            failure(
              `bot ${open[0]} has no access token, and others reach this gateway: give it one with "lactea bot token ${open[0]}"`
            )
          ]
        : [])
    ]
  } catch (err) {
    return [failure(`database ${path}: ${(err as Error).message}; restore a backup ("lactea restore")`)]
  }
}

/** Whether a gateway answers where this one would listen, somebody else, or nobody. */
async function examineAddress({ server }: Config): Promise<Diagnosis[]> {
  const { host, port } = server
  if (port === 0) return [ok('address: any free port')]
  const at = `${host}:${port}`
  const status = await askReady(toOrigin({ ...server, host: isUnspecified(host) ? '127.0.0.1' : host }))
  if (status === 200) return [ok(`address ${at}: a gateway runs there and is ready`)]
  if (status === 503) return [warning(`address ${at}: a gateway runs there and is not ready; its log says why`)]
  if (status !== undefined)
    return [failure(`address ${at}: another program answers there; stop it, or change server.port`)]
  const code = await tryListen(host, port)
  if (code === undefined) return [ok(`address ${at}: free`)]
  const cures: { readonly [code: string]: string } = {
    EADDRINUSE: 'another program has it; stop it, or change server.port',
    EACCES: 'this user may not listen there; choose a port above 1023',
    EADDRNOTAVAIL: 'no address of this machine; change server.host'
  }
  return [failure(`address ${at}: ${cures[code] ?? code}`)]
}

/** The status of `/ready`; 0 for what is no answer of a gateway, undefined when nobody answers. */
function askReady(origin: string): Promise<number | undefined> {
  const request = origin.startsWith('https:') ? requestHttps : requestHttp
  return new Promise((resolve) => {
    // Our own certificate is for the name that clients use, not for this one.
    const asked = request(`${origin}/ready`, { timeout: 3000, rejectUnauthorized: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text = (text + chunk).slice(0, 1000)))
      response.on('end', () =>
        resolve(/"status":"(?:ready|draining|unavailable)"/.test(text) ? response.statusCode : 0)
      )
      response.on('error', () => resolve(0))
    })
    asked.on('timeout', () => asked.destroy())
    asked.on('error', (err: NodeJS.ErrnoException) => resolve(err.code === 'ECONNREFUSED' ? undefined : 0))
    asked.end()
  })
}

function tryListen(host: string, port: number): Promise<string | undefined> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', (err: NodeJS.ErrnoException) => resolve(err.code ?? err.message))
    server.listen({ host, port }, () => server.close(() => resolve(undefined)))
  })
}

function examineProxies({ server, bots }: Config, env: NodeJS.ProcessEnv): Diagnosis[] {
  const found: Diagnosis[] = []
  const name = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'].find(
    (key) => env[key]
  )
  if (name !== undefined && bots.some((bot) => bot.webhooks.length + bot.reverse_ws.length + bot.maim.length > 0))
    found.push(warning(`${name} is set, and the gateway dials directly, without a proxy`))
  if (server.public_url?.startsWith('https:') && server.tls === null && server.trusted_proxies.length === 0)
    found.push(
      warning(
        'server.public_url is https and the gateway speaks no TLS itself, so a proxy stands before it: name it in server.trusted_proxies, or all clients count as one'
      )
    )
  return found
}

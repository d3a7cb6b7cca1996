import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { CustomHandler } from './custom-type.ts'
import { LOG_LEVELS, type Logger, type LogLevel } from './log.ts'
import type { APIMessageBase } from './message.ts'
import type { ClientStats, ServerStats } from './stats.ts'

/** Options that make no sense; each mistake is one sentence that begins with the option. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

type MayWait<T> = T | Promise<T>

/** What is known of a connection to a server. */
export interface ConnectionMetadata {
  /** The `x-uuid` of the handshake, or one that the server made. */
  readonly uuid: string
  readonly apiKey: string
  readonly platform: string
  /** Names in small letters; without `authorization`. */
  readonly headers: Readonly<Record<string, string>>
  readonly clientIp: string
  /** Unix seconds. */
  readonly connectedAt: number
}

/** Whose key it is that is asked for: of a connection, or (`messageType`) of the receiver of a message. */
export type UserQuery = Pick<ConnectionMetadata, 'apiKey' | 'platform'> &
  Partial<ConnectionMetadata> & { readonly messageType?: 'outgoing' }

/** Where a message to a client came from. */
export interface ClientMetadata {
  readonly connectionUuid: string
  readonly url: string
  readonly apiKey: string
  readonly platform: string
  /** `meta` of the envelope, as it came. */
  readonly meta: unknown
}

interface CommonConfig {
  /** Whether messages are kept until they are acknowledged, also while nobody is connected (contract 2.8, 9). */
  readonly enableMessageCache: boolean
  /** Seconds for which a message is kept. */
  readonly messageCacheTtl: number
  /** Messages that are kept for one user and platform; the oldest goes first. */
  readonly messageCacheMaxSize: number
  /** Seconds until a message that nobody has acknowledged is sent again; then three times that, then nine times. */
  readonly repeatInterval: number
  /** Largest frame that is taken, in bytes, inclusive. */
  readonly maxMessageSize: number
  /** Unsent bytes at which the other side counts as too slow; the connection is closed with 1008. */
  readonly maxBufferedBytes: number
  /** Seconds from one ping to the next; 0 for none. */
  readonly pingInterval: number
  /** Seconds that the answer to a ping may take, until the connection is closed with 1011. */
  readonly pingTimeout: number
  /** Whether permessage-deflate is agreed to. */
  readonly compress: boolean
  readonly logLevel: LogLevel
  /** Standard error when absent. */
  readonly logger?: Logger | undefined
  /** Whether connections are logged (level INFO). */
  readonly enableConnectionLog: boolean
  /** Whether type and id of each message are logged (level INFO). */
  readonly enableMessageLog: boolean
  /** Whether `statsCallback` is called. */
  readonly enableStats: boolean
  /** Seconds from one call of `statsCallback` to the next. */
  readonly statsInterval: number
  /** PEM text, or the path of a file with it. */
  readonly sslCertfile?: string | undefined
  /** PEM text, or the path of a file with it. */
  readonly sslKeyfile?: string | undefined
  /** Authorities to trust: PEM text, or the path of a file with it. */
  readonly sslCaCerts?: string | undefined
}

export interface ServerConfig extends CommonConfig {
  readonly host: string
  /** 0 is any free one; `address` tells which. */
  readonly port: number
  readonly path: string
  readonly sslEnabled: boolean
  /** Whether clients must show a certificate that an authority of `sslCaCerts` has signed. */
  readonly sslVerify: boolean
  /** What who is not let in gets: HTTP 401 in the handshake, or 101 and then the close with 1000 of the old library. */
  readonly authReject: 'http401' | 'close1000'
  /** Seconds that the two hooks may take together. */
  readonly authTimeout: number
  /** Whether a connection is let in; asked before the upgrade. Whoever shows any key when absent. */
  readonly onAuth: (metadata: ConnectionMetadata) => MayWait<boolean>
  /** The user that a key belongs to; `''` for none. The key itself when absent. */
  readonly onAuthExtractUser: (query: UserQuery) => MayWait<string>
  /**
   * Called for each message, in order, without waiting for the promise of the one before. The message is acknowledged when
   * this returns or resolves; when it throws or rejects the sender hears nothing and may send it again.
   */
  readonly onMessage?: ((message: APIMessageBase, metadata: ConnectionMetadata) => unknown) | undefined
  readonly onConnect?: ((uuid: string, metadata: ConnectionMetadata) => unknown) | undefined
  readonly onDisconnect?: ((uuid: string, metadata: ConnectionMetadata) => unknown) | undefined
  /** By name, with or without `custom_`. */
  readonly customHandlers: Readonly<Record<string, CustomHandler<ConnectionMetadata>>>
  readonly statsCallback?: ((stats: ServerStats) => unknown) | undefined
}

/** How one connection of a client is dialled. */
export interface LinkConfig extends CommonConfig {
  /** Begins with `ws://` or `wss://`. */
  readonly url: string
  readonly apiKey: string
  readonly platform: string
  /** Sent in the handshake, beside ours. */
  readonly headers: Readonly<Record<string, string>>
  /** True for `wss://`. */
  readonly sslEnabled: boolean
  /** Whether the server's certificate must be good. */
  readonly sslVerify: boolean
  /** Whether the server's certificate must be for the host that is dialled. */
  readonly sslCheckHostname: boolean
  readonly autoReconnect: boolean
  /** Failed tries in a row after which it is given up; 0 for never. */
  readonly maxReconnectAttempts: number
  /** Seconds until the first try after a connection was lost; doubles each time. A random half of each wait is left out. */
  readonly reconnectDelay: number
  readonly maxReconnectDelay: number
  /** Seconds that a handshake may take. */
  readonly connectTimeout: number
  /** Seconds that the server may take to answer our close. */
  readonly closeTimeout: number
}

export interface ClientConfig extends LinkConfig {
  /** Called for each message of every connection, like `onMessage` of a server. */
  readonly onMessage?: ((message: APIMessageBase, metadata: ClientMetadata) => unknown) | undefined
  readonly onConnect?: ((uuid: string, config: LinkConfig) => unknown) | undefined
  /** `error` says why; undefined when we have closed it ourselves. */
  readonly onDisconnect?: ((uuid: string, error: string | undefined) => unknown) | undefined
  /** By name, with or without `custom_`. */
  readonly customHandlers: Readonly<Record<string, CustomHandler<ClientMetadata>>>
  readonly statsCallback?: ((stats: ClientStats) => unknown) | undefined
}

type Options<Config> = { readonly [Key in keyof Config]?: Config[Key] | undefined }

export type ServerOptions = Options<ServerConfig>
export type ClientOptions = Options<ClientConfig> & Pick<ClientConfig, 'url' | 'apiKey'>
export type SslServerOptions = ServerOptions & { readonly sslCertfile: string; readonly sslKeyfile: string }
export type SslClientOptions = Options<ClientConfig> & {
  readonly apiKey: string
  /** Together with `port` and `path` instead of `url`. */
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly path?: string | undefined
}

const COMMON: CommonConfig = {
  enableMessageCache: true,
  messageCacheTtl: 300,
  messageCacheMaxSize: 1000,
  repeatInterval: 5,
  maxMessageSize: 104_857_600,
  maxBufferedBytes: 268_435_456,
  pingInterval: 20,
  pingTimeout: 20,
  compress: false,
  logLevel: 'WARNING',
  enableConnectionLog: true,
  enableMessageLog: false,
  enableStats: true,
  statsInterval: 60
}

const SERVER: ServerConfig = {
  ...COMMON,
  host: '0.0.0.0',
  port: 18_000,
  path: '/ws',
  sslEnabled: false,
  sslVerify: false,
  authReject: 'http401',
  authTimeout: 10,
  onAuth: ({ apiKey }) => apiKey !== '',
  onAuthExtractUser: ({ apiKey }) => apiKey,
  customHandlers: {}
}

const CLIENT: Omit<ClientConfig, 'url' | 'apiKey'> = {
  ...COMMON,
  platform: 'default',
  headers: {},
  sslEnabled: false,
  sslVerify: true,
  sslCheckHostname: true,
  autoReconnect: true,
  maxReconnectAttempts: 0,
  reconnectDelay: 1,
  maxReconnectDelay: 30,
  connectTimeout: 10,
  closeTimeout: 10,
  pingTimeout: 10,
  customHandlers: {}
}

/** What was expected instead; undefined when the value is right. */
type Check = (value: unknown) => string | undefined

const expect =
  (what: string, isRight: (value: unknown) => boolean): Check =>
  (value) =>
    isRight(value) ? undefined : what

const flag = expect('true or false', (value) => typeof value === 'boolean')
const callback = expect('a function', (value) => typeof value === 'function')
const text = expect('text', (value) => typeof value === 'string' && value !== '')
const seconds = expect('a number of seconds greater than 0', (value) => typeof value === 'number' && value > 0)
const secondsOrNone = expect('a number of seconds, or 0', (value) => typeof value === 'number' && value >= 0)
const count = (min: number): Check =>
  expect(`a whole number from ${min} on`, (value) => Number.isSafeInteger(value) && (value as number) >= min)
const oneOf = (...values: readonly string[]): Check =>
  expect(`one of ${values.join(', ')}`, (value) => values.includes(value as string))

// Control characters cannot go into a header, and are in nobody's key.
// oxlint-disable-next-line no-control-regex
const isHeaderText = (value: unknown): boolean => typeof value === 'string' && !/[\u0000-\u001f\u007f]/.test(value)
const headerText = expect('text without line breaks', (value) => isHeaderText(value) && value !== '')

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const handlers = expect(
  'an object with functions',
  (value) => isRecord(value) && Object.values(value).every((handler) => typeof handler === 'function')
)
const headers = expect('an object with names and values of headers', (value) => {
  if (!isRecord(value)) return false
  try {
    for (const [name, one] of Object.entries(value)) {
      validateHeaderName(name)
      validateHeaderValue(name, String(one))
      if (typeof one !== 'string') return false
    }
    return true
  } catch {
    return false
  }
})
const url = expect(
  'an address that begins with ws:// or wss://',
  (value) => typeof value === 'string' && /^wss?:\/\//i.test(value) && URL.canParse(value) && !new URL(value).hash
)

const commonChecks: Record<keyof CommonConfig, Check> = {
  enableMessageCache: flag,
  messageCacheTtl: seconds,
  messageCacheMaxSize: count(1),
  repeatInterval: seconds,
  maxMessageSize: count(1),
  maxBufferedBytes: count(1),
  pingInterval: secondsOrNone,
  pingTimeout: seconds,
  compress: flag,
  logLevel: oneOf(...LOG_LEVELS),
  logger: expect(
    'an object with the functions debug, info, warn and error',
    (value) => isRecord(value) && ['debug', 'info', 'warn', 'error'].every((name) => typeof value[name] === 'function')
  ),
  enableConnectionLog: flag,
  enableMessageLog: flag,
  enableStats: flag,
  statsInterval: seconds,
  sslCertfile: text,
  sslKeyfile: text,
  sslCaCerts: text
}

const serverChecks: Record<keyof ServerConfig, Check> = {
  ...commonChecks,
  host: text,
  port: expect('a port from 0 to 65535', (value) => count(0)(value) === undefined && (value as number) <= 65_535),
  path: expect('a path that begins with /', (value) => typeof value === 'string' && /^\/[^?#\s]*$/.test(value)),
  sslEnabled: flag,
  sslVerify: flag,
  authReject: oneOf('http401', 'close1000'),
  authTimeout: seconds,
  onAuth: callback,
  onAuthExtractUser: callback,
  onMessage: callback,
  onConnect: callback,
  onDisconnect: callback,
  customHandlers: handlers,
  statsCallback: callback
}

const clientChecks: Record<keyof ClientConfig, Check> = {
  ...commonChecks,
  url,
  apiKey: headerText,
  platform: headerText,
  headers,
  sslEnabled: flag,
  sslVerify: flag,
  sslCheckHostname: flag,
  autoReconnect: flag,
  maxReconnectAttempts: count(0),
  reconnectDelay: seconds,
  maxReconnectDelay: seconds,
  connectTimeout: seconds,
  closeTimeout: seconds,
  onMessage: callback,
  onConnect: callback,
  onDisconnect: callback,
  customHandlers: handlers,
  statsCallback: callback
}

/** Options over defaults; what is undefined counts as not given. */
function complete<Config extends object>(defaults: Partial<Config>, options: object): Config {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return { ...defaults, ...Object.fromEntries(given) } as Config
}

function checkEach(config: object, checks: Readonly<Record<string, Check>>): string[] {
  const problems: string[] = []
  for (const [key, value] of Object.entries(config)) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined
    const expected = check ? check(value) : `no option of this name; there are ${Object.keys(checks).join(', ')}`
    // Values are left out: some of them are secrets.
    if (expected !== undefined) problems.push(check ? `${key}: expected ${expected}` : `${key}: ${expected}`)
  }
  return problems
}

function checkPair({ sslCertfile, sslKeyfile }: CommonConfig): string[] {
  if (sslCertfile !== undefined && sslKeyfile === undefined) return ['sslKeyfile: missing, sslCertfile needs it']
  if (sslKeyfile !== undefined && sslCertfile === undefined) return ['sslCertfile: missing, sslKeyfile needs it']
  return []
}

function throwIfAny(problems: readonly string[]): void {
  if (problems.length > 0) throw new ConfigError(problems)
}

function mustBeOptions(options: unknown): void {
  if (!isRecord(options)) throw new ConfigError(['options: expected an object'])
}

/** Options of a server, completed with the defaults of contract 7. Throws `ConfigError` with everything that is wrong. */
export function createServerConfig(options: ServerOptions = {}): ServerConfig {
  mustBeOptions(options)
  const config = complete<ServerConfig>(SERVER, options)
  const problems = [...checkEach(config, serverChecks), ...checkPair(config)]
  const { sslEnabled, sslVerify, sslCertfile, sslKeyfile, sslCaCerts } = config
  if (sslEnabled && sslCertfile === undefined && sslKeyfile === undefined)
    problems.push('sslCertfile: missing, sslEnabled needs it and sslKeyfile')
  if (sslEnabled && sslVerify && sslCaCerts === undefined)
    problems.push('sslCaCerts: missing, sslVerify needs it to know whose clients to let in')
  if (!sslEnabled && [sslCertfile, sslKeyfile, sslCaCerts].some((file) => file !== undefined))
    problems.push('sslEnabled: expected true, since there are certificates')
  throwIfAny(problems)
  return config
}

/** The same with TLS, which needs `sslCertfile` and `sslKeyfile`. */
export function createSslServerConfig(options: SslServerOptions): ServerConfig {
  mustBeOptions(options)
  return createServerConfig({ ...options, sslEnabled: true })
}

/** Options of a client, completed with the defaults of contract 7; `wss://` turns TLS on. Throws `ConfigError`. */
export function createClientConfig(options: ClientOptions): ClientConfig {
  mustBeOptions(options)
  const isSecure = typeof options.url === 'string' && /^wss:/i.test(options.url)
  const config = complete<ClientConfig>({ ...CLIENT, sslEnabled: isSecure }, options)
  const problems = [
    ...(config.url === undefined ? ['url: missing'] : []),
    ...(config.apiKey === undefined ? ['apiKey: missing'] : []),
    ...checkEach(config, clientChecks),
    ...checkPair(config)
  ]
  if (config.sslEnabled === true && !isSecure) problems.push('url: expected wss://, since sslEnabled is true')
  if (config.sslEnabled === false && isSecure) problems.push('sslEnabled: expected true, since url begins with wss://')
  if (!isSecure && [config.sslCertfile, config.sslKeyfile, config.sslCaCerts].some((file) => file !== undefined))
    problems.push('url: expected wss://, since there are certificates')
  throwIfAny(problems)
  return config
}

/** The same for `wss://` only, with `url` or with `host`, `port` (18044) and `path` (`/ws`). */
export function createSslClientConfig(options: SslClientOptions): ClientConfig {
  mustBeOptions(options)
  const { host, port = 18_044, path = '/ws', ...rest } = options
  const address = rest.url ?? (host === undefined ? undefined : `wss://${host}:${port}${path}`)
  if (address === undefined) throw new ConfigError(['url: missing, or host instead'])
  return createClientConfig({ ...rest, url: address, sslEnabled: true })
}

/** What may not be changed while a server runs. */
const FIXED: readonly (keyof ServerConfig)[] = [
  'host',
  'port',
  'path',
  'sslEnabled',
  'sslCertfile',
  'sslKeyfile',
  'sslCaCerts',
  'sslVerify',
  'compress',
  'maxMessageSize'
]

/** A server's options with some of them changed. Throws `ConfigError`. */
export function changeServerConfig(config: ServerConfig, changes: ServerOptions, isRunning: boolean): ServerConfig {
  mustBeOptions(changes)
  const changed = createServerConfig({ ...config, ...changes })
  if (!isRunning) return changed
  const fixed = FIXED.filter((key) => changed[key] !== config[key])
  throwIfAny(fixed.map((key) => `${key}: cannot be changed while the server runs`))
  return changed
}

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Config, configSchema, type KeySchema, unwrap } from './schema.ts'

export const MASK = '***'

/**
 * The configuration with every secret replaced by `***`, safe to print and to log. URLs keep scheme, host, path and
 * the harmless part of their query.
 */
export function maskSecrets(config: Config): Config {
  return mask(config, configSchema) as Config
}

/** Shorter ones may be part of other words, and a log without these words would tell nothing. */
const MIN_HIDDEN = 8

/** Every secret that the configuration holds, those in its addresses among them, so that the log can take them out. */
export function secretsOf(config: Config): string[] {
  return [...new Set(collect(config, configSchema))].filter((secret) => secret.length >= MIN_HIDDEN)
}

function collect(value: unknown, schema: KeySchema): string[] {
  const inner = unwrap(schema)
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => collect(item, itemSchema(inner, index)))
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, item]) => collect(item, inner.properties?.[key] ?? {}))
  if (typeof value !== 'string') return []
  const secret = inner.secret ? [value, value.replace(/^whsec_/, '')] : []
  return inner.url ? [...secret, ...secretsOfUrl(value)] : secret
}

function secretsOfUrl(text: string): string[] {
  const url = URL.parse(text)
  if (!url) return []
  const parameters = url.search
    .slice(1)
    .split('&')
    .filter((parameter) => maskParameter(parameter) !== parameter)
  const raw = [url.username, url.password, ...parameters.map((parameter) => parameter.replace(/^[^=]*=/, ''))]
  return raw.flatMap((part) => [part, decode(part)])
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function mask(value: unknown, schema: KeySchema): unknown {
  const inner = unwrap(schema)
  if (value === null || value === undefined) return value
  if (Array.isArray(value)) return value.map((item: unknown, index) => mask(item, itemSchema(inner, index)))
  if (typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, mask(item, inner.properties?.[key] ?? {})])
    )
  }
  if (inner.url) return maskUrl(value as string)
  return inner.secret ? MASK : value
}

const itemSchema = ({ items = {} }: KeySchema, index: number): KeySchema =>
  Array.isArray(items) ? (items[index] ?? {}) : items

/** A URL without user, password, fragment and query values that may be secret. Works on text that is no URL as well. */
export function maskUrl(text: string): string {
  // Of other schemes the URL parser knows little: in "nats://a:b@h1,nats://c:d@h2" the second password is "path" to it.
  const url = /^(?:https?|wss?):\/\//i.test(text) ? URL.parse(text) : null
  if (!url) return maskLoosely(text)
  if (!url.username && !url.password && !url.search && !url.hash) return text
  const user = url.username || url.password ? `${MASK}@` : ''
  const query = url.search ? `?${url.search.slice(1).split('&').map(maskParameter).join('&')}` : ''
  return `${url.protocol}//${user}${url.host}${url.pathname}${query}${url.hash ? `#${MASK}` : ''}`
}

/** Not a URL we understand: when in doubt too much is hidden, as in "http://user:password" with the @ forgotten. */
function maskLoosely(text: string): string {
  const shown = text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, `$1${MASK}@`).replace(/[?#].*$/s, `?${MASK}`)
  const isPlain = /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?:\*{3}@)?(?:[\w.,-]*|\[[\da-f:.]+\])(?::\d+)?(?:\/[^:]*|\?\*{3})?$/i
  return isPlain.test(shown) ? shown : MASK
}

const SECRET_NAME = /token|secret|key|pass|pwd|auth|sig|cred|code|jwt|session/i

/** `room=5` tells the reader something; a long value may be a token under whatever name. */
function maskParameter(parameter: string): string {
  const [name = '', ...rest] = parameter.split('=')
  if (rest.length === 0) return MASK
  const value = rest.join('=')
  return SECRET_NAME.test(name) || !/^[\w.-]{1,8}$/.test(value) ? `${name}=${MASK}` : parameter
}

/**
 * The text of a secret file without its trailing newline.
 * @throws Error whose message ends a sentence and names the file
 */
export function readSecretFile(file: string, baseDir: string): string {
  const path = resolve(baseDir, file)
  try {
    return readFileSync(path, 'utf8').replace(/[\r\n]+$/, '')
  } catch (error) {
    throw new Error(`names ${path}, which ${describeReadError(error)}`, { cause: error })
  }
}

const readErrors: Record<string, string> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read by this process',
  EISDIR: 'is a directory',
  ENOTDIR: 'does not exist'
}

/** "does not exist" and the like, for a sentence about a file. */
export function describeReadError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  return readErrors[code] ?? `cannot be read (${code})`
}

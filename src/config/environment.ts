import type { Given, Origin, Path } from './given.ts'
import { formatPath, type Report } from './mistakes.ts'
import { findNearest } from './nearest.ts'
import { configSchema, type KeySchema, stepInto, unwrap } from './schema.ts'

/** Short names of the keys that people set most. */
const shortNames: Record<string, Path> = {
  LACTEA_PORT: ['server', 'port'],
  LACTEA_HOST: ['server', 'host'],
  LACTEA_DATA_DIR: ['data', 'dir'],
  LACTEA_DATABASE_URL: ['data', 'database'],
  LACTEA_NATS_URL: ['data', 'nats'],
  LACTEA_LOG_LEVEL: ['log', 'level'],
  JWT_SECRET: ['im', 'jwt_secret']
}

/** Names the configuration file itself, so it is no key of it. */
export const FILE_VARIABLE = 'LACTEA_CONFIG'

/** One variable and the key it sets; `fromFile` says that the text is the name of a file that holds the secret. */
export interface Setting {
  path: Path
  fromFile: boolean
  given: Given
}

interface Target {
  path: Path
  schema: KeySchema
  fromFile: boolean
}

/** The settings of the environment; unknown and contradicting variables are reported. `baseDir` is where relative secret files are. */
export function readEnvironment(env: NodeJS.ProcessEnv, baseDir: string, report: Report): Setting[] {
  const settings: Setting[] = []
  const takenBy = new Map<string, { name: string; text: string; fromFile: boolean }>()
  for (const [name, text = ''] of Object.entries(env)) {
    if (name === FILE_VARIABLE || !isOurs(name)) continue
    const target = findTarget(name)
    if (!target) {
      report([name], describeUnknown(name))
      continue
    }
    if (countsAsUnset(text, target)) continue
    const origin = { source: name, baseDir }
    if (holdsMany(target)) {
      report(
        target.path,
        `${formatPath(target.path)} holds more than one value; set its keys one by one, such as ${name}__${exampleBelow(target)}`,
        origin
      )
      continue
    }

    const key = formatPath(target.path)
    const other = takenBy.get(key)
    takenBy.set(key, { name, text, fromFile: target.fromFile })
    if (other && (other.text !== text || other.fromFile !== target.fromFile)) {
      report(target.path, `${other.name} and ${name} both set ${key}; keep one of them`)
      continue
    }
    settings.push({ path: target.path, fromFile: target.fromFile, given: toGiven(text, target, origin) })
  }
  // Lists grow at their end, so entry 1 has to come before entry 2, whatever the order of the environment.
  return settings.sort((one, other) => comparePaths(one.path, other.path))
}

const isOurs = (name: string): boolean => name.startsWith('LACTEA_') || /^JWT_SECRET(?:_FILE)?$/.test(name)

function findTarget(name: string): Target | undefined {
  const direct = findKey(name)
  if (direct) return { ...direct, fromFile: false }
  const secret = name.endsWith('_FILE') ? findKey(name.slice(0, -'_FILE'.length)) : undefined
  // An entry of a list has no key that could be called `<key>_file`; the list as a whole has.
  const isEntry = typeof secret?.path.at(-1) === 'number'
  return secret && !isEntry && unwrap(secret.schema).secret ? { ...secret, fromFile: true } : undefined
}

function findKey(name: string): { path: Path; schema: KeySchema } | undefined {
  const path = Object.hasOwn(shortNames, name) ? shortNames[name] : toPath(name)
  if (!path) return undefined
  let schema: KeySchema | undefined = configSchema
  for (const step of path) schema &&= stepInto(schema, step)
  return schema && { path, schema }
}

function toPath(name: string): Path {
  const steps = name.slice('LACTEA_'.length).split('__')
  return steps.map((step) => (/^(?:0|[1-9]\d{0,5})$/.test(step) ? Number(step) : step.toLowerCase()))
}

/**
 * Compose and Helm files pass on variables that nobody set as empty ones. For a token or password an empty value is
 * more likely an accident, and falling back would start the gateway with other credentials than intended.
 */
function countsAsUnset(text: string, { schema, fromFile }: Target): boolean {
  const { secret, url } = unwrap(schema)
  return text === '' && (fromFile || !secret || url === true || unwrap(schema).type === 'array')
}

function holdsMany({ schema, fromFile }: Target): boolean {
  const inner = unwrap(schema)
  if (inner.type === 'object') return true
  if (inner.type !== 'array' || fromFile) return false
  return Array.isArray(inner.items) || ['object', 'array'].includes(inner.items?.type ?? '')
}

function exampleBelow({ schema }: Target): string {
  const inner = unwrap(schema)
  if (inner.properties) return (Object.keys(inner.properties)[0] ?? '').toUpperCase()
  const item = Array.isArray(inner.items) ? undefined : inner.items
  const key = item?.properties ? Object.keys(item.properties)[0] : undefined
  return key ? `0__${key.toUpperCase()}` : '0'
}

/** The environment knows only text: it becomes what the key expects, or stays text for the check to complain about. */
function toGiven(text: string, { schema, fromFile }: Target, origin: Origin): Given {
  const inner = unwrap(schema)
  if (fromFile) return { kind: 'scalar', value: text, origin }
  if (inner.type === 'array' && !Array.isArray(inner.items)) {
    const items = text.split(',').map((item) => toScalar(item.trim(), inner.items as KeySchema, origin))
    return { kind: 'list', items, origin }
  }
  return toScalar(text, inner, origin)
}

function toScalar(text: string, schema: KeySchema, origin: Origin): Given {
  const isNumber = schema.type === 'integer' && /^-?\d+$/.test(text.trim())
  const isFlag = schema.type === 'boolean' && /^(?:true|false)$/i.test(text.trim())
  if (isNumber) return { kind: 'scalar', value: Number(text), origin }
  if (isFlag) return { kind: 'scalar', value: text.trim().toLowerCase() === 'true', origin }
  return { kind: 'scalar', value: text, origin }
}

function describeUnknown(name: string): string {
  if (isServiceLink(name)) return `${name} is not a known variable${SERVICE_LINK_HINT}`
  const digits = name.match(/(?<=__)\d+(?=__|$)/g) ?? []
  const nearest = findNearest(toPattern(name), knownPatterns())
  // The numbers of the reader, not ours: LACTEA_BOTS__3__… is the bot they were writing about.
  const suggestion = nearest?.replaceAll('#', () => digits.shift() ?? '0')
  return `${name} is not a known variable${suggestion ? `; did you mean ${suggestion}?` : ''}`
}

/** Kubernetes puts such variables into every pod beside a Service whose name begins with "lactea". */
const isServiceLink = (name: string): boolean => /_SERVICE_(?:HOST|PORT)(?:_|$)|_PORT_\d+_(?:TCP|UDP)(?:_|$)/.test(name)
export const SERVICE_LINK_HINT =
  '; if Kubernetes has set it for a Service, write enableServiceLinks: false into the pod'

const toPattern = (name: string): string => name.replaceAll(/(?<=__)\d+(?=__|$)/g, '#')

function knownPatterns(): string[] {
  return [FILE_VARIABLE, ...Object.keys(shortNames), ...patternsBelow('LACTEA', configSchema, '_')].flatMap((name) => {
    const key = findKey(name.replaceAll('#', '0'))
    return key && unwrap(key.schema).secret ? [name, `${name}_FILE`] : [name]
  })
}

function patternsBelow(name: string, schema: KeySchema, joint = '__'): string[] {
  const inner = unwrap(schema)
  const item = Array.isArray(inner.items) ? undefined : inner.items
  if (item?.properties) return patternsBelow(`${name}__#`, item)
  if (!inner.properties) return [name]
  return Object.entries(inner.properties).flatMap(([key, child]) =>
    patternsBelow(`${name}${joint}${key.toUpperCase()}`, child)
  )
}

function comparePaths(one: Path, other: Path): number {
  for (const [index, step] of one.entries()) {
    const against = other[index]
    if (against === undefined) return 1
    if (typeof step === 'number' && typeof against === 'number' && step !== against) return step - against
    if (String(step) !== String(against)) return String(step) < String(against) ? -1 : 1
  }
  return one.length - other.length
}

import { type Given, type GivenMapping, isAbsent, type Path } from './given.ts'
import { formatKey, formatPath, type Report } from './mistakes.ts'
import { findNearest } from './nearest.ts'
import { findRefusal } from './not-yet.ts'
import { choicesOf, configSchema, type KeySchema, stepInto, unwrap } from './schema.ts'
import { maskUrl, readSecretFile } from './secrets.ts'
import { shapes } from './shapes.ts'
import { parseQuantity } from './units.ts'

/**
 * Checks what was given against the schema and fills in the defaults. Reports every mistake and goes on: a value that
 * is wrong becomes undefined in the result, which is complete when nothing was reported.
 */
export function checkGiven(tree: GivenMapping, report: Report): unknown {
  return check(configSchema, tree, [], report)
}

function check(schema: KeySchema, given: Given | undefined, path: Path, report: Report): unknown {
  if (isAbsent(given)) return checkAbsent(schema, given, path, report)
  const refusal = findRefusal(path)
  if (refusal) return complain(path, refusal, report)

  const inner = unwrap(schema)
  if (inner.type === 'object') return checkMapping(inner, given, path, report)
  if (inner.type === 'array') return checkList(inner, given, path, report)
  return checkScalar(inner, given, path, report)
}

function complain(path: Path, message: string, report: Report): undefined {
  report(path, `${formatPath(path)} ${message}`)
}

function checkAbsent(schema: KeySchema, given: Given | undefined, path: Path, report: Report): unknown {
  if (schema.default !== undefined) return structuredClone(schema.default)
  if (schema.type !== 'object') return complain(path, 'is missing', report)
  const origin = given?.origin ?? { source: '', baseDir: '' }
  return checkMapping(schema, { kind: 'mapping', entries: new Map(), origin }, path, report)
}

function checkMapping(schema: KeySchema, given: Given, path: Path, report: Report): unknown {
  if (given.kind !== 'mapping') return complain(path, `must be a mapping, got ${describeKind(given)}`, report)
  const properties = Object.entries(schema.properties ?? {})
  for (const key of given.entries.keys()) {
    if (!namesOf(properties).includes(key)) complain([...path, key], describeUnknown(key, properties), report)
  }
  const values = properties.map(([key, child]) => [key, checkProperty(key, child, given, path, report)] as const)
  return fillTemplates(Object.fromEntries(values), schema, given)
}

function checkProperty(key: string, schema: KeySchema, parent: GivenMapping, path: Path, report: Report): unknown {
  const plain = parent.entries.get(key)
  const file = unwrap(schema).secret ? parent.entries.get(`${key}_file`) : undefined
  if (isAbsent(file)) return check(schema, plain, [...path, key], report)

  const filePath = [...path, `${key}_file`]
  const refusal = findRefusal([...path, key])
  if (refusal) return complain([...path, key], refusal, report)
  if (!isAbsent(plain))
    return complain(filePath, `and ${formatPath([...path, key])} are both given; keep one of them`, report)
  const secret = readGivenFile(unwrap(schema), file, filePath, report)
  return secret && check(schema, secret, [...path, key], report)
}

function readGivenFile(schema: KeySchema, file: Given, path: Path, report: Report): Given | undefined {
  if (file.kind !== 'scalar' || typeof file.value !== 'string' || !file.value) {
    return complain(path, `must be the name of a file, got ${describeKind(file)}`, report)
  }
  const { origin } = file
  try {
    const text = readSecretFile(file.value, origin.baseDir)
    if (schema.type !== 'array') return { kind: 'scalar', value: text, origin }
    const items = text.split(/\r?\n/).map((value) => ({ kind: 'scalar' as const, value, origin }))
    return { kind: 'list', items, origin }
  } catch (error) {
    return complain(path, (error as Error).message, report)
  }
}

/** A default such as `Bot <id>` speaks of its neighbours. What somebody wrote is left as it is. */
function fillTemplates(
  values: Record<string, unknown>,
  schema: KeySchema,
  given: GivenMapping
): Record<string, unknown> {
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    if (typeof child.default !== 'string' || !isAbsent(given.entries.get(key))) continue
    values[key] = child.default.replaceAll(/<(\w+)>/g, (_, name: string) => String(values[name]))
  }
  return values
}

function checkList(schema: KeySchema, given: Given, path: Path, report: Report): unknown {
  if (given.kind !== 'list') return complain(path, `must be a list, got ${describeKind(given)}`, report)
  const pair = Array.isArray(schema.items) ? schema.items.length : undefined
  if (pair !== undefined && given.items.length !== pair) {
    return complain(path, `must be a list of ${pair} account numbers, got ${given.items.length} entries`, report)
  }
  if (given.items.length < (schema.minItems ?? 0))
    return complain(path, 'must not be empty; leave it out for all', report)
  return given.items.map((item, index) => check(stepInto(schema, index) ?? {}, item, [...path, index], report))
}

function checkScalar(schema: KeySchema, given: Given, path: Path, report: Report): unknown {
  if (given.kind !== 'scalar')
    return complain(path, `must be ${describeExpected(schema)}, got ${describeKind(given)}`, report)
  const value = typeof given.value === 'string' ? toNumber(given.value, schema) : given.value
  if (!isExpected(value, schema)) return complain(path, describeMismatch(schema, given.value), report)
  const fault = typeof value === 'string' && schema.is ? shapes[schema.is](value) : undefined
  if (!fault) return value
  return complain(path, schema.secret || value === '' ? fault : `${fault}, got ${quote(value, schema)}`, report)
}

const toNumber = (text: string, { unit }: KeySchema): string | number => (unit && parseQuantity(text, unit)) ?? text

function isExpected(value: unknown, schema: KeySchema): boolean {
  const choices = choicesOf(schema)
  if (choices) return typeof value === 'string' && choices.includes(value)
  if (schema.type !== 'integer') return typeof value === schema.type
  const { minimum = -Infinity, maximum = Infinity } = schema
  return Number.isSafeInteger(value) && Number(value) >= minimum && Number(value) <= maximum
}

/** The rest of a sentence: what was expected and what was got. The value of a secret is never in it. */
function describeMismatch(schema: KeySchema, value: unknown): string {
  const got = schema.secret ? describeType(value) : quote(value, schema)
  return `must be ${describeExpected(schema)}, got ${got}${adviseOn(schema, value)}`
}

function adviseOn(schema: KeySchema, value: unknown): string {
  if (schema.type === 'string') return '; put it in quotes'
  const nearest = typeof value === 'string' && findNearest(value, choicesOf(schema) ?? [])
  return nearest ? `; did you mean "${nearest}"?` : ''
}

/** "an integer from 0 to 65535", "true or false": what a key accepts, in words. */
export function describeExpected(schema: KeySchema): string {
  const choices = choicesOf(schema)
  if (choices) return `one of ${choices.join(', ')}`
  if (schema.type === 'boolean') return 'true or false'
  if (schema.type === 'string') return 'text'
  const range = describeRange(schema)
  if (schema.unit === 'bytes') return `a size such as 4096 or "32MiB", ${range}`
  if (schema.unit === 'ms') return `a duration such as "10s" or 10000 (milliseconds), ${range}`
  return schema.maximum === Number.MAX_SAFE_INTEGER ? 'a positive integer' : `an integer ${range}`
}

function describeRange({ minimum, maximum, unit }: KeySchema): string {
  if (maximum === Number.MAX_SAFE_INTEGER) return `at least ${minimum}`
  return `from ${minimum} to ${maximum}${unit ? ` ${unit}` : ''}`
}

function describeKind(given: Given): string {
  if (given.kind === 'scalar') return describeType(given.value)
  return given.kind === 'list' ? 'a list' : 'a mapping'
}

function describeType(value: unknown): string {
  if (value === '') return 'an empty text'
  if (typeof value === 'string') return 'a text'
  return typeof value === 'boolean' ? 'true or false' : 'a number'
}

/** People paste whole URLs, with passwords, into the wrong places. */
function quote(value: unknown, { url }: KeySchema): string {
  if (typeof value !== 'string') return String(value)
  const shown = url || /:\/\/|@/.test(value) ? maskUrl(value) : value
  return JSON.stringify(shown.length > 80 ? `${shown.slice(0, 80)}…` : shown)
}

type Properties = [string, KeySchema][]

function namesOf(properties: Properties): string[] {
  return properties.flatMap(([key, schema]) => (unwrap(schema).secret ? [key, `${key}_file`] : [key]))
}

function describeUnknown(key: string, properties: Properties): string {
  const word = formatKey(key).replace('…', '')
  const names = namesOf(properties)
  // `port_file`: what is no secret has no such form
  const nearest =
    findNearest(word, names) ?? findNearest(word.replace(/_file$/, ''), names) ?? findElsewhere(word, configSchema, '')
  if (nearest) return `is not a known key; did you mean "${nearest}"?`
  return `is not a known key; known here are ${properties.map(([name]) => name).join(', ')}`
}

/** `port: 3000` at the top of the file is the right key in the wrong place. */
function findElsewhere(key: string, schema: KeySchema, prefix: string): string | undefined {
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    if (prefix && name === key) return `${prefix}${name}`
    const deeper = findElsewhere(key, child, `${prefix}${name}.`)
    if (deeper) return deeper
  }
  return undefined
}

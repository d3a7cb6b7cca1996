import { notYet } from './not-yet.ts'
import { EFFECTS, findEffectKey } from './reload.ts'
import { choicesOf, configSchema, type KeySchema, unwrap } from './schema.ts'
import { formatQuantity } from './units.ts'

/** One key of the reference page; `default` is text as one would write it in the file, `required` when there is none, `–` for nothing. */
export interface ConfigRow {
  key: string
  type: string
  default: string
  description: string
}

/** Every key of the configuration in the order of the schema; `[]` stands for an entry of a list. */
export function describeConfig(): ConfigRow[] {
  return rowsBelow('', configSchema)
}

/** The rows of `describeConfig` as a Markdown table. */
export function configReference(): string {
  const rows = describeConfig().map((row) => [`\`${row.key}\``, row.type, code(row.default), row.description])
  const lines = [['key', 'type', 'default', 'description'], ['---', '---', '---', '---'], ...rows]
  return `${lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')}\n`
}

const code = (text: string): string => (['required', '–'].includes(text) ? text : `\`${text}\``)

function rowsBelow(key: string, schema: KeySchema): ConfigRow[] {
  const inner = unwrap(schema)
  const item = Array.isArray(inner.items) ? undefined : inner.items
  if (inner.properties) {
    const below = Object.entries(inner.properties).flatMap(([name, child]) =>
      rowsBelow(key ? `${key}.${name}` : name, child)
    )
    return schema.default === null ? [toRow(key, schema), ...below] : below
  }
  return [toRow(key, schema), ...(item?.properties ? rowsBelow(`${key}[]`, item) : [])]
}

function toRow(key: string, schema: KeySchema): ConfigRow {
  const inner = unwrap(schema)
  const refused = notYet[key]
  const effect = findEffectKey(key)
  const notes = [
    schema.description ?? '',
    inner.secret ? `Secret; \`${key.split('.').at(-1)}_file\` names a file instead.` : '',
    refused ? 'Not in this version yet.' : '',
    effect && EFFECTS[effect] === 'restart' ? 'Needs a restart.' : ''
  ]
  return {
    key,
    type: describeType(inner),
    default: describeDefault(schema),
    description: notes.filter(Boolean).join(' ')
  }
}

function describeType(schema: KeySchema): string {
  const choices = choicesOf(schema)
  if (choices) return choices.map((choice) => `\`${choice}\``).join(', ')
  if (Array.isArray(schema.items)) return `[${schema.items.map(describeType).join(', ')}]`
  if (schema.items) return schema.items.properties ? 'list of mappings' : `list of ${describeType(schema.items)}`
  if (schema.unit) return schema.unit === 'bytes' ? 'size' : 'duration'
  return { object: 'mapping', boolean: 'true or false', string: 'text' }[schema.type ?? ''] ?? describeInteger(schema)
}

function describeInteger({ minimum = 0, maximum = 0 }: KeySchema): string {
  return maximum === Number.MAX_SAFE_INTEGER ? `integer from ${minimum}` : `integer ${minimum}–${maximum}`
}

function describeDefault(schema: KeySchema): string {
  if (schema.default === undefined) return 'required'
  if (schema.default === null) return '–'
  if (typeof schema.default === 'number' && schema.unit) return formatQuantity(schema.default, schema.unit)
  return typeof schema.default === 'string' ? schema.default : JSON.stringify(schema.default)
}

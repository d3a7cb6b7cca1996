import { isObject } from '../../sdk/src/message.ts'
import { toId } from './maim-target.ts'

type Fields = Readonly<Record<string, unknown>>

/** What a brain wants to be done: `{name, args}` (contract 5.3). */
export interface Command {
  readonly name: string
  readonly args: Fields
}

/** Characters; longer ones than we know. */
const MAX_NAME = 64

/** Reads the object, or its JSON. What is none has the name `UNKNOWN`, as in MaiBot's adapter. */
export function readCommand(data: unknown): Command {
  const given = parse(data)
  const { name, args } = isObject(given) ? given : {}
  const fields = parse(args)
  return {
    name: typeof name === 'string' && name !== '' ? name.slice(0, MAX_NAME) : 'UNKNOWN',
    args: isObject(fields) ? fields : {}
  }
}

function parse(data: unknown): unknown {
  if (typeof data !== 'string') return data
  try {
    return JSON.parse(data) as unknown
  } catch {
    return undefined
  }
}

/** The arguments cannot be used; the text begins with the argument. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** The first argument of these names that is there, as an id. */
export function idIn(args: Fields, ...names: readonly [string, ...string[]]): number {
  const value = names.map((name) => args[name]).find((given) => given != null && given !== '')
  const id = toId(value)
  if (id !== undefined) return id
  throw new CommandError(`${names[0]}: expected an id, ${value === undefined ? 'it is missing' : 'got something else'}`)
}

/** As brains mean it: also as text or as a number. */
export function flagIn(args: Fields, name: string, standard?: boolean): boolean {
  const given = args[name] ?? standard
  if (typeof given === 'boolean') return given
  const found = FLAGS.get(String(given).toLowerCase())
  if (found === undefined) throw new CommandError(`${name}: expected true or false`)
  return found
}

const FLAGS = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false]
])

export function textIn(args: Fields, name: string): string {
  const given = args[name]
  if (typeof given === 'number') return String(given)
  if (typeof given === 'string' && given !== '') return given
  throw new CommandError(`${name}: expected some text`)
}

/** A whole number from 0. */
export function countIn(args: Fields, name: string): number {
  const given = args[name]
  const count = typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : given
  if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 0) return count
  throw new CommandError(`${name}: expected a whole number from 0`)
}

export function idsIn(args: Fields, name: string, max: number): readonly number[] {
  const given = args[name]
  if (!Array.isArray(given) || given.length === 0 || given.length > max)
    throw new CommandError(`${name}: expected a list of 1 to ${max} ids`)
  return given.map((value) => idIn({ [name]: value }, name))
}

import { ActionError } from '../core/errors.ts'

/** Half of a surrogate pair, written as an escape; only then is a closer look worth its time. */
const MAYBE_LONE_SURROGATE = /\\u[dD][89a-fA-F]/

/** Far more than anything that is taken here, and far less than what `JSON.stringify` can give back. */
const MAX_LEVELS = 1000

/** Parses a JSON object that has to be clear. Throws `ActionError('invalid')`, as the two of which it is made. */
export function parseObject(text: string): Record<string, unknown> {
  const value = readObject(text)
  mustBeClear(value, text)
  return value
}

/** Parses a JSON object; throws `ActionError('invalid')` when it is no JSON, or no object. */
export function readObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (err) {
    throw new ActionError('invalid', `this is not valid JSON: ${describe(err)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ActionError('invalid', 'expected a JSON object')
  return value as Record<string, unknown>
}

/**
 * Throws `ActionError('invalid')` when the object, parsed from this text, holds what another reader may read otherwise: text
 * that UTF-8 cannot express, a key twice, the key `__proto__`, or more levels than some can hold.
 */
export function mustBeClear(value: object, text: string): void {
  const keys = countKeys(value)
  const twin = keys < countColons(text) ? findTwin(text) : undefined
  if (twin !== undefined)
    throw new ActionError('invalid', `the key ${JSON.stringify(twin.slice(0, 64))} is there twice in one object`)
  if (MAYBE_LONE_SURROGATE.test(text) && !isWellFormed(value))
    throw new ActionError('invalid', 'a string holds half of a surrogate pair, which is no character')
}

/** V8 quotes the text around the mistake; what a client sent may be a secret, so only the place is told. */
function describe(err: unknown): string {
  const message = (err as Error).message
  const place = /position \d+/.exec(message)?.[0]
  if (place) return `mistake at ${place}`
  return message.startsWith('Unexpected end') ? 'it ends too early' : 'mistake in it'
}

/** Keys in all its objects; level by level, since what is nested may be nested deeper than calls can be. */
function countKeys(root: object): number {
  let count = 0
  let level = [root]
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MAX_LEVELS) throw new ActionError('invalid', 'it is nested too deeply')
    const next: object[] = []
    for (const value of level) {
      if (Array.isArray(value)) {
        for (const inner of value as unknown[]) if (typeof inner === 'object' && inner !== null) next.push(inner)
        continue
      }
      // What JSON.parse gives has no keys but its own.
      for (const key in value) {
        if (key === '__proto__') throw new ActionError('invalid', 'the key "__proto__" is not taken')
        const inner = (value as Record<string, unknown>)[key]
        if (typeof inner === 'object' && inner !== null) next.push(inner)
        count++
      }
    }
    level = next
  }
  return count
}

/** As many as there are keys in the text, or more: those in strings may look like one. */
function countColons(text: string): number {
  let count = 0
  for (let at = text.indexOf(':'); at !== -1; at = text.indexOf(':', at + 1)) {
    let before = at - 1
    while (text.charCodeAt(before) <= SPACE) before--
    if (text.charCodeAt(before) === QUOTE) count++
  }
  return count
}

const SPACE = 0x20
const QUOTE = 0x22
const BACKSLASH = 0x5c

/** A key that one object of this valid JSON has twice: of several readers each would take another one of the two. */
function findTwin(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = []
  let isKey = false
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]
    if (sign === '{') open.push(new Set())
    if (sign === '[') open.push(undefined)
    if (sign === '}' || sign === ']') open.pop()
    if (sign === '{' || sign === ',') isKey = open.at(-1) !== undefined
    if (sign === '[' || sign === ':') isKey = false
    if (sign !== '"') continue
    const end = endOfString(text, at)
    if (isKey) {
      const key = JSON.parse(text.slice(at, end + 1)) as string
      if (open.at(-1)?.has(key)) return key
      open.at(-1)?.add(key)
    }
    at = end
  }
  return undefined
}

/** Where the string ends that begins here. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++
    if (slashes % 2 === 0) return end
  }
}

function isWellFormed(root: unknown): boolean {
  const open = [root]
  while (open.length > 0) {
    const value = open.pop()
    if (typeof value === 'string' && !value.isWellFormed()) return false
    if (typeof value !== 'object' || value === null) continue
    for (const [key, inner] of Object.entries(value)) {
      if (!key.isWellFormed()) return false
      open.push(inner)
    }
  }
  return true
}

/** A number of so many digits, or with an exponent: only then can JavaScript have changed one. */
const MAYBE_INEXACT = /[\d.]{16}|\d[eE]/

/**
 * The value of a top-level key exactly as it was written: numbers that JavaScript cannot hold come back digit by digit
 * when it is stringified again.
 */
export function keepExact(text: string, key: string, value: unknown): unknown {
  if (!mayHoldInexact(value) || !MAYBE_INEXACT.test(text)) return value
  try {
    return (JSON.parse(text, toExact as Reviver) as Record<string, unknown>)[key]
  } catch {
    // JSON.parse takes more levels than its reviver can visit.
    return value
  }
}

type Reviver = (this: unknown, key: string, value: unknown) => unknown

function mayHoldInexact(value: unknown): boolean {
  return typeof value === 'number' ? !Number.isSafeInteger(value) : typeof value === 'object' && value !== null
}

function toExact(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context?.source === undefined) return value
  const { rawJSON } = JSON as unknown as { rawJSON?: (text: string) => unknown }
  return rawJSON ? rawJSON(context.source) : value
}

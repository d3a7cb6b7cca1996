import { ActionError } from '../core/errors.ts'

/** Half of a surrogate pair, written as an escape; only then is a closer look worth its time. */
const MAYBE_LONE_SURROGATE = /\\u[dD][89a-fA-F]/

/**
 * Parses a JSON object.
 * Throws `ActionError('invalid')` when it is no JSON, no object, or holds text that UTF-8 cannot express.
 */
export function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (err) {
    throw new ActionError('invalid', `this is not valid JSON: ${describe(err)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ActionError('invalid', 'expected a JSON object')
  if (MAYBE_LONE_SURROGATE.test(text) && !isWellFormed(value)) {
    throw new ActionError('invalid', 'a string holds half of a surrogate pair, which is no character')
  }
  return value as Record<string, unknown>
}

/** V8 quotes the text around the mistake; what a client sent may be a secret, so only the place is told. */
function describe(err: unknown): string {
  const message = (err as Error).message
  const place = /position \d+/.exec(message)?.[0]
  if (place) return `mistake at ${place}`
  return message.startsWith('Unexpected end') ? 'it ends too early' : 'mistake in it'
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

import type { TObject } from '@sinclair/typebox'
import { TypeCompiler, type TypeCheck, type ValueError } from '@sinclair/typebox/compiler'
import { ActionError } from './errors.ts'

export type Validate = (params: unknown) => Record<string, unknown>

/**
 * Compiles a schema to a function that gives the parameters back, or throws `ActionError('invalid')` naming the field
 * and what was expected. What is null counts as absent, as Milky clients mean it.
 */
export function compileParams(schema: TObject): Validate {
  let check: TypeCheck<TObject> | undefined

  function validate(params: unknown): Record<string, unknown> {
    // At its first use: a hundred schemas are compiled in a tenth of a second, which nobody should wait for at the start.
    const compiled = (check ??= TypeCompiler.Compile(schema))
    const given = params ?? {}
    if (compiled.Check(given)) return given as Record<string, unknown>
    if (typeof given !== 'object' || Array.isArray(given)) {
      throw new ActionError('invalid', `the parameters must be a JSON object, got ${nameOf(given)}`)
    }
    const present = withoutNulls(given) as Record<string, unknown>
    if (compiled.Check(present)) return present
    throw toError(deepest(compiled.Errors(present).First()))
  }

  return (params) => {
    try {
      return validate(params)
    } catch (err) {
      // Messages may hold messages: a schema that calls itself runs out of stack where the JSON parser does not.
      if (err instanceof RangeError) throw new ActionError('invalid', 'the parameters are nested too deeply')
      throw err
    }
  }
}

/** Far deeper than anything that a schema allows. */
const MAX_DEPTH = 64

/** At any depth: segments have optional parts too. An element of a list that is null stays, and is a mistake. */
function withoutNulls(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return value
  if (Array.isArray(value)) return value.map((element) => withoutNulls(element, depth + 1))
  const present = Object.entries(value).filter(([, inner]) => inner !== null)
  return Object.fromEntries(present.map(([key, inner]) => [key, withoutNulls(inner, depth + 1)]))
}

/** An error of a union only says that nothing fitted; the variant that came furthest knows what was wrong. */
function deepest(error: ValueError | undefined): ValueError | undefined {
  if (!error) return undefined
  const inner = error.errors.flatMap((errors) => deepest(errors.First()) ?? [])
  const best = inner.toSorted((a, b) => depth(b) - depth(a))[0]
  return best && depth(best) > depth(error) + 1 ? best : error
}

function depth(error: ValueError): number {
  return error.path.split('/').length
}

function toError(error: ValueError | undefined): ActionError {
  if (!error) return new ActionError('invalid', 'the parameters are malformed')
  const field = error.path.slice(1).replaceAll('/', '.')
  const details = field ? { field } : {}
  const expected = error.schema.description ?? lowerFirst(error.message)
  if (error.value === undefined) {
    return new ActionError(
      'invalid',
      `${field}: ${error.schema.description ?? 'expected a value'}, it is missing`,
      details
    )
  }
  const isSecret = /password|token|code$/.test(field)
  const got = isSecret ? 'something else' : nameOf(error.value)
  return new ActionError('invalid', `${field || 'the parameters'}: ${expected}, got ${got}`, details)
}

/** Short, and never a whole message: what was sent may be long or secret. */
function nameOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'string')
    return value.length <= 32 ? JSON.stringify(value) : `a string of ${value.length} characters`
  return String(value)
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1)
}

import { Type, type TSchema } from '@sinclair/typebox'

/** An integer that a JavaScript number holds exactly; anything above would silently become its neighbour. */
export const Int = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'expected an integer from 0 to 2^53-1'
})

/** A Milky `uin`: the id of an account or a group. */
export const Uin = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'expected an id (an integer from 1 to 2^53-1)'
})

export const Bool = Type.Boolean({ description: 'expected true or false' })
export const Text = Type.String({ description: 'expected a string' })

/** Words that stand for something, with an end: nobody reads more. */
export function ShortText(max: number) {
  return Type.String({ maxLength: max, description: `expected at most ${max} characters` })
}

/** A name that people read: 1 to `max` characters without control characters. */
export function Name(max: number) {
  return Type.String({
    minLength: 1,
    maxLength: max,
    pattern: NO_CONTROL,
    description: `expected 1 to ${max} characters without control characters`
  })
}

/** As `Name`, but may be empty, which takes the name away. */
export function OptionalName(max: number) {
  return Type.String({
    maxLength: max,
    pattern: NO_CONTROL,
    description: `expected at most ${max} characters without control characters`
  })
}

const NO_CONTROL = '^[^\\u0000-\\u001f\\u007f]*$'

/** What people sign in with. Letters of every script need the flag, which a `pattern` cannot have. */
export const Username = Type.RegExp(/^[\p{L}\p{N}_.-]{2,32}$/u, {
  description: 'expected 2 to 32 letters, digits, "_", "." or "-"'
})

export const Nothing = Type.Object({})

export const Scene = Type.Union([Type.Literal('friend'), Type.Literal('group'), Type.Literal('temp')], {
  description: 'expected "friend", "group" or "temp"'
})

/** `{type, data}`, the shape of every segment. */
export function SegmentOf<T extends string, D extends TSchema>(type: T, data: D) {
  return Type.Object({ type: Type.Literal(type), data })
}

import { isDeepStrictEqual } from 'node:util'
import { Event, IncomingSegment, zodApiCategories } from '@saltify/milky-types'

interface Schema {
  readonly safeParse: (value: unknown) => { success: true; data: unknown } | { success: false; error: Error }
}

interface Api {
  readonly requestSchema: Schema | null
  readonly responseSchema: Schema | null
}

type Category = Record<string, { readonly apis: Record<string, Api> }>

/** The 64 APIs of Milky 1.2 as somebody else has written them down. */
export const apis: ReadonlyMap<string, Api> = new Map(
  Object.values(zodApiCategories as unknown as Category).flatMap((category) => Object.entries(category.apis))
)

/**
 * What is wrong with the `data` of a successful answer, or undefined. Strict: what the package would quietly replace, drop or
 * ignore (segments that it does not know, elements that do not fit, keys that nobody named) is a fault.
 */
export function faultOfData(endpoint: string, data: unknown): string | undefined {
  const api = apis.get(endpoint)
  if (!api) return `${endpoint} is no API of Milky 1.2`
  if (api.responseSchema) return faultOf(api.responseSchema, data, endpoint)
  return isDeepStrictEqual(data, {}) ? undefined : `${endpoint}: expected {}, got ${JSON.stringify(data)}`
}

/** The same for an event, as it stands in a frame, an SSE message or a webhook. */
export function faultOfEvent(event: unknown): string | undefined {
  return faultOf(Event as unknown as Schema, event, String((event as { event_type?: unknown } | null)?.event_type))
}

export function faultOfSegment(segment: unknown): string | undefined {
  return faultOf(IncomingSegment as unknown as Schema, segment, 'segment')
}

function faultOf(schema: Schema, value: unknown, what: string): string | undefined {
  const parsed = schema.safeParse(value)
  if (!parsed.success) return `${what}: ${parsed.error.message}`
  const seen = plain(parsed.data)
  if (isDeepStrictEqual(seen, plain(value))) return undefined
  return `${what}: the package reads ${JSON.stringify(seen)} where we wrote ${JSON.stringify(value)}`
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null))
}

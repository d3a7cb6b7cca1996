import type { FastifyReply, FastifyRequest } from 'fastify'
import { findLogPlace, parseCursor, type LogPlaceOptions, type Since } from '../src/net/log-place.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Where a bot that listens begins to hear. */
    start: Start | undefined
  }
}

/** Where somebody who came in begins to hear. */
export interface Start {
  /** Hears what comes after this event. */
  readonly from: number
  /** Asked for a place, and so is told that of each event. */
  readonly tellsCursor: boolean
}

/**
 * Reads `?since=` and `Last-Event-ID`, of which the header wins: who sends it was cut off after it had begun with the
 * other. The answer says where it begins (`Lactea-Cursor`), and to whom asks whether that is where it was.
 */
export async function findStart(
  request: FastifyRequest,
  reply: FastifyReply,
  options: LogPlaceOptions
): Promise<Start | 'malformed'> {
  const asked = (request.query as Record<string, unknown>)['since']
  const query = asked === undefined ? undefined : parseSince(asked)
  if (query === 'malformed') return query
  const since = sinceOfHeader(request) ?? query
  const { from, headers } = await findLogPlace(options, since)
  void reply.headers(headers)
  return { from, tellsCursor: since !== undefined }
}

/** Without a value, as of a program that has no cursor yet, it is `now`. */
function parseSince(text: unknown): Since | 'malformed' {
  if (text === '' || text === 'now') return 'now'
  return (typeof text === 'string' ? parseCursor(text) : undefined) ?? 'malformed'
}

/** What is no cursor here is one of another gateway: a browser could not help it, and would never come back if it were refused. */
function sinceOfHeader({ headers }: FastifyRequest): number | undefined {
  const last = headers['last-event-id']
  if (typeof last !== 'string' || last === '') return undefined
  return parseCursor(last) ?? Infinity
}

import type { IncomingMessage } from 'node:http'
import type { FastifyServerOptions } from 'fastify'
import { parseBearer } from '../src/net/bearer.ts'

/** What is spoken at `/ws`, beside IM-Suite, or asked for there in vain. */
export type Speech =
  /** The API-Server protocol of maim_message. */
  | 'maim-api'
  /** Its legacy protocol. */
  | 'maim-legacy'
  /** maim_message 0.7 and others that come by Socket.IO. */
  | 'socket.io'
  | 'onebot'
  /** No WebSocket at all. */
  | 'http'

/**
 * Lets several doors share `/ws`: a route with `constraints: { speech: … }` serves those that speak so, the one without
 * serves all others, who are people (IM-Suite).
 */
export const constraints: Constraints = {
  speech: {
    name: 'speech',
    storage() {
      const handlers = new Map<string, Handler>()
      return {
        get: (speech) => handlers.get(speech) ?? null,
        set: (speech, handler) => void handlers.set(speech, handler)
      }
    },
    validate() {},
    // The router takes undefined for "none of these", whatever its types say.
    deriveConstraint: (request) => findSpeech(request) as string
  }
}

type Constraints = NonNullable<NonNullable<FastifyServerOptions['routerOptions']>['constraints']>
type Handler = Parameters<ReturnType<Constraints[string]['storage']>['set']>[1]

const JWT = /^[\w-]+\.[\w-]+\.[\w-]*$/

/** Told by what a client shows; undefined is a person, or nothing that we know. */
export function findSpeech({
  url = '',
  method,
  headers
}: Pick<IncomingMessage, 'url' | 'method' | 'headers'>): Speech | undefined {
  // Every request comes by here.
  if (!url.startsWith('/ws')) return undefined
  const [path, search] = url.split('?', 2)
  if (path !== '/ws' && path !== '/ws/') return undefined
  const query = new URLSearchParams(search)
  if (query.has('EIO')) return 'socket.io'
  if (method !== 'GET' || headers.upgrade?.toLowerCase() !== 'websocket') return 'http'
  if (query.has('api_key') || API_HEADERS.some((name) => headers[name] !== undefined)) return 'maim-api'
  if (headers['x-self-id'] !== undefined || headers['x-client-role'] !== undefined) return 'onebot'

  const tokens = [query.get('token'), query.get('ticket'), parseBearer(headers.authorization)]
  const isJwt = tokens.some((token) => JWT.test(token ?? ''))
  // A person's client may name its system so; a legacy client cannot know a JWT.
  if (headers['platform'] !== undefined) return isJwt ? undefined : 'maim-legacy'
  if (tokens.some(Boolean) || headers['sec-websocket-protocol'] !== undefined) return undefined
  if (headers.authorization !== undefined) return 'maim-legacy'
  return query.has('platform') ? 'maim-api' : undefined
}

const API_HEADERS = ['x-apikey', 'x-platform', 'x-uuid']

import type { FastifyReply, FastifyRequest } from 'fastify'

/** What a browser may send beyond what it always may. */
const HEADERS = 'authorization, content-type, last-event-id, idempotency-key'
/** Seconds for which a browser need not ask again. */
const MAX_AGE_S = '600'

/** Lets a page of another origin read the answer. Cookies count for nothing here: who has a token has it from its owner. */
export function allowOrigin(request: FastifyRequest, reply: FastifyReply): void {
  const { origin } = request.headers
  if (origin === undefined) return
  reply.header('access-control-allow-origin', origin)
  reply.header('access-control-expose-headers', 'retry-after, idempotent-replayed')
  reply.header('vary', 'Origin')
}

/** Answers a browser that asks whether it may call (Fetch standard, "CORS-preflight request"): it may. */
export function permitCall(request: FastifyRequest, reply: FastifyReply, method: 'GET' | 'POST'): FastifyReply {
  allowOrigin(request, reply)
  reply.header('access-control-allow-methods', method)
  reply.header('access-control-allow-headers', HEADERS)
  reply.header('access-control-max-age', MAX_AGE_S)
  return reply.code(204).send()
}

import type { FastifyInstance } from 'fastify'
import { ActionError } from '../src/core/errors.ts'
import type { Gateway } from '../src/gateway.ts'

export interface HealthOptions {
  readonly gateway: Gateway
  /** False from the moment on that the gateway shuts down. */
  readonly isServing: () => boolean
}

/** `/health`, also as `/live`: the process lives. `/ready`: it takes work now, and its database can be written. */
export async function health(app: FastifyInstance, { gateway, isServing }: HealthOptions): Promise<void> {
  for (const path of ['/health', '/live']) app.get(path, async () => ({ status: 'ok' }))

  app.get('/ready', async (_request, reply) => {
    if (!isServing()) return reply.code(503).send({ status: 'draining' })
    try {
      await gateway.store.ping()
    } catch (err) {
      gateway.onError(err)
      const reason = err instanceof ActionError ? err.message : 'the database does not answer'
      return reply.code(503).send({ status: 'unavailable', reason })
    }
    return { status: 'ready' }
  })
}

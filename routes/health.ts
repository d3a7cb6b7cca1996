import type { FastifyInstance } from 'fastify'
import type { Gateway } from '../src/gateway.ts'

export interface HealthOptions {
  readonly gateway: Gateway
  /** False from the moment on that the gateway shuts down. */
  readonly isServing: () => boolean
}

/** `/health`: the process lives. `/ready`: it takes work now, and its database answers. */
export async function health(app: FastifyInstance, { gateway, isServing }: HealthOptions): Promise<void> {
  app.get('/health', async () => ({ status: 'ok' }))

  app.get('/ready', async (_request, reply) => {
    if (!isServing()) return reply.code(503).send({ status: 'draining' })
    try {
      await gateway.store.ping()
    } catch (err) {
      gateway.onError(err)
      return reply.code(503).send({ status: 'unavailable', reason: 'the database does not answer' })
    }
    return { status: 'ready' }
  })
}

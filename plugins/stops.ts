import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { restartHint } from '../src/net/http-answer.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Run when the gateway begins to close, all side by side; the database stays open until they have resolved. */
    stops: Set<() => Promise<void>>
  }
}

/** What is asked about the gateway itself is answered to the end. */
const PROBES = new Set(['/health', '/live', '/ready'])

/**
 * From the beginning of the end on nothing new is begun: who comes by a connection that is open still is told when to come
 * back. What was under way is finished. Comes before all doors.
 *
 * Hooks run one after the other, and ten slow receivers would take ten times as long as a shutdown may.
 */
export default fp(async (app: FastifyInstance) => {
  const stops: FastifyInstance['stops'] = new Set()
  let stopped: Promise<PromiseSettledResult<void>[]> | undefined
  const stopAll = (): NonNullable<typeof stopped> => (stopped ??= Promise.allSettled([...stops].map((stop) => stop())))

  app.decorate('stops', stops)
  app.addHook('onRequest', (request, reply, done) => {
    if (!stopped || PROBES.has(request.routeOptions.url ?? '')) return done()
    const answer = { status: 'failed', retcode: -503, message: 'the gateway shuts down; come back in a moment' }
    void reply.code(503).header('retry-after', restartHint()).send(answer)
  })
  app.addHook('preClose', (done) => {
    void stopAll()
    done()
  })
  app.addHook('onClose', async () => {
    for (const end of await stopAll())
      if (end.status === 'rejected') app.log.error({ err: end.reason }, 'a part failed to stop')
  })
})

import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** Run when the gateway begins to close, all side by side; the database stays open until they have resolved. */
    stops: Set<() => Promise<void>>
  }
}

/** Hooks run one after the other, and ten slow receivers would take ten times as long as a shutdown may. */
export default fp(async (app: FastifyInstance) => {
  const stops: FastifyInstance['stops'] = new Set()
  let stopped: Promise<PromiseSettledResult<void>[]> | undefined
  const stopAll = (): NonNullable<typeof stopped> => (stopped ??= Promise.allSettled([...stops].map((stop) => stop())))

  app.decorate('stops', stops)
  app.addHook('preClose', (done) => {
    void stopAll()
    done()
  })
  app.addHook('onClose', async () => {
    for (const end of await stopAll())
      if (end.status === 'rejected') app.log.error({ err: end.reason }, 'a part failed to stop')
  })
})

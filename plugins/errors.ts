import type { FastifyError, FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/** The last resort: what no door has answered in its own form. */
export default fp(async (app: FastifyInstance) => {
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0]
    return reply.code(404).send({
      status: 'failed',
      retcode: -404,
      message: `there is nothing at ${request.method} ${path}; GET / names the doors`
    })
  })

  app.setErrorHandler((err: FastifyError, request, reply) => {
    const status = err.statusCode ?? 500
    if (status >= 500 && status !== 503) request.log.error({ err }, 'a request failed')
    const message = status >= 500 && status !== 503 ? 'internal error' : err.message
    return reply.code(status).send({ status: 'failed', retcode: -status, message })
  })

  // Every call would pay for a line that nobody writes.
  if (!['trace', 'debug'].includes(app.log.level)) return
  app.addHook('onResponse', (request, reply, done) => {
    const line = {
      method: request.method,
      url: request.url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime)
    }
    request.log.debug(line, 'request')
    done()
  })
})

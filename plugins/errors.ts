import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { toAnswer } from '../src/net/http-answer.ts'

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

/** For `Fastify({ clientErrorHandler })`: what Node's parser does not take, or what is not there in time. */
export function answerClientError({ code }: NodeJS.ErrnoException, socket: Socket): void {
  if (code === 'ECONNRESET' || socket.destroyed) return
  if (socket.writable) socket.write(toAnswer(...refusalOf(code)))
  socket.destroy()
}

function refusalOf(code: string | undefined): [status: number, message: string] {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return [408, 'the request did not arrive in time']
  if (code === 'HPE_HEADER_OVERFLOW') return [431, 'the headers are too large']
  return [400, 'this is no HTTP/1.1 request']
}

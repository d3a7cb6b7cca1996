import { isUtf8 } from 'node:buffer'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { bearerToken, isAddressedHere, type IdentifyBot } from '../plugins/auth.ts'
import type { Outcome } from '../src/core/action.ts'
import { ActionError } from '../src/core/errors.ts'
import type { Gateway } from '../src/gateway.ts'
import { parseObject } from '../src/protocols/json.ts'
import { toDraftEnvelope } from '../src/protocols/milky-draft.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The bot that the request speaks for; 0 until it is known. */
    botId: number
  }
}

export interface MilkyApiOptions {
  readonly gateway: Gateway
  readonly identifyBot: IdentifyBot
  readonly bodyLimit: number
}

interface ApiRoute {
  Params: { api: string }
}

const JSON_TYPE = 'application/json; charset=utf-8'

/** Milky draft over HTTP: `POST /:api` (contract 1.1). What is wrong is told in this order: 401, 403, 404, 406, 400. */
export async function milkyApi(
  app: FastifyInstance,
  { gateway, identifyBot, bodyLimit }: MilkyApiOptions
): Promise<void> {
  const { draft } = gateway

  // The body is parsed below, after everything that comes before it in the order of errors.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  async function admit(request: FastifyRequest<ApiRoute>, reply: FastifyReply): Promise<void> {
    const token = bearerToken(request)
    const identity = await identifyBot(token === undefined ? [] : [token])
    const wait = await app.budgets.http(request, typeof identity === 'object' ? `bot ${identity.accountId}` : undefined)
    if (wait !== undefined)
      return refuse(reply.header('retry-after', wait), 429, `too many requests; try again in ${wait} s`)
    if (identity === 'missing')
      return refuse(reply, 401, 'no access token: send the header "Authorization: Bearer <access_token>"')
    if (identity === 'wrong') return refuse(reply, 403, 'this access token is not known')
    if (identity.isOpen && !isAddressedHere(request))
      return refuse(reply, 403, 'without an access token this bot is only for this machine: call it as localhost')
    if (!draft.has(request.params.api))
      return refuse(reply, 404, `there is no API "${request.params.api.slice(0, 64)}"`)
    if (!isJson(request.headers['content-type'])) return refuse(reply, 406, 'the Content-Type must be application/json')
    request.botId = identity.accountId
  }

  app.decorateRequest('botId', 0)
  app.setErrorHandler((err: FastifyError, request, reply) => {
    // What Fastify calls an unsupported media type is 406 in the draft.
    const status = err.statusCode === 415 ? 406 : (err.statusCode ?? 500)
    // 503 is the overload guard's word, written for the caller.
    const isOurs = status >= 500 && status !== 503
    if (isOurs) request.log.error({ err }, 'a request failed')
    if (status === 413) return refuse(reply, status, `the body may have at most ${bodyLimit} bytes`)
    refuse(reply, status, isOurs ? 'internal error' : err.message)
  })

  app.post<ApiRoute>('/:api', { onRequest: admit, bodyLimit }, async (request, reply) => {
    const params = parseBody(request.body as Buffer | undefined)
    const outcome =
      params instanceof ActionError
        ? failed(params)
        : await draft.dispatch(request.params.api, params, { accountId: request.botId })
    reply.code(statusOf(outcome)).header('content-type', JSON_TYPE)
    return JSON.stringify(toDraftEnvelope(outcome))
  })
}

function refuse(reply: FastifyReply, status: number, message: string): void {
  void reply
    .code(status)
    .header('content-type', JSON_TYPE)
    .send(JSON.stringify({ status: 'failed', retcode: -status, message }))
}

/** The media type alone decides: case and parameters such as `charset=utf-8` do not matter. */
function isJson(contentType: string | undefined): boolean {
  return /^application\/json *(?:;|$)/i.test(contentType ?? '')
}

/** An empty body is an empty object: clients leave it out where there is nothing to say. */
function parseBody(body: Buffer | undefined): unknown {
  if (!body || body.length === 0) return {}
  if (!isUtf8(body)) return new ActionError('invalid', 'the body is not valid UTF-8')
  try {
    return parseObject(body.toString('utf8'))
  } catch (err) {
    return err
  }
}

function failed(error: ActionError): Outcome {
  return { ok: false, error }
}

/** Only malformed parameters have a status of their own; every other failure is 200 with a retcode (draft "HTTP Server"). */
function statusOf(outcome: Outcome): number {
  return !outcome.ok && outcome.error.reason === 'invalid' ? 400 : 200
}

import { isUtf8 } from 'node:buffer'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  admitBot,
  type AdmittedBot,
  findPreflightRefusal,
  isRefusal,
  refuseBot,
  type IdentifyBot,
  type Refusal
} from '../plugins/auth.ts'
import { allowOrigin, permitCall } from '../plugins/cors.ts'
import type { Config } from '../src/config.ts'
import type { Outcome } from '../src/core/action.ts'
import type { Dispatcher } from '../src/core/dispatcher.ts'
import { ActionError } from '../src/core/errors.ts'
import type { Gateway } from '../src/gateway.ts'
import { encodeEnvelope } from '../src/protocols/call-frame.ts'
import { parseObject } from '../src/protocols/json.ts'
import { toDraftEnvelope } from '../src/protocols/milky-draft.ts'
import type { MilkySentence } from '../src/protocols/milky-words.ts'
import { MILKY_ACTIONS, MILKY_EXTENSIONS, toMilkyEnvelope } from '../src/protocols/milky.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The bot that the request speaks for; 0 until it is known. */
    botId: number
  }
}

export interface MilkyApiOptions {
  readonly gateway: Gateway
  readonly identifyBot: IdentifyBot
  readonly config: Config
}

/** How a dialect says what is wrong over HTTP. */
interface Dialect {
  readonly path: string
  readonly dispatcher: Dispatcher
  /** What the other dialect has: names are easily mixed up. */
  readonly other: { readonly dispatcher: Dispatcher; readonly hint: MilkySentence }
  /** The token is not known. */
  readonly wrongToken: 401 | 403
  readonly notJson: number
  /** The parameters are malformed. */
  readonly invalid: number
  /** The bot is switched off. */
  readonly disabled: number
  /** Pages of any origin may call, with a token. */
  readonly isForPages: boolean
  readonly toEnvelope: (outcome: Outcome, acceptLanguage: string | undefined) => object
}

interface ApiRoute {
  Params: { api: string }
}

const JSON_TYPE = 'application/json; charset=utf-8'

/**
 * Milky over HTTP: `POST /:api` of the draft (contract 1.1) and `POST /api/:api` of Milky 1.2 (contract 2.1). What is wrong
 * is told in this order: the token, the name, the media type, the parameters.
 */
export async function milkyApi(app: FastifyInstance, options: MilkyApiOptions): Promise<void> {
  const { draft, milky } = options.gateway
  // The body is parsed below, after everything that comes before it in the order of errors.
  app.removeAllContentTypeParsers()
  // By its name too, or the type would be looked at anew with each request.
  for (const type of ['application/json', '*'])
    app.addContentTypeParser(type, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.decorateRequest('botId', 0)
  await app.register(async (scope) =>
    serve(scope, options, {
      path: '/:api',
      dispatcher: draft,
      other: {
        dispatcher: milky,
        hint: 'there is no API "{}" in the Milky draft; Milky 1.2 has it, at POST /api/{}'
      },
      wrongToken: 403,
      notJson: 406,
      invalid: 400,
      disabled: 403,
      isForPages: false,
      toEnvelope: toDraftEnvelope
    })
  )
  await app.register(async (scope) =>
    serve(scope, options, {
      path: '/api/:api',
      dispatcher: milky,
      other: {
        dispatcher: draft,
        hint: 'there is no API "{}" in Milky 1.2; the Milky draft has it, at POST /{}'
      },
      wrongToken: 401,
      notJson: 415,
      invalid: 200,
      disabled: 200,
      isForPages: true,
      toEnvelope: toMilkyEnvelope
    })
  )
}

function serve(app: FastifyInstance, { identifyBot, config }: MilkyApiOptions, dialect: Dialect): void {
  const { path, dispatcher, other, wrongToken, isForPages, toEnvelope } = dialect
  const { server } = config
  const bodyLimit = config.limits.http_body

  const admission = { app, identifyBot, wrongToken, allowedOrigins: server.allowed_origins, isHandshake: false }

  function admit(request: FastifyRequest<ApiRoute>, reply: FastifyReply, done: (err?: Error) => void): void {
    const bot = admitBot(request, admission)
    const goOn = (found: AdmittedBot | Refusal): void => {
      if (letIn(request, reply, found)) done()
    }
    // A call whose token is known waits for nobody.
    if (bot instanceof Promise) bot.then(goOn).catch(done)
    else goOn(bot)
  }

  /** False when it was answered. */
  function letIn(request: FastifyRequest<ApiRoute>, reply: FastifyReply, bot: AdmittedBot | Refusal): boolean {
    if (isForPages && !(isRefusal(bot) && bot.isIntrusion)) allowOrigin(request, reply)
    if (!isRefusal(bot) && bot.isDisabled) {
      answer(request, reply, failed(new ActionError('disabled', 'this bot is switched off')))
      return false
    }
    const refusal = isRefusal(bot) ? bot : findRefusal(request)
    if (refusal) void refuseBot(request, reply, refusal)
    else request.botId = (bot as AdmittedBot).accountId
    return refusal === undefined
  }

  function findRefusal({ params, headers }: FastifyRequest<ApiRoute>): Refusal | undefined {
    const { api } = params
    if (!dispatcher.has(api)) {
      const sentence = other.dispatcher.has(api) ? other.hint : 'there is no API "{}"'
      return { status: 404, sentence, value: api.slice(0, 64) }
    }
    if (isJson(headers['content-type'])) return undefined
    return { status: dialect.notJson, sentence: 'the Content-Type must be application/json' }
  }

  function answer(request: FastifyRequest, reply: FastifyReply, outcome: Outcome): void {
    reply.code(statusOf(outcome, dialect)).header('content-type', JSON_TYPE)
    if (outcome.ok && outcome.isReplay) reply.header('idempotent-replayed', 'true')
    const language = request.headers['accept-language']
    void reply.send(encodeEnvelope(outcome, (failure) => toEnvelope(failure, language)))
  }

  app.setErrorHandler((err: FastifyError, request, reply) => {
    const status = err.statusCode === 415 ? dialect.notJson : (err.statusCode ?? 500)
    // 503 is the overload guard's word, written for the caller.
    const isOurs = status >= 500 && status !== 503
    if (isOurs) request.log.error({ err }, 'a request failed')
    if (status === 413)
      return refuseBot(request, reply, { status, sentence: 'the body may have at most {} bytes', value: bodyLimit })
    const message = isOurs ? 'internal error' : err.message
    return reply.code(status).send({ status: 'failed', retcode: -status, message })
  })

  app.post<ApiRoute>(path, { onRequest: admit, bodyLimit }, (request, reply) => {
    const params = parseBody(request.body as Buffer | undefined)
    if (params instanceof ActionError) return answer(request, reply, failed(params))
    const { 'idempotency-key': idempotencyKey } = request.headers
    dispatcher
      .dispatch(request.params.api, params, { accountId: request.botId, idempotencyKey })
      .then((outcome) => answer(request, reply, outcome))
      .catch((err: unknown) => void reply.send(err))
  })

  if (!isForPages) return
  // By name: to browsers that ask about anything else below /api the people's doors answer, as they always did.
  const names = [...Object.values(MILKY_ACTIONS).flat(), ...MILKY_EXTENSIONS]
  app.options(`/api/:api(^(?:${names.join('|')})$)`, async (request, reply) => {
    const refusal = await findPreflightRefusal(request, { identifyBot, allowedOrigins: server.allowed_origins })
    return refusal ? refuseBot(request, reply, refusal) : permitCall(request, reply, 'POST')
  })
}

/** Every other failure is 200 with a retcode (contract 1.1, 2.1). */
function statusOf(outcome: Outcome, { invalid, disabled }: Dialect): number {
  if (outcome.ok) return 200
  const { reason } = outcome.error
  if (reason === 'invalid') return invalid
  return reason === 'disabled' ? disabled : 200
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

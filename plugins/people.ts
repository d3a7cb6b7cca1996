import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { admit, identifyPerson } from '../src/admission.ts'
import type { Dispatcher } from '../src/core/dispatcher.ts'
import { ActionError, type Reason } from '../src/core/errors.ts'
import { parseObject } from '../src/protocols/json.ts'
import { toErrorAnswer, toErrorCode } from '../src/protocols/imsuite.ts'
import { toRefusal } from '../src/protocols/imsuite-rest.ts'
import { say, type Sentence } from '../src/protocols/words.ts'
import { isTemporary, type Sessions, type Signed } from '../src/sessions.ts'

type Hook = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined>

/** Options of a route, by who may call it. */
export interface People {
  /** Everybody, as often as `limits.http_rate` allows. */
  readonly open: { readonly onRequest: Hook[] }
  /** Everybody; for routes that take a password or a token for new tokens, so that guessing is slow. */
  readonly signIn: { readonly onRequest: Hook[] }
  /** Who has a valid token: `personOf(request)`. */
  readonly own: { readonly onRequest: Hook[] }
  /** The same for routes that check a password too, so that guessing is slow. */
  readonly ownSignIn: { readonly onRequest: Hook[] }
  /** Everybody; who shows a token shows a valid one, and is `request.person`. */
  readonly linked: { readonly onRequest: Hook[] }
  /** Who has a valid token and is an admin (`lactea user admin`). */
  readonly admin: { readonly onRequest: Hook[] }
}

declare module 'fastify' {
  interface FastifyInstance {
    people: People
  }
  interface FastifyRequest {
    person: Signed | null
  }
}

const STATUS: { readonly [R in Reason]: number } = {
  invalid: 400,
  unknown_action: 404,
  not_found: 404,
  forbidden: 403,
  muted: 403,
  conflict: 400,
  too_late: 403,
  busy: 409,
  no_call: 404,
  wrong_state: 409,
  too_large: 400,
  rate_limited: 429,
  disabled: 401,
  unavailable: 503,
  timeout: 504,
  no_space: 507,
  unknown: 500,
  internal: 500
}

export interface PeopleOptions {
  readonly sessions: Sessions
  /** Whether it is an action for bots, which share `/api/` with people. */
  readonly isForBots?: (name: string) => boolean
  /** As it is at this moment, whoever has changed it; as the token was looked at when absent. */
  readonly isAdmin?: (accountId: number) => Promise<boolean>
}

/** What the REST routes of people share (IM-Suite contract 1.3, 1.5): who may call, and how a failure looks. */
export default fp(async (app: FastifyInstance, { sessions, isForBots = () => false, isAdmin }: PeopleOptions) => {
  app.decorateRequest('person', null)

  app.setErrorHandler((err: FastifyError | ActionError, request, reply) => {
    if (err instanceof ActionError) {
      const { retryAfterMs } = err.details
      if (err.reason === 'rate_limited' && retryAfterMs !== undefined) return sendWait(request, reply, retryAfterMs)
      const { reason, code, message, details } = toErrorAnswer(err, request.headers['accept-language'])
      return reply.code(STATUS[reason]).send(toRefusal(message, code, details))
    }
    const status = err.statusCode ?? 500
    if (status === 503) return reply.code(503).send(toRefusal(err.message, 'SERVICE_UNAVAILABLE'))
    if (status < 500) return reply.code(status).send(toRefusal(err.message, 'VALIDATION_ERROR'))
    request.log.error({ err }, 'a request failed')
    return reply.code(status).send(toRefusal('internal error', 'INTERNAL_ERROR'))
  })

  // Clients that always say what they send also say it of nothing, such as for marking as read.
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined)
    try {
      done(null, parseObject(String(body)))
    } catch (err) {
      done(err as ActionError)
    }
  })

  const limitBy =
    (budget: 'http' | 'login'): Hook =>
    async (request, reply) => {
      const wait = budget === 'http' ? app.budgets.http(request) : await app.budgets.login(request)
      return wait === undefined ? undefined : sendWait(request, reply, wait * 1000)
    }

  const identify = identifyPerson(sessions.verify)
  const signedIn: Hook = async (request, reply) => {
    const { who, fault } = await admit(request, 'person', identify)
    if (fault) {
      const [status, code] = isTemporary(fault) ? [503, 'SERVICE_UNAVAILABLE'] : [401, 'UNAUTHORIZED']
      return reply.code(status).send(toRefusal(sayTo(request, fault.fault), code))
    }
    if (!who) return reply.code(401).send(toRefusal(sayTo(request, '认证令牌格式错误'), 'UNAUTHORIZED'))
    request.person = who
    return undefined
  }

  const signedInIfAny: Hook = async (request, reply) =>
    request.headers.authorization === undefined ? undefined : signedIn(request, reply)

  function sendWait(request: FastifyRequest, reply: FastifyReply, ms: number): FastifyReply {
    const seconds = Math.max(1, Math.ceil(ms / 1000))
    const words = sayTo(request, '请求过于频繁，请 {} 秒后再试', seconds)
    return reply
      .code(STATUS.rate_limited)
      .header('retry-after', seconds)
      .send(toRefusal(words, toErrorCode('rate_limited'), { retry_after_ms: ms }))
  }

  const ofAdmin: Hook = async (request, reply) => {
    const { account } = personOf(request)
    if (isAdmin ? await isAdmin(account.id) : account.isAdmin) return undefined
    return reply.code(403).send(toRefusal(sayTo(request, '需要管理员权限'), 'FORBIDDEN'))
  }

  const open = [limitBy('http')]
  const signIn = [...open, limitBy('login')]
  app.decorate('people', {
    open: { onRequest: open },
    signIn: { onRequest: signIn },
    own: { onRequest: [...open, signedIn] },
    linked: { onRequest: [...open, signedInIfAny] },
    ownSignIn: { onRequest: [...signIn, signedIn] },
    admin: { onRequest: [...open, signedIn, ofAdmin] }
  })

  app.all('/api/*', app.people.open, async (request, reply) => {
    const [path = ''] = request.url.split('?', 1)
    const hint = isForBots(path.slice('/api/'.length)) ? '; actions of Milky are called with POST' : ''
    return reply.code(404).send(toRefusal(`there is nothing at ${request.method} ${path}${hint}`, 'NOT_FOUND'))
  })
})

/** Who calls a route that is `own` or stricter. */
export function personOf(request: FastifyRequest): Signed {
  if (!request.person) throw new Error('the route forgot to ask who is there')
  return request.person
}

/** A fixed sentence in the language of who asks. */
export function sayTo({ headers }: FastifyRequest, sentence: Sentence, value?: string | number): string {
  return say(sentence, headers['accept-language'], value)
}

/** An id in the path. */
export function idOf(request: FastifyRequest, name = 'id'): number {
  const text = (request.params as Record<string, string | undefined>)[name] ?? ''
  const id = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : NaN
  if (!Number.isSafeInteger(id)) throw new ActionError('invalid', `${name}: expected an id`, { field: name })
  return id
}

/** The fields of a JSON body; none when nothing was sent. */
export function bodyOf({ body }: FastifyRequest): Record<string, unknown> {
  if (body === undefined || body === null) return {}
  if (typeof body !== 'object' || Array.isArray(body))
    throw new ActionError('invalid', 'the body: expected a JSON object')
  // Null means that there is nothing to say about it.
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
}

/** `page` and `limit` of the query, and where that page begins. */
export function pageOf(request: FastifyRequest): { page: number; limit: number; offset: number } {
  const page = wholeNumber(request, 'page', { fallback: 1, min: 1, max: 1_000_000 })
  const limit = wholeNumber(request, 'limit', { fallback: 20, min: 1, max: 100 })
  return { page, limit, offset: (page - 1) * limit }
}

/** Some words of the query, trimmed; undefined when there are none. */
export function wordsOf(request: FastifyRequest, name: string, maxLength = 100): string | undefined {
  const given = (request.query as Record<string, unknown>)[name]
  const words = typeof given === 'string' ? given.trim() : given
  if (words === undefined || words === '') return undefined
  if (typeof words !== 'string' || words.length > maxLength)
    throw new ActionError('invalid', `${name}: expected 1 to ${maxLength} characters`, { field: name })
  return words
}

/** Carries an action out for the person who asks, as a frame of theirs would; throws what goes wrong. */
export async function perform<Result extends object>(
  request: FastifyRequest,
  dispatcher: Dispatcher,
  action: string,
  params: object
): Promise<Result> {
  const outcome = await dispatcher.dispatch(action, params, { accountId: personOf(request).account.id })
  if (!outcome.ok) throw outcome.error
  return outcome.data as Result
}

/** A number of the query. More than `max` is cut down to it, as clients expect of a page; less than `min` is a mistake. */
export function wholeNumber(
  request: FastifyRequest,
  name: string,
  { fallback, min, max }: { fallback: number; min: number; max: number }
): number {
  const text = (request.query as Record<string, unknown>)[name]
  if (text === undefined) return fallback
  const value = typeof text === 'string' && /^\d{1,16}$/.test(text) ? Number(text) : NaN
  if (!Number.isSafeInteger(value) || value < min)
    throw new ActionError('invalid', `${name}: expected a whole number from ${min}`, { field: name })
  return Math.min(value, max)
}

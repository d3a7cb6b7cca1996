import { createHash } from 'node:crypto'
import type { TObject } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify'
import fp from 'fastify-plugin'
import { admit, isForeignOrigin, type Identify } from '../src/admission.ts'
import type { Config, Door } from '../src/config.ts'
import { ActionError } from '../src/core/errors.ts'
import type { Store } from '../src/core/store.ts'
import { compileParams } from '../src/core/validate.ts'
import { verify } from '../src/net/signature.ts'
import type { Operator, OperatorAnswer, Operators } from '../src/operators.ts'
import { toAnswer, toRefusal } from '../src/protocols/imsuite-rest.ts'
import { parseObject } from '../src/protocols/json.ts'
import { say } from '../src/protocols/words.ts'
import { isFault, isTemporary, type Sessions } from '../src/sessions.ts'

/** Something that an operator does over HTTP, always by POST. */
export interface Deed {
  readonly path: string
  /** As the audit calls it: `webhook.pause`. */
  readonly action: string
  /** The fields of the body; none when absent. */
  readonly params?: TObject
  /** Does it; throws `ActionError` to refuse. */
  readonly run: (order: Order) => Promise<Done>
}

export interface Order {
  readonly params: Readonly<Record<string, unknown>>
  readonly request: FastifyRequest
  readonly operator: Operator
}

export interface Done {
  /** What is answered. */
  readonly answer: object
  /** What the audit says of it; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>
  /** On what it was done; the `id` of the path when absent. */
  readonly subject?: string
}

/** Routes of operators: who may call them, what is done once, and what is written down, is decided here. */
export interface Desk {
  /** Options of the route that makes the first admin: for everybody, so that guessing is slow. */
  readonly setUp: RouteShorthandOptions
  readonly look: (path: string, read: (request: FastifyRequest) => Promise<object>) => void
  readonly act: (deed: Deed) => void
}

declare module 'fastify' {
  interface FastifyInstance {
    desk: Desk
  }
  interface FastifyRequest {
    operator: Operator | null
    /** The body as it came; of routes of operators only. */
    rawBody: string
  }
}

export interface OperatorsOptions {
  readonly operators: Operators
  readonly sessions: Sessions
  readonly store: Pick<Store, 'isAdmin'>
  readonly server: Pick<Config['server'], 'allowed_origins'>
  /** Unix seconds. */
  readonly now: () => number
}

/**
 * Beside the pages, since the console calls it, and where operations look; not at an address that has only the doors of
 * people and bots.
 */
const BEHIND: readonly Door[] = ['pages', 'ops']
/** Whoever signs is known by the body, which is read before. */
const MAX_BODY = 64 * 1024

/** What an admin that is none any more is told. */
type Known = { readonly operator: Operator } | 'no admin'

/** Comes into the scope of `plugins/people.ts`: failures look alike. */
export default fp(async (app: FastifyInstance, options: OperatorsOptions) => {
  const { operators, sessions, store, server, now } = options
  app.decorateRequest('operator', null)
  app.decorateRequest('rawBody', '')

  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    request.rawBody = String(body)
    if (body === '') return done(null, undefined)
    try {
      done(null, parseObject(request.rawBody))
    } catch (err) {
      done(err as Error)
    }
  })

  /** A token of an operator, or of a person who has signed in here: other issuers number their people by themselves. */
  const identify: Identify<Known> = async ([token]) => {
    if (token === undefined) return undefined
    const operator = await operators.findByToken(token)
    if (operator) return { who: { operator } }
    const signed = await sessions.verify(token)
    if (isFault(signed)) return signed
    const { account, sessionId } = signed
    if (sessionId === undefined || !(await store.isAdmin(account.id))) return { who: 'no admin' }
    const id = `user ${account.id}`
    return { who: { operator: { id, name: id } } }
  }

  async function refuseForeign(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    if (!isForeignOrigin(request, server.allowed_origins)) return undefined
    return reply.code(403).send(toRefusal('this is not for web pages of other origins', 'FORBIDDEN'))
  }

  async function identifyByToken(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const language = request.headers['accept-language']
    if (request.headers['operator-key'] !== undefined) return undefined
    const { who, fault } = await admit(request, 'operator', identify)
    if (fault) {
      const [status, code] = isTemporary(fault) ? [503, 'SERVICE_UNAVAILABLE'] : [401, 'UNAUTHORIZED']
      return reply.code(status).send(toRefusal(say(fault.fault, language), code))
    }
    if (!who) return reply.code(401).send(toRefusal(say('认证令牌格式错误', language), 'UNAUTHORIZED'))
    if (who === 'no admin') return reply.code(403).send(toRefusal(say('需要管理员权限', language), 'FORBIDDEN'))
    request.operator = who.operator
    return undefined
  }

  async function identifyBySignature(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const { 'operator-key': id } = request.headers
    if (id === undefined) return undefined
    const known = typeof id === 'string' && /^\d{1,15}$/.test(id) ? await operators.findKey(Number(id)) : undefined
    const stamp = known ? verify([known.key], request.headers, request.rawBody, now()) : { fault: NO_KEY }
    if ('fault' in stamp) return reply.code(401).send(toRefusal(stamp.fault, 'UNAUTHORIZED'))
    request.operator = known?.operator ?? null
    return undefined
  }

  const common = { bodyLimit: MAX_BODY, config: { doors: BEHIND } }
  const entry: RouteShorthandOptions = {
    ...common,
    onRequest: [...app.people.open.onRequest, refuseForeign, identifyByToken],
    preValidation: identifyBySignature
  }

  /** Does it once for each key that the caller has given it, the id of a signed request among them. */
  function doOnce(request: FastifyRequest, work: () => Promise<OperatorAnswer>): Promise<OperatorAnswer> {
    const operator = operatorOf(request).id
    const digest = createHash('sha256').update(`${request.method} ${request.url}\n${request.rawBody}`).digest()
    let once = work
    for (const key of keysOf(request)) {
      const inner = once
      once = () => operators.once({ operator, key, digest }, inner)
    }
    return once()
  }

  async function carryOut({ action, run }: Deed, order: Order): Promise<OperatorAnswer> {
    const { request, operator } = order
    const { id: subject = '' } = request.params as { id?: string }
    const note = { operator: operator.name, action, subject, details: {}, ip: request.ip }
    try {
      const { answer, ...more } = await run(order)
      await operators.note({ ...note, ...more })
      return { status: 200, body: toAnswer(answer) }
    } catch (err) {
      const error = err instanceof ActionError ? err.message : 'internal error'
      await operators.note({ ...note, details: { error } })
      throw err
    }
  }

  app.decorate('desk', {
    setUp: { ...common, onRequest: [...app.people.signIn.onRequest, refuseForeign] },

    look(path, read) {
      app.get(path, entry, async (request, reply) => {
        void reply.header('cache-control', 'no-store')
        return toAnswer(await read(request))
      })
    },

    act(deed) {
      const validate = deed.params ? compileParams(deed.params) : () => ({})
      app.post(deed.path, entry, async (request, reply) => {
        const params = validate(request.body)
        const operator = operatorOf(request)
        const { status, body } = await doOnce(request, () => carryOut(deed, { params, request, operator }))
        return reply.code(status).header('cache-control', 'no-store').send(body)
      })
    }
  } satisfies Desk)
})

const NO_KEY = 'operator-key: there is no such key; "lactea operator key NAME" makes one'

/** Who calls a route of operators. */
export function operatorOf({ operator }: FastifyRequest): Operator {
  if (!operator) throw new Error('the route forgot to ask who is there')
  return operator
}

/** Under which names the caller wants it done once; the last is asked first. */
function keysOf({ headers }: FastifyRequest): string[] {
  const { 'idempotency-key': key, 'operator-key': signer, 'webhook-id': id } = headers
  if (key !== undefined && (typeof key !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(key)))
    throw new ActionError('invalid', 'Idempotency-Key: expected 1 to 255 visible characters', {
      field: 'idempotency-key'
    })
  return [
    ...(key === undefined ? [] : [`key ${key}`]),
    ...(signer === undefined || typeof id !== 'string' ? [] : [`webhook-id ${id}`])
  ]
}

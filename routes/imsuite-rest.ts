import { Type, type Static } from '@sinclair/typebox'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { bearerToken } from '../plugins/auth.ts'
import type { Config } from '../src/config.ts'
import { ActionError, type Reason } from '../src/core/errors.ts'
import type { Account } from '../src/core/store.ts'
import { compileParams } from '../src/core/validate.ts'
import type { Gateway } from '../src/gateway.ts'
import { toErrorCode, toMessage, toTimestamp, toChat } from '../src/protocols/imsuite.ts'
import { OptionalName, Text } from '../src/schema/common.ts'
import { isFault, type Sessions, type Signed, type Tokens } from '../src/sessions.ts'

export interface ImSuiteRestOptions {
  readonly gateway: Gateway
  readonly sessions: Sessions
  readonly config: Config
}

declare module 'fastify' {
  interface FastifyRequest {
    person: Signed | null
  }
}

// Clients send the one-time code of the document, or a password, in either field (contract 1.5).
const Credentials = Type.Object({
  username: Type.Optional(Text),
  phone: Type.Optional(Text),
  password: Type.Optional(Text),
  code: Type.Optional(Text)
})
const Registration = Type.Object({
  phone: Type.Optional(Type.String({ pattern: '^\\+?[0-9]{5,20}$', description: 'expected a phone number' })),
  username: Type.Optional(
    // Letters of every script need the flag, which a `pattern` cannot have.
    Type.RegExp(/^[\p{L}\p{N}_.-]{2,32}$/u, {
      description: 'expected 2 to 32 letters, digits, "_", "." or "-"'
    })
  ),
  password: Text,
  nickname: Type.Optional(OptionalName(64))
})

const STATUS: { readonly [R in Reason]: number } = {
  invalid: 400,
  unknown_action: 404,
  not_found: 404,
  forbidden: 403,
  muted: 403,
  conflict: 400,
  too_large: 400,
  rate_limited: 429,
  disabled: 401,
  unavailable: 503,
  internal: 500
}

/**
 * As much REST as a person needs to sign in and to catch up (IM-Suite contract 1.5, 1.9). Answers are supersets of the
 * three families of shapes that clients know: flat, and the same again in `data`.
 */
export async function imSuiteRest(
  app: FastifyInstance,
  { gateway, sessions, config }: ImSuiteRestOptions
): Promise<void> {
  const { accounts, chats, store, now } = gateway
  const validateCredentials = compileParams(Credentials)
  const validateRegistration = compileParams(Registration)
  const validateRefresh = compileParams(Type.Object({ refresh_token: Type.Optional(Text) }))

  app.decorateRequest('person', null)
  app.setErrorHandler((err: FastifyError | ActionError, request, reply) => {
    if (err instanceof ActionError) {
      const { field } = err.details
      return reply.code(STATUS[err.reason]).send({
        success: false,
        error: err.message,
        code: toErrorCode(err.reason),
        details: field === undefined ? {} : { field }
      })
    }
    const status = err.statusCode ?? 500
    if (status === 503)
      return reply.code(503).send({ success: false, error: err.message, code: 'SERVICE_UNAVAILABLE', details: {} })
    if (status < 500)
      return reply.code(status).send({ success: false, error: err.message, code: 'VALIDATION_ERROR', details: {} })
    request.log.error({ err }, 'a request failed')
    return reply.code(status).send({ success: false, error: 'internal error', code: 'INTERNAL_ERROR', details: {} })
  })

  async function limit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const wait =
      (await app.budgets.http(request)) ??
      (request.routeOptions.config.isSignIn ? await app.budgets.login(request) : undefined)
    if (wait === undefined) return
    return reply
      .code(429)
      .header('retry-after', wait)
      .send({ success: false, error: `请求过于频繁，请 ${wait} 秒后再试`, code: 'RATE_LIMITED', details: {} })
  }

  async function signedIn(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const token = bearerToken(request)
    if (token === undefined)
      return reply.code(401).send({ success: false, error: '认证令牌格式错误', code: 'UNAUTHORIZED', details: {} })
    const signed = await sessions.verify(token)
    if (isFault(signed))
      return reply.code(401).send({ success: false, error: signed.fault, code: 'UNAUTHORIZED', details: {} })
    request.person = signed
  }

  const open = { onRequest: limit }
  const signIn = { onRequest: limit, config: { isSignIn: true } }
  const own = { onRequest: [limit, signedIn] }

  app.post('/api/auth/register', signIn, async (request, reply) => {
    if (config.im.registration !== 'open') throw new ActionError('forbidden', 'registration is closed on this server')
    const { phone, username, password, nickname } = validateRegistration(request.body) as Static<typeof Registration>
    if (phone === undefined && username === undefined)
      throw new ActionError('invalid', 'phone: expected a phone number or a username', { field: 'phone' })
    const name = username ?? `user_${phone}`
    const account = await accounts.add({ kind: 'person', phone, username: name, nickname: nickname || name, password })
    return reply.code(201).send(toTokenAnswer(await sessions.open(account), account, now()))
  })

  app.post('/api/auth/login', signIn, async (request, reply) => {
    const { username, phone, password, code } = validateCredentials(request.body) as Static<typeof Credentials>
    const secret = password ?? code
    if (username === undefined && phone === undefined)
      throw new ActionError('invalid', 'username: expected a username or a phone number', { field: 'username' })
    if (secret === undefined)
      throw new ActionError('invalid', 'password: expected a password, it is missing', { field: 'password' })
    const account = await accounts.signIn({ username, phone, password: secret })
    if (!account)
      return reply
        .code(401)
        .send({ success: false, error: '登录失败', code: 'AUTHENTICATION_FAILED', details: '用户名或密码错误' })
    return toTokenAnswer(await sessions.open(account), account, now())
  })

  app.post('/api/auth/refresh', signIn, async (request, reply) => {
    const { refresh_token } = validateRefresh(request.body ?? {}) as { refresh_token?: string }
    const token = refresh_token ?? bearerToken(request)
    if (token === undefined)
      throw new ActionError('invalid', 'refresh_token: expected a token, it is missing', { field: 'refresh_token' })
    const refreshed = await sessions.refresh(token)
    if (isFault(refreshed))
      return reply.code(401).send({ success: false, error: refreshed.fault, code: 'UNAUTHORIZED', details: {} })
    return toTokenAnswer(refreshed, refreshed.account, now())
  })

  app.post('/api/auth/logout', own, async (request) => {
    const { sessionId } = personOf(request)
    if (sessionId !== undefined) await sessions.end(sessionId)
    return { success: true, data: {} }
  })

  app.get('/api/auth/validate', own, async (request) => ({
    success: true,
    valid: true,
    user: toUser(personOf(request).account, now())
  }))

  app.get('/api/users/me', own, async (request) => {
    const user = toUser(personOf(request).account, now())
    return { ...user, success: true, data: user }
  })

  app.get('/api/chats', own, async (request) => {
    const { id } = personOf(request).account
    const page = wholeNumber(request, 'page', { fallback: 1, min: 1, max: 1_000_000 })
    const limitTo = wholeNumber(request, 'limit', { fallback: 20, min: 1, max: 100 })
    const { chats: found, total } = await chats.list(id, { offset: (page - 1) * limitTo, limit: limitTo })
    const shown = found.map(({ chat, lastMessage, unreadCount, createdAt, updatedAt }) => ({
      ...toChat(chat, id),
      unread_count: unreadCount,
      is_pinned: false,
      last_message: lastMessage ? toMessage(lastMessage) : null,
      created_at: toTimestamp(createdAt),
      updated_at: toTimestamp(updatedAt)
    }))
    const pages = Math.ceil(total / limitTo)
    const answer = {
      chats: shown,
      pagination: { page, limit: limitTo, total, pages, has_next: page < pages, has_prev: page > 1 }
    }
    return { success: true, ...answer, data: answer }
  })

  /** Newest first; with `after` the oldest first from there on, which is how a client that was away catches up. */
  app.get<{ Params: { id: string } }>('/api/chats/:id/messages', own, async (request) => {
    const { id } = personOf(request).account
    const chatId = Number(request.params.id)
    if (!Number.isSafeInteger(chatId))
      throw new ActionError('invalid', 'id: expected the id of a chat', { field: 'id' })
    await chats.getOwn(id, chatId)
    const limitTo = wholeNumber(request, 'limit', { fallback: 50, min: 1, max: 100 })
    const afterSeq = await seqOf(request, chatId, 'after')
    const beforeSeq = await seqOf(request, chatId, 'before')
    const upToSeq = beforeSeq === undefined ? undefined : beforeSeq - 1
    const found = await chats.listMessages(id, { chatId, upToSeq, afterSeq, limit: limitTo + 1 })
    const hasMore = found.length > limitTo
    const page = afterSeq === undefined ? found.toReversed().slice(0, limitTo) : found.slice(0, limitTo)
    const answer = { messages: page.map(toMessage), pagination: { limit: limitTo, has_more: hasMore } }
    return { success: true, ...answer, data: answer }
  })

  /** Clients page by message id; 0 is before the first message. */
  async function seqOf(request: FastifyRequest, chatId: number, name: 'before' | 'after'): Promise<number | undefined> {
    if ((request.query as Record<string, unknown>)[name] === undefined) return undefined
    const messageId = wholeNumber(request, name, { fallback: 0, min: 0, max: Number.MAX_SAFE_INTEGER })
    if (messageId === 0) return name === 'after' ? 0 : undefined
    const message = await store.findPosition(messageId)
    if (!message || message.chatId !== chatId)
      throw new ActionError('not_found', `${name}: there is no message ${messageId} in this chat`, { field: name })
    return message.seq
  }

  app.all('/api/*', open, async (request, reply) =>
    reply.code(404).send({
      success: false,
      error: `there is nothing at ${request.method} ${request.url.split('?')[0]}`,
      code: 'NOT_FOUND',
      details: {}
    })
  )
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route takes a password or a token for new tokens, so guessing must be slow. */
    isSignIn?: boolean
  }
}

function personOf(request: FastifyRequest): Signed {
  if (!request.person) throw new Error('the route forgot to ask who is there')
  return request.person
}

/** More than `max` is cut down to it, as clients expect of a page; less than `min` is a mistake. */
function wholeNumber(
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

/** The union of what clients know a user by. Who asks for themselves is online. */
function toUser(account: Account, now: number) {
  return {
    id: account.id,
    phone: account.phone ?? '',
    username: account.username ?? '',
    nickname: account.nickname,
    avatar: account.avatarUrl,
    avatar_url: account.avatarUrl,
    bio: account.bio,
    language: '',
    theme: '',
    online: true,
    is_online: true,
    last_seen: toTimestamp(now),
    created_at: toTimestamp(account.createdAt),
    updated_at: toTimestamp(account.createdAt)
  }
}

function toTokenAnswer({ accessToken, refreshToken, expiresIn }: Tokens, account: Account, now: number) {
  const data = {
    token: accessToken,
    access_token: accessToken,
    refresh_token: refreshToken,
    expires_in: expiresIn,
    user: toUser(account, now)
  }
  return { success: true, ...data, data }
}

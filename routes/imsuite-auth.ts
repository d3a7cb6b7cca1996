import { Type, type Static } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { personOf, sayTo } from '../plugins/people.ts'
import { addressOf } from '../plugins/rate-limit.ts'
import { bearerToken } from '../src/admission.ts'
import type { Config } from '../src/config.ts'
import { MIN_PASSWORD_LENGTH } from '../src/core/accounts.ts'
import { ActionError } from '../src/core/errors.ts'
import { compileParams } from '../src/core/validate.ts'
import type { Gateway } from '../src/gateway.ts'
import { toAnswer, toOwnUser, toRefusal, toTokenAnswer } from '../src/protocols/imsuite-rest.ts'
import { OptionalName, Text, Username } from '../src/schema/common.ts'
import type { Sentence } from '../src/protocols/words.ts'
import { isFault, TICKET_S, type Sessions } from '../src/sessions.ts'

export interface ImSuiteAuthOptions {
  readonly gateway: Gateway
  readonly sessions: Sessions
  readonly config: Config
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
  username: Type.Optional(Username),
  password: Text,
  nickname: Type.Optional(OptionalName(64)),
  invite: Type.Optional(Text),
  invite_code: Type.Optional(Text)
})

const PasswordChange = Type.Object({
  old_password: Text,
  new_password: Type.String({
    minLength: MIN_PASSWORD_LENGTH,
    description: `expected a password of at least ${MIN_PASSWORD_LENGTH} characters`
  })
})

/** Signing up, in and out (IM-Suite contract 1.3, 1.5). */
export async function imSuiteAuth(
  app: FastifyInstance,
  { gateway, sessions, config }: ImSuiteAuthOptions
): Promise<void> {
  const { accounts, store, now } = gateway
  const { signIn, own, ownSignIn } = app.people
  const validateCredentials = compileParams(Credentials)
  const validateRegistration = compileParams(Registration)
  const validatePasswordChange = compileParams(PasswordChange)
  const validateRefresh = compileParams(Type.Object({ refresh_token: Type.Optional(Text) }))

  /** Whose password is guessed at: of an account that has a username and a phone number, both are the same name. */
  async function nameOf({ username, phone }: { username?: string | undefined; phone?: string | undefined }) {
    const account = await store.findAccountByLogin({ username, phone })
    if (account) return `account ${account.id}`
    return username === undefined ? `phone ${phone}` : `username ${username}`
  }

  app.post('/api/auth/register', signIn, async (request, reply) => {
    const { registration } = config.im
    if (registration === 'closed') throw new ActionError('forbidden', 'registration is closed on this server')
    const given = validateRegistration(request.body) as Static<typeof Registration>
    const { phone, username, password, nickname, invite_code } = given
    if (phone === undefined && username === undefined)
      throw new ActionError('invalid', 'phone: expected a phone number or a username', { field: 'phone' })
    const name = username ?? `user_${phone}`
    const invite = registration === 'invite' ? given.invite || invite_code : undefined
    if (registration === 'invite' && !invite)
      throw new ActionError('forbidden', 'invite: this server wants an invitation', { field: 'invite' })
    const person = { kind: 'person', phone, username: name, nickname: nickname || name, password, invite } as const
    const account = await accounts.add(person)
    return reply.code(201).send(toTokenAnswer(await sessions.open(account), account, now()))
  })

  app.post('/api/auth/login', signIn, async (request, reply) => {
    const { username, phone, password, code } = validateCredentials(request.body) as Static<typeof Credentials>
    const secret = password ?? code
    if (username === undefined && phone === undefined)
      throw new ActionError('invalid', 'username: expected a username or a phone number', { field: 'username' })
    if (secret === undefined)
      throw new ActionError('invalid', 'password: expected a password, it is missing', { field: 'password' })
    const login = { username, phone }
    const guess = { address: addressOf(request), name: await nameOf(login) }
    const account = await app.guesses.guard(guess, () => accounts.signIn({ ...login, password: secret }))
    if (!account) {
      const [error, why] = [sayTo(request, '登录失败'), sayTo(request, '用户名或密码错误')]
      return reply.code(401).send(toRefusal(error, 'AUTHENTICATION_FAILED', why))
    }
    return toTokenAnswer(await sessions.open(account), account, now())
  })

  app.post('/api/auth/refresh', signIn, async (request, reply) => {
    const { refresh_token } = validateRefresh(request.body ?? {}) as { refresh_token?: string }
    const token = refresh_token ?? bearerToken(request)
    if (token === undefined)
      throw new ActionError('invalid', 'refresh_token: expected a token, it is missing', { field: 'refresh_token' })
    let fault: Sentence = '令牌无效'
    const refreshed = await app.guesses.guard({ address: addressOf(request) }, async () => {
      const found = await sessions.refresh(token)
      if (!isFault(found)) return found
      fault = found.fault
      return undefined
    })
    if (!refreshed) return reply.code(401).send(toRefusal(sayTo(request, fault), 'UNAUTHORIZED'))
    return toTokenAnswer(refreshed, refreshed.account, now())
  })

  app.post('/api/auth/logout', own, async (request) => {
    const { sessionId } = personOf(request)
    if (sessionId !== undefined) await sessions.end(sessionId)
    return { success: true, data: {} }
  })

  app.post('/api/auth/logout-all', own, async (request) => {
    await sessions.endAll(personOf(request).account.id)
    return { success: true, data: {} }
  })

  /** Whoever else is signed in as this account is not any more: they may be why the password is changed. */
  app.put('/api/users/me/password', ownSignIn, async (request, reply) => {
    const { account, sessionId: keptSessionId } = personOf(request)
    const order = validatePasswordChange(request.body) as Static<typeof PasswordChange>
    const { old_password: oldPassword, new_password: newPassword } = order
    const guess = { address: addressOf(request), name: `account ${account.id}` }
    const ended = await app.guesses.guard(guess, () =>
      accounts.changePassword({ accountId: account.id, oldPassword, newPassword, keptSessionId })
    )
    if (!ended) {
      const details = { field: 'old_password' }
      return reply.code(403).send(toRefusal(sayTo(request, '原密码错误'), 'FORBIDDEN', details))
    }
    sessions.tellEnded(ended)
    return { success: true, data: {} }
  })

  /** For browsers, whose WebSockets carry no header: a ticket in a URL is worth nothing a moment later. */
  app.post('/api/auth/ws-ticket', own, async (request) =>
    toAnswer({ ticket: sessions.issueTicket(personOf(request)), expires_in: TICKET_S })
  )

  app.get('/api/auth/validate', own, async (request) => ({
    success: true,
    valid: true,
    user: toOwnUser(personOf(request).account, now())
  }))
}

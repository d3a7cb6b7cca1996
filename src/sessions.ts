import { decodeProtectedHeader, errors, jwtVerify, SignJWT, type JWTPayload } from 'jose'
import type { Undo } from './core/bus.ts'
import type { Account, Store } from './core/store.ts'
import { isForeignAlgorithm, type ForeignIssuer } from './jwks.ts'
import type { Sentence } from './protocols/words.ts'
import { createId } from './secrets.ts'
import { createTickets } from './tickets.ts'

export { TICKET_S } from './tickets.ts'

/** Tokens of people (IM-Suite 1.2, 2.1): signed with the deployment's `JWT_SECRET`, bound to a session that can be ended. */
export interface Sessions {
  readonly open: (account: Account) => Promise<Tokens>
  /** Changes a refresh token for new tokens; each can be used once, and using one twice ends the session. */
  readonly refresh: (refreshToken: string) => Promise<(Tokens & { account: Account }) | TokenFault>
  readonly verify: (accessToken: string) => Promise<Signed | TokenFault>
  /** Whether what was verified once still holds: the account is on, and its session was not ended. */
  readonly isLive: (signed: Signed) => Promise<boolean>
  readonly end: (sessionId: string) => Promise<void>
  readonly endAll: (accountId: number) => Promise<void>
  /** Tells those who listen that these sessions have ended by other means, such as a new password. */
  readonly tellEnded: (sessionIds: readonly string[]) => void
  /** A ticket that lets in once, instead of the token, for `TICKET_S` seconds. Throws `ActionError('unavailable')`. */
  readonly issueTicket: (signed: Signed) => string
  /** Whom the ticket was given to, when that still holds. It is used up, whatever the answer. */
  readonly redeem: (ticket: string) => Promise<Signed | TokenFault>
  /** Called with the id of each session that is ended here, so that its sockets can be closed. */
  readonly onEnd: (listener: (sessionId: string) => void) => Undo
}

export interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
  /** Seconds that the access token lives. */
  readonly expiresIn: number
}

export interface Signed {
  readonly account: Account
  /** Absent in tokens that somebody else has issued: a foreign issuer, or an IM-Suite server with the same secret. */
  readonly sessionId: string | undefined
  /** Unix seconds; past the token's own end when its issuer's clock is behind ours. */
  readonly expiresAt: number
}

/** Why a token does not count, in the words that IM-Suite clients show. */
export interface TokenFault {
  readonly fault: Extract<
    Sentence,
    '令牌已过期' | '令牌无效' | '会话已结束' | '账号已停用' | '票据无效或已被使用' | '令牌签发方暂不可用'
  >
}

const ACCESS_S = 24 * 3600
const REFRESH_S = 7 * 24 * 3600
/** Clocks may differ by so much. */
export const LEEWAY_S = 60
/** HMAC only, so a public key can never be taken for a secret; `none` is not among them. */
const ALGORITHMS = ['HS256', 'HS384', 'HS512']

export interface SessionsOptions {
  readonly store: Store
  readonly secret: string
  /** Whether tokens count that another IM-Suite server with the same secret has issued: they say neither type nor session. */
  readonly acceptsUntyped?: boolean
  /** Whose tokens count besides our own. Each of their people gets an account here when they are first seen. */
  readonly foreignIssuer?: ForeignIssuer | undefined
  /** Unix seconds. */
  readonly now: () => number
  /** The same by a clock that nobody sets (`createSteadyClock`); `now` when absent. */
  readonly steadyNow?: () => number
}

export function createSessions({
  store,
  secret,
  acceptsUntyped = true,
  foreignIssuer,
  now,
  steadyNow = now
}: SessionsOptions): Sessions {
  const key = new TextEncoder().encode(secret)
  const tickets = createTickets(steadyNow)
  const listeners = new Set<(sessionId: string) => void>()

  async function end(sessionId: string): Promise<void> {
    await store.removeSession(sessionId)
    tellEnded([sessionId])
  }

  function tellEnded(sessionIds: readonly string[]): void {
    for (const sessionId of sessionIds) for (const listener of listeners) listener(sessionId)
  }

  function sign(
    account: Account,
    sessionId: string,
    typ: 'access' | 'refresh',
    jti: string,
    lifeS: number
  ): Promise<string> {
    const claims = {
      user_id: account.id,
      username: account.username ?? '',
      phone: account.phone ?? '',
      typ,
      sid: sessionId
    }
    // Were the clock ahead now and then set right, a token that was signed by it would be refused as not yet good.
    const time = steadyNow()
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer('lactea')
      .setSubject(String(account.id))
      .setJti(jti)
      .setIssuedAt(time)
      .setNotBefore(time)
      .setExpirationTime(time + lifeS)
      .sign(key)
  }

  async function signBoth(account: Account, sessionId: string, refreshId: string): Promise<Tokens> {
    const [accessToken, refreshToken] = await Promise.all([
      sign(account, sessionId, 'access', createId(), ACCESS_S),
      sign(account, sessionId, 'refresh', refreshId, REFRESH_S)
    ])
    return { accessToken, refreshToken, expiresIn: ACCESS_S }
  }

  /** A clock that is set must sign nobody out: a token is at fault only if it is so by either clock. */
  async function read(token: string): Promise<JWTPayload | TokenFault> {
    const [time, steadyTime] = [now(), steadyNow()]
    const found = await readAt(token, time)
    return 'fault' in found && time !== steadyTime ? readAt(token, steadyTime) : found
  }

  async function readAt(token: string, time: number): Promise<JWTPayload | TokenFault> {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: ALGORITHMS,
        clockTolerance: LEEWAY_S,
        currentDate: new Date(time * 1000),
        requiredClaims: ['exp']
      })
      return payload
    } catch (err) {
      return { fault: err instanceof errors.JWTExpired ? '令牌已过期' : '令牌无效' }
    }
  }

  function isAccess({ typ, sid }: JWTPayload): boolean {
    return typ === undefined ? acceptsUntyped : typ === 'access' && typeof sid === 'string'
  }

  async function findOwner(payload: JWTPayload): Promise<Account | TokenFault> {
    const account = typeof payload.user_id === 'number' ? await store.findAccount(payload.user_id) : undefined
    if (!account) return { fault: '令牌无效' }
    return account.isDisabled ? { fault: '账号已停用' } : account
  }

  async function verifyForeign(issuer: ForeignIssuer, token: string): Promise<Signed | TokenFault> {
    const foreigner = await issuer.verify(token)
    if (isFault(foreigner)) return foreigner
    const { expiresAt, ...identity } = foreigner
    const account = await store.findOrAddIdentity({ ...identity, time: now() })
    if (account.isDisabled) return { fault: '账号已停用' }
    return { account, sessionId: undefined, expiresAt: toEnd(expiresAt) }
  }

  /** Where a token ends by the steady clock: a little past its end, when it was let in there. */
  function toEnd(exp: number): number {
    const leftS = exp - Math.min(now(), steadyNow())
    return steadyNow() + leftS + (leftS > 0 ? 0 : LEEWAY_S)
  }

  /** The same again as things are now. */
  async function lookAgain(signed: Signed): Promise<Signed | TokenFault> {
    const account = await store.findAccount(signed.account.id)
    if (!account || account.isDisabled) return { fault: '账号已停用' }
    const { sessionId } = signed
    if (sessionId !== undefined && !(await store.findSession(sessionId))) return { fault: '会话已结束' }
    return { ...signed, account }
  }

  return {
    async open(account) {
      const [id, refreshId, time] = [createId(), createId(), now()]
      await store.addSession({ id, accountId: account.id, refreshId, createdAt: time, expiresAt: time + REFRESH_S })
      return signBoth(account, id, refreshId)
    },

    async refresh(refreshToken) {
      const payload = await read(refreshToken)
      if (isFault(payload)) return payload
      const { sid, jti, typ } = payload
      if (typ !== 'refresh' || typeof sid !== 'string' || jti === undefined) return { fault: '令牌无效' }
      const account = await findOwner(payload)
      if (isFault(account)) return account
      const refreshId = createId()
      const isFirstUse = await store.rotateSession(sid, jti, refreshId, now() + REFRESH_S)
      if (!isFirstUse) {
        // Somebody else has this token too, and there is no telling which of them is the thief.
        await end(sid)
        return { fault: '会话已结束' }
      }
      return { ...(await signBoth(account, sid, refreshId)), account }
    },

    async verify(accessToken) {
      if (foreignIssuer && isForeignAlgorithm(algorithmOf(accessToken)))
        return verifyForeign(foreignIssuer, accessToken)
      const payload = await read(accessToken)
      if (isFault(payload)) return payload
      if (!isAccess(payload)) return { fault: '令牌无效' }
      const account = await findOwner(payload)
      if (isFault(account)) return account
      const sessionId = typeof payload.sid === 'string' ? payload.sid : undefined
      // Another server numbers its people by itself; none of them is meant to be a bot of ours.
      if (sessionId === undefined && account.kind === 'bot') return { fault: '令牌无效' }
      if (sessionId !== undefined && !(await store.findSession(sessionId))) return { fault: '会话已结束' }
      const { exp = 0 } = payload
      return { account, sessionId, expiresAt: toEnd(exp) }
    },

    isLive: async (signed) => !isFault(await lookAgain(signed)),
    end,
    tellEnded,

    async endAll(accountId) {
      tellEnded(await store.removeSessions(accountId))
    },

    issueTicket: tickets.issue,

    async redeem(ticket) {
      const signed = tickets.take(ticket)
      if (!signed) return { fault: '票据无效或已被使用' }
      if (signed.expiresAt <= steadyNow()) return { fault: '令牌已过期' }
      return lookAgain(signed)
    },

    onEnd(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
}

function algorithmOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).alg
  } catch {
    return undefined
  }
}

/** The token may be good; asking again later tells. */
export function isTemporary({ fault }: TokenFault): boolean {
  return fault === '令牌签发方暂不可用'
}

export function isFault(value: object): value is TokenFault {
  return 'fault' in value
}

import type { LookupFunction } from 'node:net'
import { createRemoteJWKSet, customFetch, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose'
import type { TokenFault } from './sessions.ts'

/** Tokens that somebody else signs with keys of their own (RFC 7517), such as the single sign-on of a company. */
export interface ForeignIssuer {
  readonly verify: (token: string) => Promise<Foreigner | TokenFault>
}

/** Who somebody is over there. */
export interface Foreigner {
  readonly issuer: string
  readonly subject: string
  /** What to call them here: 1 to 64 characters that can be shown. */
  readonly nickname: string
  /** Unix seconds. */
  readonly expiresAt: number
}

export interface ForeignIssuerOptions {
  /** Where the keys are; may hold a user and a password. */
  readonly url: string
  /** What the claims `iss` and `aud` must say; not looked at when null. */
  readonly issuer: string | null
  readonly audience: string | null
  /** Unix seconds. */
  readonly now: () => number
  /** The same by a clock that nobody sets; `now` when absent. */
  readonly steadyNow?: () => number
  readonly leewayS: number
  /** How the name in the address is looked up; as the machine does when absent. */
  readonly lookup?: LookupFunction
  /** Told at most once a minute. The error holds no token. */
  readonly onUnreachable: (err: unknown) => void
}

/** Signatures that need a private key. The keys are public, so nothing that one key both signs and checks is among them. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
/** Issuers sign more than access tokens, with the same keys; a message about a log-out is no permission. */
const HEADER_TYPE = /^(?:application\/)?(?:jwt|at\+jwt)$/i

const TIMEOUT_MS = 3000
/** More than the keys of any issuer. */
const MAX_ANSWER = 1024 * 1024
/** Keys are good for so long without asking again. */
const MAX_AGE_MS = 600_000
/** A key that is not known is asked for at most so often, so that nobody can make us flood the issuer. */
const COOLDOWN_MS = 30_000
/** After a failure the issuer is left alone for so long. */
const PAUSE_S = 5
const TELL_EVERY_S = 60

class Unreachable extends Error {}

/** Whether a token with this algorithm can be meant for a foreign issuer at all. */
export function isForeignAlgorithm(alg: string | undefined): boolean {
  return alg !== undefined && ALGORITHMS.includes(alg)
}

export function createForeignIssuer(options: ForeignIssuerOptions): ForeignIssuer {
  const { issuer, audience, now, steadyNow = now, leewayS, lookup, onUnreachable } = options
  const { url, headers } = toRequest(options.url)
  const keys = createRemoteJWKSet(url, {
    headers,
    timeoutDuration: TIMEOUT_MS,
    cacheMaxAge: MAX_AGE_MS,
    cooldownDuration: COOLDOWN_MS,
    [customFetch]: fetchKeys
  })
  let pausedUntil = 0
  let toldAt = -TELL_EVERY_S

  async function fetchKeys(address: string, init: RequestInit): Promise<Response> {
    if (steadyNow() < pausedUntil) throw new Unreachable('the issuer could not be reached a moment ago')
    try {
      const response = await fetchFrom(address, init, lookup)
      if (response.status !== 200) throw new Unreachable(`the issuer answered ${response.status}`)
      return response
    } catch (err) {
      pausedUntil = steadyNow() + PAUSE_S
      throw err
    }
  }

  const findKey: JWTVerifyGetKey = async (header, token) => {
    try {
      return await keys(header, token)
    } catch (err) {
      // The token asks for what the keys do not have; everything else is not the token's mistake.
      const isToken = err instanceof errors.JWKSNoMatchingKey || err instanceof errors.JWKSMultipleMatchingKeys
      if (isToken || err instanceof errors.JOSENotSupported) throw err
      tell(err)
      throw new Unreachable('the keys cannot be fetched', { cause: err })
    }
  }

  function tell(err: unknown): void {
    if (steadyNow() < toldAt + TELL_EVERY_S) return
    toldAt = steadyNow()
    onUnreachable(err)
  }

  return {
    async verify(token) {
      try {
        const { payload, protectedHeader } = await jwtVerify(token, findKey, {
          algorithms: ALGORITHMS,
          clockTolerance: leewayS,
          currentDate: new Date(now() * 1000),
          requiredClaims: ['exp', 'iss', 'sub'],
          ...(issuer !== null && { issuer }),
          ...(audience !== null && { audience })
        })
        const isMeant = HEADER_TYPE.test(protectedHeader.typ ?? 'JWT') && !isRefreshing(payload)
        return (isMeant && toForeigner(payload)) || { fault: '令牌无效' }
      } catch (err) {
        if (err instanceof Unreachable) return { fault: '令牌签发方暂不可用' }
        return { fault: err instanceof errors.JWTExpired ? '令牌已过期' : '令牌无效' }
      }
    }
  }
}

/** One connection for one answer: the keys are asked for every ten minutes. Redirects are not followed. */
async function fetchFrom(address: string, init: RequestInit, lookup: LookupFunction | undefined): Promise<Response> {
  // Loaded when keys are fetched: who starts the gateway should not wait for it.
  const { Agent, request } = await import('undici')
  const agent = new Agent({ connect: lookup ? { lookup } : {} })
  try {
    const headers = Object.fromEntries(new Headers(init.headers))
    const { statusCode, body } = await request(address, { headers, dispatcher: agent, signal: init.signal ?? null })
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > MAX_ANSWER) throw new Unreachable(`the issuer answered with more than ${MAX_ANSWER} bytes`)
      chunks.push(chunk)
    }
    return new Response(statusCode === 204 || statusCode === 304 ? null : Buffer.concat(chunks), { status: statusCode })
  } finally {
    await agent.destroy()
  }
}

/** `fetch` takes no address with a password in it. */
function toRequest(address: string): { url: URL; headers: Record<string, string> } {
  const url = new URL(address)
  if (url.username === '' && url.password === '') return { url, headers: {} }
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  url.username = ''
  url.password = ''
  return { url, headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` } }
}

/** Some issuers sign refresh tokens with the same keys, and tell them apart by a claim. */
function isRefreshing({ typ }: JWTPayload): boolean {
  return typeof typ === 'string' && /^(?:refresh|offline)/i.test(typ)
}

function toForeigner(payload: JWTPayload): Foreigner | undefined {
  const { iss, sub, exp } = payload
  if (typeof iss !== 'string' || iss.length > 512 || exp === undefined) return undefined
  if (typeof sub !== 'string' || sub === '' || sub.length > 255) return undefined
  const names = [payload.name, payload.nickname, payload.preferred_username, sub].map(toNickname)
  return { issuer: iss, subject: sub, nickname: names.find((name) => name !== '') ?? 'User', expiresAt: exp }
}

/** What a name may look like that somebody else chose: no control characters, and none that turn the text around it. */
function toNickname(name: unknown): string {
  if (typeof name !== 'string') return ''
  const shown = name
    .slice(0, 1024)
    .replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, ' ')
    .replace(/\s+/g, ' ')
  let nickname = ''
  for (const character of shown.trim()) {
    if (nickname.length + character.length > 64) break
    nickname += character
  }
  return nickname.trim()
}

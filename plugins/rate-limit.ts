import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Limits } from '../src/config.ts'
import type { Clock } from '../src/core/clock.ts'
import { createGuesses, type Guesses } from '../src/core/guesses.ts'
import { toAddressKey } from '../src/net/address-key.ts'

declare module 'fastify' {
  interface FastifyInstance {
    budgets: Budgets
    /** Checks of passwords, tokens and codes: all doors count their failures together. */
    guesses: Guesses
  }
}

/** Undefined when there is room, else the seconds until there is. */
export type Budget = (request: FastifyRequest, key?: string) => Promise<number | undefined>

export interface Budgets {
  /** Requests per minute of one account; of an address while the account is not known. */
  readonly http: Budget
  /** WebSocket handshakes per minute of one address. */
  readonly upgrade: Budget
  /** Sign-ins and the like per minute of one address, also those that succeed: each costs the processor something. */
  readonly login: Budget
}

export interface RateLimitOptions {
  readonly limits: Limits
  readonly clock: Pick<Clock, 'ticks'>
}

/** Requests are counted for so long, from the first one of a key on. */
const WINDOW_MS = 60_000
/** Keys that are counted; a further one takes the place of the one whose count began first. */
const MAX_KEYS = 20_000

/** Failures are counted for so long. */
const GUESS_WINDOW_MS = 60_000

/** Counts in memory; the doors ask when they know whom to count for. */
export default fp(async (app: FastifyInstance, { limits, clock }: RateLimitOptions) => {
  function budget(max: () => number): Budget {
    const count = createCounts(clock.ticks)
    return async (request, key = toAddressKey(request.ip)) => count(key, max())
  }

  const login = budget(() => limits.sign_in_rate)
  let isTold = false

  /** Behind a proxy that is not known as one, whoever guesses would lock everybody out. */
  function tellOfProxy(request: FastifyRequest): void {
    const address = request.socket.remoteAddress
    if (isTold || request.headers['x-forwarded-for'] === undefined || request.ip !== address) return
    isTold = true
    app.log.warn(
      { address },
      'a sign-in came through a proxy that is not in server.trusted_proxies: all who come through it count as one address'
    )
  }

  app.decorate('budgets', {
    http: budget(() => limits.http_rate),
    upgrade: budget(() => limits.upgrade_rate),
    login(request, key) {
      tellOfProxy(request)
      return login(request, key)
    }
  })
  app.decorate(
    'guesses',
    createGuesses({
      get perAddress() {
        return limits.login_rate
      },
      get perName() {
        return limits.login_failures
      },
      windowMs: GUESS_WINDOW_MS,
      ticks: clock.ticks
    })
  )
})

/** Where a guess comes from. */
export const addressOf = (request: FastifyRequest): string => toAddressKey(request.ip)

/** Counts by key; gives the seconds until there is room again, undefined when there is. */
function createCounts(ticks: () => number): (key: string, max: number) => number | undefined {
  /** Those that began first are first. */
  const windows = new Map<string, { count: number; readonly endsAt: number }>()

  return (key, max) => {
    const now = ticks()
    const known = windows.get(key)
    if (known && known.endsAt > now) {
      known.count++
      return known.count > max ? Math.ceil((known.endsAt - now) / 1000) : undefined
    }
    windows.delete(key)
    windows.set(key, { count: 1, endsAt: now + WINDOW_MS })
    const [oldest] = windows.keys()
    if (windows.size > MAX_KEYS && oldest !== undefined) windows.delete(oldest)
    return max < 1 ? WINDOW_MS / 1000 : undefined
  }
}

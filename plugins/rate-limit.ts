import rateLimit from '@fastify/rate-limit'
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
  interface FastifyRequest {
    /** Whom the request is counted for: an account once it is known, else the address. */
    budgetKey: string
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

/** Failures are counted for so long. */
const GUESS_WINDOW_MS = 60_000

/** Counts in memory; the doors ask when they know whom to count for. */
export default fp(async (app: FastifyInstance, { limits, clock }: RateLimitOptions) => {
  app.decorateRequest('budgetKey', '')
  await app.register(rateLimit, { global: false, cache: 20_000, keyGenerator: (request) => request.budgetKey })

  function budget(name: string, max: () => number): Budget {
    const check = app.createRateLimit({ max, timeWindow: 60_000 })
    return async (request, key = toAddressKey(request.ip)) => {
      request.budgetKey = `${name}:${key}`
      const result = await check(request)
      return !result.isAllowed && result.isExceeded ? Math.max(1, result.ttlInSeconds) : undefined
    }
  }

  app.decorate('budgets', {
    http: budget('http', () => limits.http_rate),
    upgrade: budget('upgrade', () => limits.upgrade_rate),
    login: budget('login', () => limits.sign_in_rate)
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

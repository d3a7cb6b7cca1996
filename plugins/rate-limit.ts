import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Limits } from '../src/config.ts'

declare module 'fastify' {
  interface FastifyInstance {
    budgets: Budgets
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
  /** Attempts to sign in per minute of one address. */
  readonly login: Budget
}

/** Counts in memory; the doors ask when they know whom to count for. */
export default fp(async (app: FastifyInstance, { limits }: { limits: Limits }) => {
  app.decorateRequest('budgetKey', '')
  await app.register(rateLimit, { global: false, cache: 20_000, keyGenerator: (request) => request.budgetKey })

  function budget(name: string, max: number): Budget {
    const check = app.createRateLimit({ max, timeWindow: 60_000 })
    return async (request, key = request.ip) => {
      request.budgetKey = `${name}:${key}`
      const result = await check(request)
      return !result.isAllowed && result.isExceeded ? Math.max(1, result.ttlInSeconds) : undefined
    }
  }

  app.decorate('budgets', {
    http: budget('http', limits.http_rate),
    upgrade: budget('upgrade', limits.upgrade_rate),
    login: budget('login', limits.login_rate)
  })
})

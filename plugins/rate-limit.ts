import rateLimit, { type FastifyRateLimitStore } from '@fastify/rate-limit'
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
type Wait = number | undefined
export type Budget = (request: FastifyRequest, key?: string) => Promise<Wait>

export interface Budgets {
  /** Requests per minute of one account; of an address while the account is not known. Counted at once: calls are many. */
  readonly http: (request: FastifyRequest, key?: string) => Wait
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
  app.decorateRequest('budgetKey', '')
  await app.register(rateLimit, {
    global: false,
    keyGenerator: (request) => request.budgetKey,
    store: createStore(clock.ticks)
  })
  const calls = createWindows(clock.ticks)

  function budget(max: () => number): Budget {
    const check = app.createRateLimit({ max, timeWindow: WINDOW_MS })
    return async (request, key = toAddressKey(request.ip)) => {
      request.budgetKey = key
      const result = await check(request)
      return !result.isAllowed && result.isExceeded ? Math.max(1, result.ttlInSeconds) : undefined
    }
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
    // What the library does, without its promises: those would be a fifteenth of what a call costs.
    http(request, key = toAddressKey(request.ip)) {
      const { count, leftMs } = calls.count(key, WINDOW_MS)
      return count > limits.http_rate ? Math.max(1, Math.ceil(leftMs / 1000)) : undefined
    },
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

interface Windows {
  /** Counts one of this key. How many there were with it, and for how long they are still counted. */
  readonly count: (key: string, windowMs: number) => { readonly count: number; readonly leftMs: number }
}

function createWindows(ticks: () => number): Windows {
  /** Those that began first are first. */
  const windows = new Map<string, { count: number; readonly endsAt: number }>()
  return {
    count(key, windowMs) {
      const now = ticks()
      let open = windows.get(key)
      if (!open || open.endsAt <= now) {
        open = { count: 0, endsAt: now + windowMs }
        windows.delete(key)
        windows.set(key, open)
        const [oldest] = windows.keys()
        if (windows.size > MAX_KEYS && oldest !== undefined) windows.delete(oldest)
      }
      return { count: ++open.count, leftMs: open.endsAt - now }
    }
  }
}

/** Counts by a clock that nobody sets: the library's own store would forget or never end its windows when the time is put right. */
function createStore(ticks: () => number) {
  return class SteadyStore implements FastifyRateLimitStore {
    readonly #windows = createWindows(ticks)

    incr(
      key: string,
      done: (err: Error | null, result: { current: number; ttl: number }) => void,
      windowMs: number
    ): void {
      const { count: current, leftMs: ttl } = this.#windows.count(key, windowMs)
      done(null, { current, ttl })
    }

    child(): SteadyStore {
      return new SteadyStore()
    }
  }
}

import { timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { isLoopback, type BotConfig } from '../src/config.ts'
import type { Store } from '../src/core/store.ts'
import { parseBearer } from '../src/net/bearer.ts'
import { digestToken } from '../src/secrets.ts'

/** `isOpen`: nothing was proved, since this bot needs no token; only who is surely on this machine may speak for it. */
export type BotIdentity = { readonly accountId: number; readonly isOpen: boolean } | 'missing' | 'wrong'

/** Who a Milky access token stands for: the token is the identity, so many bots share one address. */
export type IdentifyBot = (tokens: readonly string[]) => Promise<BotIdentity>

/**
 * Tokens of the configuration count before those in the database, so that a token which was changed in the file
 * is the only one from then on. `openBotId`: the bot that needs no token, when there is one.
 */
export function createBotAuth(store: Store, bots: readonly BotConfig[], openBotId: number | undefined): IdentifyBot {
  const configured = bots.flatMap((bot) =>
    bot.access_token ? [{ accountId: bot.id, digest: digestToken(bot.access_token) }] : []
  )
  const configuredIds = new Set(configured.map((entry) => entry.accountId))

  async function identify(token: string): Promise<number | undefined> {
    const digest = digestToken(token)
    const match = configured.find((entry) => timingSafeEqual(entry.digest, digest))
    if (match) return match.accountId
    const account = await store.findAccountByToken(digest)
    return account && !configuredIds.has(account.id) ? account.id : undefined
  }

  return async (tokens) => {
    if (openBotId !== undefined) return { accountId: openBotId, isOpen: true }
    for (const token of tokens) {
      const accountId = await identify(token)
      if (accountId !== undefined) return { accountId, isOpen: false }
    }
    return tokens.length === 0 ? 'missing' : 'wrong'
  }
}

/** The token of `Authorization: Bearer …`; the scheme in any case. */
export function bearerToken(request: FastifyRequest): string | undefined {
  return parseBearer(request.headers.authorization)
}

/** A query parameter that is there once and not empty. */
export function queryValue(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Record<string, unknown>)[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** The same for a token: some clients do not escape it, and what is a "+" to them is a space to whoever reads forms. */
export function queryTokens(request: FastifyRequest, name: string): string[] {
  const token = queryValue(request, name)
  if (token === undefined) return []
  return token.includes(' ') ? [token, token.replaceAll(' ', '+')] : [token]
}

/**
 * Whether the request was addressed to this machine by a name of its own. A page whose domain was pointed at 127.0.0.1, and
 * a reverse proxy that opens the gateway to the world, are addressed otherwise.
 */
export function isAddressedHere(request: FastifyRequest): boolean {
  return isLoopback(request.hostname)
}

/** Whether a browser page of another site made this request. Programs send no Origin. */
export function isForeignOrigin(request: FastifyRequest, allowed: readonly string[]): boolean {
  const { origin } = request.headers
  if (origin === undefined || allowed.includes(origin)) return false
  return !URL.canParse(origin) || new URL(origin).host !== request.host
}

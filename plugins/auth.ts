import { timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isLoopback, type BotConfig } from '../src/config.ts'
import type { Store } from '../src/core/store.ts'
import type { Tenure } from '../src/net/bot-socket.ts'
import { parseBearer } from '../src/net/bearer.ts'
import { tellBot, type MilkySentence } from '../src/protocols/milky-words.ts'
import { digestToken } from '../src/secrets.ts'

export interface KnownBot {
  readonly accountId: number
  /** Nothing was proved, since this bot needs no token; only who is surely on this machine may speak for it. */
  readonly isOpen: boolean
  /** The token was once good; it opens nothing any more. */
  readonly isDisabled: boolean
}

export type BotIdentity = KnownBot | 'missing' | 'wrong'

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

  async function identify(token: string): Promise<KnownBot | undefined> {
    const digest = digestToken(token)
    const match = configured.find((entry) => timingSafeEqual(entry.digest, digest))
    const account = match ? await store.findAccount(match.accountId) : await store.findAccountByToken(digest)
    if (!account || (!match && configuredIds.has(account.id))) return undefined
    return { accountId: account.id, isOpen: false, isDisabled: account.isDisabled }
  }

  return async (tokens) => {
    const known = (await Promise.all(tokens.map(identify))).filter((bot) => bot !== undefined)
    const identity = known.find((bot) => !bot.isDisabled) ?? known[0]
    if (identity) return identity
    // Some clients send an Authorization with nothing in it (contract 3.2), and nobody asked for one.
    if (openBotId !== undefined) return { accountId: openBotId, isOpen: true, isDisabled: false }
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

/** What a door for bots says to whom it does not let in. */
export interface Refusal {
  readonly status: number
  readonly sentence: MilkySentence
  /** What the sentence has a place for. */
  readonly value?: string | number
  /** Seconds until it is worth another try. */
  readonly waitS?: number
  /** It came from where a bot without a token may not be called from: a page there is not even told why. */
  readonly isIntrusion?: boolean
}

export function isRefusal(admission: KnownBot | Refusal): admission is Refusal {
  return 'status' in admission
}

export interface AdmitOptions {
  readonly app: Pick<FastifyInstance, 'budgets'>
  readonly identifyBot: IdentifyBot
  /** Status for a token that is not known: 403 in the draft, 401 in Milky 1.2. */
  readonly wrongToken: 401 | 403
  readonly allowedOrigins: readonly string[]
  /** A handshake may bring its token in the query too, and is counted by address while nobody is known. */
  readonly isHandshake: boolean
}

/** Who a request speaks for. Decided before anything else about it: who may not come in learns nothing. */
export async function admitBot(request: FastifyRequest, options: AdmitOptions): Promise<KnownBot | Refusal> {
  const { app, identifyBot, wrongToken, allowedOrigins, isHandshake } = options
  const identity = await identifyBot(isHandshake ? botTokens(request) : headerTokens(request))
  const waitS = await takeBudget(app, request, identity, isHandshake)
  if (waitS !== undefined) return { status: 429, sentence: 'too many requests; try again in {} s', value: waitS, waitS }
  if (identity === 'missing') return { status: 401, sentence: isHandshake ? NO_HANDSHAKE_TOKEN : NO_TOKEN }
  if (identity === 'wrong') return { status: wrongToken, sentence: 'this access token is not known' }
  const intrusion = identity.isOpen && findIntrusion(request, allowedOrigins)
  return intrusion ? { status: wrongToken, sentence: intrusion, isIntrusion: true } : identity
}

const NO_TOKEN = 'no access token: send the header "Authorization: Bearer <access_token>"'
const NO_HANDSHAKE_TOKEN =
  'no access token: connect with ?access_token=<access_token>, or the header "Authorization: Bearer <access_token>"'

/** Bots that come back all at once after a restart are known; only strangers have to be patient. */
function takeBudget(
  { budgets }: AdmitOptions['app'],
  request: FastifyRequest,
  identity: BotIdentity,
  isHandshake: boolean
): Promise<number | undefined> {
  if (typeof identity === 'object') return budgets.http(request, `bot ${identity.accountId}`)
  return isHandshake ? budgets.upgrade(request) : budgets.http(request)
}

/** Why somebody may not speak for a bot that needs no token: without one, any page that a person opens could. */
export function findIntrusion(request: FastifyRequest, allowedOrigins: readonly string[]): MilkySentence | undefined {
  if (!isAddressedHere(request))
    return 'without an access token this bot is only for this machine: call it as localhost'
  if (isForeignOrigin(request, allowedOrigins))
    return 'without an access token this bot is not for web pages of other origins'
  return undefined
}

/** A browser asks before it calls, without the token: only where none is needed does it matter who asks. */
export async function findPreflightRefusal(
  request: FastifyRequest,
  { identifyBot, allowedOrigins }: Pick<AdmitOptions, 'identifyBot' | 'allowedOrigins'>
): Promise<Refusal | undefined> {
  const identity = await identifyBot([])
  const intrusion = typeof identity === 'object' && findIntrusion(request, allowedOrigins)
  return intrusion ? { status: 401, sentence: intrusion, isIntrusion: true } : undefined
}

function headerTokens(request: FastifyRequest): string[] {
  const token = bearerToken(request)
  return token === undefined ? [] : [token]
}

/** Query and header; where both are given either may match (contract 3.3). */
export function botTokens(request: FastifyRequest): string[] {
  return [...queryTokens(request, 'access_token'), ...headerTokens(request)]
}

/** On what terms whoever came in with this request stays; `request.botId` is who it is. */
export function createTenure(
  request: FastifyRequest,
  options: Pick<Tenure, 'access' | 'onError'> & {
    readonly store: Pick<Store, 'findAccount'>
    readonly identifyBot: IdentifyBot
  }
): Tenure {
  const { access, onError, store, identifyBot } = options
  const { botId } = request
  const tokens = botTokens(request)
  return {
    access,
    onError,
    isOn: async () => (await store.findAccount(botId))?.isDisabled === false,
    async mayStay() {
      const identity = await identifyBot(tokens)
      return typeof identity === 'object' && identity.accountId === botId
    }
  }
}

/** Answers with the envelope of Milky, which both dialects have for what is wrong before a call. */
export function refuseBot(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
  const { status, sentence, value, waitS } = refusal
  if (waitS !== undefined) reply.header('retry-after', waitS)
  const message = tellBot(sentence, request.headers['accept-language'], value)
  return reply.code(status).send({ status: 'failed', retcode: -status, message })
}

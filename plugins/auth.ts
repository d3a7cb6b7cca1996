import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { admit, findIntrusion, PLACES, type Admission, type Found, type Why } from '../src/admission.ts'
import type { BotConfig } from '../src/config.ts'
import type { Store } from '../src/core/store.ts'
import type { Tenure } from '../src/net/bot-socket.ts'
import { tellBot, type MilkySentence } from '../src/protocols/milky-words.ts'
import { createKeyring, digestToken, isSameSecret } from '../src/secrets.ts'

/** A bot, by the token it showed; at once when the same was shown on the same connection before. */
export type IdentifyBot = (
  tokens: readonly string[],
  connection?: object
) => Found<number> | undefined | Promise<Found<number> | undefined>

/**
 * Who a Milky access token stands for: the token is the identity, so many bots share one address. Tokens of the
 * configuration count before those in the database, so that a token which was changed in the file is the only one from
 * then on. `openBotId`: the bot that needs no token, when there is one.
 *
 * What a connection has shown is remembered, since every call shows it: when tokens or accounts may have changed, make a
 * new one.
 */
export function createBotAuth(store: Store, bots: readonly BotConfig[], openBotId: number | undefined): IdentifyBot {
  const configured = bots.filter((bot) => bot.access_token)
  const configuredIds = new Set(configured.map((bot) => bot.id))
  const keyring = createKeyring(configured.map((bot) => [bot.access_token ?? '', bot.id] as const))
  const known = new WeakMap<object, { readonly token: string; readonly found: Found<number> }>()

  async function identify(token: string): Promise<Found<number> | undefined> {
    const id = keyring.find([token])
    const account = id === undefined ? await store.findAccountByToken(digestToken(token)) : await store.findAccount(id)
    if (!account || (id === undefined && configuredIds.has(account.id))) return undefined
    return { who: account.id, isOff: account.isDisabled }
  }

  async function identifyAny(tokens: readonly string[], connection?: object): Promise<Found<number> | undefined> {
    const bots = (await Promise.all(tokens.map(identify))).filter((bot) => bot !== undefined)
    const found = bots.find((bot) => !bot.isOff) ?? bots[0]
    const [token] = tokens
    if (found && connection && token !== undefined && tokens.length === 1) known.set(connection, { token, found })
    if (found || openBotId === undefined) return found
    // Some clients send an Authorization with nothing in it (contract 3.2), and nobody asked for one.
    return { who: openBotId, isBare: true }
  }

  return (tokens, connection) => {
    const shown = connection && known.get(connection)
    const [token] = tokens
    const isShown = shown && token !== undefined && tokens.length === 1 && isSameSecret(token, shown.token)
    return isShown ? shown.found : identifyAny(tokens, connection)
  }
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

export interface AdmittedBot {
  readonly accountId: number
  /** The token was once good; it opens nothing any more. */
  readonly isDisabled: boolean
}

/** `?since=` of a handshake is no cursor. */
export const MALFORMED_SINCE: Refusal = { status: 400, sentence: 'since: expected a cursor as we gave it, or now' }

export function isRefusal(admission: AdmittedBot | Refusal): admission is Refusal {
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

/** Who a request speaks for; at once when its token is known already. Decided before anything else about it: who may not come in learns nothing. */
export function admitBot(
  request: FastifyRequest,
  options: AdmitOptions
): AdmittedBot | Refusal | Promise<AdmittedBot | Refusal> {
  const { app, identifyBot, allowedOrigins, isHandshake } = options
  const admission = admit(request, isHandshake ? 'milky-socket' : 'milky-call', identifyBot, allowedOrigins)
  return admission instanceof Promise ? admission.then(count) : count(admission)

  /** Bots that come back all at once after a restart are known; only strangers have to be patient. */
  function count(found: Admission<number>): AdmittedBot | Refusal | Promise<AdmittedBot | Refusal> {
    const { who } = found
    if (who !== undefined) return judge(found, app.budgets.http(request, `bot ${who}`), options)
    if (!isHandshake) return judge(found, app.budgets.http(request), options)
    return app.budgets.upgrade(request).then((waitS) => judge(found, waitS, options))
  }
}

function judge(
  { who, why }: Admission<number>,
  waitS: number | undefined,
  { wrongToken, isHandshake }: AdmitOptions
): AdmittedBot | Refusal {
  if (waitS !== undefined) return { status: 429, sentence: 'too many requests; try again in {} s', value: waitS, waitS }
  if (who !== undefined) return { accountId: who, isDisabled: why === 'off' }
  if (why === 'missing') return { status: 401, sentence: isHandshake ? NO_HANDSHAKE_TOKEN : NO_TOKEN }
  return refuseStranger(why, wrongToken)
}

function refuseStranger(why: Why | undefined, status: number): Refusal {
  const sentence = why && INTRUSIONS[why]
  if (sentence) return { status, sentence, isIntrusion: true }
  return { status, sentence: 'this access token is not known' }
}

const INTRUSIONS: { readonly [W in Why]?: MilkySentence } = {
  elsewhere: 'without an access token this bot is only for this machine: call it as localhost',
  'foreign-page': 'without an access token this bot is not for web pages of other origins'
}

const NO_TOKEN = 'no access token: send the header "Authorization: Bearer <access_token>"'
const NO_HANDSHAKE_TOKEN =
  'no access token: connect with ?access_token=<access_token>, or the header "Authorization: Bearer <access_token>"'

/** A browser asks before it calls, without the token: only where none is needed does it matter who asks. */
export async function findPreflightRefusal(
  request: FastifyRequest,
  { identifyBot, allowedOrigins }: Pick<AdmitOptions, 'identifyBot' | 'allowedOrigins'>
): Promise<Refusal | undefined> {
  const found = await identifyBot([])
  const why = found?.isBare ? findIntrusion(request, allowedOrigins) : undefined
  return why && refuseStranger(why, 401)
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
  const tokens = PLACES['milky-socket'](request)
  return {
    access,
    onError,
    isOn: async () => (await store.findAccount(botId))?.isDisabled === false,
    mayStay: async () => (await identifyBot(tokens))?.who === botId
  }
}

/** Answers with the envelope of Milky, which both dialects have for what is wrong before a call. */
export function refuseBot(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
  const { status, sentence, value, waitS } = refusal
  if (waitS !== undefined) reply.header('retry-after', waitS)
  const message = tellBot(sentence, request.headers['accept-language'], value)
  return reply.code(status).send({ status: 'failed', retcode: -status, message })
}

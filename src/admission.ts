import { isLoopback } from './config.ts'
import { decodeHeader } from '../sdk/src/text.ts'
import { parseBearer } from './net/bearer.ts'
import { isFault, type Sessions, type Signed, type TokenFault } from './sessions.ts'

/** As much of a request as is looked at before it is known whose it is. */
export interface Comer {
  readonly headers: { readonly [name: string]: string | string[] | undefined }
  readonly query: unknown
  /** That it was addressed to, without the port, and with it. */
  readonly hostname: string
  readonly host: string
  readonly socket: { readonly remoteAddress?: string | undefined }
}

/**
 * Where a client may show who it is, by door, in the order in which its protocol looks there. What stands anywhere else
 * opens nothing: a cookie never does, since a browser adds it without being asked.
 */
export const PLACES = {
  /** Milky contract 1.1, 2.1: the header alone. */
  'milky-call': bearerTokens,
  /** Milky contract 1.3, 2.2, 3.3: query and header; where both are given either may match. */
  'milky-socket': (request) => [...queryTokens(request, 'access_token'), ...bearerTokens(request)],
  /** IM-Suite contract 1.3. */
  person: bearerTokens,
  /** IM-Suite contract 2.1. `Sec-WebSocket-Protocol: bearer, <jwt>` is the one header that a browser can choose. */
  'person-socket': (request) =>
    firstOf(queryTokens(request, 'token'), bearerTokens(request), listOf(protocolToken(request))),
  'person-ticket': (request) => queryTokens(request, 'ticket'),
  /** maim_message contract 2.1: nothing in the query falls back. */
  'maim-api': (request) => firstOf(queryTokens(request, 'api_key'), headerValue(request, 'x-apikey')),
  /** maim_message contract 1.1: the token alone, without a scheme. */
  'maim-legacy': (request) => headerValue(request, 'authorization'),
  metrics: bearerTokens,
  /** docs/operations.md, "The operator"; a request that is signed shows none. */
  operator: bearerTokens
} as const satisfies Record<string, (request: Comer) => readonly string[]>

export type DoorName = keyof typeof PLACES

/** Whom tokens stand for. */
export interface Found<Who> {
  readonly who: Who
  /** The tokens were once good; their account is switched off, and they open nothing any more. */
  readonly isOff?: boolean
  /** Nothing was proved, since nothing has to be: good only from this machine, and never for pages of other origins. */
  readonly isBare?: boolean
}

/** Each door knows one kind of token; undefined for every other. Tokens of people say by themselves what is wrong with them. */
export type Identify<Who> = (tokens: readonly string[], connection: object) => Answer<Who> | Promise<Answer<Who>>
type Answer<Who> = Found<Who> | TokenFault | undefined

/** Why somebody does not come in. The last two may not be told to a page that asks: it is not here that it belongs. */
export type Why = 'missing' | 'wrong' | 'off' | 'elsewhere' | 'foreign-page'

export type Admission<Who> =
  | { readonly who: Who; readonly why?: undefined; readonly fault?: undefined }
  /** `who` is there when the tokens say whom they stood for. */
  | { readonly who?: Who | undefined; readonly why: Why; readonly fault?: TokenFault }

/**
 * Who comes in at a door. All of them decide it here, before anything else of the request is read and before a socket is
 * opened: no credentials, wrong ones, those of an account that is off, and none where none are needed.
 */
export function admit<Who>(
  request: Comer,
  door: DoorName,
  identify: Identify<Who>,
  allowedOrigins: readonly string[] = []
): Admission<Who> | Promise<Admission<Who>> {
  const tokens = PLACES[door](request)
  const found = identify(tokens, request.socket)
  // A call should not wait a turn for what is known.
  return found instanceof Promise ? found.then(judge) : judge(found)

  function judge(answer: Answer<Who>): Admission<Who> {
    if (!answer) return { why: tokens.length === 0 ? 'missing' : 'wrong' }
    if (isFault(answer)) return { why: 'wrong', fault: answer }
    const { who, isOff = false, isBare = false } = answer
    if (isOff) return { who, why: 'off' }
    const why = isBare ? findIntrusion(request, allowedOrigins) : undefined
    return why ? { why } : { who }
  }
}

/** Why somebody may not speak for who needs no token: without one, any page that a person opens could. */
export function findIntrusion(
  request: Comer,
  allowedOrigins: readonly string[]
): 'elsewhere' | 'foreign-page' | undefined {
  if (!isFromHere(request)) return 'elsewhere'
  return isForeignOrigin(request, allowedOrigins) ? 'foreign-page' : undefined
}

/** What proxies add, each its own; whoever asks through one is somewhere else. */
const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']

/**
 * Whether a program on this machine asks, and for itself: it was addressed by a name of this machine, which a page whose
 * domain was pointed at 127.0.0.1 is not, and no reverse proxy says that it asks for others.
 */
export function isFromHere(request: Comer): boolean {
  if (!isLoopback(request.socket.remoteAddress ?? '') || !isLoopback(request.hostname)) return false
  return PROXY_HEADERS.every((name) => request.headers[name] === undefined)
}

/** Whether a browser page of another site made this request. Programs send no Origin. */
export function isForeignOrigin(request: Comer, allowed: readonly string[]): boolean {
  const origin = request.headers['origin']
  if (typeof origin !== 'string' || allowed.includes(origin)) return false
  return !URL.canParse(origin) || new URL(origin).host !== request.host
}

/** The token of `Authorization: Bearer …`; the scheme in any case. */
export function bearerToken(request: Comer): string | undefined {
  const header = request.headers['authorization']
  return parseBearer(typeof header === 'string' ? header : undefined)
}

function bearerTokens(request: Comer): string[] {
  return listOf(bearerToken(request))
}

/** A query parameter that is there once and not empty. */
export function queryValue(request: Comer, name: string): string | undefined {
  const value = (request.query as Record<string, unknown>)[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** The same for a token: some clients do not escape it, and what is a "+" to them is a space to whoever reads forms. */
export function queryTokens(request: Comer, name: string): string[] {
  const token = queryValue(request, name)
  if (token === undefined) return []
  return token.includes(' ') ? [token, token.replaceAll(' ', '+')] : [token]
}

function headerValue(request: Comer, name: string): string[] {
  const value = request.headers[name]
  return typeof value === 'string' ? listOf(decodeHeader(value)) : []
}

function protocolToken({ headers }: Comer): string | undefined {
  return /(?:^|,) *bearer *, *([^ ,]+)/i.exec(String(headers['sec-websocket-protocol'] ?? ''))?.[1]
}

function listOf(token: string | undefined): string[] {
  return token ? [token] : []
}

function firstOf(...lists: string[][]): string[] {
  return lists.find((list) => list.length > 0) ?? []
}

/** People, by what they signed in with. */
export function identifyPerson(verify: Sessions['verify' | 'redeem']): Identify<Signed> {
  return async ([token]) => {
    if (token === undefined) return undefined
    const signed = await verify(token)
    return isFault(signed) ? signed : { who: signed }
  }
}

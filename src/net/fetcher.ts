import type { Client, Dispatcher } from 'undici'
import { ActionError } from '../core/errors.ts'
import type { Source, SourceOrder } from '../core/intake.ts'
import { lookupIn, type Guard } from './guard.ts'
import { createSlots } from './slots.ts'

export interface FetcherOptions {
  readonly guard: Guard
  readonly maxBytes: number
}

/** Addresses fetched from at the same time, and how many of them for one bot; the rest waits. */
const PARALLEL = { total: 8, perAccount: 4, waiting: 16 }
const MAX_REDIRECTS = 3
const CONNECT_MS = 5000
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** Statuses after which it may be there later. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429])
/** Ports on which something else than HTTP listens that could be made to do things by a request (WHATWG Fetch, "bad port"). */
const BLOCKED_PORTS: ReadonlySet<string> = new Set(
  (
    '0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123 ' +
    '135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993 ' +
    '995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6379 6566 6665 6666 6667 6668 6669 6679 6697 10080 11211'
  ).split(' ')
)
const HEADERS = { 'user-agent': 'lactea', accept: '*/*', 'accept-encoding': 'identity' }

/**
 * Reads what lies behind http and https addresses. Only guarded addresses are dialled, at every step of a redirect; no
 * password, token or cookie is sent, and no proxy is asked.
 */
export function createFetcher({ guard, maxBytes }: FetcherOptions): Source {
  const slots = createSlots(PARALLEL)

  async function fetch<T>(
    order: SourceOrder,
    { url, redirects }: { url: URL; redirects: number },
    use: (bytes: AsyncIterable<Uint8Array>) => Promise<T>
  ): Promise<T> {
    const addresses = await findAddresses(order, url)
    // Loaded when something is fetched: who starts the gateway should not wait for it.
    const undici = await import('undici')
    const client = new undici.Client(url.origin, {
      connect: { lookup: lookupIn(addresses), timeout: CONNECT_MS },
      // The deadline is the caller's, over the whole of it.
      headersTimeout: 0,
      bodyTimeout: 0
    })
    let next: URL
    try {
      const answer = await request(client, order, url)
      const location = findLocation(answer)
      if (location === undefined) {
        checkAnswer(order, url, answer)
        return await use(readBody(answer, order, url))
      }
      if (redirects === MAX_REDIRECTS)
        throw refuse(order, 'unavailable', `${url.host} redirects more than ${MAX_REDIRECTS} times`)
      next = toNext(order, url, location)
    } finally {
      await client.destroy()
    }
    return fetch(order, { url: next, redirects: redirects + 1 }, use)
  }

  async function findAddresses(order: SourceOrder, url: URL): ReturnType<Guard> {
    if (url.username !== '' || url.password !== '')
      throw refuse(order, 'invalid', 'expected an address without user and password')
    if (BLOCKED_PORTS.has(url.port)) throw refuse(order, 'invalid', `nothing is fetched from port ${url.port}`)
    const found = await until(order.signal, guard(url.hostname)).catch((err: unknown) => {
      throw toTrouble(err, order, url)
    })
    // One sentence for what does not exist and what is closed: else names and addresses in here could be guessed.
    if (found.length === 0)
      throw refuse(
        order,
        'not_found',
        `${url.hostname} does not exist, or is in a network that media.allowed_networks does not open`
      )
    return found
  }

  function checkAnswer(order: SourceOrder, url: URL, { statusCode: status, headers }: Dispatcher.ResponseData): void {
    if (status < 200 || status > 299) {
      const isGone = status >= 400 && status < 500 && !PASSING.has(status)
      throw refuse(order, isGone ? 'not_found' : 'unavailable', `${url.host} answered with status ${status}`)
    }
    const encoding = String(headers['content-encoding'] ?? 'identity')
    if (encoding !== 'identity')
      throw refuse(order, 'unavailable', `${url.host} answered in a compressed form, though it was asked not to`)
    if (Number(headers['content-length'] ?? 0) > maxBytes)
      throw refuse(order, 'too_large', `a file has at most ${maxBytes} bytes`)
  }

  return async (order, use) => {
    const leave = await slots.enter(order.ownerId, order.signal)
    try {
      return await fetch(order, { url: order.address, redirects: 0 }, use)
    } finally {
      leave()
    }
  }
}

async function request(client: Client, order: SourceOrder, url: URL): Promise<Dispatcher.ResponseData> {
  try {
    const path = url.pathname + url.search
    const answer = await client.request({ method: 'GET', path, headers: HEADERS, signal: order.signal })
    // A body that nobody comes to read is cut, which is no mistake.
    answer.body.on('error', () => {})
    return answer
  } catch (err) {
    throw toTrouble(err, order, url)
  }
}

async function* readBody({ body }: Dispatcher.ResponseData, order: SourceOrder, url: URL): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) yield chunk as Uint8Array
  } catch (err) {
    throw toTrouble(err, order, url)
  }
}

function findLocation({ statusCode, headers }: Dispatcher.ResponseData): string | undefined {
  return REDIRECTS.has(statusCode) && typeof headers.location === 'string' ? headers.location : undefined
}

function toNext(order: SourceOrder, from: URL, location: string): URL {
  const next = URL.parse(location, from.href)
  if (next?.protocol !== 'https:' && next?.protocol !== 'http:')
    throw refuse(order, 'not_found', `${from.host} redirects to something that is no http address`)
  if (from.protocol === 'https:' && next.protocol === 'http:')
    throw refuse(order, 'not_found', `${from.host} redirects from https to http`)
  return next
}

/** Rejects when the signal ends first; what is waited for goes on and is forgotten. */
function until<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cut = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', cut, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', cut))
  })
}

/** Names the host, never the rest of the address, which may hold a token. */
function refuse({ field }: SourceOrder, reason: ActionError['reason'], words: string): ActionError {
  return new ActionError(reason, `${field}: ${words}`, { field })
}

function toTrouble(err: unknown, order: SourceOrder, url: URL): Error {
  if (order.signal.aborted) return order.signal.reason as Error
  const { code = 'no answer' } = err as NodeJS.ErrnoException
  return refuse(order, 'unavailable', `nothing can be fetched from ${url.host} now (${code})`)
}

import type { IncomingMessage, ServerResponse } from 'node:http'

/** Headers of one request; no client sends a third of it. */
const MAX_HEADERS = 200

export interface RequestFault {
  readonly status: number
  readonly message: string
}

/**
 * What Node's parser lets through and nobody means well: other servers on the way may have read it otherwise than we.
 * `isHandshake`: it asks for a WebSocket.
 */
export function findFault(
  { method, url = '', httpVersion, rawHeaders }: IncomingMessage,
  isHandshake: boolean
): RequestFault | undefined {
  if (rawHeaders.length > MAX_HEADERS * 2)
    return { status: 431, message: `a request has at most ${MAX_HEADERS} headers` }
  if (httpVersion === '0.9' || (isHandshake && httpVersion !== '1.1'))
    return { status: 400, message: `HTTP/${httpVersion} is not spoken here` }
  // We are no proxy (RFC 9112 §3.2.2), and the name that a request is addressed to is that of its Host header.
  if (!url.startsWith('/') && !(method === 'OPTIONS' && url === '*'))
    return { status: 400, message: 'the target of a request is a path' }
  if (countHosts(rawHeaders) > 1) return { status: 400, message: 'a request has one Host header (RFC 9112 §3.2)' }
  return undefined
}

/** Names and values in turns, as they came. */
function countHosts(rawHeaders: readonly string[]): number {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (name.length === 4 && name.toLowerCase() === 'host') count++
  }
  return count
}

/** The answer to such a request; the connection ends with it. */
export function refuseRequest(response: ServerResponse, { status, message }: RequestFault): void {
  const body = JSON.stringify({ status: 'failed', retcode: -status, message })
  const headers = { connection: 'close', 'content-type': 'application/json; charset=utf-8' }
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
}

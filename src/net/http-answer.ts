import { STATUS_CODES } from 'node:http'

/** A whole answer, after which the connection ends: for requests that never become one to the application. */
export function toAnswer(status: number, message: string, retryAfterS?: number): string {
  const body = `${JSON.stringify({ status: 'failed', retcode: -status, message })}\n`
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    ...(retryAfterS === undefined ? [] : [`Retry-After: ${retryAfterS}`]),
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body
  ].join('\r\n')
}

/** From so many seconds on whoever is turned away by a restart may come back, and so many later at the latest. */
const RESTART_S = 2
const SPREAD_S = 12

/** When to come back, in seconds: a restart takes a moment, and not all should come at the same one. */
export function restartHint(): number {
  return RESTART_S + Math.floor(Math.random() * (SPREAD_S + 1))
}

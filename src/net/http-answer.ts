import { STATUS_CODES } from 'node:http'

/** A whole answer, after which the connection ends: for requests that never become one to the application. */
export function toAnswer(status: number, message: string): string {
  const body = `${JSON.stringify({ status: 'failed', retcode: -status, message })}\n`
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body
  ].join('\r\n')
}

import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { ConnectionMetadata } from './config.ts'
import { decodeHeader } from './text.ts'

/** Who connects, by contract 2.1: the query counts before the headers, and an empty value is none. */
export function readHandshake({ url = '', headers, socket }: IncomingMessage): ConnectionMetadata {
  const query = new URLSearchParams(url.split('?', 2)[1])
  const { authorization: _, ...others } = headers
  return {
    uuid: decodeHeader(headers['x-uuid']) || randomUUID(),
    apiKey: query.get('api_key') || decodeHeader(headers['x-apikey']) || '',
    platform: query.get('platform') || decodeHeader(headers['x-platform']) || 'unknown',
    headers: Object.fromEntries(Object.entries(others).map(([name, value]) => [name, String(value ?? '')])),
    clientIp: socket.remoteAddress ?? '',
    connectedAt: Date.now() / 1000
  }
}

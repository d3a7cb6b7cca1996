import { isIP } from 'node:net'
import { isUnspecified } from './hosts.ts'

/** Says what is wrong with the text as the rest of a sentence ("must …"), or nothing. Never repeats the text. */
type Shape = (text: string) => string | undefined

export type ShapeName =
  | 'text'
  | 'secret'
  | 'token'
  | 'webhook-secret'
  | 'http-url'
  | 'ws-url'
  | 'base-url'
  | 'ice-url'
  | 'host'
  | 'cidr'
  | 'origin'
  | 'event'

const EMPTY = 'must not be empty'

/** Rules for text by name; the schema refers to them with `is`. */
export const shapes: Record<ShapeName, Shape> = {
  text: (text) => (text.trim() ? undefined : EMPTY),

  secret: (text) => (text.trim() ? undefined : EMPTY),

  // A token travels in headers, query strings and subprotocols: what one of them cannot carry would fail there, silently.
  token(text) {
    if (!text) return EMPTY
    if (!/^[\x21-\x7e]+$/.test(text)) return 'must not contain spaces, control characters or non-ASCII characters'
    return undefined
  },

  'webhook-secret'(text) {
    if (!text) return EMPTY
    const base64 = /^whsec_(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/
    return base64.test(text) ? undefined : 'must be whsec_ followed by base64'
  },

  'http-url': (text) => checkUrl(text, ['http:', 'https:']),
  'ws-url': (text) => checkUrl(text, ['ws:', 'wss:']),
  'base-url'(text) {
    const { search, username, password } = URL.parse(text) ?? { search: '', username: '', password: '' }
    if (search || username || password) return 'must be without user, password and query'
    return checkUrl(text, ['http:', 'https:'])
  },

  // RFC 7064 and 7065. Browsers refuse the whole list for one address that they do not understand.
  'ice-url'(text) {
    const [, scheme, transport] =
      /^(stun|turn)s?:(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?(\?transport=(?:udp|tcp))?$/i.exec(text) ?? []
    if (scheme && (/turn/i.test(scheme) || !transport)) return undefined
    return 'must be an address such as stun:stun.example.org:3478 or turn:turn.example.org:3478?transport=udp'
  },

  host(text) {
    if (isIP(text)) return undefined
    if (/^\[.*\]$/.test(text)) return 'must be without brackets'
    if (/^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9.])?$/.test(text)) return undefined
    return 'must be an IP address or a host name, without scheme and port'
  },

  cidr(text) {
    const [address = '', prefix, ...rest] = text.split('/')
    const family = isIP(address)
    const isPrefix = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
    if (family && isPrefix && rest.length === 0) return undefined
    return 'must be an IP address or a network such as 10.0.0.0/8'
  },

  origin(text) {
    const url = URL.parse(text)
    if (url && /^https?:$/.test(url.protocol) && url.origin === text.toLowerCase()) return undefined
    return 'must be an origin such as https://chat.example.org, without path and trailing slash'
  },

  event: (text) =>
    /^[a-z][a-z0-9_]*$/.test(text) ? undefined : 'must be the name of an event, such as message_receive'
}

function checkUrl(text: string, protocols: string[]): string | undefined {
  const starts = protocols.map((protocol) => `${protocol}//`)
  if (!starts.some((start) => text.toLowerCase().startsWith(start))) return `must start with ${starts.join(' or ')}`
  const url = URL.parse(text)
  if (!url) return 'must be a complete URL'
  if (url.hash) return 'must not have a part after #'
  if (isUnspecified(url.hostname)) {
    return `cannot be dialled: ${url.hostname} means "every address of this machine"; use 127.0.0.1 or the service name`
  }
  return undefined
}

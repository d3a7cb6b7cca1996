import type { ClientOptions } from 'ws'
import { encodeHeader } from '../../sdk/src/text.ts'
import { createClientTls, TlsError } from '../../sdk/src/tls.ts'

/** A reverse WebSocket, as the configuration has it. */
export interface ReverseAddress {
  readonly url: string
  readonly access_token: string | null
}

/** A link to a maim_message server, as the configuration has it. */
export interface LinkAddress {
  readonly url: string
  readonly mode: 'legacy' | 'api-server'
  readonly platform: string
  readonly token: string | null
  readonly api_key: string | null
  readonly tls: {
    readonly ca: string | null
    readonly cert: string | null
    readonly key: string | null
    readonly verify: boolean
    readonly check_host: boolean
  } | null
}

export interface Call {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

/** What a Milky bot that waits to be dialled is shown; the token goes into the query that the address has already (contract 1.4). */
export function callReverse({ url, access_token: token }: ReverseAddress, botId: number): Call {
  const address = new URL(url)
  if (token) address.searchParams.set('access_token', token)
  return { url: token ? address.href : url, headers: { 'x-self-id': String(botId) } }
}

/** What the real clients of maim_message show (contract 1.1, 2.1). */
export function callLink({ url, mode, platform, token, api_key: apiKey }: LinkAddress, uuid: string): Call {
  const shown = encodeHeader(platform)
  const headers: Record<string, string> =
    mode === 'legacy'
      ? { platform: shown, ...(token && { authorization: token }) }
      : { 'x-apikey': apiKey ?? '', 'x-platform': shown, 'x-uuid': uuid }
  return { url, headers }
}

/** Reads the files, so that what is wrong with them is told before anything is dialled. Throws with a sentence that begins with the key. */
export function readLinkTls({ tls }: Pick<LinkAddress, 'tls'>): ClientOptions {
  if (!tls) return {}
  const { ca, cert, key, verify, check_host: checkHostname } = tls
  try {
    const files = { ca: ca ?? undefined, cert: cert ?? undefined, key: key ?? undefined }
    // The type declarations of `ws` have another idea of `checkServerIdentity` than Node.
    return createClientTls({ ...files, verify, checkHostname }) as object
  } catch (err) {
    if (err instanceof TlsError) throw new Error(`tls.${err.message}`, { cause: err })
    throw err
  }
}

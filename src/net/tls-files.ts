import { X509Certificate } from 'node:crypto'
import { createSecureContext, type TlsOptions } from 'node:tls'
import { createServerTls, TlsError } from '../../sdk/src/tls.ts'

/** Names of PEM files; relative ones start at the working directory. */
export interface TlsFiles {
  readonly cert: string
  readonly key: string
  /** Authorities that sign certificates of clients. */
  readonly ca: string | null
  /** `request`: who shows none, or a bad one, is let in all the same. `require`: nobody is without a good one. */
  readonly client_cert: 'none' | 'request' | 'require'
}

/** Who opens a connection and shows nothing holds it no longer than that. */
const HANDSHAKE_MS = 10_000

/**
 * What a server needs to speak TLS, from its files. Whatever would only fail when the first client comes is found now.
 * @param where the key of the configuration, which errors begin with
 * @throws Error with a sentence for people, and nothing of what is in the files
 */
export function readServerTls(files: TlsFiles, where: string, now = new Date()): TlsOptions {
  const options = read(files, where)
  const { validFromDate, validToDate } = new X509Certificate(String(options.cert))
  if (now > validToDate)
    throw new Error(`${where}.cert: the certificate in ${files.cert} expired on ${toDay(validToDate)}; renew it`)
  if (now < validFromDate)
    throw new Error(`${where}.cert: the certificate in ${files.cert} is good only from ${toDay(validFromDate)} on`)
  return { ...options, handshakeTimeout: HANDSHAKE_MS }
}

function read({ cert, key, ca, client_cert: clientCert }: TlsFiles, where: string): TlsOptions {
  try {
    const options = createServerTls({ cert, key, ca: ca ?? undefined, clientCert })
    createSecureContext(options)
    return options
  } catch (err) {
    if (!(err instanceof TlsError)) throw new Error(`${where}: ${(err as Error).message}`, { cause: err })
    const file = { cert, key, ca }[err.field] ?? ''
    throw new Error(`${where}.${err.message}${err.why.includes(file) ? '' : ` (${file})`}`, { cause: err })
  }
}

const toDay = (date: Date): string => date.toISOString().slice(0, 10)

import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ConnectionOptions, TlsOptions } from 'node:tls'

/** Each is PEM text, or the path of a file with it. */
export interface TlsFiles {
  /** The certificate, followed by those between it and the authority. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Authorities to trust instead of those that Node trusts. */
  readonly ca?: string | undefined
}

export interface ServerTls extends TlsFiles {
  readonly cert: string
  readonly key: string
  /** Whether clients show a certificate: never, when they have one, or always one that an authority of `ca` has signed. */
  readonly clientCert?: 'none' | 'request' | 'require' | undefined
}

export interface ClientTls extends TlsFiles {
  /** Whether the server's certificate must be good. True when absent. */
  readonly verify?: boolean | undefined
  /** Whether the server's certificate must be for the host that is dialled. True when absent. */
  readonly checkHostname?: boolean | undefined
}

/** A certificate or key that cannot be used. The text begins with the field. */
export class TlsError extends Error {
  override readonly name = 'TlsError'
  readonly field: keyof TlsFiles
  /** The text without the field. */
  readonly why: string

  constructor(field: keyof TlsFiles, why: string) {
    super(`${field}: ${why}`)
    this.field = field
    this.why = why
  }
}

/** Node's options for a TLS server; TLS 1.2 and newer. Throws `TlsError`. */
export function createServerTls({ cert, key, ca, clientCert = 'none' }: ServerTls): TlsOptions {
  return {
    ...readFiles({ cert, key, ca }),
    minVersion: 'TLSv1.2',
    requestCert: clientCert !== 'none',
    rejectUnauthorized: clientCert === 'require'
  }
}

/** Node's options for a TLS client; TLS 1.2 and newer. Throws `TlsError`. */
export function createClientTls({ verify = true, checkHostname = true, ...files }: ClientTls): ConnectionOptions {
  return {
    ...readFiles(files),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: verify,
    ...(!checkHostname && { checkServerIdentity: () => undefined })
  }
}

function readFiles({ cert, key, ca }: TlsFiles): { cert?: string; key?: string; ca?: string } {
  if (cert !== undefined && key === undefined)
    throw new TlsError('key', 'missing, the certificate is of no use without')
  if (key !== undefined && cert === undefined) throw new TlsError('cert', 'missing, the key is of no use without')
  return {
    ...(cert !== undefined && key !== undefined && readPair(cert, key)),
    ...(ca !== undefined && { ca: readCertificate('ca', ca).text })
  }
}

function readPair(cert: string, key: string): { cert: string; key: string } {
  const { text, certificate } = readCertificate('cert', cert)
  const keyText = readText('key', key)
  if (!certificate.checkPrivateKey(readKey(keyText))) throw new TlsError('key', 'does not belong to the certificate')
  return { cert: text, key: keyText }
}

function readCertificate(field: 'cert' | 'ca', value: string): { text: string; certificate: X509Certificate } {
  const text = readText(field, value)
  try {
    return { text, certificate: new X509Certificate(text) }
  } catch {
    throw new TlsError(field, 'expected a certificate in PEM')
  }
}

function readKey(text: string): KeyObject {
  try {
    return createPrivateKey(text)
  } catch {
    // What OpenSSL says may quote the key.
    throw new TlsError('key', 'expected a private key in PEM, without a passphrase')
  }
}

function readText(field: keyof TlsFiles, value: string): string {
  if (value.includes('-----BEGIN ')) return value
  try {
    return readFileSync(value, 'utf8')
  } catch (err) {
    const { code = 'unknown error' } = err as NodeJS.ErrnoException
    throw new TlsError(field, `cannot read the file ${JSON.stringify(value)} (${code})`)
  }
}

import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type TlsOptions } from 'node:tls'

/** Names of PEM files; relative ones start at the working directory. */
export interface TlsFiles {
  readonly cert: string
  readonly key: string
  /** Authorities that sign certificates of clients. */
  readonly ca: string | null
  /** `request`: who shows none, or a bad one, is let in all the same. `require`: nobody is without a good one. */
  readonly client_cert: 'none' | 'request' | 'require'
}

/**
 * What a server needs to speak TLS, from its files. Whatever would only fail when the first client comes is found now.
 * @param where the key of the configuration, which errors begin with
 * @throws Error with a sentence for people
 */
export function readServerTls(files: TlsFiles, where: string, now = new Date()): TlsOptions {
  const { client_cert: clientCert } = files
  const cert = readPem(files.cert, `${where}.cert`)
  const key = readPem(files.key, `${where}.key`)
  const [own] = readCertificates(cert, files.cert, `${where}.cert`)
  if (own) checkDates(own, files.cert, `${where}.cert`, now)
  if (!own?.checkPrivateKey(readKey(key, files.key, `${where}.key`)))
    throw new Error(`${where}.key: ${files.key} is not the key of the certificate in ${files.cert}`)
  const ca = files.ca === null ? undefined : readPem(files.ca, `${where}.ca`)
  if (ca !== undefined && files.ca !== null) readCertificates(ca, files.ca, `${where}.ca`)
  const options: TlsOptions = {
    cert,
    key,
    ...(ca !== undefined && { ca }),
    requestCert: clientCert !== 'none',
    rejectUnauthorized: clientCert === 'require',
    // Older ones are broken; what Node itself would let in depends on how it was started.
    minVersion: 'TLSv1.2',
    handshakeTimeout: HANDSHAKE_MS
  }
  try {
    createSecureContext(options)
  } catch (err) {
    throw new Error(`${where}: these files do not work: ${(err as Error).message}`, { cause: err })
  }
  return options
}

/** Who opens a connection and shows nothing holds it no longer than that. */
const HANDSHAKE_MS = 10_000

function readPem(file: string, where: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (err) {
    const { code = '' } = err as NodeJS.ErrnoException
    throw new Error(`${where}: ${file} ${READ_ERRORS[code] ?? `cannot be read (${code})`}`, { cause: err })
  }
}

const READ_ERRORS: Record<string, string> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EACCES: 'may not be read by this process',
  EISDIR: 'is a directory'
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g

function readCertificates(text: string, file: string, where: string): X509Certificate[] {
  const found = text.match(CERTIFICATE) ?? []
  if (found.length === 0) throw new Error(`${where}: ${file} holds no certificate (PEM)`)
  try {
    return found.map((pem) => new X509Certificate(pem))
  } catch (err) {
    throw new Error(`${where}: ${file} holds a certificate that cannot be read`, { cause: err })
  }
}

function checkDates({ validFromDate, validToDate }: X509Certificate, file: string, where: string, now: Date): void {
  if (now > validToDate)
    throw new Error(`${where}: the certificate in ${file} expired on ${toDay(validToDate)}; renew it`)
  if (now < validFromDate)
    throw new Error(`${where}: the certificate in ${file} is good only from ${toDay(validFromDate)} on`)
}

const toDay = (date: Date): string => date.toISOString().slice(0, 10)

/** What went wrong is not repeated: it may speak of what is in the file. */
function readKey(text: string, file: string, where: string): KeyObject {
  if (/BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(text))
    throw new Error(`${where}: the key in ${file} has a passphrase; store it without one`)
  try {
    return createPrivateKey(text)
  } catch {
    throw new Error(`${where}: ${file} holds no private key (PEM)`)
  }
}

import type { ConnectionOptions, TlsOptions } from 'node:tls'
import { ConfigError, type LinkConfig, type ServerConfig } from './config.ts'
import { createClientTls, createServerTls, TlsError } from './tls.ts'

const OPTIONS = { cert: 'sslCertfile', key: 'sslKeyfile', ca: 'sslCaCerts' } as const

function naming<T>(read: () => T): T {
  try {
    return read()
  } catch (err) {
    if (err instanceof TlsError) throw new ConfigError([`${OPTIONS[err.field]}: ${err.why}`])
    throw err
  }
}

/** What Node wants for the TLS of a server. Throws `ConfigError`. */
export function toServerTls({ sslCertfile, sslKeyfile, sslCaCerts, sslVerify }: ServerConfig): TlsOptions {
  const clientCert = sslVerify ? 'require' : 'none'
  return naming(() => createServerTls({ cert: sslCertfile ?? '', key: sslKeyfile ?? '', ca: sslCaCerts, clientCert }))
}

/** What Node wants for the TLS of a client. Throws `ConfigError`. */
export function toClientTls(config: LinkConfig): ConnectionOptions {
  const { sslCertfile, sslKeyfile, sslCaCerts, sslVerify, sslCheckHostname } = config
  const files = { cert: sslCertfile, key: sslKeyfile, ca: sslCaCerts }
  return naming(() => createClientTls({ ...files, verify: sslVerify, checkHostname: sslCheckHostname }))
}

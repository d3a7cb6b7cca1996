// @peculiar/x509 wants it to be there first.
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator
} from '@peculiar/x509'
import type { Test } from 'tap'
import { makeDirectory } from './directory.ts'

// P-256: a key of it is there in a millisecond, one of RSA takes a tenth of a second.
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 24 * 60 * 60 * 1000

/** A certificate with its key, as text (PEM) and as files of the same text. */
export interface Certificate {
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
}

export interface Certificates {
  readonly dir: string
  /** The authority that has signed all that follow, unless they say otherwise. */
  readonly ca: Certificate
  /** For localhost, 127.0.0.1 and ::1. */
  readonly server: Certificate
  /** For the same, good in itself, with another key: what a renewed certificate is. */
  readonly renewed: Certificate
  /** For elsewhere.example alone. */
  readonly otherHost: Certificate
  /** For a client. */
  readonly client: Certificate
  /** For localhost, until yesterday. */
  readonly expired: Certificate
  /** An authority that nobody here trusts. */
  readonly strangeCa: Certificate
  /** For localhost, signed by the strange authority. */
  readonly strange: Certificate
  /** For a client, signed by the strange authority. */
  readonly strangeClient: Certificate
}

interface Authority {
  readonly certificate: X509Certificate
  readonly keys: webcrypto.CryptoKeyPair
}

interface Order {
  readonly name: string
  readonly hosts?: readonly string[]
  readonly isClient?: boolean
  readonly notBefore?: Date
  readonly notAfter?: Date
}

/** Two authorities and what they have signed, in a directory that is gone when the test ends. */
export async function makeCertificates(t: Test): Promise<Certificates> {
  const dir = makeDirectory(t)
  const authority = await makeAuthority('Test authority')
  const strangeAuthority = await makeAuthority('Strange authority')

  async function sign(file: string, order: Order, by = authority): Promise<Certificate> {
    const { certificate, keys } = await signOne(order, by)
    return write(file, certificate, keys)
  }

  async function write(
    file: string,
    certificate: X509Certificate,
    keys: webcrypto.CryptoKeyPair
  ): Promise<Certificate> {
    const written = {
      cert: `${certificate.toString('pem')}\n`,
      key: `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')}\n`,
      certFile: join(dir, `${file}.crt`),
      keyFile: join(dir, `${file}.key`)
    }
    writeFileSync(written.certFile, written.cert)
    writeFileSync(written.keyFile, written.key, { mode: 0o600 })
    return written
  }

  const here = ['localhost', '127.0.0.1', '::1']
  const yesterday = new Date(Date.now() - DAY_MS)
  return {
    dir,
    ca: await write('ca', authority.certificate, authority.keys),
    server: await sign('server', { name: 'localhost', hosts: here }),
    renewed: await sign('renewed', { name: 'localhost', hosts: here }),
    otherHost: await sign('other-host', { name: 'elsewhere.example', hosts: ['elsewhere.example'] }),
    client: await sign('client', { name: 'A client', isClient: true }),
    expired: await sign('expired', {
      name: 'localhost',
      hosts: here,
      notBefore: new Date(yesterday.getTime() - DAY_MS),
      notAfter: yesterday
    }),
    strangeCa: await write('strange-ca', strangeAuthority.certificate, strangeAuthority.keys),
    strange: await sign('strange', { name: 'localhost', hosts: here }, strangeAuthority),
    strangeClient: await sign('strange-client', { name: 'A stranger', isClient: true }, strangeAuthority)
  }
}

async function makeAuthority(name: string): Promise<Authority> {
  const keys = await makeKeys()
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    serialNumber: makeSerial(),
    ...validity({}),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey)
    ]
  })
  return { certificate, keys }
}

async function signOne(order: Order, { certificate: issuer, keys: { privateKey } }: Authority): Promise<Authority> {
  const keys = await makeKeys()
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${order.name}`,
    issuer: issuer.subject,
    serialNumber: makeSerial(),
    ...validity(order),
    publicKey: keys.publicKey,
    signingKey: privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([order.isClient ? ExtendedKeyUsage.clientAuth : ExtendedKeyUsage.serverAuth]),
      // Python from 3.13 on takes none without (strict X.509).
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...(order.hosts ? [new SubjectAlternativeNameExtension(order.hosts.map(toAlternativeName))] : [])
    ]
  })
  return { certificate, keys }
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

function makeSerial(): string {
  return Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString('hex')
}

function validity({ notBefore, notAfter }: Pick<Order, 'notBefore' | 'notAfter'>): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: notBefore ?? new Date(Date.now() - DAY_MS),
    notAfter: notAfter ?? new Date(Date.now() + 30 * DAY_MS)
  }
}

function toAlternativeName(host: string): { type: 'dns' | 'ip'; value: string } {
  return { type: /^[\d.]+$|:/.test(host) ? 'ip' : 'dns', value: host }
}

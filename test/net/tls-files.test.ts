import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { readServerTls, type TlsFiles } from '../../src/net/tls-files.ts'
import { makeCertificates } from '../helpers/certificates.ts'

t.test('what a server needs comes from its files', async (t) => {
  const { server, ca } = await makeCertificates(t)
  const files = { cert: server.certFile, key: server.keyFile, ca: null, client_cert: 'none' } as const
  t.match(readServerTls(files, 'server.tls'), {
    cert: server.cert,
    key: server.key,
    requestCert: false,
    minVersion: 'TLSv1.2'
  })
  const withClients = { ...files, ca: ca.certFile }
  t.match(readServerTls({ ...withClients, client_cert: 'request' }, 'server.tls'), {
    ca: ca.cert,
    requestCert: true,
    rejectUnauthorized: false
  })
  t.match(readServerTls({ ...withClients, client_cert: 'require' }, 'server.tls'), {
    requestCert: true,
    rejectUnauthorized: true
  })
})

t.test('a chain is taken as it is written', async (t) => {
  const { dir, server, ca } = await makeCertificates(t)
  const cert = join(dir, 'chain.crt')
  writeFileSync(cert, `some words\n${server.cert}\n${ca.cert}`)
  const files = { cert, key: server.keyFile, ca: null, client_cert: 'none' } as const
  t.ok(readServerTls(files, 'server.tls'))
})

t.test('what would fail later is one sentence that begins with the key of the configuration', async (t) => {
  const certificates = await makeCertificates(t)
  const { dir, server, ca, client, expired } = certificates
  const write = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }
  const passphrase = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'CANARY' }
  }).privateKey
  const good: TlsFiles = { cert: server.certFile, key: server.keyFile, ca: ca.certFile, client_cert: 'require' }
  const rows: [label: string, files: Partial<TlsFiles>, says: RegExp][] = [
    [
      'no certificate',
      { cert: '/nowhere/a.crt' },
      /^at\.tls\.cert: cannot read the file "\/nowhere\/a\.crt" \(ENOENT\)$/
    ],
    ['no key', { key: '/nowhere/a.key' }, /^at\.tls\.key: cannot read the file "\/nowhere\/a\.key" \(ENOENT\)$/],
    ['no authority', { ca: '/nowhere/ca.crt' }, /^at\.tls\.ca: cannot read the file "\/nowhere\/ca\.crt" \(ENOENT\)$/],
    ['a directory', { cert: dir }, /^at\.tls\.cert: cannot read .+ \(EISDIR\)$/],
    [
      'the key of another',
      { key: client.keyFile },
      /^at\.tls\.key: does not belong to the certificate \(.+client\.key\)$/
    ],
    [
      'the two mixed up',
      { cert: server.keyFile, key: server.certFile },
      /^at\.tls\.cert: expected a certificate in PEM \(.+server\.key\)$/
    ],
    ['a certificate for a key', { key: server.certFile }, /^at\.tls\.key: expected a private key .+server\.crt\)$/],
    [
      'an empty file',
      { cert: write('empty.crt', '') },
      /^at\.tls\.cert: expected a certificate in PEM \(.+empty\.crt\)$/
    ],
    [
      'a certificate that is broken',
      { cert: write('broken.crt', server.cert.replace(/MII/, 'AAA')) },
      /^at\.tls\.cert: expected a certificate in PEM \(.+broken\.crt\)$/
    ],
    [
      'a key with a passphrase',
      { key: write('locked.key', passphrase) },
      /^at\.tls\.key: .+without a passphrase \(.+locked\.key\)$/
    ],
    ['nonsense for a key', { key: write('nonsense.key', 'CANARY') }, /^at\.tls\.key: expected a private key/],
    [
      'a certificate that has expired',
      { cert: expired.certFile, key: expired.keyFile },
      /^at\.tls\.cert: .+expired\.crt expired on \d{4}-\d\d-\d\d; renew it$/
    ],
    [
      'an authority that is none',
      { ca: server.keyFile },
      /^at\.tls\.ca: expected a certificate in PEM \(.+server\.key\)$/
    ]
  ]
  for (const [label, files, says] of rows) {
    t.throws(() => readServerTls({ ...good, ...files }, 'at.tls'), { message: says }, label)
    try {
      readServerTls({ ...good, ...files }, 'at.tls')
    } catch (err) {
      t.notMatch((err as Error).message, /CANARY|PRIVATE|\n/, `${label}: nothing of the file`)
    }
  }
  const earlier = new Date(Date.now() - 2 * 24 * 60 * 60 * 1000)
  t.throws(() => readServerTls(good, 'at.tls', earlier), { message: /is good only from \d{4}-\d\d-\d\d on$/ })
})

t.test('a file that may not be read', { skip: process.getuid?.() === 0 && 'root reads everything' }, async (t) => {
  const { server } = await makeCertificates(t)
  chmodSync(server.keyFile, 0)
  t.throws(
    () => readServerTls({ cert: server.certFile, key: server.keyFile, ca: null, client_cert: 'none' }, 'at.tls'),
    {
      message: /^at\.tls\.key: cannot read .+ \(EACCES\)$/
    }
  )
})

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
    ['no certificate', { cert: '/nowhere/a.crt' }, /^at\.tls\.cert: \/nowhere\/a\.crt does not exist$/],
    ['no key', { key: '/nowhere/a.key' }, /^at\.tls\.key: \/nowhere\/a\.key does not exist$/],
    ['no authority', { ca: '/nowhere/ca.crt' }, /^at\.tls\.ca: \/nowhere\/ca\.crt does not exist$/],
    ['a directory', { cert: dir }, /^at\.tls\.cert: .+ is a directory$/],
    ['the key of another', { key: client.keyFile }, /^at\.tls\.key: .+client\.key is not the key of .+server\.crt$/],
    [
      'the two mixed up',
      { cert: server.keyFile, key: server.certFile },
      /^at\.tls\.cert: .+ holds no certificate \(PEM\)$/
    ],
    ['a certificate for a key', { key: server.certFile }, /^at\.tls\.key: .+ holds no private key \(PEM\)$/],
    ['an empty file', { cert: write('empty.crt', '') }, /^at\.tls\.cert: .+ holds no certificate/],
    [
      'a certificate that is broken',
      { cert: write('broken.crt', server.cert.replace(/MII/, 'AAA')) },
      /^at\.tls\.cert: .+ holds a certificate that cannot be read$/
    ],
    ['a key with a passphrase', { key: write('locked.key', passphrase) }, /^at\.tls\.key: .+ has a passphrase/],
    ['nonsense for a key', { key: write('nonsense.key', 'CANARY') }, /^at\.tls\.key: .+ holds no private key/],
    [
      'a certificate that has expired',
      { cert: expired.certFile, key: expired.keyFile },
      /^at\.tls\.cert: .+expired\.crt expired on \d{4}-\d\d-\d\d; renew it$/
    ],
    ['an authority that is none', { ca: server.keyFile }, /^at\.tls\.ca: .+ holds no certificate/]
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
      message: /^at\.tls\.key: .+ may not be read by this process$/
    }
  )
})

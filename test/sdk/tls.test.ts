import { join } from 'node:path'
import { connect } from 'node:tls'
import t from 'tap'
import { createClientTls, createServerTls, TlsError, type ServerOptions } from '../../sdk/src/index.ts'
import { makeCertificates } from '../helpers/certificates.ts'
import { createCalls, createClient, startServer, write } from './peers.ts'
import type { APIMessageBase, ClientOptions } from '../../sdk/src/index.ts'

t.test(
  'certificates come from files or as text; what cannot be used is one sentence that begins with the field',
  async (t) => {
    const { ca, server, client, dir } = await makeCertificates(t)
    const pair = { cert: server.certFile, key: server.keyFile }
    t.match(createServerTls({ ...pair, ca: ca.certFile }), {
      ...server,
      certFile: undefined,
      keyFile: undefined,
      ca: ca.cert
    })
    t.match(createServerTls({ cert: server.cert, key: server.key }), {
      cert: server.cert,
      key: server.key,
      requestCert: false
    })
    t.match(createServerTls({ ...pair, clientCert: 'request' }), { requestCert: true, rejectUnauthorized: false })
    t.match(createServerTls({ ...pair, clientCert: 'require' }), { requestCert: true, rejectUnauthorized: true })
    t.match(createClientTls({}), { rejectUnauthorized: true, minVersion: 'TLSv1.2' })
    t.notOk('checkServerIdentity' in createClientTls({}))

    const missing = join(dir, 'missing.pem')
    const cases: [files: Parameters<typeof createClientTls>[0], field: string, message: RegExp][] = [
      [{ cert: missing, key: server.keyFile }, 'cert', /^cert: cannot read the file ".*missing\.pem" \(ENOENT\)$/],
      [{ cert: server.certFile, key: dir }, 'key', /^key: cannot read the file .* \(EISDIR\)$/],
      [{ ca: missing }, 'ca', /^ca: cannot read/],
      [{ cert: server.keyFile, key: server.keyFile }, 'cert', /^cert: expected a certificate in PEM$/],
      [{ cert: server.certFile, key: server.certFile }, 'key', /^key: expected a private key in PEM/],
      [{ cert: server.certFile, key: client.keyFile }, 'key', /^key: does not belong to the certificate$/],
      [{ cert: server.certFile }, 'key', /^key: missing/],
      [{ key: server.keyFile }, 'cert', /^cert: missing/],
      [{ ca: server.keyFile }, 'ca', /^ca: expected a certificate/]
    ]
    for (const [files, field, message] of cases)
      t.throws(() => createClientTls(files), { name: 'TlsError', field, message })
    t.throws(() => createClientTls({ ca: 'nowhere' }), TlsError)
  }
)

t.test('a server with TLS, and clients that look at its certificate or do not', async (t) => {
  const certificates = await makeCertificates(t)
  const { ca, server, otherHost, expired, strange, strangeCa } = certificates
  const cases: [what: string, cert: typeof server, options: Partial<ClientOptions>, why: RegExp | undefined][] = [
    ['of an authority that is trusted', server, { sslCaCerts: ca.certFile }, undefined],
    ['the same as text', server, { sslCaCerts: ca.cert }, undefined],
    ['of one that Node does not know', server, {}, /unable to (get|verify)/],
    ['of another authority', server, { sslCaCerts: strangeCa.certFile }, /unable to|signature/],
    ['signed by a stranger', strange, { sslCaCerts: ca.certFile }, /unable to/],
    ['that has run out', expired, { sslCaCerts: ca.certFile }, /expired/],
    ['for another host', otherHost, { sslCaCerts: ca.certFile }, /does not match/],
    ['for another host, not looked at', otherHost, { sslCaCerts: ca.certFile, sslCheckHostname: false }, undefined],
    ['not looked at at all', expired, { sslVerify: false }, undefined]
  ]
  for (const [what, { certFile, keyFile }, options, why] of cases) {
    const heard = createCalls<[APIMessageBase]>()
    const { url } = await startServer(t, {
      sslEnabled: true,
      sslCertfile: certFile,
      sslKeyfile: keyFile,
      onMessage: heard.call
    })
    t.match(url, /^wss:\/\//)
    const client = createClient(t, url, { autoReconnect: false, ...options })
    t.equal(await client.connect(), why === undefined, what)
    if (why) t.match(client.lastError, why)
    else {
      await client.sendMessage(write('hi'))
      t.match(await heard.next(), [write('hi')])
    }
  }
})

t.test('mutual TLS', async (t) => {
  const { ca, server, client: own, strangeClient } = await makeCertificates(t)
  const options: ServerOptions = {
    sslEnabled: true,
    sslCertfile: server.certFile,
    sslKeyfile: server.keyFile,
    sslCaCerts: ca.certFile,
    sslVerify: true
  }
  const { url, server: running } = await startServer(t, options)
  const dial = (files: Partial<ClientOptions>): Promise<boolean> =>
    createClient(t, url, { sslCaCerts: ca.certFile, autoReconnect: false, ...files }).connect()
  t.equal(await dial({ sslCertfile: own.certFile, sslKeyfile: own.keyFile }), true)
  t.equal(await dial({ sslCertfile: own.cert, sslKeyfile: own.key }), true)
  t.equal(await dial({}), false)
  t.equal(await dial({ sslCertfile: strangeClient.certFile, sslKeyfile: strangeClient.keyFile }), false)
  t.equal(running.getStats().totalAuthRequests, 2)
})

t.test('TLS 1.1 is not spoken', async (t) => {
  const { server } = await makeCertificates(t)
  const { url } = await startServer(t, { sslEnabled: true, sslCertfile: server.cert, sslKeyfile: server.key })
  const ciphers = 'DEFAULT@SECLEVEL=0'
  const socket = connect({
    port: Number(new URL(url).port),
    maxVersion: 'TLSv1.1',
    minVersion: 'TLSv1',
    ciphers,
    rejectUnauthorized: false
  })
  t.teardown(() => socket.destroy())
  const why = await new Promise((resolve) =>
    socket.once('error', resolve).once('secureConnect', () => resolve('spoken'))
  )
  t.match(why, { message: /alert|version|protocol/i })
})

t.test('certificates that cannot be read are told by the name of the option', async (t) => {
  const { server, client } = await makeCertificates(t)
  const bad = { sslEnabled: true, sslCertfile: server.certFile, sslKeyfile: client.keyFile }
  await t.rejects(startServer(t, bad), {
    name: 'ConfigError',
    problems: ['sslKeyfile: does not belong to the certificate']
  })
  const dialling = createClient(t, 'wss://localhost:1/ws', { sslCaCerts: '/nowhere/ca.pem' })
  await t.rejects(dialling.connect(), { name: 'ConfigError', message: /^sslCaCerts: cannot read the file/ })
})

t.test('one client may have connections with TLS and without', async (t) => {
  const { ca, server } = await makeCertificates(t)
  const plain = await startServer(t)
  const secure = await startServer(t, { sslEnabled: true, sslCertfile: server.cert, sslKeyfile: server.key })
  const client = createClient(t, secure.url, { sslCaCerts: ca.certFile })
  const more = [client.addConnection(secure.url, 'b', 'qq'), client.addConnection(plain.url, 'c', 'qq')]
  t.equal(await client.connect(), true)
  for (const uuid of more) t.equal(await client.connectTo(uuid), true)
  const other = createClient(t, plain.url)
  t.equal(await other.connectTo(other.addConnection(secure.url, 'd', 'qq', { sslCaCerts: ca.cert })), true)
})

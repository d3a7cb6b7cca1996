import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer as createPlainServer, type RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setDefaultCACertificates, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import type { ActionError } from '../../src/core/errors.ts'
import { createFetcher } from '../../src/net/fetcher.ts'
import { createGuard } from '../../src/net/guard.ts'
import { makeDirectory } from '../helpers/directory.ts'

const NAME = 'pictures.example'

async function listen(t: Test, server: Server, host: string): Promise<number> {
  t.teardown(() => server.close())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, host, resolve)
  })
  return (server.address() as AddressInfo).port
}

/** What lies at the address, or why it cannot be had. Every name is 127.0.0.1. */
function fetchText(url: string): Promise<string> {
  const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
  const fetch = createFetcher({
    guard: createGuard({ allowedNetworks: ['127.0.0.1', '::1'], resolve }),
    maxBytes: 1000
  })
  const order = { ownerId: 1, address: new URL(url), field: 'uri', signal: new AbortController().signal }
  return fetch(order, async (bytes) => String(await buffer(bytes))).catch((err: ActionError) => err.message)
}

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

t.test('https', { skip: !hasOpenssl && 'openssl is not there' }, async (t) => {
  const dir = makeDirectory(t)
  const [keyFile, certFile] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const names = ['-subj', `/CN=${NAME}`, '-addext', `subjectAltName=DNS:${NAME}`]
  execFileSync('openssl', ['req', '-x509', ...curve, ...names, '-keyout', keyFile, '-out', certFile], {
    stdio: 'ignore'
  })
  const cert = readFileSync(certFile, 'utf8')

  const seen: unknown[] = []
  const listener: RequestListener = (request, response) => {
    seen.push({ host: request.headers.host, servername: (request.socket as TLSSocket).servername })
    const [, location] = /^\/to\/(.*)/.exec(request.url ?? '') ?? []
    if (location === undefined) response.end('a cat')
    else response.writeHead(302, { location: decodeURIComponent(location) }).end()
  }
  const port = await listen(t, createServer({ key: readFileSync(keyFile), cert }, listener), '127.0.0.1')
  const plain = await listen(
    t,
    createPlainServer((_request, response) =>
      response.writeHead(302, { location: `https://${NAME}:${port}/cat` }).end()
    ),
    '127.0.0.1'
  )

  t.equal(
    await fetchText(`https://${NAME}:${port}/?token=secret`),
    `uri: nothing can be fetched from ${NAME}:${port} now (DEPTH_ZERO_SELF_SIGNED_CERT)`
  )
  setDefaultCACertificates([cert])
  t.equal(await fetchText(`https://${NAME}:${port}/cat`), 'a cat')
  t.strictSame(seen, [{ host: `${NAME}:${port}`, servername: NAME }], 'the name is told, the address is dialled')
  t.match(await fetchText(`https://other.example:${port}/cat`), /ERR_TLS_CERT_ALTNAME_INVALID/)
  t.equal(await fetchText(`http://${NAME}:${plain}/`), 'a cat', 'from http to https')
  t.equal(
    await fetchText(`https://${NAME}:${port}/to/${encodeURIComponent(`http://${NAME}:${plain}/`)}`),
    `uri: ${NAME}:${port} redirects from https to http`
  )
})

t.test('an address of IPv6 is dialled as it stands', async (t) => {
  const port = await listen(
    t,
    createPlainServer((request, response) => response.end(request.headers.host)),
    '::1'
  ).catch(() => undefined)
  if (port === undefined) return t.pass('this machine has none')
  return t.equal(await fetchText(`http://[0:0::1]:${port}/`), `[::1]:${port}`)
})

import { once } from 'node:events'
import { copyFileSync, writeFileSync } from 'node:fs'
import { Agent, get, request, type RequestOptions } from 'node:https'
import { connect as connectPlainly, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { createLogger } from '../../src/log.ts'
import { startApp, text, world, type Running } from '../helpers/app.ts'
import { makeCertificates, type Certificate, type Certificates } from '../helpers/certificates.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { openSocket } from '../helpers/socket.ts'

const CALL = {
  method: 'POST',
  headers: { authorization: 'Bearer token-one', 'content-type': 'application/json' }
}
const REFUSED = { message: 'refused with 404' }
const ANYWHERE = { host: '127.0.0.1', doors: [] }

function tlsOf({ certFile, keyFile }: Certificate, others: object = {}): object {
  return { cert: certFile, key: keyFile, ...others }
}

/** What a client trusts and shows. */
interface ClientTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
}

interface Answer {
  readonly status: number
  readonly body: any
}

/** A call as bot 10001; rejects when there is no connection. */
async function call(url: string, tls: ClientTls = {}, path = '/get_login_info', params = {}): Promise<Answer> {
  const sent = request(`${url}${path}`, { ...CALL, ...tls, agent: new Agent() } as RequestOptions)
  sent.end(JSON.stringify(params))
  const [response] = await once(sent, 'response')
  return { status: response.statusCode, body: JSON.parse(await readAll(response)) }
}

async function getJson(url: string): Promise<Answer> {
  const response = await fetch(url, { headers: { connection: 'close' } })
  return { status: response.status, body: await response.json() }
}

/** What a stream of events says first; rejects when there is no connection. */
async function hear(t: Test, url: string, tls: ClientTls): Promise<string> {
  const options = { ...tls, agent: new Agent(), headers: { accept: 'text/event-stream' } }
  const sent = get(`${url}/event?access_token=token-two`, options as RequestOptions)
  t.teardown(() => sent.destroy())
  const [response] = await once(sent, 'response')
  const heard = once(response, 'data')
  await call(url, tls, '/send_group_message', { group_id: 100001, message: text('to the stream') })
  return String((await heard)[0])
}

async function shake(t: Test, url: string, tls: ConnectionOptions): Promise<TLSSocket> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), servername: 'localhost', ...tls })
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

const further = ({ lactea }: Running): string[] =>
  lactea
    .addresses()
    .map(({ url }) => url)
    .slice(1)

const asSocket = (url: string): string => url.replace(/^http/, 'ws')

/** The same three ways at whatever address: a call, a socket, a stream. */
async function servesAll(t: Test, url: string, tls: ClientTls): Promise<void> {
  t.match(await call(url, tls), { status: 200, body: { status: 'ok', data: { uin: 10001 } } })
  const socket = await openSocket(t, `${asSocket(url)}/?access_token=token-one`, tls)
  socket.send({ action: 'get_login_info' })
  t.match(await socket.next(), { self_id: 10001, data: { data: { uin: 10001 } } })
  t.match(await hear(t, url, tls), 'to the stream')
}

async function servesNobody(t: Test, url: string, tls: ClientTls, code = /./): Promise<void> {
  const says = { message: /./, code }
  await t.rejects(call(url, tls), says)
  await t.rejects(openSocket(t, `${asSocket(url)}/?access_token=token-one`, tls), says)
  await t.rejects(hear(t, url, tls), says)
}

t.test('TLS', async (t) => {
  const made = await makeCertificates(t)
  const { ca, server, otherHost, strange } = made
  const app = await startApp(t, {
    config: {
      server: {
        tls: tlsOf(server),
        listeners: [
          { port: 0, tls: tlsOf(server) },
          { port: 0, tls: tlsOf(otherHost) },
          { port: 0, tls: tlsOf(strange) },
          { port: 0 }
        ]
      }
    }
  })
  const [same = '', elsewhere = '', stranger = '', plain = ''] = further(app)
  const trusting = { ca: ca.cert }

  t.test('calls, sockets and streams work at the main address and at a further one', async (t) => {
    t.match(app.url, /^https:/)
    await servesAll(t, app.url, trusting)
    await servesAll(t, app.url.replace('127.0.0.1', 'localhost'), trusting)
    t.match(same, /^https:/)
    await servesAll(t, same, trusting)
    t.match(plain, /^http:/)
    t.match(await getJson(`${plain}/health`), { status: 200 })
  })

  t.test('a client that does not know the authority does not connect', async (t) => {
    await servesNobody(t, app.url, {}, /^UNABLE_TO_VERIFY|^SELF_SIGNED/)
    await servesNobody(t, app.url, { ca: made.strangeCa.cert }, /^UNABLE_TO_VERIFY|^SELF_SIGNED/)
    await servesNobody(t, stranger, trusting, /^UNABLE_TO_VERIFY|^SELF_SIGNED/)
  })

  t.test(
    'a client does not connect when the certificate names another host, unless it asks for that one',
    async (t) => {
      await servesNobody(t, elsewhere, trusting, /^ERR_TLS_CERT_ALTNAME_INVALID$/)
      await servesAll(t, elsewhere, { ...trusting, servername: 'elsewhere.example' })
    }
  )

  t.test('links are those of TLS', async (t) => {
    const link = app.lactea.gateway.links.absoluteLinkOf({ fileId: 1, name: 'a.png' })
    t.ok(link.startsWith(`${app.url}/`), link)
  })

  t.test('1.2 and 1.3 are spoken, and nothing before', async (t) => {
    const old = { ca: ca.cert, ciphers: 'DEFAULT@SECLEVEL=0' }
    for (const url of [app.url, same]) {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        const socket = await shake(t, url, { ...trusting, minVersion: version, maxVersion: version })
        t.equal(socket.getProtocol(), version)
      }
      for (const version of ['TLSv1', 'TLSv1.1'] as const)
        await t.rejects(shake(t, url, { ...old, minVersion: version, maxVersion: version }), {
          message: /./,
          code: /^ERR_SSL|ECONNRESET/
        })
    }
  })

  t.test('who speaks plain HTTP, or nonsense, is cut off and disturbs nobody', async (t) => {
    for (const url of [app.url, same]) {
      for (const words of [
        'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n',
        '\x16\x03\x01\xff\xffnonsense',
        '\0\0\0\0\0\0'
      ]) {
        const socket = connectPlainly(Number(new URL(url).port), '127.0.0.1')
        socket.on('error', () => {})
        socket.resume()
        socket.write(words)
        if (words.startsWith('\x16')) socket.end()
        await once(socket, 'close')
      }
      await servesAll(t, url, trusting)
    }
  })
})

t.test('client certificates', async (t) => {
  const made = await makeCertificates(t)
  const { ca, server, client, strangeClient, expired } = made
  const asked = (how: string): object => tlsOf(server, { ca: ca.certFile, client_cert: how })
  const app = await startApp(t, {
    config: {
      server: {
        tls: asked('require'),
        listeners: [
          { port: 0, tls: asked('require') },
          { port: 0, tls: asked('request') }
        ]
      }
    }
  })
  const [required = '', requested = ''] = further(app)
  const trusting = { ca: ca.cert }
  const show = ({ cert, key }: Certificate): ClientTls => ({ ...trusting, cert, key })

  t.test('where they are required nobody comes in without a good one', async (t) => {
    for (const url of [app.url, required]) {
      await servesAll(t, url, show(client))
      await servesNobody(t, url, trusting)
      await servesNobody(t, url, show(strangeClient))
      await servesNobody(t, url, show(expired))
      await servesAll(t, url, show(client))
    }
  })

  t.test('where they are only requested everybody comes in', async (t) => {
    for (const tls of [show(client), trusting, show(strangeClient)]) await servesAll(t, requested, tls)
  })
})

t.test('a further address', async (t) => {
  const app = await startApp(t, {
    config: {
      server: {
        listeners: [
          { port: 0 },
          { port: 0, doors: ['maim', 'ops'] },
          { port: 0, doors: ['im', 'pages'] },
          { port: 0, doors: ['milky'] }
        ]
      }
    }
  })
  const [all = '', brains = '', people = '', bots = ''] = further(app)

  t.test('serves the same gateway', async (t) => {
    const here = await openSocket(t, `${app.ws}/?access_token=token-two`)
    const there = await openSocket(t, `${asSocket(all)}/?access_token=token-two`)
    const body = JSON.stringify({ group_id: 100001, message: text('hello') })
    t.equal((await fetch(`${bots}/send_group_message`, { ...CALL, body })).status, 200)
    for (const socket of [here, there]) t.match(await socket.nextText(), /"self_id":10002.*"hello"/)
  })

  t.test('shows the doors that are open there and no other', async (t) => {
    const closed: [url: string, path: string, open: string][] = [
      [brains, '/chat', 'maim, ops'],
      [brains, '/api/contacts', 'maim, ops'],
      [people, '/event', 'im, pages'],
      [bots, '/chat', 'milky'],
      [bots, '/api/users/me', 'milky'],
      [bots, '/ws', 'milky']
    ]
    for (const [url, path, open] of closed) {
      const { status, body } = await getJson(`${url}${path}`)
      t.equal(status, 404, path)
      t.equal(body.message, `there is nothing at GET ${path} here; open at this address: ${open}`)
    }
    const body = '{"username":"alice","password":"alice-secret"}'
    for (const path of ['/get_login_info', '/api/get_login_info', '/api/auth/login']) {
      const answer = await fetch(`${brains}${path}`, { ...CALL, body })
      t.equal(answer.status, 404, path)
      t.match(await answer.json(), { retcode: -404, message: /open at this address: maim, ops$/ })
    }
    t.equal((await fetch(`${people}/get_login_info`, { ...CALL, body })).status, 404)
    t.equal((await fetch(`${people}/api/auth/login`, { ...CALL, body })).status, 200)
    t.equal((await fetch(`${people}/chat`)).status, 200)
    t.equal((await fetch(`${bots}/get_login_info`, { ...CALL, body: '{}' })).status, 200)
    t.equal((await fetch(`${app.url}/get_login_info`, { ...CALL, body: '{}' })).status, 200)
  })

  t.test('refuses sockets of the others in the handshake', async (t) => {
    const token = await app.signIn('alice', 'alice-secret')
    await t.rejects(openSocket(t, `${asSocket(brains)}/?access_token=token-one`), REFUSED)
    await t.rejects(openSocket(t, `${asSocket(people)}/?access_token=token-one`), REFUSED)
    await t.rejects(openSocket(t, `${asSocket(people)}/event?access_token=token-one`), REFUSED)
    await t.rejects(openSocket(t, `${asSocket(bots)}/ws?token=${token}`), REFUSED)
    await t.rejects(openSocket(t, `${asSocket(brains)}/im/ws?token=${token}`), REFUSED)
    await openSocket(t, `${asSocket(bots)}/event?access_token=token-one`)
    t.match(await (await openSocket(t, `${asSocket(people)}/ws?token=${token}`)).next(), { type: 'connect' })
  })

  t.test('says whether the gateway lives, and which doors there are', async (t) => {
    for (const url of [all, brains, people, bots]) {
      t.match(await getJson(`${url}/health`), { status: 200, body: { status: 'ok' } })
      t.match(await getJson(`${url}/ready`), { status: 200, body: { status: 'ready' } })
    }
    const named = async (url: string): Promise<string[]> =>
      (await getJson(`${url}/`)).body.doors.map((row: { door: string }) => row.door)
    t.ok((await named(all)).includes('POST /:api'))
    t.strictSame(await named(all), await named(app.url))
    t.ok((await named(bots)).includes('POST /:api'))
    t.notOk((await named(bots)).includes('GET /chat'))
    t.notOk((await named(people)).includes('POST /:api'))
    const page = await (await fetch(`${people}/`, { headers: { accept: 'text/html' } })).text()
    t.match(page, 'GET /chat')
    t.notMatch(page, 'POST /:api')
  })

  t.test('serves an offer of HTTP/2 as plain HTTP/1.1, and shows it no other doors either', async (t) => {
    const offer =
      'Host: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n'
    const ask = async (url: string, path: string): Promise<string> => {
      const socket = connectPlainly(Number(new URL(url).port), '127.0.0.1')
      t.teardown(() => socket.destroy())
      socket.write(`GET ${path} HTTP/1.1\r\n${offer}\r\n`)
      return String((await once(socket, 'data'))[0])
    }
    t.match(await ask(people, '/chat'), /^HTTP\/1\.1 200 /)
    t.match(await ask(people, '/event'), /^HTTP\/1\.1 404 /)
  })

  t.test('answers nonsense as the main address does', async (t) => {
    const answers = [app.url, all, brains].map(async (url) => {
      const socket = connectPlainly(Number(new URL(url).port), '127.0.0.1')
      socket.end('no HTTP at all\r\n\r\n')
      return readAll(socket)
    })
    const [main = '', ...others] = await Promise.all(answers)
    t.match(main, /^HTTP\/1\.1 400 /)
    t.strictSame(others, [main, main])
  })
})

t.test('closing closes all addresses, says goodbye to sockets and answers what is under way', async (t) => {
  const made = await makeCertificates(t)
  const app = await startApp(t, {
    config: {
      server: { listeners: [{ port: 0 }, { port: 0, tls: tlsOf(made.server) }, { port: 0, doors: ['milky'] }] }
    }
  })
  const urls = further(app)
  const tls = { ca: made.ca.cert }
  const sockets = await Promise.all(urls.map((url) => openSocket(t, `${asSocket(url)}/?access_token=token-one`, tls)))
  // Kept open for later by its agent, as browsers do.
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const idle = get(`${urls[1]}/health`, { ...tls, agent })
  await readAll((await once(idle, 'response'))[0])
  const slow = connectPlainly(Number(new URL(urls[2] ?? '').port), '127.0.0.1')
  slow.write(
    'POST /get_login_info HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer token-one\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{'
  )
  t.match(await getJson(`${urls[2]}/health`), { status: 200 })

  const closed = app.lactea.app.close()
  for (const socket of sockets) t.match(await socket.closed, { code: 1001 })
  slow.write('}')
  t.match(await readAll(slow), /^HTTP\/1\.1 200 /)
  await closed
  for (const url of [app.url, ...urls]) await t.rejects(shakeHands(url), { message: /./, code: 'ECONNREFUSED' }, url)
})

async function shakeHands(url: string): Promise<void> {
  const socket = connectPlainly(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.destroy()
}

t.test('localhost is open at each of its addresses', async (t) => {
  const made = await makeCertificates(t)
  const app = await startApp(t, {
    config: { server: { listeners: [{ host: 'localhost', port: 0, doors: ['milky'], tls: tlsOf(made.server) }] } }
  })
  const [url = ''] = further(app)
  t.match(url, /^https:\/\/localhost:\d+$/)
  const { port } = new URL(url)
  for (const host of ['127.0.0.1', ...((await hasIpv6()) ? ['[::1]'] : [])]) {
    t.match(await call(`https://${host}:${port}`, { ca: made.ca.cert }), { status: 200 })
    const socket = await openSocket(t, `wss://${host}:${port}/?access_token=token-one`, { ca: made.ca.cert })
    socket.socket.close()
    t.match(
      await call(`https://${host}:${port}`, { ca: made.ca.cert }, '/api/auth/login'),
      { status: 404 },
      'the choice of doors counts there too'
    )
  }
})

async function hasIpv6(): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(0, '::1'), 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

t.test('renewed certificates are shown to whoever connects from then on', async (t) => {
  const made = await makeCertificates(t)
  const { dir, ca, server, renewed } = made
  const files = { cert: join(dir, 'live.crt'), key: join(dir, 'live.key') }
  const place = (what: Certificate): void => {
    copyFileSync(what.certFile, files.cert)
    copyFileSync(what.keyFile, files.key)
  }
  place(server)
  const app = await startApp(t, {
    config: { server: { tls: files, listeners: [{ port: 0, tls: files }, { port: 0 }] } }
  })
  const [other = ''] = further(app)
  const shown = async (url: string): Promise<string> => {
    const socket = await shake(t, url, { ca: ca.cert })
    return socket.getPeerX509Certificate()?.toString() ?? ''
  }
  const open = await openSocket(t, `${app.ws}/?access_token=token-one`, { ca: ca.cert })
  const before = await shown(app.url)
  t.equal(before.trim(), server.cert.trim())

  t.test('not when they are wrong: the old ones stay, everywhere', async (t) => {
    place(renewed)
    writeFileSync(files.key, server.key)
    t.throws(() => app.lactea.renewCertificates(), { message: /^server\.tls\.key: does not belong to the certificate/ })
    t.equal(await shown(app.url), before)
    t.equal(await shown(other), before)
  })

  t.test('at all addresses, and open sockets stay open', async (t) => {
    place(renewed)
    t.equal(app.lactea.renewCertificates(), true)
    for (const url of [app.url, other]) t.equal((await shown(url)).trim(), renewed.cert.trim())
    open.send({ action: 'get_login_info' })
    t.match(await open.next(), { self_id: 10001 })
  })

  t.test('without TLS there is nothing to renew', async (t) => {
    const plain = await startApp(t)
    t.equal(plain.lactea.renewCertificates(), false)
  })
})

t.test('a start that cannot be is refused with a sentence that names the address', async (t) => {
  const log = createLogger('silent')
  const build = (t: Test, server: object, bots: object[] = world.bots) => {
    const cwd = makeDirectory(t, { bots, server: { port: 0, ...server } })
    return buildApp(loadConfig({ cwd, env: {}, argv: { dataDir: join(cwd, 'data') } }).config, log)
  }
  const refusesToListen = async (t: Test, server: object, says: RegExp): Promise<void> => {
    const { app, listen } = await build(t, server)
    await t.rejects(listen(), { message: says })
    await app.close()
  }
  const taken = createServer()
  t.teardown(() => taken.close())
  await once(taken.listen(0, '127.0.0.1'), 'listening')
  const { port } = taken.address() as AddressInfo

  t.test('a port that is in use', async (t) => {
    const sentence = `^server\\.listeners\\[1\\]: 127\\.0\\.0\\.1:${port} is in use by another program.+in server\\.listeners\\[1\\]\\.port$`
    await refusesToListen(t, { listeners: [{ port: 0 }, { port }] }, new RegExp(sentence))
    await refusesToListen(t, { port }, new RegExp(`^127\\.0\\.0\\.1:${port} is in use.+ with --port$`))
  })

  t.test('an address of another machine', async (t) => {
    const sentence =
      /^server\.listeners\[0\]: 192\.0\.2\.1:0 is no address of this machine.+in server\.listeners\[0\]\.host$/
    await refusesToListen(t, { listeners: [{ ...ANYWHERE, host: '192.0.2.1', port: 0 }] }, sentence)
  })

  t.test('files of TLS', async (t) => {
    const made: Certificates = await makeCertificates(t)
    await t.rejects(build(t, { tls: tlsOf(made.expired) }), { message: /^server\.tls\.cert: .+ expired on/ })
    const listeners = [{ port: 0 }, { port: 0, tls: { cert: made.server.certFile, key: '/nowhere' } }]
    await t.rejects(build(t, { listeners }), {
      message: /^server\.listeners\[1\]\.tls\.key: cannot read the file "\/nowhere" \(ENOENT\)$/
    })
  })

  t.test('a bot without a token where others reach the doors of bots', async (t) => {
    const bots = [{ id: 10001 }]
    for (const doors of [[], ['milky'], ['im', 'milky']]) {
      const listeners = [{ port: 0 }, { host: '0.0.0.0', port: 0, doors }]
      await t.rejects(build(t, { listeners }, bots), { message: /^bot 10001 has no access token, so 0\.0\.0\.0 would/ })
    }
    const { app } = await build(t, { listeners: [{ host: '0.0.0.0', port: 0, doors: ['maim', 'im'] }] }, bots)
    await app.close()
  })
})

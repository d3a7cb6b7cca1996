import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocketServer } from 'ws'
import { stringify } from 'yaml'
import { examine, type Diagnosis, type DoctorOptions } from '../../src/cli/doctor.ts'
import { loadConfig } from '../../src/config.ts'
import { startBotServer } from '../helpers/bot-server.ts'
import { makeCertificates } from '../helpers/certificates.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { runLactea, startService } from '../helpers/service.ts'

async function listen(t: Test, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const serve = (t: Test, answer: RequestListener): Promise<string> => listen(t, createServer(answer))
const answering = (t: Test, status: number, headers: Record<string, string> = {}): Promise<string> =>
  serve(t, (_request, response) => void response.writeHead(status, headers).end())
const servingTls = (t: Test, options: ServerOptions): Promise<string> =>
  listen(
    t,
    createTlsServer(options, (_request, response) => void response.writeHead(204).end())
  )

/** Port on which nothing listens, at least a moment ago. */
async function findClosedPort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

interface Targets {
  readonly webhooks?: readonly object[]
  readonly reverse_ws?: readonly object[]
  readonly maim?: readonly object[]
}

/** What the doctor says of a bot's targets. */
async function diagnose(t: Test, targets: Targets, options: DoctorOptions = {}): Promise<Diagnosis[]> {
  const dir = makeDirectory(t)
  const file = join(dir, 'lactea.yaml')
  const bots = [{ id: 10001, access_token: 'token-one', ...targets }]
  writeFileSync(file, stringify({ server: { port: 0 }, data: { dir: join(dir, 'data') }, bots }))
  const { config } = loadConfig({ file, env: {}, cwd: dir })
  const all = await examine(config, { env: {}, isContainer: false, ...options })
  return all.filter(({ words }) => words.includes('of bot 10001'))
}

async function diagnoseOne(t: Test, targets: Targets, options?: DoctorOptions): Promise<Diagnosis> {
  const [found] = await diagnose(t, targets, options)
  if (!found) throw new Error('nothing was found')
  return found
}

void t.test('webhooks', async (t) => {
  const asked: string[] = []
  const good = await serve(t, (request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`)
    response.writeHead(204).end()
  })
  const examples: [name: string, url: string, state: Diagnosis['state'], words: RegExp][] = [
    ['one that answers', `http://${good}/hook`, 'ok', /answers$/],
    [
      'a framework that knows no OPTIONS',
      `http://${await answering(t, 405, { allow: 'POST' })}/hook`,
      'ok',
      /answers$/
    ],
    ['a page', `http://${await answering(t, 405, { allow: 'GET, HEAD' })}/hook`, 'failure', /takes no POST/],
    ['nothing listens', `http://127.0.0.1:${await findClosedPort()}/`, 'failure', /ECONNREFUSED.+nothing listens at/],
    [
      'no such name',
      'http://nowhere.invalid/',
      'failure',
      /there is no machine of the name nowhere\.invalid|names cannot be looked up now/
    ],
    ['a wrong token', `http://${await answering(t, 401)}/`, 'failure', /does not know the access_token/],
    ['a wrong path', `http://${await answering(t, 404)}/hook`, 'failure', /nothing takes events at \/hook.+\/milky\//],
    ['OneBot of NoneBot', `http://${await answering(t, 404)}/onebot/v11/http`, 'failure', /NoneBot takes OneBot/],
    ['OneBot of Koishi', `http://${await answering(t, 404)}/onebot`, 'failure', /Koishi takes OneBot/],
    ['a WebSocket', `http://${await answering(t, 426)}/`, 'failure', /put it under reverse_ws/],
    [
      'a redirect',
      `http://${await answering(t, 308, { location: 'https://elsewhere.invalid/?token=x' })}/`,
      'failure',
      /308 \(to https:\/\/elsewhere\.invalid\/\): it points elsewhere/
    ],
    [
      'a proxy with nothing behind it',
      `http://${await answering(t, 502)}/`,
      'failure',
      /the program behind it does not/
    ],
    ['TLS where there is none', `https://${good}/`, 'failure', /speaks no TLS: write http:/]
  ]
  for (const [name, url, state, words] of examples) {
    const found = await diagnoseOne(t, { webhooks: [{ url, access_token: 'secret-of-hook' }] })
    t.match(found, { state, words }, name)
    t.notMatch(found.words, /secret-of-hook|token=x/, name)
  }
  t.strictSame(asked, ['OPTIONS /hook Bearer secret-of-hook'], 'it is asked once, and without effect')
})

void t.test('a webhook that says nothing', async (t) => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
  })
  const mute = await listen(t, server)
  const found = await diagnoseOne(t, { webhooks: [{ url: `http://${mute}/` }] }, { timeoutMs: 200 })
  t.match(found, { state: 'failure', words: /does not answer: a firewall may swallow it/ })
})

void t.test('TLS', async (t) => {
  const { server, expired } = await makeCertificates(t)
  const own = await servingTls(t, { cert: server.cert, key: server.key })
  const old = await servingTls(t, { cert: expired.cert, key: expired.key })
  t.match(await diagnoseOne(t, { webhooks: [{ url: `http://${own}/` }] }), {
    words: /perhaps it speaks TLS, then write https/
  })
  t.match(await diagnoseOne(t, { webhooks: [{ url: `https://${own}/` }] }), {
    words: /nobody here vouches.+NODE_EXTRA_CA_CERTS/
  })
  t.match(await diagnoseOne(t, { maim: [{ url: `wss://${own}/ws`, mode: 'legacy' }] }), {
    words: /name its authority in tls\.ca/
  })
  t.match(await diagnoseOne(t, { maim: [{ url: `wss://${old}/ws`, mode: 'legacy' }] }), { state: 'failure' })
  t.match(await diagnoseOne(t, { maim: [{ url: `wss://${own}/ws`, mode: 'legacy', tls: { ca: '/nowhere.crt' } }] }), {
    state: 'failure',
    words: /tls\.ca: cannot read the file/
  })
})

void t.test('reverse WebSockets', async (t) => {
  const bot = await startBotServer(t)
  t.match(await diagnoseOne(t, { reverse_ws: [{ url: bot.url, access_token: 'secret' }] }), { state: 'ok' })
  const { request, closed } = await bot.next()
  t.match(request.url, /access_token=secret/)
  t.match(await closed, { code: 1000, reason: 'lactea doctor' })
  const examples: [status: number, words: RegExp][] = [
    [401, /does not know the access_token/],
    [403, /lets nobody in/],
    [404, /no WebSocket is served at/],
    [405, /perhaps it is a webhook/],
    [302, /it points elsewhere/],
    [503, /the program behind it does not/]
  ]
  for (const [status, words] of examples) {
    bot.refuse(status)
    t.match(await diagnoseOne(t, { reverse_ws: [{ url: bot.url }] }), { state: 'failure', words })
  }
  const page = (await answering(t, 200)).replace(/^/, 'ws://')
  t.match(await diagnoseOne(t, { reverse_ws: [{ url: `${page}/x` }] }), { words: /a web page answers at \/x/ })
})

void t.test('links to brains', async (t) => {
  const core = await startBotServer(t)
  t.match(await diagnoseOne(t, { maim: [{ url: `${core.url}/ws`, mode: 'legacy', token: 'secret' }] }), { state: 'ok' })
  const { headers } = (await core.next()).request
  t.match(headers, { platform: 'lactea_doctor', authorization: 'secret' })
  core.refuse(403)
  t.match(await diagnoseOne(t, { maim: [{ url: core.url, mode: 'legacy' }] }), { words: /is the path right\?.+\/ws/ })
  core.refuse(404)
  t.match(await diagnoseOne(t, { maim: [{ url: `${core.url}/ws`, mode: 'legacy' }] }), {
    words: /no maim_message server/
  })

  const server = createServer()
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => socket.close(1008, 'no'))
  const url = `ws://${await listen(t, server)}/ws`
  t.match(await diagnoseOne(t, { maim: [{ url, mode: 'api-server', api_key: 'secret' }] }), {
    state: 'failure',
    words: /closed by the other side at once: 1008 no: the other side does not know the api_key/
  })
})

void t.test('a container that dials itself', async (t) => {
  const url = `http://127.0.0.1:${await findClosedPort()}/`
  const found = await diagnoseOne(t, { webhooks: [{ url }] }, { isContainer: true })
  t.match(found, { state: 'failure', words: /is this container itself: name the service/ })
  const bot = await startBotServer(t)
  const inside = await diagnose(t, { reverse_ws: [{ url: bot.url }] }, { isContainer: true })
  t.match(inside, [{ state: 'ok' }, { state: 'warning', words: /container itself/ }])
})

void t.test('the command', async (t) => {
  t.test('says that all is well beside a running gateway, and exits 0', async (t) => {
    const cwd = makeDirectory(t, { bots: [{ id: 10001, access_token: 'token-one' }] })
    const { url } = await startService(t, cwd)
    const { code, stdout } = await runLactea(['doctor'], { cwd })
    t.equal(code, 0)
    t.match(stdout, /ok {3}database: sound/)
    t.match(stdout, /all is well|to look at/)
    const { port } = new URL(url)
    writeFileSync(join(cwd, 'other.yaml'), stringify({ server: { port: Number(port) } }))
    t.match(
      (await runLactea(['doctor', '--config', 'other.yaml'], { cwd })).stdout,
      /a gateway runs there and is ready/
    )
  })

  t.test('says what fails, and exits 1', async (t) => {
    const taken = (await answering(t, 200)).split(':')[1]
    const hook = `http://127.0.0.1:${await findClosedPort()}/`
    const bots = [{ id: 10001, webhooks: [{ url: hook }] }]
    const cwd = makeDirectory(t, { server: { port: Number(taken) }, bots })
    const dir = join(cwd, 'data')
    mkdirSync(dir)
    chmodSync(dir, 0o755)
    writeFileSync(join(dir, 'lactea.db'), 'this is no database, but long enough to look like one '.repeat(40))
    const { code, stdout } = await runLactea(['doctor'], { cwd })
    t.equal(code, 1)
    t.match(stdout, /FAIL webhook of bot 10001, .+ECONNREFUSED/)
    t.match(stdout, /FAIL address .+another program answers there/)
    t.match(stdout, /FAIL database .+not a database/)
    t.match(stdout, /WARN data directory .+mode 755.+chmod 700/)
    t.match(stdout, /3 to correct/)
  })

  t.test('a configuration that cannot be read is told as by check-config', async (t) => {
    const cwd = makeDirectory(t, { server: { prot: 1 } })
    t.match(await runLactea(['doctor'], { cwd }), {
      code: 1,
      stderr: /lactea\.yaml:2: server\.prot is not a known key/
    })
  })
})

import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import { inspect } from 'node:util'
import type { Test } from 'tap'
import { WebSocketServer } from 'ws'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config.ts'
import { createOperators } from '../../src/operators.ts'
import { startApp, text, world } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { DOOR_TABLE, knock, WAYS } from '../helpers/doors.ts'
import { createIssuerKey } from '../helpers/issuer.ts'
import { runLactea } from '../helpers/service.ts'
import { openSocket } from '../helpers/socket.ts'
import { startWebhook } from '../helpers/webhook.ts'
import { fault } from './lab/fault.ts'

/** In every secret. */
const CANARY = 'cAnAry'
/** In what people say, which is no business of the log. */
const PRIVATE = 'pRiVaTe'
const SIGNING_KEY = Buffer.from(`${CANARY} of at least 24 bytes`).toString('base64')

async function listen(t: Test, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

fault({
  number: 33,
  title: 'secrets in what the gateway writes and answers',
  mark: 'Secrets in logs, traces, metrics, errors, core config dump, console: canary tokens in header, query, body, URL userinfo at trace level: 0 occurrences',
  async run({ t, figure }) {
    const secrets = [CANARY, SIGNING_KEY, SIGNING_KEY.slice(0, 12)]
    const heard = [
      ...(await useEverything(t, secrets)),
      ...(await dumpConfiguration(t)),
      ...(await askCommands(t)),
      ...(await crash(t))
    ]
    figure('lines and answers looked at', heard.length, { atLeast: 500 })
    const bytes = [...Buffer.from(CANARY)].join(',')
    const forms = [...secrets, bytes, Buffer.from(CANARY).toString('hex'), Buffer.from(`:${CANARY}`).toString('base64')]
    const found = heard.flatMap(([where, said]) => {
      const secret = (where === 'log' ? [...forms, PRIVATE] : forms).find((form) => said.includes(form))
      return secret === undefined ? [] : [`${where}: ${secret.slice(0, 20)} in ${said.slice(0, 500)}`]
    })
    for (const place of found.slice(0, 10)) t.comment(place)
    figure('occurrences', found.length, { is: 0 })
  }
})

/** What was written or answered, and where. */
type Heard = [where: string, said: string]

/** A configuration in which everything that can be a secret is one. */
function everySecret(hosts: { hook: string; refusing: string; open: string }) {
  const { hook, refusing, open } = hosts
  const target = { access_token: `${CANARY}-webhook-token`, secret: `whsec_${SIGNING_KEY}` }
  const reverse = { access_token: `${CANARY}-reverse-token` }
  return {
    bots: [
      { ...world.bots[0], access_token: `${CANARY}-bot-token` },
      {
        ...world.bots[1],
        access_token: `${CANARY}-other-token`,
        webhooks: [
          { url: `http://user:${CANARY}-userinfo@${hook}?token=${CANARY}-hook-query`, ...target },
          { url: `http://user:${CANARY}-userinfo@127.0.0.1:1/down?api_key=${CANARY}-hook-query`, ...target }
        ],
        reverse_ws: [
          { url: `ws://${open}/?token=${CANARY}-reverse-query`, ...reverse },
          { url: `ws://user:${CANARY}-userinfo@${refusing}/?token=${CANARY}-reverse-query`, ...reverse },
          { url: `ws://127.0.0.1:1/?access_token=${CANARY}-reverse-query`, ...reverse }
        ],
        maim: [
          { url: `ws://${refusing}/ws?k=${CANARY}-link-query`, mode: 'legacy', token: `${CANARY}-link-token` },
          { url: `ws://u:${CANARY}-userinfo@${refusing}/ws`, mode: 'api-server', api_key: `${CANARY}-link-key` }
        ]
      }
    ],
    im: {
      jwt_secret: `${CANARY}-jwt-secret-of-many-characters`,
      jwks_url: `http://user:${CANARY}-userinfo@127.0.0.1:1/jwks?key=${CANARY}-jwks-query`,
      ice_servers: [{ urls: ['turn:turn.example.org'], secret: `${CANARY}-turn-secret` }]
    },
    maim: { keys: [{ api_key: `${CANARY}-maim-key`, account: 10001 }], legacy_tokens: [`${CANARY}-legacy-token`] },
    provision: {
      ...world.provision,
      accounts: [{ ...world.provision.accounts[0], password: `${CANARY}-password` }]
    },
    limits: { milky_frame: 2000, sign_in_rate: 1000, login_rate: 1000, login_failures: 1000, upgrade_rate: 10_000 },
    server: { metrics_token: `${CANARY}-metrics-token` }
  }
}

/** Every door and every road out, in success and in failure, at the level that tells most. */
async function useEverything(t: Test, secrets: string[]): Promise<Heard[]> {
  const heard: Heard[] = []
  const hear = async (where: string, response: Response): Promise<void> => {
    heard.push([where, inspect([...response.headers])], [where, await response.text()])
  }
  const hook = await startWebhook(t)
  let failures = 1
  hook.answer((_delivered, response) => {
    response.writeHead(failures-- > 0 ? 500 : 200, { 'x-echo': `${CANARY}-answer` })
    response.end(
      JSON.stringify({ token: `${CANARY}-answer`, actions: [{ action: 'nope', params: { token: CANARY } }] })
    )
  })
  const refusing = createServer()
  refusing.on('upgrade', (_request, stream) => stream.end('HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n'))
  const refusingHost = await listen(t, refusing)
  const open = createServer()
  const accepting = new WebSocketServer({ server: open })
  const openHost = await listen(t, open)
  t.teardown(() => {
    for (const socket of accepting.clients) socket.terminate()
  })
  const dialled = once(accepting, 'connection')
  const password = `${CANARY}-password`
  const config = everySecret({ hook: hook.url.replace('http://', ''), refusing: refusingHost, open: openHost })
  const app = await startApp(t, { config, logLevel: 'trace' })

  await t.test('at the doors of bots', async (t) => {
    const bearer = { authorization: `Bearer ${CANARY}-bot-token`, 'content-type': 'application/json' }
    const headers: Record<string, string>[] = [
      bearer,
      { ...bearer, authorization: `Bearer ${CANARY}-wrong` },
      { ...bearer, authorization: `Basic ${CANARY}wrong` },
      { ...bearer, 'x-apikey': `${CANARY}-key`, cookie: `token=${CANARY}-cookie` },
      { ...bearer, 'content-type': `text/${CANARY}` }
    ]
    const bodies = [
      '{}',
      `{"access_token":"${CANARY}-body"`,
      `{"user_id":"${CANARY}-body","token":"${CANARY}"}`,
      `{"user_id":10011,"message":[{"type":"text","data":{"text":"my password is ${PRIVATE}"}}]}`
    ]
    for (const api of ['get_login_info', 'send_private_message', 'no_such_api']) {
      for (const header of headers) {
        for (const body of bodies) {
          const query = `access_token=${CANARY}-query&api_key=${CANARY}-query`
          await hear(
            `POST /${api}`,
            await fetch(`${app.url}/${api}?${query}`, { method: 'POST', headers: header, body })
          )
        }
      }
    }
    for (const token of [`${CANARY}-wrong`, `${CANARY}%2dwrong`]) {
      await t.rejects(openSocket(t, `${app.ws}/?access_token=${token}`))
      await t.rejects(openSocket(t, `${app.ws}/nothing?access_token=${token}`))
    }
    const bot = await openSocket(t, `${app.ws}/?access_token=${CANARY}-bot-token`)
    for (const frame of [`{"token":"${CANARY}-frame"`, `{"action":"${CANARY}-action","echo":"${CANARY}-echo"}`]) {
      bot.send(frame)
      await bot.next()
    }
    bot.send(`"${CANARY}"`.padEnd(3000))
    t.equal((await bot.closed).code, 1009)
  })

  await t.test('at the doors of people', async (t) => {
    const login = async (body: string): Promise<any> => {
      const headers = { 'content-type': 'application/json' }
      return (await fetch(`${app.url}/api/auth/login`, { method: 'POST', headers, body })).json()
    }
    await login(JSON.stringify({ username: 'alice', password: `${CANARY}-wrong` }))
    await login(`{"username":"alice","password":"${CANARY}-broken`)
    const { token, refresh_token } = await login(JSON.stringify({ username: 'alice', password }))
    t.type(token, 'string')
    secrets.push(token.split('.')[2], token)
    if (refresh_token) secrets.push(refresh_token.split('.')[2], refresh_token)
    for (const body of [{ refresh_token }, { refresh_token: `${CANARY}-refresh` }]) {
      const response = await fetch(`${app.url}/api/auth/refresh`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify(body)
      })
      if (!response.ok) await hear('refresh', response)
    }
    const form = new FormData()
    form.set('file', new Blob([PRIVATE]), 'x.bin')
    const headers = { authorization: `Bearer ${token}` }
    const uploaded = await fetch(`${app.url}/api/files/upload`, { method: 'POST', headers, body: form })
    const { file_url } = (await uploaded.json()) as { file_url: string }
    const signature = new URL(file_url, app.url).searchParams.get('sig')
    if (signature === null) return t.fail('a link has a signature')
    secrets.push(signature)
    for (const path of [file_url, file_url.replace('exp=', 'exp=1'), `/api/files/1?sig=${CANARY}-sig`])
      await hear('a link', await fetch(`${app.url}${path}`))
    const good = await openSocket(t, `${app.ws}/ws?token=${token}`)
    good.send(`{"type":"message.send","payload":{"token":"${CANARY}-frame"}}`)
    await good.next()
    const wrong = await openSocket(t, `${app.ws}/ws?token=${CANARY}-jwt`).catch(() => undefined)
    await wrong?.closed
  })

  await t.test('with a request that cannot be read', async () => {
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1')
    socket.on('error', () => {})
    socket.on('data', (chunk) => heard.push(['an unreadable request', String(chunk)]))
    socket.write(
      `POST /x?access_token=${CANARY}-raw HTTP/1.1\r\nAuthorization: Bearer ${CANARY}-raw\r\nbad header\r\n\r\n`
    )
    await once(socket, 'close')
  })

  await t.test('towards webhooks and reverse sockets', async () => {
    const [reverseBot] = await dialled
    reverseBot.on('error', () => {})
    const headers = { authorization: `Bearer ${CANARY}-bot-token`, 'content-type': 'application/json' }
    const body = JSON.stringify({ group_id: 100001, message: text(PRIVATE) })
    await fetch(`${app.url}/send_group_message`, { method: 'POST', headers, body })
    await hook.next()
    await app.logged('answered 500')
    // What failed waits; another chat does not wait for it.
    const direct = JSON.stringify({ user_id: 10002, message: text(PRIVATE) })
    await fetch(`${app.url}/send_private_message`, { method: 'POST', headers, body: direct })
    await hook.next()
    await app.logged('an action in the answer')
    await app.logged('ECONNREFUSED')
    await app.logged('401')
    reverseBot.close(1008, `${CANARY}`.slice(0, 3))
    await app.logged('1008')
  })

  await t.test('at every door, in every way to show something', async () => {
    const good = ['bot-token', 'maim-key', 'legacy-token', 'metrics-token', 'wrong'].map((name) => `${CANARY}-${name}`)
    for (const door of Object.values(DOOR_TABLE)) {
      for (const way of Object.values(WAYS)) {
        for (const token of good) await knock(app, door, way(token), (said) => heard.push([door.path, said]))
      }
    }
    const { alg, privateKey } = await createIssuerKey('RS256')
    const { SignJWT } = await import('jose')
    const foreign = await new SignJWT({ iss: 'x', sub: 'y', exp: 4e9, name: CANARY })
      .setProtectedHeader({ alg })
      .sign(privateKey)
    secrets.push(foreign.split('.')[2] ?? '')
    await hear(
      'a foreign token',
      await fetch(`${app.url}/api/users/me`, { headers: { authorization: `Bearer ${foreign}` } })
    )
    await app.logged('foreign issuer')
  })

  await t.test('for operators', async (t) => {
    const { store, now } = app.lactea.gateway
    const jwtSecret = `${CANARY}-jwt-secret-of-many-characters`
    const options = { store, secret: jwtSecret, maxEntries: () => 1000, now, onError: () => {} }
    const { token } = await createOperators(options).addToken('a script')
    const { key } = await createOperators(options).addKey('another')
    secrets.push(token, key)
    const headers = { authorization: `Bearer ${token}` }
    for (const path of ['overview', 'audit', 'webhooks', 'bots', 'users', 'sessions', 'nothing']) {
      await hear(path, await fetch(`${app.url}/api/admin/${path}?token=${CANARY}-query`, { headers }))
    }
    const post = (path: string, body: object) =>
      fetch(`${app.url}/api/admin/${path}`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(body)
      })
    await hear(
      'setup',
      await post('setup', { setup_code: `${CANARY}-code`, username: 'root', password: `${CANARY}-root` })
    )
    const changed = await post('users/10011/password', { password: `${CANARY}-changed` })
    t.equal(changed.status, 200)
    await hear('a password', changed)
    await hear('what the audit says of it', await fetch(`${app.url}/api/admin/audit`, { headers }))
    for (const path of ['/', '/health', '/ready', '/chat', '/console'])
      await hear(
        path,
        await fetch(`${app.url}${path}?token=${CANARY}-query`, { headers: { cookie: `token=${CANARY}` } })
      )
    const bearer = { authorization: `Bearer ${CANARY}-metrics-token` }
    await hear('metrics', await fetch(`${app.url}/metrics`, { headers: bearer }))
  })

  await app.lactea.app.close()
  return [...heard, ...app.lines.map((line): Heard => ['log', line])]
}

/** What somebody may write into the log by mistake. */
async function dumpConfiguration(t: Test): Promise<Heard[]> {
  const dir = makeDirectory(t)
  const file = join(dir, 'lactea.yaml')
  writeFileSync(file, stringify(everySecret({ hook: 'a.example/', refusing: 'b.example', open: 'c.example' })))
  const { config } = loadConfig({ file, env: {}, cwd: dir })
  const app = await startApp(t, { config: { ...config }, logLevel: 'trace' })
  const { log } = app.lactea.gateway
  const cause = Object.assign(new Error(inspect(config, { depth: 9 })), { config, given: readFileSync(file, 'utf8') })
  log.fatal({ err: new Error(`failed: ${JSON.stringify(config)}`, { cause }) }, inspect(config.bots))
  log.error({ config, again: JSON.stringify(JSON.stringify(config)) }, readFileSync(file, 'utf8'))
  log.child({ config: config.bots }).info(inspect(app.lactea.app, { depth: 4 }))
  await app.lactea.app.close()
  return app.lines.map((line): Heard => ['a dump of the configuration', line])
}

/** What the command line says of a configuration, good or bad. */
async function askCommands(t: Test): Promise<Heard[]> {
  const dir = makeDirectory(t)
  const good = everySecret({ hook: '127.0.0.1:1/', refusing: '127.0.0.1:1', open: '127.0.0.1:1' })
  const bad = [
    { bots: [{ id: 10001, acces_token: `${CANARY}-1`, access_token: [`${CANARY}-2`] }] },
    { bots: [{ id: 10001, webhooks: [{ url: `htp://user:${CANARY}@x/`, secret: `${CANARY}-3` }] }] },
    { bots: [{ id: 10001, maim: [{ url: `ws://x/?token=${CANARY}`, mode: 'legacy', api_key: `${CANARY} 4` }] }] },
    { im: { jwt_secret: { of: `${CANARY}-5` } }, server: { metrics_token: `${CANARY} 7` } }
  ]
  const heard: Heard[] = []
  const run = async (...args: readonly string[]): Promise<void> => {
    const { stdout, stderr } = await runLactea(args, { cwd: dir })
    for (const line of `${stdout}\n${stderr}`.split('\n')) heard.push([args.join(' '), line])
  }
  for (const [index, config] of [good, ...bad].entries()) {
    writeFileSync(join(dir, 'lactea.yaml'), stringify(config))
    await run('check-config')
    if (index === 0) await run('doctor')
  }
  return heard
}

/** A gateway in a process of its own that meets an error which nobody handles, and which holds all that it knows. */
async function crash(t: Test): Promise<Heard[]> {
  const dir = makeDirectory(t)
  const config = everySecret({ hook: 'a.example/', refusing: 'b.example', open: 'c.example' })
  // Of two that are given, the one in the file is never read into the configuration.
  const im = { ...config.im, jwt_secret: undefined }
  writeFileSync(join(dir, 'lactea.yaml'), stringify({ ...config, im, data: { dir: join(dir, 'data') } }))
  const bomb = `import { readFileSync } from 'node:fs'
    process.once('SIGUSR2', () => {
      process.report.writeReport('report.json')
      const file = readFileSync('lactea.yaml', 'utf8')
      throw Object.assign(new Error(file, { cause: process.env }), { file, env: process.env, title: process.title })
    })`
  const main = resolve(import.meta.dirname, '../../src/main.js')
  const load = `data:text/javascript,${encodeURIComponent(bomb)}`
  const { PATH, HOME } = process.env
  const env = { PATH, HOME, JWT_SECRET: `${CANARY}-jwt-secret-of-the-environment` }
  const args = ['--import', load, main, 'start', '--port', '0']
  const child = spawn(process.execPath, args, { cwd: dir, env, stdio: 'pipe' })
  t.teardown(() => child.kill('SIGKILL'))
  const said = Promise.all([readAll(child.stderr), readAll(child.stdout)])
  await once(child.stdout, 'data')
  child.kill('SIGUSR2')
  await once(child, 'close')
  const [stderr, stdout] = await said
  t.match(stderr, 'an error that nobody handled')
  const report = readFileSync(join(dir, 'report.json'), 'utf8')
  return `${stderr}\n${stdout}\n${report}`.split('\n').map((line): Heard => ['a crash', line])
}

import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { text as readAll } from 'node:stream/consumers'
import t from 'tap'
import { startApp, text, world, type Running } from '../helpers/app.ts'
import { openSocket } from '../helpers/socket.ts'

interface Read {
  readonly status: number
  readonly type: string | undefined
  readonly text: string
}

async function read(url: string, headers: Record<string, string> = {}, path = '/metrics'): Promise<Read> {
  const sent = request(`${url}${path}`, { headers, agent: false })
  sent.end()
  const [response] = await once(sent, 'response')
  return { status: response.statusCode, type: response.headers['content-type'], text: await readAll(response) }
}

/** The value of one line. */
async function valueOf(app: Running, line: string): Promise<number | undefined> {
  const found = (await read(app.url)).text.split('\n').find((one) => one.startsWith(`${line} `))
  return found === undefined ? undefined : Number(found.slice(line.length))
}

async function until(app: Running, line: string, value: number): Promise<void> {
  while ((await valueOf(app, line)) !== value);
}

t.test('without a token of its own it is for programs on this machine, addressed as such', async (t) => {
  const app = await startApp(t)
  const { port } = new URL(app.url)
  for (const headers of [{}, { host: `localhost:${port}` }, { authorization: 'Bearer whatever' }])
    t.match(await read(app.url, headers), { status: 200, type: /^text\/plain; version=0\.0\.4/ })
  const strangers: Record<string, string>[] = [
    { host: 'chat.example.org' },
    { 'x-forwarded-for': '203.0.113.1' },
    { forwarded: 'for=203.0.113.1' }
  ]
  for (const headers of strangers) {
    const { status, text: body } = await read(app.url, headers)
    t.equal(status, 403)
    t.match(JSON.parse(body), { status: 'failed', retcode: -403, message: /server\.metrics_token/ })
  }
})

const outside = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)

t.test(
  'without a token it is not for others, whatever they say they call',
  { skip: !outside && 'this machine has no address but the loopback' },
  async (t) => {
    const app = await startApp(t, { config: { server: { listeners: [{ host: '0.0.0.0', port: 0 }] } } })
    const { port } = new URL(app.lactea.addresses()[1]?.url ?? '')
    const headers = { host: `localhost:${port}` }
    t.equal((await read(`http://${outside?.address}:${port}`, headers)).status, 403)
    t.equal((await read(`http://127.0.0.1:${port}`, headers)).status, 200)
  }
)

t.test('with a token it is for whoever shows it, from anywhere', async (t) => {
  const app = await startApp(t, { config: { server: { metrics_token: 'scrape-me' } } })
  const far = { host: 'chat.example.org', 'x-forwarded-for': '203.0.113.1' }
  for (const authorization of ['Bearer scrape-me', 'bearer scrape-me'])
    t.equal((await read(app.url, { ...far, authorization })).status, 200)
  for (const headers of [
    {},
    { authorization: 'Bearer scrape' },
    { authorization: 'scrape-me' },
    { authorization: 'Bearer ' }
  ])
    t.match(await read(app.url, headers as Record<string, string>), { status: 401, text: /"retcode":-401/ })
  t.equal((await read(app.url, {}, '/metrics?access_token=scrape-me')).status, 401)
})

t.test('who guesses is counted', async (t) => {
  const app = await startApp(t, { config: { server: { metrics_token: 'scrape-me' }, limits: { http_rate: 2 } } })
  const statuses = []
  for (const token of ['a', 'b', 'c']) statuses.push((await read(app.url, { authorization: `Bearer ${token}` })).status)
  t.strictSame(statuses, [401, 401, 429])
  t.equal((await read(app.url, { authorization: 'Bearer scrape-me' })).status, 200)
})

t.test('it is a door that can be left closed', async (t) => {
  const app = await startApp(t, {
    config: {
      server: {
        listeners: [
          { port: 0, doors: ['milky'] },
          { port: 0, doors: ['ops'] }
        ]
      }
    }
  })
  const [, closed = '', open = ''] = app.lactea.addresses().map(({ url }) => url)
  t.equal((await read(closed)).status, 404)
  t.equal((await read(open)).status, 200)
})

t.test('it tells of the process and of the gateway', async (t) => {
  const app = await startApp(t)
  const { text: first } = await read(app.url)
  for (const name of [
    'nodejs_eventloop_lag_p99_seconds',
    'process_resident_memory_bytes',
    'nodejs_gc_duration_seconds'
  ])
    t.match(first, `# TYPE ${name} `)
  t.match(first, /^lactea_info\{version="[^"]+"\} 1$/m)
  t.ok(((await valueOf(app, 'lactea_database_bytes')) ?? 0) > 0)
  const events = (await valueOf(app, 'lactea_events_total')) ?? Number.NaN
  await app.call('token-one', 'send_group_message', { group_id: 100001, message: text('one more') })
  t.equal(await valueOf(app, 'lactea_events_total'), events + 1)
  await until(app, 'lactea_events_told_total', events + 1)
  t.equal(
    (await read(app.url)).text.match(/^# HELP lactea_info/gm)?.length,
    1,
    'every metric once, however often it is read'
  )
})

t.test('sockets and who is online are counted while they are there', async (t) => {
  const app = await startApp(t)
  t.equal(await valueOf(app, 'lactea_websockets{door="milky"}'), 0)
  const sockets = [
    await openSocket(t, `${app.ws}/?access_token=token-one`),
    await openSocket(t, `${app.ws}/event?access_token=token-one`),
    await openSocket(t, `${app.ws}/ws?token=${await app.signIn('alice', 'alice-secret')}`)
  ]
  await sockets[2]?.next()
  t.equal(await valueOf(app, 'lactea_websockets{door="milky"}'), 2)
  t.equal(await valueOf(app, 'lactea_websockets{door="im"}'), 1)
  t.equal(await valueOf(app, 'lactea_bots_online'), 1, 'one bot with two sockets')
  t.equal(await valueOf(app, 'lactea_people_online'), 1)
  for (const { socket } of sockets) socket.close()
  await until(app, 'lactea_websockets{door="milky"}', 0)
  await until(app, 'lactea_websockets{door="im"}', 0)
  await until(app, 'lactea_bots_online', 0)
  await until(app, 'lactea_people_online', 0)
})

t.test('a handshake that comes to nothing is not counted for ever', async (t) => {
  const app = await startApp(t)
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1')
  socket.write(
    'GET /?access_token=token-one HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n'
  )
  t.match(await readAll(socket), /^HTTP\/1\.1 400 /)
  t.equal(await valueOf(app, 'lactea_websockets{door="milky"}'), 0)
})

t.test('maim_message is counted by door, and no secret is told', async (t) => {
  const app = await startApp(t, {
    config: {
      bots: [{ ...world.bots[0], access_token: 'CANARY-token' }, world.bots[1]],
      maim: { keys: [{ api_key: 'CANARY-key', account: 10001 }], legacy_tokens: ['CANARY-legacy'] }
    }
  })
  t.equal(await valueOf(app, 'lactea_maim_connections{door="api"}'), 0)
  const peer = await openSocket(t, `${app.ws}/maim/ws?api_key=CANARY-key&platform=CANARY-platform`)
  t.equal(await valueOf(app, 'lactea_maim_connections{door="api"}'), 1)
  t.equal(await valueOf(app, 'lactea_maim_users{door="api"}'), 1)
  t.equal(await valueOf(app, 'lactea_websockets{door="maim"}'), 1)
  await t.rejects(openSocket(t, `${app.ws}/maim/ws?api_key=CANARY-wrong&platform=qq`))
  t.equal(await valueOf(app, 'lactea_maim_refused_total{door="api"}'), 1)
  const { text: shown } = await read(app.url)
  for (const door of ['api', 'legacy', 'links']) {
    t.match(shown, `lactea_maim_acks_sent_total{door="${door}"} 0`)
    t.match(shown, `lactea_maim_dropped_total{door="${door}",reason="too_old"} 0`)
  }
  t.notMatch(shown, /CANARY|127\.0\.0\.1/)
  peer.socket.close()
  await until(app, 'lactea_maim_connections{door="api"}', 0)
})

t.test('two gateways in one process do not disturb each other', async (t) => {
  const [one, two] = [await startApp(t), await startApp(t)]
  await openSocket(t, `${one.ws}/?access_token=token-one`)
  t.equal(await valueOf(one, 'lactea_websockets{door="milky"}'), 1)
  t.equal(await valueOf(two, 'lactea_websockets{door="milky"}'), 0)
})

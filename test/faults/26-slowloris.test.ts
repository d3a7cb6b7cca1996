import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Pool } from 'undici'
import { stringify } from 'yaml'
import { startApp, world } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault, type FaultBench } from './lab/fault.ts'
import { percentile } from './lab/process.ts'

const HANDSHAKE =
  'Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const POST =
  'POST /get_login_info HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-one\r\nContent-Type: application/json\r\nContent-Length: 2000\r\n\r\n'

/** Each says its beginning at once and then a byte every ten seconds. */
const KINDS = {
  nothing: '',
  headers: 'GET /health HTTP/1.1\r\nHost: x\r\na: ',
  body: `${POST}{`,
  upgrade: `GET / HTTP/1.1\r\n${HANDSHAKE}a: `,
  'no auth frame': `GET /ws HTTP/1.1\r\n${HANDSHAKE}\r\n`
} as const
type Kind = keyof typeof KINDS

const CONFIG = {
  im: { late_auth: true },
  limits: { http_rate: 10_000_000, upgrade_rate: 100_000, im_address_connects: 100_000 }
}

fault({
  number: 26,
  title: 'slow clients',
  mark: 'Slowloris: 500 sockets at 1 byte/10 s in headers, body, upgrade, and no auth frame: each cut ≤ 10 s (auth) / 30 s (headers), a healthy client’s p99 ≤ 1.2 ×.',
  fullMs: 150_000,
  run: (bench) => (bench.isFull ? runService(bench) : runShort(bench))
})

/** The same server with less patience. */
async function runShort({ t, figure }: FaultBench): Promise<void> {
  const app = await startApp(t, { config: CONFIG })
  const { server } = app.lactea.app
  server.headersTimeout = 300
  server.requestTimeout = 600
  const slow = (['nothing', 'headers', 'body', 'upgrade'] as const).flatMap((kind) =>
    Array.from({ length: 10 }, () => trickle(t, app.url, kind, 50))
  )
  await waitFor(() => slow.every(({ cutAfterMs }) => cutAfterMs() !== undefined))
  figure('sockets that are left', slow.filter(({ cutAfterMs }) => cutAfterMs() === undefined).length, { is: 0 })
  figure('calls that fail', (await app.call('token-one', 'get_login_info')).status === 'ok' ? 0 : 1, { is: 0 })
}

async function runService({ t, figure }: FaultBench): Promise<void> {
  const dir = makeDirectory(t)
  writeFileSync(join(dir, 'lactea.yaml'), stringify({ ...world, ...CONFIG, data: { dir: join(dir, 'data') } }))
  const service = await startService(t, dir)
  const pool = new Pool(service.url, { connections: 4 })
  t.teardown(() => pool.destroy())
  // What is compiled only now is not what the slow ones cost.
  await measure(pool, 5000)
  const before = await measure(pool, 15_000)
  const slow = (Object.keys(KINDS) as Kind[]).flatMap((kind) =>
    Array.from({ length: 100 }, () => ({ kind, ...trickle(t, service.url, kind, 10_000) }))
  )
  // Coming is work like anybody's; what counts is what they cost who are there.
  await later(1000)
  const meanwhile = await measure(pool, 15_000)
  const endsAt = performance.now() + 60_000
  while (performance.now() < endsAt && slow.some(({ cutAfterMs }) => cutAfterMs() === undefined)) await later(100)
  const marks: Record<Kind, number> = { nothing: 30, headers: 30, upgrade: 30, 'no auth frame': 10, body: 60 }
  for (const [kind, atMost] of Object.entries(marks)) {
    const cuts = slow.filter((one) => one.kind === kind).map(({ cutAfterMs }) => (cutAfterMs() ?? Number.NaN) / 1000)
    figure(`${kind}: cut after`, Math.max(...cuts), { atMost, unit: 's', isTimed: true })
  }
  // What else this machine does at the time is not what they cost.
  const alone = Math.max(before, await measure(pool, 15_000))
  figure('p99 of a healthy client', meanwhile / alone, { atMost: 1.2, unit: '×', isTimed: true })
}

/** Begins a connection and drips on; tells how long it took until the other side had enough. */
function trickle(t: Test, url: string, kind: Kind, everyMs: number) {
  const socket: Socket = connect(Number(new URL(url).port), '127.0.0.1')
  let startedAt = performance.now()
  let cutAfterMs: number | undefined
  socket.on('error', () => {})
  socket.resume()
  socket.once('connect', () => {
    startedAt = performance.now()
    socket.write(KINDS[kind])
  })
  const isDripping = kind !== 'nothing' && kind !== 'no auth frame'
  const drip = setInterval(() => isDripping && socket.writable && socket.write('x'), everyMs)
  socket.once('close', () => {
    clearInterval(drip)
    cutAfterMs = performance.now() - startedAt
  })
  t.teardown(() => {
    clearInterval(drip)
    socket.destroy()
  })
  return { cutAfterMs: () => cutAfterMs }
}

/** The p99 of calls one after the other. */
async function measure(pool: Pool, ms: number): Promise<number> {
  const times: number[] = []
  for (const endsAt = performance.now() + ms; performance.now() < endsAt;) {
    const startedAt = performance.now()
    const { body } = await pool.request({
      method: 'POST',
      path: '/get_login_info',
      headers: { authorization: 'Bearer token-one', 'content-type': 'application/json' },
      body: '{}'
    })
    await body.text()
    times.push(performance.now() - startedAt)
  }
  return percentile(times, 0.99)
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

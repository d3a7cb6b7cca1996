import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { WebSocketServer } from 'ws'
import { stringify } from 'yaml'
import { startDialer } from '../../sdk/src/dialer.ts'
import { startHeartbeat } from '../../src/net/heartbeat.ts'
import { world } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { dialRaw, startRawServer } from '../helpers/raw-peer.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault, type FaultBench } from './lab/fault.ts'
import { startProxy } from './lab/proxy.ts'

fault({
  number: 41,
  title: 'a half-open connection',
  mark: 'half-open TCP (drop all packets): detected ≤ ping 25 s + pong 8 s, reverse client redials, exactly 1 live connection.',
  fullMs: 200_000,
  run: (bench) => (bench.isFull ? runService(bench) : runPieces(bench))
})

/** The heartbeat of both ends and the dialer, with times of their own. */
async function runPieces({ t, figure }: FaultBench): Promise<void> {
  const heartbeat = startHeartbeat({ periodMs: 100, pongMs: 32 })
  t.teardown(heartbeat.stop)
  const http = createServer()
  const server = new WebSocketServer({ server: http })
  server.on('connection', (socket, { socket: stream }) => void heartbeat.watch(socket, { stream }))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    http.close()
  })
  const proxy = await startProxy(t, (http.address() as AddressInfo).port)
  let opened = 0
  let closed = 0
  const dialer = startDialer({
    url: proxy.url('ws'),
    socketOptions: { handshakeTimeout: 200 },
    retry: { firstMs: 4, maxMs: 32 },
    onOpen(socket, stream) {
      opened++
      heartbeat.watch(socket, { stream })
      return () => closed++
    },
    onState: () => {}
  })
  t.teardown(() => dialer.stop())
  await waitFor(() => server.clients.size === 1 && opened === 1)
  proxy.halfOpen()
  const since = performance.now()
  await waitFor(() => server.clients.size === 0 && closed === 1)
  figure('found on both ends', performance.now() - since, { atMost: 1000, unit: 'ms', isTimed: true })
  proxy.heal()
  proxy.cut()
  await waitFor(() => opened === 2 && server.clients.size === 1)
  figure('live connections', server.clients.size, { is: 1 })
  figure('connections that were taken down', closed, { is: 1 })
}

/** Where each kind of socket says that it is over, by its door and what else names it. */
const KINDS = {
  'Milky draft': ['"door":"milky-draft"', 'bot disconnected'],
  'Milky events': ['"door":"milky-event"', 'bot disconnected'],
  'maim API-Server': ['"door":"maim-api"', 'maim client disconnected'],
  'maim legacy': ['"door":"maim-legacy"', 'peer disconnected'],
  'reverse WebSocket': ['"door":"reverse-ws"', 'not connected'],
  'link, API-Server': ['"door":"maim-link","mode":"api-server"', 'not connected'],
  'link, legacy': ['"door":"maim-link","mode":"legacy"', 'not connected']
} as const
const LINKS = ['/reverse', '/api', '/legacy']

/** The service as it is. */
async function runService({ t, figure }: FaultBench): Promise<void> {
  const others = await startRawServer(t, { isOpen: true })
  const outward = await startProxy(t, Number(new URL(others.url).port))
  const dir = makeDirectory(t)
  const [one, two] = world.bots
  const to = (path: string): string => `${outward.url('ws')}${path}`
  writeFileSync(
    join(dir, 'lactea.yaml'),
    stringify({
      ...world,
      data: { dir: join(dir, 'data') },
      maim: { keys: [{ api_key: 'key-one', account: 10001 }], legacy_tokens: ['legacy-one'] },
      bots: [
        one,
        {
          ...two,
          reverse_ws: [{ url: to('/reverse') }],
          maim: [
            { url: to('/api'), mode: 'api-server', api_key: 'k' },
            { url: to('/legacy'), mode: 'legacy' }
          ]
        }
      ]
    })
  )
  const service = await startService(t, dir)
  const inward = await startProxy(t, Number(new URL(service.url).port))
  const token = await signIn(service.url)
  await openAll(t, inward.url('ws'), token)
  await waitFor(() => LINKS.every((path) => others.open(path) === 1))

  inward.halfOpen()
  outward.halfOpen()
  const since = Date.now()
  const foundAfter = ([where, what]: readonly [string, string]): number => {
    const line = service
      .log()
      .split('\n')
      .find((one) => one.includes(where) && one.includes(what))
    return line === undefined ? Number.NaN : Date.parse((JSON.parse(line) as { time: string }).time) - since
  }
  await waitUntil(() => Object.values(KINDS).every((kind) => Number.isFinite(foundAfter(kind))), 45_000)
  for (const [name, kind] of Object.entries(KINDS))
    figure(`${name} found after`, foundAfter(kind) / 1000, { atMost: 33, unit: 's' })

  outward.heal()
  outward.cut()
  await waitUntil(() => LINKS.every((path) => others.open(path) === 1), 45_000)
  const live = Math.max(...LINKS.map(others.open))
  figure('live connections per address', live, { is: 1 })
  await waitUntil(async () => (await countPeople(service.url)) === 0, 90_000)
  // Two seconds more for the answer to our close frame, which cannot come.
  figure('IM-Suite found after (its contract: 75 s of silence)', (Date.now() - since) / 1000, { atMost: 78, unit: 's' })
}

async function openAll(t: Test, url: string, token: string): Promise<void> {
  await dialRaw(t, `${url}/?access_token=token-one`)
  await dialRaw(t, `${url}/event?access_token=token-one`)
  await dialRaw(t, `${url}/maim/ws?api_key=key-one&platform=x`)
  await dialRaw(t, `${url}/maim/legacy/ws`, { headers: { platform: 'y', authorization: 'legacy-one' } })
  await dialRaw(t, `${url}/im/ws?token=${token}`)
}

async function signIn(url: string): Promise<string> {
  const response = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'alice', password: 'alice-secret' })
  })
  return ((await response.json()) as { token: string }).token
}

/** Sockets of people that are open. */
async function countPeople(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^lactea_people_online (\d+)/m.exec(text)?.[1] ?? Number.NaN)
}

async function waitUntil(holds: () => boolean | Promise<boolean>, ms: number): Promise<void> {
  for (const endsAt = performance.now() + ms; performance.now() < endsAt;) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { Agent, request } from 'undici'
import { WebSocket } from 'ws'
import { createFetcher } from '../../src/net/fetcher.ts'
import { createGuard, type Resolve } from '../../src/net/guard.ts'
import { createOutgoing, type Outgoing } from '../../src/net/outgoing.ts'
import { startApp, text, world } from '../helpers/app.ts'
import { addressOf, LITERALS, METADATA, startCounter } from '../helpers/spellings.ts'
import { waitFor } from '../helpers/wait.ts'
import { startWebhook } from '../helpers/webhook.ts'
import { fault } from './lab/fault.ts'

const toLookup = (address: string) => [{ address, family: address.includes(':') ? 6 : 4 }]
const always =
  (address: string): Resolve =>
  async () =>
    toLookup(address)

/** What a name server says that is asked more than once: first something harmless, then this machine. */
function rebind(): Resolve {
  let asked = 0
  return async () => toLookup(asked++ % 2 === 0 ? '93.184.216.34' : '127.0.0.1')
}

fault({
  number: 35,
  title: 'addresses that are meant for something only the gateway reaches',
  mark: 'SSRF: 40 spellings of loopback, private, link-local, metadata (v4, v6, mapped, NAT64, 6to4, decimal, octal, trailing dot), DNS rebinding (public then 127.0.0.1), redirect to metadata: 0 connects when guard is on; allow-list by CIDR for docker nets works; metadata blocked even then.',
  async run({ t, size, figure }) {
    const { port, count } = await startCounter(t)
    const hosts = [...LITERALS, ...METADATA]
    figure('spellings', hosts.length, { atLeast: 40 })

    // A host that is taken for a name leads straight to the counter.
    const resolve = always('127.0.0.1')
    const guarded = createOutgoing({ guard: true, allowedNetworks: [], isContainer: false, resolve })
    for (const host of hosts) await tryAll(t, guarded, { host, port, resolve, allowedNetworks: [] })
    for (const host of hosts.filter((spelling) => /^[\d.]+$|^\[/.test(spelling))) {
      const toIt = always(addressOf(host))
      const outgoing = createOutgoing({ guard: true, allowedNetworks: [], isContainer: false, resolve: toIt })
      await tryAll(t, outgoing, { host: 'name.example', port, resolve: toIt, allowedNetworks: [] })
    }
    figure('connects by spelling', count(), { is: 0 })

    // Each look-up is good for one connection, so what comes later is looked at again.
    for (let round = 0; round < size(10, 200); round++) {
      const next = rebind()
      const guard = createGuard({ allowedNetworks: [], resolve: next })
      const checked = await guard('name.example')
      t.strictSame(checked, toLookup('93.184.216.34'), 'what was checked is what is dialled')
      const later = createOutgoing({ guard: true, allowedNetworks: [], isContainer: false, resolve: next })
      await tryAll(t, later, { host: 'name.example', port, resolve: next, allowedNetworks: [] }, ['webhook'])
    }
    figure('connects by rebinding', count(), { is: 0 })

    figure('connects by redirect', await followRedirects(t, port, count), { is: 0 })

    const everywhere = ['0.0.0.0/0', '::/0']
    for (const isGuarded of [true, false]) {
      for (const host of METADATA) {
        const outgoing = createOutgoing({ guard: isGuarded, allowedNetworks: everywhere, isContainer: false, resolve })
        await tryAll(t, outgoing, { host, port, resolve, allowedNetworks: everywhere })
      }
    }
    figure('connects to metadata where everything is open', count(), { is: 0 })

    figure('deliveries into a network that is open', await deliverToAllowed(t), { is: 1 })
  }
})

interface Aim {
  readonly host: string
  readonly port: number
  readonly resolve: Resolve
  readonly allowedNetworks: readonly string[]
}

type Road = 'media' | 'webhook' | 'socket'

/** Everything of the gateway that dials: media of bots, webhooks, and the sockets that it opens. */
async function tryAll(
  t: Test,
  outgoing: Outgoing,
  { host, port, resolve, allowedNetworks }: Aim,
  roads: readonly Road[] = ['media', 'webhook', 'socket']
): Promise<void> {
  const dial: Record<Road, () => Promise<unknown>> = {
    media: () => fetchMedia(`http://${host}:${port}/`, allowedNetworks, resolve),
    webhook: () => post(outgoing, `http://${host}:${port}/`),
    socket: () => openSocket(outgoing, `ws://${host}:${port}/`)
  }
  for (const road of roads) await t.rejects(dial[road](), `${road} to ${host}`)
}

function fetchMedia(url: string, allowedNetworks: readonly string[], resolve: Resolve): Promise<string> {
  const fetch = createFetcher({ guard: createGuard({ allowedNetworks, resolve }), maxBytes: 1000 })
  const { signal } = new AbortController()
  return fetch({ ownerId: 10001, address: new URL(url), field: 'uri', signal }, async () => 'fetched')
}

async function post(outgoing: Outgoing, url: string): Promise<void> {
  const lookup = await outgoing.lookupFor(url, () => {})
  const agent = new Agent({ connect: { lookup } })
  try {
    const { body } = await request(url, { method: 'POST', body: '{}', dispatcher: agent })
    await body.dump()
  } finally {
    await agent.destroy()
  }
}

async function openSocket(outgoing: Outgoing, url: string): Promise<void> {
  const lookup = await outgoing.lookupFor(url, () => {})
  const socket = new WebSocket(url, { lookup } as object)
  await once(socket, 'open')
  socket.terminate()
}

/** Connections at the counter, and at what tells machines who they are, of those who were sent on to them. */
async function followRedirects(t: Test, port: number, count: () => number): Promise<number> {
  const before = count()
  for (const location of [`http://127.0.0.2:${port}/`, `http://[::1]:${port}/`, 'http://169.254.169.254/latest/']) {
    const host = await listen(
      t,
      createServer((_request, response) => response.writeHead(302, { location }).end()).on(
        'upgrade',
        (_request, stream) => stream.end(`HTTP/1.1 302 Found\r\nLocation: ${location.replace('http', 'ws')}\r\n\r\n`)
      )
    )
    const allowedNetworks = ['127.0.0.1/32']
    const outgoing = createOutgoing({ guard: true, allowedNetworks, isContainer: false })
    await t.rejects(fetchMedia(`http://${host}/`, allowedNetworks, always('127.0.0.1')), `media sent on to ${location}`)
    // A webhook takes the redirect for its answer, which is no 2xx.
    await t.resolves(post(outgoing, `http://${host}/`))
    await t.rejects(openSocket(outgoing, `ws://${host}/`), `a socket sent on to ${location}`)
  }
  return count() - before
}

async function listen(t: Test, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A whole gateway with its guard on: what is closed does not start, a name that is closed is never reached. */
async function deliverToAllowed(t: Test): Promise<number> {
  const closed = await startWebhook(t)
  const open = await startWebhook(t)
  const [one, two] = world.bots
  const config = (urls: readonly string[], allowed: readonly string[]) => ({
    bots: [one, { ...two, webhooks: urls.map((url) => ({ url })) }],
    outgoing: { guard: true, allowed_networks: allowed }
  })
  const network = 'no address that is public or in a network of outgoing.allowed_networks'
  await t.rejects(startApp(t, { config: config([closed.url], ['172.18.0.0/16']) }), { message: new RegExp(network) })

  const byName = closed.url.replace('127.0.0.1', 'localhost')
  const shut = await startApp(t, { config: config([byName], ['172.18.0.0/16']), logLevel: 'warn' })
  await shut.call('token-one', 'send_group_message', { group_id: 100001, message: text('hello') })
  await shut.logged(network)

  const app = await startApp(t, { config: config([open.url], ['127.0.0.0/8']) })
  await app.call('token-one', 'send_group_message', { group_id: 100001, message: text('hello') })
  await waitFor(() => open.all.length > 0)
  t.equal(closed.all.length, 0)
  return open.all.length
}

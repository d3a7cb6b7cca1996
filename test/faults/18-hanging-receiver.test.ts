import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'
import { createWorld, startLoad, writeWorld } from './lab/load.ts'
import { MIB, percentile, rssOf } from './lab/process.ts'

const PARALLEL = 8
const HANG_MS = 30_000

fault({
  number: 18,
  title: 'a webhook receiver that hangs on all',
  mark: "Webhook receiver hangs 30 s on all, 50 000 queued: sockets ≤ limit, other endpoints' p99 unchanged (± 20 %), memory ≤ +64 MB (queue is on disk).",
  fullMs: 300_000,
  async run({ t, size, figure }) {
    const [queued, samples, perSecond] = [size(400, 50_000), size(50, 1000), size(200, 500)]
    const [hanging, quick] = [await startReceiver(t), await startReceiver(t)]
    const world = createWorld({ bots: 40, groups: 20 })
    const [first, ...others] = world.config.bots
    const provision = world.config['provision'] as { groups: { members: number[] }[] }
    // The first one speaks in one group and hears all of them.
    for (const group of provision.groups.slice(1)) group.members.push(first?.id ?? 0)
    const dir = makeDirectory(t)
    writeWorld(dir, world, {
      bots: [
        {
          ...first,
          webhooks: [{ url: hanging.url, timeout: size(500, 10_000), parallel: PARALLEL }, { url: quick.url }]
        },
        ...others
      ],
      limits: { http_rate: 1_000_000 }
    })
    const service = await startService(t, dir)
    const load = await startLoad(t, {
      world: { ...world, tokens: world.tokens.slice(1), groupOf: (bot) => world.groupOf(bot + 1) },
      url: service.url,
      perSecond,
      listeners: 0
    })
    const probe = (count: number): Promise<number[]> =>
      sample(count, async (words) => {
        const response = await fetch(`${service.url}/send_group_message`, {
          method: 'POST',
          headers: { authorization: `Bearer ${world.tokens[1]}`, 'content-type': 'application/json' },
          body: JSON.stringify({ group_id: world.groupOf(1), message: [{ type: 'text', data: { text: words } }] })
        })
        await response.text()
        await quick.heard(words)
      })
    await probe(20)
    const before = await probe(samples)

    const rss = rssOf(service.pid)
    let peak = rss
    const watching = setInterval(() => (peak = Math.max(peak, rssOf(service.pid))), 100)
    t.teardown(() => clearInterval(watching))
    hanging.hang()
    const accepted = load.counts().accepted
    const during = await probe(samples)
    await waitFor(() => load.counts().accepted - accepted >= queued, 'the queue', 200_000)
    await load.stop()
    clearInterval(watching)
    const told = hanging.count()

    figure('queued', load.counts().accepted - accepted, { atLeast: queued })
    figure('told meanwhile', told, { atMost: 400 })
    // The receiver may see a new one before it sees that the one in whose place it is has gone.
    figure('most sockets to it', hanging.mostSockets(), { atMost: PARALLEL, isTimed: true })
    figure('memory', (peak - rss) / MIB, { atMost: 64, unit: 'MiB', isTimed: true })
    const ratio = percentile(during, 0.99) / percentile(before, 0.99)
    figure('p99 of the other, against before', ratio, { atMost: 1.2, isTimed: true })
    figure('refused calls', load.counts().failed, { is: 0 })
    t.equal((await service.kill('SIGTERM')).code, 0, 'what hangs does not keep it from ending')
  }
})

/** Milliseconds of each of so many, one after another. */
async function sample(count: number, once: (words: string) => Promise<void>): Promise<number[]> {
  const taken: number[] = []
  for (let index = 0; index < count; index++) {
    const startedAt = performance.now()
    await once(`probe ${startedAt}`)
    taken.push(performance.now() - startedAt)
  }
  return taken
}

/** A receiver that counts, can be waited for, and may begin to hang. */
async function startReceiver(t: Test) {
  const waiting = new Map<string, () => void>()
  const early = new Set<string>()
  let isHanging = false
  let [count, sockets, most] = [0, 0, 0]
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      if (isHanging) {
        count++
        setTimeout(() => response.writeHead(204).end(), HANG_MS).unref()
        return
      }
      response.writeHead(204).end()
      const [words] = /probe [\d.]+/.exec(body) ?? []
      if (words === undefined) return
      const resolve = waiting.get(words)
      if (resolve) resolve()
      else early.add(words)
      waiting.delete(words)
    })
  })
  server.on('connection', (socket) => {
    most = Math.max(most, ++sockets)
    socket.on('error', () => {})
    socket.on('close', () => sockets--)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    hang: () => void (isHanging = true),
    /** What came while it was hanging. */
    count: () => count,
    mostSockets: () => most,
    heard: (words: string) =>
      early.delete(words) ? Promise.resolve() : new Promise<void>((resolve) => waiting.set(words, resolve))
  }
}

import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'
import { MIB, percentile, rssOf } from './lab/process.ts'
import { createReader, flood, PAIR, pairConfig } from './lab/reader.ts'

/** Characters of one of the many messages; as much as a bot may say. */
const LENGTH = 16_000
/** The second group is that of everybody else. */
const OTHERS = 100_002

fault({
  number: 16,
  title: 'a stalled reader',
  mark: 'One stalled WS reader, 200 MB of distinct events: RSS growth **≤ 16 MB**, that client closed (1013/4008 "slow") in ≤ 10 s, other 99 clients\' p99 ≤ 1.2 × normal, its events kept for resume.',
  fullMs: 300_000,
  async run({ t, size, figure }) {
    const events = Math.round((size(24, 200) * 1_000_000) / LENGTH)
    const others = size(20, 99)
    const dir = makeDirectory(t, withOthers(others))
    // The heap for what lives shortly grows by leaps, whoever reads: it begins as large as it gets.
    const nodeArgs = ['--min-semi-space-size=32', '--max-semi-space-size=32']
    const service = await startService(t, dir, [], { nodeArgs })
    const latencies: number[] = []
    const sockets = Array.from({ length: others }, (_, index) => {
      const socket = new WebSocket(`${service.ws}/event?access_token=${tokenOf(index)}`)
      socket.on('error', () => {})
      socket.on('message', (data) => {
        const [, saidAt] = /said at ([\d.]+)/.exec(String(data)) ?? []
        if (saidAt !== undefined) latencies.push(performance.now() - Number(saidAt))
      })
      t.teardown(() => socket.terminate())
      return socket
    })
    await Promise.all(sockets.map((socket) => once(socket, 'open')))

    /** Says all of it in the group of the stalled one, and measures meanwhile how the others fare. */
    async function run(): Promise<{ p99: number; rss: number }> {
      latencies.length = 0
      let rss = 0
      let isOver = false
      async function watch(): Promise<void> {
        for (; !isOver; await delay(20)) {
          rss = Math.max(rss, rssOf(service.pid))
          await say(service.url, `said at ${performance.now()}`)
        }
      }
      const watching = watch()
      await flood({
        url: service.url,
        token: PAIR.speaker,
        groups: 1,
        count: events,
        concurrency: 16,
        wordsOf: (index) => `${index} `.padEnd(LENGTH, `${index}`)
      }).finally(() => (isOver = true))
      await watching
      return { p99: percentile(latencies, 0.99), rss }
    }

    // The same before: what the load needs by itself is no growth.
    for (let count = 0; count < size(1, 3); count++) await run()
    const normal = await run()
    const reader = createReader(t, { url: () => service.ws, token: PAIR.listener })
    await reader.start()
    const since = String(reader.answer()['lactea-cursor'])
    await reader.stop()
    const stalled = new WebSocket(`${service.ws}/event?access_token=${PAIR.listener}`)
    stalled.on('error', () => {})
    t.teardown(() => stalled.terminate())
    await once(stalled, 'open')
    stalled.pause()
    const closed = once(stalled, 'close') as Promise<[number, Buffer]>
    const stalledAt = performance.now()
    const cutAfter = waitFor(
      () => service.log().includes('reads too slowly'),
      'the stalled one to be cut',
      120_000
    ).then(() => {
      // It finds its end when it reads on.
      stalled.resume()
      return (performance.now() - stalledAt) / 1000
    })
    const during = await run()
    const [seconds, [code, reason]] = await Promise.all([cutAfter, closed])

    figure('closed after', seconds, { atMost: 10, unit: 's', isTimed: true })
    figure('close code', code, { is: 1013, isTimed: true })
    t.comment(String(reason))
    figure('growth of RSS', (during.rss - normal.rss) / MIB, { atMost: 16, unit: 'MiB', isTimed: true })
    figure("the others' p99, times normal", during.p99 / normal.p99, { atMost: 1.2, isTimed: true })

    const again = createReader(t, { url: () => service.ws, token: PAIR.listener, since })
    await again.start()
    await waitFor(() => again.heard() >= events, 'what was kept', 120_000)
    figure('told that nothing is missing', again.connections() - again.broken(), { is: 1 })
    figure('events that were kept', again.heard(), { is: events })
    figure('gaps and inversions', again.gaps() + again.inversions(), { is: 0 })
  }
})

function tokenOf(index: number): string {
  return `token-of-bot-${20_001 + index}-for-tests`
}

/** Who speaks shares one group with the stalled one, and one with the others. */
function withOthers(count: number): object {
  const ids = Array.from({ length: count }, (_, index) => 20_001 + index)
  const { bots, provision, ...rest } = pairConfig(1) as { bots: object[]; provision: { groups: object[] } }
  return {
    ...rest,
    bots: [...bots, ...ids.map((id, index) => ({ id, access_token: tokenOf(index) }))],
    provision: { groups: [...provision.groups, { id: OTHERS, name: 'Others', owner: 10001, members: ids }] }
  }
}

async function say(url: string, words: string): Promise<void> {
  const answer = await fetch(`${url}/send_group_message`, {
    method: 'POST',
    headers: { authorization: `Bearer ${PAIR.speaker}`, 'content-type': 'application/json' },
    body: JSON.stringify({ group_id: OTHERS, message: [{ type: 'text', data: { text: words } }] })
  })
  await answer.json()
}

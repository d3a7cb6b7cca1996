import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'
import { flood } from './lab/reader.ts'

const BOTS = 100

fault({
  number: 19,
  title: 'everybody comes back at once',
  mark: 'Thundering herd: 5 000 reconnects in 1 s: all back ≤ 30 s, event-loop p99 ≤ 200 ms, accept errors 0; server hints spread over ≥ 10 s.',
  async run({ t, size, figure }) {
    const readers = size(300, 5000)
    const service = await startService(t, makeDirectory(t, manyBots()))
    const herd = Array.from({ length: readers }, (_, index) => createMember(service.ws, tokenOf(1 + (index % BOTS))))
    t.teardown(() => herd.forEach((member) => member.end()))
    for (const member of herd) {
      member.come()
      await delay(0)
    }
    await waitFor(() => herd.every((member) => member.isHere()), 'everybody to be there', 60_000)

    const speak = (count: number): Promise<void> =>
      flood({ url: service.url, token: tokenOf(0), groups: 1, count, concurrency: 1 })
    await speak(1)
    await waitFor(() => herd.every((member) => member.heard() === 1), 'everybody to hear', 60_000)
    for (const member of herd) member.go()
    await speak(5)

    await readLag(service.url)
    const startedAt = performance.now()
    for (const [index, member] of herd.entries()) {
      // Evenly over a second.
      if (index % 50 === 0) await delay(Math.max(0, startedAt + (index / readers) * 1000 - performance.now()))
      member.come()
    }
    const sentIn = performance.now() - startedAt
    await waitFor(() => herd.every((member) => member.heard() === 6), 'all to be back and to know all', 90_000)
    const seconds = (performance.now() - startedAt) / 1000
    const lag = await readLag(service.url)
    const exited = service.kill('SIGTERM')
    await waitFor(() => herd.every((member) => member.hint() !== undefined), 'all to be told when to come back', 60_000)
    await exited
    const hints = herd.map((member) => member.hint() ?? Number.NaN)
    t.comment(`${readers} handshakes were sent within ${Math.round(sentIn)} ms`)

    figure('back, and told what was missed', herd.filter((member) => member.heard() === 6).length, { is: readers })
    figure(
      'failed handshakes',
      herd.reduce((sum, member) => sum + member.errors(), 0),
      { is: 0 }
    )
    figure('all back after', seconds, { atMost: 30, unit: 's', isTimed: true })
    figure('event loop p99', lag, { atMost: 200, unit: 'ms', isTimed: true })
    figure('hints of a shutdown are spread over', Math.max(...hints) - Math.min(...hints), { atLeast: 10, unit: 's' })
  }
})

/** The 99th percentile of what the event loop was late by since it was last asked, in milliseconds. */
async function readLag(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^nodejs_eventloop_lag_p99_seconds ([\d.e-]+)$/m.exec(text)?.[1]) * 1000
}

/** One of many readers; it comes back with the cursor that it has. */
function createMember(ws: string, token: string) {
  let socket: WebSocket | undefined
  let cursor = 'now'
  let heard = 0
  let errors = 0
  let hint: number | undefined

  return {
    heard: () => heard,
    errors: () => errors,
    /** Seconds after which the gateway wants it back, as its last word said. */
    hint: () => hint,
    isHere: () => socket?.readyState === WebSocket.OPEN,
    come() {
      socket = new WebSocket(`${ws}/event?access_token=${token}&since=${cursor}`, { perMessageDeflate: false })
      socket.on('error', () => errors++)
      socket.on('close', (_code, reason) => {
        const [, seconds] = /retry in (\d+) s/.exec(String(reason)) ?? []
        if (seconds !== undefined) hint = Number(seconds)
      })
      socket.on('message', (data) => {
        heard++
        cursor = (JSON.parse(String(data)) as { cursor: string }).cursor
      })
    },
    go() {
      socket?.removeAllListeners('message')
      socket?.terminate()
    },
    end: () =>
      socket
        ?.removeAllListeners('error')
        .on('error', () => {})
        .terminate()
  }
}

function tokenOf(index: number): string {
  return `token-of-bot-${10_001 + index}-for-tests`
}

/** One who speaks and others who listen, all in one group. */
function manyBots(): object {
  const ids = Array.from({ length: BOTS + 1 }, (_, index) => 10_001 + index)
  const [owner, ...members] = ids
  return {
    bots: ids.map((id, index) => ({ id, access_token: tokenOf(index) })),
    provision: { groups: [{ id: 100_001, name: 'Everybody', owner, members }] }
  }
}

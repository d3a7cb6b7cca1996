import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { Pool } from 'undici'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'

const PER_S = 10_000
const SOCKETS = 20
const OTHERS = 20

fault({
  number: 20,
  title: 'one token floods',
  mark: "Flood: one token 10 000 req/s: 429 with `Retry-After`, other tokens' success ≥ 99.9 %.",
  async run({ t, size, figure }) {
    const service = await startService(t, makeDirectory(t, manyBots()))
    const flood = await startFlood(t, service.url)
    const others = { asked: 0, answered: 0 }
    const pool = new Pool(service.url, { connections: OTHERS })
    t.teardown(() => pool.destroy())

    async function ask(index: number): Promise<void> {
      others.asked++
      const { body, statusCode } = await pool.request({
        method: 'POST',
        path: '/send_group_message',
        headers: { authorization: `Bearer ${tokenOf(index)}`, 'content-type': 'application/json' },
        body: JSON.stringify({ group_id: 100_001, message: [{ type: 'text', data: { text: 'hello' } }] })
      })
      const { status } = (await body.json()) as { status: string }
      if (statusCode === 200 && status === 'ok') others.answered++
    }

    const flooding = flood.run(size(2, 10))
    const asking: Promise<void>[] = []
    for (let count = 0; count < size(300, 2000); count++) {
      asking.push(ask(1 + (count % OTHERS)).catch(() => {}))
      await delay(5)
    }
    await Promise.all(asking)
    const seconds = await flooding
    const { sent, refused, withHint, served } = flood.counts()

    t.comment(`${served} of the flood were served, which is what a token may have in a minute`)
    figure('requests of one token', sent / seconds, { atLeast: PER_S * 0.99, unit: 'per s', isTimed: true })
    figure('refused with 429', refused, { atLeast: 1 })
    figure('of these with Retry-After', withHint, { is: refused })
    // A machine that cannot keep up at all sheds everybody.
    figure('neither served nor refused', sent - served - refused, { is: 0, isTimed: true })
    figure('success of the other tokens', (others.answered / others.asked) * 100, {
      atLeast: 99.9,
      unit: '%',
      isTimed: true
    })
  }
})

/** One token on a few connections, many requests at a time. */
async function startFlood(t: Test, url: string) {
  const { hostname, port } = new URL(url)
  const counts = { sent: 0, answered: 0, refused: 0, withHint: 0, served: 0 }
  const request = [
    'POST /api/get_login_info HTTP/1.1',
    `Host: ${hostname}:${port}`,
    `Authorization: Bearer ${tokenOf(0)}`,
    'Content-Type: application/json',
    'Content-Length: 2',
    '',
    '{}'
  ].join('\r\n')
  const sockets = await Promise.all(
    Array.from({ length: SOCKETS }, async () => {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => {})
      t.teardown(() => socket.destroy())
      let rest = ''
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        const answers = (rest + chunk).split('HTTP/1.1 ')
        rest = `HTTP/1.1 ${answers.pop()}`
        for (const answer of answers) count(answer)
        // The last one is complete when its body is.
        if (rest.endsWith('}')) {
          count(rest.slice('HTTP/1.1 '.length))
          rest = ''
        }
      })
      await once(socket, 'connect')
      return socket
    })
  )

  function count(answer: string): void {
    if (/^\d{3} /.test(answer)) counts.answered++
    if (answer.startsWith('200')) counts.served++
    if (!answer.startsWith('429')) return
    counts.refused++
    if (/\r\nretry-after: \d+\r\n/i.test(answer)) counts.withHint++
  }

  return {
    counts: () => counts,
    /** Floods for so long; gives how many seconds it was until all was answered. */
    async run(seconds: number): Promise<number> {
      const startedAt = performance.now()
      while (counts.sent < seconds * PER_S) {
        const due = Math.min(seconds * PER_S, Math.floor(((performance.now() - startedAt) / 1000) * PER_S))
        const each = Math.ceil((due - counts.sent) / SOCKETS)
        for (const socket of sockets) {
          if (each <= 0 || socket.writableNeedDrain) continue
          socket.write(request.repeat(each))
          counts.sent += each
        }
        await delay(5)
      }
      const sentIn = (performance.now() - startedAt) / 1000
      await waitFor(() => counts.answered >= counts.sent, 'all answers to the flood', 60_000)
      return sentIn
    }
  }
}

function tokenOf(index: number): string {
  return `token-of-bot-${10_001 + index}-for-tests`
}

function manyBots(): object {
  const ids = Array.from({ length: OTHERS + 1 }, (_, index) => 10_001 + index)
  const [, owner, ...members] = ids
  return {
    // In `npm test` the flood is short.
    limits: { http_rate: 6000 },
    bots: ids.map((id, index) => ({ id, access_token: tokenOf(index) })),
    provision: { groups: [{ id: 100_001, name: 'Others', owner, members }] }
  }
}

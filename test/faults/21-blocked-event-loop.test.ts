import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'

const BOTS = 50
const BLOCK_MS = 2000

/** Stands still whenever it is told to, as a mistake would make it. */
const BLOCKER = `process.on('SIGWINCH', () => {
  for (const end = performance.now() + ${BLOCK_MS}; performance.now() < end; );
})`

fault({
  number: 21,
  title: 'the event loop stands still',
  mark: 'Event loop blocked 2 s (injected): `under-pressure` sheds with 503, recovers ≤ 2 s, no ping-timeout kills of healthy bots.',
  async run({ t, size, figure }) {
    const rounds = size(1, 20)
    const dir = makeDirectory(t, manyBots())
    const blocker = join(dir, 'block.mjs')
    writeFileSync(blocker, BLOCKER)
    const service = await startService(t, dir, [], { nodeArgs: ['--import', blocker] })
    let closed = 0
    let heard = 0
    const sockets = Array.from({ length: BOTS }, (_, index) => {
      const socket = new WebSocket(`${service.ws}/event?access_token=${tokenOf(1 + index)}`)
      socket.on('error', () => {})
      socket.on('message', () => heard++)
      socket.once('close', () => closed++)
      t.teardown(() => socket.terminate())
      return socket
    })
    await Promise.all(sockets.map((socket) => once(socket, 'open')))
    await waitFor(async () => (await ask(service.url)).status === 200)

    let shed = 0
    let withHint = 0
    let slowest = 0
    for (let round = 0; round < rounds; round++) {
      process.kill(service.pid, 'SIGWINCH')
      // What comes while it stands still is not let in afterwards.
      const first = await askStanding(service.url)
      const backAt = performance.now()
      if (first.status === 503) shed++
      if (first.status === 503 && /^\d+$/.test(first.headers.get('retry-after') ?? '')) withHint++
      await waitFor(async () => (await ask(service.url)).status === 200, 'work to be taken again')
      slowest = Math.max(slowest, performance.now() - backAt)
      await delay(size(0, 500))
    }
    const before = heard
    const { status } = await say(service.url)
    await waitFor(() => heard >= before + BOTS - closed, 'all to hear')

    figure('standstills after which it shed with 503', shed, { atLeast: rounds, isTimed: true })
    figure('of these with Retry-After', withHint, { is: shed })
    figure('recovered within', slowest / 1000, { atMost: 2, unit: 's', isTimed: true })
    figure('healthy bots that were cut', closed, { is: 0 })
    figure('told afterwards', heard - before, { is: BOTS })
    t.equal(status, 'ok')
  }
})

function tokenOf(index: number): string {
  return `token-of-bot-${10_001 + index}-for-tests`
}

function manyBots(): object {
  const ids = Array.from({ length: BOTS + 1 }, (_, index) => 10_001 + index)
  const [owner, ...members] = ids
  return {
    bots: ids.map((id, index) => ({ id, access_token: tokenOf(index) })),
    provision: { groups: [{ id: 100_001, name: 'Everybody', owner, members }] }
  }
}

async function ask(url: string): Promise<Response> {
  const answer = await call(url, 'get_login_info', {})
  await answer.text()
  return answer
}

/** The answer to the first request that found it standing still. */
async function askStanding(url: string): Promise<Response> {
  for (let tries = 0; tries < 1000; tries++) {
    const startedAt = performance.now()
    const answer = await ask(url)
    if (answer.status !== 200 || performance.now() - startedAt > BLOCK_MS / 4) return answer
  }
  throw new Error('it never stood still')
}

async function say(url: string): Promise<{ status: string }> {
  const message = [{ type: 'text', data: { text: 'hello' } }]
  const answer = await call(url, 'send_group_message', { group_id: 100_001, message })
  return (await answer.json()) as { status: string }
}

function call(url: string, name: string, params: object): Promise<Response> {
  return fetch(`${url}/${name}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tokenOf(0)}`, 'content-type': 'application/json' },
    body: JSON.stringify(params)
  })
}

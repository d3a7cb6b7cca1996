import { once } from 'node:events'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { connect } from 'node:net'
import type { Test } from 'tap'
import { makeDirectory } from '../helpers/directory.ts'
import { startService, type Service } from '../helpers/service.ts'
import { openSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'
import { startWebhook } from '../helpers/webhook.ts'
import { fault } from './lab/fault.ts'
import { createWorld, startLoad, writeWorld, type World } from './lab/load.ts'

fault({
  number: 40,
  title: 'SIGTERM at reference load',
  mark: '/ready red at once, close 1012 + retry hint, in-flight done, exit 0 ≤ 20 s (hard stop at 30 s), 0 lost, 0 non-2xx for accepted; docker stop (10 s) also clean; second SIGTERM forces',
  async run({ t, isFull, size, figure }) {
    const [bots, perSecond, messages] = [size(20, 100), size(100, 200), size(150, 4000)]
    const world = createWorld({ bots })
    const hook = await startWebhook(t)
    const dir = makeDirectory(t)
    const [first, ...others] = world.config.bots
    writeWorld(dir, world, {
      bots: [{ ...first, webhooks: [{ url: hook.url }] }, ...others],
      maim: { keys: [{ api_key: 'key-of-the-second', account: 10_002 }] },
      provision: {
        ...(world.config['provision'] as object),
        accounts: [{ id: 20_001, kind: 'person', username: 'alice', password: 'alice-secret' }]
      }
    })
    const service = await startService(t, dir)
    const load = await startLoad(t, { world, url: service.url, perSecond })
    const doors = await openDoors(t, service, world.tokens[0] ?? '')
    await waitFor(() => load.counts().accepted >= messages, 'the load')

    const startedAt = performance.now()
    const exited = service.kill('SIGTERM')
    const isRed = untilRed(service, startedAt)
    const closes = await Promise.all(doors.map(({ name, closed }) => closed.then(({ code }) => `${name} ${code}`)))
    const { code } = await exited
    const drainedMs = performance.now() - startedAt
    await load.stop()

    const stored = readTexts(join(dir, 'data', 'lactea.db'))
    const accepted = load.accepted()
    const answered = new Set(accepted)
    figure('accepted calls', accepted.length, { atLeast: messages })
    figure('accepted messages that are lost', accepted.filter((words) => !stored.has(words)).length, { is: 0 })
    figure('stored messages that were answered otherwise', [...stored].filter((words) => !answered.has(words)).length, {
      is: 0
    })
    figure('exit code', code ?? -1, { is: 0 })
    figure('until it had ended', drainedMs / 1000, { atMost: 10, unit: 's', isTimed: true })
    figure('until /ready was red', await isRed, { atMost: 500, unit: 'ms', isTimed: true })
    // The contracts name the code of each door: Milky 3.3 (16), IM-Suite 2.1, maim 9.
    t.strictSame(closes.toSorted(), ['event 1001', 'maim 1012', 'milky 1001', 'person 1001'])

    const again = await startService(t, dir)
    await waitFor(() => hasHeardAll(hook.all, accepted, world), 'the webhook to have heard everything')
    t.match(await again.kill('SIGTERM'), { code: 0 })
    figure('until a second SIGTERM had ended it', await forceEnd(await startStuck(t, dir)), {
      atMost: 1000,
      unit: 'ms',
      isTimed: true
    })
    if (!isFull) return
    const stuck = await startStuck(t, dir)
    const stoppedAt = performance.now()
    t.match(await stuck.kill('SIGTERM'), { code: 0 }, 'however little others answer')
    figure('until it had ended with a call that never ends', (performance.now() - stoppedAt) / 1000, {
      atMost: 10,
      unit: 's',
      isTimed: true
    })
  }
})

/** A client at each door that has sockets. */
async function openDoors(t: Test, { url, ws }: Service, token: string) {
  const response = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'alice', password: 'alice-secret' })
  })
  const { token: jwt } = (await response.json()) as { token: string }
  const addresses = {
    milky: `${ws}/?access_token=${token}`,
    event: `${ws}/event?access_token=${token}`,
    person: `${ws}/ws?token=${jwt}`,
    maim: `${ws}/maim/ws?api_key=key-of-the-second&platform=test`
  }
  return Promise.all(
    Object.entries(addresses).map(async ([name, address]) => ({ name, closed: (await openSocket(t, address)).closed }))
  )
}

/** Milliseconds until nobody can take the gateway for ready any more. */
async function untilRed({ url }: Service, startedAt: number): Promise<number> {
  await waitFor(async () => {
    const response = await fetch(`${url}/ready`).catch(() => undefined)
    await response?.arrayBuffer().catch(() => {})
    return response?.status !== 200
  }, '/ready to be red')
  return performance.now() - startedAt
}

function readTexts(path: string): Set<string> {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    const rows = db.prepare('select segments from messages').all()
    return new Set(rows.flatMap(({ segments }) => /message \d+/.exec(String(segments))?.[0] ?? []))
  } finally {
    db.close()
  }
}

/** Whether the webhook of the first bot was told of everything that others said in its group. */
function hasHeardAll(told: readonly { readonly text: string }[], accepted: readonly string[], world: World): boolean {
  const heard = new Set(told.flatMap(({ text }) => /message \d+/.exec(text)?.[0] ?? []))
  return accepted.every((words) => {
    const bot = Number(words.replace('message ', '')) % world.tokens.length
    return bot === 0 || world.groupOf(bot) !== world.groupOf(0) || heard.has(words)
  })
}

/** A gateway that waits for the body of a call, which never comes, and for a bot that does not answer its close. */
async function startStuck(t: Test, dir: string): Promise<Service> {
  const service = await startService(t, dir)
  const token = 'token-of-bot-10001-for-tests'
  const { socket: bot } = await openSocket(t, `${service.ws}/?access_token=${token}`)
  bot.pause()
  const { port } = new URL(service.url)
  const socket = connect(Number(port), '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  const lines = [
    'Host: localhost',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    'Content-Length: 9'
  ]
  socket.write(['POST /get_login_info HTTP/1.1', ...lines, 'Expect: 100-continue', '', ''].join('\r\n'))
  await once(socket, 'data')
  return service
}

/** Milliseconds from a second SIGTERM to the end. */
async function forceEnd(service: Service): Promise<number> {
  void service.kill('SIGTERM')
  await waitFor(() => service.log().includes('shutting down'), 'the first signal')
  const startedAt = performance.now()
  await service.kill('SIGTERM')
  return performance.now() - startedAt
}

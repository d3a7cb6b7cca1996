import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { startBotServer, type BotServer } from '../helpers/bot-server.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { startService, type Service } from '../helpers/service.ts'
import { openSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'
import { startWebhook } from '../helpers/webhook.ts'
import { fault } from './lab/fault.ts'
import { createWorld, startLoad } from './lab/load.ts'

/** The bot whose token changes with every reload, by its place in the world; nobody speaks as it. */
const CHANGING = 10
const BOTS = 11

fault({
  number: 43,
  title: 'the configuration is read again and again under load',
  mark: 'config reload ×100 under load: 1 connection per entry, tokens applied, untouched entries not cut, bad file keeps the old one',
  async run({ t, size, figure }) {
    const reloads = size(8, 100)
    const world = createWorld({ bots: BOTS, groups: 2 })
    const [kept, keptLink, changed, comesAndGoes] = await Promise.all([1, 2, 3, 4].map(() => startBotServer(t)))
    const hook = await startWebhook(t)
    if (!kept || !keptLink || !changed || !comesAndGoes) throw new Error('there is no server')

    const dir = makeDirectory(t)
    const tokenOf = (round: number): string => `token-of-round-${round}-for-tests`
    function write(round: number): void {
      const [first, second, ...others] = world.config.bots
      const bots = [
        {
          ...first,
          webhooks: [{ url: hook.url, events: ['message_receive'] }],
          reverse_ws: [{ url: kept?.url }],
          maim: [{ url: keptLink?.url, mode: 'legacy' }]
        },
        {
          ...second,
          // Something about one entry is other in each round, and another is there in every second.
          reverse_ws: [
            { url: changed?.url, access_token: `round-${round}` },
            ...(round % 2 === 0 ? [{ url: comesAndGoes?.url }] : [])
          ]
        },
        ...others.map((bot, index) => (index + 2 === CHANGING ? { ...bot, access_token: tokenOf(round) } : bot))
      ]
      writeFileSync(join(dir, 'lactea.yaml'), stringify({ ...world.config, bots, data: { dir: join(dir, 'data') } }))
    }

    write(0)
    const service = await startService(t, dir)
    const load = await startLoad(t, {
      world: { ...world, tokens: world.tokens.slice(0, CHANGING) },
      url: service.url,
      perSecond: size(50, 200)
    })
    let holder = await openSocket(t, `${service.ws}/?access_token=${tokenOf(0)}`)
    const untouched = [await kept.next(), await keptLink.next()]
    await seeToken(t, changed, 0)
    const bystander = await openSocket(t, `${service.ws}/?access_token=${world.tokens[0]}`)
    const cut: number[] = []
    for (const socket of [...untouched, bystander]) void socket.closed.then(({ code }) => cut.push(code))

    let [badTaken, tokensMissed] = [0, 0]
    let revokedMs = 0
    for (let round = 1; round <= reloads; round++) {
      if (round % 4 === 0) {
        writeFileSync(join(dir, 'lactea.yaml'), 'server:\n  host: 127.0.0.1\n  prot: 1\nbots: []\n')
        await reload(service, 'the old one stays')
        const stays = await callAs(service, tokenOf(round - 1))
        if (stays !== 200 || !service.log().includes('lactea.yaml:3')) badTaken++
      }
      write(round)
      const startedAt = performance.now()
      await reload(service, 'the configuration was read again and applied')
      const statuses = [await callAs(service, tokenOf(round)), await callAs(service, tokenOf(round - 1))]
      if (statuses[0] !== 200 || statuses[1] === 200) tokensMissed++
      await holder.closed
      revokedMs = Math.max(revokedMs, performance.now() - startedAt)
      holder = await openSocket(t, `${service.ws}/?access_token=${tokenOf(round)}`)
      await waitFor(() => changed.open() === 1 && comesAndGoes.open() === (round % 2 === 0 ? 1 : 0))
      await seeToken(t, changed, round)
    }
    await load.stop()

    figure('connections of one entry at once, at most', Math.max(...mostOf([kept, keptLink, changed, comesAndGoes])), {
      is: 1
    })
    figure('untouched connections that were cut', cut.length, { is: 0 })
    figure('reloads whose tokens did not count', tokensMissed, { is: 0 })
    figure('bad files that changed something', badTaken, { is: 0 })
    figure('calls that failed meanwhile', load.counts().failed, { is: 0 })
    figure('until a socket with a void token was closed', revokedMs, { atMost: 5000, unit: 'ms', isTimed: true })
    t.ok(load.counts().accepted > 0)
    await waitFor(() => hook.all.length > 0, 'an event for the webhook')
  }
})

const mostOf = (servers: readonly BotServer[]): number[] => servers.map((server) => server.most())

/** The newest connection is the one of this round; those before it are over. */
async function seeToken(t: Test, server: BotServer, round: number): Promise<void> {
  for (;;) {
    const { request } = await server.next()
    const token = new URL(request.url ?? '', 'ws://here.invalid').searchParams.get('access_token')
    if (token === `round-${round}`) return
    t.comment(`a connection of ${token} in round ${round}`)
  }
}

const seen = new WeakMap<Service, number>()

/** Tells the service to read its configuration, and waits until it has said what came of it. */
async function reload(service: Service, says: string): Promise<void> {
  const from = seen.get(service) ?? service.log().length
  process.kill(service.pid, 'SIGHUP')
  await waitFor(() => service.log().slice(from).includes(says), says)
  seen.set(service, service.log().length)
}

async function callAs(service: Service, token: string): Promise<number> {
  const response = await fetch(`${service.url}/get_login_info`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{}'
  })
  await response.arrayBuffer()
  return response.status
}

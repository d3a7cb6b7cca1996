import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Test } from 'tap'
import { makeDirectory } from '../helpers/directory.ts'
import { startService, type Service } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { startWebhook, type Delivered } from '../helpers/webhook.ts'
import { fault } from './lab/fault.ts'
import { createWorld, startLoad, writeWorld, type World } from './lab/load.ts'

/** What one webhook has under way at a time. */
const IN_FLIGHT = 8

fault({
  number: 1,
  title: 'kill -9 in the middle of webhooks',
  mark: 'kill -9 the gateway 20 times at random during 10 000 webhooks: 0 lost, duplicates ≤ in-flight limit per kill (≤ 8), all with the same id.',
  fullMs: 240_000,
  async run({ t, size, figure }) {
    const [kills, messages] = [size(3, 20), size(600, 10_000)]
    const hook = await startWebhook(t)
    const dir = makeDirectory(t)
    const speakers = writeListener(dir, hook.url)
    const repeats: number[] = []
    let [accepted, before] = [0, 0]
    const countRepeats = (): number => {
      const all = hook.all.length - new Set(hook.all.map(idOf)).size
      const since = all - before
      before = all
      return since
    }
    for (let kill = 0; kill < kills; kill++) {
      const service = await startService(t, dir)
      accepted += await talk(t, service, speakers, {
        count: Math.ceil((messages / kills) * (0.5 + Math.random() / 2)),
        end: () => service.kill('SIGKILL')
      })
      repeats.push(countRepeats())
    }
    const service = await startService(t, dir)
    accepted += await talk(t, service, speakers, { count: Math.max(1, messages - accepted), end: async () => {} })
    const stored = readIds(join(dir, 'data', 'lactea.db'))
    const lost = (): number => {
      const heard = new Set(hook.all.map(idOf))
      return stored.filter((id) => !heard.has(`evt_${id}`)).length
    }
    await waitFor(() => lost() === 0, 'the webhook to have heard everything', 60_000).catch(() => {})
    await service.kill('SIGTERM')
    repeats.push(countRepeats())

    const ids = new Map(hook.all.map((delivered) => [delivered.body.data.message_id as string, idOf(delivered)]))
    const renamed = hook.all.filter((delivered) => ids.get(delivered.body.data.message_id) !== idOf(delivered))
    figure('accepted', accepted, { atLeast: messages })
    figure('accepted and not stored', Math.max(0, accepted - stored.length), { is: 0 })
    figure('lost', lost(), { is: 0 })
    figure('most repeated after one kill', Math.max(...repeats), { atMost: IN_FLIGHT })
    figure('repeated under another id', renamed.length, { is: 0 })
  }
})

/** Twenty groups in which two bots each speak, and one that hears all of them by a webhook. */
function writeListener(dir: string, url: string): World {
  const world = createWorld({ bots: 41, groups: 20 })
  const listener = world.config.bots.at(-1)
  const { groups } = world.config['provision'] as { groups: { owner: number; members: number[] }[] }
  for (const group of groups) group.members = [...new Set([...group.members, listener?.id ?? 0])]
  writeWorld(dir, world, {
    bots: [...world.config.bots.slice(0, -1), { ...listener, webhooks: [{ url, parallel: IN_FLIGHT }] }],
    limits: { http_rate: 1_000_000 }
  })
  return { ...world, tokens: world.tokens.slice(0, -1) }
}

/** Lets them speak until so many messages are accepted, then comes the end; gives how many there were. */
async function talk(
  t: Test,
  { url }: Service,
  world: World,
  { count, end }: { readonly count: number; readonly end: () => Promise<unknown> }
): Promise<number> {
  const load = await startLoad(t, { world, url, perSecond: 500, listeners: 0 })
  await waitFor(() => load.counts().accepted >= count, 'the load', 60_000)
  await end()
  await load.stop()
  return load.counts().accepted
}

function readIds(path: string): number[] {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    return db
      .prepare('select id from messages')
      .all()
      .map(({ id }) => id as number)
  } finally {
    db.close()
  }
}

function idOf({ headers }: Delivered): string {
  return String(headers['webhook-id'])
}

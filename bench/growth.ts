import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Bench, Figures, Goal } from './lib/bench.ts'
import { makeDir, measure } from './lib/child.ts'
import { openHttpLoad } from './lib/raw-http.ts'
import { openFanOut } from './fan-out.ts'
import { listeners, sender, startService } from './lib/service.ts'
import { openWebhookRoom } from './lib/webhook-room.ts'

const FILL = fileURLToPath(new URL('./lib/fill.ts', import.meta.url))
/** How much dearer the largest may be than the smallest. */
const FLAT = 1.25

/** One size of a thing that grows: what it costs, by name. */
interface Sized {
  readonly costs: (seconds: number) => Promise<Record<string, number>>
  readonly close: () => Promise<void>
}

interface Growth {
  readonly name: string
  readonly what: string
  readonly sizes: readonly number[]
  /** Costs that have to stay as they are while it grows. */
  readonly flat: readonly string[]
  /** Further costs that are shown. */
  readonly shown?: readonly string[]
  /** What they have to be. */
  readonly goals?: readonly Goal[]
  readonly open: (size: number) => Promise<Sized>
}

/** All sizes are there at once and take turns, so that a machine that becomes slower does so for all of them. */
function growthBench({ name, what, sizes, flat, shown = [], goals = [], open }: Growth): Bench {
  const costs = [...flat, ...shown]
  return {
    name,
    what,
    figure: 'growth',
    more: costs.flatMap((cost) => sizes.map((size) => label(cost, size))),
    goals: [
      ...flat.map((cost) => ({
        figure: `${cost}Growth`,
        atMost: FLAT,
        says: `${cost} at no size > 1.25 × at ${words(sizes[0] ?? 0)}`
      })),
      ...goals
    ],
    async prepare() {
      const all: Sized[] = []
      for (const size of sizes) all.push(await open(size))
      return {
        async service(seconds) {
          const figures: Record<string, number> = {}
          for (const [index, sized] of all.entries())
            for (const [cost, value] of Object.entries(await sized.costs(seconds)))
              figures[label(cost, sizes[index] ?? 0)] = value
          const growthOf = (cost: string): number => {
            const [first = Number.NaN, ...others] = sizes.map((size) => figures[label(cost, size)] ?? Number.NaN)
            return Math.max(...others.map((value) => value / first))
          }
          for (const cost of costs) figures[`${cost}Growth`] = growthOf(cost)
          return { growth: Math.max(...flat.map(growthOf)), ...figures } satisfies Figures
        },
        close: async () => void (await Promise.all(all.map((sized) => sized.close())))
      }
    }
  }
}

const label = (cost: string, size: number): string => `${cost} at ${words(size)}`
const words = (size: number): string => size.toLocaleString('en')

/** Groups of the service that is filled; a chat of its own would be as long as all messages. */
const CHATS = 10
const FIRST_CHAT = 200_001
const chats = Array.from({ length: CHATS }, (_, index) => FIRST_CHAT + index)
const message = [{ type: 'text', data: { text: 'A message as people write them, not long. '.repeat(2) } }]

async function openStored(count: number): Promise<Sized> {
  const dir = makeDir()
  const members = listeners.map(({ id }) => id)
  const config = {
    provision: { groups: chats.map((id) => ({ id, name: `Group ${id}`, owner: sender.id, members })) }
  }
  await (await startService({ config, dir })).child.stop()
  const filled = spawnSync(process.execPath, [
    FILL,
    join(dir, 'data', 'lactea.db'),
    ...[FIRST_CHAT, CHATS, sender.id, count].map(String)
  ])
  if (filled.status !== 0) throw new Error(`the database could not be filled: ${String(filled.stderr)}`)

  const begunAt = performance.now()
  const { child, port } = await startService({ config, dir })
  await fetch(`http://127.0.0.1:${port}/health`)
  const startMs = performance.now() - begunAt

  const perChat = Math.ceil(count / CHATS)
  const open = (path: string, bodies: object[]) =>
    openHttpLoad({
      port,
      path,
      token: sender.access_token,
      bodies: bodies.map((body) => JSON.stringify(body)),
      connections: 64
    })
  const place = (peer_id: number): object => ({ message_scene: 'group', peer_id, limit: 20 })
  const loads = {
    send: open(
      '/api/send_group_message',
      chats.map((group_id) => ({ group_id, message }))
    ),
    newest: open('/api/get_history_messages', chats.map(place)),
    // Spread over all that was ever said.
    older: open(
      '/api/get_history_messages',
      Array.from({ length: 997 }, (_, index) => ({
        ...place(chats[(index * 31) % CHATS] ?? 0),
        start_message_seq: 20 + ((index * 7919) % Math.max(1, perChat - 20))
      }))
    )
  }
  return {
    async costs(seconds) {
      const figures: Record<string, number> = { startMs }
      for (const [name, load] of Object.entries(loads))
        figures[`${name}CpuUs`] = (await measure(child, () => load.run(seconds)))['cpuUs'] ?? Number.NaN
      return figures
    },
    async close() {
      for (const load of Object.values(loads)) load.close()
      await child.stop()
    }
  }
}

/** Members of whom twenty are connected: the others cost nothing but their names. */
async function openMembers(count: number): Promise<Sized> {
  const people = Array.from({ length: Math.max(0, count - listeners.length - 1) }, (_, index) => 30_001 + index)
  const members = [...listeners.map(({ id }) => id), ...people]
  const room = await openFanOut({
    audience: 20,
    config: {
      provision: {
        accounts: people.map((id) => ({ id, kind: 'person', nickname: `Person ${id}` })),
        groups: [{ id: 100001, name: 'Bench', owner: sender.id, members }]
      }
    }
  })
  return {
    async costs(seconds) {
      return { cpuUs: ((await measure(room.child, () => room.load(seconds)))['cpuUs'] ?? Number.NaN) * 20 }
    },
    close: room.close
  }
}

export const growthBenches: readonly Bench[] = [
  growthBench({
    name: 'grow-sockets',
    what: 'CPU of one delivery of a group message, by sockets that hear it',
    sizes: [100, 1000, 5000, 10_000],
    flat: ['cpuUs'],
    async open(audience) {
      const { child, load, close } = await openFanOut({ audience })
      return {
        costs: async (seconds) => ({ cpuUs: (await measure(child, () => load(seconds)))['cpuUs'] ?? Number.NaN }),
        close
      }
    }
  }),
  growthBench({
    name: 'grow-members',
    what: 'CPU of one group message that twenty sockets hear, by members of the group',
    sizes: [20, 500, 5000],
    flat: ['cpuUs'],
    open: openMembers
  }),
  growthBench({
    name: 'grow-webhooks',
    what: 'CPU of one webhook delivery, by bots with a webhook each',
    sizes: [1, 10, 100],
    flat: ['cpuUs'],
    async open(bots) {
      const { child, load, close } = await openWebhookRoom({
        bots,
        targets: 1,
        window: Math.max(8, Math.round(512 / bots))
      })
      return {
        costs: async (seconds) => ({ cpuUs: (await measure(child, () => load(seconds)))['cpuUs'] ?? Number.NaN }),
        close
      }
    }
  }),
  growthBench({
    name: 'grow-stored',
    what: 'CPU of one send and of reading twenty messages, the newest and older ones, and the start, by messages that are stored',
    sizes: [1000, 100_000, 1_000_000, 10_000_000],
    flat: ['sendCpuUs', 'newestCpuUs', 'olderCpuUs'],
    shown: ['startMs'],
    goals: [
      {
        figure: label('startMs', 1_000_000),
        atMost: 1000,
        says: 'from nothing to /health ≤ 1 s with a million messages'
      }
    ],
    open: openStored
  })
]

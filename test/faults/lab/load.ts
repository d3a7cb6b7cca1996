import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { Pool } from 'undici'
import { WebSocket } from 'ws'
import { stringify } from 'yaml'

/** Bots in groups that talk all the time; the reference load is 100 bots and 200 messages per second. */
export interface World {
  readonly config: { readonly bots: readonly { readonly id: number; readonly access_token: string }[] } & Record<
    string,
    unknown
  >
  readonly tokens: readonly string[]
  /** Every tenth bot or so shares one of these with the others of it. */
  readonly groupIds: readonly number[]
  /** The group that a bot speaks in, by its place in `tokens`. */
  readonly groupOf: (bot: number) => number
}

export function createWorld({ bots = 100, groups = 10 }: { bots?: number; groups?: number } = {}): World {
  const ids = Array.from({ length: bots }, (_, index) => 10_001 + index)
  const groupIds = Array.from({ length: groups }, (_, index) => 100_001 + index)
  const tokens = ids.map((id) => `token-of-bot-${id}-for-tests`)
  const membersOf = (group: number): number[] => ids.filter((_, index) => index % groups === group)
  return {
    tokens,
    groupIds,
    groupOf: (bot) => groupIds[bot % groups] as number,
    config: {
      bots: ids.map((id, index) => ({ id, access_token: tokens[index] as string })),
      provision: {
        groups: groupIds.map((id, group) => {
          const [owner, ...members] = membersOf(group)
          return { id, name: `Group ${group}`, owner, members }
        })
      }
    }
  }
}

/** Writes `lactea.yaml` of the world into the directory, with what else it should say. */
export function writeWorld(dir: string, world: World, more: Record<string, unknown> = {}): void {
  writeFileSync(join(dir, 'lactea.yaml'), stringify({ ...world.config, ...more, data: { dir: join(dir, 'data') } }))
}

export interface Load {
  /** Calls that were sent, answered with `ok`, and answered otherwise or not at all. */
  readonly counts: () => { readonly sent: number; readonly accepted: number; readonly failed: number }
  /** Words of every message that was accepted. */
  readonly accepted: () => readonly string[]
  /** Milliseconds from sending to the answer, of every accepted call since the last look. */
  readonly takeLatencies: () => number[]
  /** Events that the listening bots have heard. */
  readonly heard: () => number
  /** Sends no more; resolves when everything that was sent is answered or has failed. */
  readonly stop: () => Promise<void>
}

export interface LoadOptions {
  readonly world: World
  /** `http://host:port` */
  readonly url: string
  readonly perSecond?: number
  /** Bots that listen on a WebSocket; all by default. */
  readonly listeners?: number
}

/** Lets every bot speak in its group in turn, at a steady pace; gone when the test ends. */
export async function startLoad(t: Test, options: LoadOptions): Promise<Load> {
  const { world, url, perSecond = 200, listeners = world.tokens.length } = options
  const pool = new Pool(url, { connections: 32 })
  const accepted: string[] = []
  const under = new Set<Promise<void>>()
  const sockets = world.tokens.slice(0, listeners).map((token) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/?access_token=${token}`)
    socket.on('error', () => {})
    socket.on('message', () => heard++)
    return socket
  })
  let latencies: number[] = []
  let sent = 0
  let failed = 0
  let heard = 0
  let isStopped = false
  await Promise.all(sockets.map((socket) => once(socket, 'open')))

  async function say(bot: number, words: string): Promise<void> {
    const startedAt = performance.now()
    try {
      const { body, statusCode } = await pool.request({
        method: 'POST',
        path: '/send_group_message',
        headers: { authorization: `Bearer ${world.tokens[bot]}`, 'content-type': 'application/json' },
        body: JSON.stringify({ group_id: world.groupOf(bot), message: [{ type: 'text', data: { text: words } }] })
      })
      const { status } = (await body.json()) as { status: string }
      if (statusCode !== 200 || status !== 'ok') throw new Error(`answered ${statusCode} ${status}`)
      latencies.push(performance.now() - startedAt)
      accepted.push(words)
    } catch {
      failed++
    }
  }

  async function talk(): Promise<void> {
    const startedAt = performance.now()
    while (!isStopped) {
      const due = Math.floor(((performance.now() - startedAt) / 1000) * perSecond)
      for (; sent < due; sent++) {
        const saying = say(sent % world.tokens.length, `message ${sent}`)
        under.add(saying)
        void saying.finally(() => under.delete(saying))
      }
      await delay(5)
    }
  }
  const talking = talk()

  async function stop(): Promise<void> {
    isStopped = true
    await talking
    await Promise.all(under)
  }
  t.teardown(async () => {
    await stop()
    for (const socket of sockets) socket.terminate()
    await pool.destroy()
  })

  return {
    counts: () => ({ sent, accepted: accepted.length, failed }),
    accepted: () => accepted,
    takeLatencies() {
      const taken = latencies
      latencies = []
      return taken
    },
    heard: () => heard,
    stop
  }
}

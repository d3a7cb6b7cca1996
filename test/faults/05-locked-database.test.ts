import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { Pool } from 'undici'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { readKept } from './lab/database.ts'
import { fault } from './lab/fault.ts'
import { createWorld, startLoad, writeWorld, type World } from './lab/load.ts'
import { MIB, rssOf } from './lab/process.ts'

fault({
  number: 5,
  title: 'another process locks the database',
  mark: 'DB down 30 s (PG stopped; SQLite locked by another process): `/ready` red ≤ 3 s, `/live` green, 0 accepted lost, no unbounded queue (RSS growth ≤ 64 MB), green ≤ 5 s after',
  async run({ t, size, figure }) {
    const dir = makeDirectory(t)
    const world = createWorld({ bots: size(10, 100) })
    writeWorld(dir, world)
    const service = await startService(t, dir)
    const load = await startLoad(t, { world, url: service.url, perSecond: size(100, 200) })
    await waitFor(() => load.counts().accepted > size(50, 1000), 'messages before')
    const isReady = async (): Promise<boolean> => (await fetch(`${service.url}/ready`)).status === 200
    t.ok(await isReady())

    const crowd = await gather(t, service.url, world, size(100, 2500))
    const path = join(dir, 'data', 'lactea.db')
    const other = new DatabaseSync(path, { timeout: 10_000 })
    t.teardown(() => other.isOpen && other.close())
    const usual = rssOf(service.pid)
    other.exec('begin exclusive')
    const lockedAt = performance.now()
    await waitFor(async () => !(await isReady()), 'the gateway to say that it is not ready')
    const redAfterMs = performance.now() - lockedAt
    const refusal = await fetch(`${service.url}/ready`)
    t.match([refusal.status, await refusal.json()], [503, { reason: /another program has locked it/ }])

    const shouting = crowd.shout()
    let [largest, dead] = [usual, 0]
    const until = lockedAt + size(6500, 30_000)
    while (performance.now() < until) {
      largest = Math.max(largest, rssOf(service.pid))
      if ((await fetch(`${service.url}/live`)).status !== 200) dead++
      await delay(100)
    }
    const shouted = await shouting
    other.exec('rollback')
    other.close()
    const freedAt = performance.now()
    await waitFor(isReady, 'the gateway to be ready')
    const greenAfterMs = performance.now() - freedAt
    const { accepted } = load.counts()
    await waitFor(() => load.counts().accepted > accepted + 50, 'messages after')
    await load.stop()
    const { failed } = load.counts()
    await service.kill('SIGTERM')

    const kept = readKept(path)
    figure('/ready is red after', redAfterMs, { atMost: 3000, unit: 'ms', isTimed: true })
    figure('/live was not green', dead, { is: 0 })
    figure('refused or unanswered sends', failed + shouted.filter(({ isAccepted }) => !isAccepted).length, {
      atLeast: 1
    })
    figure('accepted and missing', load.accepted().filter((words) => !kept.words.has(words)).length, { is: 0 })
    const wrong = shouted.filter(({ words, isAccepted }) => isAccepted !== kept.words.has(words))
    figure('of a crowd of thousands: refused and there, or accepted and missing', wrong.length, { is: 0 })
    figure('half rows', kept.halves, { is: 0 })
    figure('growth of memory', (largest - usual) / MIB, { atMost: 64, unit: 'MiB', isTimed: true })
    figure('/ready is green after', greenAfterMs, { atMost: 5000, unit: 'ms', isTimed: true })
    figure('lines in the log that say so', service.log().split('the database cannot be written').length - 1, { is: 1 })
  }
})

interface Crowd {
  /** All of them say something long at the same time. */
  readonly shout: () => Promise<{ words: string; isAccepted: boolean }[]>
}

/** So many that are connected and have shouted before, so that what grows later is what waits. */
async function gather(t: Test, url: string, { tokens, groupOf }: World, count: number): Promise<Crowd> {
  const pool = new Pool(url, { connections: count, keepAliveTimeout: 60_000 })
  t.teardown(() => pool.destroy())

  let shouts = 0

  async function call(index: number, api: string, params: object): Promise<boolean> {
    const { body } = await pool.request({
      method: 'POST',
      path: `/${api}`,
      headers: { authorization: `Bearer ${tokens[index % tokens.length]}`, 'content-type': 'application/json' },
      body: JSON.stringify(params)
    })
    return ((await body.json()) as { status: string }).status === 'ok'
  }
  const all = <T>(work: (index: number) => Promise<T>): Promise<T[]> =>
    Promise.all(Array.from({ length: count }, (_, index) => work(index)))

  const shout: Crowd['shout'] = () =>
    all(async (index) => {
      const words = `shout ${shouts++} ${'x'.repeat(8000)}`
      const message = [{ type: 'text', data: { text: words } }]
      const params = { group_id: groupOf(index % tokens.length), message }
      return { words, isAccepted: await call(index, 'send_group_message', params) }
    })
  await shout()
  return { shout }
}

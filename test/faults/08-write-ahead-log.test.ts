import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { openDatabase } from '../../src/store/open.ts'
import { fault } from './lab/fault.ts'
import { createWorld, startLoad, writeWorld } from './lab/load.ts'
import { MIB } from './lab/process.ts'

fault({
  number: 8,
  title: 'every commit is flushed and the write-ahead log stays short',
  mark: '`synchronous` is FULL on the outbox connection after each reopen, WAL checkpoint never above 64 MB at reference load',
  async run({ t, size, figure }) {
    const dir = makeDirectory(t)
    const world = createWorld({ bots: size(10, 100) })
    writeWorld(dir, world)
    const path = join(dir, 'data', 'lactea.db')
    const service = await startService(t, dir)
    const load = await startLoad(t, { world, url: service.url })
    let longest = 0
    const until = performance.now() + size(2000, 60_000)
    while (performance.now() < until) {
      longest = Math.max(longest, statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0)
      await delay(20)
    }
    await load.stop()
    const { accepted, failed } = load.counts()
    await service.kill('SIGTERM')

    let weak = 0
    const reopened = size(3, 20)
    for (let count = 0; count < reopened; count++) {
      // The one connection that the gateway writes with.
      const { db } = await openDatabase(path)
      const valueOf = (pragma: string): unknown => Object.values(db.prepare(`pragma ${pragma}`).get() ?? {})[0]
      if (valueOf('synchronous') !== 2 || valueOf('journal_mode') !== 'wal') weak++
      db.close()
    }
    figure('openings without synchronous=FULL', weak, { is: 0 })
    figure('accepted sends', accepted, { atLeast: 1 })
    figure('refused sends', failed, { is: 0, isTimed: true })
    figure('longest write-ahead log', longest / MIB, { atMost: 64, unit: 'MiB' })
  }
})

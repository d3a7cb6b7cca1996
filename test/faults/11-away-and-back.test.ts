import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { openSqliteStore } from '../../src/store/index.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { fault } from './lab/fault.ts'
import { createReader, flood, PAIR, pairConfig } from './lab/reader.ts'

const GROUPS = 20

fault({
  number: 11,
  title: 'away and back',
  mark: 'Bot away 10 min at reference load, back with `since`: all missed in order, `resumed:true`, ≤ 10 s for 100 000 events; older than retention → `resumed:false` + `oldest_seq`, never silence.',
  fullMs: 300_000,
  async run({ t, size, figure }) {
    // Ten minutes of the reference load are 120 000 events.
    const events = size(3000, 120_000)
    const kept = size(1000, 40_000)
    const dir = makeDirectory(t, pairConfig(GROUPS))
    const service = await startService(t, dir)
    const reader = createReader(t, { url: () => service.ws, token: PAIR.listener })
    await reader.start()
    const begin = String(reader.answer()['lactea-cursor'])
    await reader.stop()
    await flood({ url: service.url, token: PAIR.speaker, groups: GROUPS, count: events })

    const startedAt = performance.now()
    await reader.start()
    await waitFor(() => reader.heard() >= events, 'all that was missed', 120_000)
    const seconds = (performance.now() - startedAt) / 1000
    figure('told that nothing is missing', Number(reader.answer()['lactea-resumed'] === 'true'), { is: 1 })
    figure('missed events that were heard', reader.heard(), { is: events })
    figure('gaps and inversions', reader.gaps() + reader.inversions(), { is: 0 })
    figure('100 000 events in', (seconds / events) * 100_000, { atMost: 10, unit: 's', isTimed: true })
    await reader.stop()
    await service.kill('SIGTERM')

    // The log forgets; the one who was away for longer is told, and hears all that there is.
    writeFileSync(join(dir, 'lactea.yaml'), stringify(pairConfig(GROUPS, { log_count: kept })))
    const again = await startService(t, dir)
    const store = await openSqliteStore({ path: join(dir, 'data/lactea.db'), isShort: true })
    t.teardown(() => store.close())
    const isDropped = async (): Promise<boolean> => (await store.lastEventId()) - (await store.oldestCursor()) <= kept
    await waitFor(isDropped, 'the log to be shortened', 120_000)
    const late = createReader(t, { url: () => again.ws, token: PAIR.listener, since: begin })
    await late.start()
    await waitFor(() => late.heard() >= kept, 'what there is', 60_000)
    const answer = late.answer()
    figure('too late: told that something is missing', Number(answer['lactea-resumed'] === 'false'), { is: 1 })
    figure('too late: told the oldest place', Number(answer['lactea-oldest']), { is: await store.oldestCursor() })
    figure('too late: events heard', late.heard(), { is: kept })
    figure('too late: gaps and inversions', late.gaps() + late.inversions(), { is: 0 })
  }
})

import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createFiles } from '../../src/core/files.ts'
import { openBlobs } from '../../src/files/blobs.ts'
import { openSqliteStore } from '../../src/store/index.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { runLactea, startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { readKept } from './lab/database.ts'
import { fault } from './lab/fault.ts'
import { createWorld, startLoad, writeWorld } from './lab/load.ts'
import { MIB, percentile } from './lab/process.ts'

fault({
  number: 6,
  title: 'a backup under load',
  mark: '`backup` while 200 events/s: restore opens, `integrity_check` ok, holds every event accepted before the start; p99 during backup ≤ 2 × normal',
  async run({ t, size, figure }) {
    const dir = makeDirectory(t)
    const world = createWorld({ bots: size(10, 100) })
    writeWorld(dir, world)
    await addBallast(join(dir, 'data'), size(1, 100), (err) => t.error(err))
    const service = await startService(t, dir)
    const load = await startLoad(t, { world, url: service.url, perSecond: size(100, 200) })
    await waitFor(() => load.counts().accepted > size(100, 2000), 'messages before')
    load.takeLatencies()
    await waitFor(() => load.counts().accepted > size(200, 6000), 'messages to measure by')
    const usual = percentile(load.takeLatencies(), 0.99)

    const during: number[] = []
    const wanted = new Set<string>()
    const rounds = size(1, 3)
    for (let round = 0; round < rounds; round++) {
      for (const words of load.accepted()) wanted.add(words)
      load.takeLatencies()
      const made = await runLactea(['backup', `${round}.tar`], { cwd: dir })
      t.match(made, { code: 0, stdout: /, checked\n/ })
      during.push(...load.takeLatencies())
    }
    await load.stop()
    figure('refused sends', load.counts().failed, { is: 0, isTimed: true })

    const restored = join(dir, 'restored')
    const put = await runLactea(['restore', `${rounds - 1}.tar`, '--data-dir', restored], { cwd: dir })
    t.equal(put.code, 0, put.stderr)
    const kept = readKept(join(restored, 'lactea.db'))
    const again = await startService(t, dir, ['--data-dir', restored])
    t.equal((await fetch(`${again.url}/ready`)).status, 200)
    figure('integrity_check of what was restored is ok', Number(kept.integrity === 'ok'), { is: 1 })
    figure('half rows', kept.halves, { is: 0 })
    figure('accepted before the start and missing', [...wanted].filter((words) => !kept.words.has(words)).length, {
      is: 0
    })
    t.equal(put.stdout.includes(`${size(1, 100)} uploaded file`), true, 'and the files')
    figure('usual p99', usual, { atLeast: 0, unit: 'ms', isTimed: true })
    figure('p99 during backups, of the usual', percentile(during, 0.99) / usual, {
      atMost: 2,
      unit: '×',
      isTimed: true,
      missedBecause:
        'the start of the command itself takes a third of a second of a processor that it shares with the gateway; the copying does not show'
    })
  }
})

/** So many megabytes in the database, and as many in uploaded files. */
async function addBallast(dir: string, mebibytes: number, onError: (err: unknown) => void): Promise<void> {
  mkdirSync(dir)
  const store = await openSqliteStore({ path: join(dir, 'lactea.db'), isShort: true })
  const owner = await store.addAccount({ id: 20_000, kind: 'person', nickname: 'Hoarder', createdAt: 1 })
  const blobs = await openBlobs(join(dir, 'files'))
  const files = createFiles({ store, blobs, now: () => 1, maxBytes: MIB, onError })
  for (let count = 0; count < mebibytes; count++) {
    await store.setMeta(`ballast ${count}`, randomBytes(MIB / 2).toString('hex'))
    await files.add({ ownerId: owner.id, bytes: [randomBytes(MIB)] })
  }
  await store.close()
}

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import type { Content } from '../../src/core/files.ts'
import { openBlobs, type BlobStore } from '../../src/files/blobs.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { png } from '../helpers/pictures.ts'

const PICTURE = png(30, 20)
const SHA = createHash('sha256').update(PICTURE).digest('hex')
const LIMIT = 10_000

/** Paths of all files below the directory. */
const filesIn = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .toSorted()

const keepAll = async (content: Content, keep: () => Promise<void>): Promise<Content> => {
  await keep()
  return content
}

async function open(t: Test): Promise<{ dir: string; blobs: BlobStore }> {
  const dir = join(makeDirectory(t), 'files')
  return { dir, blobs: await openBlobs(dir) }
}

t.test('bytes are kept once, under their digest, for the owner alone', async (t) => {
  const { dir, blobs } = await open(t)
  const halves = [PICTURE.subarray(0, 10), PICTURE.subarray(10)]
  const content = {
    sha256: SHA,
    size: PICTURE.length,
    mime: 'image/png',
    extension: 'png',
    width: 30,
    height: 20,
    durationS: 0
  }
  t.strictSame(await blobs.receive(halves, LIMIT, keepAll), content)
  t.strictSame(await blobs.receive([PICTURE], LIMIT, keepAll), content)
  const path = join(SHA.slice(0, 2), SHA.slice(2))
  t.strictSame(filesIn(dir), [path])
  t.strictSame(readFileSync(join(dir, path)), PICTURE)
  const modes = ['', 'incoming', SHA.slice(0, 2), path].map((name) => statSync(join(dir, name)).mode & 0o777)
  t.strictSame(modes, [0o700, 0o700, 0o700, 0o600])
})

t.test('a part of them can be read', async (t) => {
  const { blobs } = await open(t)
  await blobs.receive([PICTURE], LIMIT, keepAll)
  const stream = await blobs.read(SHA, { start: 1, end: 3 })
  t.equal(stream && String(await buffer(stream)), 'PNG')
  t.equal(await blobs.read('0'.repeat(64), { start: 0, end: 0 }), undefined)
})

t.test('nothing is left of what was not kept', async (t) => {
  const { dir, blobs } = await open(t)
  async function* broken(): AsyncGenerator<Buffer> {
    yield PICTURE
    throw new Error('the client has gone')
  }
  await t.rejects(blobs.receive(broken(), LIMIT, keepAll), new Error('the client has gone'))
  await t.rejects(blobs.receive([PICTURE], PICTURE.length - 1, keepAll), new ActionError('too_large', ''))
  await t.rejects(
    blobs.receive([PICTURE], LIMIT, () => Promise.reject(new Error('not wanted'))),
    new Error('not wanted')
  )
  await blobs.receive([PICTURE], PICTURE.length, async () => {})
  t.strictSame(filesIn(dir), [])
})

t.test('what a crash left half-way is gone at the next start, what was kept stays', async (t) => {
  const { dir, blobs } = await open(t)
  await blobs.receive([PICTURE], LIMIT, keepAll)
  const before = filesIn(dir)
  writeFileSync(join(dir, 'incoming', 'half'), 'half')
  await openBlobs(dir)
  t.strictSame(filesIn(dir), before)
})

t.test('one content is worked on by one at a time, different ones side by side', async (t) => {
  const { blobs } = await open(t)
  const log: string[] = []
  const first = Promise.withResolvers<void>()
  const works = [
    blobs.alone('a', async () => {
      log.push('first begins')
      await first.promise
      log.push('first ends')
    }),
    blobs.alone('a', async () => {
      log.push('second')
      throw new Error('and fails')
    }),
    blobs.alone('a', async () => void log.push('third'))
  ]
  await blobs.alone('b', async () => void log.push('other'))
  first.resolve()
  t.strictSame(
    (await Promise.allSettled(works)).map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled']
  )
  t.strictSame(log, ['first begins', 'other', 'first ends', 'second', 'third'])
})

t.test('removing what is not there is no mistake', async (t) => {
  const { dir, blobs } = await open(t)
  await blobs.receive([PICTURE], LIMIT, keepAll)
  await blobs.remove(SHA)
  await blobs.remove(SHA)
  t.strictSame(filesIn(dir), [])
})

import t, { type Test } from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import { checkKind, guessKind, toFileName } from '../../src/core/files.ts'
import { png, pdf } from '../helpers/pictures.ts'
import { GROUP, MAX_FILE, openWorld, START, who, type World } from './world.ts'

const PICTURE = png(30, 20)

const upload = (world: World, ownerId: number, name?: string): ReturnType<World['files']['add']> =>
  world.files.add({ ownerId, bytes: [PICTURE], name })

async function openWithPicture(t: Test): Promise<World & { fileId: number; send: () => Promise<number> }> {
  const world = await openWorld(t)
  const { id } = await upload(world, who.member, 'cat.png')
  return {
    ...world,
    fileId: id,
    async send() {
      return (await world.sendTo(who.member, GROUP, { type: 'media', kind: 'image', fileId: id })).seq
    }
  }
}

t.test('a file is what its bytes are, and has a name that is safe to show', async (t) => {
  const world = await openWorld(t)
  const { sha256, ...file } = await upload(world, who.member, '../../etc/pass\u202ewd\n.html')
  t.strictSame(file, {
    id: 1,
    ownerId: who.member,
    name: 'passwd.html',
    mime: 'image/png',
    size: PICTURE.length,
    width: 30,
    height: 20,
    durationS: 0,
    createdAt: START
  })
  t.match(sha256, /^[0-9a-f]{64}$/)
  t.equal((await upload(world, who.member)).name, 'image.png')
})

t.test('a second upload of the same bytes works, and is a file of its own', async (t) => {
  const world = await openWorld(t)
  const [one, two] = await Promise.all([upload(world, who.member), upload(world, who.stranger)])
  t.equal(one.sha256, two.sha256)
  t.not(one.id, two.id)
  await t.rejects(world.files.get(who.stranger, one.id), new ActionError('not_found', ''))
})

t.test('what is empty, too large or of another kind is refused', async (t) => {
  const { files } = await openWorld(t)
  const ownerId = who.bot
  await t.rejects(files.add({ ownerId, bytes: [] }), new ActionError('invalid', 'the file is empty'))
  await t.rejects(files.add({ ownerId, bytes: [Buffer.alloc(MAX_FILE + 1)] }), new ActionError('too_large', ''))
  const as = { kind: 'image', field: 'message' } as const
  await t.rejects(files.add({ ownerId, bytes: [pdf()], as }), new ActionError('invalid', '', { field: 'message' }))
  t.equal((await files.add({ ownerId, bytes: [Buffer.alloc(MAX_FILE)] })).name, 'file.bin')
})

t.test('a file is seen by its owner and by the members of chats that it was sent to', async (t) => {
  const { files, groups, send, fileId } = await openWithPicture(t)
  const may = async (accountId: number): Promise<boolean> => {
    const found = await files.get(accountId, fileId).catch((err: ActionError) => err.reason)
    return typeof found === 'object'
  }
  t.strictSame(await Promise.all([who.member, who.member2, who.stranger].map(may)), [true, false, false])
  await send()
  t.strictSame(await Promise.all([who.member, who.member2, who.stranger].map(may)), [true, true, false])
  await groups.quit(who.member2, GROUP)
  t.equal(await may(who.member2), false, 'who left sees it no more')
})

t.test('an owner removes what no message shows', async (t) => {
  const { files, chats, store, send, fileId } = await openWithPicture(t)
  await t.rejects(files.remove(who.member2, fileId), new ActionError('not_found', ''))
  const seq = await send()
  await t.rejects(files.remove(who.member2, fileId), new ActionError('forbidden', ''))
  await t.rejects(files.remove(who.member, fileId), new ActionError('conflict', ''))
  await chats.recall(who.member, GROUP, seq)
  await t.rejects(files.remove(who.member, fileId), new ActionError('not_found', ''), 'it went with the message')
  await files.tidy()
  t.strictSame(await store.listLooseContents(10), [])
})

t.test('tidying spares bytes that were uploaded again meanwhile', async (t) => {
  const world = await openWorld(t)
  const { files, store } = world
  for (let round = 0; round < 20; round++) {
    const { id } = await upload(world, who.member)
    const [again] = await Promise.all([upload(world, who.stranger), files.remove(who.member, id), files.tidy()])
    t.equal(await store.isContentUsed(again.sha256), true)
    t.strictSame(await store.listLooseContents(10), [])
    t.strictSame(await readBack(world, again.sha256), PICTURE.length, `round ${round}`)
    await files.remove(who.stranger, again.id)
    t.equal(await readBack(world, again.sha256), undefined)
  }
})

async function readBack({ blobs }: World, sha256: string): Promise<number | undefined> {
  const stream = await blobs.read(sha256, { start: 0, end: MAX_FILE })
  if (!stream) return undefined
  let size = 0
  for await (const chunk of stream) size += (chunk as Buffer).length
  return size
}

t.test('names', (t) => {
  const rows: [given: string, name: string][] = [
    ['cat.png', 'cat.png'],
    ['报告 2026.pdf', '报告 2026.pdf'],
    ['../../etc/passwd', 'passwd'],
    ['C:\\Users\\me\\cat.png', 'cat.png'],
    ['..', 'file'],
    ['.', 'file'],
    ['', 'file'],
    ['   ', 'file'],
    ['/', 'file'],
    ['a\u0000b\r\nc"d.txt', 'abc"d.txt'],
    ['invoice\u202efdp.exe', 'invoicefdp.exe'],
    [`${'長'.repeat(300)}.png`, `${'長'.repeat(124)}.png`]
  ]
  for (const [given, name] of rows) t.equal(toFileName(given), name, JSON.stringify(given.slice(0, 40)))
  t.end()
})

t.test('kinds', (t) => {
  t.doesNotThrow(() => checkKind('image', 'image/webp', 'message_type'))
  t.doesNotThrow(() => checkKind('voice', 'video/webm', 'message_type'))
  t.doesNotThrow(() => checkKind('file', 'application/octet-stream', 'message_type'))
  t.throws(() => checkKind('image', 'application/pdf', 'message_type'), new ActionError('invalid', ''))
  t.throws(() => checkKind('video', 'image/gif', 'message_type'), new ActionError('invalid', ''))
  const guesses = ['image/gif', 'video/mp4', 'audio/mpeg', 'application/pdf'].map(guessKind)
  t.strictSame(guesses, ['image', 'video', 'audio', 'file'])
  t.end()
})

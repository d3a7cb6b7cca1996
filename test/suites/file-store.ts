import type { Test } from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import type { MediaFile } from '../../src/core/segment.ts'
import type { Message, NewFile, Store } from '../../src/core/store.ts'

const NOW = 1_700_000_000
const [ALICE, BOB, CAROL] = [10001, 10002, 10003]
const SHA = 'a'.repeat(64)

/** What every driver must do about files. `open` gives an empty store that is closed when the test ends. */
export function fileStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  async function openPeopled(t: Test): Promise<{ store: Store; chatId: number; groupId: number }> {
    const store = await open(t)
    for (const id of [ALICE, BOB, CAROL])
      await store.addAccount({ id, kind: 'person', nickname: `${id}`, createdAt: NOW })
    const group = { name: 'Group', ownerId: BOB, adminIds: [], memberIds: [CAROL], createdAt: NOW }
    return {
      store,
      chatId: await store.openPrivateChat(ALICE, BOB, NOW),
      groupId: (await store.addGroup(group)).id
    }
  }

  t.test('a file is found as it was added, under a number that is never given again', async (t) => {
    const { store } = await openPeopled(t)
    const first = await store.addFile(picture())
    t.strictSame(first, { ...picture(), id: first.id })
    t.strictSame(await store.findFile(first.id), first)
    t.equal(await store.removeFile(first.id), true)
    t.equal(await store.findFile(first.id), undefined)
    const second = await store.addFile(picture())
    t.ok(second.id > first.id, 'a link to the first never leads to the second')
  })

  t.test('a message keeps of a file what shows it', async (t) => {
    const { store, chatId } = await openPeopled(t)
    const { id } = await store.addFile(picture())
    const message = await send(store, ALICE, chatId, id)
    const file: MediaFile = {
      fileId: id,
      name: 'cat.png',
      mime: 'image/png',
      size: 7,
      width: 3,
      height: 2,
      durationS: 0
    }
    t.strictSame(message.segments, [{ type: 'media', kind: 'image', file }])
    t.strictSame((await store.findMessage(chatId, message.seq))?.segments, message.segments)
  })

  t.test('a file is shown to the chats that it was sent to, and can be passed on by those who see it', async (t) => {
    const { store, chatId, groupId } = await openPeopled(t)
    const { id } = await store.addFile(picture())
    const isShown = (): Promise<boolean[]> => Promise.all([BOB, CAROL].map((who) => store.isFileShownTo(id, who)))
    t.strictSame(await isShown(), [false, false])
    await t.rejects(
      send(store, BOB, groupId, id),
      new ActionError('not_found', ''),
      'nobody sends what they cannot see'
    )
    await send(store, ALICE, chatId, id)
    t.strictSame(await isShown(), [true, false])
    await send(store, BOB, groupId, id)
    t.strictSame(await isShown(), [true, true])
    await t.rejects(send(store, BOB, groupId, id + 1), new ActionError('not_found', '', { field: 'file_id' }))
  })

  t.test('a file that a message shows stays until the last such message is recalled', async (t) => {
    const { store, chatId, groupId } = await openPeopled(t)
    const { id } = await store.addFile(picture())
    const original = await send(store, ALICE, chatId, id)
    const copy = await send(store, BOB, groupId, id)
    t.equal(await store.removeFile(id), false)
    await recall(store, original)
    t.equal(await store.isFileShownTo(id, ALICE), false)
    t.type(await store.findFile(id), 'object', 'somebody else has passed it on')
    t.strictSame(await store.listLooseContents(10), [])
    await recall(store, copy)
    t.equal(await store.findFile(id), undefined)
    t.strictSame(await store.listLooseContents(10), [SHA])
  })

  t.test('the picture that somebody shows of themselves stays when a message with it is recalled', async (t) => {
    const { store, chatId } = await openPeopled(t)
    const { id } = await store.addFile(picture())
    const message = await send(store, ALICE, chatId, id)
    await store.updateProfile(ALICE, { avatarUrl: `/api/files/${id}/cat.png?exp=1&sig=x` }, NOW)
    await recall(store, message)
    t.equal(await store.removeFile(id), false)
    t.type(await store.findFile(id), 'object')
    await store.updateProfile(ALICE, { avatarUrl: `/api/files/${id}0/cat.png?exp=1&sig=x` }, NOW)
    t.equal(await store.removeFile(id), true, 'another picture is shown now')
  })

  t.test('bytes are loose when no file has them', async (t) => {
    const { store } = await openPeopled(t)
    await store.expectContent(SHA)
    t.strictSame(await store.listLooseContents(10), [SHA], 'a crash before the file is there leaves them on the list')
    t.equal(await store.isContentUsed(SHA), false)
    const [one, two] = [await store.addFile(picture()), await store.addFile(picture())]
    t.strictSame(await store.listLooseContents(10), [])
    t.equal(await store.isContentUsed(SHA), true)
    await store.expectContent(SHA)
    t.strictSame(await store.listLooseContents(10), [], 'a second upload of what is there')
    await store.removeFile(one.id)
    t.strictSame(await store.listLooseContents(10), [], 'the other file has the same bytes')
    await store.removeFile(two.id)
    t.strictSame(await store.listLooseContents(10), [SHA])
    await store.forgetContent(SHA)
    t.strictSame(await store.listLooseContents(10), [])
  })

  function send(store: Store, senderId: number, chatId: number, fileId: number): Promise<Message> {
    const segments = [{ type: 'media', kind: 'image', fileId }] as const
    return store.appendMessage({ chatId, senderId, segments, time: NOW, check() {} }).then(({ message }) => message)
  }

  function recall(store: Store, { chatId, seq, senderId }: Message): Promise<void> {
    return store.recallMessage({ chatId, seq, operatorId: senderId, time: NOW, check() {} })
  }
}

function picture(): NewFile {
  return {
    ownerId: ALICE,
    sha256: SHA,
    name: 'cat.png',
    mime: 'image/png',
    size: 7,
    width: 3,
    height: 2,
    durationS: 0,
    createdAt: NOW
  }
}

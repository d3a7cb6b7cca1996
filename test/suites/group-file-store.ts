import type { Test } from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import type { GroupFilesChange, GroupFilesState } from '../../src/core/group-files.ts'
import type { MediaKind } from '../../src/core/segment.ts'
import type { FilePlace, Message, NewFile, Store } from '../../src/core/store.ts'

const NOW = 1_700_000_000
const [ALICE, BOB, CAROL] = [10001, 10002, 10003]
const ALL = { offset: 0, limit: 100 }
const GROUP = 100001
const OTHER = 100002

interface Sending extends FilePlace {
  readonly kind?: MediaKind
  readonly chatId?: number
  readonly senderId?: number
  readonly time?: number
}

interface Stage {
  readonly store: Store
  readonly add: (name?: string, ownerId?: number) => Promise<number>
  readonly send: (fileId: number, sending?: Sending) => Promise<Message>
  readonly recall: (message: Message, time?: number) => Promise<void>
  readonly change: (
    order: { fileId?: number; folderId?: number; actorId?: number; time?: number },
    change: GroupFilesChange
  ) => Promise<number | undefined>
  readonly addFolder: (name: string) => Promise<number>
  /** Names in a folder, the latest first. */
  readonly names: (folderId?: number) => Promise<string[]>
}

/** What every driver must do about the files of groups. `open` gives an empty store that is closed when the test ends. */
export function groupFileStoreSuite(t: Test, open: (t: Test) => Promise<Store>): void {
  async function openStage(t: Test): Promise<Stage> {
    const store = await open(t)
    for (const id of [ALICE, BOB, CAROL])
      await store.addAccount({ id, kind: 'person', nickname: `${id}`, createdAt: NOW })
    for (const id of [GROUP, OTHER])
      await store.addGroup({ id, name: 'Group', ownerId: ALICE, adminIds: [], memberIds: [BOB], createdAt: NOW })
    const change: Stage['change'] = (order, chosen) =>
      store.changeGroupFiles({ groupId: GROUP, actorId: ALICE, time: NOW, ...order, decide: () => chosen })
    return {
      store,
      change,
      add: async (name = 'plan.pdf', ownerId = ALICE) => (await store.addFile(document(name, ownerId))).id,
      async send(fileId, { kind = 'file', chatId = GROUP, senderId = ALICE, time = NOW, ...place } = {}) {
        const segments = [{ type: 'media', kind, fileId }] as const
        return (await store.appendMessage({ chatId, senderId, segments, time, place, check() {} })).message
      },
      recall: ({ chatId, seq, senderId }, time = NOW) =>
        store.recallMessage({ chatId, seq, operatorId: senderId, time, check() {} }),
      addFolder: async (name) => (await change({}, { type: 'add-folder', name })) as number,
      names: async (folderId) => (await store.listGroupFiles(GROUP, folderId, ALL)).files.map(({ name }) => name)
    }
  }

  t.test('a file that is sent is a message and an upload, and stands in the root of the group', async (t) => {
    const { store, add, send } = await openStage(t)
    const fileId = await add()
    const message = await send(fileId, { time: NOW + 5 })
    t.match(message.segments, [{ kind: 'file', file: { fileId, hash: shaOf('plan.pdf') } }])
    const { events } = await store.readEvents(BOB, 0, 10)
    t.strictSame(
      events.map(({ id, kind, eventSeq }) => [id, kind, eventSeq]),
      [
        [message.id, 'message.created', 1],
        [message.id + 1, 'file.uploaded', 2]
      ]
    )
    t.strictSame(events[1]?.data, {
      accountId: ALICE,
      fileId,
      name: 'plan.pdf',
      size: 7,
      hash: shaOf('plan.pdf')
    })
    t.strictSame(await store.findGroupFile(GROUP, fileId), {
      groupId: GROUP,
      fileId,
      folderId: undefined,
      messageId: message.id,
      name: 'plan.pdf',
      mime: 'application/pdf',
      size: 7,
      uploaderId: ALICE,
      downloads: 0,
      createdAt: NOW + 5
    })
    t.equal(await store.findGroupFile(OTHER, fileId), undefined)
    t.equal(await store.isFileShownIn(fileId, GROUP), true)
    t.equal(await store.isFileShownIn(fileId, OTHER), false)
  })

  t.test('in a private chat it is told, too, and stands nowhere', async (t) => {
    const { store, add, send } = await openStage(t)
    const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
    const fileId = await add()
    await send(fileId, { chatId })
    const { events } = await store.readEvents(BOB, 0, 10)
    t.strictSame(
      events.map(({ kind }) => kind),
      ['message.created', 'file.uploaded']
    )
    t.equal(await store.findGroupFile(chatId, fileId), undefined)
  })

  t.test('what is not sent as a file, and what is elsewhere, is neither', async (t) => {
    const { store, add, send } = await openStage(t)
    await send(await add(), { kind: 'image' })
    const file = { url: 'https://x.example/a', name: 'a', mime: '', size: 0, width: 0, height: 0, durationS: 0 }
    const segments = [{ type: 'media', kind: 'file', file }] as const
    await store.appendMessage({ chatId: GROUP, senderId: ALICE, segments, time: NOW, check() {} })
    t.strictSame(await store.listGroupFiles(GROUP, undefined, ALL), { files: [], total: 0 })
    const { events } = await store.readEvents(BOB, 0, 10)
    t.ok(events.every(({ kind }) => kind === 'message.created'))
  })

  t.test('the same message twice brings its file once', async (t) => {
    const { store, add } = await openStage(t)
    const segments = [{ type: 'media', kind: 'file', fileId: await add() }] as const
    const draft = { chatId: GROUP, senderId: ALICE, segments, time: NOW, clientId: 'mine', check() {} }
    await store.appendMessage(draft)
    t.equal((await store.appendMessage(draft)).isDuplicate, true)
    t.equal((await store.readEvents(BOB, 0, 10)).events.length, 2)
  })

  t.test('a file goes with its message, or to the next message that shows it', async (t) => {
    const { store, add, send, recall } = await openStage(t)
    const fileId = await add()
    const first = await send(fileId)
    const shown = await send(fileId, { kind: 'image', senderId: BOB })
    const second = await send(fileId, { senderId: BOB, time: NOW + 9 })
    t.match(await store.findGroupFile(GROUP, fileId), { messageId: first.id, uploaderId: ALICE }, 'one row')
    await store.countDownload(GROUP, fileId)
    await recall(first)
    const heir = { messageId: second.id, uploaderId: BOB, createdAt: NOW + 9, downloads: 1 }
    t.match(await store.findGroupFile(GROUP, fileId), heir)
    await recall(second)
    t.equal(await store.findGroupFile(GROUP, fileId), undefined, 'a picture of it is no file')
    t.type(await store.findFile(fileId), 'object')
    await recall(shown)
    t.equal(await store.findFile(fileId), undefined)
    t.strictSame(await store.listLooseContents(10), [shaOf('plan.pdf')])
  })

  t.test('a deleted file is not shown by the group any more, and goes when nothing else shows it', async (t) => {
    const { store, add, send, change, recall } = await openStage(t)
    const fileId = await add()
    const message = await send(fileId)
    await send(fileId)
    const elsewhere = await send(fileId, { chatId: OTHER })
    await change({ fileId }, { type: 'remove-file' })
    t.equal(await store.findGroupFile(GROUP, fileId), undefined)
    t.equal(await store.isFileShownIn(fileId, GROUP), false)
    t.type(await store.findGroupFile(OTHER, fileId), 'object')
    t.match((await store.findMessage(GROUP, message.seq))?.segments, [{ kind: 'file' }], 'the message stays')
    await recall(message)
    await recall(elsewhere)
    t.equal(await store.findFile(fileId), undefined)
    t.strictSame(await store.listLooseContents(10), [shaOf('plan.pdf')])
  })

  t.test('folders have names of their own and count what is in them', async (t) => {
    const { store, add, send, change, addFolder, names } = await openStage(t)
    const second = await addFolder('Second')
    const first = await addFolder('First')
    const fileId = await add()
    await send(fileId, { folderId: first, time: NOW + 1 })
    t.strictSame(await names(first), ['plan.pdf'])
    t.strictSame(await names(), [])
    const folder = { groupId: GROUP, creatorId: ALICE, createdAt: NOW }
    t.strictSame(await store.listGroupFolders(GROUP), [
      { ...folder, id: first, name: 'First', fileCount: 1, updatedAt: NOW + 1 },
      { ...folder, id: second, name: 'Second', fileCount: 0, updatedAt: NOW }
    ])
    await change({ fileId, time: NOW + 2 }, { type: 'update-file', name: 'b.pdf', folderId: second })
    t.strictSame(await names(second), ['b.pdf'])
    t.match(await store.listGroupFolders(GROUP), [
      { fileCount: 0, updatedAt: NOW + 2 },
      { fileCount: 1, updatedAt: NOW + 2 }
    ])
    await change({ folderId: second, time: NOW + 3 }, { type: 'rename-folder', name: 'A' })
    t.match(await store.listGroupFolders(GROUP), [
      { id: second, name: 'A', updatedAt: NOW + 3 },
      { id: first, updatedAt: NOW + 2 }
    ])
    t.strictSame(await store.listGroupFolders(OTHER), [])
  })

  t.test('recalling a message changes the folder that its file was in', async (t) => {
    const { store, add, send, addFolder, recall } = await openStage(t)
    const folderId = await addFolder('First')
    const message = await send(await add(), { folderId })
    await recall(message, NOW + 4)
    t.match(await store.listGroupFolders(GROUP), [{ fileCount: 0, updatedAt: NOW + 4 }])
  })

  t.test('a folder goes with the files in it', async (t) => {
    const { store, add, send, change, addFolder, names } = await openStage(t)
    const folderId = await addFolder('First')
    const inside = [await add('a.pdf'), await add('b.pdf'), await add('c.pdf')]
    for (const fileId of inside) await send(fileId, { folderId })
    await send(await add('stays.pdf'))
    await send(inside[2] as number, { chatId: OTHER })
    await change({ folderId }, { type: 'remove-folder' })
    t.strictSame(await store.listGroupFolders(GROUP), [])
    t.strictSame(await names(), ['stays.pdf'])
    t.strictSame(
      (await Promise.all(inside.map((id) => store.findFile(id)))).map((file) => file?.name),
      [undefined, undefined, 'c.pdf']
    )
    t.strictSame((await store.listLooseContents(10)).toSorted(), ['a.pdf', 'b.pdf'].map(shaOf).toSorted())
    t.not(await addFolder('First'), folderId, 'a number is never given again')
  })

  t.test('a folder of another group, and one file too many, are refused with the message', async (t) => {
    const { store, add, send, addFolder } = await openStage(t)
    const folderId = await addFolder('First')
    const one = await add('a.pdf')
    const unknown = new ActionError('not_found', '', { field: 'parent_folder_id' })
    await t.rejects(send(one, { chatId: OTHER, folderId }), unknown)
    await t.rejects(send(one, { folderId: folderId + 1 }), unknown)
    await send(one, { maxFiles: 1 })
    await t.rejects(send(await add('b.pdf'), { maxFiles: 1 }), new ActionError('too_large', ''))
    await send(one, { maxFiles: 1 })
    t.equal((await store.listMessages({ chatId: GROUP, limit: 10 })).length, 2)
    t.equal((await store.listMessages({ chatId: OTHER, limit: 10 })).length, 0)
  })

  t.test('lists come in pages, the latest first', async (t) => {
    const { store, add, send } = await openStage(t)
    for (const name of ['a', 'b', 'c']) await send(await add(name))
    const page = async (offset: number) => {
      const { files, total } = await store.listGroupFiles(GROUP, undefined, { offset, limit: 2 })
      return [files.map(({ name }) => name), total]
    }
    t.strictSame(await page(0), [['c', 'b'], 3])
    t.strictSame(await page(2), [['a'], 3])
  })

  t.test('a rule sees the group, who acts, and what it is about; those outside see nothing', async (t) => {
    const { store, add, send, addFolder } = await openStage(t)
    const folderId = await addFolder('First')
    const fileId = await add()
    await send(fileId)
    const seen: GroupFilesState[] = []
    const look = (actorId: number, order: { groupId?: number; fileId?: number; folderId?: number }) =>
      store.changeGroupFiles({
        groupId: GROUP,
        actorId,
        time: NOW,
        ...order,
        decide: (state) => void seen.push(state)
      })
    t.equal(await look(BOB, { fileId, folderId }), undefined)
    t.match(seen[0], {
      group: { id: GROUP },
      actor: { accountId: BOB, role: 'member' },
      file: { fileId },
      folder: { id: folderId },
      folders: [{ id: folderId }]
    })
    await look(BOB, { groupId: OTHER, fileId, folderId })
    t.match(seen[1], { file: undefined, folder: undefined, folders: [] })
    await t.rejects(look(CAROL, { fileId }), new ActionError('not_found', ''))
    await t.rejects(look(BOB, { groupId: GROUP + 7 }), new ActionError('not_found', ''))
    const chatId = await store.openPrivateChat(ALICE, BOB, NOW)
    await t.rejects(look(BOB, { groupId: chatId }), new ActionError('not_found', ''))
    t.equal(seen.length, 2)
  })

  t.test('what is passed on may name a file that was deleted', async (t) => {
    const { store, add, change } = await openStage(t)
    const fileId = await add()
    const inner = { accountId: ALICE, name: 'Alice', segments: [{ type: 'media', kind: 'file', fileId }] as const }
    const draft = { chatId: GROUP, senderId: ALICE, time: NOW, check() {} }
    const { message } = await store.appendMessage({ ...draft, segments: [{ type: 'forward', messages: [inner] }] })
    const forwardId = (message.segments[0] as { forwardId: number }).forwardId
    const shown = [{ type: 'media', kind: 'file', fileId }] as const
    await store.appendMessage({ ...draft, segments: shown })
    await change({ fileId }, { type: 'remove-file' })
    t.equal(await store.findFile(fileId), undefined)
    const again = { ...draft, chatId: OTHER, segments: [{ type: 'forward', forwardId }] as const }
    t.match((await store.appendMessage(again)).message.segments, [{ forwardId }])
    t.equal(await store.isFileShownTo(fileId, BOB), false)
  })
}

const shaOf = (name: string): string => Buffer.from(name).toString('hex').padEnd(64, '0')

function document(name: string, ownerId: number): NewFile {
  return {
    ownerId,
    sha256: shaOf(name),
    name,
    mime: 'application/pdf',
    size: 7,
    width: 0,
    height: 0,
    durationS: 0,
    createdAt: NOW
  }
}

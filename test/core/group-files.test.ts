import t, { type Test } from 'tap'
import type { Outcome } from '../../src/core/action.ts'
import type { ActionError } from '../../src/core/errors.ts'
import { pdf } from '../helpers/pictures.ts'
import { GROUP, openWorld, START, who, type World } from './world.ts'

const DOCUMENT = `base64://${pdf().toString('base64')}`

interface Stage extends World {
  /** Sends a document to the group, and gives its number as the wire has it. */
  readonly upload: (accountId: number, more?: object) => Promise<string>
  readonly folder: (name: string) => Promise<string>
  /** Names in a folder, the latest first, and the folders. */
  readonly shown: (folderId?: string, viewerId?: number) => Promise<[string[], string[]]>
  /** `ok`, or why not and which field. */
  readonly ask: (accountId: number, action: string, params?: object) => Promise<string>
}

async function openStage(t: Test): Promise<Stage> {
  const world = await openWorld(t)
  const { dispatch } = world
  const inGroup = { group_id: GROUP }
  return {
    ...world,
    async upload(accountId, more = {}) {
      const file = { ...inGroup, file_uri: DOCUMENT, file_name: 'plan.pdf', ...more }
      return dataOf(await dispatch(accountId, 'upload_group_file', file)).file_id
    },
    folder: async (folder_name) =>
      dataOf(await dispatch(who.owner, 'create_group_folder', { ...inGroup, folder_name })).folder_id,
    async shown(parent_folder_id, viewerId = who.member) {
      const { files, folders } = dataOf(await dispatch(viewerId, 'get_group_files', { ...inGroup, parent_folder_id }))
      const names = files.map(({ file_name }: { file_name: string }) => file_name)
      return [names, folders.map(({ folder_name }: { folder_name: string }) => folder_name)]
    },
    ask: async (accountId, action, params = {}) =>
      answerOf(await dispatch(accountId, action, { ...inGroup, ...params }))
  }
}

function dataOf(outcome: Outcome): any {
  if (!outcome.ok) throw outcome.error
  return outcome.data
}

function answerOf(outcome: Outcome): string {
  if (outcome.ok) return 'ok'
  const { reason, details } = outcome.error
  return details.field === undefined ? reason : `${reason} ${details.field}`
}

const everybody = ['owner', 'admin', 'member', 'member2', 'stranger'] as const

t.test('who may do what with a file that a member has sent', async (t) => {
  const rights: Record<string, [action: string, more: object, answers: string[]]> = {
    see: ['get_group_file_download_url', {}, ['ok', 'ok', 'ok', 'ok', 'not_found']],
    rename: ['rename_group_file', { new_file_name: 'new.pdf' }, ['ok', 'ok', 'ok', 'forbidden', 'not_found']],
    move: ['move_group_file', {}, ['ok', 'ok', 'ok', 'forbidden', 'not_found']],
    delete: ['delete_group_file', {}, ['ok', 'ok', 'ok', 'forbidden', 'not_found']]
  }
  for (const [label, [action, more, answers]] of Object.entries(rights)) {
    const { ask, upload } = await openStage(t)
    const asked: string[] = []
    for (const name of everybody)
      asked.push(await ask(who[name], action, { file_id: await upload(who.member), ...more }))
    t.strictSame(asked, answers, label)
  }
})

t.test('who may do what with folders', async (t) => {
  for (const [action, more] of [
    ['create_group_folder', { folder_name: 'New' }],
    ['rename_group_folder', { new_folder_name: 'Newer' }],
    ['delete_group_folder', {}]
  ] as const) {
    const asked: string[] = []
    for (const name of everybody) {
      const { ask, folder } = await openStage(t)
      asked.push(await ask(who[name], action, { folder_id: await folder('Old'), ...more }))
    }
    t.strictSame(asked, ['ok', 'ok', 'forbidden', 'forbidden', 'not_found'], action)
  }
})

t.test('an upload is a message that shows the file, told twice', async (t) => {
  const { upload, news, store, chats } = await openStage(t)
  const file_id = await upload(who.bot, { file_name: '../../etc/a plan\u202e.pdf' })
  const events = await news()
  t.match(events, [{ kind: 'message.created' }, { kind: 'file.uploaded' }])
  t.match(events[1]?.data, { accountId: who.bot, fileId: Number(file_id), name: 'a plan.pdf', size: pdf().length })
  const [message] = await chats.listMessages(who.member, { chatId: GROUP, limit: 1 })
  t.match(message?.segments, [{ type: 'media', kind: 'file', file: { fileId: Number(file_id) } }])
  t.equal(message?.segments.length, 1)
  t.match(await store.findFile(Number(file_id)), { name: 'a plan.pdf', ownerId: who.bot })
})

t.test('who may not speak may not upload, and leaves nothing', async (t) => {
  const { ask, groups, store, news, shown, dispatch } = await openStage(t)
  await groups.mute(who.owner, GROUP, who.bot, 60)
  await news()
  const file = { file_uri: DOCUMENT, file_name: 'a' }
  t.equal(await ask(who.bot, 'upload_group_file', file), 'muted')
  t.equal(await ask(who.lonelyBot, 'upload_group_file', file), 'not_found')
  t.equal(await ask(who.owner, 'upload_group_file', { ...file, parent_folder_id: '7' }), 'not_found parent_folder_id')
  t.equal(await ask(who.owner, 'upload_group_file', { ...file, parent_folder_id: 'x' }), 'not_found parent_folder_id')
  const toStranger = { user_id: who.stranger, ...file }
  t.equal(answerOf(await dispatch(who.bot, 'upload_private_file', toStranger)), 'not_found')
  t.strictSame(await news(), [])
  t.strictSame(await shown(), [[], []])
  for (let id = 1; id < 10; id++) t.equal(await store.findFile(id), undefined)
  t.strictSame(await store.listLooseContents(10), [])
})

t.test('who may not speak does not rename, but deletes and moves', async (t) => {
  const { ask, groups, upload, folder } = await openStage(t)
  const file_id = await upload(who.member)
  const target_folder_id = await folder('A')
  await groups.mute(who.owner, GROUP, who.member, 60)
  t.equal(await ask(who.member, 'rename_group_file', { file_id, new_file_name: 'words' }), 'muted')
  t.equal(await ask(who.member, 'rename_group_file', { file_id, new_file_name: 'plan.pdf' }), 'ok', 'nothing new')
  t.equal(await ask(who.member, 'move_group_file', { file_id, target_folder_id }), 'ok')
  t.equal(await ask(who.member, 'delete_group_file', { file_id }), 'ok')
})

t.test('moving', async (t) => {
  const { ask, upload, folder, shown } = await openStage(t)
  const [a, b] = [await folder('A'), await folder('B')]
  const file_id = await upload(who.member, { parent_folder_id: a })
  t.strictSame(await shown(a), [['plan.pdf'], []])
  t.strictSame(await shown(), [[], ['A', 'B']])
  const rows: [params: object, answer: string][] = [
    [{ target_folder_id: b }, 'not_found parent_folder_id'],
    [{ parent_folder_id: b, target_folder_id: b }, 'not_found parent_folder_id'],
    [{ parent_folder_id: a, target_folder_id: '999' }, 'not_found target_folder_id'],
    [{ parent_folder_id: a, target_folder_id: 'B' }, 'not_found target_folder_id'],
    [{ parent_folder_id: a, target_folder_id: a }, 'ok'],
    [{ parent_folder_id: a, target_folder_id: b }, 'ok'],
    [{ parent_folder_id: b }, 'ok'],
    [{ parent_folder_id: '*', target_folder_id: a }, 'ok']
  ]
  for (const [params, answer] of rows)
    t.equal(await ask(who.member, 'move_group_file', { file_id, ...params }), answer, JSON.stringify(params))
  t.strictSame(await shown(a), [['plan.pdf'], []])
  t.strictSame(await shown(b), [[], []])
  for (const unknown of ['999', 'x', '', '1e3', '-1'])
    t.equal(await ask(who.member, 'move_group_file', { file_id: unknown }), 'not_found file_id', unknown)
})

t.test('renaming', async (t) => {
  const { ask, upload, shown } = await openStage(t)
  const file_id = await upload(who.member)
  t.equal(await ask(who.member, 'rename_group_file', { file_id, new_file_name: 'a/b\u0000c.pdf' }), 'ok')
  t.strictSame(await shown(), [['bc.pdf'], []])
  t.equal(await ask(who.member, 'rename_group_file', { file_id, new_file_name: '' }), 'invalid new_file_name')
  const elsewhere = { file_id, new_file_name: 'x', parent_folder_id: '7' }
  t.equal(await ask(who.member, 'rename_group_file', elsewhere), 'not_found parent_folder_id')
})

t.test('folders', async (t) => {
  const { ask, folder, shown, store, setTime } = await openStage(t)
  const folder_id = await folder(' A ')
  t.strictSame(await shown(), [[], ['A']], 'without the space around it')
  const rows: [action: string, params: object, answer: string][] = [
    ['create_group_folder', { folder_name: 'A' }, 'conflict folder_name'],
    ['create_group_folder', { folder_name: '' }, 'invalid folder_name'],
    ['create_group_folder', { folder_name: ' ' }, 'invalid folder_name'],
    ['create_group_folder', { folder_name: 'x'.repeat(65) }, 'invalid folder_name'],
    ['create_group_folder', { folder_name: 'B' }, 'ok'],
    ['rename_group_folder', { folder_id, new_folder_name: 'B' }, 'conflict folder_name'],
    ['rename_group_folder', { folder_id, new_folder_name: 'A' }, 'ok'],
    ['rename_group_folder', { folder_id, new_folder_name: 'C' }, 'ok'],
    ['rename_group_folder', { folder_id: '999', new_folder_name: 'D' }, 'not_found folder_id'],
    ['rename_group_folder', { folder_id: '/', new_folder_name: 'D' }, 'invalid folder_id'],
    ['delete_group_folder', { folder_id: '/' }, 'invalid folder_id'],
    ['delete_group_folder', { folder_id: '999' }, 'not_found folder_id'],
    ['get_group_files', { parent_folder_id: '999' }, 'not_found parent_folder_id']
  ]
  setTime(START + 5)
  for (const [action, params, answer] of rows)
    t.equal(await ask(who.admin, action, params), answer, `${action} ${JSON.stringify(params)}`)
  t.match(await store.listGroupFolders(GROUP), [
    { name: 'B', createdAt: START + 5, creatorId: who.admin },
    { name: 'C', createdAt: START, updatedAt: START + 5, creatorId: who.owner }
  ])
  for (let index = 2; index < 100; index++) await folder(`Folder ${index}`)
  t.equal(await ask(who.owner, 'create_group_folder', { folder_name: 'too many' }), 'too_large folder_name')
})

t.test('a deleted file leaves its message, and nothing else', async (t) => {
  const { ask, upload, folder, store, blobs, chats, files } = await openStage(t)
  const parent_folder_id = await folder('A')
  const deleted: [label: string, work: (file_id: string) => Promise<string>][] = [
    ['by itself', (file_id) => ask(who.member, 'delete_group_file', { file_id })],
    ['with its folder', () => ask(who.admin, 'delete_group_folder', { folder_id: parent_folder_id })]
  ]
  for (const [label, work] of deleted) {
    const file_id = await upload(who.member, { parent_folder_id })
    const fileId = Number(file_id)
    const { sha256 } = await files.get(who.member, fileId)
    t.equal(await work(file_id), 'ok', label)
    await files.tidy()
    const [message] = await chats.listMessages(who.member, { chatId: GROUP, limit: 1 })
    t.match(message?.segments, [{ type: 'media', kind: 'file', file: { fileId } }])
    t.equal(await ask(who.member, 'get_group_file_download_url', { file_id }), 'not_found file_id')
    t.equal(await ask(who.member, 'delete_group_file', { file_id }), 'not_found file_id')
    t.equal(await store.findFile(fileId), undefined)
    t.strictSame(await store.listLooseContents(10), [])
    t.equal(await blobs.read(sha256, { start: 0, end: 9 }), undefined, 'the bytes are gone')
  }
  t.strictSame(await store.listGroupFolders(GROUP), [])
})

t.test('a file of a private chat', async (t) => {
  const { dispatch, writeTo } = await openStage(t)
  await writeTo(who.member, who.bot, 'hello')
  const file = { file_uri: DOCUMENT, file_name: 'plan.pdf' }
  const { file_id } = dataOf(await dispatch(who.bot, 'upload_private_file', { user_id: who.member, ...file }))
  const history = { message_scene: 'friend', peer_id: who.bot, limit: 1 }
  const { messages } = dataOf(await dispatch(who.member, 'get_history_messages', history))
  const { file_hash, ...shown } = messages[0].segments[0].data
  t.strictSame(shown, { file_id, file_name: 'plan.pdf', file_size: pdf().length })
  t.match(file_hash, /^[0-9a-f]{64}$/)
  const rows: [who: number, peer: number, hash: string, answer: string][] = [
    [who.bot, who.member, file_hash, 'ok'],
    [who.member, who.bot, file_hash, 'ok'],
    [who.member, who.bot, file_hash.toUpperCase(), 'ok'],
    [who.member, who.bot, '', 'ok'],
    [who.member, who.bot, 'f'.repeat(64), 'not_found file_hash'],
    [who.member, who.stranger, file_hash, 'not_found'],
    [who.member2, who.bot, file_hash, 'not_found'],
    [who.stranger, who.member, file_hash, 'not_found']
  ]
  for (const [asker, user_id, hash, answer] of rows) {
    const params = { user_id, file_id, file_hash: hash }
    t.equal(answerOf(await dispatch(asker, 'get_private_file_download_url', params)), answer, `${asker} ${user_id}`)
  }
  t.equal(
    answerOf(await dispatch(who.bot, 'get_group_file_download_url', { group_id: GROUP, file_id })),
    'not_found file_id'
  )
})

t.test('who comes later fetches what was sent before, who has left nothing', async (t) => {
  const { ask, upload, groups, store } = await openStage(t)
  const file_id = await upload(who.member)
  t.equal(await ask(who.stranger, 'get_group_file_download_url', { file_id }), 'not_found')
  await groups.addMember(GROUP, who.stranger)
  t.equal(await ask(who.stranger, 'get_group_file_download_url', { file_id }), 'ok')
  t.equal(await ask(who.bot, 'get_group_file_download_url', { file_id }), 'ok')
  t.match(await store.findGroupFile(GROUP, Number(file_id)), { downloads: 2 })
  await groups.quit(who.stranger, GROUP)
  t.equal(await ask(who.stranger, 'get_group_file_download_url', { file_id }), 'not_found')
})

t.test('private chats have no folders, whatever they are called', async (t) => {
  const { writeTo, dispatch } = await openStage(t)
  const { chatId } = await writeTo(who.member, who.member2, 'hello')
  for (const [action, more] of [
    ['get_group_files', {}],
    ['create_group_folder', { folder_name: 'A' }],
    ['upload_group_file', { file_uri: DOCUMENT, file_name: 'a' }],
    ['delete_group_file', { file_id: '1' }],
    ['get_group_file_download_url', { file_id: '1' }]
  ] as const)
    t.equal(answerOf(await dispatch(who.member, action, { group_id: chatId, ...more })), 'not_found', action)
})

t.test('a person changes name and folder at once', async (t) => {
  const { dispatch, upload, folder, shown } = await openStage(t)
  const a = await folder('A')
  const file_id = await upload(who.member)
  const update = async (more: object): Promise<string> =>
    answerOf(await dispatch(who.member, 'update_chat_file', { chat_id: GROUP, file_id, ...more }))
  t.equal(await update({ name: 'b.pdf', folder_id: '999' }), 'not_found folder_id')
  t.strictSame(await shown(), [['plan.pdf'], ['A']], 'both or nothing')
  t.equal(await update({ name: 'b.pdf', folder_id: a }), 'ok')
  t.strictSame(await shown(a), [['b.pdf'], []])
  t.equal(await update({}), 'ok')
  t.equal(await update({ folder_id: '/' }), 'ok')
  t.strictSame(await shown(), [['b.pdf'], ['A']])
})

t.test('refusals are sentences', async (t) => {
  const { dispatch } = await openStage(t)
  const outcome = await dispatch(who.member, 'get_group_files', { group_id: GROUP, parent_folder_id: '7' })
  t.match((outcome as { error: ActionError }).error.message, 'parent_folder_id: there is no folder "7" in this group')
})

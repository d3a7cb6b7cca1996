import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { createMilkyCodec } from '../../src/protocols/milky-events.ts'
import type { Running } from '../helpers/app.ts'
import { faultOfEvent } from '../helpers/milky-judge.ts'
import { alice, bob, carol, GROUP, openDevice, request, startPeople, tokenOf } from '../helpers/people.ts'
import { pdf } from '../helpers/pictures.ts'
import { openSocket } from '../helpers/socket.ts'

const base64 = (bytes: Uint8Array): string => `base64://${Buffer.from(bytes).toString('base64')}`
const inGroup = { group_id: GROUP }

interface Stage extends Running {
  /** Takes a file of a person in, and gives its number. */
  readonly upload: (accountId: number, bytes: Uint8Array, name?: string) => Promise<number>
  readonly ask: (accountId: number, method: string, path: string, body?: object) => Promise<any>
  /** What a bot is told after this place of the log, in the words of Milky 1.2; every event is judged. */
  readonly heardBy: (botId: number, afterId: number) => Promise<any[]>
  readonly fetched: (url: string) => Promise<Buffer | number>
  /** Rows that hold files, and contents on the disk, when all is tidied. */
  readonly kept: () => Promise<{ rows: number; blobs: number }>
}

async function openStage(t: Test): Promise<Stage> {
  const app = await startPeople(t)
  const { store, links } = app.lactea.gateway
  const codec = createMilkyCodec(links.absoluteLinkOf)
  const data = join(app.dir, 'data')
  return {
    ...app,
    async upload(accountId, bytes, name = 'plan.pdf') {
      const form = new FormData()
      form.set('file', new Blob([Buffer.from(bytes)]), name)
      const headers = { authorization: `Bearer ${await tokenOf(accountId)}` }
      const answer = await fetch(`${app.url}/api/files/upload`, { method: 'POST', headers, body: form })
      return ((await answer.json()) as { file_id: number }).file_id
    },
    ask: async (accountId, method, path, body) => {
      const answer = await request(app, await tokenOf(accountId), method, path, body)
      return { status: answer.status, ...answer.body }
    },
    async heardBy(botId, afterId) {
      const { events } = await store.readEvents(botId, afterId, 100)
      const heard = events.flatMap((event) => {
        const text = codec.encodeEvent(event, botId)
        return text === undefined ? [] : [JSON.parse(text)]
      })
      for (const event of heard) {
        const fault = faultOfEvent(event)
        if (fault !== undefined) t.fail(fault)
      }
      return heard
    },
    async fetched(url) {
      const answer = await fetch(new URL(url, app.url))
      const bytes = Buffer.from(await answer.arrayBuffer())
      return answer.ok ? bytes : answer.status
    },
    async kept() {
      // What goes behind the answers.
      await app.lactea.gateway.files.tidy()
      const db = new DatabaseSync(join(data, 'lactea.db'), { readOnly: true })
      try {
        const tables = ['files', 'message_files', 'group_files', 'group_folders', 'loose_contents']
        const count = (table: string): number =>
          (db.prepare(`select count(*) as count from ${table}`).get() as { count: number }).count
        const entries = readdirSync(join(data, 'files'), { recursive: true, withFileTypes: true })
        return {
          rows: tables.reduce((sum, table) => sum + count(table), 0),
          blobs: entries.filter((entry) => entry.isFile()).length
        }
      } finally {
        db.close()
      }
    }
  }
}

const data = ({ data: given, retcode, message }: { data?: any; retcode: number; message?: string }): any => {
  if (retcode !== 0) throw new Error(`${retcode}: ${message}`)
  return given
}

t.test('a person sends a file, and bots hear of it with an address that works', async (t) => {
  const app = await openStage(t)
  const draft = await openSocket(t, `${app.ws}/?access_token=token-one`)
  const before = await app.lactea.gateway.store.lastEventId()
  const bytes = pdf()
  const file_id = await app.upload(alice, bytes)
  const shown = { file_id: String(file_id), file_name: 'plan.pdf', file_size: bytes.length }

  await t.test('in a group', async (t) => {
    const content = { message_type: 'file', file_id, content: 'the plan' }
    t.equal((await app.ask(alice, 'POST', `/api/chats/${GROUP}/messages`, content)).success, true)
    const heard = await app.heardBy(10002, before)
    t.match(heard, [
      { event_type: 'message_receive', data: { message_scene: 'group', sender_id: alice } },
      { event_type: 'group_file_upload' }
    ])
    t.strictSame(heard[0].data.segments, [
      { type: 'file', data: shown },
      { type: 'text', data: { text: 'the plan' } }
    ])
    t.strictSame(heard[1].data, { ...inGroup, user_id: alice, ...shown })
    const { download_url } = data(
      await app.milky('token-two', 'get_group_file_download_url', { ...inGroup, file_id: String(file_id) })
    )
    t.ok(download_url.startsWith(`${app.url}/`))
    t.strictSame(await app.fetched(download_url), bytes)

    t.match((await draft.next()).data, { event_type: 'message_receive', data: { segments: [{ type: 'text' }] } })
    t.strictSame((await draft.next()).data, {
      time: heard[1].time,
      event_type: 'group_file_upload',
      data: { ...inGroup, user_id: alice, ...shown }
    })
  })

  await t.test('in private, with the hash', async (t) => {
    const start = await app.lactea.gateway.store.lastEventId()
    const sent = { receiver_id: 10001, message_type: 'file', file_id }
    t.equal((await app.ask(alice, 'POST', '/api/messages', sent)).success, true)
    const [message, upload] = await app.heardBy(10001, start)
    const { file_hash } = upload.data
    t.match(file_hash, /^[0-9a-f]{64}$/)
    t.strictSame(message.data.segments, [{ type: 'file', data: { ...shown, file_hash } }])
    t.match(upload, { event_type: 'friend_file_upload', data: { user_id: alice, ...shown, file_hash, is_self: false } })
    const params = { user_id: alice, file_id: String(file_id), file_hash }
    const { download_url } = data(await app.milky('token-one', 'get_private_file_download_url', params))
    t.strictSame(await app.fetched(download_url), bytes)
    const { data: told } = await draft.next()
    t.match(told, { event_type: 'friend_file_upload', data: { user_id: alice, ...shown, is_self: false } })
    const draftUrl = data(await app.call('token-one', 'get_private_file_download_url', params)).download_url
    t.strictSame(await app.fetched(draftUrl), bytes)
    for (const wrong of [{ file_hash: 'x' }, { file_id: '999' }, { file_id: 'x' }, { user_id: bob }]) {
      const refused = await app.milky('token-one', 'get_private_file_download_url', { ...params, ...wrong })
      t.match(refused, { status: 'failed', retcode: -404, message: /./ }, JSON.stringify(wrong))
    }
  })

  t.strictSame(draft.waiting(), [])
})

t.test('a bot uploads, and people see the file', async (t) => {
  const app = await openStage(t)
  const person = await openDevice(t, app, alice)
  const extended = await openDevice(t, app, alice, { query: 'ext=1' })
  const bytes = Buffer.from('a plan of nothing')
  const file = { file_uri: base64(bytes), file_name: 'plan.txt' }
  const isMessage = ({ type }: { type: string }): boolean => type === 'message.new'

  for (const [api, target] of [
    ['upload_group_file', inGroup],
    ['upload_private_file', { user_id: alice }]
  ] as const) {
    const { file_id } = data(await app.milky('token-one', api, { ...target, ...file }))
    const { message, chat } = (await person.find(isMessage)).payload
    t.match(message, { message_type: 'file', content: '', file_name: 'plan.txt', file_size: bytes.length })
    t.strictSame(await app.fetched(message.file_url), bytes)
    const frame = await extended.find(({ type }) => type === 'chat.file')
    t.strictSame(frame.payload, {
      chat_id: chat.id,
      user_id: 10001,
      file_id: Number(file_id),
      file_name: 'plan.txt',
      file_size: bytes.length
    })
  }
  await t.test('the same bytes are on the disk once', async (t) => {
    t.match(await app.kept(), { blobs: 1 })
    const { download_url } = data(
      await app.milky('token-two', 'get_group_file_download_url', { ...inGroup, file_id: '1' })
    )
    t.strictSame(await app.fetched(download_url), bytes)
  })

  await t.test('the bot itself hears nothing of it, unless it asked to', async (t) => {
    const own = await openSocket(t, `${app.ws}/?access_token=token-one`)
    data(await app.milky('token-one', 'upload_group_file', { ...inGroup, ...file }))
    data(await app.milky('token-two', 'upload_group_file', { ...inGroup, ...file }))
    t.match((await own.next()).data, { event_type: 'group_file_upload', data: { user_id: 10002 } })
  })

  await t.test('a draft upload has no name', async (t) => {
    const start = await app.lactea.gateway.store.lastEventId()
    const { file_id } = data(await app.call('token-one', 'upload_group_file', { ...inGroup, file_uri: file.file_uri }))
    const [, upload] = await app.heardBy(10002, start)
    t.match(upload.data, { file_id, file_name: 'file.bin' })
    t.match(data(await app.call('token-two', 'upload_private_file', { user_id: 10001, file_uri: file.file_uri })), {
      file_id: /^\d+$/
    })
  })

  await t.test('what cannot be taken in is refused, and nothing is left of it', async (t) => {
    const before = await app.kept()
    const rows: [params: object, retcode: number, words: RegExp][] = [
      [{ file_uri: 'base64://', file_name: 'a' }, -400, /file_uri/],
      [{ file_uri: 'nonsense', file_name: 'a' }, -400, /file_uri/],
      [{ ...file, parent_folder_id: '77' }, -404, /parent_folder_id/],
      [{ ...file, group_id: 100099 }, -404, /group 100099/]
    ]
    for (const [params, retcode, message] of rows)
      t.match(await app.milky('token-one', 'upload_group_file', { ...inGroup, ...params }), { retcode, message })
    t.strictSame(await app.kept(), before)
  })
})

t.test('folders in both dialects, as people see them', async (t) => {
  const app = await openStage(t)
  const now = Math.floor(Date.now() / 1000)
  const file = { file_uri: base64(pdf()), file_name: 'plan.pdf' }
  const { folder_id } = data(await app.milky('token-one', 'create_group_folder', { ...inGroup, folder_name: 'Plans' }))
  const { file_id } = data(
    await app.milky('token-two', 'upload_group_file', { ...inGroup, parent_folder_id: folder_id, ...file })
  )
  const list = async (parent_folder_id?: string): Promise<any> =>
    data(await app.milky('token-two', 'get_group_files', { ...inGroup, parent_folder_id }))

  const { files, folders } = await list()
  t.strictSame(files, [])
  const [{ created_time, last_modified_time, ...folder }] = folders
  t.ok(created_time >= now && last_modified_time >= created_time)
  t.strictSame(folder, {
    ...inGroup,
    folder_id,
    parent_folder_id: '/',
    folder_name: 'Plans',
    creator_id: 10001,
    file_count: 1
  })
  const inside = await list(folder_id)
  t.strictSame(inside.folders, [])
  const [{ uploaded_time, ...shown }] = inside.files
  t.ok(uploaded_time >= now)
  t.strictSame(shown, {
    ...inGroup,
    file_id,
    file_name: 'plan.pdf',
    parent_folder_id: folder_id,
    file_size: pdf().length,
    uploader_id: 10002,
    downloaded_times: 0
  })

  await t.test('the draft says the same in its words', async (t) => {
    const root = data(await app.call('token-two', 'get_group_files', inGroup))
    const { parent_folder_id: _, ...plain } = folder
    t.strictSame(root, { files: [], folder: [{ ...plain, created_time, last_modified_time }] })
    const draft = data(await app.call('token-two', 'get_group_files', { ...inGroup, parent_folder_id: folder_id }))
    t.strictSame(draft, { files: [{ ...shown, uploaded_time, expire_time: 0 }], folder: [] })
    t.strictSame(data(await app.call('token-two', 'move_group_file', { ...inGroup, file_id })), {})
    const { files: moved } = data(await app.call('token-two', 'get_group_files', inGroup))
    t.notOk('parent_folder_id' in moved[0], 'the root is not named')
    const back = { ...inGroup, file_id, target_folder_id: folder_id }
    t.strictSame(data(await app.call('token-two', 'move_group_file', back)), {})
    const name = { ...inGroup, file_id, new_name: 'plan 2.pdf' }
    t.strictSame(data(await app.call('token-two', 'rename_group_file', name)), {})
    const rename = { ...inGroup, folder_id, new_name: 'Old plans' }
    t.strictSame(data(await app.call('token-one', 'rename_group_folder', rename)), {})
    t.match(await list(folder_id), { files: [{ file_name: 'plan 2.pdf' }] })
    const { download_url } = data(await app.call('token-two', 'get_group_file_download_url', { ...inGroup, file_id }))
    t.strictSame(await app.fetched(download_url), pdf())
    t.match(await list(folder_id), { files: [{ downloaded_times: 1 }] })
    const other = data(await app.call('token-one', 'create_group_folder', { ...inGroup, folder_name: 'Other' }))
    t.strictSame(data(await app.call('token-one', 'delete_group_folder', { ...inGroup, ...other })), {})
    const failures: [api: string, params: object, retcode: number][] = [
      ['create_group_folder', { folder_name: 'Old plans' }, -103],
      ['rename_group_folder', { folder_id: '999', new_name: 'x' }, -100],
      ['delete_group_file', { file_id: '999' }, -100],
      ['move_group_file', { file_id, target_folder_id: '999' }, -100]
    ]
    for (const [api, params, retcode] of failures)
      t.match(await app.call('token-one', api, { ...inGroup, ...params }), { retcode, message: /./ }, api)
    t.match(await app.call('token-two', 'delete_group_folder', { ...inGroup, folder_id }), { retcode: -101 })
  })

  await t.test('1.2 wants to be told where a file is', async (t) => {
    const { milky } = app
    const move = { ...inGroup, file_id, target_folder_id: '/' }
    t.match(await milky('token-two', 'move_group_file', move), { retcode: -404, message: /folder/ })
    t.strictSame(data(await milky('token-two', 'move_group_file', { ...move, parent_folder_id: folder_id })), {})
    const rename = { ...inGroup, file_id, new_file_name: 'plan.pdf' }
    t.match(await milky('token-two', 'rename_group_file', { ...rename, parent_folder_id: folder_id }), {
      retcode: -404
    })
    t.strictSame(data(await milky('token-two', 'rename_group_file', rename)), {})
    t.strictSame(
      data(await milky('token-one', 'rename_group_folder', { ...inGroup, folder_id, new_folder_name: 'Plans' })),
      {}
    )
    t.match(await list(), { files: [{ file_name: 'plan.pdf' }], folders: [{ folder_name: 'Plans', file_count: 0 }] })
  })
})

t.test('people have them by REST', async (t) => {
  const app = await openStage(t)
  const files = `/api/chats/${GROUP}/files`
  const folders = `/api/chats/${GROUP}/folders`
  const file_id = await app.upload(alice, pdf())
  await app.ask(alice, 'POST', `/api/chats/${GROUP}/messages`, { message_type: 'file', file_id })

  const root = await app.ask(bob, 'GET', files)
  t.match(root, { status: 200, success: true, folders: [], pagination: { total: 1, pages: 1 } })
  const [{ file_url, url, created_at, message_id, ...file }] = root.files
  t.strictSame(file, {
    id: file_id,
    file_id,
    chat_id: GROUP,
    folder_id: 0,
    name: 'plan.pdf',
    file_name: 'plan.pdf',
    size: pdf().length,
    file_size: pdf().length,
    type: 'application/pdf',
    mime_type: 'application/pdf',
    uploader_id: alice,
    downloads: 0
  })
  t.strictSame(await app.fetched(file_url), pdf())
  t.match([url, created_at, message_id], [file_url, /Z$/, Number])

  const refused: [who: number, method: string, path: string, body: object | undefined, status: number, code: string][] =
    [
      [bob, 'POST', folders, { name: 'Plans' }, 403, 'FORBIDDEN'],
      [alice, 'PUT', `${files}/${file_id}`, { folder_id: 9 }, 404, 'NOT_FOUND'],
      [alice, 'PUT', `${files}/${file_id}`, { folder_id: 'x' }, 400, 'VALIDATION_ERROR'],
      [alice, 'PUT', `${files}/${file_id}`, { name: '' }, 400, 'VALIDATION_ERROR'],
      [bob, 'PUT', `${files}/${file_id}`, { name: 'mine.pdf' }, 403, 'FORBIDDEN'],
      [bob, 'DELETE', `${files}/${file_id}`, undefined, 403, 'FORBIDDEN'],
      [bob, 'DELETE', `${files}/999`, undefined, 404, 'NOT_FOUND'],
      [bob, 'GET', `${files}?folder_id=9`, undefined, 404, 'NOT_FOUND'],
      [carol, 'GET', files, undefined, 404, 'NOT_FOUND'],
      [carol, 'DELETE', `${files}/${file_id}`, undefined, 404, 'NOT_FOUND']
    ]
  for (const [who, method, path, body, status, code] of refused)
    t.match(await app.ask(who, method, path, body), { status, code, success: false }, `${method} ${path}`)

  await app.lactea.gateway.groups.setAdmin(10001, GROUP, bob, true)
  const made = await app.ask(bob, 'POST', folders, { name: 'Plans' })
  t.match(made, { status: 201, name: 'Plans', creator_id: bob, file_count: 0, chat_id: GROUP })
  t.match(await app.ask(bob, 'POST', folders, { name: 'Plans' }), { success: false, details: { field: 'folder_name' } })
  t.match(await app.ask(bob, 'POST', folders, {}), { status: 400, details: { field: 'folder_name' } })
  const change = { name: 'plan 2.pdf', folder_id: made.id }
  const moved = { status: 200, name: 'plan 2.pdf', folder_id: made.id }
  t.match(await app.ask(alice, 'PUT', `${files}/${file_id}`, change), moved)
  t.match(await app.ask(bob, 'GET', files), { files: [], folders: [{ id: made.id, file_count: 1 }] })
  t.match(await app.ask(bob, 'GET', `${files}?folder_id=${made.id}`), { files: [{ id: file_id }], folders: [] })
  t.match(await app.ask(alice, 'PUT', `${files}/${file_id}`, { folder_id: 0 }), { folder_id: 0 })
  t.match(await app.ask(bob, 'PUT', `${folders}/${made.id}`, { name: 'Old' }), { status: 200, name: 'Old' })
  t.match(await app.ask(bob, 'DELETE', `${folders}/${made.id}`), { status: 200 })
  t.match(await app.ask(bob, 'DELETE', `${folders}/${made.id}`), { status: 404 })
  t.match(await app.ask(alice, 'DELETE', `${files}/${file_id}`), { status: 200 })
  t.strictSame(await app.kept(), { rows: 0, blobs: 0 })
})

t.test('deletions leave nothing behind', async (t) => {
  const app = await openStage(t)
  const file = { file_uri: base64(pdf()), file_name: 'plan.pdf' }
  const empty = { rows: 0, blobs: 0 }
  const upload = async (more: object = {}): Promise<string> =>
    data(await app.milky('token-two', 'upload_group_file', { ...inGroup, ...file, ...more })).file_id
  const newest = async (): Promise<any> => {
    const params = { message_scene: 'group', peer_id: GROUP, limit: 1 }
    return data(await app.milky('token-two', 'get_history_messages', params)).messages[0]
  }
  t.strictSame(await app.kept(), empty)

  await t.test('of a file', async (t) => {
    const file_id = await upload()
    const { download_url } = data(await app.milky('token-one', 'get_group_file_download_url', { ...inGroup, file_id }))
    t.strictSame(data(await app.milky('token-two', 'delete_group_file', { ...inGroup, file_id })), {})
    t.strictSame(await app.kept(), empty)
    t.type(await app.fetched(download_url), 'number', 'links that are out lead nowhere')
    t.match((await newest()).segments, [{ type: 'file', data: { file_id } }], 'the message stays')
    const gone = await app.milky('token-one', 'get_group_file_download_url', { ...inGroup, file_id })
    t.match(gone, { retcode: -404 })
  })

  await t.test('of a folder', async (t) => {
    const { folder_id } = data(await app.milky('token-one', 'create_group_folder', { ...inGroup, folder_name: 'A' }))
    for (const index of [1, 2, 3]) await upload({ parent_folder_id: folder_id, file_uri: base64(Buffer.from([index])) })
    t.match(await app.kept(), { blobs: 3 })
    t.strictSame(data(await app.milky('token-one', 'delete_group_folder', { ...inGroup, folder_id })), {})
    t.strictSame(await app.kept(), empty)
  })

  await t.test('of a message, when nobody has passed the file on', async (t) => {
    const file_id = Number(await upload())
    const { message_seq } = await newest()
    const copy = await app.ask(alice, 'POST', `/api/chats/${GROUP}/messages`, { message_type: 'file', file_id })
    data(await app.milky('token-two', 'recall_group_message', { ...inGroup, message_seq }))
    const { files } = data(await app.milky('token-two', 'get_group_files', inGroup))
    t.match(files, [{ file_id: String(file_id), uploader_id: alice }])
    t.match(await app.kept(), { blobs: 1 })
    t.match(await app.ask(alice, 'DELETE', `/api/messages/${copy.id}`), { status: 200 })
    t.strictSame(await app.kept(), empty)
  })
})

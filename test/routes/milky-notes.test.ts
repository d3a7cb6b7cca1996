import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { startApp, text, type Running } from '../helpers/app.ts'
import { faultOfEvent } from '../helpers/milky-judge.ts'
import { png } from '../helpers/pictures.ts'
import { openSocket } from '../helpers/socket.ts'
import { createMilkyCodec } from '../../src/protocols/milky-events.ts'
import type { GatewayEvent } from '../../src/core/event.ts'

const GROUP = 100001
const group = { group_id: GROUP }
const PICTURE = `base64://${png(3, 2).toString('base64')}`
const OK = { http: 200, status: 'ok', retcode: 0, data: {} }

/** Calls of both dialects by the two bots: One owns the group, Two is a member. */
function callers(app: Running) {
  return {
    one: (api: string, params: object = {}) => app.milky('token-one', api, { ...group, ...params }),
    two: (api: string, params: object = {}) => app.milky('token-two', api, { ...group, ...params }),
    draftOne: (api: string, params: object = {}) => app.call('token-one', api, params),
    draftTwo: (api: string, params: object = {}) => app.call('token-two', api, params)
  }
}

/** Rows of a table, as the disk has them. */
function countRows(app: Running, table: string): number {
  const db = new DatabaseSync(join(app.dir, 'data/lactea.db'), { readOnly: true })
  const { count } = db.prepare(`select count(*) as count from ${table}`).get() as { count: number }
  db.close()
  return count
}

/** Contents of files on the disk. */
function countContents(app: Running): number {
  const found = readdirSync(join(app.dir, 'data/files'), { recursive: true, withFileTypes: true })
  return found.filter((entry) => entry.isFile()).length
}

/** What one's own Milky 1.2 codec makes of the events of the store, strictly judged. */
async function hear(t: Test, app: Running, viewerId: number, work: () => Promise<unknown>): Promise<any[]> {
  const { encodeEvent } = createMilkyCodec(app.lactea.gateway.links.absoluteLinkOf)
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  await turn()
  const events: GatewayEvent[] = []
  const stop = app.lactea.gateway.store.onCommit((committed) => events.push(...committed))
  await work()
  await turn()
  stop()
  const frames = events.flatMap((event) => encodeEvent(event, viewerId) ?? []).map((frame) => JSON.parse(frame))
  for (const frame of frames) t.equal(faultOfEvent(frame), undefined)
  return frames.map(({ event_type, data }) => ({ event_type, data }))
}

t.test('announcements', async (t) => {
  t.test('are sent, listed, shown with the group, and deleted', async (t) => {
    const app = await startApp(t)
    const { one, two } = callers(app)
    t.strictSame(await one('send_group_announcement', { content: ' old ' }), OK)
    t.strictSame(await one('send_group_announcement', { content: 'new', image_uri: PICTURE }), OK)
    const { announcements } = (await two('get_group_announcements')).data
    t.match(announcements, [
      { ...group, announcement_id: /^\d+$/, user_id: 10001, time: Number, content: 'new', image_url: app.url },
      { ...group, content: 'old', image_url: undefined }
    ])
    const [newest] = announcements
    const picture = await fetch(newest.image_url)
    t.strictSame(Buffer.from(await picture.arrayBuffer()), png(3, 2), 'the address needs no token')

    t.match(await two('get_group_info'), { data: { group: { announcement: 'new' } } })
    const { data: sent } = await one('send_group_message', { message: text('hello') })
    const shown = await two('get_message', { message_scene: 'group', peer_id: GROUP, ...sent })
    t.match(shown, { data: { message: { group: { announcement: 'new' } } } })

    const { announcement_id } = newest
    t.strictSame(await one('delete_group_announcement', { announcement_id }), OK)
    t.match(await two('get_group_info'), { data: { group: { announcement: 'old' } } })
    t.equal((await fetch(newest.image_url)).status, 403, 'the picture went with it')
    t.match(await one('delete_group_announcement', { announcement_id }), { retcode: -404, message: announcement_id })
    t.equal(countContents(app), 0)
    t.equal(countRows(app, 'files'), 0)
    t.equal(countRows(app, 'announcements'), 1)
  })

  t.test('are refused with a sentence', async (t) => {
    const app = await startApp(t)
    const { one, two } = callers(app)
    await one('send_group_announcement', { content: 'news' })
    const rows: [call: typeof one, api: string, params: object, retcode: number, message: RegExp][] = [
      [one, 'send_group_announcement', {}, -400, /^content: .*missing/],
      [one, 'send_group_announcement', { content: 7 }, -400, /^content: /],
      [one, 'send_group_announcement', { content: ' ' }, -400, /^content: expected some text/],
      [one, 'send_group_announcement', { content: 'x'.repeat(2001) }, -104, /^content: .*2000/],
      [one, 'send_group_announcement', { content: 'x', image_uri: 7 }, -400, /^image_uri: /],
      [one, 'send_group_announcement', { content: 'x', image_uri: 'base64://AAAA' }, -400, /^image_uri: .*image/],
      [one, 'send_group_announcement', { content: 'x', group_id: 100099 }, -404, /100099/],
      [two, 'send_group_announcement', { content: 'x', image_uri: PICTURE }, -101, /owner and the admins/],
      [one, 'get_group_announcements', { group_id: 100099 }, -404, /100099/],
      [one, 'delete_group_announcement', { announcement_id: 1 }, -400, /^announcement_id: /],
      [one, 'delete_group_announcement', { announcement_id: '01' }, -404, /announcement/],
      [one, 'delete_group_announcement', { announcement_id: '99' }, -404, /announcement/],
      [two, 'delete_group_announcement', { announcement_id: '1' }, -101, /owner and the admins/]
    ]
    for (const [call, api, params, retcode, message] of rows)
      t.match(await call(api, params), { http: 200, status: 'failed', retcode, message }, JSON.stringify(params))
    t.match((await one('get_group_announcements')).data, { announcements: [{ content: 'news' }] })
    t.equal(countContents(app), 0, 'of what was refused nothing stays')
    t.equal(countRows(app, 'files'), 0)
  })

  t.test('look the same in the draft', async (t) => {
    const app = await startApp(t)
    const { draftOne, draftTwo } = callers(app)
    for (const content of ['one', 'two', 'three'])
      t.strictSame(await draftOne('send_group_announcement', { ...group, content, image_uri: PICTURE }), OK)
    await draftOne('send_group_announcement', { ...group, content: 'four' })
    const list = async () => (await draftTwo('get_group_announcement_list', group)).data.announcements
    const [four, three, two] = await list()
    t.strictSame(Object.keys(four).toSorted(), ['announcement_id', 'content', 'group_id', 'time', 'user_id'])
    t.match(three, { ...group, announcement_id: String, user_id: 10001, content: 'three', image_url: /^http/ })
    t.match(await draftTwo('delete_group_announcement', { ...group, announcement_id: '1' }), { retcode: -101 })
    t.strictSame(await draftOne('delete_group_announcement', { ...group, announcement_id: four.announcement_id }), OK)
    const number = Number(two.announcement_id)
    t.strictSame(await draftOne('delete_group_announcement', { ...group, announcement_id: number }), OK, 'as a number')
    t.match(await draftOne('delete_group_announcement', { ...group, announcement_id: number }), { retcode: -100 })
    t.match(await list(), [{ content: 'three' }, { content: 'one' }])
  })
})

t.test('the essence', async (t) => {
  const app = await startApp(t)
  const { one, two } = callers(app)
  const said: any[] = []
  for (const words of ['first', 'second', 'third'])
    said.push((await two('send_group_message', { message: text(words) })).data)
  const reply = [{ type: 'reply', data: { message_seq: 1 } }, ...text('look')]
  said.push((await one('send_group_message', { message: reply })).data)

  const heard = await hear(t, app, 10002, async () => {
    for (const message_seq of [1, 3, 4, 4]) t.strictSame(await one('set_group_essence_message', { message_seq }), OK)
    t.strictSame(await one('set_group_essence_message', { message_seq: 2, is_set: false }), OK)
  })
  t.strictSame(
    heard,
    [1, 3, 4].map((message_seq) => ({
      event_type: 'group_essence_message_change',
      data: { ...group, message_seq, operator_id: 10001, is_set: true }
    }))
  )

  const page = (page_index: number, page_size: number) => two('get_group_essence_messages', { page_index, page_size })
  const { data } = await page(0, 50)
  t.match(data, { is_end: true, messages: [{ message_seq: 4 }, { message_seq: 3 }, { message_seq: 1 }] })
  t.match(data.messages[1], {
    ...group,
    message_time: said[2].time,
    sender_id: 10002,
    sender_name: 'Two',
    operator_id: 10001,
    operator_name: 'One',
    operation_time: Number,
    segments: text('third')
  })
  t.match(data.messages[0].segments[0], { type: 'reply', data: { message_seq: 1, segments: text('first') } })
  const seqs = async (index: number, size: number) => {
    const { messages, is_end } = (await page(index, size)).data
    return [messages.map(({ message_seq }: { message_seq: number }) => message_seq), is_end]
  }
  t.strictSame(await seqs(0, 2), [[4, 3], false])
  t.strictSame(await seqs(1, 2), [[1], true])
  t.strictSame(await seqs(2, 1), [[1], true])
  t.strictSame(await seqs(0, 3), [[4, 3, 1], true])
  for (const index of [3, Number.MAX_SAFE_INTEGER]) t.strictSame(await seqs(index, 50), [[], true])

  await two('set_group_member_card', { user_id: 10002, card: 'Second' })
  t.match((await page(1, 1)).data, { messages: [{ sender_name: 'Second' }] })

  await two('recall_group_message', { message_seq: 3 })
  t.strictSame(await seqs(0, 50), [[4, 1], true])
  t.equal(countRows(app, 'essence'), 2)

  const wrong: [call: typeof one, api: string, params: object, retcode: number, message: RegExp][] = [
    [two, 'set_group_essence_message', { message_seq: 1 }, -101, /owner and the admins/],
    [one, 'set_group_essence_message', { message_seq: 3 }, -404, /message 3/],
    [one, 'set_group_essence_message', { message_seq: 99 }, -404, /message 99/],
    [one, 'set_group_essence_message', { message_seq: 1, group_id: 100099 }, -404, /100099/],
    [one, 'set_group_essence_message', { message_seq: '1' }, -400, /^message_seq: /],
    [one, 'set_group_essence_message', { message_seq: 1, is_set: 1 }, -400, /^is_set: /],
    [one, 'get_group_essence_messages', { page_size: 1 }, -400, /^page_index: /],
    [one, 'get_group_essence_messages', { page_index: -1, page_size: 1 }, -400, /^page_index: /],
    [one, 'get_group_essence_messages', { page_index: 0 }, -400, /^page_size: .*1 to 50.*missing/],
    [one, 'get_group_essence_messages', { page_index: 0, page_size: 0 }, -400, /^page_size: .*1 to 50/],
    [one, 'get_group_essence_messages', { page_index: 0, page_size: 51 }, -400, /^page_size: .*1 to 50/],
    [one, 'get_group_essence_messages', { page_index: 0, page_size: 1, group_id: 100099 }, -404, /100099/]
  ]
  for (const [call, api, params, retcode, message] of wrong)
    t.match(
      await call(api, params),
      { http: 200, status: 'failed', retcode, message },
      `${api} ${JSON.stringify(params)}`
    )
})

t.test('reactions', async (t) => {
  t.test('are told, and go with their message', async (t) => {
    const app = await startApp(t)
    const { one, two, draftTwo } = callers(app)
    await one('send_group_message', { message: text('hello') })
    const draft = await openSocket(t, `${app.ws}/?access_token=token-one`)
    const react = (params: object) => two('send_group_message_reaction', { message_seq: 1, ...params })
    const heard = await hear(t, app, 10001, async () => {
      t.strictSame(await react({ reaction: '14' }), OK)
      t.strictSame(await react({ reaction: '14', reaction_type: null, is_add: null }), OK, 'twice is no mistake')
      t.strictSame(await react({ reaction: '128077', reaction_type: 'emoji' }), OK)
      t.strictSame(await react({ reaction: '14', is_add: false }), OK)
      t.strictSame(await react({ reaction: '14', is_add: false }), OK)
      t.strictSame(await draftTwo('send_group_message_reaction', { message_id: 'Group:100001:1', reaction: '15' }), OK)
    })
    const told: [face_id: string, reaction_type: string, is_add: boolean][] = [
      ['14', 'face', true],
      ['128077', 'emoji', true],
      ['14', 'face', false],
      ['15', 'face', true]
    ]
    t.strictSame(
      heard,
      told.map(([face_id, reaction_type, is_add]) => ({
        event_type: 'group_message_reaction',
        data: { ...group, user_id: 10002, message_seq: 1, face_id, reaction_type, is_add }
      }))
    )
    for (const [face_id, , is_add] of told) {
      const { data } = (await draft.next()).data
      t.strictSame(data, { ...group, user_id: 10002, message_id: 'Group:100001:1', face_id, is_add })
    }
    t.equal(countRows(app, 'reactions'), 2)
    await one('recall_group_message', { message_seq: 1 })
    t.equal(countRows(app, 'reactions'), 0)
  })

  t.test('are refused with a sentence', async (t) => {
    const app = await startApp(t)
    const { one, two, draftOne } = callers(app)
    await one('send_group_message', { message: text('hello') })
    await one('send_group_message', { message: text('gone') })
    await one('recall_group_message', { message_seq: 2 })
    await one('set_group_member_mute', { user_id: 10002, duration: 60 })
    const api = 'send_group_message_reaction'
    const face = { message_seq: 1, reaction: '14' }
    const rows: [call: typeof one, params: object, retcode: number, message: RegExp][] = [
      [two, face, -102, /muted/],
      [one, { ...face, message_seq: 2 }, -404, /message 2/],
      [one, { ...face, message_seq: 99 }, -404, /message 99/],
      [one, { ...face, group_id: 100099 }, -404, /100099/],
      [one, { message_seq: 1 }, -400, /^reaction: /],
      [one, { ...face, reaction: 14 }, -400, /^reaction: /],
      [one, { ...face, reaction: 'a b' }, -400, /^reaction: .*face/],
      [one, { ...face, reaction: 'x', reaction_type: 'emoji' }, -400, /^reaction: .*emoji/],
      [one, { ...face, reaction_type: 'sticker' }, -400, /^reaction_type: expected "face" or "emoji"/],
      [one, { ...face, is_add: 'yes' }, -400, /^is_add: /]
    ]
    for (const [call, params, retcode, message] of rows)
      t.match(await call(api, params), { http: 200, status: 'failed', retcode, message }, JSON.stringify(params))

    const elsewhere = [
      { message_id: 'Group:100001:99' },
      { message_id: 'Group:100001:2' },
      { message_id: 'Group:100099:1' },
      { message_id: 'Private:10011:1' },
      { message_id: '1' },
      { message_id: 'nonsense' },
      { message_id: 'Group:100001:1', group_id: 100002 }
    ]
    for (const params of elsewhere)
      t.match(await draftOne(api, { reaction: '14', ...params }), { http: 200, retcode: -100 }, JSON.stringify(params))
    t.match(await draftOne(api, { message_id: 'Group:100001:1', reaction: 'a b' }), {
      http: 400,
      message: /^reaction: /
    })
    t.equal(countRows(app, 'reactions'), 0)
    t.match(await draftOne(api, { message_id: 'Group:100001:1', reaction: '14', ...group }), OK)
  })

  t.test('of which a thousand were taken back leave nothing', async (t) => {
    const app = await startApp(t)
    const { two } = callers(app)
    await two('send_group_message', { message: text('hello') })
    const { reactions } = app.lactea.gateway
    const name = { type: 'face', reaction: '14' } as const
    for (let left = 10; left > 0; left--) {
      const work = Array.from({ length: 100 }, () => [
        reactions.add(10002, GROUP, 1, name),
        reactions.remove(10002, GROUP, 1, name)
      ])
      await Promise.all(work.flat())
    }
    t.equal(countRows(app, 'reactions'), 0)
  })

  t.test('in private chats are none of the bots’ words', async (t) => {
    const app = await startApp(t)
    await app.milky('token-one', 'send_private_message', { user_id: 10002, message: text('hello') })
    const { store, reactions } = app.lactea.gateway
    const chatId = (await store.findPrivateChat(10001, 10002)) ?? 0
    const draft = await openSocket(t, `${app.ws}/?access_token=token-one`)
    const heard = await hear(t, app, 10001, () => reactions.add(10002, chatId, 1, { type: 'face', reaction: '14' }))
    t.strictSame(heard, [])
    await app.milky('token-two', 'send_private_message', { user_id: 10001, message: text('nothing before this') })
    t.match(await draft.next(), { data: { event_type: 'message_receive' } })
    const params = { group_id: chatId, message_seq: 1, reaction: '14' }
    t.match(await app.milky('token-one', 'send_group_message_reaction', params), { retcode: -404 })
  })
})

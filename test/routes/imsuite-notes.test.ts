import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { text, type Running, type StartOptions } from '../helpers/app.ts'
import {
  alice,
  bob,
  carol,
  GROUP,
  heardSoFar,
  openDevice,
  request,
  startPeople,
  TIMESTAMP,
  tokenOf
} from '../helpers/people.ts'
import type { Answer } from '../helpers/person.ts'
import { pdf, png } from '../helpers/pictures.ts'
import { openSocket } from '../helpers/socket.ts'

interface Stage {
  readonly app: Running
  /** Requests of Alice, an admin of the group, of Bob, a member, and of Carol, who is in nothing. */
  readonly a: (method: string, path: string, body?: object) => Promise<Answer>
  readonly b: (method: string, path: string, body?: object) => Promise<Answer>
  readonly c: (method: string, path: string, body?: object) => Promise<Answer>
  /** Says something in the group as Bob; gives the id of the message. */
  readonly say: (content: string) => Promise<number>
}

const CHAT = `/api/chats/${GROUP}`

async function openStage(t: Test, more: Record<string, object> = {}, options: StartOptions = {}): Promise<Stage> {
  const app = await startPeople(t, more, options)
  await app.milky('token-one', 'set_group_member_admin', { group_id: GROUP, user_id: alice })
  const [a, b, c] = await Promise.all(
    [alice, bob, carol].map(async (id) => {
      const token = await tokenOf(id)
      return (method: string, path: string, body?: object) => request(app, token, method, path, body)
    })
  )
  if (!a || !b || !c) throw new Error('nobody is there')
  return { app, a, b, c, say: async (content) => (await b('POST', `${CHAT}/messages`, { content })).body.id }
}

async function upload(app: Running, accountId: number, bytes: Buffer, name: string): Promise<number> {
  const form = new FormData()
  form.set('file', new Blob([new Uint8Array(bytes)]), name)
  const headers = { authorization: `Bearer ${await tokenOf(accountId)}` }
  const response = await fetch(`${app.url}/api/files/upload`, { method: 'POST', headers, body: form })
  return ((await response.json()) as { id: number }).id
}

t.test('announcements of people', async (t) => {
  t.test('are sent, listed and deleted, and bots see them', async (t) => {
    const { app, a, b } = await openStage(t)
    const file_id = await upload(app, alice, png(3, 2), 'cat.png')
    t.match(await a('POST', `${CHAT}/announcements`, { content: ' We meet ' }), { status: 201 })
    const sent = await a('POST', `${CHAT}/announcements`, { content: 'With a cat', file_id })
    t.strictSame(sent.body, { success: true, ...sent.body.data, data: sent.body.data })
    t.match(sent, {
      status: 201,
      body: {
        id: Number,
        chat_id: GROUP,
        user_id: alice,
        sender: { id: alice, nickname: 'Alice', avatar_url: '' },
        content: 'With a cat',
        image_url: `/api/files/${file_id}/cat.png`,
        created_at: TIMESTAMP
      }
    })
    const { body } = await b('GET', `${CHAT}/announcements`)
    t.strictSame(body.announcements[0], sent.body.data)
    t.match(body.data.announcements, [{}, { content: 'We meet', image_url: '' }])

    const group = { group_id: GROUP }
    const listed = (await app.milky('token-two', 'get_group_announcements', group)).data.announcements
    t.match(listed, [{ announcement_id: `${sent.body.id}`, user_id: alice, image_url: app.url }, {}])
    t.match(await app.milky('token-two', 'get_group_info', group), { data: { group: { announcement: 'With a cat' } } })
    t.match(await b('GET', `/api/files/${file_id}`), { status: 200 }, 'members see the picture')

    t.match(await a('DELETE', `${CHAT}/announcements/${sent.body.id}`), { status: 200, body: { success: true } })
    t.match(await a('GET', `/api/files/${file_id}`), { status: 404 })
    await app.milky('token-one', 'delete_group_announcement', { ...group, announcement_id: listed[1].announcement_id })
    t.strictSame((await b('GET', `${CHAT}/announcements`)).body.announcements, [])
  })

  t.test('are refused in the form of all refusals', async (t) => {
    const { app, a, b, c, say } = await openStage(t)
    const path = `${CHAT}/announcements`
    const { body } = await a('POST', path, { content: 'news' })
    const paper = await upload(app, alice, pdf(), 'a.pdf')
    const bobs = await upload(app, bob, png(3, 2), 'b.png')
    await say('hello')
    const rows: [label: string, work: Promise<Answer>, status: number, code: string, field?: string][] = [
      ['a member', b('POST', path, { content: 'x' }), 403, 'FORBIDDEN'],
      ['a stranger', c('POST', path, { content: 'x' }), 404, 'NOT_FOUND'],
      ['no words', a('POST', path, {}), 400, 'VALIDATION_ERROR', 'content'],
      ['empty words', a('POST', path, { content: ' ' }), 400, 'VALIDATION_ERROR', 'content'],
      ['too many words', a('POST', path, { content: 'x'.repeat(2001) }), 400, 'VALIDATION_ERROR', 'content'],
      ['a document', a('POST', path, { content: 'x', file_id: paper }), 400, 'VALIDATION_ERROR', 'file_id'],
      ['a file of somebody else', a('POST', path, { content: 'x', file_id: bobs }), 404, 'NOT_FOUND', 'file_id'],
      ['no file', a('POST', path, { content: 'x', file_id: 99 }), 404, 'NOT_FOUND', 'file_id'],
      ['reading as a stranger', c('GET', path), 404, 'NOT_FOUND'],
      ['deleting as a member', b('DELETE', `${path}/${body.id}`), 403, 'FORBIDDEN'],
      ['deleting as a stranger', c('DELETE', `${path}/${body.id}`), 404, 'NOT_FOUND'],
      ['deleting nothing', a('DELETE', `${path}/99`), 404, 'NOT_FOUND'],
      ['deleting nonsense', a('DELETE', `${path}/x`), 400, 'VALIDATION_ERROR', 'announcement_id']
    ]
    for (const [label, work, status, code, field] of rows) {
      const answer = await work
      t.match(answer, { status, body: { success: false, code, error: /./ } }, label)
      if (field !== undefined) t.equal(answer.body.details.field, field, label)
    }
    t.match((await b('GET', path)).body.announcements, [{ content: 'news' }])
    const uri = { content: 'x', image_uri: 'http://127.0.0.1:1/x.png' }
    t.match(await a('POST', path, uri), { status: 201, body: { image_url: '' } }, 'people make nobody fetch anything')
  })
})

t.test('the essence of people', async (t) => {
  const { app, a, b, c, say } = await openStage(t)
  const [ext, base] = [await openDevice(t, app, bob, { query: 'ext=1' }), await openDevice(t, app, bob)]
  const bot = await openSocket(t, `${app.ws}/?access_token=token-two`)
  const ids = [await say('one'), await say('two'), await say('three')]
  await Promise.all([heardSoFar(ext), heardSoFar(base)])

  for (const id of ids)
    t.match(await a('PUT', `/api/messages/${id}/essence`), {
      status: 200,
      body: { message_id: id, chat_id: GROUP, is_essence: true }
    })
  await a('PUT', `/api/messages/${ids[0]}/essence`)
  t.match(await a('DELETE', `/api/messages/${ids[1]}/essence`), { status: 200, body: { is_essence: false } })

  const told = [ids[0], ids[1], ids[2], ids[1]].map((message_id, index) => ({
    message_id,
    chat_id: GROUP,
    operator_id: alice,
    is_set: index < 3
  }))
  const frames = await heardSoFar(ext)
  t.strictSame(
    frames.map(({ type, payload }) => ({ type, payload })),
    told.map((payload) => ({ type: 'message.essence', payload }))
  )
  t.match(frames[0], { timestamp: TIMESTAMP, x: { event_seq: Number } })
  t.strictSame(await heardSoFar(base), [], 'the document has no word for it')
  for (const { is_set } of told) {
    const { data } = await bot.find(({ data: event }) => event.event_type === 'group_essence_message_change')
    t.match(data.data, { group_id: GROUP, message_id: /^Group:100001:\d$/, is_set })
  }

  const { body } = await b('GET', `${CHAT}/essence`)
  t.match(body.essence, [
    {
      message: { id: ids[2], content: 'three', sender: { id: bob, nickname: 'Bob' }, status: String },
      operator_id: alice,
      operator_name: 'Alice',
      marked_at: TIMESTAMP
    },
    { message: { id: ids[0] } }
  ])
  t.strictSame(body.pagination, { page: 1, limit: 20, total: 2, pages: 1, has_next: false, has_prev: false })
  t.match((await b('GET', `${CHAT}/essence?page=2&limit=1`)).body.essence, [{ message: { id: ids[0] } }])
  const page = { group_id: GROUP, page_index: 0, page_size: 50 }
  t.match(await app.milky('token-two', 'get_group_essence_messages', page), {
    data: { messages: [{ sender_name: 'Bob', operator_id: alice }, {}], is_end: true }
  })
  await b('DELETE', `/api/messages/${ids[2]}`)
  t.match((await b('GET', `${CHAT}/essence`)).body.essence, [{ message: { id: ids[0] } }])

  const { body: secret } = await a('POST', '/api/messages', { receiver_id: bob, content: 'psst' })
  const rows: [label: string, work: Promise<Answer>, status: number, code: string][] = [
    ['a member', b('PUT', `/api/messages/${ids[0]}/essence`), 403, 'FORBIDDEN'],
    ['a stranger', c('PUT', `/api/messages/${ids[0]}/essence`), 404, 'NOT_FOUND'],
    ['a stranger who reads', c('GET', `${CHAT}/essence`), 404, 'NOT_FOUND'],
    ['a recalled message', a('PUT', `/api/messages/${ids[2]}/essence`), 404, 'NOT_FOUND'],
    ['no message', a('PUT', '/api/messages/9999/essence'), 404, 'NOT_FOUND'],
    ['a private chat', a('PUT', `/api/messages/${secret.id}/essence`), 400, 'VALIDATION_ERROR']
  ]
  for (const [label, work, status, code] of rows) t.match(await work, { status, body: { code, error: /./ } }, label)
})

t.test('reactions of people', async (t) => {
  const { app, a, b, c, say } = await openStage(t)
  const [ext, base] = [await openDevice(t, app, alice, { query: 'ext=1' }), await openDevice(t, app, alice)]
  const bot = await openSocket(t, `${app.ws}/?access_token=token-two`)
  const id = await say('hello')
  await Promise.all([heardSoFar(ext), heardSoFar(base)])
  const path = `/api/messages/${id}/reactions`
  const thumb = encodeURIComponent('👍')

  const put = await b('PUT', `${path}/${thumb}?type=emoji`)
  const own = { reaction: '128077', reaction_type: 'emoji', emoji: '👍', count: 1, is_own: true, user_ids: [bob] }
  t.strictSame(put.body.data, { message_id: id, reactions: [own] })
  t.match(await b('PUT', `${path}/128077`), { status: 200 }, 'the same by its number, and of the same type')
  t.match(await a('PUT', `${path}/14?type=face`), { status: 200 })
  t.match(await a('PUT', `${path}/${thumb}`), { status: 200 })
  const react = { group_id: GROUP, message_seq: 1, reaction: '14' }
  await app.milky('token-two', 'send_group_message_reaction', react)
  const { body } = await b('GET', path)
  // Within one second they are sorted by name, and in the next by time.
  const found = new Map(body.reactions.map((one: any) => [one.reaction, { ...one, user_ids: one.user_ids.toSorted() }]))
  t.strictSame(found.get('128077'), { ...own, count: 2, user_ids: [alice, bob] })
  const faces = { reaction: '14', reaction_type: 'face', count: 2, is_own: false, user_ids: [10002, alice] }
  t.strictSame([found.get('14'), found.size], [faces, 2])
  t.match(await b('DELETE', `${path}/${thumb}?type=emoji`), { body: { reactions: Array } })

  const told = [
    { user_id: bob, reaction: '128077', reaction_type: 'emoji', is_add: true },
    { user_id: alice, reaction: '14', reaction_type: 'face', is_add: true },
    { user_id: alice, reaction: '128077', reaction_type: 'emoji', is_add: true },
    { user_id: 10002, reaction: '14', reaction_type: 'face', is_add: true },
    { user_id: bob, reaction: '128077', reaction_type: 'emoji', is_add: false }
  ]
  const frames = await heardSoFar(ext)
  t.strictSame(
    frames.map(({ type, payload }) => ({ type, payload })),
    told.map((data) => ({ type: 'message.reaction', payload: { message_id: id, chat_id: GROUP, ...data } }))
  )
  t.strictSame(await heardSoFar(base), [], 'the document has no word for it')
  for (const { user_id, reaction, is_add } of told) {
    const { data } = await bot.find(({ data: event }) => event.event_type === 'group_message_reaction')
    t.match(data.data, { group_id: GROUP, user_id, face_id: reaction, message_id: 'Group:100001:1', is_add })
  }

  const rows: [label: string, work: Promise<Answer>, status: number, field?: string][] = [
    ['no emoji', b('PUT', `${path}/x`), 400, 'reaction'],
    ['a number that is none', b('PUT', `${path}/65`), 400, 'reaction'],
    ['an emoji as a face', b('PUT', `${path}/${thumb}?type=face`), 400, 'reaction'],
    ['another type', b('PUT', `${path}/14?type=sticker`), 400, 'type'],
    ['a stranger', c('PUT', `${path}/${thumb}`), 404],
    ['a stranger who reads', c('GET', path), 404],
    ['no message', b('PUT', `/api/messages/9999/reactions/${thumb}`), 404]
  ]
  for (const [label, work, status, field] of rows) {
    const answer = await work
    t.match(answer, { status, body: { success: false, error: /./ } }, label)
    if (field !== undefined) t.equal(answer.body.details.field, field, label)
  }
  await app.milky('token-one', 'set_group_member_mute', { group_id: GROUP, user_id: bob, duration: 60 })
  t.match(await b('PUT', `${path}/${thumb}`), {
    status: 403,
    body: { code: 'FORBIDDEN', details: { reason: 'muted' } }
  })

  await b('DELETE', `/api/messages/${id}`)
  t.match(await b('GET', path), { status: 404 })
  t.match(await a('PUT', `${path}/${thumb}`), { status: 404 })
  const db = new DatabaseSync(join(app.dir, 'data/lactea.db'), { readOnly: true })
  t.strictSame({ ...db.prepare('select count(*) as count from reactions').get() }, { count: 0 })
  db.close()
})

t.test('people react in private chats, and no bot hears a word that it does not know', async (t) => {
  const { app, a } = await openStage(t)
  const ext = await openDevice(t, app, alice, { query: 'ext=1' })
  const bot = await openSocket(t, `${app.ws}/?access_token=token-two`)
  const { body } = await a('POST', '/api/messages', { receiver_id: 10002, content: 'hello' })
  t.match(await a('PUT', `/api/messages/${body.id}/reactions/${encodeURIComponent('🎉')}`), { status: 200 })
  await app.milky('token-two', 'send_private_message', { user_id: alice, message: text('thanks') })
  t.match(await heardSoFar(ext), [
    { type: 'message.new' },
    { type: 'message.reaction', payload: { chat_id: body.chat_id, reaction: '127881' } },
    { type: 'message.new' }
  ])
  await a('POST', '/api/messages', { receiver_id: 10002, content: 'bye' })
  const heard = [await bot.next(), await bot.next()].map(({ data }) => data.event_type)
  t.strictSame(heard, ['message_receive', 'message_receive'])
})

t.test('what people note counts like what they say', async (t) => {
  const { a, b, say } = await openStage(
    t,
    { limits: { im_message_rate: 1, im_message_burst: 3 } },
    { isTimeStopped: true }
  )
  const id = await say('hello')
  const path = `/api/messages/${id}/reactions/14?type=face`
  const answers = [await b('PUT', path), await b('DELETE', path), await b('PUT', path), await b('DELETE', path)]
  t.ok(answers.some(({ status, body }) => status === 429 && body.code === 'RATE_LIMITED'))
  const marks = [1, 2, 3, 4, 5].map(() => a('PUT', `/api/messages/${id}/essence`))
  t.ok((await Promise.all(marks)).some(({ status }) => status === 429))
})

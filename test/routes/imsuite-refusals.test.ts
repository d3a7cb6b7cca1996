import t, { type Test } from 'tap'
import { readPage, tableBelow } from '../docs/markdown.ts'
import type { Running } from '../helpers/app.ts'
import { alice, bob, carol, GROUP, request, startPeople, tokenOf } from '../helpers/people.ts'
import { ask } from '../helpers/person.ts'

// What every route of people does with what makes no sense: whatever is listed in docs/im-suite.md is tried.

const routes = tableBelow(readPage('docs/im-suite.md'), '## Routes')
  .map(([route = '']) => route.split(' ') as [method: string, path: string])
  .filter(([, path]) => /^\/api\/(?:users|contacts|chats|messages)\b/.test(path))

const PLENTY = { im_message_burst: 100_000, im_message_rate: 100_000, im_chat_rate: 100_000, im_read_burst: 100_000 }

/** Fields of bodies, each with a value that makes sense. */
const FIELDS: Record<string, unknown> = {
  nickname: 'Al',
  bio: 'I sing',
  avatar_url: '',
  user_id: 10001,
  contact_id: 10001,
  phone: '+1',
  username: 'bob',
  remark: 'x',
  is_muted: false,
  name: 'x',
  title: 'x',
  description: 'x',
  type: 'group',
  members: [10001],
  member_ids: [10001],
  user_ids: [10001],
  message_id: 1,
  content: 'x',
  chat_id: GROUP,
  receiver_id: 10001,
  reply_to_id: 1,
  message_type: 'text',
  client_msg_id: 'c',
  random_id: 1,
  file_id: 1,
  file_url: 'https://a.example/a.png',
  expected_rev: 0,
  role: 'member',
  card: 'x',
  duration: 60,
  reason: 'x',
  action: 'typing',
  is_typing: true,
  comment: 'x',
  folder_id: 1,
  image_file_id: 1,
  count: 1
}
const WRONG: unknown[] = [[], {}, true, -1, 1.5, 1e308, 'x', '\u0000', [null], { a: [{}] }, 'x'.repeat(5000), null]
const QUERIES = [
  'page',
  'limit',
  'offset',
  'before',
  'after',
  'q',
  'chat_id',
  'receiver_id',
  'keyword',
  'search',
  'phone'
]
const ODD = ['', 'x', '-1', '0', '1.5', '1e9', '99999999999999999999', '%00', "'", '%25', '_', '%FF', 'a&page=b']

/** Undefined when the answer has the form that every answer has. */
function faultOf({ status, body }: { status: number; body: any }): string | undefined {
  const shown = `${status} ${JSON.stringify(body)}`.slice(0, 200)
  if (status >= 500) return shown
  if (status < 300) return body.success === true ? undefined : shown
  const { success, error, code, details } = body
  const isWell =
    success === false &&
    typeof error === 'string' &&
    error !== '' &&
    /^[A-Z_]+$/.test(code) &&
    typeof details === 'object'
  return isWell ? undefined : shown
}

async function start(t: Test): Promise<{ app: Running; token: string; messageId: number }> {
  const app = await startPeople(t, { limits: PLENTY })
  const token = await tokenOf(alice)
  const { body } = await request(app, token, 'POST', '/api/messages', { chat_id: GROUP, content: 'hello' })
  return { app, token, messageId: body.id }
}

/** The path with something in the place of its parameters. */
function fill(path: string, { id, user }: { id: string | number; user: string | number }): string {
  const known = path.replace(':id', String(id)).replace(':user_id', String(user)).replace(':phone', '+1')
  return known.replace(':reaction', '128077').replaceAll(/:\w+/g, '1')
}

const ownIdOf = (path: string, messageId: number): number => {
  if (path.startsWith('/api/chats')) return GROUP
  return path.startsWith('/api/messages') ? messageId : bob
}

t.test('there are as many routes as ever', async (t) => t.ok(routes.length > 40, String(routes.length)))

t.test('without a token nobody is told anything', async (t) => {
  const { app } = await start(t)
  for (const [method, path] of routes) {
    const answer = await ask(app, method, fill(path, { id: GROUP, user: bob }), {
      body: method === 'GET' ? undefined : {}
    })
    t.strictSame(
      [answer.status, answer.body.code, faultOf(answer)],
      [401, 'UNAUTHORIZED', undefined],
      `${method} ${path}`
    )
  }
})

t.test('an id that is none is refused', async (t) => {
  const { app, token } = await start(t)
  for (const [method, path] of routes.filter(([, path]) => path.includes('id'))) {
    for (const id of [
      'abc',
      '0',
      '-1',
      '1.5',
      '1e3',
      '0x10',
      '9007199254740993',
      '99999999999999999999',
      '%00',
      '%20'
    ]) {
      const answer = await request(app, token, method, fill(path, { id, user: bob }), bodyFor(method))
      t.strictSame(
        [answer.status, answer.body.code, faultOf(answer)],
        [400, 'VALIDATION_ERROR', undefined],
        `${method} ${path} ${id}`
      )
      if (!path.includes(':user_id')) continue
      const other = await request(app, token, method, fill(path, { id: GROUP, user: id }), bodyFor(method))
      t.strictSame([other.status, faultOf(other)], [400, undefined], `${method} ${path} user ${id}`)
    }
  }
})

t.test('who is not in a chat learns nothing of it', async (t) => {
  const { app, messageId } = await start(t)
  const token = await tokenOf(carol)
  const strange = routes
    .filter(([, path]) => /^\/api\/(?:chats|messages)\/:id/.test(path))
    // Who is not in a group may ask to be let in, and so learns that it is there.
    .filter(([method, path]) => method !== 'POST' || path !== '/api/chats/:id/requests')
  for (const [method, path] of strange) {
    const theirs = await request(
      app,
      token,
      method,
      fill(path, { id: ownIdOf(path, messageId), user: bob }),
      bodyFor(method)
    )
    const absent = await request(app, token, method, fill(path, { id: 123_456, user: bob }), bodyFor(method))
    const label = `${method} ${path}`
    t.strictSame([theirs.status, theirs.body.code, faultOf(theirs)], [404, 'NOT_FOUND', undefined], label)
    const plain = (body: any): string => JSON.stringify(body).replace(/\d+/g, '')
    t.equal(plain(theirs.body), plain(absent.body), `${label}: the same as if there were nothing`)
  }
  for (const [method, path, body] of [
    ['GET', `/api/messages?chat_id=${GROUP}`],
    ['GET', `/api/messages/unread/count?chat_id=${GROUP}`],
    ['POST', '/api/messages', { chat_id: GROUP, content: 'x' }],
    ['POST', '/api/messages/send', { chat_id: GROUP, content: 'x' }],
    ['POST', '/api/messages/typing', { chat_id: GROUP }]
  ] as const)
    t.match(await request(app, token, method, path, body), { status: 404, body: { code: 'NOT_FOUND' } }, path)
})

t.test('bodies that make no sense are refused in the one form, and never a mistake of ours', async (t) => {
  const { app, token, messageId } = await start(t)
  const faults: string[] = []
  let tries = 0
  const attempt = async (method: string, path: string, body: string): Promise<void> => {
    const url = fill(path, { id: ownIdOf(path, messageId), user: 10002 })
    const fault = faultOf(await ask(app, method, url, { token, body }))
    if (fault !== undefined) faults.push(`${method} ${path} ${body.slice(0, 80)}: ${fault}`)
  }
  for (const [method, path] of routes.filter(([method]) => method !== 'GET')) {
    // Who has left the group is not refused for what they send.
    if (path.endsWith('/leave')) continue
    for (const body of ['', '{', '[]', '"x"', '5', 'true', 'null', '{"__proto__":{"a":1}}', '{"nonsense":{"a":[1]}}'])
      await attempt(method, path, body)
    for (const wrong of WRONG) await attempt(method, path, JSON.stringify(allFields(wrong)))
    for (const field of Object.keys(FIELDS))
      await attempt(method, path, JSON.stringify({ ...FIELDS, [field]: WRONG[tries++ % WRONG.length] }))
  }
  t.strictSame(faults, [])
})

t.test('bodies that are no JSON object are refused where one is read', async (t) => {
  const { app, token, messageId } = await start(t)
  const readers = routes.filter(
    ([method, path]) => method !== 'GET' && /(?:send|typing|chats|contacts|messages|members|me)$/.test(path)
  )
  for (const [method, path] of readers) {
    for (const body of ['{', '[]', '"x"', '5', '{"__proto__":{"a":1}}']) {
      const url = fill(path, { id: ownIdOf(path, messageId), user: 10002 })
      const answer = await ask(app, method, url, { token, body })
      t.strictSame([answer.status, answer.body.code], [400, 'VALIDATION_ERROR'], `${method} ${path} ${body}`)
    }
  }
})

t.test('queries that make no sense are never a mistake of ours', async (t) => {
  const { app, token, messageId } = await start(t)
  const faults: string[] = []
  for (const [, path] of routes.filter(([method]) => method === 'GET')) {
    for (const name of QUERIES) {
      for (const odd of ODD) {
        const url = `${fill(path, { id: ownIdOf(path, messageId), user: 10002 })}?${name}=${odd}`
        const fault = faultOf(await request(app, token, 'GET', url))
        if (fault !== undefined) faults.push(`${url}: ${fault}`)
      }
    }
  }
  t.strictSame(faults, [])
})

const allFields = (value: unknown): object => Object.fromEntries(Object.keys(FIELDS).map((field) => [field, value]))

/** What makes sense to every route, so that only the id is wrong. */
function bodyFor(method: string): unknown {
  const { message_id: _message, reply_to_id: _reply, file_id: _file, file_url: _url, ...rest } = FIELDS
  return method === 'GET' ? undefined : rest
}

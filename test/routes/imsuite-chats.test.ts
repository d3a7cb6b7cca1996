import t from 'tap'
import { startApp, text } from '../helpers/app.ts'
import { ask, TIMESTAMP, tokensOf, type Answer } from '../helpers/person.ts'
import { openSocket } from '../helpers/socket.ts'

void t.test('GET /api/chats', async (t) => {
  t.test('shows each chat as its viewer sees it, the liveliest first', async (t) => {
    const app = await startApp(t)
    const { token } = await tokensOf(app)
    await app.call('token-one', 'send_private_message', { user_id: 10011, message: text('one') })
    await app.call('token-one', 'send_private_message', { user_id: 10011, message: text('two') })
    const { status, body } = await ask(app, 'GET', '/api/chats', { token })
    t.equal(status, 200)
    t.strictSame(body.data, { chats: body.chats, pagination: body.pagination })
    t.strictSame(body.pagination, { page: 1, limit: 20, total: 2, pages: 1, has_next: false, has_prev: false })
    t.match(
      body.chats.find((chat: { type: string }) => chat.type === 'private'),
      {
        title: 'One',
        unread_count: 2,
        is_pinned: false,
        last_message: { sender_id: 10001, content: 'two', message_type: 'text', created_at: TIMESTAMP },
        created_at: TIMESTAMP,
        updated_at: TIMESTAMP
      }
    )
    t.match(
      body.chats.find((chat: { type: string }) => chat.type === 'group'),
      { id: 100001, title: 'Test group', unread_count: 0, last_message: null }
    )
  })

  t.test('counts what others said since the viewer spoke', async (t) => {
    const app = await startApp(t)
    const { token } = await tokensOf(app)
    const socket = await openSocket(t, `${app.ws}/ws?token=${token}`)
    await app.call('token-one', 'send_group_message', { group_id: 100001, message: text('before') })
    socket.send({ type: 'message.send', payload: { chat_id: 100001, content: 'mine' } })
    await socket.find((frame) => frame.payload.message?.content === 'mine')
    await app.call('token-two', 'send_group_message', { group_id: 100001, message: text('after') })
    const { body } = await ask(app, 'GET', '/api/chats', { token })
    t.match(body.chats[0], { id: 100001, unread_count: 1, last_message: { content: 'after' } })
  })

  t.test('comes in pages', async (t) => {
    const app = await startApp(t)
    const { token } = await tokensOf(app)
    await app.call('token-one', 'send_private_message', { user_id: 10011, message: text('one') })
    const pages = [1, 2, 3].map((page) => ask(app, 'GET', `/api/chats?page=${page}&limit=1`, { token }))
    const [first, second, third] = (await Promise.all(pages)).map(({ body }) => body)
    t.not(first.chats[0].id, second.chats[0].id)
    t.strictSame(third.chats, [])
    t.strictSame(first.pagination, { page: 1, limit: 1, total: 2, pages: 2, has_next: true, has_prev: false })
    t.strictSame(second.pagination, { page: 2, limit: 1, total: 2, pages: 2, has_next: false, has_prev: true })
    t.equal((await ask(app, 'GET', '/api/chats?limit=5000', { token })).body.pagination.limit, 100)
    for (const query of ['limit=0', 'page=0', 'page=-1', 'limit=ten', 'page=1&page=2'])
      t.match(await ask(app, 'GET', `/api/chats?${query}`, { token }), { status: 400 }, query)
  })
})

void t.test('GET /api/chats/:id/messages', async (t) => {
  const app = await startApp(t)
  const { token } = await tokensOf(app)
  for (let index = 1; index <= 7; index++)
    await app.call('token-one', 'send_group_message', { group_id: 100001, message: text(`m${index}`) })
  const read = (query = '', chat: number | string = 100001): Promise<Answer> =>
    ask(app, 'GET', `/api/chats/${chat}/messages${query}`, { token })
  const words = ({ body }: Answer): string[] => body.messages.map(({ content }: { content: string }) => content)
  const idOf = new Map<string, number>(
    (await read()).body.messages.map(({ content, id }: { content: string; id: number }) => [content, id])
  )

  t.test('gives the newest first', async (t) => {
    const answer = await read()
    t.strictSame(words(answer), ['m7', 'm6', 'm5', 'm4', 'm3', 'm2', 'm1'])
    t.match(answer.body, { success: true, pagination: { limit: 50, has_more: false }, data: { messages: Array } })
    t.strictSame(answer.body.messages[0], {
      id: idOf.get('m7'),
      chat_id: 100001,
      sender_id: 10001,
      content: 'm7',
      message_type: 'text',
      created_at: answer.body.messages[0].created_at,
      is_edited: false,
      edit_count: 0,
      is_deleted: false,
      updated_at: answer.body.messages[0].created_at,
      sender: { id: 10001, nickname: 'One', avatar_url: '' }
    })
  })

  const rows: [string, string, string[], boolean][] = [
    ['limit', '?limit=2', ['m7', 'm6'], true],
    ['before', `?limit=2&before=${idOf.get('m6')}`, ['m5', 'm4'], true],
    ['before, to the beginning', `?limit=2&before=${idOf.get('m3')}`, ['m2', 'm1'], false],
    ['before the first', `?before=${idOf.get('m1')}`, [], false],
    ['after, oldest first', `?limit=2&after=${idOf.get('m2')}`, ['m3', 'm4'], true],
    ['after 0: from the beginning', '?limit=2&after=0', ['m1', 'm2'], true],
    ['after, to the end', `?limit=3&after=${idOf.get('m4')}`, ['m5', 'm6', 'm7'], false],
    ['after the last', `?after=${idOf.get('m7')}`, [], false]
  ]
  t.test('pages by message id', async (t) => {
    for (const [label, query, expected, hasMore] of rows) {
      const answer = await read(query)
      t.strictSame([words(answer), answer.body.pagination.has_more], [expected, hasMore], label)
    }
  })

  t.test('refuses a page that makes no sense', async (t) => {
    for (const query of ['?limit=0', '?limit=x', '?before=-1', '?after=1.5'])
      t.match(await read(query), { status: 400, body: { code: 'VALIDATION_ERROR' } }, query)
    t.match(await read('?before=999999'), { status: 404, body: { details: { field: 'before' } } })
  })

  t.test('does not tell a stranger whether the chat exists', async (t) => {
    await app.call('token-one', 'send_private_message', { user_id: 10002, message: text('between bots') })
    const theirs = await app.lactea.gateway.chats.getPrivate(10001, 10002)
    const [foreign, absent] = [await read('', theirs), await read('', 987_654)]
    t.strictSame([foreign.status, absent.status], [404, 404])
    t.equal(foreign.body.code, 'NOT_FOUND')
    t.equal(foreign.body.error.replace(String(theirs), ''), absent.body.error.replace('987654', ''))
    t.equal((await read('', 'abc')).status, 400)
    t.equal((await ask(app, 'GET', '/api/chats/100001/messages')).status, 401)
  })

  t.test('pages from a message that was recalled, and leaves it out', async (t) => {
    const recalled = await app.call('token-one', 'recall_message', { message_id: 'Group:100001:6' })
    t.equal(recalled.retcode, 0)
    t.strictSame(words(await read(`?limit=2&before=${idOf.get('m6')}`)), ['m5', 'm4'])
    t.strictSame(words(await read('?limit=2')), ['m7', 'm5'])
  })
})

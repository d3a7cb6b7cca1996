import t from 'tap'
import { startApp, text, world } from '../helpers/app.ts'
import { alice, bob, openDevice, request, startPeople, tokenOf } from '../helpers/people.ts'
import { routesOf } from '../helpers/routes.ts'
import { openSocket } from '../helpers/socket.ts'
import { blocksOf, namesWith, readPage, tableBelow } from './markdown.ts'

const page = readPage('docs/im-suite.md')

t.test('docs/im-suite.md lists the routes of the people, docs/operations.md those of the operator', async (t) => {
  const app = await startApp(t)
  const open = routesOf(app).filter((route) => /^\w+ \/(?:api\/\w|ws$|im\/)/.test(route) && route !== 'POST /ws')
  const listed = tableBelow(page, '## Routes').map(([route = '']) => route)
  const ofOperator = tableBelow(readPage('docs/operations.md'), '## The operator').map(([route = '']) => route)
  t.strictSame([...listed, ...ofOperator].toSorted(), open.toSorted())
  t.equal(new Set([...listed, ...ofOperator]).size, open.length)
  for (const route of ofOperator) t.match(route, / \/api\/admin\//)
})

t.test('docs/im-suite.md lists the frames that clients may send', async (t) => {
  const app = await startApp(t)
  const person = await openSocket(t, `${app.ws}/ws?token=${await app.signIn('alice', 'alice-secret')}`)
  await person.next()
  const rows = tableBelow(page, '### From the client')
  const understood: string[] = []
  for (const [type = ''] of rows) {
    person.send({ type, payload: {} })
    const { payload } = await person.next()
    if (payload.details?.field !== 'type') understood.push(type)
  }
  t.strictSame(understood.toSorted(), namesWith('yes', rows))
})

t.test('docs/im-suite.md lists the frames that the gateway sends', async (t) => {
  const app = await startPeople(t)
  const person = await openSocket(t, `${app.ws}/ws?token=${await tokenOf(alice)}`)
  const heard = [await person.next()]
  async function hear(type: string): Promise<any> {
    for (;;) {
      const frame = await person.next()
      heard.push(frame)
      if (frame.type === type) return frame.payload
    }
  }

  person.send({ type: 'ping' })
  await hear('pong')
  person.send({ type: 'nonsense' })
  await hear('error')
  person.send({ type: 'message.send', payload: { receiver_id: bob, content: 'hello' } })
  const { message, chat } = await hear('message.new')
  const other = await openDevice(t, app, bob)
  await hear('presence')
  other.send({ type: 'typing', payload: { chat_id: chat.id } })
  await hear('typing')
  other.send({ type: 'message.read', payload: { message_id: message.id } })
  await hear('message.read')
  person.send({ type: 'message.edit', payload: { message_id: message.id, content: 'good day' } })
  await hear('message.edit')
  person.send({ type: 'message.delete', payload: { message_id: message.id } })
  await hear('message.delete')
  await app.lactea.gateway.store.setAdmin(bob, true)
  await request(app, await tokenOf(bob), 'POST', '/api/admin/notifications', { title: 'Hear', message: 'hear' })
  await hear('notification')
  const media = { sdp: 'v=0', ice_candidates: [] }
  other.send({ type: 'call.offer', payload: { to_user: alice, call_type: 'audio', ...media } })
  const { call_id } = await hear('call.offer')
  person.send({ type: 'call.end', payload: { call_id } })
  await other.find(({ type }) => type === 'call.end')
  person.send({ type: 'call.offer', payload: { to_user: bob, call_type: 'audio', ...media } })
  const offer = await other.find(({ type }) => type === 'call.offer')
  other.send({ type: 'call.answer', payload: { call_id: offer.payload.call_id, ...media } })
  await hear('call.answer')
  other.send({ type: 'call.ice', payload: { ice_candidate: { candidate: '' } } })
  await hear('call.ice')
  other.send({ type: 'call.end' })
  await hear('call.end')
  await app.lactea.app.close()
  await hear('disconnect')

  const types = new Set<string>(heard.map((frame) => frame.type))
  t.strictSame([...types].toSorted(), namesWith('yes', tableBelow(page, '### From the gateway')))
})

t.test('docs/errors.md says what POST /:api answers', async (t) => {
  const app = await startApp(t)
  const rows = tableBelow(readPage('docs/errors.md'), '# Errors')
  const group = { group_id: 100001 }
  await app.call('token-one', 'set_group_member_mute', { ...group, user_id: 10002, duration: 600 })

  const refused: [reason: string, api: string, params: object][] = [
    ['invalid', 'send_group_message', group],
    ['unknown_action', 'no_such_action', {}],
    ['not_found', 'get_group_info', { group_id: 100099 }],
    ['forbidden', 'set_group_name', { ...group, name: 'Mine' }],
    ['muted', 'send_group_message', { ...group, message: text('let me speak') }],
    ['too_large', 'send_group_message', { ...group, message: Array(201).fill(text('much')[0]) }]
  ]
  for (const [reason, api, params] of refused) {
    const { http, retcode } = await app.call('token-two', api, params)
    const [, , listedRetcode, listedStatus] = rows.find(([name]) => name === reason) ?? []
    t.strictSame([retcode, http].map(String), [listedRetcode, listedStatus], reason)
  }
})

t.test('docs/im-suite.md has a session to paste, which goes as it says', async (t) => {
  const app = await startApp(t, { config: { provision: { ...world.provision, friends: [] } } })
  const person = await openSocket(t, `${app.ws}/ws?token=${await app.signIn('alice', 'alice-secret')}`)
  await person.next()
  const blocks = blocksOf(page)
  const pasted = blocks.find(({ language, text: block }) => language === 'text' && block.includes('message.send'))
  const shown = blocks.flatMap(({ language, text: block }) => (language === 'json' ? [JSON.parse(block)] : []))
  const frames = (pasted?.text ?? '').trim().split('\n')
  let message = { id: 0, chat_id: 0 }
  for (const line of frames) {
    const frame = JSON.parse(line)
    if (frame.payload?.message_id) frame.payload.message_id = message.id
    if (frame.payload?.chat_id) frame.payload.chat_id = message.chat_id
    person.send(frame)
    const answer = frame.type === 'message.send' ? 'message.new' : frame.type
    if (frame.type === 'typing' || frame.type === 'message.read') continue
    const heard = await person.next()
    t.equal(heard.type, answer === 'ping' ? 'pong' : answer, line)
    if (heard.type === 'message.new') message = heard.payload.message
    const example = shown.find(({ type }) => type === heard.type)
    if (example) t.strictSame(keysOf(heard), keysOf(example), `${heard.type} looks as the page shows it`)
  }
  t.equal(frames.length, 6)
})

function keysOf(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([key, inner]) => keysOf(inner, path ? `${path}.${key}` : key))
}

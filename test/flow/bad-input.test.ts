import t, { type Test } from 'tap'
import { startApp, text, type Running } from '../helpers/app.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'
import { startWebhook } from '../helpers/webhook.ts'
import { withSecondBot } from '../helpers/socket-suite.ts'

const TEN_MB = 10 * 1024 * 1024
const LIMIT = 1024 * 1024
const big = (): string => JSON.stringify({ padding: 'x'.repeat(TEN_MB) })

async function isAlive(t: Test, app: Running): Promise<void> {
  const answer = await app.call('token-one', 'send_group_message', { group_id: 100001, message: text('still here') })
  t.match(answer, { http: 200, status: 'ok' }, 'a good call works')
}

t.test('POST /:api', async (t) => {
  const app = await startApp(t, { config: { limits: { http_body: LIMIT } } })
  const rows: [label: string, body: string | Buffer, status: number][] = [
    ['broken JSON', '{"group_id":', 400],
    ['binary', Buffer.from([0, 1, 2, 255, 254]), 400],
    ['wrong types', '{"group_id":"x","message":7}', 400],
    ['an id above 2^53', '{"group_id":9007199254740993,"message":[]}', 400],
    ['unknown fields', JSON.stringify({ group_id: 100001, message: text('x'), no_such: { field: [1] } }), 200],
    ['10 MB', big(), 413]
  ]
  for (const [label, body, status] of rows) {
    const headers = { authorization: 'Bearer token-one', 'content-type': 'application/json' }
    const response = await fetch(`${app.url}/send_group_message`, { method: 'POST', headers, body })
    t.equal(response.status, status, label)
    t.match(await response.json(), { status: status === 200 ? 'ok' : 'failed', retcode: status === 200 ? 0 : -status })
    await isAlive(t, app)
  }
})

t.test('the WebSocket of bots', async (t) => {
  const app = await startApp(t, { config: { limits: { milky_frame: LIMIT } } })
  const open = (): Promise<TestSocket> => openSocket(t, `${app.ws}/?access_token=token-two`)
  const bot = await open()
  const rows: [label: string, frame: string, retcode: number][] = [
    ['broken JSON', '{"action":', -400],
    ['wrong types', '{"action":"get_friend_info","params":{"user_id":"x"}}', -400],
    ['an id above 2^53', '{"action":"get_friend_info","params":{"user_id":9007199254740993}}', -400],
    ['unknown fields', '{"action":"get_login_info","no_such":1,"params":{"field":[]}}', 0]
  ]
  for (const [label, frame, retcode] of rows) {
    bot.send(frame)
    t.equal((await bot.find((answer) => answer.post_type === 'action_response')).data.retcode, retcode, label)
    await isAlive(t, app)
  }
  bot.socket.send(Buffer.alloc(10))
  t.equal((await bot.closed).code, 1003, 'binary')
  const large = await open()
  large.send(big())
  t.equal((await large.closed).code, 1009, '10 MB')
  await isAlive(t, app)
  const again = await open()
  again.send({ action: 'get_login_info' })
  t.equal((await again.next()).data.status, 'ok')
})

t.test('the answers of a webhook', async (t) => {
  const hook = await startWebhook(t)
  const app = await startApp(t, { config: { bots: withSecondBot({ webhooks: [{ url: hook.url }] }) } })
  const answers: (string | Buffer)[] = [
    '{"actions":',
    Buffer.from([0, 255, 254]),
    '{"actions":[{"action":7},{"action":"get_friend_info","params":{"user_id":9007199254740993}}]}',
    big(),
    '{"actions":[],"no_such":"field"}'
  ]
  hook.answer((_delivered, response) => void response.writeHead(200).end(answers.shift() ?? ''))
  for (let seq = 1; seq <= 6; seq++) {
    await isAlive(t, app)
    t.equal((await hook.next()).body.data.message_id, `Group:100001:${seq}`, 'each event once, in order')
  }
})

t.test('the doors of people', async (t) => {
  const app = await startApp(t)
  const login = (body: string | Buffer): Promise<Response> =>
    fetch(`${app.url}/api/auth/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const bodies: [label: string, body: string | Buffer][] = [
    ['broken JSON', '{"username":'],
    ['binary', Buffer.from([0, 255, 254])],
    ['wrong types', '{"username":7,"password":[]}'],
    ['10 MB', big()]
  ]
  for (const [label, body] of bodies) {
    const response = await login(body)
    t.ok(response.status >= 400 && response.status < 500, `${label}: ${response.status}`)
    t.match(await response.json(), { success: false }, label)
  }

  const token = await app.signIn('alice', 'alice-secret')
  const open = async (): Promise<TestSocket> => {
    const person = await openSocket(t, `${app.ws}/ws?token=${token}`)
    t.equal((await person.next()).type, 'connect')
    return person
  }
  const person = await open()
  const frames: [label: string, frame: string][] = [
    ['broken JSON', '{"type":'],
    ['wrong types', '{"type":"message.send","payload":{"receiver_id":"x","content":7}}'],
    ['an id above 2^53', '{"type":"message.send","payload":{"receiver_id":9007199254740993,"content":"x"}}']
  ]
  for (const [label, frame] of frames) {
    person.send(frame)
    t.equal((await person.next()).type, 'error', label)
  }
  person.send({ type: 'message.send', payload: { receiver_id: 10001, content: 'still here', no_such: 'field' } })
  t.match(await person.next(), { type: 'message.new', payload: { message: { content: 'still here' } } })
  person.socket.send(Buffer.alloc(10))
  t.equal((await person.closed).code, 1003, 'binary')
  const large = await open()
  large.send(big())
  t.equal((await large.closed).code, 1009, '10 MB')
  await open()
  await isAlive(t, app)
})

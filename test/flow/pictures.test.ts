import t, { type Test } from 'tap'
import { startApp, world, type Running } from '../helpers/app.ts'
import { faultOf } from '../helpers/imsuite-schemas.ts'
import { png, wav } from '../helpers/pictures.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'
import { startWebhook } from '../helpers/webhook.ts'

const PICTURE = png(30, 20)
const GROUP = 100001

const base64 = (bytes: Buffer): string => `base64://${bytes.toString('base64')}`

async function download(app: Running, url: string): Promise<{ type: string | null; bytes: Buffer }> {
  const response = await fetch(new URL(url, app.url))
  if (!response.ok) throw new Error(`${response.status} for ${url}`)
  return { type: response.headers.get('content-type'), bytes: Buffer.from(await response.arrayBuffer()) }
}

async function openPerson(t: Test, app: Running): Promise<TestSocket & { token: string }> {
  const token = await app.signIn('alice', 'alice-secret')
  const socket = await openSocket(t, `${app.ws}/ws?token=${token}`)
  await socket.find(({ type }) => type === 'connect')
  return { ...socket, token }
}

const isMessage = ({ type }: { type: string }): boolean => type === 'message.new'

t.test("a bot's picture comes to a person with a link to the same bytes", async (t) => {
  const app = await startApp(t)
  const person = await openPerson(t, app)
  const message = [
    { type: 'text', data: { text: 'look' } },
    { type: 'image', data: { uri: base64(PICTURE), sub_type: 'normal' } }
  ]
  const answer = await app.call('token-one', 'send_private_message', { user_id: 10011, message })
  t.equal(answer.retcode, 0)
  const frame = await person.find(isMessage)
  t.equal(faultOf(frame), undefined, 'the frame is one of the document')
  const { payload } = frame
  const { file_url, ...shown } = payload.message
  t.match(shown, {
    sender_id: 10001,
    content: 'look',
    message_type: 'image',
    file_name: 'image.png',
    file_size: PICTURE.length,
    mime_type: 'image/png'
  })
  const { type, bytes } = await download(app, file_url)
  t.equal(type, 'image/png')
  t.ok(bytes.equals(PICTURE))

  await t.test('also in the history, and as often as it is passed on', async (t) => {
    const headers = { authorization: `Bearer ${person.token}` }
    const response = await fetch(`${app.url}/api/chats/${payload.chat.id}/messages`, { headers })
    const { messages } = (await response.json()) as { messages: any[] }
    t.match(messages[0], { ...shown, file_url })
    person.send({ type: 'message.send', payload: { chat_id: GROUP, file_url, message_type: 'image', content: '' } })
    const copy = (await person.find(isMessage)).payload.message
    t.match(copy, { chat_id: GROUP, content: '', message_type: 'image', file_name: 'image.png' })
    person.send({ type: 'message.edit', payload: { message_id: copy.id, content: 'a cat' } })
    const edited = await person.find(({ type }) => type === 'message.edit')
    t.equal(faultOf(edited), undefined)
    t.match(edited.payload.message, { content: 'a cat', message_type: 'image', file_url: copy.file_url })
    await app.call('token-one', 'recall_message', { message_id: answer.data.message_id })
    await person.find(({ type }) => type === 'message.delete')
    t.ok((await download(app, copy.file_url)).bytes.equals(PICTURE), 'the first message is recalled, the copy is not')
  })
})

t.test("a person's picture comes to bots, who ask where it is", async (t) => {
  const hook = await startWebhook(t)
  const [one, two] = world.bots
  const app = await startApp(t, { config: { bots: [one, { ...two, webhooks: [{ url: hook.url }] }] } })
  const person = await openPerson(t, app)
  const bot = await openSocket(t, `${app.ws}/?access_token=token-one`)
  const form = new FormData()
  form.set('file', new Blob([PICTURE]), 'cat.png')
  const headers = { authorization: `Bearer ${person.token}` }
  const uploaded = await fetch(`${app.url}/api/files/upload`, { method: 'POST', headers, body: form })
  const { file_id } = (await uploaded.json()) as { file_id: number }
  person.send({ type: 'message.send', payload: { chat_id: GROUP, file_id, content: 'my cat', message_type: 'image' } })

  const heard = (await bot.find((frame) => frame.data?.event_type === 'message_receive')).data
  const [image] = heard.data.segments
  t.strictSame(heard.data.segments, [
    { type: 'image', data: { resource_id: image.data.resource_id, summary: '[image]', sub_type: 'normal' } },
    { type: 'text', data: { text: 'my cat' } }
  ])
  t.type(image.data.resource_id, 'string')
  t.strictSame((await hook.next()).body.data.segments, heard.data.segments)

  const { data } = await app.call('token-two', 'get_resource_temp_url', image.data)
  t.ok(data.url.startsWith(`${app.url}/api/files/`), 'it is absolute, and leads to where the gateway listens')
  t.ok((await download(app, data.url)).bytes.equals(PICTURE))
  const history = await app.call('token-one', 'get_history_group_message', { group_id: GROUP })
  t.strictSame(history.data.messages[0].segments, heard.data.segments)

  await t.test('and no other bot', async (t) => {
    await app.call('token-two', 'quit_group', { group_id: GROUP })
    t.equal((await app.call('token-two', 'get_resource_temp_url', image.data)).retcode, -100)
  })
})

t.test('voices travel between bots and people', async (t) => {
  const app = await startApp(t)
  const person = await openPerson(t, app)
  const other = await openSocket(t, `${app.ws}/?access_token=token-two`)
  const message = [{ type: 'record', data: { uri: base64(wav()) } }]
  await app.call('token-one', 'send_group_message', { group_id: GROUP, message })
  const { payload } = await person.find(isMessage)
  t.match(payload.message, { message_type: 'voice', content: '', mime_type: 'audio/wav' })
  t.ok((await download(app, payload.message.file_url)).bytes.equals(wav()))
  const heard = (await other.find((frame) => frame.data?.event_type === 'message_receive')).data
  t.match(heard.data.segments, [{ type: 'record', data: { resource_id: /^\d+$/, duration: 1 } }])
})

t.test('links in frames begin with the public address when there is one', async (t) => {
  const app = await startApp(t, { config: { server: { public_url: 'https://chat.example.org' } } })
  const person = await openPerson(t, app)
  const message = [{ type: 'image', data: { uri: base64(PICTURE) } }]
  await app.call('token-one', 'send_group_message', { group_id: GROUP, message })
  const { payload } = await person.find(isMessage)
  t.match(payload.message.file_url, /^https:\/\/chat\.example\.org\/api\/files\/1\//)
})

import t, { type Test } from 'tap'
import { startApp, text, type ApiAnswer, type Running } from '../helpers/app.ts'
import { openDevice, startPeople, tokenOf, alice, GROUP } from '../helpers/people.ts'
import { openSocket } from '../helpers/socket.ts'

const PNG = 'base64://iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

async function ok(t: Test, answer: Promise<ApiAnswer>): Promise<any> {
  const { data, ...rest } = await answer
  t.match(rest, { http: 200, status: 'ok', retcode: 0 }, rest.message ?? 'works')
  return data
}

const said = (user_id: number, sender_name: string, ...segments: object[]) => ({ user_id, sender_name, segments })
const forward = (messages: object[], more: object = {}) => ({ type: 'forward', data: { messages, ...more } })

async function sendForward(t: Test, app: Running, messages: object[], more: object = {}): Promise<any> {
  const message = [forward(messages, more)]
  const { message_seq } = await ok(t, app.milky('token-one', 'send_group_message', { group_id: GROUP, message }))
  const place = { message_scene: 'group', peer_id: GROUP, message_seq }
  const shown = await ok(t, app.milky('token-two', 'get_message', place))
  return { ...shown.message.segments[0].data, seq: message_seq }
}

t.test('messages that are passed on together', async (t) => {
  const app = await startApp(t)

  t.test('are shown with what the sender says of them, or else what is made up', async (t) => {
    const messages = [
      said(10002, 'Two', ...text('hello')),
      said(10011, 'Al', ...text('x'.repeat(100)), { type: 'mention_all' })
    ]
    t.match(await sendForward(t, app, messages), {
      title: 'Chat history',
      preview: ['Two: hello', `Al: ${'x'.repeat(64)}`],
      summary: '2 forwarded messages'
    })
    const named = { title: 'Title', preview: ['a', 'b'], summary: 'Summary', prompt: 'Prompt' }
    t.match(await sendForward(t, app, messages, named), { title: 'Title', preview: ['a', 'b'], summary: 'Summary' })
    const nothing = { title: null, preview: null, summary: null, prompt: null }
    t.match(await sendForward(t, app, messages, nothing), { title: 'Chat history' })
    t.match(await sendForward(t, app, messages, { preview: [] }), { preview: ['Two: hello', /^Al/] })
  })

  t.test('are read by whoever is in the chat, and nobody else, in both dialects', async (t) => {
    const inner = forward([said(10011, 'Alice', ...text('inside'))])
    const picture = { type: 'image', data: { uri: PNG, summary: '[dot]' } }
    const reply = { type: 'reply', data: { message_seq: 1 } }
    const { forward_id } = await sendForward(t, app, [
      said(10002, 'Two', reply, ...text('hello'), { type: 'mention', data: { user_id: 10001 } }),
      said(10011, 'Alice', picture, inner)
    ])
    const { messages } = await ok(t, app.milky('token-two', 'get_forwarded_messages', { forward_id }))
    t.match(messages, [
      {
        message_seq: 1,
        sender_name: 'Two',
        avatar_url: '',
        segments: [
          { type: 'text', data: { text: 'hello' } },
          { type: 'mention', data: { user_id: 10001, name: 'One' } }
        ]
      },
      {
        message_seq: 2,
        sender_name: 'Alice',
        segments: [
          { type: 'image', data: { summary: '[dot]', width: 1, height: 1 } },
          { type: 'forward', data: { preview: ['Alice: inside'] } }
        ]
      }
    ])
    const [image, nested] = messages[1].segments
    const bytes = await (await fetch(image.data.temp_url)).arrayBuffer()
    t.equal(`base64://${Buffer.from(bytes).toString('base64')}`, PNG, 'its picture can be fetched')
    const { url } = await ok(
      t,
      app.milky('token-two', 'get_resource_temp_url', { resource_id: image.data.resource_id })
    )
    t.equal((await fetch(url)).status, 200)
    const { forward_id: nestedId } = nested.data
    t.match(await ok(t, app.milky('token-two', 'get_forwarded_messages', { forward_id: nestedId })), {
      messages: [{ sender_name: 'Alice', segments: [{ type: 'text', data: { text: 'inside' } }] }]
    })

    t.match(await ok(t, app.call('token-two', 'get_forwarded_messages', { forward_id })), {
      messages: [
        {
          message_id: `Forward:${forward_id}:1`,
          user_id: 10002,
          name: 'Two',
          message_type: 'private',
          segments: [{ type: 'text' }, { type: 'at', data: { user_id: 10001 } }]
        },
        { user_id: 10011, segments: [{ type: 'image' }, { type: 'forward', data: { forward_id: nestedId } }] }
      ]
    })

    await ok(t, app.milky('token-two', 'quit_group', { group_id: GROUP }))
    for (const id of [forward_id, nestedId, '99', '0', 'x', ''])
      t.match(await app.milky('token-two', 'get_forwarded_messages', { forward_id: id }), { retcode: -404 }, id)
    await app.lactea.gateway.groups.addMember(GROUP, 10002)
  })

  t.test('keep the time that Milky 1.3 gives them', async (t) => {
    const { forward_id } = await sendForward(t, app, [
      { ...said(10002, 'Two', ...text('then')), time: 1_600_000_000 },
      { ...said(10002, 'Two', ...text('now')), time: null }
    ])
    const { messages } = await ok(t, app.milky('token-two', 'get_forwarded_messages', { forward_id }))
    t.equal(messages[0].time, 1_600_000_000)
    t.ok(Math.abs(messages[1].time - Date.now() / 1000) < 60)
  })

  t.test('go when the message is recalled', async (t) => {
    const inner = forward([said(10011, 'Alice', { type: 'image', data: { uri: PNG } })])
    const { forward_id, seq } = await sendForward(t, app, [said(10002, 'Two', inner)])
    const [nested] = (await ok(t, app.milky('token-one', 'get_forwarded_messages', { forward_id }))).messages[0]
      .segments
    await ok(t, app.milky('token-one', 'recall_group_message', { group_id: GROUP, message_seq: seq }))
    for (const id of [forward_id, nested.data.forward_id])
      t.match(await app.milky('token-one', 'get_forwarded_messages', { forward_id: id }), { retcode: -404 })
  })

  t.test('have bounds', async (t) => {
    const one = said(10002, 'Two', ...text('x'))
    const deep = (levels: number): object => (levels === 0 ? one : said(10002, 'Two', forward([deep(levels - 1)])))
    const rows: [segment: object, retcode: number, words: RegExp][] = [
      [forward([]), -400, /at least one message/],
      [forward([said(10002, 'Two')]), -400, /empty/],
      [forward([one], { preview: ['1', '2', '3', '4', '5'] }), -400, /preview/],
      [forward(Array.from({ length: 201 }, () => one)), -104, /200/],
      [forward([said(10002, 'Two', ...text('x'.repeat(16_385)))]), -104, /16384/],
      [forward([deep(3)]), -104, /3 levels/],
      [forward([said(10002, 'Two', { type: 'hologram', data: {} })]), -400, /message/],
      [forward([one], { title: 'x'.repeat(257) }), -400, /title: expected at most 256/],
      [forward([one], { preview: ['x'.repeat(257)] }), -400, /preview/],
      [forward([said(10002, 'x'.repeat(129), ...text('x'))]), -400, /sender_name: expected at most 128/],
      [{ type: 'face', data: { face_id: 'x'.repeat(65) } }, -400, /face_id: expected at most 64/],
      [
        { type: 'light_app', data: { json_payload: `"${'x'.repeat(65_536)}"` } },
        -400,
        /json_payload: expected at most/
      ],
      [{ type: 'image', data: { uri: PNG, summary: 'x'.repeat(257) } }, -400, /summary/],
      [forward([{ user_id: 10002, segments: text('x') }]), -400, /sender_name/],
      [forward([said(10002, 'Two', { type: 'image', data: { uri: 'gopher://x' } })]), -400, /message/]
    ]
    for (const [segment, retcode, words] of rows) {
      const answer = await app.milky('token-one', 'send_group_message', { group_id: GROUP, message: [segment] })
      t.match(answer, { http: 200, retcode, message: words })
    }
    await sendForward(t, app, [deep(2)])
    const abyss = JSON.stringify({ group_id: GROUP, message: [forward([one])] }).replace(
      '"text"',
      `"text","more":${'['.repeat(20_000)}${']'.repeat(20_000)}`
    )
    const response = await fetch(`${app.url}/api/send_group_message`, {
      method: 'POST',
      headers: { authorization: 'Bearer token-one', 'content-type': 'application/json' },
      body: abyss
    })
    t.equal(response.status, 200)
    t.match(await response.json(), { retcode: /^(0|-400)$/ })
  })
})

t.test('the draft sends them too', async (t) => {
  const app = await startApp(t)
  const messages = [
    { user_id: 10002, name: 'Two', segments: [{ type: 'at', data: { user_id: 10011 } }] },
    { user_id: 10011, name: 'Alice', segments: text('yes') }
  ]
  const message = [{ type: 'forward', data: { messages } }]
  const { message_id } = await ok(t, app.call('token-one', 'send_private_message', { user_id: 10002, message }))
  t.equal(message_id, 'Private:10002:1')
  const { message: shown } = await ok(t, app.call('token-two', 'get_message', { message_id: 'Private:10001:1' }))
  t.match(shown.segments, [{ type: 'forward', data: { forward_id: '1' } }])
  t.strictSame(Object.keys(shown.segments[0].data), ['forward_id'])
})

t.test('cards', async (t) => {
  const app = await startApp(t)
  const send = (json_payload: unknown) =>
    app.milky('token-one', 'send_private_message', {
      user_id: 10002,
      message: [{ type: 'light_app', data: { json_payload } }]
    })
  for (const wrong of ['', 'x', '[]', '1', 'null', 7, null])
    t.match(await send(wrong), { http: 200, retcode: -400, message: /message/ }, String(wrong))
  const rows = [
    ['{"app":"com.example.card","meta":{"a":[1]}}', 'com.example.card'],
    ['{"app":7}', ''],
    ['{}', '']
  ]
  for (const [json_payload, app_name] of rows) {
    const { message_seq } = await ok(t, send(json_payload))
    const place = { message_scene: 'friend', peer_id: 10001, message_seq }
    const { message } = await ok(t, app.milky('token-two', 'get_message', place))
    t.strictSame(message.segments, [{ type: 'light_app', data: { app_name, json_payload } }])
  }
})

t.test('a quoted message is shown with its words, as long as they are there', async (t) => {
  const app = await startApp(t)
  const say = async (message: object[]): Promise<number> =>
    (await ok(t, app.milky('token-one', 'send_group_message', { group_id: GROUP, message }))).message_seq
  const shown = async (message_seq: number): Promise<any> => {
    const params = { message_scene: 'group', peer_id: GROUP, message_seq }
    return (await ok(t, app.milky('token-two', 'get_message', params))).message.segments[0].data
  }
  const first = await say(text('first'))
  const second = await say([{ type: 'reply', data: { message_seq: first } }, ...text('second')])
  const third = await say([{ type: 'reply', data: { message_seq: second } }, ...text('third')])
  t.match(await shown(second), { message_seq: first, sender_id: 10001, segments: text('first') })
  t.strictSame((await shown(third)).segments, text('second'), 'without what it quotes itself')
  await ok(t, app.milky('token-one', 'recall_group_message', { group_id: GROUP, message_seq: first }))
  t.match(await shown(second), { message_seq: first, segments: [] })
  const { messages } = await ok(
    t,
    app.milky('token-two', 'get_history_messages', { message_scene: 'group', peer_id: GROUP })
  )
  t.match(
    messages.map((message: any) => message.segments[0].data.segments),
    [[], text('second')]
  )
  const nowhere = { group_id: GROUP, message: [{ type: 'reply', data: { message_seq: 99 } }, ...text('x')] }
  t.match(await app.milky('token-one', 'send_group_message', nowhere), { retcode: -404 })
  const packed = [{ type: 'reply', data: { message_seq: null } }, ...text('the rest is said')]
  t.match(await shown(await say(packed)), { text: 'the rest is said' })
})

t.test('history', async (t) => {
  const app = await startApp(t)
  for (let count = 1; count <= 35; count++)
    await ok(t, app.milky('token-one', 'send_group_message', { group_id: GROUP, message: text(`${count}`) }))
  await ok(t, app.milky('token-one', 'recall_group_message', { group_id: GROUP, message_seq: 33 }))
  const page = async (more: object): Promise<[number[], number | undefined]> => {
    const params = { message_scene: 'group', peer_id: GROUP, ...more }
    const { messages, next_message_seq } = await ok(t, app.milky('token-two', 'get_history_messages', params))
    return [messages.map((message: { message_seq: number }) => message.message_seq), next_message_seq]
  }
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)
  const newest = [...range(15, 32), 34, 35]
  for (const start of [
    {},
    { start_message_seq: 0 },
    { start_message_seq: null },
    { start_message_seq: 99, limit: null }
  ])
    t.strictSame(await page(start), [newest, 14])
  t.strictSame(await page({ start_message_seq: 14 }), [range(1, 14), undefined])
  t.strictSame(await page({ start_message_seq: 33, limit: 30 }), [range(3, 32), 2])
  for (const limit of [31, 0, -1, 1.5, '20', 4e9]) {
    const answer = await app.milky('token-two', 'get_history_messages', {
      message_scene: 'group',
      peer_id: GROUP,
      limit
    })
    t.match(answer, { http: 200, retcode: -400, message: /^limit: expected an integer from 1 to 30/ })
  }
})

t.test('a read mark of a bot is a receipt for people', async (t) => {
  const app = await startPeople(t)
  const device = await openDevice(t, app, alice)
  device.send({ type: 'message.send', payload: { chat_id: GROUP, content: 'read me', message_type: 'text' } })
  const { payload } = await device.find(({ type }) => type === 'message.new')
  const place = { message_scene: 'group', peer_id: GROUP, message_seq: 1 }
  t.match(await app.milky('token-two', 'mark_message_as_read', { ...place, message_seq: 2 }), { retcode: -404 })
  t.match(await app.milky('token-two', 'mark_message_as_read', { ...place, peer_id: 100009 }), { retcode: -404 })
  await ok(t, app.milky('token-two', 'mark_message_as_read', place))
  t.match(await device.find(({ type }) => type === 'message.read'), {
    payload: { message_id: payload.message.id, chat_id: GROUP, read_by: 10002 }
  })
  await ok(t, app.milky('token-one', 'recall_group_message', { group_id: GROUP, message_seq: 1 }))
  await ok(t, app.milky('token-one', 'mark_message_as_read', place))
})

t.test('people read what bots pass on', async (t) => {
  const app = await startPeople(t)
  const device = await openDevice(t, app, alice)
  const messages = [said(10002, 'Two', ...text('hello')), said(10011, 'Al', { type: 'image', data: { uri: PNG } })]
  await ok(t, app.milky('token-one', 'send_group_message', { group_id: GROUP, message: [forward(messages)] }))
  const { payload } = await device.find(({ type }) => type === 'message.new')
  t.equal(payload.message.content, '[Chat history]\nTwo: hello\nAl: [image]\n2 forwarded messages')
  const read = async (id: number, who: number) => {
    const response = await fetch(`${app.url}/api/messages/${id}/forwards`, {
      headers: { authorization: `Bearer ${await tokenOf(who)}` }
    })
    return { status: response.status, ...((await response.json()) as any) }
  }
  const { forwards } = await read(payload.message.id, alice)
  t.match(forwards, [
    {
      title: 'Chat history',
      messages: [
        { sender: { id: 10002, nickname: 'Two' }, content: 'hello' },
        { sender: { id: alice, nickname: 'Al' }, content: '[image]', mime_type: 'image/png' }
      ]
    }
  ])
  t.equal((await fetch(new URL(forwards[0].messages[1].file_url, app.url))).status, 200)
  t.match(await read(payload.message.id, 10013), { status: 404 })
})

t.test('an event holds what get_message holds', async (t) => {
  const app = await startApp(t)
  const socket = await openSocket(t, `${app.ws}/event?access_token=token-two`)
  await ok(t, app.milky('token-one', 'send_group_message', { group_id: GROUP, message: text('first') }))
  const message = [
    { type: 'reply', data: { message_seq: 1 } },
    ...text('second'),
    forward([said(10002, 'Two', ...text('x'))])
  ]
  await ok(t, app.milky('token-one', 'send_group_message', { group_id: GROUP, message }))
  await socket.next()
  const { event_type, data } = await socket.next()
  t.equal(event_type, 'message_receive')
  const place = { message_scene: 'group', peer_id: GROUP, message_seq: 2 }
  const { message: asked } = await ok(t, app.milky('token-two', 'get_message', place))
  t.strictSame(data, asked)
})

t.test('a file of a group can be kept for ever, which it is anyway', async (t) => {
  const app = await startApp(t)
  const group = { group_id: GROUP }
  const file_uri = `base64://${Buffer.from('a document').toString('base64')}`
  const { file_id } = await ok(
    t,
    app.milky('token-one', 'upload_group_file', { ...group, file_uri, file_name: 'a.txt' })
  )
  const keep = async (params: object): Promise<any> => {
    const response = await fetch(`${app.url}/api/persist_group_file`, {
      method: 'POST',
      headers: { authorization: 'Bearer token-one', 'content-type': 'application/json' },
      body: JSON.stringify(params)
    })
    return response.json()
  }
  t.strictSame(await keep({ ...group, file_id }), { status: 'ok', retcode: 0, data: {} })
  for (const wrong of [
    { ...group, file_id: '99' },
    { ...group, file_id: 'x' },
    { group_id: 100002, file_id }
  ])
    t.match(await keep(wrong), { retcode: -404 })
  const asked = { user_id: 10002, file_id, file_hash: '', is_self_send: true }
  t.match(await app.milky('token-one', 'get_private_file_download_url', asked), { retcode: -404 })
})

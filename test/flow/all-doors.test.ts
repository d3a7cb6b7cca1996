import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { WebSocketServer } from 'ws'
import { startApp, text, world } from '../helpers/app.ts'
import { openSocket, wrapSocket } from '../helpers/socket.ts'
import { startWebhook } from '../helpers/webhook.ts'

t.test('one message reaches every door once, in the same order, with the same ids', async (t) => {
  const hook = await startWebhook(t)
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.teardown(() => server.close())
  await once(server, 'listening')
  const dialled = once(server, 'connection')
  const bots = [
    world.bots[0],
    {
      ...world.bots[1],
      webhooks: [{ url: hook.url }],
      reverse_ws: [{ url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/bot?room=1`, access_token: 'r&=1' }]
    }
  ]
  const app = await startApp(t, { config: { bots } })
  const [reverseSocket, request] = await dialled
  t.equal(request.url, '/bot?room=1&access_token=r%26%3D1')
  const reverse = wrapSocket(reverseSocket)
  const direct = await openSocket(t, `${app.ws}/?access_token=token-two`)
  const person = await openSocket(t, `${app.ws}/ws?token=${await app.signIn('alice', 'alice-secret')}`)
  t.match(await person.next(), { type: 'connect', payload: { status: 'connected', user_id: 10011 } })

  const sent: string[] = []
  for (let index = 1; index <= 20; index++) {
    const answer = await app.call('token-one', 'send_group_message', {
      group_id: 100001,
      message: text(`message ${index}`)
    })
    sent.push(answer.data.message_id)
  }
  t.strictSame(
    sent,
    Array.from({ length: 20 }, (_, index) => `Group:100001:${index + 1}`)
  )

  const heard = { hook: [] as unknown[], direct: [] as unknown[], reverse: [] as unknown[] }
  const chat: string[] = []
  for (let index = 1; index <= 20; index++) {
    heard.hook.push((await hook.next()).body)
    heard.direct.push((await direct.next()).data)
    heard.reverse.push((await reverse.next()).data)
    chat.push((await person.next()).payload.message.content)
  }
  t.strictSame(
    heard.direct.map((event) => (event as { data: { message_id: string } }).data.message_id),
    sent
  )
  t.strictSame(heard.hook, heard.direct)
  t.strictSame(heard.reverse, heard.direct)
  t.strictSame(
    chat,
    sent.map((_, index) => `message ${index + 1}`)
  )
  t.strictSame([direct.waiting(), reverse.waiting(), person.waiting(), hook.all.length], [[], [], [], 20])

  const history = await app.call('token-two', 'get_history_group_message', { group_id: 100001, limit: 20 })
  t.strictSame(
    history.data.messages.map((message: { message_id: string }) => message.message_id),
    sent
  )
})

t.test('a person and a bot talk to each other', async (t) => {
  const app = await startApp(t)
  const bot = await openSocket(t, `${app.ws}/?access_token=token-two`)
  const person = await openSocket(t, `${app.ws}/ws?token=${await app.signIn('alice', 'alice-secret')}`)
  await person.next()

  person.send({ type: 'message.send', payload: { receiver_id: 10002, content: 'hello bot' } })
  const event = await bot.next()
  t.match(event, {
    post_type: 'event',
    self_id: 10002,
    data: {
      event_type: 'message_receive',
      data: { message_id: 'Private:10011:1', user_id: 10011, message_type: 'private' }
    }
  })
  t.match(await person.next(), {
    type: 'message.new',
    payload: { chat: { type: 'private', title: 'Two' }, message: { content: 'hello bot' } }
  })

  bot.send({ action: 'send_private_message', params: { user_id: 10011, message: text('hello Alice') }, echo: 7 })
  t.match(await bot.next(), {
    post_type: 'action_response',
    self_id: 10002,
    data: { status: 'ok', data: { message_id: 'Private:10011:2' }, echo: 7 }
  })
  t.match(await person.next(), {
    payload: { chat: { title: 'Two' }, sender: { id: 10002, nickname: 'Two' }, message: { content: 'hello Alice' } }
  })
})

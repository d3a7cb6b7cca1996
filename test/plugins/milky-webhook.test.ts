import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { startApp, text, world, type Running, type StartOptions } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { faultOfEvent } from '../helpers/milky-judge.ts'
import { passToNextTry, stoppedClock } from '../helpers/retries.ts'
import { waitFor } from '../helpers/wait.ts'
import { startWebhook, type Delivered } from '../helpers/webhook.ts'
import { withSecondBot } from '../helpers/socket-suite.ts'

function startWithTarget(t: Test, target: object, options: StartOptions = {}): Promise<Running> {
  return startApp(t, { ...options, config: { bots: withSecondBot({ webhooks: [target] }) } })
}

const say = (app: Running, words: string, group_id = 100001) =>
  app.call('token-one', 'send_group_message', { group_id, message: text(words) })

const idOf = (delivered: Delivered): string => delivered.body.data.message_id

t.test('posts the bare event with the headers of the draft', async (t) => {
  const hook = await startWebhook(t)
  const app = await startWithTarget(t, { url: hook.url, access_token: 'hook-token' })
  const { data } = await say(app, 'Hello, 世界 😀')
  const { headers, text: raw } = await hook.next()
  t.equal(headers['content-type'], 'application/json')
  t.equal(headers.authorization, 'Bearer hook-token')
  t.equal(headers['x-self-id'], '10002')
  const { time } = data
  t.equal(
    raw,
    `{"time":${time},"event_type":"message_receive","data":{"message_id":"Group:100001:1","time":${time},"user_id":10001,` +
      '"segments":[{"type":"text","data":{"text":"Hello, 世界 😀"}}],"message_type":"group","group_id":100001}}'
  )
  t.equal(headers['content-length'], String(Buffer.byteLength(raw)))
})

t.test('without a token there is no Authorization, without a secret no signature', async (t) => {
  const hook = await startWebhook(t)
  const app = await startWithTarget(t, { url: hook.url })
  await say(app, 'hello')
  const { headers } = await hook.next()
  t.strictSame([headers.authorization, headers['webhook-signature']], [undefined, undefined])
  t.match(headers, { 'x-self-id': '10002', 'webhook-id': /^evt_\d+$/, 'webhook-timestamp': /^\d+$/ })
})

t.test('signs as Standard Webhooks say', async (t) => {
  const hook = await startWebhook(t)
  const secret = `whsec_${Buffer.from('a secret of twenty-four!').toString('base64')}`
  const app = await startWithTarget(t, { url: hook.url, secret })
  await say(app, 'signed 世界')
  const { headers, text: raw, body } = await hook.next()
  const judge = new Webhook(secret)
  t.strictSame(judge.verify(raw, headers as Record<string, string>), body)
  t.throws(() => judge.verify(`${raw} `, headers as Record<string, string>))
})

t.test('sends only the events that the target wants', async (t) => {
  const hook = await startWebhook(t)
  const app = await startWithTarget(t, { url: hook.url, events: ['group_name_change', 'group_mute'] })
  await say(app, 'not this')
  await app.call('token-one', 'set_group_name', { group_id: 100001, name: 'This' })
  await app.call('token-one', 'set_group_member_card', { group_id: 100001, user_id: 10002, card: 'not this' })
  await app.call('token-one', 'set_group_member_mute', { group_id: 100001, user_id: 10002, duration: 60 })
  t.match((await hook.next()).body, {
    event_type: 'group_name_change',
    data: { group_id: 100001, name: 'This', operator_id: 10001 }
  })
  t.match((await hook.next()).body, { event_type: 'group_mute', data: { user_id: 10002, duration: 60 } })
  t.equal(hook.all.length, 2)
})

t.test('own messages are sent only with report_self', async (t) => {
  for (const report_self of [false, true]) {
    const hook = await startWebhook(t)
    const bots = withSecondBot({ report_self, webhooks: [{ url: hook.url }] })
    const app = await startApp(t, { config: { bots } })
    await app.call('token-two', 'send_group_message', { group_id: 100001, message: text('mine') })
    await say(app, 'yours')
    const first = await hook.next()
    t.equal(first.body.data.user_id, report_self ? 10002 : 10001)
    await app.lactea.app.close()
  }
})

t.test('tries again until the answer is 2xx, with the same id, and goes on in order', async (t) => {
  const hook = await startWebhook(t)
  const other = await startWebhook(t)
  const secret = `whsec_${Buffer.from('a secret of twenty-four!').toString('base64')}`
  const failures: ((response: ServerResponse) => void)[] = [
    (response) => response.writeHead(307, { location: other.url }).end(),
    (response) => response.writeHead(500).end('x'.repeat(300_000)),
    (response) => response.socket?.destroy()
  ]
  const clock = stoppedClock()
  const app = await startWithTarget(t, { url: hook.url, secret, timeout: 2000 }, { clock })
  hook.answer((_delivered, response) => {
    const fail = failures.shift()
    if (fail) fail(response)
    else response.writeHead(200).end()
  })
  await say(app, 'one')
  await say(app, 'two')
  const tries: Delivered[] = []
  for (let count = 0; count < 4; count++) {
    if (count > 0) await passToNextTry(app, clock)
    tries.push(await hook.next())
  }
  t.strictSame([...new Set(tries.map(idOf))], ['Group:100001:1'], 'the first, four times')
  t.equal(new Set(tries.map((delivered) => delivered.text)).size, 1, 'the same body each time')
  t.equal(new Set(tries.map((delivered) => delivered.headers['webhook-id'])).size, 1, 'the same id each time')
  for (const { text: raw, headers } of tries) {
    const time = new Date(Number(headers['webhook-timestamp']) * 1000)
    t.equal(headers['webhook-signature'], new Webhook(secret).sign(String(headers['webhook-id']), time, raw))
  }
  t.ok(new Set(tries.map(({ headers }) => headers['webhook-timestamp'])).size === 4, 'each signed at its own time')
  const second = await hook.next()
  t.equal(idOf(second), 'Group:100001:2', 'then the second')
  t.not(second.headers['webhook-id'], tries[0]?.headers['webhook-id'])
  t.equal(other.all.length, 0, 'the redirect was not followed')
})

t.test('statuses that are no success, and answers that are none', async (t) => {
  const rows: [label: string, answer: (socket: Socket) => void][] = [
    ['4xx', (socket) => socket.end('HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n')],
    ['half an answer', (socket) => socket.end('HTTP/1.1 20')],
    ['no HTTP at all', (socket) => socket.end('hello\r\n\r\n')],
    ['no answer within the timeout', () => {}]
  ]
  await Promise.all(
    rows.map(([label, answer]) =>
      t.test(label, async (t) => {
        const arrived: string[] = []
        let isUp = false
        const { promise: delivered, resolve: onDelivered } = Promise.withResolvers<void>()
        const server = createServer((socket) => {
          socket.on('error', () => {})
          let received = ''
          socket.on('data', (chunk) => {
            received += String(chunk)
            const id = /webhook-id: (\S+)[^]*\}$/i.exec(received)?.[1]
            if (!id) return
            received = ''
            arrived.push(id)
            if (!isUp) {
              isUp = true
              return answer(socket)
            }
            socket.write('HTTP/1.1 204 Yes\r\n\r\n', () => onDelivered())
          })
          t.teardown(() => socket.destroy())
        })
        server.listen(0, '127.0.0.1')
        await once(server, 'listening')
        t.teardown(() => server.close())
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
        const clock = stoppedClock()
        const app = await startWithTarget(t, { url, timeout: 300 }, { clock })
        await say(app, 'hello')
        await passToNextTry(app, clock)
        await delivered
        t.equal(arrived.length, 2, 'tried again once')
        t.equal(arrived[0], arrived[1], 'with the same id')
      })
    )
  )
})

t.test('a slow target delays no other', async (t) => {
  const [slow, quick] = [await startWebhook(t), await startWebhook(t)]
  slow.answer(() => {})
  const bots = withSecondBot({ webhooks: [{ url: slow.url }, { url: quick.url }] })
  const app = await startApp(t, { config: { bots } })
  for (let index = 1; index <= 20; index++) await say(app, `word ${index}`)
  for (let index = 1; index <= 20; index++) t.equal(idOf(await quick.next()), `Group:100001:${index}`)
  t.equal(slow.all.length, 1, 'the slow one still has the first')
})

t.test('in order within each chat, up to eight chats side by side', async (t) => {
  const hook = await startWebhook(t)
  const groups = Array.from({ length: 10 }, (_, index) => ({
    id: 100001 + index,
    name: `Group ${index}`,
    owner: 10001,
    members: [10002]
  }))
  const config = { bots: withSecondBot({ webhooks: [{ url: hook.url }] }), provision: { ...world.provision, groups } }
  const app = await startApp(t, { config })
  const open: ServerResponse[] = []
  let most = 0
  hook.answer((_delivered, response) => {
    open.push(response)
    most = Math.max(most, open.length)
  })
  for (let round = 1; round <= 3; round++) for (const { id } of groups) await say(app, `round ${round}`, id)

  const arrived: string[] = []
  for (let count = 0; count < 8; count++) arrived.push(idOf(await hook.next()))
  t.strictSame(
    arrived.toSorted(),
    groups.slice(0, 8).map(({ id }) => `Group:${id}:1`),
    'eight chats, the first event of each'
  )
  while (arrived.length < 30) {
    open.shift()?.writeHead(204).end()
    arrived.push(idOf(await hook.next()))
  }
  for (const response of open) response.writeHead(204).end()
  t.equal(most, 8)
  for (const { id } of groups) {
    const own = arrived.filter((messageId) => messageId.startsWith(`Group:${id}:`))
    t.strictSame(own, [`Group:${id}:1`, `Group:${id}:2`, `Group:${id}:3`], `group ${id}`)
  }
})

t.test('nothing is lost while the receiver is down, over a restart of the gateway', async (t) => {
  const dir = makeDirectory(t)
  const first = await startWebhook(t)
  const port = Number(new URL(first.url).port)
  const config = { bots: withSecondBot({ webhooks: [{ url: first.url }] }) }
  const clock = stoppedClock()
  const app = await startApp(t, { config, dir, clock, logLevel: 'warn' })
  await say(app, 'before')
  t.equal(idOf(await first.next()), 'Group:100001:1')
  await first.close()
  for (let index = 2; index <= 6; index++) await say(app, `missed ${index}`)
  await app.logged('will try again')
  await app.lactea.app.close()

  const second = await startWebhook(t, port)
  const again = await startApp(t, { config, dir, clock })
  await say(again, 'after')
  await passToNextTry(again, clock)
  const ids: string[] = []
  for (let index = 2; index <= 7; index++) ids.push(idOf(await second.next()))
  t.strictSame(
    ids,
    [2, 3, 4, 5, 6, 7].map((seq) => `Group:100001:${seq}`),
    'each once, in order, and not what was delivered before'
  )
  t.equal(second.all.length, 6)
})

t.test('a receiver that was only restarted need not wait for its next try', async (t) => {
  const first = await startWebhook(t)
  const clock = stoppedClock()
  const app = await startWithTarget(t, { url: first.url }, { clock })
  const { store } = app.lactea.gateway
  const tries = async (): Promise<number> => (await store.listTargets())[0]?.failedCount ?? 0
  await first.close()
  await say(app, 'missed')
  await waitFor(async () => (await tries()) === 1)
  await passToNextTry(app, clock)
  await waitFor(async () => (await tries()) === 2)
  const second = await startWebhook(t, Number(new URL(first.url).port))
  // The third try would come after five minutes.
  await waitFor(async () => {
    clock.advance(1000)
    return second.all.length > 0
  })
  t.equal(idOf(await second.next()), 'Group:100001:1')
  const attempts = async () => store.listAttempts((await store.listTargets())[0]?.id ?? '', { limit: 9 })
  await waitFor(async () => (await attempts()).length === 3)
  t.match(await attempts(), [
    { number: 3, error: '' },
    { number: 2, error: /ECONNREFUSED/ },
    { number: 1, error: /ECONNREFUSED/ }
  ])
})

t.test('a receiver that is gone switches it off, and the admins hear of it once', async (t) => {
  const hook = await startWebhook(t)
  hook.answer(410)
  const app = await startWithTarget(t, { url: hook.url.replace('//', '//user:hidden@') })
  const { store, devices } = app.lactea.gateway
  await store.setAdmin(10011, true)
  await say(app, 'one')
  const notices = () => store.listNotices({ accountId: 10011, since: 0, limit: 9 })
  await waitFor(async () => (await notices()).length > 0)
  await say(app, 'two')
  const [target] = await store.listTargets()
  t.match(target, { state: 'disabled', reason: /410/, waiting: 1 })
  t.match(await notices(), [{ kind: 'warning', message: /10002-[0-9a-f]{12} .*410 Gone.*webhook resume/ }])
  const audit = await store.listAudit({ limit: 9 })
  t.match(audit, [{ operator: 'gateway', action: 'webhook.disable', subject: target?.id ?? '' }])
  t.notOk(JSON.stringify([target, await notices(), audit]).includes('hidden'))
  t.notOk(devices.has(10002), 'people see that nobody listens')

  hook.answer(204)
  await store.setTargetState(target?.id ?? '', { state: 'active', reason: '', time: Math.floor(Date.now() / 1000) })
  const ids = [idOf(await hook.next()), idOf(await hook.next()), idOf(await hook.next())]
  t.strictSame(ids, ['Group:100001:1', 'Group:100001:1', 'Group:100001:2'])
  t.ok(devices.has(10002))
})

t.test('hears of the chats alone that it asks for', async (t) => {
  const hook = await startWebhook(t)
  const groups = [100001, 100002].map((id) => ({ id, name: `Group ${id}`, owner: 10001, members: [10002] }))
  const bots = withSecondBot({ webhooks: [{ url: hook.url, chats: [100002, 10001] }] })
  const app = await startApp(t, { config: { bots, provision: { ...world.provision, groups } } })
  await say(app, 'not this')
  await say(app, 'this', 100002)
  await app.call('token-one', 'send_private_message', { user_id: 10002, message: text('and this') })
  const ids = [idOf(await hook.next()), idOf(await hook.next())]
  t.strictSame(ids.toSorted(), ['Group:100002:1', 'Private:10001:1'])
  t.equal(hook.all.length, 2)
})

t.test('while the key changes each delivery is signed with both', async (t) => {
  const hook = await startWebhook(t)
  const [secret, previous_secret] = ['new', 'old'].map(
    (word) => `whsec_${Buffer.from(`the ${word} key, long enough!`).toString('base64')}`
  )
  const app = await startWithTarget(t, { url: hook.url, secret, previous_secret })
  await say(app, 'signed')
  const { headers, text: raw, body } = await hook.next()
  for (const key of [secret, previous_secret])
    t.strictSame(new Webhook(key ?? '').verify(raw, headers as Record<string, string>), body)
})

t.test('a 2xx answer with actions is carried out as the bot', async (t) => {
  const hook = await startWebhook(t)
  const app = await startWithTarget(t, { url: hook.url })
  const answers = [
    {
      actions: [
        { action: 'no_such_action', params: {} },
        { action: 'send_group_message', params: { group_id: 1, message: text('nowhere') } },
        'nonsense',
        null,
        { params: {} },
        { action: 'send_group_message', params: { group_id: 100001, message: text('first answer') } },
        { action: 'send_private_message', params: { user_id: 10001, message: text('second answer') } }
      ]
    }
  ]
  hook.answer((_delivered, response) => {
    response.writeHead(200).end(JSON.stringify(answers.shift() ?? {}))
  })
  await say(app, 'question')
  await hook.next()
  // The answer of the bot comes before the next event of this chat is delivered, so it is there by then.
  await say(app, 'next')
  await hook.next()
  const group = await app.call('token-one', 'get_history_group_message', { group_id: 100001 })
  const said = group.data.messages.filter((message: { user_id: number }) => message.user_id === 10002)
  t.match(said, [{ segments: text('first answer') }])
  const own = await app.call('token-one', 'get_history_private_message', { user_id: 10002 })
  t.match(own.data.messages, [{ user_id: 10002, segments: text('second answer') }])
})

t.test('any other answer is taken and means nothing', async (t) => {
  const hook = await startWebhook(t)
  const app = await startWithTarget(t, { url: hook.url, timeout: 1000 })
  const call = { action: 'send_group_message', params: { group_id: 100001, message: text('never') } }
  const rows: [label: string, answer: (response: ServerResponse) => void][] = [
    ['empty', (response) => response.writeHead(204).end()],
    ['not JSON', (response) => response.writeHead(200).end('OK, thanks')],
    ['an array', (response) => response.writeHead(200).end(JSON.stringify([call]))],
    ['a bare action', (response) => response.writeHead(201).end(JSON.stringify(call))],
    ['actions that are no list', (response) => response.writeHead(200).end(JSON.stringify({ actions: call }))],
    ['binary', (response) => response.writeHead(200).end(Buffer.from([0, 255, 254, 128, 1]))],
    ['invalid UTF-8 around', (response) => response.writeHead(200).end(Buffer.from([0xff, 0x7b, 0x7d]))],
    ['null', (response) => response.writeHead(200).end('null')],
    [
      'larger than anybody reads',
      (response) => response.writeHead(200).end(JSON.stringify({ padding: 'x'.repeat(3_000_000), actions: [call] }))
    ],
    ['too deep', (response) => response.writeHead(200).end(`{"actions":${'['.repeat(50_000)}`)],
    [
      'a body that breaks off',
      (response) => {
        response.writeHead(200, { 'content-length': '1000' })
        response.write('{"actions":', () => response.destroy())
      }
    ],
    [
      'a body that never ends',
      (response) => {
        response.writeHead(200)
        response.write('{"actions":')
      }
    ]
  ]
  const answers = rows.map(([, answer]) => answer)
  hook.answer((_delivered, response) => (answers.shift() ?? ((end) => void end.writeHead(204).end()))(response))
  for (const [index, [label]] of rows.entries()) {
    await say(app, label)
    t.equal(idOf(await hook.next()), `Group:100001:${index + 1}`, label)
  }
  await say(app, 'last')
  t.equal(idOf(await hook.next()), `Group:100001:${rows.length + 1}`, 'each was delivered once')
  const { data } = await app.call('token-one', 'get_history_group_message', { group_id: 100001, limit: 30 })
  t.equal(data.messages.length, rows.length + 1, 'and nothing was said by the bot')
})

t.test('a delivery under way is broken off when the gateway stops', async (t) => {
  const hook = await startWebhook(t)
  hook.answer(() => {})
  const app = await startWithTarget(t, { url: hook.url, timeout: 60_000 })
  await say(app, 'hello')
  await hook.next()
  await app.lactea.app.close()
  t.pass('it did not wait for the answer')
})

t.test('the format v1', async (t) => {
  t.test('posts the bare event of Milky 1.2, signed, with the headers of the draft', async (t) => {
    const hook = await startWebhook(t)
    const secret = `whsec_${Buffer.from('a secret of twenty-four!').toString('base64')}`
    const app = await startWithTarget(t, { url: hook.url, format: 'v1', access_token: 'hook-token', secret })
    await say(app, 'Hello, 世界 😀')
    await app.milky('token-one', 'set_group_name', { group_id: 100001, new_group_name: 'Renamed' })
    await app.milky('token-two', 'set_peer_pin', { message_scene: 'friend', peer_id: 10001 })
    const types: string[] = []
    for (let count = 0; count < 3; count++) {
      const { headers, text: raw, body } = await hook.next()
      t.equal(faultOfEvent(body), undefined)
      t.equal(body.self_id, 10002)
      t.strictSame(new Webhook(secret).verify(raw, headers as Record<string, string>), body)
      t.match(headers, { 'content-type': 'application/json', authorization: 'Bearer hook-token', 'x-self-id': '10002' })
      types.push(body.event_type)
    }
    t.strictSame(types.toSorted(), ['group_name_change', 'message_receive', 'peer_pin_change'])
  })

  t.test('knows the names of its own format', async (t) => {
    const [hook, draft] = [await startWebhook(t), await startWebhook(t)]
    const bots = withSecondBot({
      webhooks: [
        { url: hook.url, format: 'v1', events: ['group_nudge', 'bot_offline'] },
        { url: draft.url, events: ['group_poke'] }
      ]
    })
    const app = await startApp(t, { config: { bots } })
    await say(app, 'not this')
    await app.milky('token-one', 'send_group_nudge', { group_id: 100001, user_id: 10002 })
    t.match((await hook.next()).body, { event_type: 'group_nudge', data: { sender_id: 10001, receiver_id: 10002 } })
    t.match((await draft.next()).body, { event_type: 'group_poke', data: { sender_id: 10001, receiver_id: 10002 } })
    t.strictSame([hook.all.length, draft.all.length], [1, 1])
  })

  t.test('carries out actions in the words of Milky 1.2', async (t) => {
    const hook = await startWebhook(t)
    const app = await startWithTarget(t, { url: hook.url, format: 'v1' })
    const answers: object[] = [
      {
        actions: [
          { action: 'recall_message', params: { message_id: 'Group:100001:1' } },
          { action: 'set_group_name', params: { group_id: 1, new_group_name: 'Nowhere' } },
          { action: 'send_group_nudge', params: { group_id: 100001, user_id: 10001 } },
          { action: 'send_group_message', params: { group_id: 100001, message: text('the answer') } }
        ]
      }
    ]
    hook.answer((_delivered, response) => {
      response.writeHead(200).end(JSON.stringify(answers.shift() ?? {}))
    })
    await say(app, 'question')
    await hook.next()
    // The answer of the bot comes before the next event of this chat is delivered, so it is there by then.
    await say(app, 'next')
    while ((await hook.next()).body.data.segments?.[0].data.text !== 'next');
    const { data } = await app.milky('token-one', 'get_history_messages', { message_scene: 'group', peer_id: 100001 })
    const said = data.messages.filter((message: { sender_id: number }) => message.sender_id === 10002)
    t.match(said, [{ segments: text('the answer') }])
  })

  t.test('tells of the end, tries until it is heard, and of nothing after it; the draft hears nothing', async (t) => {
    const [hook, draft] = [await startWebhook(t), await startWebhook(t)]
    const bots = withSecondBot({ webhooks: [{ url: hook.url, format: 'v1' }, { url: draft.url }] })
    const clock = stoppedClock()
    const app = await startApp(t, { config: { bots }, clock })
    const failures = [500]
    hook.answer((_delivered, response) => void response.writeHead(failures.shift() ?? 204).end())
    await app.lactea.gateway.accounts.remove(10002)
    await say(app, 'too late')
    for (let count = 0; count < 2; count++) {
      if (count > 0) await passToNextTry(app, clock)
      const { body } = await hook.next()
      t.match(body, { self_id: 10002, event_type: 'bot_offline', data: { reason: /switched the bot off/ } })
      t.equal(faultOfEvent(body), undefined)
    }
    t.equal(app.lactea.gateway.devices.has(10002), false, 'people see that it is gone')
    await app.lactea.app.close()
    t.strictSame([hook.all.length, draft.all.length], [2, 0])
  })
})

import t, { type Test } from 'tap'
import type { WebSocket } from 'ws'
import { startApp, text, type Running } from '../helpers/app.ts'
import { startBotServer, type BotServer, type Dialled } from '../helpers/bot-server.ts'
import { faultOfData, faultOfEvent } from '../helpers/milky-judge.ts'
import { socketSuite, withSecondBot } from '../helpers/socket-suite.ts'

const lastEventId = (app: Running): Promise<number> => app.lactea.gateway.store.lastEventId()

const say = (app: Running, words: string) =>
  app.call('token-one', 'send_group_message', { group_id: 100001, message: text(words) })

const heard = (frame: { data: { data: { message_id: string } } }): string => frame.data.data.message_id

t.test('a bot that is dialled', async (t) => {
  socketSuite(t, async (t, { bot = {}, limits = {} } = {}) => {
    const server = await startBotServer(t)
    const bots = withSecondBot({ ...bot, reverse_ws: [{ url: server.url }] })
    const app = await startApp(t, { config: { bots, limits } })
    return { app, bot: await server.next() }
  })
})

t.test('the token is added to the query that the address has', async (t) => {
  const server = await startBotServer(t)
  const rows: [url: string, access_token: string | undefined, expected: string][] = [
    [server.url, 'secret', '/?access_token=secret'],
    [`${server.url}/bot`, undefined, '/bot'],
    [`${server.url}/bot?room=1`, undefined, '/bot?room=1'],
    [`${server.url}/bot?room=1&x=a%20b`, 'r&=+#', '/bot?room=1&x=a+b&access_token=r%26%3D%2B%23'],
    [`${server.url}/bot?access_token=old&room=1`, 'new', '/bot?access_token=new&room=1']
  ]
  for (const [url, access_token, expected] of rows) {
    const bots = withSecondBot({ reverse_ws: [{ url, ...(access_token && { access_token }) }] })
    const app = await startApp(t, { config: { bots }, dir: t.testdir({}) })
    const { request } = await server.next()
    const { searchParams } = new URL(request.url ?? '', 'ws://host')
    const wanted = new URL(expected, 'ws://host').searchParams
    t.strictSame([...searchParams], [...wanted], expected)
    t.equal(request.headers['x-self-id'], '10002')
    await app.lactea.app.close()
  }
})

t.test('dials again after every close, never twice at once, and tells what was missed', async (t) => {
  const server = await startBotServer(t)
  const bots = withSecondBot({ reverse_ws: [{ url: server.url }] })
  const app = await startApp(t, { config: { bots } })
  const endings: [label: string, end: (socket: WebSocket) => void][] = [
    ['1000', (socket) => socket.close(1000)],
    ['1008', (socket) => socket.close(1008, 'go away')],
    ['abrupt', (socket) => socket.terminate()]
  ]
  let bot = await server.next()
  let count = 0
  for (const [label, end] of endings) {
    await say(app, `heard ${label}`)
    t.equal(heard(await bot.next()), `Group:100001:${++count}`)
    // Our pong to this ping is on the way before the end of the connection.
    await bot.asked(await lastEventId(app))
    end(bot.socket)
    await bot.closed
    for (let index = 0; index < 5; index++) await say(app, `missed ${label}`)
    bot = await server.next()
    for (let index = 0; index < 5; index++) {
      t.equal(heard(await bot.next()), `Group:100001:${++count}`, `${label}: in order, and none of the confirmed again`)
    }
  }
  t.equal(server.most(), 1, 'one connection at a time')
})

t.test('the server that is dialled may say where it was', async (t) => {
  const server = await startBotServer(t)
  const bots = withSecondBot({ reverse_ws: [{ url: server.url }] })
  const app = await startApp(t, { config: { bots } })
  const first = await server.next()
  const cursors: number[] = []
  for (let index = 1; index <= 4; index++) {
    await say(app, `word ${index}`)
    const frame = await first.next()
    t.equal(heard(frame), `Group:100001:${index}`)
    t.notOk('cursor' in frame, 'nobody has asked for it')
    cursors.push(await lastEventId(app))
  }
  await first.asked(cursors[3] as number)

  async function again(since: string): Promise<Dialled> {
    server.answerWith({ 'Lactea-Since': since })
    server.cut()
    return server.next()
  }
  const second = await again(String(cursors[1]))
  t.match(await second.next(), { cursor: String(cursors[2]), data: { data: { message_id: 'Group:100001:3' } } })
  t.match(await second.next(), { cursor: String(cursors[3]), data: { data: { message_id: 'Group:100001:4' } } })
  await second.asked(cursors[3] as number)
  const third = await again('999999')
  await say(app, 'next')
  const frame = await third.next()
  t.equal(frame.data.data.segments[0].data.text, 'next', 'a place of another log begins where the gateway has it')
  t.equal(frame.cursor, String(await lastEventId(app)))
})

t.test('dials again after handshakes that fail', async (t) => {
  const server = await startBotServer(t)
  server.refuse(401, 404)
  const bots = withSecondBot({ reverse_ws: [{ url: server.url }] })
  const app = await startApp(t, { config: { bots }, logLevel: 'warn' })
  const bot = await server.next()
  bot.send({ action: 'get_login_info', echo: 1 })
  t.match(await bot.next(), { data: { status: 'ok', echo: 1 } })
  t.match(app.lines.join(''), /401.*404/s, 'the operator reads why')
})

t.test('what was not confirmed is told again, also after a restart of the gateway', async (t) => {
  const server = await startBotServer(t, { autoPong: false })
  const dir = t.testdir()
  const config = { bots: withSecondBot({ reverse_ws: [{ url: server.url }] }) }
  const app = await startApp(t, { config, dir })
  const bot = await server.next()
  for (let index = 1; index <= 3; index++) {
    await say(app, `word ${index}`)
    t.equal(heard(await bot.next()), `Group:100001:${index}`)
  }
  bot.socket.pong('cursor 999999')
  bot.socket.pong('nonsense')
  await app.lactea.app.close()
  t.match(await bot.closed, { code: 1001 })

  const again = await startApp(t, { config, dir })
  const back = await server.next()
  for (let index = 1; index <= 3; index++) t.equal(heard(await back.next()), `Group:100001:${index}`)
  const last = await lastEventId(again)
  await back.asked(last)
  back.socket.pong(`cursor ${last}`)
  await say(again, 'word 4')
  t.equal(heard(await back.next()), 'Group:100001:4')
  await again.lactea.app.close()
  await back.closed

  await startApp(t, { config, dir })
  const third = await server.next()
  t.equal(heard(await third.next()), 'Group:100001:4', 'the confirmed ones are not repeated')
})

t.test('entries live independently of each other', async (t) => {
  const [one, two] = [await startBotServer(t), await startBotServer(t)]
  const bots = withSecondBot({ reverse_ws: [{ url: one.url }, { url: `${two.url}/other` }] })
  const app = await startApp(t, { config: { bots } })
  const [first, second] = [await one.next(), await two.next()]
  first.socket.terminate()
  await say(app, 'hello')
  t.equal(heard(await second.next()), 'Group:100001:1')
  t.equal(heard(await (await one.next()).next()), 'Group:100001:1')
})

t.test('stops while it waits for the next try', async (t) => {
  const server = await startBotServer(t)
  server.refuse(500)
  const bots = withSecondBot({ reverse_ws: [{ url: server.url }] })
  const app = await startApp(t, { config: { bots }, logLevel: 'warn' })
  await app.logged('will dial again')
  await app.lactea.app.close()
  t.equal(server.open(), 0)
})

t.test('the format v1', async (t) => {
  const attach = async (t: Test, settings: object = {}): Promise<{ app: Running; server: BotServer; bot: Dialled }> => {
    const server = await startBotServer(t)
    const bots = withSecondBot({ ...settings, reverse_ws: [{ url: server.url, format: 'v1' }] })
    const app = await startApp(t, { config: { bots } })
    return { app, server, bot: await server.next() }
  }

  t.test('tells events as the bare objects of Milky 1.2', async (t) => {
    const { app, bot } = await attach(t)
    await say(app, 'hello')
    await app.milky('token-one', 'set_group_name', { group_id: 100001, new_group_name: 'Renamed' })
    await app.milky('token-two', 'set_peer_pin', { message_scene: 'group', peer_id: 100001 })
    const events = [await bot.next(), await bot.next(), await bot.next()]
    t.match(events, [
      { self_id: 10002, event_type: 'message_receive', data: { message_scene: 'group', peer_id: 100001 } },
      { self_id: 10002, event_type: 'group_name_change', data: { new_group_name: 'Renamed' } },
      { self_id: 10002, event_type: 'peer_pin_change' }
    ])
    for (const event of events) t.equal(faultOfEvent(event), undefined)
  })

  t.test('answers calls with the envelope of Milky 1.2 and their echo', async (t) => {
    const { bot } = await attach(t)
    bot.send({ action: 'get_login_info', params: {}, echo: '1' })
    t.strictSame(await bot.next(), { status: 'ok', retcode: 0, data: { uin: 10002, nickname: 'Two' }, echo: '1' })
    bot.send({ action: 'get_friend_info', params: { user_id: 10001 }, echo: { a: [1] } })
    const { data, ...envelope } = await bot.next()
    t.strictSame(envelope, { status: 'ok', retcode: 0, echo: { a: [1] } })
    t.equal(faultOfData('get_friend_info', data), undefined)
    bot.send('{"action":"get_login_info","echo":123456789012345678901234567890}')
    t.match(await bot.nextText(), /,"echo":123456789012345678901234567890\}$/, 'digit by digit')
    bot.send({ action: 'get_login_info' })
    t.strictSame(Object.keys(await bot.next()), ['status', 'retcode', 'data'], 'no echo where none was given')
    const refused: [frame: string, retcode: number][] = [
      ['{"action":"no_such_api","echo":1}', -404],
      ['{"action":"recall_message","params":{"message_id":"Group:100001:1"},"echo":1}', -404],
      ['{"action":"get_friend_info","params":{"user_id":10011},"echo":1}', -404],
      ['{"action":"get_friend_info","params":{"user_id":"x"},"echo":1}', -400],
      ['{"action":7,"echo":1}', -400],
      ['{"echo":1', -400],
      ['[]', -400],
      [`{"action":"get_login_info","echo":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, -400]
    ]
    for (const [frame, retcode] of refused) {
      bot.send(frame)
      const answer = await bot.next()
      t.match(answer, { status: 'failed', retcode, message: /./ }, frame.slice(0, 60))
      t.notOk('data' in answer || 'post_type' in answer)
    }
  })

  t.test('tells a call from an event, and an own message after its answer', async (t) => {
    const { bot } = await attach(t, { report_self: true })
    for (let index = 1; index <= 20; index++)
      bot.send({ action: 'send_group_message', params: { group_id: 100001, message: text(`${index}`) }, echo: index })
    const answered = new Set<number>()
    const told: number[] = []
    while (told.length < 20) {
      const frame = await bot.next()
      if (frame.status !== undefined) answered.add(frame.data.message_seq)
      else {
        t.ok(answered.has(frame.data.message_seq))
        told.push(frame.data.message_seq)
      }
    }
    t.strictSame(
      told,
      Array.from({ length: 20 }, (_, index) => index + 1)
    )
  })

  t.test('goes on where it was after a cut', async (t) => {
    const { app, server, bot } = await attach(t)
    await say(app, 'heard')
    t.equal((await bot.next()).data.message_seq, 1)
    await bot.asked(await lastEventId(app))
    bot.socket.terminate()
    await bot.closed
    await say(app, 'missed')
    t.equal((await (await server.next()).next()).data.message_seq, 2)
  })
})

t.test('who is switched off is told so in v1, and is not dialled again', async (t) => {
  for (const format of ['v1', 'draft']) {
    const server = await startBotServer(t)
    const bots = withSecondBot({ reverse_ws: [{ url: server.url, format }] })
    const app = await startApp(t, { config: { bots }, logLevel: 'info' })
    const bot = await server.next()
    await say(app, 'hello')
    await app.lactea.gateway.accounts.remove(10002)
    await say(app, 'too late')
    t.match(await bot.closed, { code: 1008 })
    const heard = bot.waiting()
    t.equal(heard.length, format === 'v1' ? 2 : 1)
    if (format === 'v1') {
      t.match(heard[1], { self_id: 10002, event_type: 'bot_offline' })
      t.equal(faultOfEvent(heard[1]), undefined)
    }
    await app.logged('not dialled any more')
    t.equal(server.open(), 0)
    while (app.lactea.gateway.hub.size() > 0) await app.call('token-one', 'get_login_info')
    await app.lactea.app.close()
  }
})

import { once } from 'node:events'
import type { Test } from 'tap'
import { text, world, type Running } from './app.ts'
import type { TestSocket } from './socket.ts'

/** A gateway with bot 10002 on a socket, whoever of the two dialled. `bot` and `limits` go into the configuration. */
export type AttachBot = (
  t: Test,
  options?: { readonly bot?: object; readonly limits?: object }
) => Promise<{ readonly app: Running; readonly bot: TestSocket }>

const HELLO = { action: 'get_login_info', echo: 'hello' }
const toGroup = (words: string): object => ({ group_id: 100001, message: text(words) })

/** What a bot may rely on at its end of a Milky draft socket (contract 1.3–1.5): the same whoever dialled. */
export function socketSuite(t: Test, attach: AttachBot): void {
  async function isAlive(t: Test, bot: TestSocket): Promise<void> {
    bot.send(HELLO)
    const answer = await bot.find((frame) => frame.data.echo === 'hello')
    t.equal(answer.data.status, 'ok', 'the socket is still good for a call')
  }

  t.test('answers a call in the envelope of the draft', async (t) => {
    const { bot } = await attach(t)
    bot.send(HELLO)
    t.strictSame(await bot.next(), {
      post_type: 'action_response',
      self_id: 10002,
      data: { status: 'ok', retcode: 0, data: { uin: 10002, nickname: 'Two' }, echo: 'hello' }
    })
    bot.send({ action: 'get_friend_info', params: { user_id: 10011 }, echo: 'hello' })
    t.strictSame(await bot.next(), {
      post_type: 'action_response',
      self_id: 10002,
      data: { status: 'failed', retcode: -100, message: 'there is no friend 10011', echo: 'hello' }
    })
  })

  t.test('gives back the echo as it was written', async (t) => {
    const { bot } = await attach(t)
    const deep = `${'['.repeat(500)}${']'.repeat(500)}`
    const echoes = [
      '"123456"',
      '""',
      '"ä 😀 \\n"',
      '7',
      '0.1',
      '-1',
      '9007199254740993',
      '123456789012345678901234567890',
      '1e400',
      'true',
      'false',
      'null',
      '[]',
      '{}',
      '{"a":[1,{"b":null}],"echo":2}',
      '[9007199254740993,{"n":1e400,"m":0.10000000000000000001}]',
      deep
    ]
    for (const echo of echoes) {
      bot.send(`{"action":"get_login_info","params":{"echo":1},"echo":${echo}}`)
      const answer = await bot.nextText()
      t.equal(answer.slice(answer.indexOf(',"echo":')), `,"echo":${echo}}}`, echo.slice(0, 40))
    }
    bot.send('{"action":"get_login_info"}')
    t.strictSame(Object.keys((await bot.next()).data), ['status', 'retcode', 'data'], 'no key where none was given')
  })

  t.test('answers a frame that nests too deeply and goes on', async (t) => {
    const { bot } = await attach(t)
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    bot.send(`{"action":"get_login_info","echo":${deep}}`)
    t.match(await bot.next(), { data: { status: 'failed', retcode: -400, message: /deep|JSON/ } }, 'echo')
    bot.send(`{"action":"get_friend_info","params":{"user_id":${deep}},"echo":1e400}`)
    t.match(await bot.next(), { data: { status: 'failed', retcode: -400 } }, 'a parameter beside an echo to keep exact')
    await isAlive(t, bot)
  })

  t.test('answers what it cannot run and goes on', async (t) => {
    const { bot } = await attach(t)
    const rows: [frame: string, retcode: number, echo?: unknown][] = [
      ['{"action":"no_such_action","echo":1}', -404, 1],
      ['{"action":"","echo":1}', -404, 1],
      ['{"action":"__proto__","echo":1}', -404, 1],
      ['{"action":"toString","echo":1}', -404, 1],
      ['{"action":7,"echo":1}', -400, 1],
      ['{"action":null,"echo":1}', -400, 1],
      ['{"echo":{"a":1}}', -400, { a: 1 }],
      ['{"action":"get_friend_info","echo":1}', -400, 1],
      ['{"action":"get_friend_info","params":null,"echo":1}', -400, 1],
      ['{"action":"get_friend_info","params":{"user_id":"10001"},"echo":1}', -400, 1],
      ['{"action":"get_friend_info","params":{"user_id":9007199254740993},"echo":1}', -400, 1],
      ['{"action":"get_friend_info","params":{"user_id":1e400},"echo":1}', -400, 1],
      ['{"action":"get_friend_info","params":{"user_id":1.5},"echo":1}', -400, 1],
      ['{"action":"get_login_info","params":[],"echo":1}', -400, 1],
      ['{"action":"get_login_info","params":"x","echo":1}', -400, 1],
      ['{"action":"get_login_info","params":7,"echo":1}', -400, 1],
      ['{"action":"get_login_info","params":{"text":"\\ud800"},"echo":1}', -400, 1],
      ['{"action":"get_login_info","params":{"x":1,"__proto__":{"y":1}},"echo":1}', -400, 1],
      ['{"action":"no","action":"get_login_info","echo":1}', -400, 1],
      ['{"action":"get_login_info",}', -400],
      ['{"action":"get_login_info"', -400],
      ['', -400],
      ['\ufeff{"action":"get_login_info"}', -400],
      ['null', -400],
      ['[]', -400],
      ['"get_login_info"', -400],
      ['{"action":"get_login_info"}{}', -400]
    ]
    for (const [frame, retcode, echo] of rows) {
      bot.send(frame)
      const { post_type, self_id, data } = await bot.next()
      const label = JSON.stringify(frame)
      t.strictSame(
        { post_type, self_id, status: data.status, retcode: data.retcode, echo: data.echo },
        {
          post_type: 'action_response',
          self_id: 10002,
          status: 'failed',
          retcode,
          echo
        },
        label
      )
      t.type(data.message, 'string', label)
    }
    await isAlive(t, bot)
  })

  t.test('takes missing and null parameters as none, and ignores what it does not know', async (t) => {
    const { bot } = await attach(t)
    const frames = [
      '{"action":"get_login_info","echo":1}',
      '{"action":"get_login_info","params":null,"echo":1}',
      '{"action":"get_login_info","params":{"x":1,"constructor":null},"z":[],"echo":1}',
      '{"action":"get_friend_list","params":{"no_cache":null},"echo":1}'
    ]
    for (const frame of frames) {
      bot.send(frame)
      t.match(await bot.next(), { data: { status: 'ok', retcode: 0, echo: 1 } }, frame)
    }
    t.equal(({} as { y?: number }).y, undefined)
  })

  t.test('closes on a binary frame with 1003 and runs nothing that comes after it', async (t) => {
    const { app, bot } = await attach(t)
    bot.socket.send(Buffer.from(JSON.stringify(HELLO)))
    bot.send({ action: 'send_group_message', params: toGroup('too late') })
    t.match(await bot.closed, { code: 1003 })
    const history = await app.call('token-one', 'get_history_group_message', { group_id: 100001 })
    t.strictSame(history.data, { messages: [] })
  })

  t.test('takes a frame of the largest size and closes on a larger one with 1009', async (t) => {
    const { bot } = await attach(t, { limits: { milky_frame: 1000 } })
    const frame = '{"action":"get_login_info","echo":"hello"}'
    bot.send(frame.padEnd(1000))
    t.equal((await bot.next()).data.status, 'ok')
    bot.send(frame.padEnd(1001))
    t.match(await bot.closed, { code: 1009 })
  })

  t.test('closes on text that is not UTF-8 with 1007', async (t) => {
    const { bot } = await attach(t)
    bot.socket.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false })
    t.match(await bot.closed, { code: 1007 })
  })

  t.test('tells every event once, in order, in the envelope of the draft', async (t) => {
    const { app, bot } = await attach(t)
    for (let index = 1; index <= 30; index++)
      await app.call('token-one', 'send_group_message', toGroup(`word ${index}`))
    await app.call('token-one', 'set_group_name', { group_id: 100001, name: 'Renamed' })
    for (let index = 1; index <= 30; index++) {
      const { time, ...event } = (await bot.next()).data
      t.strictSame(event, {
        event_type: 'message_receive',
        data: {
          message_id: `Group:100001:${index}`,
          time,
          user_id: 10001,
          segments: text(`word ${index}`),
          message_type: 'group',
          group_id: 100001
        }
      })
    }
    const last = await bot.next()
    t.strictSame([last.post_type, last.self_id, last.data.event_type], ['event', 10002, 'group_name_change'])
    await isAlive(t, bot)
    t.strictSame(bot.waiting(), [])
  })

  t.test('hears nothing of what it says itself', async (t) => {
    const { app, bot } = await attach(t)
    bot.send({ action: 'send_group_message', params: toGroup('mine') })
    t.match(await bot.next(), { data: { data: { message_id: 'Group:100001:1' } } })
    await app.call('token-two', 'send_group_message', toGroup('mine too'))
    await app.call('token-one', 'send_group_message', toGroup('yours'))
    t.match(await bot.next(), { post_type: 'event', data: { data: { message_id: 'Group:100001:3' } } })
  })

  t.test('with report_self: hears its own messages, each after the answer to the call', async (t) => {
    const { bot } = await attach(t, { bot: { report_self: true } })
    for (let index = 1; index <= 50; index++) {
      bot.send({ action: 'send_group_message', params: toGroup(`word ${index}`), echo: index })
    }
    const answered = new Set<string>()
    const told: string[] = []
    while (told.length < 50) {
      const { post_type, data } = await bot.next()
      if (post_type === 'action_response') answered.add(data.data.message_id)
      else {
        t.ok(answered.has(data.data.message_id), `${data.data.message_id} is told after its answer`)
        told.push(data.data.message_id)
      }
    }
    t.strictSame(
      told,
      Array.from({ length: 50 }, (_, index) => `Group:100001:${index + 1}`)
    )
  })

  t.test('answers a protocol ping with its payload', async (t) => {
    const { bot } = await attach(t)
    const pong = once(bot.socket, 'pong')
    bot.socket.ping('are you there?')
    t.equal(String((await pong)[0]), 'are you there?')
  })

  t.test('a flood is slowed down and nothing of it is lost', async (t) => {
    const { bot } = await attach(t, { limits: { frame_rate: 400 } })
    const startedAt = performance.now()
    // A kilobyte each: what fits into one read of the socket is taken at once.
    const padding = 'x'.repeat(1000)
    for (let index = 0; index < 1000; index++) bot.send({ action: 'get_login_info', echo: index, padding })
    const echoes: number[] = []
    while (echoes.length < 1000) echoes.push((await bot.next()).data.echo)
    t.strictSame(
      echoes.toSorted((a, b) => a - b),
      Array.from({ length: 1000 }, (_, index) => index)
    )
    t.ok(performance.now() - startedAt > 1000, '600 calls beyond the burst take 1.5 s at 400 per second')
  })

  t.test('at shutdown: answers what it has taken, then closes with 1001', async (t) => {
    const { app, bot } = await attach(t)
    const release = app.lactea.gateway.store.holdWrites()
    bot.send({ action: 'send_group_message', params: toGroup('last words'), echo: 'slow' })
    await isAlive(t, bot)
    const closing = app.lactea.app.close()
    setImmediate(release)
    t.match(await bot.next(), { data: { status: 'ok', echo: 'slow' } })
    t.match(await bot.closed, { code: 1001, reason: /^server shutdown/ })
    await closing
  })
}

/** The two bots of the world, the second with further settings. */
export function withSecondBot(settings: object): object[] {
  return [world.bots[0] as object, { ...world.bots[1], ...settings }]
}

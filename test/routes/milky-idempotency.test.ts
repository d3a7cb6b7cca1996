import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { actions } from '../../src/actions/index.ts'
import { MILKY_ACTIONS, MILKY_EXTENSIONS } from '../../src/protocols/milky.ts'
import { startApp, text, type Running } from '../helpers/app.ts'
import { png } from '../helpers/pictures.ts'
import { openSocket } from '../helpers/socket.ts'
import { waitFor } from '../helpers/wait.ts'

const GROUP = 100001

interface Keyed {
  readonly retcode: number
  readonly message?: string
  readonly data: any
  readonly replayed: string | null
}

/** Calls an action with a key in the header; `api/name` for Milky 1.2. */
async function callWith(app: Running, key: string | undefined, api: string, params: object = {}, bot = 'one') {
  const response = await fetch(`${app.url}/${api}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer token-${bot}`,
      'content-type': 'application/json',
      ...(key !== undefined && { 'idempotency-key': key })
    },
    body: JSON.stringify(params)
  })
  const body = (await response.json()) as Omit<Keyed, 'replayed'>
  return { ...body, replayed: response.headers.get('idempotent-replayed') } satisfies Keyed
}

const message = (words: string): object => ({ group_id: GROUP, message: text(words) })

/** What was said in the group, the oldest first. */
async function listSaid(app: Running): Promise<string[]> {
  const { data } = await app.milky('token-one', 'get_history_messages', {
    message_scene: 'group',
    peer_id: GROUP,
    limit: 30
  })
  return data.messages.map(({ segments }: { segments: { data: { text: string } }[] }) => segments[0]?.data.text)
}

t.test('asked again under the same key it is done once', async (t) => {
  const app = await startApp(t)

  for (const api of ['send_group_message', 'api/send_group_message'])
    await t.test(api, async (t) => {
      const first = await callWith(app, `${api} 1`, api, message(api))
      t.match(first, { retcode: 0, replayed: null })
      const again = await callWith(app, `${api} 1`, api, message(api))
      t.strictSame(again, { ...first, replayed: 'true' }, 'with the answer of the first')
      const reordered = await callWith(app, `${api} 1`, api, { message: text(api), group_id: GROUP, peer: null })
      t.strictSame(reordered.data, first.data, 'in whatever order the parameters stand')
      const inParams = await callWith(app, undefined, api, { ...message(api), idempotency_key: `${api} 1` })
      t.strictSame(inParams, again, 'and wherever the key stands')
      const other = await callWith(app, `${api} 2`, api, message(api))
      t.match(other, { retcode: 0, replayed: null })
      t.notSame(other.data, first.data, 'another key is another message')
      const byOther = await callWith(app, `${api} 1`, api, message(api), 'two')
      t.match(byOther, { retcode: 0, replayed: null }, 'as is the same key of another bot')
      t.equal((await listSaid(app)).filter((said) => said === api).length, 3)
    })
})

t.test('two at once are done once', async (t) => {
  const app = await startApp(t)
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => callWith(app, 'k', 'send_group_message', message('x')))
  )
  t.equal(new Set(answers.map(({ data }) => data.message_id)).size, 1)
  t.equal(answers.filter(({ replayed }) => replayed === null).length, 1, 'all but one hear that they are a replay')
  t.strictSame(await listSaid(app), ['x'])
})

t.test('a key that was used for something else is refused', async (t) => {
  const app = await startApp(t)
  await callWith(app, 'k', 'send_group_message', message('x'))
  const tries: [string, object, RegExp][] = [
    ['send_group_message', message('y'), /used for send_group_message with other parameters/],
    ['api/send_group_message', message('x'), /used for send_group_message with other parameters/],
    ['set_group_name', { group_id: GROUP, name: 'x' }, /used for send_group_message already/],
    ['get_login_info', {}, /used for send_group_message already/]
  ]
  for (const [api, params, says] of tries)
    t.match(await callWith(app, 'k', api, params), { retcode: -103, message: says }, api)
  t.strictSame(await listSaid(app), ['x'])
})

t.test('keys are 1 to 255 printable characters', async (t) => {
  const app = await startApp(t)
  const bad: unknown[] = ['', 'x'.repeat(256), 'a\nb', 'a\u0000', '\u200e', '\ud800', 5, true, {}, ['k']]
  for (const key of bad)
    t.match(
      await callWith(app, undefined, 'send_group_message', { ...message('x'), idempotency_key: key }),
      { retcode: -400, message: /./ },
      JSON.stringify(key)
    )
  t.match(await callWith(app, '', 'send_group_message', message('x')), { retcode: -400 }, 'an empty header')
  t.strictSame(await listSaid(app), [])
  for (const key of ['x'.repeat(255), '消息 1', '~', '😀'.repeat(255)])
    t.match(
      await callWith(app, undefined, 'send_group_message', { ...message('x'), idempotency_key: key }),
      { retcode: 0, replayed: null },
      key.slice(0, 10)
    )
  t.match(
    await callWith(app, undefined, 'send_group_message', { ...message('x'), idempotency_key: null }),
    { retcode: 0 },
    'null is none'
  )
})

t.test('a call that fails leaves no key', async (t) => {
  const app = await startApp(t)
  const params = { user_id: 10099, message: text('x') }
  for (let round = 0; round < 2; round++)
    t.match(await callWith(app, 'k', 'send_private_message', params), { retcode: -100, replayed: null })
  t.match(
    await callWith(app, 'k', 'api/delete_friend', { user_id: 10099 }),
    { retcode: -404, message: /no friend/ },
    'nor when nothing was there'
  )
  t.match(await callWith(app, 'k', 'send_group_message', message('x')), { retcode: 0, replayed: null })
})

t.test('on sockets', async (t) => {
  const app = await startApp(t)
  const socket = await openSocket(t, app.ws, { headers: { authorization: 'Bearer token-one' } })
  const ask = async (action: string, params: object): Promise<any> => {
    socket.send({ action, params, echo: 1 })
    return (await socket.find(({ post_type }) => post_type === 'action_response')).data
  }
  const params = { ...message('x'), idempotency_key: 'k' }
  const first = await ask('send_group_message', params)
  t.match(first, { retcode: 0 })
  t.strictSame(await ask('send_group_message', params), first)
  t.strictSame(await ask('get_action_result', { idempotency_key: 'k' }), {
    ...first,
    data: { state: 'done', action: 'send_group_message', outcome: { status: 'ok', retcode: 0, data: first.data } }
  })
  t.strictSame(await listSaid(app), ['x'])
})

t.test('get_action_result tells what became of a call', async (t) => {
  const app = await startApp(t)
  for (const api of ['', 'api/'])
    await t.test(`${api}get_action_result`, async (t) => {
      const key = `key-${api}`
      const ask = (bot?: string) => callWith(app, undefined, `${api}get_action_result`, { idempotency_key: key }, bot)
      t.match(await ask(), { retcode: 0, data: { state: 'unknown' } }, 'before')
      const sent = await callWith(app, key, `${api}send_group_message`, message('x'))
      t.strictSame((await ask()).data, {
        state: 'done',
        action: 'send_group_message',
        outcome: { status: 'ok', retcode: 0, data: sent.data }
      })
      t.match(await ask('two'), { retcode: 0, data: { state: 'unknown' } }, 'and to nobody else')
    })
  t.match(await callWith(app, undefined, 'get_action_result', {}), { retcode: -400 })
  t.match(await callWith(app, undefined, 'get_action_result', { idempotency_key: '' }), { retcode: -400 })
})

t.test('it is there after a restart, and gone after its time', async (t) => {
  const first = await startApp(t, { config: { limits: { idempotency_time: '1h' } } })
  const { data } = await callWith(first, 'k', 'send_group_message', message('x'))
  await first.lactea.app.close()
  const second = await startApp(t, { dir: first.dir, config: { limits: { idempotency_time: '1h' } } })
  t.match(await callWith(second, 'k', 'send_group_message', message('x')), { data, replayed: 'true' })
})

t.test('what takes long is answered meanwhile and goes on', async (t) => {
  const app = await startApp(t, {
    config: { limits: { action_time: 50 }, media: { allowed_networks: ['127.0.0.0/8'] } }
  })
  const slow = await startSlow(t)
  const params = { group_id: GROUP, message: [{ type: 'image', data: { uri: slow.url, sub_type: 'normal' } }] }
  const key = 'slow'
  const result = async () => (await callWith(app, undefined, 'get_action_result', { idempotency_key: key })).data
  t.match(await callWith(app, key, 'send_group_message', params), { retcode: -504, message: /still running/ })
  t.match(await result(), { state: 'running' })
  t.match(
    await callWith(app, key, 'send_group_message', params),
    { retcode: -504 },
    'whoever asks again waits for it too'
  )
  slow.answer(png(3, 3))
  await waitFor(async () => (await result()).state === 'done')
  const { outcome } = await result()
  t.strictSame(await callWith(app, key, 'send_group_message', params), { ...outcome, replayed: 'true' })
  t.equal(slow.asked(), 1, 'nothing is fetched again')
})

t.test('a file that was sent is not taken in again', async (t) => {
  const app = await startApp(t)
  const file_uri = `base64://${png(2, 2).toString('base64')}`
  const params = { group_id: GROUP, file_uri, file_name: 'a.png' }
  const first = await callWith(app, 'k', 'api/upload_group_file', params)
  t.match(first, { retcode: 0, data: { file_id: /./ } })
  t.strictSame(await callWith(app, 'k', 'api/upload_group_file', params), { ...first, replayed: 'true' })
  const { data } = await app.milky('token-one', 'get_group_files', { group_id: GROUP })
  t.equal(data.files.length, 1)
})

t.test('what changed nothing the first time is not done the second time', async (t) => {
  const app = await startApp(t)
  const mute = { group_id: GROUP, is_mute: true }
  await callWith(app, undefined, 'api/set_group_whole_mute', mute)
  t.match(await callWith(app, 'k', 'api/set_group_whole_mute', mute), { retcode: 0, replayed: null })
  await callWith(app, undefined, 'api/set_group_whole_mute', { ...mute, is_mute: false })
  t.match(await callWith(app, 'k', 'api/set_group_whole_mute', mute), { retcode: 0, replayed: 'true' })
  t.match(await callWith(app, undefined, 'api/send_group_message', message('x'), 'two'), { retcode: 0 }, 'not muted')
})

t.test('reading is reading, with a key or without', async (t) => {
  const app = await startApp(t)
  t.match(await callWith(app, 'k', 'get_login_info'), { retcode: 0, data: { nickname: 'One' }, replayed: null })
  t.match(await callWith(app, 'k', 'get_login_info'), { retcode: 0, replayed: null })
})

t.test('every action that has an effect and an answer says how the one follows from the other', async (t) => {
  const names: string[] = [...Object.values(MILKY_ACTIONS).flat(), ...MILKY_EXTENSIONS]
  for (const { name, result, resultOf } of actions) {
    if (!names.includes(name) || name.startsWith('get_')) continue
    t.equal(resultOf !== undefined, Object.keys(result.properties).length > 0, name)
  }
})

interface Slow {
  readonly url: string
  /** Answers whoever asks, and has asked. */
  readonly answer: (bytes: Buffer) => void
  readonly asked: () => number
}

/** A server that says nothing until it is told what. */
async function startSlow(t: Test): Promise<Slow> {
  const { promise, resolve } = Promise.withResolvers<Buffer>()
  let asked = 0
  const server = createServer((_request, response) => {
    asked++
    void promise.then((bytes) => response.end(bytes))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/a.png`, answer: resolve, asked: () => asked }
}

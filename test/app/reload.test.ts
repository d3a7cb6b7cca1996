import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { describeConfig, EFFECTS, findEffectKey, loadConfig, type Config } from '../../src/config.ts'
import { startApp, text, world, type Running } from '../helpers/app.ts'
import { openSocket } from '../helpers/socket.ts'

/** Reads what the file would say with these changes, and takes it over. */
function reload(running: Running, changes: Record<string, unknown>) {
  return running.lactea.reload(read(running, changes))
}

function read({ dir }: Running, changes: Record<string, unknown>): Config {
  const file = join(dir, 'lactea.yaml')
  const server = { ...(changes['server'] as object | undefined), port: 0 }
  writeFileSync(file, stringify({ ...world, ...changes, server, data: { dir: join(dir, 'data') } }))
  return loadConfig({ file, env: {}, cwd: dir }).config
}

const [one, two] = world.bots

void t.test('every key is taken by a reload or needs a restart, and each is said once', async (t) => {
  const keys = describeConfig().map(({ key }) => key)
  t.strictSame(
    keys.filter((key) => findEffectKey(key) === undefined),
    [],
    'keys that src/config/reload.ts does not know'
  )
  const entries = Object.keys(EFFECTS)
  t.strictSame(
    entries.filter((entry) => !keys.some((key) => findEffectKey(key) === entry)),
    [],
    'entries of src/config/reload.ts that are no keys'
  )
  const isBelow = (entry: string, other: string): boolean =>
    entry.startsWith(`${other}.`) || entry.startsWith(`${other}[]`)
  t.strictSame(
    entries.filter((entry) => entries.some((other) => isBelow(entry, other))),
    [],
    'entries that stand below another'
  )
})

void t.test('a reload that changes nothing does nothing', async (t) => {
  const running = await startApp(t)
  t.strictSame(await reload(running, {}), { applied: [], waiting: [], started: 0, stopped: 0 })
})

void t.test('what needs a restart is named, and stays as it was', async (t) => {
  const running = await startApp(t)
  const changes = { server: { public_url: 'https://chat.example.org' }, limits: { file_size: '1MiB', message_text: 5 } }
  const { applied, waiting } = await reload(running, changes)
  t.strictSame(applied, ['limits.message_text'])
  t.strictSame(waiting, ['server.public_url', 'limits.file_size'])
  const again = await reload(running, changes)
  t.strictSame(again.applied, [])
  t.strictSame(again.waiting, ['server.public_url', 'limits.file_size'], 'as long as it is so')
})

void t.test('tokens of bots count at once', async (t) => {
  const running = await startApp(t)
  const voided = await openSocket(t, `${running.ws}/?access_token=token-one`)
  const events = await openSocket(t, `${running.ws}/event?access_token=token-one`)
  const untouched = await openSocket(t, `${running.ws}/?access_token=token-two`)
  await reload(running, { bots: [{ ...one, access_token: 'another-token' }, two] })
  t.equal((await voided.closed).code, 1008)
  t.equal((await events.closed).code, 1008)
  t.equal((await running.call('token-one', 'get_login_info')).http, 403)
  t.equal((await running.call('another-token', 'get_login_info')).http, 200)
  t.equal(untouched.socket.readyState, untouched.socket.OPEN)
})

void t.test('bots, people, friends and groups that are new are made', async (t) => {
  const running = await startApp(t)
  await reload(running, {
    bots: [one, two, { id: 10003, access_token: 'token-three' }],
    provision: {
      accounts: [{ id: 10012, kind: 'person', username: 'bob', password: 'bob-secret' }],
      friends: [[10003, 10012]],
      groups: [{ id: 100002, name: 'New', owner: 10003, members: [10012] }]
    }
  })
  const { data } = await running.call('token-three', 'get_group_list')
  t.match(data, { groups: [{ group_id: 100002 }] })
  t.ok(await running.signIn('bob', 'bob-secret'))
})

void t.test('what contradicts the database changes nothing at all', async (t) => {
  const running = await startApp(t)
  const wrong = { bots: [{ ...one, access_token: 'another-token' }, two, { id: 10011, access_token: 'of-a-person' }] }
  await t.rejects(reload(running, { ...wrong, provision: {} }), /account 10011 as a bot/)
  t.equal((await running.call('token-one', 'get_login_info')).http, 200)
  t.equal((await running.call('another-token', 'get_login_info')).http, 403)
})

void t.test('a bot hears itself from the next message on', async (t) => {
  const running = await startApp(t)
  const bot = await openSocket(t, `${running.ws}/?access_token=token-one`)
  await running.call('token-one', 'send_group_message', { group_id: 100001, message: text('unheard') })
  await reload(running, { bots: [{ ...one, report_self: true }, two] })
  await running.call('token-one', 'send_group_message', { group_id: 100001, message: text('heard') })
  const { data } = await bot.next()
  t.match(JSON.stringify(data), /"heard"/)
})

void t.test('limits, registration and the log level count at once', async (t) => {
  const running = await startApp(t, { logLevel: 'warn' })
  const say = (words: string) =>
    running.call('token-one', 'send_group_message', { group_id: 100001, message: text(words) })
  t.equal((await say('a long message')).status, 'ok')
  await reload(running, {
    limits: { bot_message_text: 5 },
    im: { registration: 'closed' },
    log: { level: 'debug' }
  })
  t.equal((await say('a long message')).status, 'failed')
  t.equal((await say('short')).status, 'ok')
  const response = await fetch(`${running.url}/api/auth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'carol', password: 'carol-secret' })
  })
  t.equal(response.status, 403)
  await response.arrayBuffer()
  await openSocket(t, `${running.ws}/?access_token=token-one`)
  t.match(await running.logged('bot connected'), /10001/, 'a part that had its logger before')
})

void t.test('keys and tokens of maim_message count at once', async (t) => {
  const key = { api_key: 'key-of-one', account: 10001 }
  const other = { api_key: 'key-of-two', account: 10002 }
  const running = await startApp(t, { config: { maim: { keys: [key, other], legacy_tokens: ['legacy-token'] } } })
  const open = (t: Test, apiKey: string) => openSocket(t, `${running.ws}/maim/ws?api_key=${apiKey}&platform=test`)
  const legacy = (t: Test, authorization: string, platform: string) =>
    openSocket(t, `${running.ws}/maim/legacy/ws`, { headers: { authorization, platform } })
  const voided = [
    await open(t, 'key-of-one'),
    await legacy(t, 'key-of-one', 'brain'),
    await legacy(t, 'legacy-token', 'a')
  ]
  const untouched = [await open(t, 'key-of-two'), await legacy(t, 'key-of-two', 'other-brain')]
  await reload(running, {
    maim: { keys: [{ api_key: 'new-key', account: 10001 }, other], legacy_tokens: ['new-token'] }
  })
  for (const { closed } of voided) t.equal((await closed).code, 1008)
  await t.rejects(open(t, 'key-of-one'), /401/)
  await open(t, 'new-key')
  await legacy(t, 'new-token', 'a')
  for (const { socket } of untouched) t.equal(socket.readyState, socket.OPEN)

  const held = await open(t, 'new-key')
  await reload(running, {
    maim: { keys: [{ api_key: 'new-key', account: 10001, notices: 'text' }, other], legacy_tokens: ['new-token'] }
  })
  t.equal((await held.closed).code, 1012, 'it comes back and is told in the new form')
})

void t.test('brains may come where none could before', async (t) => {
  const running = await startApp(t)
  await reload(running, { maim: { keys: [{ api_key: 'new-key', account: 10001 }] } })
  const brain = await openSocket(t, `${running.ws}/maim/ws?api_key=new-key&platform=test`)
  await running.call('token-two', 'send_group_message', { group_id: 100001, message: text('to the brain') })
  t.match(JSON.stringify(await brain.next()), /to the brain/)
})

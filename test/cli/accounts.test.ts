import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { text, world } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { runLactea, startService, type Finished, type Service } from '../helpers/service.ts'
import { openSocket, type TestSocket } from '../helpers/socket.ts'

/** The command line in a directory of its own: `await lactea('bot', 'list')`. */
function atDirectory(t: Test, config?: object) {
  const cwd = makeDirectory(t, config)
  const lactea = (...args: string[]): Promise<Finished> => runLactea(args, { cwd })
  const lacteaWith = (input: string, ...args: string[]): Promise<Finished> => runLactea(args, { cwd, input })
  return { cwd, lactea, lacteaWith }
}

const tokenIn = ({ stdout }: Finished): string => /: ([\w-]{43})$/m.exec(stdout)?.[1] ?? ''

/** What is answered to the token of a bot that was removed. */
const SWITCHED_OFF = { http: 403, retcode: -403 }

async function whoIs(service: Service, token: string): Promise<{ http: number; uin?: number; retcode?: number }> {
  const response = await fetch(`${service.url}/get_login_info`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{}'
  })
  const { data, retcode } = (await response.json()) as { data?: { uin: number }; retcode: number }
  return { http: response.status, ...(data ? { uin: data.uin } : { retcode }) }
}

async function signIn(service: Service, username: string, password: string): Promise<string | undefined> {
  const response = await fetch(`${service.url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password })
  })
  return ((await response.json()) as { token?: string }).token
}

void t.test('lactea bot', async (t) => {
  t.test('adds bots, lists them, gives new tokens and switches them off', async (t) => {
    const { lactea } = atDirectory(t)
    t.match(await lactea('bot', 'list'), { code: 0, stdout: 'no bots\n', stderr: '' })
    const first = await lactea('bot', 'add', '--nickname', 'Echo')
    t.match(first, { code: 0, stdout: /^bot 10001 \(Echo\)\naccess token, shown this once: [\w-]{43}\n$/, stderr: '' })
    t.match(await lactea('bot', 'add', '--id', '10077'), { code: 0, stdout: /^bot 10077 / })
    t.equal((await lactea('bot', 'list')).stdout, '10001  Echo  on  1 token\n10077  Bot   on  1 token\n')
    const renewed = await lactea('bot', 'token', '10001')
    t.match(renewed, { code: 0, stdout: /bot 10001/ })
    t.not(tokenIn(renewed), tokenIn(first))
    t.match(await lactea('bot', 'remove', '10077'), { code: 0, stdout: /bot 10077 is switched off/ })
    t.match((await lactea('bot', 'list')).stdout, /10077 +Bot +off/)
  })

  t.test('makes changes that a running gateway notices at once', async (t) => {
    const { cwd, lactea } = atDirectory(t)
    const first = tokenIn(await lactea('bot', 'add'))
    const service = await startService(t, cwd)
    t.strictSame(await whoIs(service, first), { http: 200, uin: 10001 })

    const second = tokenIn(await lactea('bot', 'add'))
    t.strictSame(await whoIs(service, second), { http: 200, uin: 10002 })
    const socket = await openSocket(t, `${service.ws}/?access_token=${second}`)

    const renewed = tokenIn(await lactea('bot', 'token', '10001'))
    t.strictSame(await whoIs(service, first), { http: 403, retcode: -403 })
    t.strictSame(await whoIs(service, renewed), { http: 200, uin: 10001 })
    socket.send({ action: 'get_login_info', params: {}, echo: 'still here' })
    t.match(await socket.next(), { data: { echo: 'still here' } })

    await lactea('bot', 'remove', '10002')
    t.strictSame(await whoIs(service, second), SWITCHED_OFF)
    t.match(await closedWithin(socket, 5000), { code: 1008 })
    await t.rejects(openSocket(t, `${service.ws}/?access_token=${second}`), { message: 'refused with 403' })
  })

  t.test('closes the sockets of a token that was replaced', async (t) => {
    const { cwd, lactea } = atDirectory(t)
    const before = tokenIn(await lactea('bot', 'add'))
    const service = await startService(t, cwd)
    const socket = await openSocket(t, `${service.ws}/?access_token=${before}`)
    const after = tokenIn(await lactea('bot', 'token', '10001'))
    t.match(await closedWithin(socket, 5000), { code: 1008 })
    const next = await openSocket(t, `${service.ws}/?access_token=${after}`)
    next.send({ action: 'get_login_info', params: {}, echo: 1 })
    t.match(await next.next(), { data: { status: 'ok' } })
  })

  t.test('that gets its first token is no longer open to everybody', async (t) => {
    const { cwd, lactea } = atDirectory(t, { bots: [{ id: 10001 }] })
    const service = await startService(t, cwd)
    t.strictSame(await whoIs(service, 'whatever'), { http: 200, uin: 10001 })
    const stranger = await openSocket(t, service.ws)
    const token = tokenIn(await lactea('bot', 'token', '10001'))
    t.match(await closedWithin(stranger, 5000), { code: 1008 })
    t.strictSame(await whoIs(service, 'whatever'), { http: 403, retcode: -403 })
    t.strictSame(await whoIs(service, token), { http: 200, uin: 10001 })
  })

  t.test('removes a bot whose token stands in the configuration', async (t) => {
    const { cwd, lactea } = atDirectory(t, world)
    const service = await startService(t, cwd)
    const socket = await openSocket(t, `${service.ws}/?access_token=token-two`)
    await lactea('bot', 'remove', '10002')
    t.match(await closedWithin(socket, 5000), { code: 1008 })
    t.strictSame(await whoIs(service, 'token-two'), SWITCHED_OFF)
    await t.rejects(openSocket(t, `${service.ws}/?access_token=token-two`), { message: 'refused with 403' })
    t.strictSame(await whoIs(service, 'token-one'), { http: 200, uin: 10001 })
  })
})

void t.test('lactea user', async (t) => {
  t.test('adds people with a password of its own making, or one from standard input', async (t) => {
    const { cwd, lactea, lacteaWith } = atDirectory(t)
    const made = await lactea('user', 'add', 'alice', '--nickname', 'Alice', '--phone', '+4912345')
    t.match(made, { code: 0, stdout: /^user 10001 \(alice\)\npassword, shown this once: [\w-]{16}\n$/, stderr: '' })
    const given = await lacteaWith('bobs secret\n', 'user', 'add', 'bob', '--password-stdin')
    t.match(given, { code: 0, stdout: 'user 10002 (bob)\n', stderr: '' })
    t.equal((await lactea('user', 'list')).stdout, '10001  alice  Alice  on\n10002  bob    bob    on\n')

    const service = await startService(t, cwd)
    t.ok(await signIn(service, 'alice', /once: (\S+)/.exec(made.stdout)?.[1] ?? ''))
    t.ok(await signIn(service, 'bob', 'bobs secret'), 'the newline at the end is no part of the password')
    t.notOk(await signIn(service, 'bob', 'bobs secret\n'))
  })

  t.test('makes changes that a running gateway notices at once', async (t) => {
    const { cwd, lactea, lacteaWith } = atDirectory(t)
    const service = await startService(t, cwd)
    await lacteaWith('first secret', 'user', 'add', 'alice', '--password-stdin')
    const socket = await openPerson(t, service, 'alice', 'first secret')

    const changed = await lacteaWith('second secret', 'user', 'password', 'alice', '--password-stdin')
    t.match(changed, { code: 0, stdout: /^the password of user 10002 is changed\n$/ })
    t.match(await socket.next(), { type: 'disconnect', payload: { reason: 'session_revoked' } })
    t.match(await closedWithin(socket, 5000), { code: 1008 })
    t.notOk(await signIn(service, 'alice', 'first secret'))

    t.match(await lactea('user', 'admin', 'alice', 'on'), { code: 0, stdout: 'user 10002 is an admin from now on\n' })
    t.equal((await lactea('user', 'list')).stdout, '10002  alice  alice  on  admin\n')
    t.match(await lactea('user', 'admin', '10002', 'off'), { code: 0, stdout: 'user 10002 is no admin from now on\n' })
    t.equal((await lactea('user', 'list')).stdout, '10002  alice  alice  on\n')

    const again = await openPerson(t, service, 'alice', 'second secret')
    t.match(await lactea('user', 'remove', 'alice'), { code: 0, stdout: /user 10002 is switched off/ })
    t.match(await closedWithin(again, 5000), { code: 1008 })
    t.notOk(await signIn(service, 'alice', 'second secret'))
  })
})

void t.test('lactea user invite prints a code that lets one person in, and is kept as a digest', async (t) => {
  const { cwd, lactea } = atDirectory(t, { im: { registration: 'invite' } })
  const { code: exit, stdout } = await lactea('user', 'invite', '--days', '1')
  const [, until = '', code = ''] =
    /^invitation for one account, good until (\S+), shown this once: ([\w-]{16})\n$/.exec(stdout) ?? []
  const hours = (Date.parse(until) - Date.now()) / 3_600_000
  t.ok(exit === 0 && hours > 23.9 && hours <= 24, `${stdout} is ${hours} h from now`)
  const later = /good until (\S+),/.exec((await lactea('user', 'invite')).stdout)?.[1] ?? ''
  t.ok(Math.abs(Date.parse(later) - Date.parse(until) - 6 * 86_400_000) < 60_000, 'seven days when nothing is said')
  t.notOk(readFileSync(join(cwd, 'data', 'lactea.db')).includes(code), 'the database does not hold it')

  const service = await startService(t, cwd)
  const register = async (username: string): Promise<number> => {
    const body = JSON.stringify({ username, password: 'secret-1', invite: code })
    const headers = { 'content-type': 'application/json' }
    return (await fetch(`${service.url}/api/auth/register`, { method: 'POST', headers, body })).status
  }
  t.strictSame([await register('alice'), await register('bob')], [201, 403])
})

void t.test('lactea group', async (t) => {
  const { cwd, lactea, lacteaWith } = atDirectory(t)
  const bot = tokenIn(await lactea('bot', 'add'))
  await lacteaWith('alice-secret', 'user', 'add', 'alice', '--password-stdin')
  await lacteaWith('carol-secret', 'user', 'add', 'carol', '--password-stdin')
  t.equal((await lactea('group', 'list')).stdout, 'no groups\n')
  const service = await startService(t, cwd)
  const [alice, carol] = [
    await openPerson(t, service, 'alice', 'alice-secret'),
    await openPerson(t, service, 'carol', 'carol-secret')
  ]

  const say = async (words: string): Promise<void> => {
    const response = await fetch(`${service.url}/send_group_message`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bot}`, 'content-type': 'application/json' },
      body: JSON.stringify({ group_id: 100001, message: text(words) })
    })
    t.match(await response.json(), { status: 'ok' })
  }

  t.match(await lactea('group', 'add', 'Friends', '--owner', '10001', '--members', '10002'), {
    code: 0,
    stdout: 'group 100001 (Friends) with 2 members\n'
  })
  await say('welcome')
  t.match(await alice.next(), { payload: { message: { content: 'welcome' }, chat: { title: 'Friends' } } })
  t.match(await lactea('group', 'join', '100001', '10003'), { code: 0, stdout: 'in group 100001 now: 10003\n' })
  await say('welcome, Carol')
  t.match(await carol.next(), { payload: { message: { content: 'welcome, Carol' } } })
  t.equal((await lactea('group', 'list')).stdout, '100001  Friends  owner 10001  3 members\n')
})

void t.test('what cannot be done is said in a sentence, with exit code 1', async (t) => {
  const { lactea, lacteaWith } = atDirectory(t)
  await lactea('bot', 'add')
  await lactea('user', 'add', 'alice')
  const rows: [string[], RegExp, string?][] = [
    [['bot', 'token', '10099'], /^there is no bot 10099$/],
    [['bot', 'token', '10002'], /^there is no bot 10002$/],
    [['bot', 'token', 'echo'], /expected an id/],
    [['bot', 'add', '--id', '10001'], /10001/],
    [['bot', 'add', '--id', '77'], /expected an id, a number from 10001/],
    [['bot', 'ad'], /unknown command 'ad'[^]*Did you mean add/],
    [['bto', 'add'], /unknown command 'bto'[^]*Did you mean bot/],
    [['bot', 'add', '--nickame', 'x'], /unknown option '--nickame'[^]*Did you mean --nickname/],
    [['user', 'add'], /missing required argument 'username'/],
    [['user', 'add', 'alice'], /the username "alice" is taken/],
    [['user', 'add', 'bob', '--password-stdin'], /a password has at least 6 characters/, 'short'],
    [['user', 'password', 'nobody'], /^there is no user nobody$/],
    [['user', 'admin', 'alice', 'yes'], /expected on or off/],
    [['user', 'invite', '--days', '0'], /expected a number from 1 to 365/],
    [['user', 'invite', '--days', 'many'], /expected a number from 1 to 365/],
    [['user', 'admin', 'nobody', 'on'], /^there is no user nobody$/],
    [['user', 'remove', '10001'], /^there is no user 10001$/],
    [['group', 'add', 'G'], /required option '--owner <id>'/],
    [['group', 'add', 'G', '--owner', '10099'], /account 10099 does not exist/],
    [['group', 'add', 'G', '--owner', '10001', '--members', '10002,x'], /expected an id/],
    [['group', 'join', '100009', '10002'], /100009/],
    [['start', '--prot', '1'], /unknown option '--prot'[^]*Did you mean --port/],
    [['start', 'now'], /too many arguments/]
  ]
  for (const [args, says, input = ''] of rows) {
    const { code, stdout, stderr } = await lacteaWith(input, ...args)
    t.strictSame([code, stdout], [1, ''], args.join(' '))
    t.match(stderr.trim(), says, args.join(' '))
    t.notMatch(stderr, /^ +at /m, 'no stack')
  }
  t.equal((await lactea('user', 'list')).stdout.split('\n').length, 2, 'nothing was made by the way')
})

async function openPerson(t: Test, service: Service, username: string, password: string): Promise<TestSocket> {
  const socket = await openSocket(t, `${service.ws}/ws?token=${await signIn(service, username, password)}`)
  t.match(await socket.next(), { type: 'connect' })
  return socket
}

/** How the socket was closed; fails when that takes longer than promised. */
async function closedWithin({ closed }: TestSocket, ms: number): Promise<{ code: number; reason: string }> {
  const startedAt = performance.now()
  const how = await closed
  const took = performance.now() - startedAt
  if (took > ms) throw new Error(`the socket was closed after ${took} ms, promised are ${ms}`)
  return how
}

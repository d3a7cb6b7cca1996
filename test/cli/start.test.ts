import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text as readAll } from 'node:stream/consumers'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { text, world } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { runLactea, startService } from '../helpers/service.ts'
import { openSocket } from '../helpers/socket.ts'
import { startWebhook } from '../helpers/webhook.ts'

const runFile = promisify(execFile)

void t.test('the first start', async (t) => {
  t.test('without any configuration prints what to try, and that works', async (t) => {
    const cwd = makeDirectory(t)
    const first = await startService(t, cwd)
    t.match(first.url, /^http:\/\/127\.0\.0\.1:\d+$/)
    for (const path of ['/chat', '/console']) {
      t.ok(first.printed.includes(`${first.url}${path}`), path)
      t.equal((await fetch(`${first.url}${path}`)).status, 200, path)
    }
    t.match(first.printed, /[A-Z2-9]{4}-[A-Z2-9]{4}/, 'a set-up code')
    const line = /^ *(curl .+)$/m.exec(first.printed)?.[1] ?? ''
    const { stdout } = await runFile('bash', ['-c', line])
    t.match(JSON.parse(stdout), { status: 'ok', retcode: 0, data: { uin: 10001 } })

    const token = /Bearer ([\w-]{43})/.exec(line)?.[1] ?? ''
    t.strictSame(await first.kill('SIGTERM'), { code: 0, signal: null })
    const second = await startService(t, cwd)
    t.notMatch(second.printed, /curl|token|Set-up/)
    t.notOk(second.printed.includes(token))
    const again = await fetch(`${second.url}/get_login_info`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{}'
    })
    t.equal(again.status, 200, 'the token of the first start still works')
    t.notOk(`${first.log()}${second.log()}`.includes(token), 'no token in the log')
  })

  t.test('keeps its files for their owner alone', async (t) => {
    const cwd = makeDirectory(t)
    await startService(t, cwd)
    const data = join(cwd, 'data')
    t.equal(statSync(data).mode & 0o777, 0o700)
    const names = readdirSync(data)
    t.ok(names.includes('lactea.db') && names.includes('jwt.secret') && names.includes('lactea.lock'))
    for (const name of names) t.equal(statSync(join(data, name)).mode & 0o077, 0, name)
  })

  t.test('that could not listen shows its secrets the next time', async (t) => {
    const cwd = makeDirectory(t)
    const { port } = await occupyPort(t)
    t.equal((await runLactea(['start', '--port', String(port)], { cwd })).code, 1)
    const next = await startService(t, cwd)
    const { stdout } = await runFile('bash', ['-c', /^ *(curl .+)$/m.exec(next.printed)?.[1] ?? ''])
    t.match(JSON.parse(stdout), { status: 'ok', data: { uin: 10001 } })
  })

  t.test('makes no bot when the configuration names one', async (t) => {
    const cwd = makeDirectory(t, { bots: [{ id: 10005, access_token: 'token-five' }] })
    const { printed } = await startService(t, cwd)
    t.notMatch(printed, /curl|10001/)
    t.match((await runLactea(['bot', 'list'], { cwd })).stdout, /^10005/)
  })
})

void t.test('a start that cannot be is refused with one sentence', async (t) => {
  async function refuses(t: Test, args: readonly string[], cwd: string, says: RegExp): Promise<void> {
    const { code, stdout, stderr } = await runLactea(['start', ...args], { cwd })
    t.strictSame([code, stdout], [1, ''])
    t.match(stderr, says)
    t.equal(stderr.trim().split('\n').length, 1, 'one line, no stack')
  }

  t.test('a port that is in use', async (t) => {
    const { port } = await occupyPort(t)
    await refuses(t, ['--port', String(port)], makeDirectory(t), /is in use by another program.+--port/)
  })

  t.test('an address of another machine', async (t) => {
    const address = ['--port', '0', '--host', '192.0.2.1']
    await refuses(t, address, makeDirectory(t), /192\.0\.2\.1.+is no address of this machine.+--host/)
  })

  t.test('a public address while a bot has no token', async (t) => {
    const cwd = makeDirectory(t, { bots: [{ id: 10001 }] })
    await refuses(t, ['--port', '0', '--host', '0.0.0.0'], cwd, /bot 10001 has no access token.+lactea bot token 10001/)
    await runLactea(['bot', 'token', '10001'], { cwd })
    t.match((await startService(t, cwd, ['--host', '0.0.0.0'])).printed, /Lactea listens/)
  })

  t.test('a data directory on which another gateway runs', async (t) => {
    const cwd = makeDirectory(t)
    const first = await startService(t, cwd)
    await refuses(t, ['--port', '0'], cwd, /another gateway is running on the data directory .+--data-dir/)
    await first.kill('SIGKILL')
    t.match((await startService(t, cwd)).printed, /Lactea listens/, 'a killed gateway leaves no lock')
  })

  t.test('a configuration with mistakes', async (t) => {
    const cwd = makeDirectory(t, { server: { prot: 3000 } })
    await refuses(t, [], cwd, /^lactea\.yaml:2: .*prot.+port/)
  })

  const strangers: [string, object, RegExp][] = [
    ['friends', { friends: [[10011, 10099]] }, /provision\.friends names account 10099, which does not exist/],
    ['a group', { groups: [{ id: 100001, name: 'G', owner: 10011, members: [10098] }] }, /group 100001.+account 10098/]
  ]
  for (const [what, provision, says] of strangers)
    t.test(`provisioning of ${what} that names an unknown account`, async (t) => {
      const accounts = [{ id: 10011, kind: 'person', username: 'alice' }]
      await refuses(t, ['--port', '0'], makeDirectory(t, { provision: { accounts, ...provision } }), says)
    })

  t.test('provisioning that contradicts the database', async (t) => {
    const cwd = makeDirectory(t, { bots: [{ id: 10011, access_token: 'token' }] })
    await runLactea(['user', 'add', 'alice', '--id', '10011'], { cwd })
    await refuses(t, ['--port', '0'], cwd, /account 10011 as a bot, but in the database it is a person/)
  })
})

void t.test('provisioning twice changes nothing', async (t) => {
  const cwd = makeDirectory(t, world)
  const dump = (): unknown => {
    const db = new DatabaseSync(join(cwd, 'data', 'lactea.db'), { readOnly: true })
    const tables = ['accounts', 'friendships', 'chats', 'members', 'stays', 'events', 'messages', 'tokens']
    const rows = tables.map((table) => db.prepare(`select * from ${table}`).all())
    db.close()
    return rows
  }
  await (await startService(t, cwd)).kill('SIGTERM')
  const before = dump()
  await (await startService(t, cwd)).kill('SIGTERM')
  t.strictSame(dump(), before)
})

void t.test('SIGHUP ends nothing', async (t) => {
  const service = await startService(t, makeDirectory(t, world))
  void service.kill('SIGHUP')
  while (!service.log().includes('nothing to apply')) await fetch(`${service.url}/health`)
  t.equal((await fetch(`${service.url}/health`)).status, 200)
})

void t.test('SIGTERM', async (t) => {
  t.test('answers what is under way, says goodbye to sockets, and exits 0 in time', async (t) => {
    const hook = await startWebhook(t)
    hook.answer(() => {})
    const [one, two] = world.bots
    const cwd = makeDirectory(t, { ...world, bots: [one, { ...two, webhooks: [{ url: hook.url, timeout: '60s' }] }] })
    const service = await startService(t, cwd)
    const bot = await openSocket(t, `${service.ws}/?access_token=token-one`)
    const person = await openSocket(t, `${service.ws}/ws?token=${await signIn(service.url)}`)
    await person.next()
    person.send({ type: 'message.send', payload: { chat_id: 100001, content: 'to a webhook that never answers' } })
    await Promise.all([hook.next(), bot.next(), person.next()])

    const body = JSON.stringify({ group_id: 100001, message: text('under way') })
    const call = await beginCall(`${service.url}/send_group_message`, body)
    const startedAt = performance.now()
    const exited = service.kill('SIGTERM')
    t.match(await bot.closed, { code: 1001 })
    t.match(await person.next(), { type: 'disconnect', payload: { reason: 'server_shutdown' } })
    t.match(await person.closed, { code: 1001 })
    await t.rejects(fetch(`${service.url}/health`), 'nobody new is let in')
    t.match(await call.finish(), { status: 200, body: { status: 'ok', data: { message_id: 'Group:100001:2' } } })
    t.strictSame(await exited, { code: 0, signal: null })
    t.ok(performance.now() - startedAt < 10_000, 'before a container would be killed')

    hook.answer(204)
    await startService(t, cwd)
    const told = [await hook.next(), await hook.next()].map(({ body: event }) => event.data.message_id)
    t.strictSame(told, ['Group:100001:1', 'Group:100001:2'], 'what the webhook has not taken is told after the restart')
  })

  t.test('a second one ends it at once', async (t) => {
    const service = await startService(t, makeDirectory(t, world))
    const bot = await openSocket(t, `${service.ws}/?access_token=token-one`)
    const call = await beginCall(`${service.url}/get_login_info`, '{"never":"finished"}')
    void service.kill('SIGTERM')
    await bot.closed
    const startedAt = performance.now()
    const { code } = await service.kill('SIGTERM')
    t.not(code, 0)
    t.ok(performance.now() - startedAt < 5000)
    await t.rejects(call.finish())
  })
})

async function occupyPort(t: Test): Promise<{ port: number }> {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port }
}

async function signIn(url: string): Promise<string> {
  const response = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'alice', password: 'alice-secret' })
  })
  return ((await response.json()) as { token: string }).token
}

/** A call as bot 10001 whose body is held back but for its first byte, so that it stays under way. */
async function beginCall(url: string, body: string) {
  const headers = {
    authorization: 'Bearer token-one',
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    expect: '100-continue'
  }
  const call = request(url, { method: 'POST', headers })
  const answered = once(call, 'response')
  answered.catch(() => {})
  call.flushHeaders()
  // The server has read the headers and waits for more.
  await once(call, 'continue')
  call.write(body.slice(0, 1))

  return {
    async finish(): Promise<{ status: number | undefined; body: unknown }> {
      call.end(body.slice(1))
      const [response] = await answered
      return { status: response.statusCode, body: JSON.parse(await readAll(response)) }
    }
  }
}

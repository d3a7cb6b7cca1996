import { hash } from 'node:crypto'
import t from 'tap'
import { startApp } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { addTarget, alice, bob, signedHeaders, startOperated } from '../helpers/operator.ts'
import { ask, logIn, ROOMY, TIMESTAMP } from '../helpers/person.ts'
import { runLactea } from '../helpers/service.ts'
import { openSocket } from '../helpers/socket.ts'
import { tokenOf, SECRET } from '../helpers/people.ts'

void t.test('who comes in', async (t) => {
  t.test('an admin, and a script with a token of an operator; nobody else', async (t) => {
    const { app, get, stranger } = await startOperated(t)
    const { code, stdout } = await runLactea(['operator', 'token', 'deploy'], { cwd: app.dir })
    t.equal(code, 0)
    const token = /: ([\w-]{43})$/m.exec(stdout)?.[1] ?? ''
    t.match(await get('overview'), { status: 200, body: { success: true, bots: 2, users: 2 } })
    t.match(await get('overview', token), { status: 200 })
    t.match(await get('overview', stranger), { status: 403, body: { code: 'FORBIDDEN' } })
    t.match(await get('overview', 'nonsense'), { status: 401, body: { code: 'UNAUTHORIZED' } })
    t.match(await get('overview', 'token-one'), { status: 401 }, 'the token of a bot')
    t.match(await ask(app, 'GET', '/api/admin/overview'), { status: 401 })
    t.match(await ask(app, 'GET', `/api/admin/overview?token=${token}`), { status: 401 })
  })

  t.test('not with a token that another server has issued under the same secret', async (t) => {
    const { get } = await startOperated(t, { config: { im: { jwt_secret: SECRET } } })
    t.match(await get('overview', await tokenOf(alice)), { status: 403 })
  })

  t.test(
    'until the token is revoked or the right is taken, on the command line: the next request counts',
    async (t) => {
      const { app, get } = await startOperated(t)
      const made = await runLactea(['operator', 'token', 'deploy'], { cwd: app.dir })
      const token = /: ([\w-]{43})$/m.exec(made.stdout)?.[1] ?? ''
      t.equal((await get('overview', token)).status, 200)
      t.match(await runLactea(['operator', 'revoke', '1'], { cwd: app.dir }), { code: 0 })
      t.equal((await get('overview', token)).status, 401)
      t.match(await runLactea(['user', 'admin', 'alice', 'off'], { cwd: app.dir }), { code: 0 })
      t.equal((await get('overview')).status, 403)
    }
  )

  t.test('no page of another origin, whatever token it has', async (t) => {
    const { app, token } = await startOperated(t, { config: { server: { allowed_origins: ['https://ops.example'] } } })
    const from = (origin: string) => ask(app, 'GET', '/api/admin/overview', { token, headers: { origin } })
    t.match(await from('https://evil.example'), { status: 403, body: { success: false } })
    t.equal((await from('null')).status, 403)
    for (const origin of [app.url, 'https://ops.example']) t.equal((await from(origin)).status, 200, origin)
  })
})

void t.test('POST /api/admin/setup', async (t) => {
  const order = { username: 'root', password: 'root-secret' }

  t.test('makes the first admin with the code of the first start, once', async (t) => {
    const app = await startApp(t, { config: { bots: [], provision: {}, ...ROOMY } })
    const { setupCode } = app.lactea.welcome ?? { setupCode: '' }
    const setUp = (body: object) => ask(app, 'POST', '/api/admin/setup', { body })
    t.match(await setUp({ ...order, setup_code: 'AAAA-BBBB' }), {
      status: 403,
      body: { details: { field: 'setup_code' } }
    })
    t.match(await setUp({ ...order, setup_code: setupCode, password: 'short' }), { status: 400 })
    t.match(await setUp({ setup_code: setupCode }), { status: 400, body: { details: { field: 'username' } } })
    const [first, second] = await Promise.all([
      setUp({ ...order, setup_code: ` ${setupCode.toLowerCase()} ` }),
      setUp({ ...order, username: 'eve', setup_code: setupCode })
    ])
    t.strictSame(
      [first.status, second.status].toSorted((a, b) => a - b),
      [201, 403]
    )
    const { body } = first.status === 201 ? first : second
    t.match(await ask(app, 'GET', '/api/admin/overview', { token: body.token }), { status: 200, body: { users: 1 } })
    const audit = await ask(app, 'GET', '/api/admin/audit', { token: body.token })
    t.match(audit.body.entries, [{ operator: `user ${body.user.id}`, action: 'console.setup', ip: '127.0.0.1' }])
  })

  t.test('lets the code be guessed at as slowly as passwords', async (t) => {
    const app = await startApp(t, { config: { bots: [], provision: {} }, isTimeStopped: true })
    const guess = () => ask(app, 'POST', '/api/admin/setup', { body: { ...order, setup_code: 'AAAA-BBBB' } })
    for (let count = 0; count < 5; count++) t.equal((await guess()).status, 403)
    t.equal((await guess()).status, 429)
    t.equal((await logIn(app, { username: 'root', password: 'x' })).status, 429, 'all count together')
  })

  t.test('takes a new code from the command line', async (t) => {
    const { app } = await startOperated(t)
    const { stdout } = await runLactea(['operator', 'setup-code'], { cwd: app.dir })
    const [code = ''] = /[A-Z2-9]{4}-[A-Z2-9]{4}/.exec(stdout) ?? []
    const body = { ...order, setup_code: code }
    t.equal((await ask(app, 'POST', '/api/admin/setup', { body: { ...body, username: 'alice' } })).status, 400, 'taken')
    t.equal((await ask(app, 'POST', '/api/admin/setup', { body })).status, 201)
  })
})

void t.test('webhooks', async (t) => {
  t.test('are listed, paused and resumed, one or all', async (t) => {
    const operated = await startOperated(t)
    const { get, post } = operated
    const [one, two] = [await addTarget(operated), await addTarget(operated, '10002-000000000002')]
    const listed = await get('webhooks')
    t.match(listed.body.webhooks, [
      { id: one, bot_id: 10001, url: 'http://127.0.0.1:1/hook', state: 'active', waiting: 0, dead: 0 },
      { id: two }
    ])
    t.match(await post(`webhooks/${one}/pause`, { reason: 'repairs' }), {
      status: 200,
      body: { webhook: { state: 'paused', reason: 'repairs', state_since: TIMESTAMP } }
    })
    t.match((await get('overview')).body.webhooks, { active: 1, paused: 1, disabled: 0 })
    t.match(await post('webhooks/pause'), { status: 200, body: { changed: 1 } })
    t.match(await post('webhooks/resume'), { status: 200, body: { changed: 2 } })
    t.match(await get(`webhooks/${one}`), { status: 200, body: { webhook: { state: 'active', reason: '' } } })
    t.match(await get('webhooks/nothing'), { status: 404, body: { details: { field: 'id' } } })
    t.match(await post('webhooks/nothing/pause'), { status: 404 })
  })

  t.test('replay wants exactly one choice', async (t) => {
    const operated = await startOperated(t)
    const id = await addTarget(operated)
    for (const body of [
      {},
      { dead: true, events: [1] },
      { from: 3 },
      { from: 3, to: 2 },
      { dead: false },
      { events: [] }
    ])
      t.equal((await operated.post(`webhooks/${id}/replay`, body)).status, 400, JSON.stringify(body))
    t.match(await operated.post(`webhooks/${id}/replay`, { dead: true }), { status: 200, body: { due: 0 } })
    t.match(await operated.post('webhooks/replay', { dead: true }), { status: 200, body: { due: 0 } })
    t.equal((await operated.get(`webhooks/${id}/deliveries?state=lost`)).status, 400)
    for (const path of ['deliveries', 'deliveries?state=waiting&limit=5', 'attempts?event=7'])
      t.equal((await operated.get(`webhooks/${id}/${path}`)).status, 200, path)
  })
})

void t.test('bots and people', async (t) => {
  t.test('a bot gets a new token, which voids the one before and closes its sockets', async (t) => {
    const { app, get, post } = await startOperated(t)
    const { accounts } = app.lactea.gateway
    const bot = await accounts.add({ kind: 'bot', nickname: 'Three' })
    await accounts.setToken(bot.id, 'before')
    const socket = await openSocket(t, `${app.ws}/?access_token=before`)
    const { body } = await get('bots')
    t.match(body.bots, [
      { id: 10001, is_configured: true, has_token: true, online: false },
      { id: 10002 },
      { id: bot.id, is_configured: false, on: true }
    ])
    const made = await post(`bots/${bot.id}/token`)
    t.match(made, { status: 200, body: { access_token: /^[\w-]{43}$/ } })
    t.match(await socket.closed, { code: 1008 })
    t.match(await app.call(made.body.access_token, 'get_login_info'), { data: { uin: bot.id } })
    t.match(await app.call('before', 'get_login_info'), { http: 403 })
    t.match(await post('bots/10001/token'), { status: 400, body: { error: /configuration/ } })
    t.match(await post(`bots/${bot.id}/remove`), { status: 200, body: { bot: { on: false } } })
    t.match(await app.call(made.body.access_token, 'get_login_info'), { http: 403 })
    t.equal((await post(`bots/${alice}/token`)).status, 404, 'a person is no bot')
  })

  t.test('people are signed out, made admins, given passwords and switched off', async (t) => {
    const { app, get, post, stranger } = await startOperated(t)
    const socket = await openSocket(t, `${app.ws}/ws?token=${stranger}`)
    await socket.next()
    t.match((await get('users?limit=1&page=2')).body, {
      users: [{ id: bob, username: 'bob', admin: false, on: true, sockets: 1 }],
      pagination: { total: 2 }
    })
    t.match(await get('sessions'), { body: { sessions: 2, sockets: 1 } })
    t.equal((await post(`users/${bob}/sign-out`)).status, 200)
    t.match(await socket.closed, { code: 1000 })
    t.equal((await get('overview', stranger)).status, 401)
    t.match(await post(`users/${bob}/admin`, { admin: true }), { body: { user: { admin: true } } })
    const { body } = await post(`users/${bob}/password`)
    const token = await app.signIn('bob', body.password)
    t.equal((await get('overview', token)).status, 200)
    t.strictSame((await post(`users/${bob}/password`, { password: 'chosen-secret' })).body.data, {})
    t.equal((await get('overview', token)).status, 401, 'a new password ends sessions')
    const again = await app.signIn('bob', 'chosen-secret')
    t.match(await post(`users/${bob}/remove`), { body: { user: { on: false } } })
    t.equal((await get('overview', again)).status, 401)
    t.equal((await post(`users/${bob}/admin`, { admin: 'yes' })).status, 400)
    t.equal((await post('users/10001/sign-out')).status, 404, 'a bot is no user')
  })
})

void t.test('the audit says who did what on what, from where, and never a secret', async (t) => {
  const operated = await startOperated(t)
  const { app, get, post } = operated
  const id = await addTarget(operated)
  await post(`webhooks/${id}/pause`, { reason: 'repairs' })
  const { body: given } = await post(`users/${bob}/password`)
  await post(`users/${bob}/password`, { password: 'chosen-secret' })
  await post('webhooks/nothing/pause')
  await ask(app, 'POST', '/api/admin/notifications', {
    token: operated.token,
    body: { title: 'Maintenance', message: 'at noon' }
  })
  const { body } = await get('audit?limit=10')
  t.match(body.entries, [
    { action: 'notify', subject: 'Maintenance' },
    { action: 'webhook.pause', subject: 'nothing', details: { error: /no webhook/ } },
    { action: 'user.password', subject: String(bob), details: { made_here: false } },
    { action: 'user.password', subject: String(bob), details: { made_here: true } },
    {
      id: 1,
      action: 'webhook.pause',
      subject: id,
      operator: `user ${alice}`,
      ip: '127.0.0.1',
      time: TIMESTAMP,
      details: { reason: 'repairs' }
    }
  ])
  t.match((await get('audit?before=3&limit=1')).body.entries, [{ id: 2 }])
  const all = JSON.stringify(body)
  for (const secret of [given.password, 'chosen-secret']) t.notOk(all.includes(secret))
})

void t.test('Idempotency-Key', async (t) => {
  t.test('gives the first answer again, also when both come at once', async (t) => {
    const { post, get } = await startOperated(t)
    const again = { 'idempotency-key': 'one' }
    const both = await Promise.all([1, 2].map(() => post(`users/${bob}/password`, {}, again)))
    t.equal(both[0]?.body.password, both[1]?.body.password)
    t.strictSame((await post(`users/${bob}/password`, {}, again)).body, both[0]?.body)
    t.equal((await get('audit')).body.entries.length, 1)
    t.not((await post(`users/${bob}/password`)).body.password, both[0]?.body.password)
  })

  t.test('is for one call, and one caller', async (t) => {
    const { app, post } = await startOperated(t)
    const again = { 'idempotency-key': 'one' }
    await post(`users/${bob}/admin`, { admin: true }, again)
    t.match(await post(`users/${bob}/admin`, { admin: false }, again), { status: 400, body: { error: /another call/ } })
    t.equal((await post(`users/${bob}/password`, {}, again)).status, 400)
    const token = await app.signIn('bob', 'bob-secret')
    const body = { admin: false }
    const headers = again
    t.equal((await ask(app, 'POST', `/api/admin/users/${alice}/admin`, { token, body, headers })).status, 200)
    t.equal((await post('webhooks/pause', {}, { 'idempotency-key': '\u00e4' })).status, 403, 'no admin any more')
  })

  t.test('of a call that was refused may be used again', async (t) => {
    const operated = await startOperated(t)
    const again = { 'idempotency-key': 'one' }
    t.equal((await operated.post('webhooks/10001-000000000001/pause', {}, again)).status, 404)
    await addTarget(operated)
    t.equal((await operated.post('webhooks/10001-000000000001/pause', {}, again)).status, 200)
    t.equal((await operated.post('webhooks/pause', {}, { 'idempotency-key': '' })).status, 400)
  })

  t.test('outlives the gateway, and a call that was cut short is not done again', async (t) => {
    const dir = makeDirectory(t)
    const first = await startOperated(t, { dir })
    const again = { 'idempotency-key': 'one' }
    const { body } = await first.post(`users/${bob}/password`, {}, again)
    const { store, now } = first.app.lactea.gateway
    const digest = hash('sha256', `POST /api/admin/users/${bob}/password\n{}`, 'buffer')
    await store.beginOnce({ operator: `user ${alice}`, key: 'key cut', digest, time: now() })
    await first.app.lactea.app.close()
    const app = await startApp(t, { dir, config: ROOMY })
    const token = await app.signIn('alice', 'alice-secret')
    const call = (key: string) =>
      ask(app, 'POST', `/api/admin/users/${bob}/password`, { token, body: {}, headers: { 'idempotency-key': key } })
    t.strictSame((await call('one')).body, body)
    t.match(await call('cut'), { status: 400, body: { error: /cut short/ } })
  })
})

void t.test('signed requests', async (t) => {
  const signer = async (t: Parameters<typeof startOperated>[0]) => {
    const operated = await startOperated(t)
    const { stdout } = await runLactea(['operator', 'key', 'cron'], { cwd: operated.app.dir })
    const [, keyId, key = ''] = /key (\d+) [^]*(whsec_\S+)/.exec(stdout) ?? []
    return { ...operated, order: { key, keyId: Number(keyId) } }
  }
  const now = (): number => Math.floor(Date.now() / 1000)

  t.test('are believed without a token, and count once', async (t) => {
    const { app, order } = await signer(t)
    const body = '{ "password" : "chosen-secret" }'
    const path = `/api/admin/users/${bob}/password`
    const headers = signedHeaders({ ...order, id: 'evt_1', time: now(), body })
    t.match(await ask(app, 'POST', path, { body, headers }), { status: 200 })
    await app.lactea.gateway.accounts.setPassword(bob, 'another-secret')
    t.match(await ask(app, 'POST', path, { body, headers }), { status: 200 }, 'the first answer')
    t.ok(await app.signIn('bob', 'another-secret'), 'and no second effect')
    const looked = signedHeaders({ ...order, id: 'evt_2', time: now(), body: '' })
    const audit = await ask(app, 'GET', '/api/admin/audit', { headers: looked })
    t.match(audit.body.entries[0], { operator: `key ${order.keyId} (cron)`, action: 'user.password' })
  })

  t.test('are refused with another body, time, key or none', async (t) => {
    const { app, order } = await signer(t)
    const body = '{"admin":true}'
    const path = `/api/admin/users/${bob}/admin`
    const good = { ...order, id: 'evt_1', time: now(), body }
    const tries: [string, Record<string, string>, string?][] = [
      ['another body', signedHeaders({ ...good, body: '{"admin":false}' })],
      ['the same body, written anew', signedHeaders(good), '{ "admin": true }'],
      ['an old time', signedHeaders({ ...good, time: good.time - 310 })],
      ['a time to come', signedHeaders({ ...good, time: good.time + 310 })],
      ['another id', { ...signedHeaders(good), 'webhook-id': 'evt_2' }],
      ['an unknown key', signedHeaders({ ...good, keyId: 99 })],
      ['no number', { ...signedHeaders(good), 'operator-key': 'cron' }],
      ['another key', signedHeaders({ ...good, key: `whsec_${Buffer.alloc(32).toString('base64')}` })]
    ]
    for (const [what, headers, sent = body] of tries)
      t.match(await ask(app, 'POST', path, { body: sent, headers }), { status: 401, body: { success: false } }, what)
    t.equal((await app.lactea.gateway.store.findAccount(bob))?.isAdmin, false)
  })
})

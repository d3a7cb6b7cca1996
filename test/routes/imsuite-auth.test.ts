import { randomUUID } from 'node:crypto'
import { SignJWT, UnsecuredJWT } from 'jose'
import t, { type Test } from 'tap'
import { startApp, type Running } from '../helpers/app.ts'
import { ask, logIn, ROOMY, TIMESTAMP, tokensOf, type Answer } from '../helpers/person.ts'
import { openSocket } from '../helpers/socket.ts'

/** The secret and the token of the contract's test vector (1.2): user 1, valid until 2100. */
const SECRET = 'test_secret_key_at_least_32_characters_long'
const VECTOR =
  'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyX2lkIjoxLCJwaG9uZSI6IjEzODAwMTM4MDAwIiwidXNlcm5hbWUiOiJ0ZXN0dXNlciIsImlzcyI6InpoaWhhbmctbWVzc2VuZ2VyIiwic3ViIjoiMSIsImV4cCI6NDEwMjQ0NDgwMCwibmJmIjoxNzU5Nzk1MjAwLCJpYXQiOjE3NTk3OTUyMDB9.BKfFttCYP8JY0-fqngp_2rlb1mGb8-GQU3NjxPEjiKc'

void t.test('POST /api/auth/register', async (t) => {
  t.test('makes an account and signs it in, in the shapes of all clients', async (t) => {
    const app = await startApp(t, { config: ROOMY })
    const { status, body } = await ask(app, 'POST', '/api/auth/register', {
      body: { phone: '+8613800000000', password: 'secret1', nickname: 'Li' }
    })
    t.equal(status, 201)
    t.match(body, {
      success: true,
      expires_in: 86_400,
      user: {
        id: 10012,
        phone: '+8613800000000',
        username: 'user_+8613800000000',
        nickname: 'Li',
        avatar: '',
        avatar_url: '',
        online: true,
        is_online: true,
        last_seen: TIMESTAMP,
        created_at: TIMESTAMP
      }
    })
    const { data, success: _success, ...flat } = body
    t.strictSame(data, flat)
    t.equal(body.access_token, body.token)
    t.match(await ask(app, 'GET', '/api/users/me', { token: body.token }), { status: 200, body: { id: 10012 } })
    t.equal((await logIn(app, { phone: '+8613800000000', password: 'secret1' })).status, 200)
  })

  t.test('takes a username of letters of any script', async (t) => {
    const app = await startApp(t, { config: ROOMY })
    for (const username of ['bob', '小明', 'Jörg_1.x-y']) {
      const answer = await ask(app, 'POST', '/api/auth/register', { body: { username, password: 'secret1' } })
      t.match(answer, { status: 201, body: { user: { username, nickname: username, phone: '' } } })
    }
  })

  const refused: [string, object, string][] = [
    ['a password of five characters', { username: 'bob', password: 'short' }, 'password'],
    ['a missing password', { username: 'bob' }, 'password'],
    ['neither phone nor username', { password: 'secret1' }, 'phone'],
    ['a phone number with letters', { phone: '12ab34', password: 'secret1' }, 'phone'],
    ['a username with a space', { username: 'bob b', password: 'secret1' }, 'username'],
    ['a nickname of 65 characters', { username: 'bob', password: 'secret1', nickname: 'n'.repeat(65) }, 'nickname'],
    ['a taken username', { username: 'alice', password: 'secret1' }, 'username']
  ]
  t.test('refuses with 400 and names the field', async (t) => {
    const app = await startApp(t, { config: ROOMY })
    for (const [label, body, field] of refused) {
      const answer = await ask(app, 'POST', '/api/auth/register', { body })
      t.match(answer, { status: 400, body: { success: false, error: String } }, label)
      t.equal(answer.body.details.field, field, label)
    }
  })

  t.test('is closed when the configuration says so', async (t) => {
    const app = await startApp(t, { config: { im: { registration: 'closed' } } })
    const answer = await ask(app, 'POST', '/api/auth/register', { body: { username: 'bob', password: 'secret1' } })
    t.match(answer, { status: 403, body: { success: false, code: 'FORBIDDEN' } })
    t.equal((await logIn(app, { username: 'bob', password: 'secret1' })).status, 401)
  })
})

void t.test('POST /api/auth/register with invitations', async (t) => {
  const config = { ...ROOMY, im: { registration: 'invite' } }
  const join = (app: Running, username: string, more: object = {}): Promise<Answer> =>
    ask(app, 'POST', '/api/auth/register', { body: { username, password: 'secret1', ...more } })

  t.test('makes one account for each, under either name of the field', async (t) => {
    const app = await startApp(t, { config })
    const { accounts } = app.lactea.gateway
    for (const code of ['code-one', 'code-two']) await accounts.invite(code, 3600)
    t.match(await join(app, 'bob', { invite: 'code-one' }), { status: 201, body: { user: { username: 'bob' } } })
    t.equal((await join(app, 'carol', { invite_code: 'code-two' })).status, 201)
    t.equal((await logIn(app, { username: 'bob', password: 'secret1' })).status, 200)
    for (const invite of ['code-one', 'code-two']) t.equal((await join(app, 'dave', { invite })).status, 403)
  })

  t.test('makes one account when two come with one at once', async (t) => {
    const app = await startApp(t, { config })
    await app.lactea.gateway.accounts.invite('code-one', 3600)
    const names = ['bob', 'carol', 'dave', 'erin']
    const answers = await Promise.all(names.map((name) => join(app, name, { invite: 'code-one' })))
    t.strictSame(answers.map(({ status }) => String(status)).toSorted(), ['201', '403', '403', '403'])
    t.equal((await app.lactea.gateway.store.listAccounts('person')).length, 2)
  })

  t.test('refuses who has none that counts, and says so', async (t) => {
    const app = await startApp(t, { config })
    await app.lactea.gateway.accounts.invite('too-old', 0)
    const refusal = { success: false, code: 'FORBIDDEN', details: { field: 'invite' } }
    for (const more of [{}, { invite: '' }, { invite: null }])
      t.match(await join(app, 'bob', more), { status: 403, body: { ...refusal, error: /wants an invitation/ } })
    for (const invite of ['made up', 'too-old'])
      t.match(await join(app, 'bob', { invite }), { status: 403, body: { ...refusal, error: /unknown, was used/ } })
    t.match(await join(app, 'b', { invite: 'made up' }), { status: 400, body: { details: { field: 'username' } } })
  })

  t.test('is kept for later by a taken name, and by a server that wants none', async (t) => {
    const app = await startApp(t, { config })
    await app.lactea.gateway.accounts.invite('code-one', 3600)
    t.equal((await join(app, 'alice', { invite: 'code-one' })).status, 400)
    t.equal((await join(app, 'bob', { invite: 'code-one' })).status, 201)

    const open = await startApp(t, { config: ROOMY })
    t.equal((await join(open, 'bob', { invite: 'made up' })).status, 201)
  })
})

void t.test('POST /api/auth/login', async (t) => {
  const person = { id: 10011, kind: 'person', username: 'alice', phone: '+4912345', password: 'alice-secret' }
  const config = { ...ROOMY, provision: { accounts: [person] } }

  t.test('takes a username or a phone number, and the password in either field', async (t) => {
    const app = await startApp(t, { config })
    for (const who of [{ username: 'alice' }, { phone: '+4912345' }])
      for (const secret of [{ password: 'alice-secret' }, { code: 'alice-secret' }]) {
        const answer = await logIn(app, { ...who, ...secret })
        t.match(answer, { status: 200, body: { success: true, user: { id: 10011 }, data: { user: { id: 10011 } } } })
      }
  })

  t.test('answers a wrong password and an unknown name alike', async (t) => {
    const app = await startApp(t, { config })
    const wrong = await logIn(app, { username: 'alice', password: 'not hers' })
    t.strictSame(wrong.body, {
      success: false,
      error: '登录失败',
      code: 'AUTHENTICATION_FAILED',
      details: '用户名或密码错误'
    })
    t.equal(wrong.status, 401)
    const unknown = await logIn(app, { username: 'nobody', password: 'not hers' })
    t.strictSame([unknown.status, unknown.body], [401, wrong.body])
    t.equal((await logIn(app, { phone: 'alice', password: 'alice-secret' })).status, 401)
  })

  t.test('takes as long for an unknown name as for a wrong password', async (t) => {
    const app = await startApp(t, { config })
    const timeOf = async (username: string): Promise<number> => {
      const times: number[] = []
      for (let index = 0; index < 9; index++) {
        const start = performance.now()
        await logIn(app, { username, password: 'not hers' })
        times.push(performance.now() - start)
      }
      return times.toSorted((a, b) => a - b)[4] ?? 0
    }
    const [unknown, wrong] = [await timeOf('nobody'), await timeOf('alice')]
    // Without a password to check, the answer would come more than ten times as fast.
    t.ok(unknown > wrong / 4 && wrong > unknown / 4, `unknown ${unknown} ms, wrong ${wrong} ms`)
  })

  t.test('says what is missing', async (t) => {
    const app = await startApp(t, { config })
    const rows: [unknown, string | undefined][] = [
      [{ password: 'x' }, 'username'],
      [{ username: 'alice' }, 'password'],
      [{ username: 1, password: 'x' }, 'username'],
      ['[]', undefined],
      ['{"username":', undefined]
    ]
    for (const [body, field] of rows) {
      const answer = await ask(app, 'POST', '/api/auth/login', { body })
      t.match(answer, { status: 400, body: { success: false, code: 'VALIDATION_ERROR' } }, JSON.stringify(body))
      t.equal(answer.body.details.field, field)
    }
  })

  t.test('lets an address guess a few times a minute only, whatever it guesses at', async (t) => {
    const app = await startApp(t, { config: { ...config, limits: { login_rate: 4 } }, isTimeStopped: true })
    for (let index = 0; index < 3; index++)
      t.equal((await logIn(app, { username: `name${index}`, password: 'guess' })).status, 401)
    t.equal((await logIn(app, { username: 'alice', password: 'alice-secret' })).status, 200, 'and be right')
    t.equal((await ask(app, 'POST', '/api/auth/refresh', { body: { refresh_token: 'guess' } })).status, 401)
    const inEnglish = { 'accept-language': 'en' }
    const body = { username: 'alice', password: 'alice-secret' }
    const answer = await ask(app, 'POST', '/api/auth/login', { body, headers: inEnglish })
    t.match(answer, { status: 429, body: { success: false, code: 'RATE_LIMITED' } })
    t.match(answer.body, { error: 'too many requests, try again in 60 seconds', details: { retry_after_ms: 60_000 } })
    t.equal(answer.headers.get('retry-after'), '60')
    t.equal((await ask(app, 'POST', '/api/auth/refresh', { body: { refresh_token: 'guess' } })).status, 429)
  })

  t.test('lets a name be guessed at a few times only, known or not', async (t) => {
    const limits = { ...ROOMY.limits, login_failures: 3 }
    const app = await startApp(t, { config: { ...config, limits }, isTimeStopped: true })
    for (const who of [{ username: 'alice' }, { username: 'nobody' }]) {
      for (let count = 0; count < 3; count++) t.equal((await logIn(app, { ...who, password: 'guess' })).status, 401)
      t.match(await logIn(app, { ...who, password: 'alice-secret' }), { status: 429, body: { code: 'RATE_LIMITED' } })
    }
    t.equal((await logIn(app, { phone: '+4912345', password: 'alice-secret' })).status, 429, 'another of her names')
    t.equal((await logIn(app, { username: 'Alice', password: 'guess' })).status, 401, 'the name of somebody else')
  })

  t.test('is limited for those who are right, too, far above', async (t) => {
    const app = await startApp(t, { config: { ...config, limits: { sign_in_rate: 3 } }, isTimeStopped: true })
    const enter = (): Promise<Answer> => logIn(app, { username: 'alice', password: 'alice-secret' })
    for (let count = 0; count < 3; count++) t.equal((await enter()).status, 200)
    t.equal((await enter()).status, 429)
  })

  t.test('is no way in for an account that was switched off', async (t) => {
    const app = await startApp(t, { config })
    await app.lactea.gateway.accounts.remove(10011)
    t.equal((await logIn(app, { username: 'alice', password: 'alice-secret' })).status, 401)
  })
})

void t.test('POST /api/auth/refresh', async (t) => {
  t.test('changes a refresh token for new tokens, from the body or from the header', async (t) => {
    const app = await startApp(t, { config: ROOMY })
    const first = await tokensOf(app)
    const second = await ask(app, 'POST', '/api/auth/refresh', { body: { refresh_token: first.refresh_token } })
    t.match(second, {
      status: 200,
      body: { success: true, token: String, expires_in: 86_400, data: { token: String } }
    })
    t.not(second.body.refresh_token, first.refresh_token)
    const third = await ask(app, 'POST', '/api/auth/refresh', { token: second.body.refresh_token })
    t.equal(third.status, 200)
    t.equal((await ask(app, 'GET', '/api/users/me', { token: third.body.token })).status, 200)
  })

  t.test('ends the session and its sockets when a refresh token is used twice', async (t) => {
    const app = await startApp(t, { config: ROOMY })
    const first = await tokensOf(app)
    const other = await tokensOf(app)
    const socket = await openSocket(t, `${app.ws}/ws?token=${first.token}`)
    const untouched = await openSocket(t, `${app.ws}/ws?token=${other.token}`)
    await socket.next()
    await untouched.next()
    const body = { refresh_token: first.refresh_token }
    const second = await ask(app, 'POST', '/api/auth/refresh', { body })
    const again = await ask(app, 'POST', '/api/auth/refresh', { body })
    t.match(again, { status: 401, body: { success: false, error: '会话已结束' } })
    t.match(await socket.next(), { type: 'disconnect', payload: { reason: 'session_revoked' } })
    t.strictSame(await socket.closed, { code: 1000, reason: 'signed out' })
    for (const token of [first.token, second.body.token])
      t.equal((await ask(app, 'GET', '/api/auth/validate', { token })).status, 401)
    t.equal((await ask(app, 'POST', '/api/auth/refresh', { token: second.body.refresh_token })).status, 401)
    untouched.send({ type: 'ping' })
    t.match(await untouched.next(), { type: 'pong' })
  })

  t.test('refuses what is no refresh token', async (t) => {
    const app = await startApp(t, { config: ROOMY })
    const { token } = await tokensOf(app)
    t.equal((await ask(app, 'POST', '/api/auth/refresh', { token })).status, 401)
    t.equal((await ask(app, 'POST', '/api/auth/refresh', { body: { refresh_token: 'nonsense' } })).status, 401)
    t.match(await ask(app, 'POST', '/api/auth/refresh', { body: {} }), {
      status: 400,
      body: { details: { field: 'refresh_token' } }
    })
  })
})

void t.test('POST /api/auth/logout ends the session and closes its sockets, not those of other devices', async (t) => {
  const app = await startApp(t, { config: ROOMY })
  const [phone, desk] = [await tokensOf(app), await tokensOf(app)]
  const left = await openSocket(t, `${app.ws}/ws?token=${phone.token}`)
  const stays = await openSocket(t, `${app.ws}/ws?token=${desk.token}`)
  await left.next()
  await stays.next()
  t.match(await ask(app, 'POST', '/api/auth/logout', { token: phone.token }), { status: 200, body: { success: true } })
  t.match(await left.next(), { type: 'disconnect', payload: { status: 'disconnected', reason: 'session_revoked' } })
  t.strictSame(await left.closed, { code: 1000, reason: 'signed out' })
  t.equal((await ask(app, 'GET', '/api/users/me', { token: phone.token })).status, 401)
  t.equal((await ask(app, 'POST', '/api/auth/refresh', { token: phone.refresh_token })).status, 401)
  stays.send({ type: 'ping' })
  t.match(await stays.next(), { type: 'pong' })
})

void t.test('POST /api/auth/logout-all ends every session of the account and closes their sockets', async (t) => {
  const app = await startApp(t, { config: ROOMY })
  const [phone, desk] = [await tokensOf(app), await tokensOf(app)]
  const sockets = await Promise.all([phone, desk].map(({ token }) => openSocket(t, `${app.ws}/ws?token=${token}`)))
  for (const socket of sockets) t.match(await socket.next(), { type: 'connect' })
  const answer = await ask(app, 'POST', '/api/auth/logout-all', { token: phone.token })
  t.match(answer, { status: 200, body: { success: true } })
  for (const socket of sockets) t.strictSame(await socket.closed, { code: 1000, reason: 'signed out' })
  for (const { token, refresh_token } of [phone, desk]) {
    t.equal((await ask(app, 'GET', '/api/auth/validate', { token })).status, 401)
    t.equal((await ask(app, 'POST', '/api/auth/refresh', { token: refresh_token })).status, 401)
  }
})

void t.test('PUT /api/users/me/password', async (t) => {
  const change = (app: Running, token: string, old_password: unknown, new_password: unknown): Promise<Answer> =>
    ask(app, 'PUT', '/api/users/me/password', { token, body: { old_password, new_password } })

  t.test('changes it, ends the other sessions with their sockets, and goes on with this one', async (t) => {
    const app = await startApp(t, { config: ROOMY })
    const [phone, desk] = [await tokensOf(app), await tokensOf(app)]
    const stays = await openSocket(t, `${app.ws}/ws?token=${phone.token}`)
    const left = await openSocket(t, `${app.ws}/ws?token=${desk.token}`)
    await Promise.all([stays.next(), left.next()])
    t.match(await change(app, phone.token, 'alice-secret', 'new-secret'), { status: 200, body: { success: true } })
    t.match(await left.next(), { type: 'disconnect', payload: { reason: 'session_revoked' } })
    t.strictSame(await left.closed, { code: 1000, reason: 'signed out' })
    t.equal((await ask(app, 'POST', '/api/auth/refresh', { token: desk.refresh_token })).status, 401)

    stays.send({ type: 'ping' })
    t.match(await stays.next(), { type: 'pong' })
    t.equal((await ask(app, 'POST', '/api/auth/refresh', { token: phone.refresh_token })).status, 200)
    t.equal((await logIn(app, { username: 'alice', password: 'alice-secret' })).status, 401)
    t.equal((await logIn(app, { username: 'alice', password: 'new-secret' })).status, 200)
  })

  t.test('wants the old one, and lets it be guessed at a few times only', async (t) => {
    const limits = { ...ROOMY.limits, login_failures: 3 }
    const app = await startApp(t, { config: { limits }, isTimeStopped: true })
    const [{ token }, other] = [await tokensOf(app), await tokensOf(app)]
    const refused: [unknown, unknown, string][] = [
      [undefined, 'new-secret', 'old_password'],
      ['alice-secret', undefined, 'new_password'],
      ['alice-secret', 'short', 'new_password'],
      ['alice-secret', 7, 'new_password']
    ]
    for (const [before, after, field] of refused)
      t.match(await change(app, token, before, after), { status: 400, body: { details: { field } } })
    for (let count = 0; count < 3; count++) {
      t.match(await change(app, token, 'guess', 'new-secret'), {
        status: 403,
        body: { success: false, error: '原密码错误', code: 'FORBIDDEN', details: { field: 'old_password' } }
      })
    }
    t.equal((await change(app, token, 'alice-secret', 'new-secret')).status, 429)
    t.equal((await ask(app, 'GET', '/api/users/me', { token: other.token })).status, 200, 'nothing has changed')
    t.equal(
      (await logIn(app, { username: 'alice', password: 'alice-secret' })).status,
      429,
      'they are counted together'
    )
    t.equal((await ask(app, 'PUT', '/api/users/me/password', { body: {} })).status, 401)
  })

  t.test('counts as a sign-in for its address', async (t) => {
    const app = await startApp(t, { config: { limits: { sign_in_rate: 2 } }, isTimeStopped: true })
    const { token } = await tokensOf(app)
    t.equal((await change(app, token, 'alice-secret', 'new-secret')).status, 200)
    t.equal((await change(app, token, 'new-secret', 'alice-secret')).status, 429)
  })
})

void t.test('POST /api/auth/ws-ticket gives a ticket that opens the door once', async (t) => {
  const app = await startApp(t, { config: ROOMY })
  const { token } = await tokensOf(app)
  const { status, body } = await ask(app, 'POST', '/api/auth/ws-ticket', { token })
  t.equal(status, 200)
  const { ticket } = body
  t.match(ticket, /^[\w-]{43}$/)
  t.strictSame(body, { success: true, ticket, expires_in: 30, data: { ticket, expires_in: 30 } })
  t.not((await ask(app, 'POST', '/api/auth/ws-ticket', { token })).body.ticket, ticket)
  t.equal((await ask(app, 'POST', '/api/auth/ws-ticket')).status, 401)

  const socket = await openSocket(t, `${app.ws}/ws?ticket=${ticket}`)
  t.match(await socket.next(), { type: 'connect', payload: { user_id: 10011 } })
  const again = await openSocket(t, `${app.ws}/ws?ticket=${ticket}`)
  t.match(await again.next(), { type: 'error', payload: { details: { reason: '票据无效或已被使用' } } })
  t.strictSame(await again.closed, { code: 1008, reason: 'Authentication failed' })

  const late = (await ask(app, 'POST', '/api/auth/ws-ticket', { token })).body.ticket
  await ask(app, 'POST', '/api/auth/logout', { token })
  const left = await openSocket(t, `${app.ws}/ws?ticket=${late}`)
  t.match(await left.next(), { type: 'error', payload: { details: { reason: '会话已结束' } } })
})

void t.test('who prefers English is refused in English', async (t) => {
  const app = await startApp(t, { config: ROOMY })
  const rows: [acceptLanguage: string | undefined, isEnglish: boolean][] = [
    [undefined, false],
    ['', false],
    ['zh-CN,zh;q=0.9,en;q=0.8', false],
    ['*', false],
    ['de', false],
    ['en', true],
    ['en-US,en;q=0.9,zh;q=0.8', true],
    ['de-DE, de;q=0.9, en;q=0.5', true],
    ['zh;q=0.3, en;q=0.4', true],
    ['en;q=0', false],
    ['zh, en', false],
    ['en, zh', true],
    [';;q=,en;q=x,'.repeat(50), false]
  ]
  for (const [language, isEnglish] of rows) {
    // Without the header fetch would send one of its own.
    const headers = { 'accept-language': language ?? '' }
    const wrong = await ask(app, 'POST', '/api/auth/login', { body: { username: 'alice', password: 'guess' }, headers })
    const expected = isEnglish
      ? ['sign-in failed', 'the name or the password is wrong']
      : ['登录失败', '用户名或密码错误']
    t.strictSame([wrong.body.error, wrong.body.details], expected, language ?? 'no header')
    const { body } = await ask(app, 'GET', '/api/users/me', { token: 'nonsense', headers })
    t.equal(body.error, isEnglish ? 'the token is not valid' : '令牌无效', language ?? 'no header')
  }
})

void t.test('GET /api/auth/validate tells who is signed in', async (t) => {
  const app = await startApp(t)
  const { token } = await tokensOf(app)
  const user = { id: 10011, username: 'alice', nickname: 'Alice', phone: '', bio: '' }
  t.match(await ask(app, 'GET', '/api/auth/validate', { token }), { status: 200, body: { valid: true, user } })
})

void t.test('tokens', async (t) => {
  const claims = { user_id: 10011, phone: '', username: 'alice', iss: 'zhihang-messenger', sub: '10011' }
  const now = Math.floor(Date.now() / 1000)

  interface Change {
    readonly alg?: string
    readonly secret?: string
    readonly more?: Record<string, unknown>
  }

  /** A token as another IM-Suite server makes it: without `typ`, `sid` and `jti`. */
  function craft({ alg = 'HS256', secret = SECRET, more = {} }: Change = {}): Promise<string> {
    const payload = { ...claims, iat: now, nbf: now, exp: now + 3600, ...more }
    return new SignJWT(payload).setProtectedHeader({ alg, typ: 'JWT' }).sign(new TextEncoder().encode(secret))
  }

  const startWithSecret = (t: Test): Promise<Running> =>
    startApp(t, { config: { ...ROOMY, im: { jwt_secret: SECRET } } })

  t.test('the vector of the contract is accepted once its user exists', async (t) => {
    const app = await startWithSecret(t)
    t.equal((await ask(app, 'GET', '/api/users/me', { token: VECTOR })).status, 401)
    await app.lactea.gateway.accounts.add({ id: 1, kind: 'person', nickname: 'Test', username: 'testuser' })
    t.match(await ask(app, 'GET', '/api/users/me', { token: VECTOR }), { status: 200, body: { username: 'testuser' } })
    const socket = await openSocket(t, `${app.ws}/ws?token=${VECTOR}`)
    t.match(await socket.next(), { type: 'connect', payload: { user_id: 1 } })
  })

  t.test('of another IM-Suite server with the same secret are accepted, with any HMAC', async (t) => {
    const app = await startWithSecret(t)
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      const answer = await ask(app, 'GET', '/api/users/me', { token: await craft({ alg }) })
      t.match(answer, { status: 200, body: { id: 10011 } }, alg)
    }
    const fresh = await craft({ more: { nbf: now + 30, exp: now + 3600 } })
    t.equal((await ask(app, 'GET', '/api/users/me', { token: fresh })).status, 200, 'a clock 30 s ahead of ours')
  })

  t.test('of another IM-Suite server are refused where they are not wanted', async (t) => {
    const im = { jwt_secret: SECRET, accept_untyped_tokens: false }
    const app = await startApp(t, { config: { ...ROOMY, im } })
    t.match(await ask(app, 'GET', '/api/users/me', { token: await craft() }), {
      status: 401,
      body: { error: '令牌无效' }
    })
    t.equal(
      (await ask(app, 'GET', '/api/users/me', { token: (await tokensOf(app)).token })).status,
      200,
      'our own count'
    )
  })

  t.test('that do not hold are refused at every door', async (t) => {
    const app = await startWithSecret(t)
    const own = await tokensOf(app)
    const rows: [string, string, string][] = [
      ['alg none', new UnsecuredJWT({ ...claims, exp: now + 3600 }).encode(), '令牌无效'],
      ['another secret', await craft({ secret: SECRET.replace('test', 'best') }), '令牌无效'],
      ['expired two minutes ago', await craft({ more: { exp: now - 120 } }), '令牌已过期'],
      ['not valid for two minutes yet', await craft({ more: { nbf: now + 120 } }), '令牌无效'],
      ['without an end', await craft({ more: { exp: undefined } }), '令牌无效'],
      ['a refresh token', own.refresh_token, '令牌无效'],
      ['of an unknown user', await craft({ more: { user_id: 99_999 } }), '令牌无效'],
      ['of a user whose id is text', await craft({ more: { user_id: '10011' } }), '令牌无效'],
      ['of a bot, from another server', await craft({ more: { user_id: 10001 } }), '令牌无效'],
      ['of a session that was never opened', await craft({ more: { typ: 'access', sid: randomUUID() } }), '会话已结束'],
      ['of our type without a session', await craft({ more: { typ: 'access' } }), '令牌无效'],
      ['of an unknown type', await craft({ more: { typ: 'id' } }), '令牌无效'],
      ['cut short', own.token.slice(0, -2), '令牌无效'],
      ['no JWT at all', 'nonsense', '令牌无效']
    ]
    for (const [label, token, fault] of rows) {
      const answer = await ask(app, 'GET', '/api/users/me', { token })
      t.match(answer, { status: 401, body: { success: false, error: fault } }, label)
      const socket = await openSocket(t, `${app.ws}/ws?token=${token}`)
      t.match(await socket.next(), { type: 'error', payload: { details: { reason: fault } } }, label)
      t.strictSame(await socket.closed, { code: 1008, reason: 'Authentication failed' }, label)
    }
  })

  t.test('of an account that was switched off are refused', async (t) => {
    const app = await startWithSecret(t)
    const [own, foreign] = [await tokensOf(app), await craft()]
    await app.lactea.gateway.accounts.remove(10011)
    for (const token of [own.token, foreign])
      t.match(await ask(app, 'GET', '/api/users/me', { token }), { status: 401, body: { error: '账号已停用' } })
    t.equal((await ask(app, 'POST', '/api/auth/refresh', { token: own.refresh_token })).status, 401)
  })
})

import { SignJWT, UnsecuredJWT } from 'jose'
import t from 'tap'
import { startApp } from '../helpers/app.ts'
import { createIssuerKey, startIssuer, type IssuerKey, type TestIssuer } from '../helpers/issuer.ts'
import { ask, ROOMY, tokensOf } from '../helpers/person.ts'
import { openSocket } from '../helpers/socket.ts'

void t.test('tokens of the issuer at im.jwks_url', async (t) => {
  const trusting = ({ url, issuer, audience }: TestIssuer) => ({
    ...ROOMY,
    im: { jwks_url: url, jwks_issuer: issuer, jwks_audience: audience }
  })

  t.test('let in whoever they name, with every kind of key', async (t) => {
    const issuer = await startIssuer(t, { algorithms: ['RS256', 'PS384', 'ES256', 'EdDSA'] })
    const app = await startApp(t, { config: trusting(issuer) })
    for (const [index, key] of issuer.keys.entries()) {
      const token = await issuer.sign({ sub: `u-${index}`, name: `Carol ${key.alg}` }, { key })
      const { status, body } = await ask(app, 'GET', '/api/users/me', { token })
      t.match([status, body], [200, { id: 10012 + index, nickname: `Carol ${key.alg}`, username: '', phone: '' }])
      const socket = await openSocket(t, `${app.ws}/ws?token=${token}`)
      t.match(await socket.next(), { type: 'connect', payload: { user_id: 10012 + index } })
    }
    const typed = await issuer.sign({ sub: 'u-0' }, { header: { typ: 'at+jwt' } })
    t.match(await ask(app, 'GET', '/api/users/me', { token: typed }), { status: 200, body: { id: 10012 } })
    t.equal((await ask(app, 'POST', '/api/auth/logout', { token: typed })).status, 200, 'there is nothing to end')
  })

  t.test('that do not hold are refused at every door', async (t) => {
    const issuer = await startIssuer(t, { algorithms: ['RS256', 'ES256'] })
    const [rsa, ec] = issuer.keys as [IssuerKey, IssuerKey]
    const app = await startApp(t, { config: trusting(issuer) })
    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: issuer.issuer, aud: issuer.audience, sub: 'u-1', user_id: 10011, exp: now + 3600 }
    const withSecret = (secret: string): Promise<string> =>
      new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: rsa.kid }).sign(new TextEncoder().encode(secret))
    const critical = new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', kid: rsa.kid, crit: ['must-know'], 'must-know': true })
      .sign(rsa.privateKey, { crit: { 'must-know': true } })
    const stranger = await createIssuerKey('RS256')
    const good = await issuer.sign()
    const [header, payload, signature] = good.split('.') as [string, string, string]
    const changed = Buffer.from(JSON.stringify({ ...claims, sub: 'u-2' })).toString('base64url')
    const asPs = Buffer.from(JSON.stringify({ alg: 'PS256', kid: rsa.kid })).toString('base64url')

    const rows: [label: string, token: string | Promise<string>, fault?: string][] = [
      ['alg none', new UnsecuredJWT(claims).encode()],
      ['no signature', `${header}.${payload}.`],
      ['HMAC with the public key, as PEM', withSecret(rsa.publicPem)],
      ['HMAC with the public key, as JSON', withSecret(JSON.stringify(rsa.publicJwk))],
      ['HMAC with the modulus', withSecret(rsa.publicJwk.n ?? '')],
      ['a key that is not known', issuer.sign({}, { key: stranger })],
      [
        'a key that is not known under the name of one that is',
        issuer.sign({}, { key: { ...stranger, kid: rsa.kid } })
      ],
      ['a key that came along', issuer.sign({}, { key: stranger, header: { jwk: stranger.publicJwk } })],
      ['the key of another algorithm', issuer.sign({}, { key: { ...ec, kid: rsa.kid } })],
      ['another algorithm of the same key', `${asPs}.${payload}.${signature}`],
      ['other claims under the signature', `${header}.${changed}.${signature}`],
      ['a header that must be understood', critical],
      ['another issuer', issuer.sign({ iss: 'https://other.test' })],
      ['no issuer', issuer.sign({ iss: undefined })],
      ['another audience', issuer.sign({ aud: ['somebody', 'else'] })],
      ['no audience', issuer.sign({ aud: undefined })],
      ['no end', issuer.sign({ exp: undefined })],
      ['no subject', issuer.sign({ sub: undefined })],
      ['an empty subject', issuer.sign({ sub: '' })],
      ['a subject without end', issuer.sign({ sub: 's'.repeat(256) })],
      ['a refresh token', issuer.sign({ typ: 'Refresh' })],
      ['a message about a log-out', issuer.sign({}, { header: { typ: 'logout+jwt' } })],
      ['expired', issuer.sign({ exp: now - 120 }), '令牌已过期'],
      ['not valid yet', issuer.sign({ nbf: now + 120 })]
    ]
    for (const [label, made, fault = '令牌无效'] of rows) {
      const token = await made
      const answer = await ask(app, 'GET', '/api/users/me', { token })
      t.match(answer, { status: 401, body: { success: false, error: fault, code: 'UNAUTHORIZED' } }, label)
      const socket = await openSocket(t, `${app.ws}/ws?token=${token}`)
      t.match(await socket.next(), { type: 'error', payload: { details: { reason: fault } } }, label)
      t.strictSame(await socket.closed, { code: 1008, reason: 'Authentication failed' }, label)
    }
    t.equal((await ask(app, 'GET', '/api/users/me', { token: good })).status, 200, 'one that holds')
    t.equal((await app.lactea.gateway.store.listAccounts('person')).length, 2, 'nobody was made on the way')
  })

  t.test('are nothing to a gateway that does not know the issuer', async (t) => {
    const issuer = await startIssuer(t)
    const app = await startApp(t)
    const answer = await ask(app, 'GET', '/api/users/me', { token: await issuer.sign() })
    t.match(answer, { status: 401, body: { error: '令牌无效' } })
    t.strictSame(issuer.asked, [])
  })

  t.test('are answered 503 while the issuer is away, and our own go on', async (t) => {
    const issuer = await startIssuer(t)
    const config = { ...trusting(issuer), im: { jwks_url: `${issuer.url}?token=CANARY` } }
    const app = await startApp(t, { config, logLevel: 'warn' })
    await issuer.stop()
    const token = await issuer.sign()
    for (let count = 0; count < 3; count++) {
      t.match(await ask(app, 'GET', '/api/users/me', { token }), {
        status: 503,
        body: { success: false, error: '令牌签发方暂不可用', code: 'SERVICE_UNAVAILABLE' }
      })
    }
    const own = await tokensOf(app)
    t.equal((await ask(app, 'GET', '/api/users/me', { token: own.token })).status, 200)
    const told = app.lines.filter((line) => line.includes('foreign issuer'))
    t.equal(told.length, 1)
    t.match(told[0], issuer.url)
    t.notMatch(told[0], token.slice(-20))
    t.notMatch(told[0], 'CANARY')
  })
})

import t from 'tap'
import { startApp } from '../helpers/app.ts'
import { forgeTokens } from '../helpers/forged-tokens.ts'
import { startIssuer, type TestIssuer } from '../helpers/issuer.ts'
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
    const app = await startApp(t, { config: trusting(issuer) })
    const good = await issuer.sign()
    for (const { label, token, fault = '令牌无效' } of await forgeTokens(issuer)) {
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

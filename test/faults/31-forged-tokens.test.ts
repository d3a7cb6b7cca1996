import { SignJWT } from 'jose'
import type { Test } from 'tap'
import { setTimeout as delay } from 'node:timers/promises'
import { createForeignIssuer } from '../../src/jwks.ts'
import { createSessions, isFault, LEEWAY_S, type Sessions } from '../../src/sessions.ts'
import { openSqliteStore } from '../../src/store/index.ts'
import { startApp } from '../helpers/app.ts'
import { forgeTokens } from '../helpers/forged-tokens.ts'
import { createIssuerKey, startIssuer, type TestIssuer } from '../helpers/issuer.ts'
import { ask, ROOMY, tokensOf } from '../helpers/person.ts'
import { openSocket } from '../helpers/socket.ts'
import { fault } from './lab/fault.ts'

const SECRET = 'a-secret-for-these-tests-alone-long-enough'

fault({
  number: 31,
  title: 'forged tokens of people, and issuers that are away or change their keys',
  mark: 'JWT: alg:none, HS256 signed with the public key, kid path/SQL, expired, nbf future, wrong iss/aud, 1 MB token, JWKS down, key rotated: accepted 0; rotated key picked up ≤ 60 s; JWKS fetch storm ≤ 1 per 30 s',
  fullMs: 180_000,
  async run({ t, isFull, size, figure }) {
    const { tried, accepted } = await tryForged(t)
    figure('tokens that nobody may believe, at two doors', tried, { atLeast: 70 })
    figure('accepted', accepted, { is: 0 })

    const { sessions, issuer } = await startAbroad(t)
    const stranger = await createIssuerKey('RS256')
    await sessions.verify(await issuer.sign())
    const before = issuer.asked.length
    const strange = await Promise.all(
      Array.from({ length: size(100, 1000) }, (_, index) =>
        issuer.sign({}, { key: { ...stranger, kid: `unknown-${index}` } })
      )
    )
    const startedAt = performance.now()
    // All of them at once, and one after the other for as long as the keys may not be asked for again.
    await Promise.all(strange.map((token) => sessions.verify(token)))
    const endsAt = startedAt + size(0, 28_000)
    for (let index = 0; performance.now() < endsAt; index++) {
      await sessions.verify(strange[index % strange.length] ?? '')
      await delay(20)
    }
    figure('look-ups of keys in 30 s of tokens with unknown ones', issuer.asked.length - before, { atMost: 1 })

    if (isFull) figure('time until a new key counts', await rotate(t), { atMost: 60, unit: 's' })
    figure('tokens accepted of an issuer that is down', await askWhileDown(t, size(20, 200)), { is: 0 })
  }
})

/** Everything that was ever wrong with a token, by REST and on a socket. */
async function tryForged(t: Test): Promise<{ tried: number; accepted: number }> {
  const issuer = await startIssuer(t, { algorithms: ['RS256', 'ES256'] })
  const im = {
    jwt_secret: SECRET,
    jwks_url: issuer.url,
    jwks_issuer: issuer.issuer,
    jwks_audience: issuer.audience
  }
  const limits = { ...ROOMY.limits, upgrade_rate: 10_000, im_address_connects: 10_000 }
  const app = await startApp(t, { config: { im, limits } })
  const { refresh_token: refresh } = await tokensOf(app)
  const now = Math.floor(Date.now() / 1000)
  const claims = { user_id: 10011, exp: now + 3600 }
  const own = (payload: object, secret = SECRET, alg = 'HS256'): Promise<string> =>
    new SignJWT({ ...payload }).setProtectedHeader({ alg }).sign(new TextEncoder().encode(secret))
  const forged = [
    ...(await forgeTokens(issuer)),
    { label: 'a refresh token', token: refresh },
    { label: 'another secret', token: await own(claims, `${SECRET}!`) },
    { label: 'an empty secret', token: await own(claims, '\0'.repeat(32)) },
    { label: 'no end', token: await own({ user_id: 10011 }) },
    { label: 'expired', token: await own({ ...claims, exp: now - 120 }) },
    { label: 'not yet', token: await own({ ...claims, nbf: now + 120 }) },
    { label: 'a bot', token: await own({ ...claims, user_id: 10001 }) },
    { label: 'nobody', token: await own({ ...claims, user_id: 99_999 }) },
    { label: 'an id of text', token: await own({ ...claims, user_id: '10011' }) },
    { label: 'a session that never was', token: await own({ ...claims, typ: 'access', sid: 'made-up' }) }
  ]
  let accepted = 0
  for (const { label, token } of forged) {
    const { status } = await ask(app, 'GET', '/api/users/me', { token })
    const socket = await openSocket(t, `${app.ws}/im/ws?token=${token}`)
    const { type } = await socket.next()
    if (status === 200 || type === 'connect') {
      accepted++
      t.fail(`${label} was accepted`)
    }
  }
  accepted += await tryHuge(t, app.url, app.ws)
  const good = await issuer.sign()
  t.equal((await ask(app, 'GET', '/api/users/me', { token: good })).status, 200, 'one that holds')
  return { tried: 2 * forged.length + 2, accepted }
}

/** A token of a megabyte is more than a header may have; the connection is all that ends. */
async function tryHuge(t: Test, url: string, ws: string): Promise<number> {
  const token = `eyJhbGciOiJIUzI1NiJ9.${'a'.repeat(1024 * 1024)}.x`
  const byHeader = await fetch(`${url}/api/users/me`, { headers: { authorization: `Bearer ${token}` } }).then(
    ({ status }) => status,
    () => 0
  )
  t.ok([0, 431].includes(byHeader), `answered with ${byHeader}`)
  const bySocket = await openSocket(t, `${ws}/im/ws?token=${token}`).then(
    async (socket) => (await socket.next()).type as string,
    () => 'refused'
  )
  t.equal((await fetch(`${url}/health`)).status, 200, 'and the gateway lives')
  return Number(byHeader === 200) + Number(bySocket === 'connect')
}

/** Sessions beside a gateway, which trust an issuer; by the clock of the machine, as the library that fetches keys does. */
async function startAbroad(t: Test): Promise<{ sessions: Sessions; issuer: TestIssuer }> {
  const issuer = await startIssuer(t)
  const store = await openSqliteStore({ path: ':memory:' })
  t.teardown(() => store.close())
  const now = (): number => Math.floor(Date.now() / 1000)
  const foreignIssuer = createForeignIssuer({
    url: issuer.url,
    issuer: issuer.issuer,
    audience: issuer.audience,
    now,
    leewayS: LEEWAY_S,
    onUnreachable: () => {}
  })
  return { sessions: createSessions({ store, secret: SECRET, foreignIssuer, now }), issuer }
}

/** Seconds from when the issuer signs with a new key, and has told of it, until its tokens count. */
async function rotate(t: Test): Promise<number> {
  const { sessions, issuer } = await startAbroad(t)
  t.notOk(isFault(await sessions.verify(await issuer.sign())))
  const next = await createIssuerKey('RS256')
  issuer.keys.splice(0, 1, next)
  const token = await issuer.sign({}, { key: next })
  const startedAt = performance.now()
  while (performance.now() - startedAt < 90_000) {
    if (!isFault(await sessions.verify(token))) return (performance.now() - startedAt) / 1000
    await delay(250)
  }
  return Infinity
}

async function askWhileDown(t: Test, count: number): Promise<number> {
  const { sessions, issuer } = await startAbroad(t)
  const token = await issuer.sign()
  await issuer.stop()
  const answers = await Promise.all(Array.from({ length: count }, () => sessions.verify(token)))
  return answers.filter((answer) => !isFault(answer)).length
}

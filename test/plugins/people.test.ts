import Fastify from 'fastify'
import t from 'tap'
import people, { personOf } from '../../plugins/people.ts'
import rateLimit from '../../plugins/rate-limit.ts'
import { loadConfig } from '../../src/config.ts'
import { systemClock } from '../../src/gateway.ts'
import { createSessions } from '../../src/sessions.ts'
import { openSqliteStore } from '../../src/store/index.ts'
import { startApp } from '../helpers/app.ts'
import { ask, tokensOf } from '../helpers/person.ts'

void t.test('what is not there is answered in the same form', async (t) => {
  const app = await startApp(t)
  t.match(await ask(app, 'GET', '/api/nothing?token=secret'), {
    status: 404,
    body: { success: false, error: 'there is nothing at GET /api/nothing', code: 'NOT_FOUND' }
  })
})

void t.test('a header that is no Bearer token is refused as IM-Suite does', async (t) => {
  const app = await startApp(t)
  const { token } = await tokensOf(app)
  for (const authorization of ['', token, `Basic ${token}`, `Bearer ${token} more`])
    t.match(
      await ask(app, 'GET', '/api/users/me', { headers: { authorization } }),
      { status: 401, body: { success: false, error: '认证令牌格式错误' } },
      authorization.slice(0, 6)
    )
})

void t.test('a route for admins refuses who is none with 403, and who is nobody with 401', async (t) => {
  const now = (): number => Math.floor(Date.now() / 1000)
  const store = await openSqliteStore({ path: ':memory:' })
  const sessions = createSessions({ store, secret: 'a secret for this test alone', now })
  const app = Fastify()
  t.teardown(async () => {
    await app.close()
    await store.close()
  })
  const { limits } = loadConfig({ env: {}, cwd: t.testdir() }).config
  await app.register(rateLimit, { limits, clock: systemClock })
  await app.register(people, { sessions })
  app.get('/admin', app.people.admin, async (request) => ({ admin: personOf(request).account.id }))

  const account = await store.addAccount({ kind: 'person', nickname: 'Ann', createdAt: now() })
  const { accessToken } = await sessions.open(account)
  const call = async (headers: Record<string, string>): Promise<[number, unknown]> => {
    const { statusCode, json } = await app.inject({ url: '/admin', headers })
    return [statusCode, json()]
  }
  const authorization = `Bearer ${accessToken}`
  t.match(await call({}), [401, { success: false, code: 'UNAUTHORIZED' }])
  t.match(await call({ authorization }), [403, { success: false, error: '需要管理员权限', code: 'FORBIDDEN' }])
  await store.setAdmin(account.id, true)
  t.strictSame(await call({ authorization }), [200, { admin: account.id }])
  await store.setAdmin(account.id, false)
  t.match(await call({ authorization }), [403, {}])
})

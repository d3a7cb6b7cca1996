import t from 'tap'
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

import t from 'tap'
import { startApp } from '../helpers/app.ts'
import { ask, tokensOf } from '../helpers/person.ts'

void t.test('GET /api/users/me gives the own account, flat and in data', async (t) => {
  const app = await startApp(t)
  const { token } = await tokensOf(app)
  const user = { id: 10011, username: 'alice', nickname: 'Alice', phone: '', bio: '' }
  t.match(await ask(app, 'GET', '/api/users/me', { token }), {
    status: 200,
    body: { success: true, ...user, data: user }
  })
})

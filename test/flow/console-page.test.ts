import t from 'tap'
import { startApp } from '../helpers/app.ts'
import { addTarget, startOperated } from '../helpers/operator.ts'
import { openPage, type TestPage } from '../helpers/page.ts'
import { ROOMY } from '../helpers/person.ts'
import { waitFor } from '../helpers/wait.ts'

const shows = (page: TestPage, id: string, text: string): Promise<void> =>
  waitFor(() => page.byId(id).textContent.includes(text), `${text} in ${id}`)

t.test('the set-up code of the first start makes the admin, who sees what goes on', async (t) => {
  const app = await startApp(t, { config: { bots: [], provision: {}, ...ROOMY } })
  const page = await openPage({ url: `${app.url}/console` })
  t.strictSame([page.byId('door').hidden, page.byId('desk').hidden], [false, true])
  const order = { username: 'root', password: 'root-secret' }
  page.submit('set-up', { ...order, setup_code: 'AAAA-BBBB' })
  await shows(page, 'state', 'setup_code')
  page.submit('set-up', { ...order, setup_code: app.lactea.welcome?.setupCode ?? '' })
  await shows(page, 'overview', 'Version')
  t.strictSame([page.byId('door').hidden, page.byId('desk').hidden], [true, false])
  await shows(page, 'audit', 'console.setup')
  await shows(page, 'users', 'root')
  t.ok(page.stored.size > 0)
  page.press(page.byId('sign-out'))
  await shows(page, 'state', 'You are signed out.')
  t.strictSame([page.stored.size, page.byId('desk').hidden, page.byId('users').textContent], [0, true, ''])
})

t.test('webhooks are paused and resumed, bots get tokens, people are signed out', async (t) => {
  const operated = await startOperated(t)
  const { app } = operated
  const id = await addTarget(operated)
  const bot = await app.lactea.gateway.accounts.add({ kind: 'bot', nickname: '<b>Three</b>' })
  const page = await openPage({ url: `${app.url}/console` })
  page.submit('sign-in', { username: 'alice', password: 'alice-secret' })
  await shows(page, 'webhooks', id)
  await shows(page, 'bots', '<b>Three</b>')

  page.press(page.byId('webhooks').buttons('Pause')[0])
  await shows(page, 'webhooks', 'paused by user 10011')
  page.press(page.byId('webhooks').buttons('Resume')[0])
  await shows(page, 'webhooks', 'active')
  page.press(page.byId('webhooks').buttons('Look')[0])
  await waitFor(() => !page.byId('one').hidden, 'the webhook')
  t.equal(page.byId('one-title').textContent, id)

  page.press(page.byId('bots').buttons('New token').at(-1))
  await waitFor(() => !page.byId('secret').hidden, 'the token')
  const token = page.byId('secret-value').textContent
  t.match(await app.call(token, 'get_login_info'), { data: { uin: bot.id } })
  page.press(page.byId('secret-off'))
  t.equal(page.byId('secret-value').textContent, '')
  await shows(page, 'audit', 'bot.token')
  t.notOk(page.byId('audit').textContent.includes(token))

  page.press(page.byId('users').buttons('Admin')[0])
  await waitFor(() => page.byId('users').buttons('No admin').length === 2, 'a second admin')
  t.equal((await operated.get('overview', operated.stranger)).status, 200)
  page.press(page.byId('users').buttons('Sign out').at(-1))
  await shows(page, 'audit', 'user.sign-out')
  t.equal((await operated.get('overview', operated.stranger)).status, 401)
})

t.test('who is no admin is sent away, and so is an admin who is none any more', async (t) => {
  const { app } = await startOperated(t)
  const page = await openPage({ url: `${app.url}/console` })
  page.submit('sign-in', { username: 'bob', password: 'bob-secret' })
  await shows(page, 'state', 'this is for admins')
  t.strictSame([page.stored.size, page.byId('door').hidden], [0, false])
  page.submit('sign-in', { username: 'alice', password: 'wrong' })
  await shows(page, 'state', 'the name or the password is wrong')
  page.submit('sign-in', { username: 'alice', password: 'alice-secret' })
  await shows(page, 'users', 'alice')
  await app.lactea.gateway.store.setAdmin(10011, false)
  page.press(page.byId('reload'))
  await shows(page, 'state', 'this is for admins')
  t.equal(page.byId('users').textContent, '')
})

t.test('it speaks Chinese to who reads Chinese', async (t) => {
  const { app } = await startOperated(t)
  const page = await openPage({ url: `${app.url}/console`, language: 'zh-CN' })
  t.equal(page.byId('reload').textContent, '刷新')
  page.submit('sign-in', { username: 'alice', password: 'wrong' })
  await shows(page, 'state', '用户名或密码错误')
  page.submit('sign-in', { username: 'alice', password: 'alice-secret' })
  await shows(page, 'overview', '版本')
  t.equal(page.byId('users').buttons('强制退出').length, 2)
})

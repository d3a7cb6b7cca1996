import { join } from 'node:path'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { loadConfig, type Config } from '../../src/config.ts'
import { createLogger } from '../../src/log.ts'
import { startApp, type Running } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { waitFor } from '../helpers/wait.ts'

const log = createLogger('silent')

function configured(t: Test, file: object): Config {
  const cwd = makeDirectory(t, file)
  return loadConfig({ cwd, env: {}, argv: { dataDir: join(cwd, 'data') } }).config
}

void t.test('buildApp', async (t) => {
  t.test('leaves nothing open when it fails', async (t) => {
    const config = configured(t, { bots: [{ id: 10001 }] })
    const open = { ...config, server: { ...config.server, host: '0.0.0.0' } }
    await t.rejects(buildApp(open, log), { message: /bot 10001 has no access token/ })
    const { app } = await buildApp(config, log)
    await app.close()
  })

  t.test('makes its welcome anew until it was shown, and never again', async (t) => {
    const config = configured(t, {})
    const first = await buildApp(config, log)
    await first.app.close()
    const second = await buildApp(config, log)
    t.match(second.welcome, { botId: 10001, token: /^[\w-]{43}$/, setupCode: /^[A-Z2-9]{4}-[A-Z2-9]{4}$/ })
    t.not(second.welcome?.token, first.welcome?.token)
    t.equal(await second.gateway.store.countTokens(10001), 1)
    await second.welcome?.markShown()
    await second.app.close()
    const third = await buildApp(config, log)
    t.equal(third.welcome, undefined)
    t.equal(await third.gateway.store.countTokens(10001), 1, 'the token that was shown stays')
    await third.app.close()
  })

  t.test('leaves a bot the name it has when the configuration names none', async (t) => {
    const config = configured(t, { bots: [{ id: 10001 }] })
    const first = await buildApp(config, log)
    await first.gateway.store.setNickname(10001, 'Echo')
    await first.app.close()
    const second = await buildApp(config, log)
    t.match(await second.gateway.store.findAccount(10001), { nickname: 'Echo' })
    await second.app.close()
  })

  t.test('leaves a person what they have changed themselves, until the configuration says something new', async (t) => {
    const alice = { id: 10011, kind: 'person', username: 'alice', nickname: 'Alice' }
    const dir = makeDirectory(t)
    const start = async (password: string): Promise<Running> => {
      const app = await startApp(t, { config: { bots: [], provision: { accounts: [{ ...alice, password }] } }, dir })
      return app
    }
    const canSignIn = async ({ lactea }: Running, password: string): Promise<boolean> =>
      (await lactea.gateway.accounts.signIn({ username: 'alice', password })) !== undefined

    const first = await start('from-the-file')
    await first.lactea.gateway.store.setNickname(10011, 'Alicia')
    await first.lactea.gateway.accounts.setPassword(10011, 'her-own-one')
    await first.lactea.app.close()

    const second = await start('from-the-file')
    t.match(await second.lactea.gateway.store.findAccount(10011), { nickname: 'Alicia' })
    t.equal(await canSignIn(second, 'her-own-one'), true)
    t.equal(await canSignIn(second, 'from-the-file'), false)
    await second.lactea.app.close()

    const third = await start('a-new-one-in-the-file')
    t.equal(await canSignIn(third, 'a-new-one-in-the-file'), true)
    t.equal(await canSignIn(third, 'her-own-one'), false)
  })

  t.test('takes a bot that is the only one without a token as open on loopback, and none of several', async (t) => {
    const whoAmI = async (bots: object[]): Promise<number> => {
      const app = await startApp(t, { config: { bots, provision: {} }, dir: makeDirectory(t) })
      const { http } = await app.call('whatever', 'get_login_info')
      await app.lactea.app.close()
      return http
    }
    t.equal(await whoAmI([{ id: 10001 }]), 200)
    t.equal(await whoAmI([{ id: 10001 }, { id: 10002 }]), 403)
    t.equal(await whoAmI([{ id: 10001, access_token: 'right' }]), 403)
  })
})

void t.test('GET /health and /ready', async (t) => {
  const app = await startApp(t)
  t.strictSame(await (await fetch(`${app.url}/health`)).json(), { status: 'ok' })
  t.strictSame(await (await fetch(`${app.url}/ready`)).json(), { status: 'ready' })
})

void t.test('an event loop that stands still', async (t) => {
  const app = await startApp(t)
  const ask = (): Promise<Response> => fetch(`${app.url}/get_login_info`, { method: 'POST' })
  let response = await ask()
  // What happens while everything is being loaded does not count.
  for (let round = 0; response.status !== 503 && round < 5; round++) {
    const end = performance.now() + 2000
    while (performance.now() < end);
    response = await ask()
  }
  t.match(response.headers.get('retry-after'), /^\d+$/)
  t.match(await response.json(), { status: 'failed', retcode: -503, message: /overloaded/ })
  t.equal((await fetch(`${app.url}/health`)).status, 200, 'whoever watches the process is not told to kill it')
  await waitFor(async () => (await ask()).status === 401, 'work to be taken again')
})

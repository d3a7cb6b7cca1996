import { startOperated } from '../helpers/operator.ts'
import { ask, logIn } from '../helpers/person.ts'
import { openSocket } from '../helpers/socket.ts'
import { fault } from './lab/fault.ts'

const EVIL = 'https://evil.example'
const FORGED = {
  'x-forwarded-for': '203.0.113.7',
  'x-forwarded-host': 'evil.example',
  'x-forwarded-proto': 'https',
  forwarded: 'for=203.0.113.7;host=evil.example;proto=https',
  'x-real-ip': '203.0.113.7'
}

fault({
  number: 36,
  title: 'pages of other origins, and forwarded headers of whoever is no proxy of ours',
  mark: 'Origin: browser from another site on console and IM sockets: 403; X-Forwarded-* from an untrusted peer changes neither rate key, nor ip in logs, nor host.',
  async run({ t, figure }) {
    const { app, token } = await startOperated(t)
    const refusedWith = (path: string, headers: Record<string, string>): Promise<number> =>
      openSocket(t, `${app.ws}${path}`, { headers }).then(
        () => 101,
        (err: { status?: number }) => err.status ?? 0
      )
    const open = (path: string, headers: Record<string, string>): Promise<number> =>
      ask(app, path.endsWith('replay') ? 'POST' : 'GET', path, {
        token,
        headers,
        ...(path.endsWith('replay') && { body: { dead: true } })
      }).then(({ status }) => status)

    const statuses: number[] = []
    // What a page of another site sends; `null` is a sandboxed frame, the last two are names that only begin or end like ours.
    const origins = [
      EVIL,
      'null',
      `http://127.0.0.1:1`,
      `${app.url}.evil.example`,
      `http://evil-${new URL(app.url).host}`
    ]
    for (const origin of origins) {
      for (const forged of [{}, FORGED]) {
        const headers = { origin, ...forged }
        statuses.push(await refusedWith(`/ws?token=${token}`, headers))
        statuses.push(await refusedWith(`/im/ws?token=${token}&ext=1`, headers))
        statuses.push(await open('/api/admin/overview', headers))
        statuses.push(await open('/api/admin/webhooks/replay', headers))
        const setUp = { setup_code: 'AAAA-BBBB', username: 'eve', password: 'eve-secret' }
        statuses.push((await ask(app, 'POST', '/api/admin/setup', { body: setUp, headers })).status)
      }
    }
    figure('requests of other sites', statuses.length, { is: origins.length * 10 })
    figure('answered otherwise than 403', statuses.filter((status) => status !== 403).length, { is: 0 })
    figure('refused of our own page', (await open('/api/admin/overview', { origin: app.url })) === 200 ? 0 : 1, {
      is: 0
    })
    t.equal(await refusedWith(`/ws?token=${token}`, { origin: app.url }), 101)

    await t.test('the rate key', async (t) => {
      const { app } = await startOperated(t, { config: { limits: { login_rate: 5 } }, isTimeStopped: true })
      const guesses: number[] = []
      for (let count = 0; count < 20; count++) {
        const from = `203.0.113.${count}`
        const headers = { ...FORGED, 'x-forwarded-for': from, 'x-real-ip': from, forwarded: `for=${from}` }
        const body = { username: `nobody${count}`, password: 'guess' }
        guesses.push((await ask(app, 'POST', '/api/auth/login', { body, headers })).status)
      }
      figure('guesses under forged addresses that were looked at', guesses.filter((s) => s === 401).length, { is: 5 })
      figure('guesses that were refused', guesses.filter((status) => status === 429).length, { is: 15 })
    })

    await t.test('ip in logs and in the audit', async (t) => {
      const { app, token, get, post } = await startOperated(t, { logLevel: 'trace' })
      await post('webhooks/pause', {}, FORGED)
      await ask(app, 'GET', '/api/admin/overview', { token, headers: FORGED })
      await refusedAt(`${app.ws}/ws?EIO=4&transport=websocket`)
      const line = await app.logged('Socket.IO')
      t.match(JSON.parse(line), { address: '127.0.0.1' })
      const audit = JSON.stringify((await get('audit')).body)
      t.ok(audit.includes('127.0.0.1'))
      await ask(app, 'POST', '/api/auth/login', { body: { username: 'alice', password: 'x' }, headers: FORGED })
      t.match(JSON.parse(await app.logged('server.trusted_proxies')), { address: '127.0.0.1' })
      const forged = [...app.lines, audit].filter((text) => /203\.0\.113\.7|evil\.example/.test(text))
      figure('lines with a forged address', forged.length, { is: 0 })

      async function refusedAt(url: string): Promise<void> {
        await openSocket(t, url, { headers: FORGED }).catch(() => undefined)
      }
    })

    await t.test('a proxy that is named is believed', async (t) => {
      const config = { server: { trusted_proxies: ['127.0.0.1'] }, limits: { login_rate: 2 } }
      const { app, post, get } = await startOperated(t, { config, isTimeStopped: true })
      await post('webhooks/pause', {}, { 'x-forwarded-for': '203.0.113.7' })
      t.match((await get('audit')).body.entries[0], { ip: '203.0.113.7' })
      for (let count = 0; count < 3; count++) await logIn(app, { username: 'alice', password: 'guess' })
      const body = { username: 'alice', password: 'alice-secret' }
      const headers = { 'x-forwarded-for': '203.0.113.8' }
      t.equal((await ask(app, 'POST', '/api/auth/login', { body })).status, 429)
      t.equal((await ask(app, 'POST', '/api/auth/login', { body, headers })).status, 200)
    })
  }
})

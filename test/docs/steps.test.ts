import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config.ts'
import { startApp } from '../helpers/app.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { runLactea } from '../helpers/service.ts'
import { openSocket } from '../helpers/socket.ts'
import { readPage, root } from './markdown.ts'

t.test('lactea.example.yaml is accepted by check-config', async (t) => {
  const { code, stdout, stderr } = await runLactea(['check-config', '--config', 'lactea.example.yaml'], { cwd: root })
  t.equal(stderr, '')
  t.equal(code, 0)
  t.match(stdout, /id: 10002/)
  t.notMatch(stdout, 'replace-me', 'and its secrets are masked')
})

t.test('what stands in lactea.example.yaml as comments is accepted too', async (t) => {
  const text = readPage('lactea.example.yaml').replace(/^( *)# ( *(?:- |[a-z_]+:))/gm, '$1$2')
  for (const key of ['tls:', 'listeners:', 'metrics_token:', 'maim:', 'keys:'])
    t.match(text, new RegExp(`^ *${key}`, 'm'))
  const cwd = t.testdir({ 'lactea.yaml': text })
  const { config } = loadConfig({ cwd, env: {} })
  t.match(config, {
    server: { listeners: [{ port: 18040 }, { port: 18044 }] },
    maim: { keys: [{ account: 10001 }, {}] }
  })
})

t.test('docs/operations.md shows configurations that are accepted', async (t) => {
  const blocks = [...readPage('docs/operations.md').matchAll(/^```yaml\n(server:\n[^]*?)^```$/gm)].map(
    ([, yaml = '']) => yaml
  )
  t.ok(blocks.length >= 5)
  for (const yaml of blocks) {
    const cwd = makeDirectory(t)
    writeFileSync(join(cwd, 'secret'), 'scrape-me')
    writeFileSync(join(cwd, 'lactea.yaml'), yaml.replace('/run/secrets/metrics', 'secret'))
    t.ok(loadConfig({ cwd, env: {} }).config, yaml)
  }
})

/** LibreSSL, and OpenSSL before 3, cannot sign as they make a request. */
const hasOpenSsl = /^OpenSSL [3-9]/.test(spawnSync('openssl', ['version'], { encoding: 'utf8' }).stdout ?? '')

t.test(
  'the authority and the certificate of docs/operations.md are good for TLS',
  { skip: !hasOpenSsl && 'OpenSSL 3 is not here' },
  async (t) => {
    const [, commands = ''] = /^```sh\n(openssl [^]*?)^```$/m.exec(readPage('docs/operations.md')) ?? []
    const cwd = makeDirectory(t)
    await promisify(execFile)('bash', ['-ec', commands], { cwd })
    const file = (name: string): string => join(cwd, name)
    const tls = { cert: file('server.crt'), key: file('server.key') }
    const app = await startApp(t, { config: { server: { tls } } })
    const sent = get(`${app.url.replace('127.0.0.1', 'localhost')}/health`, { ca: readFileSync(file('ca.crt')) })
    const [response] = await once(sent, 'response')
    response.resume()
    t.equal(response.statusCode, 200)
  }
)

t.test('CONTRIBUTING.md: add an action', async (t) => {
  t.test('takes ten lines at most, and so does a protocol', async (t) => {
    for (const chapter of readPage('CONTRIBUTING.md').split('\n## ').slice(1)) {
      if (!chapter.startsWith('Add ')) continue
      t.ok(chapter.trim().split('\n').slice(2).length <= 10, chapter.slice(0, 20))
    }
  })

  t.test('makes it callable over HTTP and WebSocket', async (t) => {
    const copy = makeDirectory(t)
    symlinkSync(`${root}node_modules`, `${copy}/node_modules`)
    for (const name of ['package.json', 'src', 'sdk', 'routes', 'plugins'])
      cpSync(root + name, `${copy}/${name}`, { recursive: true })
    change(`${copy}/src/actions/system.ts`, (text) => `${text}${action}`)
    change(`${copy}/src/protocols/draft-actions.ts`, (text) =>
      text.replace(/(export const draftActions.*= \[\n)/, `$1  same('roll_dice', Type.Object({ sides: Int })),\n`)
    )
    const { url, token } = await startCopy(t, copy)

    const answer = await fetch(`${url}/roll_dice`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{"sides":1}'
    })
    t.strictSame(await answer.json(), { status: 'ok', retcode: 0, data: { shows: 1 } })

    const bot = await openSocket(t, `${url.replace('http', 'ws')}/?access_token=${token}`)
    bot.send({ action: 'roll_dice', params: { sides: 0 }, echo: 1 })
    t.match(await bot.next(), { data: { status: 'failed', retcode: -101, message: 'a die has sides', echo: 1 } })
  })
})

/** Steps 2 to 4. */
const action = `
import { ActionError } from '../core/errors.ts'
import { Int } from '../schema/common.ts'

export const rollDice = defineAction({
  name: 'roll_dice',
  params: Type.Object({ sides: Int }),
  result: Type.Object({ shows: Int }),
  async run(_context, { sides }) {
    if (sides === 0) throw new ActionError('forbidden', 'a die has sides')
    return { shows: sides }
  }
})
`

function change(file: string, edit: (text: string) => string): void {
  const before = readFileSync(file, 'utf8')
  const after = edit(before)
  if (after === before) throw new Error(`${file} does not look as this test expects`)
  writeFileSync(file, after)
}

/** The first start of a checkout; gives what it prints for the stranger who runs it. */
async function startCopy(t: Test, checkout: string): Promise<{ url: string; token: string }> {
  const child = spawn('env', ['-i', process.execPath, 'src/main.js', 'start', '--port', '0'], {
    cwd: checkout,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  for await (const line of createInterface(child.stdout)) {
    const [, url, token] = /curl -s (http:\S+)\/get_login_info -H 'Authorization: Bearer (\S+)'/.exec(line) ?? []
    if (url && token) return { url, token }
  }
  throw new Error('the copy did not start')
}

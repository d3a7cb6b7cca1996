import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { text as readAll } from 'node:stream/consumers'
import { promisify } from 'node:util'
import t from 'tap'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config.ts'
import { startApp } from '../helpers/app.ts'
import { makeCertificates } from '../helpers/certificates.ts'
import { readPage, root } from './markdown.ts'

// What the image does, step by step, without a container. `env -i` keeps the hooks of the test runner out.
const run = promisify(execFile)
const dockerfile = readPage('Dockerfile')

t.test('Dockerfile', async (t) => {
  t.test('copies files that exist', async (t) => {
    const sources = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, names = '']) =>
      names.split(' ')
    )
    t.not(sources.length, 0)
    for (const name of sources) t.ok(existsSync(root + name), name)
  })

  t.test('its health check says whether the gateway answers', async (t) => {
    const [, command = '[]'] = /^HEALTHCHECK .*\n\s+CMD (\[.*\])$/m.exec(dockerfile) ?? []
    const [, ...args] = JSON.parse(command) as string[]
    const check = (env: Record<string, string>) => run(process.execPath, args, { env })
    const app = await startApp(t)
    await t.resolves(check({ LACTEA_PORT: new URL(app.url).port }))

    const sick = createServer((_request, response) => response.writeHead(500).end())
    t.teardown(() => sick.close())
    await once(sick.listen(0, '127.0.0.1'), 'listening')
    const port = String((sick.address() as AddressInfo).port)
    await t.rejects(check({ LACTEA_PORT: port }))

    const { server, ca } = await makeCertificates(t)
    const tls = { cert: server.certFile, key: server.keyFile }
    const secure = await startApp(t, { config: { server: { tls } } })
    await t.resolves(check({ LACTEA_PORT: new URL(secure.url).port }), 'with TLS too')

    const mutual = { ...tls, ca: ca.certFile, client_cert: 'require' }
    const strict = await startApp(t, { config: { server: { tls: mutual, listeners: [{ port: 0, doors: ['ops'] }] } } })
    const env = { LACTEA_PORT: new URL(strict.url).port }
    await t.rejects(check(env), 'it has no certificate to show')
    const inside = strict.lactea.addresses()[1]?.url
    await t.resolves(check({ ...env, HEALTH_URL: `${inside}/health` }), 'so it is told of an address that wants none')
  })

  t.test('the built program starts, works, and ends with 0', async (t) => {
    const dir = t.testdir()
    const tsc = `${root}node_modules/typescript/bin/tsc`
    const project = `${root}tsconfig.build.json`
    await run('env', ['-i', process.execPath, tsc, '--project', project, '--outDir', `${dir}/dist`])
    const args = ['NODE_ENV=production', process.execPath, 'dist/src/main.js', 'start', '--port', '0']
    const program = spawn('env', ['-i', ...args], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] })
    t.teardown(() => program.kill('SIGKILL'))
    const log = readAll(program.stderr)
    let call: RegExpExecArray | null = null
    for await (const line of createInterface(program.stdout)) {
      call = /curl -s (\S+) -H 'Authorization: (.*?)'/.exec(line)
      if (call) break
    }
    const [, url = '', authorization = ''] = call ?? []
    const headers = { authorization, 'content-type': 'application/json' }
    const answer = await fetch(url, { method: 'POST', headers, body: '{}' })
    t.match(await answer.json(), { status: 'ok', data: { uin: 10001 } })

    program.kill('SIGTERM')
    t.strictSame(await once(program, 'exit'), [0, null])
    const levels = (await log)
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { level: number }).level)
    t.ok(
      levels.every((level) => level < 40),
      'nothing went wrong in the background'
    )
  })
})

t.test('docker-compose.yml gives the gateway a configuration that it takes', async (t) => {
  const { services } = parse(readPage('docker-compose.yml')) as {
    services: Record<string, { environment: Record<string, string | number> }>
  }
  const given = Object.entries({ ...imageEnvironment(), ...services.gateway?.environment })
  const env = Object.fromEntries(
    given.map(([name, value]) => [name, String(value).replace(/\$\{MILKY_TOKEN:\?.*\}/, 'a-token')])
  )
  const { config } = loadConfig({ env, cwd: t.testdir() })
  t.match(config, {
    server: { host: '0.0.0.0' },
    data: { dir: '/data' },
    bots: [{ id: 10001, access_token: 'a-token' }]
  })
})

/** `ENV NAME=value \` and the lines that go on with it. */
function imageEnvironment(): Record<string, string> {
  const [block = ''] = /^ENV (?:.*\\\n)*.*/m.exec(dockerfile) ?? []
  return Object.fromEntries([...block.matchAll(/(\w+)=(\S+)/g)].map(([, name = '', value]) => [name, value ?? '']))
}

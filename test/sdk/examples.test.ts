import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { makeCertificates } from '../helpers/certificates.ts'
import { openSocket } from '../helpers/socket.ts'
import { envelope, isMessage } from './peers.ts'

const folder = resolve(import.meta.dirname, '../../sdk/examples')

interface Example {
  /** The next line it prints that fits; rejects when it ends before. */
  readonly line: (fits: RegExp) => Promise<RegExpExecArray>
  /** Its exit code. */
  readonly ended: Promise<number | null>
  readonly interrupt: () => void
}

/** An example in a process of its own, without the hooks of the test runner; killed when the test ends. */
function startExample(t: Test, name: string, env: Record<string, string> = {}): Example {
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`)
  const child = spawn('env', ['-i', ...variables, process.execPath, join(folder, name)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const ended = once(child, 'close').then(([code]) => code as number | null)
  t.teardown(() => {
    child.kill('SIGKILL')
    return ended
  })
  return {
    ended,
    interrupt: () => child.kill('SIGINT'),
    async line(fits) {
      for (;;) {
        const { value, done } = await lines.next()
        if (done) throw new Error(`${name} ended without saying ${fits}`)
        const match = fits.exec(String(value))
        if (match) return match
      }
    }
  }
}

async function startListening(
  t: Test,
  name: string,
  env: Record<string, string> = {}
): Promise<Example & { url: string }> {
  const example = startExample(t, name, { PORT: '0', ...env })
  const [, url = ''] = await example.line(/^listening at (\S+)/)
  return { ...example, url }
}

t.test('each is shorter than 40 lines, and is run here', async (t) => {
  const here = readFileSync(import.meta.filename, 'utf8')
  for (const name of readdirSync(folder)) {
    t.ok(readFileSync(join(folder, name), 'utf8').split('\n').length < 40, name)
    t.ok(here.includes(`'${name}'`), `${name} is run`)
  }
})

t.test('a simple server and a client', async (t) => {
  const server = await startListening(t, 'simple-server.ts')
  const client = startExample(t, 'client.ts', { URL: server.url })
  await client.line(/^sent: true$/)
  await client.line(/^heard: you said: Hello from client!$/)
  t.equal(await client.ended, 0)
  await server.line(/^gone: single_/)
  server.interrupt()
  t.equal(await server.ended, 0)
})

t.test('a client that finds no server says so and ends', async (t) => {
  const client = startExample(t, 'client.ts', { URL: 'ws://127.0.0.1:1/ws' })
  await client.line(/^not connected: .*ECONNREFUSED/)
  t.equal(await client.ended, 0)
})

t.test('a client with several connections', async (t) => {
  const server = await startListening(t, 'simple-server.ts')
  const client = startExample(t, 'multi-client.ts', { URL: server.url })
  await client.line(/^active: 3$/)
  const heard = [
    await client.line(/^heard on (\w+): you said: to \1/),
    await client.line(/^heard on (\w+): you said: to \1/)
  ]
  t.strictSame(new Set(heard.map(([, platform]) => platform)), new Set(['wechat', 'qq']))
  client.interrupt()
  t.equal(await client.ended, 0)
})

t.test('TLS, with certificates on both sides and on one', async (t) => {
  const { ca, server, client: own } = await makeCertificates(t)
  const files = { CERT: server.certFile, KEY: server.keyFile }
  const mutual = await startListening(t, 'tls-server.ts', { ...files, CA: ca.certFile })
  const known = startExample(t, 'tls-client.ts', {
    URL: mutual.url,
    CA: ca.certFile,
    CERT: own.certFile,
    KEY: own.keyFile
  })
  await known.line(/^connected$/)
  await mutual.line(/^heard: in private$/)
  t.equal(await known.ended, 0)
  const unknown = startExample(t, 'tls-client.ts', { URL: mutual.url, CA: ca.certFile })
  await unknown.line(/^not connected: /)
  t.equal(await unknown.ended, 0)

  const plain = await startListening(t, 'tls-server.ts', files)
  await startExample(t, 'tls-client.ts', { URL: plain.url, CA: ca.certFile }).line(/^connected$/)
})

t.test('custom messages', async (t) => {
  const example = startExample(t, 'custom-handlers.ts')
  const lines = [/^ping: {"n":1}$/, /^pong$/, /^notification: {"title":"notice","content":"hello"}$/, /^taken by: 1$/]
  const missing = new Set(lines)
  while (missing.size > 0) {
    const [text] = await example.line(/.*/)
    for (const line of missing) if (line.test(text)) missing.delete(line)
  }
  t.equal(await example.ended, 0)
})

t.test('broadcasts', async (t) => {
  const example = startExample(t, 'broadcast.ts')
  const heard: string[] = []
  while (heard.length < 5) heard.push((await example.line(/^user_\d on \w+: .*/))[0])
  t.strictSame(
    heard.toSorted((a, b) => (a < b ? -1 : 1)),
    [
      'user_0 on wechat: to all',
      'user_0 on wechat: to wechat',
      'user_1 on wechat: to all',
      'user_1 on wechat: to wechat',
      'user_2 on qq: to all'
    ]
  )
  t.equal(await example.ended, 0)
})

t.test('forwarding', async (t) => {
  const server = await startListening(t, 'forwarding.ts')
  const wechat = await openSocket(t, `${server.url}?api_key=wechat_key&platform=wechat`)
  wechat.send(envelope('early', 'm1', 'wechat_key', 'wechat'))
  await server.line(/^nobody is there/)
  const qq = await openSocket(t, `${server.url}?api_key=qq_key&platform=qq`)
  wechat.send(envelope('hi', 'm2', 'wechat_key', 'wechat'))
  await server.line(/^forwarded$/)
  t.match(await qq.find(isMessage), {
    payload: {
      message_info: { platform: 'qq', message_id: 'forward_hi' },
      message_segment: { data: 'hi' },
      message_dim: { api_key: 'qq_key', platform: 'qq' }
    }
  })
  await t.rejects(openSocket(t, `${server.url}?api_key=other`))
})

t.test('monitoring', async (t) => {
  const server = await startListening(t, 'monitoring.ts', { SECONDS: '0.05' })
  await server.line(/^users=0 connections=0 refused=0$/)
  await openSocket(t, `${server.url}?api_key=ann&platform=qq`, { headers: { 'x-uuid': 'u1' } })
  await server.line(/^users=1 connections=1 refused=0$/)
  await server.line(/^ {2}u1: ann on qq from 127\.0\.0\.1$/)
})

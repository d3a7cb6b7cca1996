import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { makeDirectory } from '../helpers/directory.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
const modules = join(root, 'node_modules')

/** As a stranger runs it: spawned directly, it would get the hooks of the test runner. */
const runClean = (cwd: string, ...command: string[]): Promise<{ stdout: string }> =>
  run('env', ['-i', `PATH=${join(modules, '.bin')}:/usr/bin:/bin`, `HOME=${cwd}`, ...command], { cwd })

const PROGRAM = `
import { Seg, WebSocketClient, WebSocketServer, MessageServer } from '@lactea/maim'

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, onMessage: (message) => server.sendMessage(message) })
await server.start()
const answered = Promise.withResolvers()
const client = new WebSocketClient({ url: server.address.url, apiKey: 'k', onMessage: answered.resolve })
await client.connect()
await client.sendMessage({
  message_info: { platform: 'default', message_id: '1', time: 1 },
  message_segment: Seg.text('there and back'),
  message_dim: { api_key: 'k', platform: 'default' }
})
console.log((await answered.promise).message_segment.data, typeof MessageServer)
await client.stop()
await server.stop()
`

const TYPED = `
import { createClientConfig, WebSocketClient, type APIMessageBase, type ClientStats } from '@lactea/maim'

const client = new WebSocketClient(createClientConfig({ url: 'ws://localhost/ws', apiKey: 'k', onMessage: (message) => take(message) }))
const stats: ClientStats = client.getStats()
const take = (message: APIMessageBase): string => message.message_dim.api_key + stats.connectionUuid
// @ts-expect-error a key has to be there
new WebSocketClient({ url: 'ws://localhost/ws' })
`

t.test('the packed library works outside, from plain JavaScript and with its types', async (t) => {
  const dir = makeDirectory(t)
  // Packed from a copy: the build writes beside the sources.
  const copy = join(dir, 'checkout', 'sdk')
  cpSync(join(root, 'sdk'), copy, { recursive: true, filter: (path) => !path.endsWith('/dist') })
  cpSync(join(root, 'tsconfig.json'), join(dir, 'checkout', 'tsconfig.json'))
  symlinkSync(modules, join(dir, 'checkout', 'node_modules'))
  await runClean(dir, 'npm', 'pack', copy, '--pack-destination', dir)
  const tarball = readdirSync(dir).find((name) => name.endsWith('.tgz')) ?? ''
  t.match(tarball, /^lactea-maim-\d+\.\d+\.\d+\.tgz$/)

  const files = (await runClean(dir, 'tar', '-tzf', tarball)).stdout.split('\n').filter(Boolean)
  for (const name of ['package.json', 'README.md', 'LICENSE', 'dist/index.js', 'dist/index.d.ts'])
    t.ok(files.includes(`package/${name}`), name)
  t.strictSame(
    files.filter((name) => !/^package\/(dist\/[\w-]+(\.d\.ts|\.js)|package\.json|README\.md|LICENSE)$/.test(name)),
    []
  )

  const home = join(dir, 'program')
  const installed = join(home, 'node_modules', '@lactea', 'maim')
  mkdirSync(installed, { recursive: true })
  await runClean(dir, 'tar', '-xzf', tarball, '--strip-components=1', '-C', installed)
  for (const name of ['ws', '@types']) symlinkSync(join(modules, name), join(home, 'node_modules', name))
  writeFileSync(join(home, 'package.json'), '{"type":"module"}')
  writeFileSync(join(home, 'program.js'), PROGRAM)
  t.equal((await runClean(home, 'node', 'program.js')).stdout, 'there and back function\n')

  writeFileSync(join(home, 'typed.ts'), TYPED)
  await t.resolves(
    runClean(
      home,
      'tsc',
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--types',
      'node',
      '--lib',
      'es2024',
      'typed.ts'
    )
  )
})

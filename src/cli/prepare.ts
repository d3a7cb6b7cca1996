import { mkdtemp, rm } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCache } from '../cache.js'

// Run when the gateway is installed: starts it once, asks it something and ends it, so that all that is compiled for that is
// there when it starts for the first time. Nothing is lost when this fails or takes too long.

const PATIENCE_MS = 30_000

process.once('exit', () => (process.exitCode = 0))
const deadline = setTimeout(() => process.exit(), PATIENCE_MS)
openCache()
const dir = await mkdtemp(join(tmpdir(), 'lactea-prepare-'))
try {
  const [{ buildApp }, { loadConfig }, { createLogger }] = await Promise.all([
    import('../app.ts'),
    import('../config.ts'),
    import('../log.ts'),
    // Not needed here, but at every start.
    import('./program.ts'),
    import('./start.ts')
  ])
  const { config } = loadConfig({ env: {}, cwd: dir, argv: { dataDir: join(dir, 'data'), port: '0' } })
  const { app, listen, addresses, welcome } = await buildApp(config, createLogger('fatal'))
  try {
    await listen()
    const url = addresses()[0]?.url ?? ''
    const headers = { authorization: `Bearer ${welcome?.token}`, 'content-type': 'application/json' }
    await (await fetch(`${url}/health`)).text()
    await (await fetch(`${url}/get_login_info`, { method: 'POST', headers, body: '{}' })).text()
  } finally {
    await app.close()
  }
} finally {
  await rm(dir, { recursive: true, force: true })
  flushCompileCache()
  clearTimeout(deadline)
}

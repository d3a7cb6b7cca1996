import { readFileSync } from 'node:fs'
import t from 'tap'

const lock = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as {
  packages: Record<string, { version: string; resolved?: string; dev?: boolean }>
}

const isAtLeast = (version: string, floor: string): boolean => {
  const [have = [], want = []] = [version, floor].map((text) => text.split('.').map(Number))
  const place = want.findIndex((part, index) => part !== have[index])
  return place === -1 || (have[place] ?? 0) > (want[place] ?? 0)
}

void t.test('no dependency is older than its last known hole', async (t) => {
  const floors = { fastify: '5.8.5', ws: '8.23.0', undici: '7.24.0' }
  for (const [name, floor] of Object.entries(floors)) {
    const found = Object.entries(lock.packages).filter(
      ([path, { dev }]) => !dev && path.endsWith(`node_modules/${name}`)
    )
    t.ok(found.length > 0, `${name} is there`)
    for (const [path, { version }] of found) t.ok(isAtLeast(version, floor), `${path} ${version} is at least ${floor}`)
  }
})

void t.test('the lock file names no server that packages came from', async (t) => {
  t.strictSame(
    Object.entries(lock.packages).filter(([, { resolved }]) => resolved !== undefined),
    []
  )
})

import { readFileSync } from 'node:fs'
import t from 'tap'

const lock = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as {
  packages: Record<string, { version: string; resolved?: string }>
}

const isAtLeast = (version: string, floor: string): boolean => {
  const [have = [], want = []] = [version, floor].map((text) => text.split('.').map(Number))
  const place = want.findIndex((part, index) => part !== have[index])
  return place === -1 || (have[place] ?? 0) > (want[place] ?? 0)
}

/** Below the second number of a row its first has holes that are known; of what came before that, only the named line is mended. */
const FLOORS: Record<string, { readonly floor: string; readonly olderLine?: string }> = {
  fastify: { floor: '5.8.5' },
  ws: { floor: '8.23.0' },
  undici: { floor: '7.24.0', olderLine: '6.24.0' },
  '@fastify/static': { floor: '10.1.3' },
  'fast-jwt': { floor: '6.3.0' },
  'socket.io-parser': { floor: '4.2.7' },
  'engine.io': { floor: '6.6.7' }
}
/** What has to be there, and what has no place in a gateway: hooks that paths slip by, other ways to read tokens and sockets. */
const NEEDED = ['fastify', 'ws', 'undici', 'jose']
const UNWANTED = [
  '@fastify/middie',
  'middie',
  '@fastify/express',
  '@fastify/jwt',
  'jsonwebtoken',
  'fast-jwt',
  'socket.io'
]

/** Every copy of a package, also below others. */
const copiesOf = (name: string): [path: string, version: string][] =>
  Object.entries(lock.packages).flatMap(([path, { version }]) =>
    path === `node_modules/${name}` || path.endsWith(`/node_modules/${name}`) ? [[path, version] as const] : []
  ) as [string, string][]

const isSound = (version: string, { floor, olderLine }: (typeof FLOORS)[string] & object): boolean => {
  const [major] = version.split('.', 1)
  const isOlderLine = olderLine !== undefined && olderLine.split('.', 1)[0] === major
  return isAtLeast(version, isOlderLine ? olderLine : floor)
}

void t.test('no dependency is older than its last known hole, tools and copies below others among them', async (t) => {
  for (const [name, floors] of Object.entries(FLOORS)) {
    for (const [path, version] of copiesOf(name)) t.ok(isSound(version, floors), `${path} ${version}`)
  }
  for (const name of NEEDED) t.ok(copiesOf(name).length > 0, `${name} is there`)
  for (const name of UNWANTED) t.strictSame(copiesOf(name), [], `${name} is not there`)
  t.notOk(isSound('8.22.9', { floor: '8.23.0' }))
  t.notOk(isSound('6.23.9', { floor: '7.24.0', olderLine: '6.24.0' }))
  t.ok(isSound('6.29.1', { floor: '7.24.0', olderLine: '6.24.0' }))
})

void t.test('the lock file names no server that packages came from', async (t) => {
  t.strictSame(
    Object.entries(lock.packages).filter(([, { resolved }]) => resolved !== undefined),
    []
  )
})

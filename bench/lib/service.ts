import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { makeDir, startChild, type Child } from './child.ts'

export interface Service {
  readonly child: Child
  readonly port: number
}

export interface ServiceOptions {
  /** Merged over the standard world at the top level. */
  readonly config?: object
  readonly isProbed?: boolean
  /** Where it keeps its things; another service may have run there before. One of its own when absent. */
  readonly dir?: string
}

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const UNREACHABLE = 1_000_000_000

/** Speaks in every bench. */
export const sender = { id: 10001, nickname: 'Sender', access_token: 'bench-token-of-the-sender-0000000000' }
/** Listen; all of them share group 100001 with the sender. */
export const listeners = Array.from({ length: 10 }, (_, index) => ({
  id: 10101 + index,
  nickname: `Listener ${index}`,
  access_token: `bench-token-of-listener-${index}-000000000000`
}))
export const GROUP = 100001

const world = {
  bots: [sender, ...listeners],
  provision: {
    friends: [[sender.id, listeners[0]?.id]],
    groups: [{ id: GROUP, name: 'Bench', owner: sender.id, members: listeners.map(({ id }) => id) }]
  },
  // Every limit counts as in real life, and refuses nobody.
  limits: {
    http_rate: UNREACHABLE,
    upgrade_rate: UNREACHABLE,
    frame_rate: UNREACHABLE,
    im_user_connects: UNREACHABLE,
    im_address_connects: UNREACHABLE
  }
}

/** The real service from a configuration file, on a free port, with a database of its own. */
export async function startService({
  config = {},
  isProbed = true,
  dir = makeDir()
}: ServiceOptions = {}): Promise<Service> {
  const file = join(dir, 'lactea.yaml')
  writeFileSync(file, stringify({ ...world, server: { port: 0 }, data: { dir: join(dir, 'data') }, ...config }))
  const child = startChild([MAIN, 'start', '--config', file], { isProbed })
  const [, port] = await child.findLine(/listens on http:\/\/[^:]+:(\d+)/)
  return { child, port: Number(port) }
}

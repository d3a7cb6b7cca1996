import { fileURLToPath } from 'node:url'
import { startChild, type Child } from './child.ts'

const BARE = fileURLToPath(new URL('./bare.ts', import.meta.url))

/** A process that does the least, or the usual: `serve…` (gives its port) or `post…` of `bare.ts`. */
export async function startBareServer(kind: string, given: unknown): Promise<{ child: Child; port: number }> {
  const child = startBare()
  return { child, port: await child.ask<number>(kind, given) }
}

export function startBare(): Child {
  return startChild([BARE])
}

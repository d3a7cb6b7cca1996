import type { Given, Path } from './given.ts'

interface Refusal {
  /** What may be given all the same. */
  accepts?: (given: Given) => boolean
  instead: string
}

const isEmptyList = (given: Given): boolean => given.kind === 'list' && given.items.length === 0

/**
 * Keys that the configuration promises and this version does not keep. They are refused, because a gateway that
 * ignores `tls` serves passwords in the clear. Remove a line when its feature is there.
 */
export const notYet: Record<string, Refusal> = {
  'server.tls': { instead: 'leave it out and put a reverse proxy in front' },
  'server.listeners': {
    accepts: isEmptyList,
    instead: 'leave it out; all doors are open at server.host and server.port'
  },
  'data.database': { instead: 'leave it out to use the embedded SQLite' },
  'data.nats': { instead: 'leave it out to run a single node' }
}

/** `['bots', 0, 'maim']` → `bots[].maim` */
export function toPattern(path: Path): string {
  return path
    .map((step) => (typeof step === 'number' ? '[]' : `.${step}`))
    .join('')
    .replace(/^\./, '')
}

/** The rest of the sentence that refuses the value, or undefined when this version can do it. */
export function findRefusal(path: Path, given: Given): string | undefined {
  const refusal = notYet[toPattern(path)]
  if (!refusal || refusal.accepts?.(given)) return undefined
  return `is not supported by this version yet; ${refusal.instead}`
}

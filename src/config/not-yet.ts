import type { Path } from './given.ts'

interface Refusal {
  instead: string
}

/**
 * Keys that the configuration promises and this version does not keep. They are refused, because a gateway that
 * ignores `database` keeps everything where nobody looks for it. Remove a line when its feature is there.
 */
export const notYet: Record<string, Refusal> = {
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
export function findRefusal(path: Path): string | undefined {
  const refusal = notYet[toPattern(path)]
  return refusal && `is not supported by this version yet; ${refusal.instead}`
}

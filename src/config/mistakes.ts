import type { Origin, Path } from './given.ts'

/** One thing to correct. `source` is a file, a variable or an option; `message` is a sentence and never holds a secret. */
export interface Mistake {
  path: string
  source?: string
  line?: number
  message: string
}

/** Everything that is wrong with the configuration, in one error; `message` has one line for each mistake. */
export class ConfigErrors extends Error {
  readonly mistakes: readonly Mistake[]

  constructor(mistakes: readonly Mistake[]) {
    super(mistakes.map(toLine).join('\n'))
    this.name = 'ConfigErrors'
    this.mistakes = mistakes
  }
}

/** Notes a mistake at a path; without an origin the place is looked up in what was given. */
export type Report = (path: Path, message: string, origin?: Origin) => void

/** `['bots', 0, 'id']` → `bots[0].id` */
export function formatPath(path: Path): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${formatKey(step)}`))
    .join('')
    .replace(/^\./, '')
}

/** Whatever follows the first word of an odd key may be a secret that ended up there by a slip of the quotes. */
export function formatKey(key: string): string {
  const [word] = /^[\w-]*/.exec(key) ?? ['']
  return word === key ? key : `${word}…`
}

/** In reading order: from the top of the file to its end, then what has no line. */
export function sortMistakes(mistakes: Mistake[]): Mistake[] {
  const sources = [...new Set(mistakes.map((mistake) => mistake.source))]
  const isElsewhere = ({ line }: Mistake): number => (line === undefined ? 1 : 0)
  return mistakes.toSorted(
    (one, other) =>
      isElsewhere(one) - isElsewhere(other) ||
      sources.indexOf(one.source) - sources.indexOf(other.source) ||
      (one.line ?? 0) - (other.line ?? 0)
  )
}

function toLine({ source, line, message }: Mistake): string {
  if (!source) return message
  return line === undefined ? `${source}: ${message}` : `${source}:${line}: ${message}`
}

import { pino, stdSerializers, type Logger } from 'pino'

export type { Logger }

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

/** Writes lines of which everything is taken out that is secret, or looks like it. */
export interface RootLogger extends Logger {
  /** From now on these texts are taken out too, wherever they stand; what was told before stays so. */
  readonly hide: (secrets: readonly string[]) => void
}

const NAME =
  '(?:[\\w-]{0,32}(?:token|secret|password|api_?key|apikey|authorization|cookie)s?|ticket|sig|setup_code|invite|invite_code|credential|webhook-signature)'

/** In a URL or a form; in JSON, escaped or not; as Node prints objects; lists of them; as a header; in the user part of a URL. */
const PATTERNS: readonly [RegExp, string][] = [
  [new RegExp(`\\b(${NAME})=[^&\\s"'\\\\]+`, 'gi'), '$1=***'],
  [new RegExp(`(\\\\{0,8}"${NAME}\\\\{0,8}"\\s*:\\s*\\\\{0,8}")(?:[^"\\\\]|\\\\[^"])+`, 'gi'), '$1***'],
  [new RegExp(`(\\b${NAME}'?: ')(?:[^'\\\\]|\\\\.)+`, 'gi'), '$1***'],
  [new RegExp(`(\\b${NAME}[\\\\"']*:\\s*\\[)[^\\]]*`, 'gi'), '$1'],
  [/\b(Bearer|Basic)[\s,]+[\w.~+/=:-]+/gi, '$1 ***'],
  [/(:\/\/)[^/\s"'@\\]+@/g, '$1***@'],
  // Ours by their form: tokens of people, keys that sign, and what `createToken` makes.
  [/(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*/g, '***'],
  [/(?<![\w-])whsec_[\w+/=-]+/g, 'whsec_***'],
  [/(?<![\w-])[\w-]{43}(?![\w-])/g, '***']
]

/** Takes everything that looks like a secret out of a line of the log. */
export function redact(line: string): string {
  return PATTERNS.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), line)
}

/**
 * JSON lines. Redaction is done where lines leave, not where they are made: whoever logs a URL, an error or a
 * configuration object tomorrow cannot forget it.
 */
export function createLogger(
  level: LogLevel,
  write: (line: string) => void = (line) => process.stderr.write(line)
): RootLogger {
  const { hide, withoutHidden } = createHiding()
  const log = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: serializeError } },
    { write: (line: string) => write(redact(withoutHidden(line))) }
  )
  return Object.assign(log, { hide })
}

/** Texts are looked up by as many of their first letters; shorter ones cannot be hidden. */
const START = 8

/** Takes texts out of lines, in a time that does not depend on how many they are. */
function createHiding(): { hide: (secrets: readonly string[]) => void; withoutHidden: (line: string) => string } {
  const byStart = new Map<string, string[]>()

  return {
    hide(secrets) {
      for (const text of secrets.flatMap(formsOf).filter(({ length }) => length >= START)) {
        const start = text.slice(0, START)
        const known = byStart.get(start) ?? []
        // The longest first: of two that begin alike the other would leave its end.
        if (!known.includes(text))
          byStart.set(
            start,
            [...known, text].toSorted((a, b) => b.length - a.length)
          )
      }
    },
    withoutHidden(line) {
      if (byStart.size === 0) return line
      let shown = ''
      let from = 0
      for (let at = 0; at + START <= line.length; at++) {
        const text = byStart.get(line.slice(at, at + START))?.find((secret) => line.startsWith(secret, at))
        if (text === undefined) continue
        shown += `${line.slice(from, at)}***`
        from = at + text.length
        at = from - 1
      }
      return shown + line.slice(from)
    }
  }
}

/** As it is, in a URL, and in JSON; which may stand in JSON, as every line does, and that again. */
function formsOf(secret: string): string[] {
  const forms = [encodeURIComponent(secret), secret]
  for (let depth = 0; depth < 3; depth++) forms.push(JSON.stringify(forms.at(-1)).slice(1, -1))
  return [...new Set(forms)]
}

/** What comes back within it is no news. */
const QUIET_MS = 60_000

/**
 * Gives what tells the operator that the database cannot be written, and that it can again (undefined). A disk that is
 * nearly full takes one change and refuses the next: that is told once a minute.
 */
export function tellTrouble(log: Logger, ticks = () => performance.now()): (reason: string | undefined) => void {
  let told = ''
  let toldAt = -Infinity
  let isTold = false
  return (reason) => {
    if (reason === undefined) {
      if (isTold) log.info('the database can be written again')
      isTold = false
      return
    }
    if (reason === told && ticks() - toldAt < QUIET_MS) return
    log.error({ reason }, 'the database cannot be written; whatever would change something is refused until it can')
    told = reason
    toldAt = ticks()
    isTold = true
  }
}

/** A request that cannot be parsed comes along with its error, byte by byte, in numbers that no pattern recognises. */
function serializeError(err: Error): object {
  const { rawPacket: _, ...told } = stdSerializers.err(err) as object & { rawPacket?: unknown }
  return told
}

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
  [new RegExp(`(\\\\*"${NAME}\\\\*"\\s*:\\s*\\\\*")(?:[^"\\\\]|\\\\[^"])+`, 'gi'), '$1***'],
  [new RegExp(`(\\b${NAME}'?: ')(?:[^'\\\\]|\\\\.)+`, 'gi'), '$1***'],
  [new RegExp(`(\\b${NAME}[\\\\"']*:\\s*\\[)[^\\]]*`, 'gi'), '$1'],
  [/\b(Bearer|Basic)[\s,]+[\w.~+/=:-]+/gi, '$1 ***'],
  [/(\w+:\/\/)[^/\s"'@\\]+@/g, '$1***@'],
  // Ours by their form: tokens of people, keys that sign, and what `createToken` makes.
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '***'],
  [/\bwhsec_[\w+/=-]+/g, 'whsec_***'],
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
  const hidden = new Set<string>()
  let pattern: RegExp | undefined

  const log = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: serializeError } },
    { write: (line: string) => write(redact(pattern ? line.replace(pattern, '***') : line)) }
  )
  return Object.assign(log, {
    hide(secrets: readonly string[]) {
      for (const secret of secrets) for (const form of formsOf(secret)) hidden.add(form)
      // The longest first: of two that begin alike the other would leave its end.
      const texts = [...hidden].toSorted((a, b) => b.length - a.length)
      pattern = texts.length > 0 ? new RegExp(texts.map((text) => RegExp.escape(text)).join('|'), 'g') : undefined
    }
  })
}

/** As it is, in JSON, in JSON that stands in JSON, and in a URL. */
function formsOf(secret: string): string[] {
  const inJson = JSON.stringify(secret).slice(1, -1)
  return [secret, inJson, JSON.stringify(inJson).slice(1, -1), encodeURIComponent(secret)]
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

import { pino, stdSerializers, type Logger } from 'pino'

export type { Logger }

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

const SECRET_KEY =
  '(?:access_token|refresh_token|token|ticket|sig|api_key|apikey|x-apikey|password|old_password|new_password|secret|jwt_secret|authorization)'

/** In a URL or a form; in JSON, escaped or not; as a header value; in the user part of a URL. */
const PATTERNS: readonly [RegExp, string][] = [
  [new RegExp(`\\b(${SECRET_KEY})=[^&\\s"'\\\\]+`, 'gi'), '$1=***'],
  [new RegExp(`(\\\\?"${SECRET_KEY}\\\\?"\\s*:\\s*\\\\?")(?:[^"\\\\]|\\\\[^"])+`, 'gi'), '$1***'],
  [/\b(Bearer|Basic)\s+[\w.~+/=:-]+/gi, '$1 ***'],
  [/(\w+:\/\/)[^/\s"'@\\]+@/g, '$1***@']
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
): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: serializeError } },
    { write: (line: string) => write(redact(line)) }
  )
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

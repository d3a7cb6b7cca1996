/** Where a server or client writes what it does. It never gets keys, tokens or the content of messages. */
export interface Logger {
  readonly debug: (text: string) => void
  readonly info: (text: string) => void
  readonly warn: (text: string) => void
  readonly error: (text: string) => void
}

export const LOG_LEVELS = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'SILENT'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const toStandardError = (level: LogLevel) => (text: string) => {
  process.stderr.write(`${new Date().toISOString()} ${level} maim: ${text}\n`)
}

const STANDARD_ERROR: Logger = {
  debug: toStandardError('DEBUG'),
  info: toStandardError('INFO'),
  warn: toStandardError('WARNING'),
  error: toStandardError('ERROR')
}

const silent = (): void => {}

/** Lets through what is at least as grave as `level`; to standard error when there is no logger. */
export function createLog(level: LogLevel, logger: Logger = STANDARD_ERROR): Logger {
  const rank = LOG_LEVELS.indexOf(level)
  const from = (index: number, write: (text: string) => void): ((text: string) => void) =>
    rank <= index ? write : silent
  return {
    debug: from(0, (text) => logger.debug(text)),
    info: from(1, (text) => logger.info(text)),
    warn: from(2, (text) => logger.warn(text)),
    error: from(3, (text) => logger.error(text))
  }
}

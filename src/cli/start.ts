import { setFlagsFromString } from 'node:v8'
import closeWithGrace from 'close-with-grace'
import { buildApp, type Lactea, type Reloaded } from '../app.ts'
import { ConfigErrors, DOORS, isUnspecified, type Config } from '../config.ts'
import { createLogger, type Logger } from '../log.ts'
import type { Welcome } from '../first-start.ts'

/** Every part ends in its own time, all of them within ten seconds; who does not is ended after so long. */
const HARD_STOP_MS = 30_000

/** How V8 collects garbage here. */
const GC_FLAGS = [
  // The heap may double between two collections of all of it, where V8 would collect every few seconds: with thousands of
  // sockets each of these takes the processor for 150 ms, and every hundredth message waits for that.
  '--heap-growing-percent=100',
  // When a collection of everything comes while many messages are under way, V8 may conclude that what they are made of
  // lives long, and lays it among what does from then on, where it keeps all that it refers to from being collected quickly.
  // Nothing here lives long that is made often.
  '--no-allocation-site-pretenuring'
]

/**
 * Runs the gateway until SIGTERM or SIGINT. A second signal ends it at once. `read` gives the configuration as it is now, for
 * a reload. Throws with a sentence when it cannot run.
 */
export async function start(config: Config, read: () => Config): Promise<void> {
  for (const flag of GC_FLAGS) setFlagsFromString(flag)
  // What Node writes when it crashes holds no variables: some of them are secrets.
  if (process.report) process.report.excludeEnv = true
  const log = createLogger(config.log.level)
  const lactea = await buildApp(config, log)
  const { app, welcome } = lactea
  try {
    await lactea.listen()
  } catch (err) {
    await app.close()
    throw err
  }
  process.on('SIGHUP', () => void reload(lactea, read, log))
  closeWithGrace({ delay: HARD_STOP_MS, logger: false, skip: ['SIGHUP'] }, async ({ signal, err }) => {
    if (err) log.fatal({ err }, 'an error that nobody handled; shutting down')
    else log.info({ signal }, 'shutting down')
    await app.close()
    log.info('closed')
  })
  if (isUnspecified(config.server.host) && config.server.public_url === null && config.server.bot_url === null)
    log.warn(
      'bots are told to fetch pictures from localhost; set server.bot_url, or server.public_url, when they run on other machines or in containers'
    )
  process.stdout.write(`${describeStart(config, lactea).join('\n')}\n`)
  await welcome?.markShown()
}

/** SIGHUP: certificates and the configuration are read again. Whatever is wrong, the gateway goes on as it was. */
async function reload(lactea: Lactea, read: () => Config, log: Logger): Promise<void> {
  try {
    if (lactea.renewCertificates()) log.info('the certificates were read again')
  } catch (err) {
    log.error({ err }, 'the certificates cannot be read again; the old ones stay')
  }
  try {
    tellReloaded(await lactea.reload(read()), log)
  } catch (err) {
    const mistakes = err instanceof ConfigErrors ? err.message.split('\n') : [(err as Error).message]
    log.error({ mistakes }, 'the configuration cannot be taken over; the old one stays')
  }
}

/** Keys alone: their values may be secrets. */
function tellReloaded({ applied, waiting, started, stopped, failure }: Reloaded, log: Logger): void {
  if (failure) log.error({ err: failure }, 'something of the new configuration cannot begin')
  if (waiting.length > 0)
    log.warn({ keys: waiting }, 'these keys were changed and need a restart; until then the old values count')
  const words =
    applied.length > 0
      ? 'the configuration was read again and applied'
      : 'the configuration was read again; nothing to apply'
  log.info({ keys: applied, started, stopped }, words)
}

function describeStart({ data }: Config, { addresses, welcome }: Lactea): string[] {
  const [main, ...further] = addresses()
  const url = main?.url ?? ''
  return [
    `Lactea listens on ${url}`,
    ...further.map(
      (at) => `  also on  ${at.url} (${at.doors.length < DOORS.length ? at.doors.join(', ') : 'all doors'})`
    ),
    `  data     ${data.dir}`,
    `  chat     ${url}/chat`,
    `  console  ${url}/console`,
    ...(welcome ? describeWelcome(url, welcome) : [])
  ]
}

function describeWelcome(url: string, { botId, token, setupCode }: Welcome): string[] {
  return [
    '',
    `First start: bot ${botId} was made. Its access token is shown this once (a new one: lactea bot token ${botId}):`,
    `  ${token}`,
    'Set-up code of the console, shown this once:',
    `  ${setupCode}`,
    'Try it:',
    `  curl -s ${url}/get_login_info -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' -d '{}'`
  ]
}

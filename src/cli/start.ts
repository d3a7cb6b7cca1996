import { setFlagsFromString } from 'node:v8'
import closeWithGrace from 'close-with-grace'
import { buildApp, type Lactea } from '../app.ts'
import { isUnspecified, toOrigin, type Config } from '../config.ts'
import { createLogger } from '../log.ts'
import type { Welcome } from '../first-start.ts'

/** An open connection may finish what it does for so long (a `docker stop` waits 10 s before it kills). */
const DRAIN_MS = 20_000

/**
 * The heap may double between two collections of all of it, where V8 would collect every few seconds: with thousands of
 * sockets each of these takes the processor for 150 ms, and every hundredth message waits for that.
 */
const GC_FLAG = '--heap-growing-percent=100'

/** Runs the gateway until SIGTERM or SIGINT. A second signal ends it at once. Throws with a sentence when it cannot run. */
export async function start(config: Config): Promise<void> {
  setFlagsFromString(GC_FLAG)
  const log = createLogger(config.log.level)
  const lactea = await buildApp(config, log)
  const { app, welcome } = lactea
  const { host, port } = config.server
  try {
    await app.listen({ host, port })
  } catch (err) {
    await app.close()
    throw new Error(describeListenError(err as NodeJS.ErrnoException, `${host}:${port}`), { cause: err })
  }
  // A terminal that closes, or an operator who expects a reload, must not end the service.
  process.on('SIGHUP', () => log.warn('the configuration is read at the start only; restart to apply a change'))
  closeWithGrace({ delay: DRAIN_MS, logger: false, skip: ['SIGHUP'] }, async ({ signal, err }) => {
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

function describeListenError({ code, message }: NodeJS.ErrnoException, address: string): string {
  if (code === 'EADDRINUSE')
    return `${address} is in use by another program: stop it, or choose another port with --port`
  if (code === 'EACCES') return `this user may not listen on ${address}: choose a port above 1023 with --port`
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `${address} is no address of this machine: choose another host with --host`
  return `cannot listen on ${address}: ${message}`
}

function describeStart({ server, data }: Config, { app, welcome }: Lactea): string[] {
  const bound = app.server.address()
  const port = typeof bound === 'object' && bound ? bound.port : server.port
  const url = toOrigin({ ...server, port })
  return [
    `Lactea listens on ${url}`,
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

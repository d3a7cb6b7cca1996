import type { Socket } from 'node:net'
import type { ClientOptions, WebSocket } from 'ws'
import { startDialer } from '../sdk/src/dialer.ts'
import { LEGACY_MAX_FRAME } from '../sdk/src/legacy-session.ts'
import { encodeHeader } from '../sdk/src/text.ts'
import { createClientTls, TlsError } from '../sdk/src/tls.ts'
import { maskUrl, type BotConfig, type Limits, type MaimConfig } from '../src/config.ts'
import type { Gateway } from '../src/gateway.ts'
import { createConnection } from '../src/net/connection.ts'
import { cursorName } from '../src/net/cursor.ts'
import type { Brain } from '../src/net/maim-brains.ts'
import { createApiLink, createLegacyLink, type MaimLink } from '../src/net/maim-link.ts'
import type { MaimStats } from '../src/net/maim-stats.ts'
import type { Running } from '../src/net/targets.ts'
import { createId } from '../src/secrets.ts'

export interface MaimClientOptions {
  readonly gateway: Gateway
  readonly bot: BotConfig
  readonly target: MaimConfig
  readonly limits: Limits
  readonly brain: Brain
  readonly stats: MaimStats
}

/** Largest frame that a server of the API-Server protocol takes, of those in the field (contract 2.7). */
const API_MAX_FRAME = 16 * 1024 * 1024

/** A link from a bot to its brain: we dial a maim_message server as an adapter does (contract 1.9, 2, 5.1). */
export async function startMaimClient(options: MaimClientOptions): Promise<Running> {
  const { gateway, bot, target, limits, stats } = options
  const { platform, url } = target
  const log = gateway.log.child({ door: 'maim-link', mode: target.mode, bot: bot.id, url: maskUrl(url), platform })
  const uuid = `lactea_${createId()}`
  const lookup = await gateway.outgoing.lookupFor(url, (words) => log.warn(words))
  const link = await createLink(options, log, uuid)

  function onOpen(socket: WebSocket, stream: Socket | undefined): (code: number) => void {
    const connection = createConnection({
      socket,
      maxQueuedBytes: limits.connection_buffer,
      onError: (err) => log.debug({ err }, 'socket error'),
      onSlow: () => log.warn('the other side reads too slowly, its socket is closed')
    })
    const leave = gateway.devices.add({ id: createId(), accountId: bot.id, kind: 'bot' })
    const close = link.open(socket, connection, stream)
    stats.links.connections++
    return (code) => {
      stats.links.connections--
      close(code)
      leave()
    }
  }

  const dialer = startDialer({
    url,
    socketOptions: {
      maxPayload: target.mode === 'legacy' ? limits.maim_legacy_frame : limits.maim_frame,
      headers: headersOf(target, uuid),
      // `ws` hands it on to Node, whatever its type declarations say.
      ...({ lookup } as object),
      ...tlsOf(target)
    },
    onOpen,
    onState(change) {
      if (change.state === 'open') log.info('connected')
      else log.warn({ why: explain(change.why, target), waitMs: change.waitMs }, 'not connected, will dial again')
    }
  })

  return {
    async stop() {
      await dialer.stop()
      await link.stop()
    }
  }
}

async function createLink(
  { gateway, bot, target, limits, brain, stats }: MaimClientOptions,
  log: Gateway['log'],
  uuid: string
): Promise<MaimLink> {
  const { store, hub, heartbeat, onError } = gateway
  const { mode, platform, url, api_key: apiKey, max_frame: maxFrame } = target
  const common = {
    accountId: bot.id,
    // Two links to one server under two names are two places.
    cursor: cursorName('maim', bot.id, `${platform} ${url}`),
    platform,
    notices: target.notices,
    frameRate: limits.frame_rate,
    ...brain,
    stats: stats.links,
    store,
    hub,
    heartbeat,
    log,
    onError
  }
  if (mode === 'legacy') return createLegacyLink({ ...common, maxFrame: maxFrame ?? LEGACY_MAX_FRAME })
  return createApiLink({
    ...common,
    maxFrame: maxFrame ?? API_MAX_FRAME,
    apiKey: apiKey ?? '',
    uuid,
    repeatMs: limits.maim_repeat
  })
}

/** What the real clients show (contract 1.1, 2.1). */
function headersOf({ mode, platform, token, api_key: apiKey }: MaimConfig, uuid: string): Record<string, string> {
  if (mode === 'legacy') return { platform: encodeHeader(platform), ...(token && { authorization: token }) }
  return { 'x-apikey': apiKey ?? '', 'x-platform': encodeHeader(platform), 'x-uuid': uuid }
}

/** Read at the start, so that what is wrong is told then. */
function tlsOf({ tls, url }: MaimConfig): ClientOptions {
  if (!tls) return {}
  const { ca, cert, key, verify, check_host: checkHostname } = tls
  try {
    const files = { ca: ca ?? undefined, cert: cert ?? undefined, key: key ?? undefined }
    // The type declarations of `ws` have another idea of `checkServerIdentity` than Node.
    return createClientTls({ ...files, verify, checkHostname }) as object
  } catch (err) {
    if (err instanceof TlsError) throw new Error(`maim link to ${maskUrl(url)}: tls.${err.message}`, { cause: err })
    throw err
  }
}

/** What the operator can do about it, where the failure says it. */
function explain(why: string, { mode, url }: MaimConfig): string {
  if (why.includes('401') || why.includes('1008'))
    return `${why}: the other side does not know the ${mode === 'legacy' ? 'token' : 'api_key'}`
  if (why.includes('403') && !new URL(url).pathname.endsWith('/ws'))
    return `${why}: is the path right? maim_message servers listen at /ws`
  if (why.includes('403') || why.includes('404')) return `${why}: no maim_message server answers at this path`
  return why
}

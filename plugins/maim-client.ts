import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { startDialer } from '../sdk/src/dialer.ts'
import { LEGACY_MAX_FRAME } from '../sdk/src/legacy-session.ts'
import { maskUrl, type BotConfig, type Limits, type MaimConfig } from '../src/config.ts'
import type { Gateway } from '../src/gateway.ts'
import { createConnection } from '../src/net/connection.ts'
import { cursorName } from '../src/net/cursor.ts'
import { callLink, readLinkTls } from '../src/net/dial.ts'
import { explainFailure } from '../src/net/explain.ts'
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
  const tls = readTls(target)
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
      headers: callLink(target, uuid).headers,
      // `ws` hands it on to Node, whatever its type declarations say.
      ...({ lookup } as object),
      ...tls
    },
    onOpen,
    onState(change) {
      if (change.state === 'open') log.info('connected')
      else
        log.warn(
          { why: explainFailure(change.why, { kind: target.mode, url }), waitMs: change.waitMs },
          'not connected, will dial again'
        )
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

/** Read at the start, so that what is wrong is told then. */
function readTls(target: MaimConfig): ReturnType<typeof readLinkTls> {
  try {
    return readLinkTls(target)
  } catch (err) {
    throw new Error(`maim link to ${maskUrl(target.url)}: ${(err as Error).message}`, { cause: err })
  }
}

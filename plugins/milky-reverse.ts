import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { WebSocket } from 'ws'
import { startDialer } from '../sdk/src/dialer.ts'
import { maskUrl, type BotConfig, type Limits, type ReverseConfig } from '../src/config.ts'
import type { Gateway } from '../src/gateway.ts'
import { CLOSE } from '../src/net/close-codes.ts'
import { createConfirmedPush } from '../src/net/confirmed-push.ts'
import { createConnection } from '../src/net/connection.ts'
import { cursorName } from '../src/net/cursor.ts'
import { callReverse } from '../src/net/dial.ts'
import { explainFailure } from '../src/net/explain.ts'
import { parseCursor, type Since } from '../src/net/log-place.ts'
import { isOwnMessage, serveCalls, type Serving } from '../src/net/serve.ts'
import type { Running } from '../src/net/targets.ts'
import { withCursor } from '../src/protocols/cursor-codec.ts'
import { createDraftSocketCodec } from '../src/protocols/milky-draft.ts'
import { createMilkySocketCodec } from '../src/protocols/milky-socket.ts'
import { createId } from '../src/secrets.ts'

export interface MilkyReverseOptions {
  readonly gateway: Gateway
  readonly bot: BotConfig
  readonly target: ReverseConfig
  readonly limits: Limits
}

/** How long calls under way may take when the gateway shuts down. */
const FINISH_MS = 3000

/**
 * Reverse WebSocket (contract 1.4): we dial, then everything is as on the server side. Milky 1.2 has no such thing; where
 * its format is wanted, its events and calls travel the same way. There is no acknowledgement, but RFC 6455 makes every
 * peer return a ping's payload: pings carry our place in the log, a pong confirms it, and after a cut the events behind
 * the last confirmed place are sent again.
 */
export async function startMilkyReverse({ gateway, bot, target, limits }: MilkyReverseOptions): Promise<Running> {
  const { store, hub } = gateway
  const log = gateway.log.child({ door: 'reverse-ws', bot: bot.id, url: maskUrl(target.url) })
  const [codec, dispatcher] =
    target.format === 'v1'
      ? [createMilkySocketCodec(gateway.links.absoluteLinkOf, limits.group_members), gateway.milky]
      : [createDraftSocketCodec(), gateway.draft]
  const cursorCodec = withCursor(codec)
  const push = await createConfirmedPush({
    store,
    hub,
    heartbeat: gateway.heartbeat,
    accountId: bot.id,
    cursor: cursorName('reverse', bot.id, target.url),
    wants: (event) => bot.report_self || !isOwnMessage(event, bot.id),
    encode: (event, tellsCursor) => (tellsCursor ? cursorCodec : codec).encodeEvent(event, bot.id),
    onSent(event) {
      // Whoever is switched off hears of it, and nothing after it.
      if (event.kind !== 'account.disabled') return false
      log.info('the bot is switched off, its address is not dialled any more')
      void dialer.stop(CLOSE.unauthenticated).catch(gateway.onError)
      return true
    },
    onError: gateway.onError
  })
  const lookup = await gateway.outgoing.lookupFor(target.url, (words) => log.warn(words))
  let serving: Serving | undefined

  function onOpen(socket: WebSocket, stream: Socket | undefined, answer: IncomingHttpHeaders): () => void {
    const connection = createConnection({
      socket,
      maxQueuedBytes: limits.connection_buffer,
      onError: (err) => log.debug({ err }, 'socket error'),
      onSlow: () => log.warn('the bot reads too slowly, its socket is closed')
    })
    const deviceId = createId()
    const leave = gateway.devices.add({ id: deviceId, accountId: bot.id, kind: 'bot' })
    serving = serveCalls({
      socket,
      connection,
      codec,
      dispatcher,
      accountId: bot.id,
      deviceId,
      frameRate: limits.frame_rate,
      onError: gateway.onError
    })
    const endPush = push.open(socket, connection, stream, sinceOf(answer))

    return () => {
      endPush()
      leave()
    }
  }

  const { url, headers } = callReverse(target, bot.id)
  const dialer = startDialer({
    url,
    socketOptions: {
      maxPayload: limits.milky_frame,
      headers,
      // `ws` hands it on to Node, whatever its type declarations say.
      ...({ lookup } as object)
    },
    onOpen,
    onState(change) {
      if (change.state === 'open') log.info('connected')
      else {
        const why = explainFailure(change.why, { kind: 'reverse', url: target.url })
        log.warn({ why, waitMs: change.waitMs }, 'not connected, will dial again')
      }
    }
  })

  return {
    async stop() {
      await Promise.race([serving?.finish(), delay(FINISH_MS, undefined, { ref: false })])
      await dialer.stop()
      await push.settled()
    }
  }
}

/** Where the server that we dialled wants to begin, as it said when it let us in: "now" only asks for cursors. */
function sinceOf(answer: IncomingHttpHeaders): Since {
  const since = answer['lactea-since']
  if (typeof since !== 'string') return undefined
  return since === 'now' ? since : parseCursor(since)
}

import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Undo } from '../core/bus.ts'
import type { Devices } from '../core/devices.ts'
import type { Store } from '../core/store.ts'
import type { Codec } from '../protocols/codec.ts'
import type { AccessWatch } from './access.ts'
import { startCatchUp } from './catch-up.ts'
import { CLOSE } from './close-codes.ts'
import { createConnection, type Connection } from './connection.ts'
import type { Heartbeat } from './heartbeat.ts'
import type { Hub } from './hub.ts'
import { isOwnMessage } from './serve.ts'
import type { Turnstile } from './turnstile.ts'

type Write = (fields: object, words: string) => void

/** As much of a logger as is needed here. */
export interface SocketLog {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
}

/** What a child of the logger would be: that holds half a kilobyte for each socket. */
class TaggedLog implements SocketLog {
  readonly #log: SocketLog
  readonly #tags: object

  constructor(log: SocketLog, tags: object) {
    this.#log = log
    this.#tags = tags
  }

  debug(fields: object, words: string): void {
    this.#log.debug({ ...this.#tags, ...fields }, words)
  }

  info(fields: object, words: string): void {
    this.#log.info({ ...this.#tags, ...fields }, words)
  }

  warn(fields: object, words: string): void {
    this.#log.warn({ ...this.#tags, ...fields }, words)
  }
}

export interface BotSocketOptions {
  readonly socket: WebSocket
  /** The TCP or TLS stream that the socket was opened on. */
  readonly stream: Socket
  readonly accountId: number
  readonly deviceId: string
  readonly codec: Codec
  /** It hears what comes after this event. */
  readonly from: number
  readonly store: Pick<Store, 'readEvents' | 'lastEventId'>
  readonly turnstile: Turnstile
  /** The bot also hears what it says itself. */
  readonly reportsSelf: () => boolean
  /** Unsent bytes at which the bot counts as slow. */
  readonly maxQueuedBytes: number
  readonly hub: Hub
  readonly devices: Devices
  readonly heartbeat: Heartbeat
  readonly tenure: Tenure
  readonly log: SocketLog
  /** By which door it came, for the log. */
  readonly door: string
}

/** On what terms a bot is here. */
export interface Tenure {
  readonly access: AccessWatch
  /** Whether the bot is not switched off. */
  readonly isOn: () => Promise<boolean>
  /** Whether what it came in with still opens the door to it. */
  readonly mayStay: () => Promise<boolean>
  readonly onError: (err: unknown) => void
}

/**
 * Calls `end` when the token of a bot is void. One that is switched off is not sent away here but by the event that says
 * so, which may still be on its way to it.
 */
export function watchTenure({ access, isOn, mayStay, onError }: Tenure, end: () => void): Undo {
  async function lookAtOnce(): Promise<void> {
    // While it came in, both may have changed, and been told to those who were there.
    if (!(await isOn()) || !(await mayStay())) end()
  }
  void lookAtOnce().catch(onError)
  return access.watch({ mayStay: async () => !(await isOn()) || mayStay(), end })
}

/**
 * A socket on which a bot that dialled us hears its events, from a place of the log until one side goes; pings carry how
 * far it was told. The bot is there for people as long as it is open. Everything is undone when it closes.
 */
export function openBotSocket(options: BotSocketOptions): Connection {
  const { socket, stream, accountId, deviceId, codec, from, reportsSelf, store, hub, turnstile } = options
  const { devices, heartbeat, tenure } = options
  const log = new TaggedLog(options.log, { door: options.door, bot: accountId })
  const connection = createConnection({
    socket,
    stream,
    maxQueuedBytes: options.maxQueuedBytes,
    onError: (err) => log.debug({ err }, 'socket error'),
    onSlow: () => log.warn({}, 'the bot reads too slowly, its socket is closed')
  })
  const end = (): void => connection.close(CLOSE.unauthenticated)
  const catchUp = startCatchUp({
    store,
    hub,
    turnstile,
    connection,
    codec,
    viewerId: accountId,
    deviceId,
    from,
    wants: (event) => !isOwnMessage(event, accountId) || reportsSelf(),
    onTold(event) {
      // Whoever is switched off hears of it, and nothing after it.
      if (event.kind === 'account.disabled') end()
    },
    onError: tenure.onError
  })
  const leave = devices.add({ id: deviceId, accountId, kind: 'bot' })
  heartbeat.watch(socket, { stream, payload: () => `cursor ${catchUp.position()}` })
  const unwatch = watchTenure(tenure, end)
  log.info({}, 'bot connected')
  socket.once('close', (code: number) => {
    catchUp.close()
    leave()
    unwatch()
    log.info({ code }, 'bot disconnected')
  })
  return connection
}

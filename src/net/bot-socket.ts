import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Undo } from '../core/bus.ts'
import type { Devices } from '../core/devices.ts'
import type { Codec } from '../protocols/codec.ts'
import type { AccessWatch } from './access.ts'
import { CLOSE } from './close-codes.ts'
import { createConnection, type Connection } from './connection.ts'
import type { Heartbeat } from './heartbeat.ts'
import type { Hub } from './hub.ts'
import { isOwnMessage } from './serve.ts'

/** As much of a logger as is needed here. */
export interface SocketLog {
  readonly debug: (fields: object, words: string) => void
  readonly info: (fields: object, words: string) => void
  readonly warn: (fields: object, words: string) => void
}

export interface BotSocketOptions {
  readonly socket: WebSocket
  /** The TCP or TLS stream that the socket was opened on. */
  readonly stream: Socket
  readonly accountId: number
  readonly deviceId: string
  readonly codec: Codec
  /** The bot also hears what it says itself. */
  readonly reportsSelf: () => boolean
  /** Unsent bytes at which the bot counts as slow. */
  readonly maxQueuedBytes: number
  readonly hub: Hub
  readonly devices: Devices
  readonly heartbeat: Heartbeat
  readonly tenure: Tenure
  readonly log: SocketLog
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
 * A socket on which a bot that dialled us hears its events, from now until one side goes; the bot is there for people as
 * long as it is open. Everything is undone when it closes.
 */
export function openBotSocket(options: BotSocketOptions): Connection {
  const { socket, stream, accountId, deviceId, codec, reportsSelf, hub, devices, heartbeat, tenure, log } = options
  const connection = createConnection({
    socket,
    stream,
    maxQueuedBytes: options.maxQueuedBytes,
    onError: (err) => log.debug({ err }, 'socket error'),
    onSlow: () => log.warn({}, 'the bot reads too slowly, its socket is closed')
  })
  const end = (): void => connection.close(CLOSE.unauthenticated)
  const detach = hub.attach({
    viewerId: accountId,
    deviceId,
    receive(event, frameOf) {
      if (isOwnMessage(event, accountId) && !reportsSelf()) return
      const frame = frameOf(codec, accountId)
      if (frame) connection.send(frame)
      // Whoever is switched off hears of it, and nothing after it.
      if (event.kind === 'account.disabled') end()
    }
  })
  const leave = devices.add({ id: deviceId, accountId, kind: 'bot' })
  heartbeat.watch(socket, { stream })
  const unwatch = watchTenure(tenure, end)
  log.info({}, 'bot connected')
  socket.once('close', (code: number) => {
    detach()
    leave()
    unwatch()
    log.info({ code }, 'bot disconnected')
  })
  return connection
}

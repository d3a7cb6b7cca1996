import type { WebSocket } from 'ws'
import type { Dispatcher } from '../core/dispatcher.ts'
import type { GatewayEvent } from '../core/event.ts'
import type { CallCodec } from '../protocols/codec.ts'
import { CLOSE } from './close-codes.ts'
import type { Connection } from './connection.ts'
import { createFrame } from './frame.ts'
import { FrameBudget } from './frame-budget.ts'

export interface ServeOptions {
  readonly socket: WebSocket
  readonly connection: Connection
  readonly codec: CallCodec
  readonly dispatcher: Dispatcher
  readonly accountId: number
  /** The bot's place among the devices: what lasts as long as the socket, such as typing, belongs to it. */
  readonly deviceId: string
  /** Frames per second that are read; a faster client is not refused, it is read more slowly. */
  readonly frameRate: number
  readonly onError: (err: unknown) => void
}

/** Calls of one socket that run at the same time; further frames stay in the network until some are answered. */
const MAX_IN_FLIGHT = 64

export interface Serving {
  /** Takes no more calls; resolves when those that were taken are answered. */
  readonly finish: () => Promise<void>
}

/**
 * Reads calls from a socket and answers each as it finishes; the same for sockets that dialled us and that we dialled
 * (draft "WebSocket 服务端" and "WebSocket 客户端").
 */
export function serveCalls({
  socket,
  connection,
  codec,
  dispatcher,
  accountId,
  deviceId,
  frameRate,
  onError
}: ServeOptions): Serving {
  const caller = { accountId, deviceId }
  const budget = new FrameBudget(socket, frameRate)
  let inFlight = 0
  let isFinishing = false
  let onIdle = (): void => {}

  /** Never rejects. All of it in one function: each promise more is felt. */
  async function answer(text: string): Promise<void> {
    try {
      const inbound = codec.decode(text)
      const outcome =
        inbound.kind === 'refused' ? inbound.outcome : await dispatcher.dispatch(inbound.action, inbound.params, caller)
      connection.send(createFrame(codec.encodeReply(inbound.echo, outcome, accountId)))
    } catch (err) {
      onError(err)
      connection.close(CLOSE.bug)
    } finally {
      if (inFlight-- === MAX_IN_FLIGHT) budget.release()
      if (inFlight === 0) onIdle()
    }
  }

  socket.on('message', (data, isBinary) => {
    // What still comes after the close is not run: nobody would hear the answer.
    if (isFinishing || !connection.isOpen()) return
    if (isBinary) return connection.close(CLOSE.binary)
    budget.take()
    if (++inFlight === MAX_IN_FLIGHT) budget.hold()
    void answer(String(data))
  })

  return {
    finish() {
      isFinishing = true
      if (inFlight === 0) return Promise.resolve()
      return new Promise((resolve) => (onIdle = resolve))
    }
  }
}

/** A bot hears nothing of what it says itself, unless it asked to. */
export function isOwnMessage(event: GatewayEvent, accountId: number): boolean {
  if (event.kind === 'message.created') return event.data.message.senderId === accountId
  // A bot that answers every upload with one would never end.
  return event.kind === 'file.uploaded' && event.data.accountId === accountId
}

import type { WebSocket } from 'ws'
import type { Dispatcher } from '../core/dispatcher.ts'
import type { GatewayEvent } from '../core/event.ts'
import type { CallCodec } from '../protocols/codec.ts'
import { CLOSE } from './close-codes.ts'
import type { Connection } from './connection.ts'
import { createFrame } from './frame.ts'
import { createFrameBudget } from './frame-budget.ts'

export interface ServeOptions {
  readonly socket: WebSocket
  readonly connection: Connection
  readonly codec: CallCodec
  readonly dispatcher: Dispatcher
  readonly accountId: number
  /** Frames per second that are read; a faster client is not refused, it is read more slowly. */
  readonly frameRate: number
  readonly onError: (err: unknown) => void
}

/** Calls of one socket that run at the same time; further frames stay in the network until some are answered. */
const MAX_IN_FLIGHT = 64

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
  frameRate,
  onError
}: ServeOptions): void {
  const caller = { accountId }
  const budget = createFrameBudget(socket, frameRate)
  let inFlight = 0

  async function answer(text: string): Promise<void> {
    const inbound = codec.decode(text)
    const outcome =
      inbound.kind === 'refused' ? inbound.outcome : await dispatcher.dispatch(inbound.action, inbound.params, caller)
    connection.send(createFrame(codec.encodeReply(inbound.echo, outcome, accountId)))
  }

  socket.on('message', (data, isBinary) => {
    if (isBinary) return connection.close(CLOSE.binary)
    budget.take()
    if (++inFlight === MAX_IN_FLIGHT) budget.hold()
    void answer(String(data))
      .catch((err: unknown) => {
        onError(err)
        connection.close(CLOSE.bug)
      })
      .finally(() => {
        if (inFlight-- === MAX_IN_FLIGHT) budget.release()
      })
  })
}

/** A bot hears nothing of what it says itself, unless it asked to. */
export function isOwnMessage(event: GatewayEvent, accountId: number): boolean {
  return event.kind === 'message.created' && event.data.message.senderId === accountId
}

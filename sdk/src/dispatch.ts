import { toCustomType, type CustomHandler } from './custom-type.ts'
import { createMessageId, type Envelope } from './envelope.ts'
import type { Logger } from './log.ts'
import { APIMessageBase, isObject, MessageError, Seg, type Id, type MessageDim } from './message.ts'
import type { Received } from './session.ts'
import type { Counters } from './stats.ts'

export interface Dispatch<Metadata> {
  /** Key and platform of the connection. */
  readonly self: MessageDim
  readonly metadataOf: (envelope: Envelope) => Metadata
  readonly onMessage: ((message: APIMessageBase, metadata: Metadata) => unknown) | undefined
  /** By full type, with `custom_`. */
  readonly handlers: ReadonlyMap<string, CustomHandler<Metadata>>
  readonly counters: Counters
  readonly log: Logger
}

/** Custom handlers by their full type. */
export function toHandlers<Metadata>(
  handlers: Readonly<Record<string, CustomHandler<Metadata>>>
): Map<string, CustomHandler<Metadata>> {
  return new Map(Object.entries(handlers).map(([name, handler]) => [toCustomType(name), handler]))
}

/** Calls the handler that a message is for (contract 2.4); what nobody is there for is logged. Throws what the handler throws. */
export function dispatch<Metadata>(received: Received, to: Dispatch<Metadata>): undefined | Promise<undefined> {
  const { envelope } = received
  const { type } = envelope
  const { counters, log, metadataOf } = to
  if (type === 'sys_std') {
    const message = readOrWarn(received, to)
    if (!message || !to.onMessage) return undefined
    counters.messagesProcessed++
    return run(to.onMessage(message, metadataOf(envelope)), counters)
  }
  const handler = typeof type === 'string' ? to.handlers.get(type) : undefined
  if (handler) {
    counters.customMessagesProcessed++
    return run(handler(envelope, metadataOf(envelope)), counters)
  }
  if (typeof type !== 'string' || !type.startsWith('sys_'))
    log.warn(`a message of a type that nobody handles was dropped: ${shorten(type)}`)
  return undefined
}

function run(result: unknown, counters: Counters): undefined | Promise<undefined> {
  if (!(result instanceof Promise)) return undefined
  counters.activeHandlerTasks++
  return result.then(() => undefined).finally(() => void counters.activeHandlerTasks--)
}

function readOrWarn<Metadata>(received: Received, { self, log }: Dispatch<Metadata>): APIMessageBase | undefined {
  try {
    const message = readStandard(received, self)
    if (!message) log.warn('payload: expected an object, the message was dropped')
    return message
  } catch (err) {
    if (!(err instanceof MessageError)) throw err
    log.warn(`${err.message}; the message was dropped`)
    return undefined
  }
}

/**
 * The message in a `sys_std`. Objects, lists and texts that are no message are wrapped into one as text, as if the
 * connection had written to itself; nothing else can be read (contract 2.4). Throws `MessageError`.
 */
export function readStandard({ envelope, payloadText }: Received, self: MessageDim): APIMessageBase | undefined {
  const { payload = {}, msg_id } = envelope
  if (isObject(payload) && 'message_info' in payload && 'message_segment' in payload)
    return APIMessageBase.from(payload)
  if (typeof payload !== 'string' && (typeof payload !== 'object' || payload === null)) return undefined
  const isId = (typeof msg_id === 'string' || typeof msg_id === 'number') && msg_id !== ''
  return {
    message_info: {
      platform: self.platform,
      message_id: isId ? (msg_id as Id) : createMessageId(),
      time: Date.now() / 1000
    },
    message_segment: Seg.text(typeof payload === 'string' ? payload : (payloadText ?? '{}')),
    message_dim: self
  }
}

/** Text of others for a log: one line, and no more than is needed to find it. */
export function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? 'none'
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

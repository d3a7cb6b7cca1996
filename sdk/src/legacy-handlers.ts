import type { CustomMessage } from './custom.ts'
import type { LegacyFrame } from './legacy-session.ts'
import { MessageBase, MessageError } from './message.ts'

/** Where a message of the legacy protocol came from. */
export interface MessageOrigin {
  /** Name of the connection: what its handshake says. `message_info.platform` may be another. */
  readonly platform: string
  /** The frame exactly as it was written. */
  readonly text: string
}

export type MessageHandler = (message: MessageBase, from: MessageOrigin) => void | Promise<void>
/** Gets the whole object, not only its `content` (contract 1.5). */
export type CustomMessageHandler = (message: CustomMessage, from: MessageOrigin) => void | Promise<void>

/** What a program may want to know of a connection beside its messages. */
export interface LegacyHooks {
  /** A frame was passed over: no JSON object, no message by the rules of contract 1.4, or a custom message that nobody listens to. `why` begins with the field. */
  readonly onDropped?: (why: string, from: MessageOrigin) => void
  /** A handler threw or rejected; the other handlers and the connection go on. Written to the console when absent. */
  readonly onError?: (err: unknown) => void
}

/** The handlers of one server, client or router, and how messages get to them. */
export class LegacyHandlers {
  readonly #messages = new Set<MessageHandler>()
  readonly #custom = new Map<string, CustomMessageHandler>()
  readonly #onDropped: NonNullable<LegacyHooks['onDropped']>
  readonly onError: (err: unknown) => void

  constructor({ onDropped = () => {}, onError = (err) => console.error(err) }: LegacyHooks) {
    this.#onDropped = onDropped
    this.onError = onError
  }

  /** Every handler gets every message, in the order in which they were added. Gives back its undo. */
  add(handler: MessageHandler): () => void {
    this.#messages.add(handler)
    return () => void this.#messages.delete(handler)
  }

  /** One handler per name; a later one takes the place of the earlier. Gives back its undo. */
  addCustom(name: string, handler: CustomMessageHandler): () => void {
    this.#custom.set(name, handler)
    return () => {
      if (this.#custom.get(name) === handler) this.#custom.delete(name)
    }
  }

  readonly isKnown = (name: string): boolean => this.#custom.has(name)

  drop(why: string, platform: string, text = ''): void {
    this.#onDropped(why, { platform, text })
  }

  async message({ text, fields }: LegacyFrame, platform: string): Promise<void> {
    let message: MessageBase
    try {
      message = MessageBase.from(fields)
    } catch (err) {
      if (!(err instanceof MessageError)) throw err
      return this.drop(err.message, platform, text)
    }
    const from = { platform, text }
    await Promise.all([...this.#messages].map((handler) => this.#run(() => handler(message, from))))
  }

  async customMessage(custom: CustomMessage, text: string, platform: string): Promise<void> {
    const handler = this.#custom.get(custom.message_type_name)
    if (!handler) return this.drop(`message_type_name: nobody listens to "${custom.message_type_name}"`, platform, text)
    await this.#run(() => handler(custom, { platform, text }))
  }

  async #run(handle: () => void | Promise<void>): Promise<void> {
    try {
      await handle()
    } catch (err) {
      this.onError(err)
    }
  }
}

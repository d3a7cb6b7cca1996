import type { MessageBase } from '../../sdk/src/message.ts'
import type { GatewayEvent } from '../core/event.ts'

export interface TellOptions {
  /** What the road to the brain is called: `message_info.platform` and every `platform` in it. */
  readonly platform: string
  /** Bytes that the JSON of the message may have. */
  readonly maxBytes: number
}

/** Tells a brain what its bot hears in chats (contract 5.1–5.3). */
export interface Teller {
  /**
   * The event as a message of the legacy protocol; undefined for what brains have no word for, and for what the bot says
   * itself. Media that do not fit into `maxBytes` are told by a link. Rejects when the bytes of media cannot be read.
   */
  readonly tell: (event: GatewayEvent, options: TellOptions) => Promise<MessageBase | undefined>
}

import type { MessageBase } from '../../sdk/src/message.ts'

export interface HearOptions {
  /** Names the message among all that this brain sends, also after a restart: said again under it, it is said once. */
  readonly key: string | undefined
}

/** A custom message for the brain, without the `custom_` that the API-Server protocol puts before its name. */
export interface Answer {
  readonly name: 'message_id_echo' | 'command_response'
  readonly content: object
}

export interface Heard {
  readonly answers: readonly Answer[]
  /** Why nothing was said, for people; absent when everything was. */
  readonly undeliverable?: string
}

/** Does in chats what a brain says: one bot's mouth. */
export interface Hearer {
  /**
   * Says a message in the chat that it names, as the bot, and runs the commands in it, in the order of the calls.
   * What can never work resolves with `undeliverable`; rejects for what may work when it is tried again.
   */
  readonly hear: (message: MessageBase, options: HearOptions) => Promise<Heard>
}

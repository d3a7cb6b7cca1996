import { createHash } from 'node:crypto'
import type { MessageBase } from '../../sdk/src/message.ts'
import type { Chats } from '../core/chats.ts'
import type { Dispatcher } from '../core/dispatcher.ts'
import { ActionError } from '../core/errors.ts'
import type { Links } from '../core/links.ts'
import type { Store } from '../core/store.ts'
import { CommandError, type Command } from '../protocols/maim-command.ts'
import { isDeed, runCommand, type CommandTools } from '../protocols/maim-commands.ts'
import { readSpeech, type Speech } from '../protocols/maim-hearing.ts'
import type { Target } from '../protocols/maim-target.ts'

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
   * What was read of a frame has lost the hints outside of `additional_config`: `withHints` puts them back.
   */
  readonly hear: (message: MessageBase, options: HearOptions) => Promise<Heard>
}

/** What a `Gateway` has. */
export interface HearerOptions {
  /** The bot that speaks. */
  readonly accountId: number
  readonly dispatcher: Pick<Dispatcher, 'dispatch'>
  readonly chats: Pick<Chats, 'locate'>
  readonly store: Pick<Store, 'findChat' | 'findMessageId'>
  readonly links: Pick<Links, 'findFileId'>
  readonly log: { readonly debug: (fields: object, words: string) => void }
  /** Unix seconds. */
  readonly now: () => number
}

/** Messages that wait until those before them are said; one that fetches pictures holds up the others. */
const MAX_WAITING = 1000
/** Commands that are known again. */
const MAX_REMEMBERED = 1000

export function createHearer(options: HearerOptions): Hearer {
  const { accountId, dispatcher, links, log, now } = options
  const tools = createTools(options)
  /** What came of commands that have changed something, by the key of their message. */
  const done = new Map<string, Answer>()
  let waiting = 0
  let last: Promise<unknown> = Promise.resolve()

  async function carryOut(message: MessageBase, key: string | undefined): Promise<Heard> {
    const speech = readSpeech(message, { selfId: accountId, findFileId: links.findFileId })
    const { commands, passedOver } = speech
    if (passedOver.length > 0) log.debug({ types: passedOver }, 'segments that mean nothing in a chat are left out')
    const said = await say(speech, message, key && digest(key))
    const answers = [...said.answers]
    for (const [index, command] of commands.entries())
      answers.push(await obey(command, speech.target, key && digest(`${key} ${index}`)))
    return { ...said, answers }
  }

  async function say(
    { target, said, commands, passedOver }: Speech,
    { message_info: { message_id } }: MessageBase,
    client_id: string | undefined
  ): Promise<Heard> {
    if (said.length === 0 && commands.length > 0) return NOTHING
    if (said.length === 0) return { answers: [], undeliverable: explainEmpty(passedOver) }
    if (typeof target === 'string') return { answers: [], undeliverable: target }
    const params = { ...target, message: said, ...(client_id !== undefined && { client_id }) }
    const outcome = await dispatcher.dispatch('say_in_chat', params, { accountId })
    if (outcome.ok) {
      const { message_id: actual } = outcome.data as { message_id: number }
      if (message_id == null) return NOTHING
      const content = { type: 'echo', echo: message_id, actual_id: String(actual) }
      return { answers: [{ name: 'message_id_echo', content }] }
    }
    if (mayWorkLater(outcome.error) || (client_id !== undefined && isUndecided(outcome.error))) throw outcome.error
    return { answers: [], undeliverable: outcome.error.message }
  }

  /** A command is always answered, so that nobody waits; what failed for now is not remembered, and may be sent again. */
  async function obey(command: Command, given: Target | string, name: string | undefined): Promise<Answer> {
    const known = name === undefined ? undefined : done.get(name)
    if (known) return known
    const target = typeof given === 'string' ? undefined : given
    const { result, error } = await tryCommand(command, target)
    const isSuccess = error === undefined
    const answer: Answer = {
      name: 'command_response',
      content: {
        command_name: command.name,
        success: isSuccess,
        timestamp: now(),
        ...(isSuccess ? { data: result } : { error: error.message })
      }
    }
    const isForGood = isSuccess || !(error instanceof ActionError && mayWorkLater(error))
    if (name !== undefined && isDeed(command.name) && isForGood) remember(name, answer)
    return answer
  }

  async function tryCommand(
    command: Command,
    target: Target | undefined
  ): Promise<{ result?: unknown; error?: CommandError | ActionError }> {
    try {
      return { result: await runCommand(command, target, tools) }
    } catch (error) {
      if (error instanceof CommandError || error instanceof ActionError) return { error }
      throw error
    }
  }

  function remember(name: string, answer: Answer): void {
    done.set(name, answer)
    const [oldest] = done.keys()
    if (done.size > MAX_REMEMBERED && oldest !== undefined) done.delete(oldest)
  }

  return {
    hear(message, { key }) {
      if (waiting >= MAX_WAITING)
        return Promise.reject(
          new ActionError('unavailable', `${MAX_WAITING} messages wait to be said already; try again later`)
        )
      waiting++
      const turn = last.then(() => carryOut(message, key))
      const end = (): void => void waiting--
      last = turn.then(end, end)
      return turn
    }
  }
}

const NOTHING: Heard = { answers: [] }

function createTools({ accountId, dispatcher, chats, store }: HearerOptions): CommandTools {
  return {
    async call(action, params) {
      const outcome = await dispatcher.dispatch(action, params, { accountId })
      if (!outcome.ok) throw outcome.error
      return outcome.data
    },
    async findMessage(messageId) {
      const { chatId, seq: message_seq } = await chats.locate(accountId, messageId)
      const chat = await store.findChat(chatId)
      if (chat?.kind !== 'private') return { message_scene: 'group', peer_id: chatId, message_seq }
      const peer = chat.parties.find(({ id }) => id !== accountId)
      return { message_scene: 'friend', peer_id: peer?.id ?? accountId, message_seq }
    },
    async findMessageId(messageId, seq) {
      const { chatId } = await chats.locate(accountId, messageId)
      return store.findMessageId(chatId, seq)
    }
  }
}

/** Names of any length become names that a message can have. */
function digest(key: string): string {
  return createHash('sha256').update(key).digest('base64url')
}

/** The database and the machine recover; what could not be fetched from elsewhere, or was our mistake, fails the same way again. */
function mayWorkLater({ reason, details }: ActionError): boolean {
  return reason === 'rate_limited' || reason === 'no_space' || (reason === 'unavailable' && details.field === undefined)
}

/** It may have been said, or still be; under its name it is said once, however often it is sent. */
function isUndecided({ reason }: ActionError): boolean {
  return reason === 'timeout' || reason === 'unknown'
}

function explainEmpty(types: readonly string[]): string {
  if (types.length === 0) return 'message_segment: there is nothing in it to be said'
  return `message_segment: there is nothing in it that can be said in a chat, only ${types.join(', ')}`
}

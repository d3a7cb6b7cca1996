import { hash } from 'node:crypto'
import { MessageConverter } from '../../sdk/src/converter.ts'
import { createMessageId, encodeEnvelope, encodeRaw, type Envelope } from '../../sdk/src/envelope.ts'
import { APIMessageBase, isObject, MessageError, type InfoBase, type MessageBase } from '../../sdk/src/message.ts'
import type { Line } from '../../sdk/src/outbox.ts'
import type { AckNote, Received } from '../../sdk/src/session.ts'
import { withHints } from '../protocols/maim-target.ts'
import type { NoticeForm } from '../protocols/maim-telling.ts'
import type { BrainOf } from './maim-brains.ts'
import type { Address, MaimPost } from './maim-post.ts'
import type { DoorStats } from './maim-stats.ts'
import type { PlatformNames } from './platform-names.ts'

/** A key of the API-Server door, as the configuration has it. */
export interface MaimKey {
  readonly api_key: string
  readonly account: number
  /** Its holder hears and speaks in the chats of the account. */
  readonly chats: boolean
  readonly notices: NoticeForm
  /** Largest frame that its holder takes, in bytes. */
  readonly max_frame: number | null
}

/** Who sent a message. */
export interface Sender extends Address {
  readonly key: MaimKey
  /** The `x-uuid` of the connection. */
  readonly uuid: string
  readonly line: Line
  /** See `saltOf`. */
  readonly salt: string
}

export interface DispatchOptions {
  readonly findKey: (apiKey: string) => MaimKey | undefined
  readonly post: Pick<MaimPost, 'send' | 'size'>
  readonly names: PlatformNames
  readonly brainOf: BrainOf
  readonly stats: DoorStats
  readonly log: { readonly debug: (fields: object, words: string) => void }
  readonly onError: (err: unknown) => void
}

/** Does what a message asks for; gives the note for its acknowledgement. Calls are made in the order of the messages. */
export type MaimDispatch = (sender: Sender, received: Received) => AckNote | Promise<AckNote>

/** Names of platforms become names of roads, which are stored. */
export const MAX_PLATFORM = 255

/**
 * What the real library leaves to the application (contract 2.4, 2.5): messages go where their `message_dim` says, or are
 * said in a chat; custom messages go the same way, or to the other connections of their sender. Whatever cannot be
 * delivered is acknowledged all the same, and the acknowledgement says why.
 */
export function createMaimDispatch(options: DispatchOptions): MaimDispatch {
  const { findKey, post, names, brainOf, stats, log, onError } = options

  function refuse(sender: Sender, undeliverable: string): AckNote {
    const { accountId: account, platform, uuid } = sender
    stats.undeliverable++
    log.debug({ account, platform, uuid, why: undeliverable }, 'a maim message is for nobody')
    return { undeliverable }
  }

  function standard(sender: Sender, received: Received): AckNote | Promise<AckNote> {
    const { payload } = received.envelope
    const message = readMessage(payload)
    if (message instanceof MessageError) return refuse(sender, message.message)
    const target = findKey(message.message_dim.api_key)
    if (!target) return refuse(sender, 'no such key')
    if (target.account === sender.accountId && sender.key.chats) {
      const speech = toSpeech(message, payload)
      if (speech) return speak(sender, received, speech)
    }
    return route(sender, received, target, message.message_dim.platform)
  }

  function custom(sender: Sender, received: Received): AckNote | Promise<AckNote> {
    const { payload } = received.envelope
    const dim = isObject(payload) ? payload['message_dim'] : undefined
    if (isObject(dim) && typeof dim['api_key'] === 'string') {
      const target = findKey(dim['api_key'])
      return target ? route(sender, received, target, dim['platform']) : refuse(sender, 'no such key')
    }
    if (post.size(sender) < 2) return refuse(sender, 'nobody else is connected under this account and platform')
    const { msgId, text } = pack(sender, received, sender)
    return post.send(sender, { msgId, text, except: sender.line })
  }

  function route(
    sender: Sender,
    received: Received,
    { account, max_frame }: MaimKey,
    platform: unknown
  ): AckNote | Promise<AckNote> {
    if (typeof platform !== 'string' || platform.length > MAX_PLATFORM || !names.admit(account, platform))
      return refuse(sender, 'no such platform')
    const address = { accountId: account, platform }
    const parcel = pack(sender, received, address)
    if (max_frame !== null && Buffer.byteLength(parcel.text) > max_frame)
      return refuse(sender, `too large for the receiver, who takes ${max_frame} bytes`)
    const isForSender = account === sender.accountId && platform === sender.platform
    return post.send(address, { ...parcel, isForSender })
  }

  async function speak(sender: Sender, { key }: Received, speech: MessageBase): Promise<AckNote> {
    const { accountId, platform, uuid } = sender
    const name = key && `api ${platform} ${uuid} ${key}`
    const { answers, undeliverable } = await brainOf(accountId).hearer.hear(speech, { key: name })
    // The acknowledgement goes first, as with the real server (contract 2.3).
    if (answers.length > 0) setImmediate(answer, sender, answers)
    return undeliverable === undefined ? undefined : refuse(sender, undeliverable)
  }

  function answer(sender: Sender, answers: readonly { readonly name: string; readonly content: object }[]): void {
    const { accountId, platform } = sender
    for (const { name, content } of answers) {
      const msgId = createMessageId('custom')
      const meta = metaOf('server', sender)
      post
        .send({ accountId, platform }, { msgId, text: encodeEnvelope(`custom_${name}`, msgId, meta, content) })
        .catch(onError)
    }
  }

  return (sender, received) => {
    const { type } = received.envelope
    if (type === 'sys_std') return standard(sender, received)
    if (typeof type === 'string' && type.startsWith('custom_')) return custom(sender, received)
    return undefined
  }
}

function readMessage(payload: unknown): APIMessageBase | MessageError {
  try {
    return APIMessageBase.from(payload)
  } catch (err) {
    if (err instanceof MessageError) return err
    throw err
  }
}

/** What a brain says to people: it names a receiver. Undefined for what is said to other programs. */
function toSpeech(message: APIMessageBase, payload: unknown): MessageBase | undefined {
  const speech = withHints(MessageConverter.fromApiSend(message), payload)
  const { sender_info, receiver_info } = message.message_info
  if (receiver_info) return namesSomebody(receiver_info) ? speech : undefined
  if (sender_info) return undefined
  // The converters of the library put a side in between; whoever writes messages by hand may not.
  const direct = isObject(payload) && isObject(payload['message_info']) ? payload['message_info'] : {}
  const { group_info = null, user_info = null } = direct as InfoBase
  if (!namesSomebody({ group_info, user_info })) return undefined
  return { ...speech, message_info: { ...speech.message_info, group_info, user_info } }
}

function namesSomebody({ group_info, user_info }: InfoBase): boolean {
  return Boolean(group_info?.group_id) || Boolean(user_info?.user_id)
}

/** The message under a name of its own, and without the key of its sender; its payload as it was written. */
function pack(sender: Sender, { envelope, key, payloadText = 'null' }: Received, to: Address) {
  const type = String(envelope.type)
  const prefix = type === 'sys_std' ? 'msg' : 'custom'
  const msgId = key === undefined ? createMessageId(prefix) : nameOf(prefix, sender, key, envelope)
  return { msgId, text: encodeRaw(type, msgId, metaOf(String(sender.accountId), to), payloadText) }
}

const metaOf = (sender_user: string, { accountId, platform }: Address): object => ({
  sender_user,
  target_user: String(accountId),
  platform,
  timestamp: Date.now() / 1000
})

/**
 * Ids of different senders collide (contract 0.5), so receivers are given one of ours, in the form of the library. It is
 * made of what the sender sent and nothing else: sent again after a restart, the message has the same.
 */
function nameOf(prefix: string, { salt }: Sender, key: string, { meta }: Envelope): string {
  let digits = ''
  for (let index = 0; index < NAME_BYTES; index++)
    digits += HEX[key.charCodeAt(index) ^ salt.charCodeAt(index)] as string
  const time = isObject(meta) ? Number(meta['timestamp']) : Number.NaN
  const seconds = time > 1e9 && time < 1e11 ? Math.floor(time) : key.charCodeAt(NAME_BYTES)
  return `${prefix}_${digits}_${seconds}`
}

/** What makes the same words of two senders two messages: bytes that belong to one of them, now and always. */
export function saltOf(accountId: number, platform: string, uuid: string): string {
  return hash('sha1', `${accountId}\n${platform}\n${uuid}`, 'binary')
}

/** 12 hexadecimal digits, as the ids of the library have them. */
const NAME_BYTES = 6
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

import { ActionError } from './errors.ts'
import type { ChatRef, Message, Role } from './event.ts'
import type { CoreLimits } from './limits.ts'
import type { ChatDetail } from './people-store.ts'
import {
  PREVIEW_LINES,
  exceedsText,
  toPlainText,
  type DraftSegment,
  type ForwardedMessage,
  type Segment
} from './segment.ts'
import type { Account, Appended, ChatSummary, Speaker, Store } from './store.ts'

export interface SendOrder {
  readonly chatId: number
  readonly sender: Account
  readonly segments: readonly DraftSegment[]
  /** The folder of the group for the files that it brings; the root when absent. */
  readonly folderId?: number | undefined
  /** The sender's own name for the message; sent again under the same name it is the same message. */
  readonly clientId?: string | undefined
}

export interface EditRequest {
  readonly editor: Account
  readonly messageId: number
  /** What it says from now on; pictures and the quoted message stay. */
  readonly text: string
  /** How often the editor thinks that it was edited; anything else is a `conflict`. */
  readonly expectedRev?: number | undefined
}

/** Talking: who may say what where, and reading what was said. Every method throws `ActionError` to refuse. */
export interface Chats {
  readonly send: (order: SendOrder) => Promise<Appended>
  /** IM-Suite 2.3 `message.edit`: by the sender, while the edit window is open. The same words are a success without an event. */
  readonly edit: (request: EditRequest) => Promise<Message>
  /** The private chat in which `sender` may write to `peerId`; made when they may and there is none yet. */
  readonly openPrivate: (sender: Account, peerId: number) => Promise<number>
  /** Throws `not_found` when `sender` may not write to `peerId`: a bot does not write to strangers. */
  readonly mustReach: (sender: Account, peerId: number) => Promise<void>
  /** The private chat that exists; `not_found` otherwise. */
  readonly getPrivate: (accountId: number, peerId: number) => Promise<number>
  /** The chat, if the account is in it; `not_found` otherwise. */
  readonly getOwn: (accountId: number, chatId: number) => Promise<ChatRef>
  readonly list: (
    accountId: number,
    page: { offset: number; limit: number }
  ) => Promise<{ chats: ChatSummary[]; total: number }>
  /** The chat as the account sees it, if it is in it; `not_found` otherwise. */
  readonly getDetail: (accountId: number, chatId: number) => Promise<ChatDetail>
  readonly getMessage: (accountId: number, chatId: number, seq: number) => Promise<Message>
  readonly listMessages: (
    accountId: number,
    page: { chatId: number; upToSeq?: number | undefined; afterSeq?: number | undefined; limit: number }
  ) => Promise<Message[]>
  /** The message by its global id, if the account is in its chat; `not_found` otherwise, also when it was recalled. */
  /** The messages that are passed on under this number, if a chat of the account shows them; `not_found` otherwise. */
  readonly getForward: (accountId: number, forwardId: number) => Promise<readonly ForwardedMessage[]>
  readonly getMessageById: (accountId: number, messageId: number) => Promise<Message>
  /** Where a message is, recalled or not, if the account is in its chat; `not_found` otherwise. */
  readonly locate: (accountId: number, messageId: number) => Promise<{ readonly chatId: number; readonly seq: number }>
  readonly recall: (operatorId: number, chatId: number, seq: number) => Promise<void>
  /** By the sender alone, within two minutes (IM-Suite 1.5 `recall`); `too_late` after that. */
  readonly takeBack: (senderId: number, messageId: number) => Promise<void>
}

/** `now` gives Unix seconds. */
export function createChats(store: Store, now: () => number, limits: CoreLimits): Chats {
  async function mayWriteTo(sender: Account, peerId: number): Promise<boolean> {
    const peer = await store.findAccount(peerId)
    if (!peer || peer.isDisabled) return false
    // A person finds and writes to whom they like; a bot does not write to strangers.
    if (sender.kind === 'person') return true
    if (await store.findFriend(sender.id, peerId)) return true
    // A person who has the bot in their list has reached out to it, whatever it says to that.
    if (peer.kind === 'person' && (await store.findFriend(peerId, sender.id))) return true
    return store.shareGroup(sender.id, peerId)
  }

  async function mustReach(sender: Account, peerId: number): Promise<void> {
    if (!(await mayWriteTo(sender, peerId))) throw new ActionError('not_found', `there is no friend ${peerId}`)
  }

  async function getOwn(accountId: number, chatId: number): Promise<ChatRef> {
    const chat = await store.findChat(chatId)
    if (!chat || !(await store.isMember(chatId, accountId))) {
      throw noChat(chatId)
    }
    return chat
  }

  async function locate(accountId: number, messageId: number): Promise<{ chatId: number; seq: number }> {
    const position = await store.findPosition(messageId)
    // One answer for what is not there and what is not theirs (IM-Suite 2.6).
    if (!position || !(await store.isMember(position.chatId, accountId)))
      throw new ActionError('not_found', `there is no message ${messageId}`, { field: 'message_id' })
    return position
  }

  return {
    getOwn,
    mustReach,

    async send({ chatId, sender, segments, folderId, clientId }) {
      const text = sender.kind === 'bot' ? limits.botText : limits.personText
      checkContent(segments, text, limits.segments)
      checkForwards(segments, { ...limits, text })
      const time = now()
      return store.appendMessage({
        chatId,
        senderId: sender.id,
        segments,
        time,
        clientId,
        place: { folderId, maxFiles: MAX_GROUP_FILES },
        check: (speaker) => checkMaySpeak(speaker, time)
      })
    },

    async edit({ editor, messageId, text, expectedRev }) {
      const { chatId, seq } = await locate(editor.id, messageId)
      const time = now()
      return store.editMessage({
        chatId,
        seq,
        time,
        edit(message, speaker) {
          if (message.senderId !== editor.id)
            throw new ActionError('forbidden', 'only the sender can edit a message', { cause: 'not_sender' })
          if (limits.editWindowS > 0 && time - message.time > limits.editWindowS)
            throw new ActionError('too_late', `a message can be edited for ${limits.editWindowS} s`)
          if (expectedRev !== undefined && expectedRev !== (message.rev ?? 0))
            throw new ActionError('conflict', `the message was edited meanwhile: it is at revision ${message.rev ?? 0}`)
          // Who may not speak says nothing new by way of what they have said before.
          if (speaker) checkMaySpeak(speaker, time)
          const segments = withText(message.segments, text)
          checkContent(segments, editor.kind === 'bot' ? limits.botText : limits.personText, limits.segments)
          return isSameText(message.segments, segments) ? undefined : segments
        }
      })
    },

    locate,

    async getMessageById(accountId, messageId) {
      const message = await store.findMessageById(messageId)
      if (!message || message.isRecalled || !(await store.isMember(message.chatId, accountId)))
        throw new ActionError('not_found', `there is no message ${messageId}, or it was recalled`)
      return message
    },

    async getForward(accountId, forwardId) {
      const messages = await store.findForward(forwardId, accountId)
      if (!messages) throw new ActionError('not_found', `there is no forward ${forwardId}`, { field: 'forward_id' })
      return messages
    },

    async openPrivate(sender, peerId) {
      if (sender.id === peerId) throw new ActionError('invalid', 'you cannot write to yourself', { field: 'user_id' })
      const existing = await store.findPrivateChat(sender.id, peerId)
      if (existing !== undefined) return existing
      await mustReach(sender, peerId)
      if (await store.isBlocked(sender.id, peerId)) throw blocked()
      return store.openPrivateChat(sender.id, peerId, now())
    },

    async getPrivate(accountId, peerId) {
      const chatId = await store.findPrivateChat(accountId, peerId)
      if (chatId === undefined) throw new ActionError('not_found', `there is no chat with ${peerId}`)
      return chatId
    },

    list: (accountId, page) => store.listChats(accountId, page),

    async getDetail(accountId, chatId) {
      const detail = await store.findChatDetail(accountId, chatId)
      if (!detail) throw noChat(chatId)
      return detail
    },

    async getMessage(accountId, chatId, seq) {
      await getOwn(accountId, chatId)
      const message = await store.findMessage(chatId, seq)
      if (!message) throw new ActionError('not_found', `there is no message ${seq} in this chat, or it was recalled`)
      return message
    },

    async listMessages(accountId, page) {
      await getOwn(accountId, page.chatId)
      return store.listMessages(page)
    },

    async takeBack(senderId, messageId) {
      const { chatId, seq } = await locate(senderId, messageId)
      const time = now()
      await store.recallMessage({
        chatId,
        seq,
        operatorId: senderId,
        time,
        check(message) {
          if (message.senderId !== senderId)
            throw new ActionError('forbidden', 'only the sender can take a message back', { cause: 'not_sender' })
          if (!message.isRecalled && time - message.time > TAKE_BACK_S)
            throw new ActionError('too_late', `a message can be taken back for ${TAKE_BACK_S} s; delete it instead`)
        }
      })
    },

    async recall(operatorId, chatId, seq) {
      await getOwn(operatorId, chatId)
      await store.recallMessage({
        chatId,
        seq,
        operatorId,
        time: now(),
        check(message, kind, operatorRole) {
          if (message.senderId === operatorId) return
          if (kind === 'private')
            throw new ActionError('forbidden', 'only the sender can recall a private message', { cause: 'not_sender' })
          // IM-Suite 2.3 "message.delete": the sender, or owner and admins, whoever the sender is.
          if (rank(operatorRole) < rank('admin'))
            throw new ActionError('forbidden', 'only the sender, the owner and the admins can recall this message', {
              cause: 'role'
            })
        }
      })
    }
  }
}

/** Seconds (IM-Suite 1.5). */
const TAKE_BACK_S = 120
/** As many as one group has. */
const MAX_GROUP_FILES = 10_000

function checkContent(segments: readonly DraftSegment[], maxText: number, maxSegments: number): void {
  const field = 'message'
  if (segments.length > maxSegments)
    throw new ActionError('too_large', `a message has at most ${maxSegments} segments, got ${segments.length}`, {
      field
    })
  if (exceedsText(segments, maxText))
    throw new ActionError('too_large', `a message has at most ${maxText} characters of text`, { field })
  const says = segments.some((segment) => segment.type !== 'reply' && !(segment.type === 'text' && segment.text === ''))
  if (!says) throw new ActionError('invalid', 'the message is empty', { field })
}

/** Levels of messages that hold messages. */
const MAX_NESTED = 3

interface ForwardLimits extends Pick<CoreLimits, 'segments' | 'forwarded'> {
  readonly text: number
}

/** Each message that is passed on has to be one that could have been said; gives how many there are. */
function checkForwards(segments: readonly DraftSegment[], limits: ForwardLimits, level = 1): number {
  const field = 'message'
  let count = 0
  for (const segment of segments) {
    if (segment.type !== 'forward' || !('messages' in segment)) continue
    const { messages, preview = [] } = segment
    if (level > MAX_NESTED)
      throw new ActionError('too_large', `forwards can hold forwards ${MAX_NESTED} levels deep`, { field })
    if (messages.length === 0) throw new ActionError('invalid', 'a forward holds at least one message', { field })
    if (preview.length > PREVIEW_LINES)
      throw new ActionError('invalid', `preview: expected at most ${PREVIEW_LINES} lines`, { field })
    count += messages.length
    for (const inner of messages) {
      checkContent(inner.segments, limits.text, limits.segments)
      count += checkForwards(inner.segments, limits, level + 1)
    }
    if (count > limits.forwarded)
      throw new ActionError('too_large', `a message passes on at most ${limits.forwarded} messages`, { field })
  }
  return count
}

const BESIDE_WORDS: ReadonlySet<Segment['type']> = new Set(['reply', 'media', 'forward', 'light_app'])

/** What is shown beside the words, such as pictures and the quoted message, stays. */
function withText(segments: readonly Segment[], text: string): Segment[] {
  const kept = segments.filter(({ type }) => BESIDE_WORDS.has(type))
  return text === '' ? kept : [...kept, { type: 'text', text }]
}

function isSameText(before: readonly Segment[], after: readonly Segment[]): boolean {
  return before.length === after.length && toPlainText(before) === toPlainText(after)
}

/** Throws when the account may not speak in the chat at this time, in Unix seconds. */
export function checkMaySpeak(speaker: Speaker, now: number): void {
  const { kind, role, mutedUntil, isGroupMuted } = speaker
  if (speaker.isPeerDisabled) throw new ActionError('not_found', 'the account you write to does not exist any more')
  if (speaker.isBlocked) throw blocked()
  if (kind === 'private') return
  if (speaker.isChannel && role === 'member')
    throw new ActionError('forbidden', 'only the owner and the admins write to this channel', { cause: 'readonly' })
  if (isGroupMuted && role === 'member') throw new ActionError('muted', 'the whole group is muted')
  if (mutedUntil > now) throw new ActionError('muted', `you are muted in this group for another ${mutedUntil - now} s`)
}

function noChat(chatId: number): ActionError {
  return new ActionError('not_found', `chat ${chatId} does not exist or you are not in it`)
}

/** Not said by whom: who is blocked need not know. */
export function blocked(): ActionError {
  return new ActionError('forbidden', 'one of the two has blocked the other', { cause: 'blocked' })
}

/** Owner above admin above member above stranger. */
export function rank(role: Role | undefined): number {
  if (role === 'owner') return 3
  if (role === 'admin') return 2
  if (role === 'member') return 1
  return 0
}

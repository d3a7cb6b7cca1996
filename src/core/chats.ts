import { ActionError } from './errors.ts'
import type { ChatRef, Message, Role } from './event.ts'
import type { CoreLimits } from './limits.ts'
import { exceedsText, type DraftSegment } from './segment.ts'
import type { Account, ChatSummary, Speaker, Store } from './store.ts'

export interface SendOrder {
  readonly chatId: number
  readonly sender: Account
  readonly segments: readonly DraftSegment[]
}

/** Talking: who may say what where, and reading what was said. Every method throws `ActionError` to refuse. */
export interface Chats {
  readonly send: (order: SendOrder) => Promise<Message>
  /** The private chat in which `sender` may write to `peerId`; made when they may and there is none yet. */
  readonly openPrivate: (sender: Account, peerId: number) => Promise<number>
  /** The private chat that exists; `not_found` otherwise. */
  readonly getPrivate: (accountId: number, peerId: number) => Promise<number>
  /** The chat, if the account is in it; `not_found` otherwise. */
  readonly getOwn: (accountId: number, chatId: number) => Promise<ChatRef>
  readonly list: (
    accountId: number,
    page: { offset: number; limit: number }
  ) => Promise<{ chats: ChatSummary[]; total: number }>
  readonly getMessage: (accountId: number, chatId: number, seq: number) => Promise<Message>
  readonly listMessages: (
    accountId: number,
    page: { chatId: number; upToSeq?: number | undefined; afterSeq?: number | undefined; limit: number }
  ) => Promise<Message[]>
  readonly recall: (operatorId: number, chatId: number, seq: number) => Promise<void>
}

/** `now` gives Unix seconds. */
export function createChats(store: Store, now: () => number, limits: CoreLimits): Chats {
  async function mayWriteTo(sender: Account, peerId: number): Promise<boolean> {
    const peer = await store.findAccount(peerId)
    if (!peer || peer.isDisabled) return false
    // A person finds and writes to whom they like; a bot does not write to strangers.
    if (sender.kind === 'person') return true
    if (await store.findFriend(sender.id, peerId)) return true
    return store.shareGroup(sender.id, peerId)
  }

  async function getOwn(accountId: number, chatId: number): Promise<ChatRef> {
    const chat = await store.findChat(chatId)
    if (!chat || !(await store.isMember(chatId, accountId))) {
      throw new ActionError('not_found', `chat ${chatId} does not exist or you are not in it`)
    }
    return chat
  }

  return {
    getOwn,

    async send({ chatId, sender, segments }) {
      checkContent(segments, sender.kind === 'bot' ? limits.botText : limits.personText, limits.segments)
      const time = now()
      return store.appendMessage({
        chatId,
        senderId: sender.id,
        segments,
        time,
        check: (speaker) => checkMaySpeak(speaker, time)
      })
    },

    async openPrivate(sender, peerId) {
      if (sender.id === peerId) throw new ActionError('invalid', 'you cannot write to yourself', { field: 'user_id' })
      const existing = await store.findPrivateChat(sender.id, peerId)
      if (existing !== undefined) return existing
      if (!(await mayWriteTo(sender, peerId))) throw new ActionError('not_found', `there is no friend ${peerId}`)
      return store.openPrivateChat(sender.id, peerId, now())
    },

    async getPrivate(accountId, peerId) {
      const chatId = await store.findPrivateChat(accountId, peerId)
      if (chatId === undefined) throw new ActionError('not_found', `there is no chat with ${peerId}`)
      return chatId
    },

    list: (accountId, page) => store.listChats(accountId, page),

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

    async recall(operatorId, chatId, seq) {
      await getOwn(operatorId, chatId)
      await store.recallMessage({
        chatId,
        seq,
        operatorId,
        time: now(),
        check(message, kind, operatorRole) {
          if (message.senderId === operatorId) return
          if (kind === 'private') throw new ActionError('forbidden', 'only the sender can recall a private message')
          // IM-Suite 2.3 "message.delete": the sender, or owner and admins, whoever the sender is.
          if (rank(operatorRole) < rank('admin'))
            throw new ActionError('forbidden', 'only the sender, the owner and the admins can recall this message')
        }
      })
    }
  }
}

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

function checkMaySpeak({ kind, role, mutedUntil, isGroupMuted, isPeerDisabled }: Speaker, now: number): void {
  if (isPeerDisabled) throw new ActionError('not_found', 'the account you write to does not exist any more')
  if (kind === 'private') return
  if (isGroupMuted && role === 'member') throw new ActionError('muted', 'the whole group is muted')
  if (mutedUntil > now) throw new ActionError('muted', `you are muted in this group for another ${mutedUntil - now} s`)
}

/** Owner above admin above member above stranger. */
export function rank(role: Role | undefined): number {
  if (role === 'owner') return 3
  if (role === 'admin') return 2
  if (role === 'member') return 1
  return 0
}

import type { Chats } from './chats.ts'
import type { AccountRef } from './event.ts'
import type { Window, WordsFound, WordSearch } from './people-store.ts'
import type { Message, ReadState, Revision, Store } from './store.ts'

/** How far a message of the viewer's own has come (IM-Suite 2.8). */
export type MessageStatus = 'sent' | 'delivered' | 'read'

/** A message with what is shown around it. */
export interface ShownMessage {
  readonly message: Message
  readonly sender: AccountRef
  /** Absent for what others have said. */
  readonly status: MessageStatus | undefined
}

/** Reading what was said. Every method throws `not_found` for a chat that the account is not in. */
export interface History {
  /** Newest first. */
  readonly listNewest: (
    accountId: number,
    chatId: number,
    window: Window
  ) => Promise<{ messages: Message[]; total: number }>
  readonly search: (accountId: number, search: WordSearch) => Promise<WordsFound>
  /** What a message said before it was edited, the oldest first. */
  readonly listRevisions: (accountId: number, messageId: number) => Promise<Revision[]>
  /** Messages that others have said since, in one chat or in all; at most 1000 are counted in each. */
  readonly countUnread: (accountId: number, chatId?: number) => Promise<number>
  /** Looks up once what several messages need. The viewer is in their chats. */
  readonly surround: (viewerId: number, messages: readonly Message[]) => Promise<ShownMessage[]>
}

const STATUS_MEMBERS = 1000

export function createHistory(store: Store, chats: Pick<Chats, 'getOwn' | 'getMessageById'>): History {
  async function sendersOf(messages: readonly Message[]): Promise<Map<number, AccountRef>> {
    const ids = [...new Set(messages.map(({ senderId }) => senderId))]
    const accounts = await Promise.all(ids.map((id) => store.findAccount(id)))
    return new Map(
      ids.map((id, index) => {
        const account = accounts[index]
        return [id, { id, nickname: account?.nickname ?? '', avatarUrl: account?.avatarUrl ?? '' }]
      })
    )
  }

  /** Where more are, nobody is told who has read, so nobody looks it up either (IM-Suite 2.3 `message.read`). */
  async function listOthers(viewerId: number, chatId: number): Promise<ReadState[]> {
    if ((await store.listAudience(chatId)).length > STATUS_MEMBERS) return []
    return (await store.listReadStates(chatId)).filter(({ accountId }) => accountId !== viewerId)
  }

  /** Of the others in each chat in which the viewer has said something. */
  async function statesOf(viewerId: number, messages: readonly Message[]): Promise<Map<number, ReadState[]>> {
    const own = messages.filter(({ senderId }) => senderId === viewerId)
    const chatIds = [...new Set(own.map(({ chatId }) => chatId))]
    const states = await Promise.all(chatIds.map((id) => listOthers(viewerId, id)))
    return new Map(chatIds.map((id, index) => [id, states[index] ?? []]))
  }

  return {
    async listNewest(accountId, chatId, window) {
      await chats.getOwn(accountId, chatId)
      return store.listNewest(chatId, window)
    },

    async search(accountId, search) {
      await chats.getOwn(accountId, search.chatId)
      return store.searchMessages(search)
    },

    async listRevisions(accountId, messageId) {
      await chats.getMessageById(accountId, messageId)
      return store.listRevisions(messageId)
    },

    async countUnread(accountId, chatId) {
      if (chatId !== undefined) await chats.getOwn(accountId, chatId)
      return store.countUnread(accountId, chatId)
    },

    async surround(viewerId, messages) {
      const [senders, states] = await Promise.all([sendersOf(messages), statesOf(viewerId, messages)])
      return messages.map((message) => ({
        message,
        sender: senders.get(message.senderId) ?? { id: message.senderId, nickname: '', avatarUrl: '' },
        status: message.senderId === viewerId ? statusOf(message, states.get(message.chatId) ?? []) : undefined
      }))
    }
  }
}

/** Read by everybody else, else delivered to everybody else, else sent; sent, too, when nobody else is known of. */
export function statusOf({ id, seq }: Message, others: readonly ReadState[]): MessageStatus {
  if (others.length === 0) return 'sent'
  if (others.every(({ readSeq }) => readSeq >= seq)) return 'read'
  return others.every(({ deliveredSeq, deliveredId }) => deliveredSeq >= seq || deliveredId >= id)
    ? 'delivered'
    : 'sent'
}

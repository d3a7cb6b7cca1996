import type { Undo } from './bus.ts'
import type { Chats } from './chats.ts'
import type { Clock } from './clock.ts'
import { ActionError } from './errors.ts'
import type { Signal } from './signal.ts'
import type { Store } from './store.ts'

/** Read marks: cumulative, never going back, told to those who care (IM-Suite 2.3 `message.read`, 2.8). */
export interface Receipts {
  /** Everything up to the message is read. `deviceId`: where; that device is not told what it said itself. */
  readonly mark: (readerId: number, messageId: number, deviceId?: string) => Promise<void>
  /** The same by its place in a chat that the reader is in (Milky 1.2 `mark_message_as_read`). */
  readonly markUpTo: (readerId: number, chatId: number, seq: number, deviceId?: string) => Promise<void>
  /** The message has reached a device of the account; in a private chat its sender is told (IM-Suite 2.8). */
  readonly deliver: (accountId: number, messageId: number) => Promise<void>
  readonly close: () => void
}

export interface ReceiptsOptions {
  readonly store: Pick<
    Store,
    'markRead' | 'findMessageId' | 'markDelivered' | 'listAudience' | 'listAuthors' | 'findChat'
  >
  readonly chats: Pick<Chats, 'locate' | 'getOwn'>
  readonly clock: Clock
  readonly tell: (signal: Signal) => void
  readonly onError: (err: unknown) => void
  /** One reader is told about at most this often in one chat; the last mark wins. */
  readonly intervalMs: number
}

/** Up to here everybody in a group sees who has read; beyond, only who wrote what was read, and then nobody. */
const ALL_SEE = 100
const AUTHORS_SEE = 1000
const MAX_AUTHORS = 20
/** Who comes back after a month reads thousands of messages at once; the authors of the latest are told. */
const MAX_COVERED = 2000

interface Mark {
  readonly chatId: number
  readonly readerId: number
  readonly messageId: number
  /** What was read before the first of the marks that are told together. */
  readonly before: number
  readonly seq: number
  readonly deviceId: string | undefined
}

export function createReceipts(options: ReceiptsOptions): Receipts {
  const { store, chats, clock, tell, onError } = options
  /** Who was told about a moment ago, by chat and reader, and what came since. */
  const recent = new Map<string, { undo: Undo; next: Mark | undefined }>()

  async function audienceOf({ chatId, readerId, before, seq }: Mark): Promise<readonly number[]> {
    const [chat, members] = await Promise.all([store.findChat(chatId), store.listAudience(chatId)])
    if (!chat || (chat.kind === 'group' && chat.isChannel)) return [readerId]
    if (members.length <= ALL_SEE) return members
    if (members.length > AUTHORS_SEE) return [readerId]
    const authors = await store.listAuthors(chatId, Math.max(before, seq - MAX_COVERED), seq, MAX_AUTHORS)
    return [...new Set([readerId, ...authors.filter((id) => members.includes(id))])]
  }

  async function announce(mark: Mark): Promise<void> {
    const { chatId, messageId, readerId, deviceId } = mark
    const audience = await audienceOf(mark)
    tell({
      kind: 'message.read',
      time: clock.now(),
      audience,
      ...(deviceId !== undefined && { exceptDevice: deviceId }),
      data: { chatId, messageId, readerId }
    })
  }

  function schedule(mark: Mark): void {
    const key = `${mark.chatId}:${mark.readerId}`
    const waiting = recent.get(key)
    if (waiting) {
      waiting.next = { ...mark, before: waiting.next?.before ?? mark.before }
      return
    }
    announce(mark).catch(onError)
    const entry = {
      next: undefined as Mark | undefined,
      undo: clock.after(options.intervalMs, () => {
        recent.delete(key)
        if (entry.next) schedule(entry.next)
      })
    }
    recent.set(key, entry)
  }

  async function move(mark: Omit<Mark, 'before'>): Promise<void> {
    const moved = await store.markRead(mark.chatId, mark.readerId, mark.seq)
    if (moved) schedule({ ...mark, before: moved.before })
  }

  return {
    async mark(readerId, messageId, deviceId) {
      await move({ ...(await chats.locate(readerId, messageId)), readerId, messageId, deviceId })
    },

    async markUpTo(readerId, chatId, seq, deviceId) {
      await chats.getOwn(readerId, chatId)
      const messageId = await store.findMessageId(chatId, seq)
      if (messageId === undefined)
        throw new ActionError('not_found', `there is no message ${seq} in this chat`, { field: 'message_seq' })
      await move({ chatId, seq, readerId, messageId, deviceId })
    },

    async deliver(accountId, messageId) {
      const { chatId, seq } = await chats.locate(accountId, messageId)
      await store.markDelivered(chatId, accountId, seq)
      const chat = await store.findChat(chatId)
      if (chat?.kind !== 'private') return
      const audience = chat.parties.map(({ id }) => id).filter((id) => id !== accountId)
      tell({ kind: 'message.delivered', time: clock.now(), audience, data: { chatId, messageId, accountId } })
    },
    close() {
      for (const { undo } of recent.values()) undo()
      recent.clear()
    }
  }
}

import type { DatabaseSync } from 'node:sqlite'

/** Where a message goes: its place in the chat, and that of its event. */
export interface NextPlace {
  readonly seq: number
  readonly eventSeq: number
}

interface ChatTally {
  seq: number
  eventSeq: number
  time: number
  /** What each sender said last. */
  readonly senders: Map<number, { readonly seq: number; readonly time: number }>
}

/**
 * What a run of messages changes in the rows of chats and members: counted here, and written once for all of them, since
 * two updates per message would be a third of what it costs. Rows are true again after `settle`.
 */
export function tallyQueries(db: DatabaseSync) {
  const places = db.prepare('select last_seq, last_event_seq from chats where id = ?')
  const saveChat = db.prepare('update chats set last_seq = ?, last_event_seq = ?, updated_at = ? where id = ?')
  const saveSender = db.prepare(
    'update members set last_sent_at = ?, read_seq = ? where chat_id = ? and account_id = ?'
  )
  // A new one for each run: what is thrown away of a map that was cleared would keep alive what the next holds, and so on.
  let counted = new Map<number, ChatTally>()

  function tallyOf(chatId: number): ChatTally {
    const known = counted.get(chatId)
    if (known) return known
    const row = places.get(chatId) as { last_seq: number; last_event_seq: number }
    const tally = { seq: row.last_seq, eventSeq: row.last_event_seq, time: 0, senders: new Map() }
    counted.set(chatId, tally)
    return tally
  }

  function forget(): void {
    if (counted.size > 0) counted = new Map()
  }

  return {
    /** Counts one message; the chat must exist and the sender be in it. */
    next(chatId: number, senderId: number, time: number): NextPlace {
      const tally = tallyOf(chatId)
      const seq = ++tally.seq
      const eventSeq = ++tally.eventSeq
      tally.time = time
      tally.senders.set(senderId, { seq, time })
      return { seq, eventSeq }
    },

    /** Writes what was counted. */
    settle(): void {
      if (counted.size === 0) return
      for (const [chatId, { seq, eventSeq, time, senders }] of counted) {
        saveChat.run(seq, eventSeq, time, chatId)
        for (const [senderId, last] of senders) saveSender.run(last.time, last.seq, chatId, senderId)
      }
      forget()
    },

    forget
  }
}

export type TallyQueries = ReturnType<typeof tallyQueries>

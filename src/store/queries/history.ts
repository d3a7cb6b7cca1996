import type { DatabaseSync } from 'node:sqlite'
import type { Message } from '../../core/store.ts'
import type { Window, WordsFound, WordSearch } from '../../core/people-store.ts'
import { toMessage, type MessageRow } from './message-row.ts'
import { toHolding } from './words.ts'

/** So many messages are looked at for words in one call: long enough for a page, short enough not to hold up others. */
const SCAN = 5000

/** Reading what was said, beyond the pages by position. Every function is synchronous; the caller owns the transaction. */
export function historyQueries(db: DatabaseSync) {
  const newest = db.prepare(
    'select * from messages where chat_id = ? and recalled_at is null order by seq desc limit ? + 0 offset ?'
  )
  // Positions have no holes, so only what was recalled needs counting.
  const total = db.prepare(
    'select last_seq - (select count(*) from messages where chat_id = c.id and recalled_at is not null) as count from chats c where id = ?'
  )
  // The words are looked for in the row as it is written first: that is quick, and most rows have nothing of them.
  const holds = `
    case when segments like :raw escape '\\' then exists(
      select 1 from json_each(segments) s
      where s.value ->> 'type' = 'text' and s.value ->> 'text' like :words escape '\\'
    ) else 0 end`
  const prepare = (side: string, order: string) => {
    const scan = `select * from messages where chat_id = :chatId and ${side} and recalled_at is null order by ${order}`
    return {
      found: db.prepare(`select * from (${scan} limit ${SCAN}) where ${holds} order by ${order} limit :limit + 0`),
      end: db.prepare(`${scan} limit 1 offset ${SCAN - 1}`)
    }
  }
  const back = prepare('seq <= :from', 'seq desc')
  const on = prepare('seq > :from', 'seq')

  return {
    listNewest(chatId: number, { offset, limit }: Window): { messages: Message[]; total: number } {
      const rows = newest.all(chatId, limit, offset) as unknown as MessageRow[]
      const counted = total.get(chatId) as { count: number } | undefined
      return { messages: rows.map(toMessage), total: counted?.count ?? 0 }
    },

    search({ chatId, words, upToSeq = Number.MAX_SAFE_INTEGER, afterSeq, limit }: WordSearch): WordsFound {
      const way = afterSeq === undefined ? back : on
      const place = { chatId, from: afterSeq ?? upToSeq }
      const raw = toHolding(JSON.stringify(words).slice(1, -1))
      const rows = way.found.all({ ...place, raw, words: toHolding(words), limit: limit + 1 })
      const messages = (rows as unknown as MessageRow[]).slice(0, limit).map(toMessage)
      // More than fits: there is more behind the last that does. Else where the scan ended, if it did not reach the end.
      if (rows.length > limit) return { messages, stoppedAt: messages.at(-1) }
      const last = way.end.get(place) as MessageRow | undefined
      return { messages, stoppedAt: last && toMessage(last) }
    }
  }
}

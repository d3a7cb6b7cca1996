import type { Segment } from '../../core/segment.ts'
import type { Message } from '../../core/store.ts'

/** A row of `messages`, as the queries of chats, messages and events read it. */
export interface MessageRow {
  id: number
  chat_id: number
  seq: number
  sender_id: number
  time: number
  segments: string
  recalled_at: number | null
  edited_at: number | null
  rev: number
  client_id: string | null
}

export function toMessage(row: MessageRow): Message {
  return {
    id: row.id,
    chatId: row.chat_id,
    seq: row.seq,
    senderId: row.sender_id,
    time: row.time,
    segments: JSON.parse(row.segments) as Segment[],
    ...(row.edited_at !== null && { rev: row.rev, editedAt: row.edited_at }),
    ...(row.client_id !== null && { clientId: row.client_id })
  }
}

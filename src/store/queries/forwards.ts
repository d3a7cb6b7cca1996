import type { DatabaseSync } from 'node:sqlite'
import type { ForwardSegment, ForwardedMessage } from '../../core/segment.ts'

export type ForwardQueries = ReturnType<typeof forwardQueries>

/** Messages that were passed on together, and the messages that show them. Every function is synchronous; the caller owns the transaction. */
export function forwardQueries(db: DatabaseSync) {
  const insert = db.prepare('insert into forwards(title, preview, summary, messages) values (?, ?, ?, ?) returning id')
  const byId = db.prepare('select * from forwards where id = ?')
  // Who left the chat sees it no more; a recalled message has no rows here.
  const isShownTo = db.prepare(
    'select 1 from message_forwards f join members m on m.chat_id = f.chat_id and m.account_id = ? where f.forward_id = ?'
  )
  const show = db.prepare('insert or ignore into message_forwards(message_id, forward_id, chat_id) values (?, ?, ?)')
  const hide = db.prepare('delete from message_forwards where message_id = ? returning forward_id')
  const drop = db.prepare(
    'delete from forwards where id = :id and not exists (select 1 from message_forwards where forward_id = :id)'
  )

  function find(id: number): { segment: ForwardSegment; messages: ForwardedMessage[] } | undefined {
    const row = byId.get(id) as { title: string; preview: string; summary: string; messages: string } | undefined
    if (!row) return undefined
    const { title, summary } = row
    const preview = JSON.parse(row.preview) as string[]
    return {
      segment: { type: 'forward', forwardId: id, title, preview, summary },
      messages: JSON.parse(row.messages) as ForwardedMessage[]
    }
  }

  return {
    find,

    add(
      { title, preview, summary }: Omit<ForwardSegment, 'type' | 'forwardId'>,
      messages: readonly ForwardedMessage[]
    ) {
      const row = insert.get(title, JSON.stringify(preview), summary, JSON.stringify(messages))
      return (row as { id: number }).id
    },

    isShownTo: (id: number, accountId: number) => isShownTo.get(accountId, id) !== undefined,

    /** The message shows it from now on. */
    show(id: number, messageId: number, chatId: number): void {
      show.run(messageId, id, chatId)
    },

    /** The message shows none any more; those that no other message shows go with it. */
    hideAll(messageId: number): void {
      for (const row of hide.all(messageId)) drop.run({ id: row.forward_id as number })
    }
  }
}

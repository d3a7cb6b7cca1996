import { DatabaseSync } from 'node:sqlite'

/** Messages and their events in a database, as somebody else finds them. */
export interface Kept {
  /** `ok` when SQLite finds no fault. */
  readonly integrity: string
  /** Text of every message. */
  readonly words: ReadonlySet<string>
  /** Messages without the event of their creation, such events without a message, and chats with holes in their log. */
  readonly halves: number
}

export function readKept(path: string): Kept {
  const db = new DatabaseSync(path)
  const countOf = (sql: string): number => Number(Object.values(db.prepare(sql).get() ?? {})[0])
  try {
    const messages = db.prepare('select segments from messages').all() as { segments: string }[]
    const halves =
      countOf('select count(*) from messages m left join events e on e.id = m.id where e.id is null') +
      countOf(`select count(*) from events e left join messages m on m.id = e.id
        where e.kind = 'message.created' and m.id is null`) +
      countOf(`select count(*) from (select chat_id from events where chat_id is not null
        group by chat_id having count(*) <> max(event_seq) - min(event_seq) + 1)`)
    return {
      integrity: String(Object.values(db.prepare('pragma integrity_check').get() ?? {})[0]),
      words: new Set(messages.map(({ segments }) => (JSON.parse(segments) as { text: string }[])[0]?.text ?? '')),
      halves
    }
  } finally {
    db.close()
  }
}

import { DatabaseSync } from 'node:sqlite'

// A program: puts messages into the database of a service that is not running, as if they had been said there.
//   node fill.ts DATABASE FIRST_CHAT CHATS SENDER COUNT

const [path, firstChat, chats, sender, count] = process.argv
  .slice(2)
  .map((word, index) => (index === 0 ? word : Number(word))) as [string, number, number, number, number]

/** Rows of one transaction. */
const CHUNK = 1_000_000
/** As many as the log keeps (`limits.log_count`). */
const KEPT_EVENTS = 1_000_000
const SEGMENTS = JSON.stringify([{ type: 'text', text: 'A message as people write them, not long.' }])
const now = Math.floor(Date.now() / 1000)

const db = new DatabaseSync(path)
// Nobody else looks, and when it fails everything is made anew.
db.exec('pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -400000')

// Sorting an index once is quicker than keeping it in order.
const indexes = db
  .prepare(
    "select name, sql from sqlite_master where type = 'index' and tbl_name in ('messages', 'events') and sql is not null"
  )
  .all()
for (const { name } of indexes) db.exec(`drop index ${String(name)}`)

const numbers = 'with recursive n(i) as (select cast(? as integer) union all select i + 1 from n where i < ?)'
const { last } = db.prepare('select coalesce(max(id), 0) as last from events').get() as { last: number }
const insertMessages = db.prepare(
  `insert into messages(id, chat_id, seq, sender_id, time, segments)
   ${numbers} select ${last + 1} + i, ${firstChat} + i % ${chats}, i / ${chats} + 1, ${sender}, ${now}, '${SEGMENTS}' from n`
)
const insertEvents = db.prepare(
  `insert into events(id, chat_id, event_seq, kind, time, data)
   ${numbers} select ${last + 1} + i, ${firstChat} + i % ${chats}, i / ${chats} + 1, 'message.created', ${now}, '' from n`
)
for (let from = 0; from < count; from += CHUNK) {
  const to = Math.min(count, from + CHUNK) - 1
  db.exec('begin')
  insertMessages.run(from, to)
  const firstEvent = Math.max(from, count - KEPT_EVENTS)
  if (firstEvent <= to) insertEvents.run(firstEvent, to)
  db.exec('commit')
}
const perChat = Math.ceil(count / chats)
db.exec(`
  update chats set last_seq = ${perChat}, last_event_seq = ${perChat} where id >= ${firstChat} and id < ${firstChat + chats};
  update members set read_seq = ${perChat} where chat_id >= ${firstChat} and chat_id < ${firstChat + chats}`)
for (const { sql } of indexes) db.exec(String(sql))
db.close()

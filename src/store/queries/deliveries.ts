import type { DatabaseSync } from 'node:sqlite'
import {
  MAX_REPLAY,
  type Attempt,
  type Delivery,
  type DueOptions,
  type Page,
  type Progress,
  type ReplayChoice,
  type RowChange,
  type Target,
  type NewTarget,
  type TargetPlace,
  type TargetState
} from '../../core/delivery-store.ts'
import { ActionError } from '../../core/errors.ts'
import { INBOX } from '../../core/event.ts'
import type { EventQueries } from './events.ts'

/** Where webhooks stand and what waits for them. Every function is synchronous; the caller owns the transaction. */
export function deliveryQueries(db: DatabaseSync, events: EventQueries) {
  const counted = `select t.*,
      (select count(*) from deliveries d where d.target_id = t.id and d.state = 'waiting') as waiting,
      (select count(*) from deliveries d where d.target_id = t.id and d.state = 'dead') as dead
    from targets t`
  const all = db.prepare(`${counted} order by t.id`)
  const byId = db.prepare(`${counted} where t.id = ?`)
  const insertTarget = db.prepare('insert into targets(id, bot_id, url, state_since, cursor) values (?, ?, ?, ?, ?)')
  const setUrl = db.prepare('update targets set url = ? where id = ?')
  const deleteCursor = db.prepare('delete from cursors where name = ?')
  const setState = db.prepare(
    'update targets set state = :state, reason = :reason, state_since = :time where id = :id and state <> :state'
  )
  const forgive = db.prepare('update targets set failing_since = null where id = ?')
  const hurryAll = db.prepare(
    "update deliveries set next_at = :time where target_id = :id and state = 'waiting' and next_at > :time and tried_at >= :since"
  )
  const listRows = db.prepare(
    'select * from deliveries where target_id = ? and state = ? and event_id < ? order by event_id desc limit ? + 0'
  )
  const listTries = db.prepare(
    'select * from attempts where target_id = :id and id < :before and (:event is null or event_id = :event) order by id desc limit :limit + 0'
  )
  const lastTry = db.prepare('select coalesce(max(id), 0) as id from attempts where target_id = ?')
  const insertTry = db.prepare('insert or replace into attempts values (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const deleteTries = db.prepare('delete from attempts where target_id = ? and id <= ?')
  // Without names, which would double its price: it is written all the time.
  const move = db.prepare(`
    update targets set cursor = max(cursor, ?), ahead = ?, failing_since = ?,
      taken_count = taken_count + ?, failed_count = failed_count + ? where id = ?`)
  const put = db.prepare(`
    insert into deliveries(target_id, event_id, chat_id, state, attempts, next_at, tried_at, created_at)
    values (:target, :event, :chat, :state, :attempts, :nextAt, :triedAt, :time)
    on conflict do update set state = excluded.state, attempts = excluded.attempts, next_at = excluded.next_at,
      tried_at = max(tried_at, excluded.tried_at)`)
  const remove = db.prepare('delete from deliveries where target_id = ? and event_id = ?')
  const byChat = db.prepare(`
    select chat_id, count(*) as count from deliveries
    where target_id = ? and state = 'waiting' and is_replay = 0 group by chat_id`)
  // With min() the other columns are those of its row.
  const first = (byWhat: string): string => `
    select * from (
      select *, min(event_id) from deliveries where target_id = :target and state = 'waiting' and is_replay = 0 ${byWhat}
    ) where next_at <= :time
    union all
    select *, min(event_id) from deliveries
    where target_id = :target and state = 'waiting' and is_replay = 1 and next_at <= :time group by chat_id
    order by next_at, event_id limit :limit + 0`
  const dueByChat = db.prepare(first('group by chat_id'))
  const dueStrictly = db.prepare(first('having count(*) > 0'))
  const soonest = (byWhat: string): string => `
    select min(next_at) as at from (
      select next_at, min(event_id) from deliveries
      where target_id = :target and state = 'waiting' and is_replay = 0 ${byWhat}
      union all
      select next_at, event_id from deliveries where target_id = :target and state = 'waiting' and is_replay = 1
    ) where next_at > :after`
  const soonestByChat = db.prepare(soonest('group by chat_id'))
  const soonestStrictly = db.prepare(soonest('having count(*) > 0'))
  const inChat = `target_id = :target and state = 'waiting' and chat_id = :chat`
  const firstOfChat = db.prepare(`select * from deliveries where ${inChat} and is_replay = 0 order by event_id limit 1`)
  const replayOfChat = db.prepare(
    `select * from deliveries where ${inChat} and is_replay = 1 and next_at <= :time order by event_id limit 1`
  )
  // What the bot could see, and the webhook has passed.
  const passed = (which: string): string => `
    select e.id, e.chat_id from events e join targets t on t.id = :target
    where ${which} and (e.id <= t.cursor or e.id in (select value from json_each(t.ahead)))
      and (exists(select 1 from stays s where s.account_id = t.bot_id and s.chat_id = e.chat_id
          and s.from_event_seq <= e.event_seq and (s.to_event_seq is null or e.event_seq <= s.to_event_seq))
        or (e.chat_id = ${INBOX.id} and exists(
          select 1 from event_viewers v where v.event_id = e.id and v.account_id = t.bot_id)))
    order by e.id limit ${MAX_REPLAY + 1}`
  const passedByIds = db.prepare(passed('e.id in (select value from json_each(:ids))'))
  const passedBetween = db.prepare(passed('e.id between :from and :to'))
  const replayDead = db.prepare(`
    update deliveries set state = 'waiting', attempts = 0, next_at = :time, is_replay = 1
    where target_id = :target and state = 'dead'`)
  const replayOne = db.prepare(`
    insert into deliveries(target_id, event_id, chat_id, state, next_at, created_at, is_replay)
    values (:target, :event, :chat, 'waiting', :time, :time, 1)
    on conflict do update set next_at = excluded.next_at, state = 'waiting',
      attempts = iif(state = 'dead', 0, attempts), is_replay = iif(state = 'dead', 1, is_replay)
    where state = 'dead' or next_at > excluded.next_at`)

  const find = (id: string): Target | undefined => {
    const row = byId.get(id)
    return row && toTarget(row)
  }

  function open({ id, botId, url, cursorName, time }: NewTarget): TargetPlace {
    if (!find(id)) {
      insertTarget.run(id, botId, url, time, events.findCursor(cursorName) ?? events.lastId())
      deleteCursor.run(cursorName)
    }
    setUrl.run(url, id)
    const row = byId.get(id) as Row
    return {
      target: toTarget(row),
      ahead: JSON.parse(row.ahead as string) as number[],
      lastAttemptId: (lastTry.get(id) as { id: number }).id,
      waitingByChat: new Map(byChat.all(id).map(({ chat_id, count }) => [chat_id as number, count as number]))
    }
  }

  function change(targetId: string, row: RowChange): void {
    if (row.type === 'remove') {
      remove.run(targetId, row.eventId)
      return
    }
    const { eventId, chatId, state, attempts, nextAt, time } = row
    const triedAt = attempts > 0 ? time : 0
    put.run({ target: targetId, event: eventId, chat: chatId, state, attempts, nextAt, triedAt, time })
  }

  function saveProgress(targetId: string, progress: Progress): void {
    const { cursor, ahead, failingSince = null, attempts, taken, failed, keepAttempts, rows } = progress
    for (const row of rows) change(targetId, row)
    for (const { id, eventId, number, time, latencyMs, status = null, answer, error } of attempts)
      insertTry.run(targetId, id, eventId, number, time, latencyMs, status, answer, error)
    const newest = attempts.at(-1)
    if (newest) deleteTries.run(targetId, newest.id - keepAttempts)
    move.run(cursor, JSON.stringify(ahead), failingSince, taken, failed, targetId)
  }

  function replay(targetId: string, choice: ReplayChoice, time: number): number {
    if (!find(targetId)) throw new ActionError('not_found', `there is no webhook ${targetId}`)
    if (choice === 'dead') return Number(replayDead.run({ target: targetId, time }).changes)
    const target = targetId
    const chosen =
      'eventIds' in choice
        ? passedByIds.all({ target, ids: JSON.stringify(choice.eventIds) })
        : passedBetween.all({ target, from: choice.from, to: choice.to })
    if (chosen.length > MAX_REPLAY)
      throw new ActionError('too_large', `at most ${MAX_REPLAY} events can be sent again at once`)
    return chosen.reduce(
      (sum, { id, chat_id }) => sum + Number(replayOne.run({ target, event: id!, chat: chat_id!, time }).changes),
      0
    )
  }

  return {
    list: (): Target[] => all.all().map(toTarget),
    find,
    open,
    setState(id: string, { state, reason, time }: { state: TargetState; reason: string; time: number }): boolean {
      if (setState.run({ id, state, reason, time }).changes === 0) return false
      // Whoever switches it on thinks that it works again.
      if (state === 'active') {
        forgive.run(id)
        hurryAll.run({ id, since: 0, time })
      }
      return true
    },
    listDeliveries: (targetId: string, state: Delivery['state'], { beforeId, limit }: Page): Delivery[] =>
      listRows.all(targetId, state, beforeId ?? Number.MAX_SAFE_INTEGER, limit).map(toDelivery),
    listAttempts: (id: string, { beforeId, limit, eventId }: Page & { eventId?: number | undefined }): Attempt[] =>
      listTries.all({ id, before: beforeId ?? Number.MAX_SAFE_INTEGER, event: eventId ?? null, limit }).map(toAttempt),
    replay,
    saveProgress,
    listDue: (target: string, { time, isStrict, limit }: DueOptions): Delivery[] =>
      (isStrict ? dueStrictly : dueByChat).all({ target, time, limit }).map(toDelivery),
    findNextDue: (target: string, after: number, isStrict: boolean): number | undefined =>
      ((isStrict ? soonestStrictly : soonestByChat).get({ target, after }) as { at: number | null }).at ?? undefined,
    findDueOfChat(target: string, { chatId: chat, isReplay, time }: ChatOptions): Delivery | undefined {
      const row = isReplay ? replayOfChat.get({ target, chat, time }) : firstOfChat.get({ target, chat })
      return row && (row.next_at as number) <= time ? toDelivery(row) : undefined
    },
    hurry(id: string, since: number, time: number): void {
      hurryAll.run({ id, since, time })
    }
  }
}

type Row = Record<string, unknown>

interface ChatOptions {
  readonly chatId: number
  readonly isReplay: boolean
  readonly time: number
}

function toTarget(row: Row): Target {
  return {
    id: row.id as string,
    botId: row.bot_id as number,
    url: row.url as string,
    state: row.state as TargetState,
    reason: row.reason as string,
    stateSince: row.state_since as number,
    failingSince: (row.failing_since as number | null) ?? undefined,
    cursor: row.cursor as number,
    waiting: row.waiting as number,
    dead: row.dead as number,
    takenCount: row.taken_count as number,
    failedCount: row.failed_count as number
  }
}

function toDelivery(row: Row): Delivery {
  return {
    targetId: row.target_id as string,
    eventId: row.event_id as number,
    chatId: row.chat_id as number,
    state: row.state as Delivery['state'],
    attempts: row.attempts as number,
    nextAt: row.next_at as number,
    createdAt: row.created_at as number,
    isReplay: row.is_replay === 1
  }
}

function toAttempt(row: Row): Attempt {
  return {
    id: row.id as number,
    targetId: row.target_id as string,
    eventId: row.event_id as number,
    number: row.number as number,
    time: row.time as number,
    latencyMs: row.latency_ms as number,
    status: (row.status as number | null) ?? undefined,
    answer: row.answer as string,
    error: row.error as string
  }
}

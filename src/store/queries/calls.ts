import type { DatabaseSync } from 'node:sqlite'
import type { CallBeginning, CallDraft, CallEnd, CallRecord, CallRelation } from '../../core/call-record.ts'

interface CallRow {
  id: string
  caller_id: number
  callee_id: number
  kind: CallRecord['kind']
  status: CallRecord['status']
  reason: string | null
  created_at: number
  answered_at: number | null
  ended_at: number | null
}

/** Calls and who is in one. Every function is synchronous; the caller owns the transaction. */
export function callQueries(db: DatabaseSync) {
  const byId = db.prepare('select * from calls where id = ?')
  const relation = db.prepare(`
    select
      exists(select 1 from accounts where id = :b and disabled_at is null) as is_there,
      exists(select 1 from chats where kind = 'private' and low_id = min(:a, :b) and high_id = max(:a, :b))
        or exists(select 1 from friendships where account_id = :a and friend_id = :b)
        or exists(select 1 from friendships where account_id = :b and friend_id = :a) as is_acquainted,
      exists(select 1 from blocks where account_id = :a and blocked_id = :b)
        or exists(select 1 from blocks where account_id = :b and blocked_id = :a) as is_blocked`)
  const insert = db.prepare(
    "insert into calls(id, caller_id, callee_id, kind, status, created_at) values (?, ?, ?, ?, 'ringing', ?)"
  )
  const remove = db.prepare('delete from calls where id = ?')
  // The primary key is the arbiter. The lower account comes first, so that two calls cannot wait for each other.
  const occupy = db.prepare(
    'insert into active_calls(account_id, call_id) values (min(:a, :b), :id), (max(:a, :b), :id) on conflict do nothing'
  )
  const free = db.prepare('delete from active_calls where call_id = ?')
  const current = db.prepare('select c.* from active_calls a join calls c on c.id = a.call_id where a.account_id = ?')
  const answer = db.prepare("update calls set status = 'active', answered_at = ? where id = ? and status = 'ringing'")
  const end = db.prepare(
    "update calls set status = ?, reason = ?, ended_at = ? where id = ? and status in ('ringing', 'active')"
  )
  const endAll = db.prepare(`
    update calls set status = case status when 'ringing' then 'missed' else 'ended' end, reason = 'network_error', ended_at = ?
    where id in (select call_id from active_calls) and status in ('ringing', 'active')`)
  const freeAll = db.prepare('delete from active_calls')
  // Each half reads its own index, in order and no further than the page.
  const half = (side: string): string =>
    `select * from (select * from calls where ${side} = :id order by created_at desc, id desc limit :upTo + 0)`
  const list = db.prepare(
    `${half('caller_id')} union all ${half('callee_id')} order by created_at desc, id desc limit :limit + 0 offset :offset`
  )
  const count = db.prepare(
    'select (select count(*) from calls where caller_id = :id) + (select count(*) from calls where callee_id = :id) as count'
  )

  function currentOf(accountId: number): CallRecord | undefined {
    const row = current.get(accountId)
    return row && toRecord(row)
  }

  function relationOf(a: number, b: number): CallRelation {
    const { is_there, is_acquainted, is_blocked } = relation.get({ a, b }) as Record<string, unknown>
    return { isThere: is_there === 1, isAcquainted: is_acquainted === 1, isBlocked: is_blocked === 1 }
  }

  return {
    begin({ id, callerId, calleeId, kind, time, check }: CallDraft): CallBeginning {
      check(relationOf(callerId, calleeId))
      if (byId.get(id)) return { type: 'taken' }
      insert.run(id, callerId, calleeId, kind, time)
      if (occupy.run({ a: callerId, b: calleeId, id }).changes === 2) return { type: 'begun' }
      free.run(id)
      const call = currentOf(callerId)
      if (call) {
        remove.run(id)
        return { type: 'caller_busy', call }
      }
      end.run('missed', 'user_busy', time, id)
      return { type: 'callee_busy' }
    },

    answer: (id: string, time: number) => answer.run(time, id).changes === 1,

    end(id: string, { status, reason, time }: CallEnd): boolean {
      free.run(id)
      return end.run(status, reason, time, id).changes === 1
    },

    endAll(time: number): number {
      const { changes } = endAll.run(time)
      freeAll.run()
      return Number(changes)
    },

    find(id: string): CallRecord | undefined {
      const row = byId.get(id)
      return row && toRecord(row)
    },

    listOf(id: number, { offset, limit }: { offset: number; limit: number }): { calls: CallRecord[]; total: number } {
      const calls = list.all({ id, limit, offset, upTo: offset + limit }).map(toRecord)
      return { calls, total: (count.get({ id }) as { count: number }).count }
    }
  }
}

function toRecord(found: unknown): CallRecord {
  const row = found as CallRow
  return {
    id: row.id,
    callerId: row.caller_id,
    calleeId: row.callee_id,
    kind: row.kind,
    status: row.status,
    reason: row.reason ?? undefined,
    createdAt: row.created_at,
    answeredAt: row.answered_at ?? undefined,
    endedAt: row.ended_at ?? undefined
  }
}

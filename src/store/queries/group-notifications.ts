import type { DatabaseSync } from 'node:sqlite'
import type { EventDraft } from '../../core/event.ts'
import type {
  AskOrder,
  GroupNotification,
  GroupRequest,
  RequestState,
  RequestType
} from '../../core/group-request-store.ts'
import type { Window } from '../../core/people-store.ts'

/** Of each group so many are kept of what is over. */
const KEPT = 1000

/**
 * The rows of what is asked of groups and of what became of their members. Every function is synchronous; the caller owns
 * the transaction.
 */
export function groupNotificationQueries(db: DatabaseSync) {
  const insertRequest = db.prepare(`
    insert into group_requests(chat_id, type, initiator_id, target_id, comment, state, created_at)
    values (?, ?, ?, ?, ?, 'pending', ?)`)
  const insertNews = db.prepare(`
    insert into group_requests(chat_id, type, initiator_id, target_id, operator_id, is_set, created_at)
    values (?, ?, ?, ?, ?, ?, ?)`)
  const prune = db.prepare(`
    delete from group_requests where chat_id = :chat and state is not 'pending' and seq <= (
      select seq from group_requests where chat_id = :chat and state is not 'pending' order by seq desc limit 1 offset ${KEPT})`)
  const bySeq = db.prepare('select * from group_requests where seq = ?')
  const open = db.prepare(
    "select * from group_requests where chat_id = ? and type = ? and target_id = ? and state = 'pending'"
  )
  const remove = db.prepare('delete from group_requests where seq = ?')
  const answer = db.prepare('update group_requests set state = ?, operator_id = ? where seq = ?')
  const settle = db.prepare(`
    update group_requests set state = 'accepted', operator_id = :operator where chat_id = :chat and target_id = :target
      and type in ('join_request', 'invited_join_request', 'invitation') and state = 'pending'`)
  const forgetAccount = db.prepare(
    "delete from group_requests where (initiator_id = :id or target_id = :id) and state = 'pending'"
  )
  const forgetGroup = db.prepare('delete from group_requests where chat_id = ?')
  const administered = db.prepare("select chat_id from members where account_id = ? and role <> 'member'")
  const seqsOfGroup = db.prepare(
    "select seq from group_requests where chat_id = ? and seq <= ? and type <> 'invitation' order by seq desc limit ? + 0"
  )
  const seqsOfAccount = db.prepare(
    "select seq from group_requests where target_id = ? and seq <= ? and type in ('admin_change', 'kick') order by seq desc limit ? + 0"
  )
  const asked = "chat_id = ? and type in ('join_request', 'invited_join_request')"
  const listAsked = db.prepare(
    `select * from group_requests where ${asked} order by state = 'pending' desc, seq desc limit ? + 0 offset ?`
  )
  const countAsked = db.prepare(`select count(*) as count from group_requests where ${asked}`)
  const invited = `target_id = ? and type = 'invitation' and state = 'pending' and exists(
    select 1 from members m where m.chat_id = r.chat_id and m.account_id = r.initiator_id)`
  const listInvited = db.prepare(
    `select * from group_requests r where ${invited} order by seq desc limit ? + 0 offset ?`
  )
  const countInvited = db.prepare(`select count(*) as count from group_requests r where ${invited}`)

  const countOf = (row: unknown): number => (row as { count: number }).count

  return {
    find(seq: number): GroupRequest | undefined {
      const row = bySeq.get(seq)
      return row && row.state !== null ? toRequest(row) : undefined
    },

    findOpen(groupId: number, type: RequestType, targetId: number): GroupRequest | undefined {
      const row = open.get(groupId, type, targetId)
      return row && toRequest(row)
    },

    add(type: RequestType, { groupId, initiatorId, targetId, comment, time }: Omit<AskOrder, 'decide'>): number {
      return Number(insertRequest.run(groupId, type, initiatorId, targetId, comment, time).lastInsertRowid)
    },

    remove(seq: number): void {
      remove.run(seq)
    },

    answer({ seq, groupId }: GroupRequest, state: RequestState, operatorId: number): void {
      answer.run(state, operatorId, seq)
      prune.run({ chat: groupId })
    },

    /** Somebody has come into the group: whatever was asked about it is answered. */
    settle(groupId: number, targetId: number, operatorId: number | undefined): void {
      if (settle.run({ chat: groupId, target: targetId, operator: operatorId ?? null }).changes > 0)
        prune.run({ chat: groupId })
    },

    /** Keeps of an event what the owner and the admins look up later. */
    record(groupId: number, event: EventDraft, time: number): void {
      if (event.kind === 'admin.changed') {
        const { accountId, operatorId, isSet } = event.data
        insertNews.run(groupId, 'admin_change', operatorId, accountId, operatorId, Number(isSet), time)
      } else if (event.kind === 'member.left') {
        const { accountId, operatorId } = event.data
        const type = operatorId === undefined ? 'quit' : 'kick'
        insertNews.run(groupId, type, operatorId ?? accountId, accountId, operatorId ?? null, 0, time)
      } else {
        return
      }
      prune.run({ chat: groupId })
    },

    /** The account is gone: nobody waits for it, and it waits for nobody. */
    forgetAccount(id: number): void {
      forgetAccount.run({ id })
    },

    /** Everybody has left: nobody is there to answer or to look. */
    forgetGroup(id: number): void {
      forgetGroup.run(id)
    },

    list(
      accountId: number,
      { startSeq = Number.MAX_SAFE_INTEGER, limit }: { startSeq?: number | undefined; limit: number }
    ): GroupNotification[] {
      // Group by group, since each has its newest at hand: an account of many groups need not sort all that they keep.
      const groupIds = administered.all(accountId).map((row) => row.chat_id as number)
      const seqs = [
        ...seqsOfAccount.all(accountId, startSeq, limit),
        ...groupIds.flatMap((id) => seqsOfGroup.all(id, startSeq, limit))
      ].map((row) => row.seq as number)
      return [...new Set(seqs)]
        .toSorted((a, b) => b - a)
        .slice(0, limit)
        .map((seq) => toNotification(bySeq.get(seq) as Record<string, unknown>))
    },

    listAsked: (groupId: number, { offset, limit }: Window) => ({
      requests: listAsked.all(groupId, limit, offset).map(toRequest),
      total: countOf(countAsked.get(groupId))
    }),

    listInvited: (accountId: number, { offset, limit }: Window) => ({
      requests: listInvited.all(accountId, limit, offset).map(toRequest),
      total: countOf(countInvited.get(accountId))
    })
  }
}

export type GroupNotificationQueries = ReturnType<typeof groupNotificationQueries>

function toRequest(row: Record<string, unknown>): GroupRequest {
  return {
    type: row.type as RequestType,
    seq: row.seq as number,
    groupId: row.chat_id as number,
    initiatorId: row.initiator_id as number,
    targetId: row.target_id as number,
    comment: row.comment as string,
    state: row.state as RequestState,
    operatorId: (row.operator_id as number | null) ?? undefined,
    createdAt: row.created_at as number
  }
}

function toNotification(row: Record<string, unknown>): GroupNotification {
  const type = row.type as GroupNotification['type']
  const news = {
    seq: row.seq as number,
    groupId: row.chat_id as number,
    targetId: row.target_id as number,
    createdAt: row.created_at as number
  }
  if (type === 'quit') return { type, ...news }
  const operatorId = row.operator_id as number
  if (type === 'kick') return { type, ...news, operatorId }
  if (type === 'admin_change') return { type, ...news, operatorId, isSet: row.is_set === 1 }
  return toRequest(row)
}

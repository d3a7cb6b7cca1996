import type { DatabaseSync } from 'node:sqlite'
import { ActionError } from '../../core/errors.ts'
import type { EssenceEntry, EssenceOrder, ReactionOrder, ReactionSummary, ReactionType } from '../../core/note-store.ts'
import type { Window } from '../../core/people-store.ts'
import type { Message } from '../../core/store.ts'
import type { Emit } from '../writer.ts'
import { mustFindActor } from './announcements.ts'
import type { EventQueries } from './events.ts'
import type { GroupQueries } from './groups.ts'
import { toMessage, type MessageRow } from './message-row.ts'
import type { messageQueries } from './messages.ts'

export interface MarkSources {
  readonly events: EventQueries
  readonly groups: GroupQueries
  readonly messages: Pick<ReturnType<typeof messageQueries>, 'find' | 'findSpeaker'>
}

/** What members leave on messages: essence and reactions. Every function is synchronous; the caller owns the transaction. */
export function markQueries(db: DatabaseSync, { events, groups, messages }: MarkSources) {
  const essence = db.prepare('select 1 from essence where message_id = ?')
  const countEssence = db.prepare('select count(*) as count from essence where chat_id = ?')
  const addEssence = db.prepare('insert into essence(chat_id, message_id, operator_id, created_at) values (?, ?, ?, ?)')
  const removeEssence = db.prepare('delete from essence where message_id = ?')
  // Who has left has no card any more, but is still who they are.
  const nameOf = (id: string): string =>
    `(select coalesce(nullif(c.card, ''), a.nickname) from accounts a
      left join members c on c.chat_id = e.chat_id and c.account_id = a.id where a.id = ${id})`
  const newestEssence = db.prepare(`
    select m.*, e.operator_id, e.created_at as marked_at,
      ${nameOf('m.sender_id')} as sender_name, ${nameOf('e.operator_id')} as operator_name
    from essence e join messages m on m.id = e.message_id
    where e.chat_id = ? order by e.id desc limit ? + 0 offset ?`)

  const reaction = db.prepare('select 1 from reactions where message_id = ? and type = ? and reaction = ? limit 1')
  const ownReaction = db.prepare(
    'select 1 from reactions where message_id = ? and type = ? and reaction = ? and account_id = ?'
  )
  const countReactions = db.prepare(
    'select count(*) as count from (select distinct type, reaction from reactions where message_id = ?)'
  )
  const addReaction = db.prepare(
    'insert into reactions(message_id, account_id, type, reaction, created_at) values (?, ?, ?, ?, ?)'
  )
  const removeReaction = db.prepare(
    'delete from reactions where message_id = ? and account_id = ? and type = ? and reaction = ?'
  )
  const summaries = db.prepare(`
    select type, reaction, count(*) as count, max(account_id = ?) as is_own from reactions
    where message_id = ? group by type, reaction order by min(created_at), type, reaction`)
  const reactors = db.prepare(
    'select account_id from reactions where message_id = ? and type = ? and reaction = ? order by created_at, account_id limit ? + 0'
  )

  function mustFind(chatId: number, seq: number): Message {
    const message = messages.find(chatId, seq)
    if (message) return message
    throw new ActionError('not_found', `there is no message ${seq} in this chat, or it was recalled`, {
      field: 'message_seq'
    })
  }

  return {
    changeEssence({ groupId, seq, actorId, isSet, time, decide }: EssenceOrder, emit: Emit): void {
      const actor = mustFindActor(groups, groupId, actorId)
      const { id: messageId } = mustFind(groupId, seq)
      const isMarked = essence.get(messageId) !== undefined
      const { count } = countEssence.get(groupId) as { count: number }
      if (!decide({ actor, isMarked, count })) return
      if (isSet) addEssence.run(groupId, messageId, actorId, time)
      else removeEssence.run(messageId)
      const data = { messageId, seq, operatorId: actorId, isSet }
      events.append(groupId, time, { kind: 'essence.changed', data }, emit)
    },

    listEssence(groupId: number, { offset, limit }: Window): { entries: EssenceEntry[]; total: number } {
      const rows = newestEssence.all(groupId, limit, offset) as unknown as EssenceRow[]
      return { entries: rows.map(toEntry), total: (countEssence.get(groupId) as { count: number }).count }
    },

    changeReaction(order: ReactionOrder, emit: Emit): void {
      const { chatId, seq, accountId, type, reaction: name, isAdd, time, decide } = order
      const speaker = messages.findSpeaker(chatId, accountId)
      if (!speaker) throw new ActionError('not_found', `chat ${chatId} does not exist or you are not in it`)
      const { id: messageId } = mustFind(chatId, seq)
      const state = {
        speaker,
        isThere: ownReaction.get(messageId, type, name, accountId) !== undefined,
        isKnown: reaction.get(messageId, type, name) !== undefined,
        // Looked for only when it is asked for, since it takes a look at everybody who has reacted.
        get count() {
          return (countReactions.get(messageId) as { count: number }).count
        }
      }
      if (!decide(state)) return
      if (isAdd) addReaction.run(messageId, accountId, type, name, time)
      else removeReaction.run(messageId, accountId, type, name)
      const data = { messageId, seq, accountId, reaction: name, type, isAdd }
      events.append(chatId, time, { kind: 'reaction.changed', data }, emit)
    },

    listReactions: (messageId: number, viewerId: number, limit: number): ReactionSummary[] =>
      summaries.all(viewerId, messageId).map((row) => ({
        type: row.type as ReactionType,
        reaction: row.reaction as string,
        count: row.count as number,
        isOwn: row.is_own === 1,
        accountIds: reactors
          .all(messageId, row.type as string, row.reaction as string, limit)
          .map((found) => found.account_id as number)
      }))
  }
}

interface EssenceRow extends MessageRow {
  operator_id: number
  marked_at: number
  sender_name: string
  operator_name: string
}

function toEntry(row: EssenceRow): EssenceEntry {
  return {
    message: toMessage(row),
    senderName: row.sender_name,
    operatorId: row.operator_id,
    operatorName: row.operator_name,
    time: row.marked_at
  }
}

import type { DatabaseSync } from 'node:sqlite'
import type { FriendAnswerOrder, FriendRequest, FriendRequestOrder, NudgeOrder } from '../../core/friend-store.ts'
import { ActionError } from '../../core/errors.ts'
import type { Emit } from '../writer.ts'
import type { AccountQueries } from './accounts.ts'
import type { ChatQueries } from './chats.ts'
import type { ContactQueries } from './contacts.ts'
import type { EventQueries } from './events.ts'
import type { MessageQueries } from './messages.ts'
import type { NoticeQueries } from './notices.ts'

export interface FriendSources {
  readonly accounts: AccountQueries
  readonly chats: ChatQueries
  readonly contacts: ContactQueries
  readonly events: EventQueries
  readonly messages: MessageQueries
  readonly notices: NoticeQueries
}

/** Requests that were answered, kept of each target. */
const KEPT = 1000

interface RequestRow {
  id: number
  initiator_id: number
  target_id: number
  state: FriendRequest['state']
  comment: string
  via: string
  created_at: number
}

/** Who wants to be whose friend, and who nudges whom. Every function is synchronous; the caller owns the transaction. */
export function friendQueries(
  db: DatabaseSync,
  { accounts, chats, contacts, events, messages, notices }: FriendSources
) {
  const insert = db.prepare(
    'insert into friend_requests(initiator_id, target_id, state, comment, via, created_at, answered_at) values (?, ?, ?, ?, ?, ?, ?)'
  )
  const newest = db.prepare(
    'select * from friend_requests where initiator_id = ? and target_id = ? order by id desc limit 1'
  )
  const open = db.prepare(
    "select 1 from friend_requests where initiator_id = ? and target_id = ? and state = 'pending'"
  )
  const answer = db.prepare('update friend_requests set state = ?, answered_at = ? where id = ?')
  const between = '((initiator_id = :a and target_id = :b) or (initiator_id = :b and target_id = :a))'
  const acceptOpen = db.prepare(
    `update friend_requests set state = 'accepted', answered_at = :time where state = 'pending' and ${between}`
  )
  const deleteOpen = db.prepare(`delete from friend_requests where state = 'pending' and ${between}`)
  const deleteOld = db.prepare(`
    delete from friend_requests where target_id = :target and state <> 'pending' and id <= (
      select id from friend_requests where target_id = :target and state <> 'pending' order by id desc limit 1 offset ${KEPT}
    )`)
  const page = db.prepare(`
    select r.* from friend_requests r join accounts a on a.id = r.initiator_id
    where r.target_id = ? and a.disabled_at is null order by r.id desc limit ? + 0`)

  /** They are in each other's lists, and nobody waits for an answer any more. */
  function befriend(a: number, b: number, time: number): void {
    accounts.addFriendship(a, b, time)
    acceptOpen.run({ a, b, time })
    for (const target of [a, b]) deleteOld.run({ target })
  }

  function request({ initiatorId, targetId, time, ...question }: FriendRequestOrder, emit: Emit): void {
    const { comment, via, isAccepted, check } = question
    if (accounts.findFriend(targetId, initiatorId)) return befriend(initiatorId, targetId, time)
    check({ isBlocked: contacts.isBlocked(initiatorId, targetId) })
    // Who is asked by somebody whom they have asked themselves need not answer.
    if (open.get(targetId, initiatorId)) return befriend(initiatorId, targetId, time)
    if (!open.get(initiatorId, targetId)) {
      insert.run(initiatorId, targetId, 'pending', comment, via, time, null)
      const data = { initiatorId, targetId, comment, via }
      events.appendToInbox(time, { kind: 'friend.requested', data, audience: [targetId] }, emit)
    }
    if (isAccepted) befriend(initiatorId, targetId, time)
  }

  return {
    befriend,
    request,

    list: (targetId: number, limit: number): FriendRequest[] => page.all(targetId, limit).map(toRequest),

    answer({ initiatorId, targetId, time, decide }: FriendAnswerOrder): void {
      const row = newest.get(initiatorId, targetId)
      const isFriend = accounts.findFriend(targetId, initiatorId) !== undefined
      const decision = decide(row && toRequest(row), isFriend)
      if (!row || !decision) return
      const { state, told } = decision
      answer.run(state, time, (row as unknown as RequestRow).id)
      deleteOld.run({ target: targetId })
      if (state === 'accepted') befriend(initiatorId, targetId, time)
      if (told) notices.add(told.notice, told.keepFrom)
    },

    remove(a: number, b: number): boolean {
      chats.forgetPrivate(a, b)
      const sides = [contacts.remove(a, b), contacts.remove(b, a)]
      if (!sides.includes(true)) return false
      deleteOpen.run({ a, b })
      return true
    },

    nudge({ chatId, senderId, receiverId, time, check }: NudgeOrder, emit: Emit): void {
      const speaker = messages.findSpeaker(chatId, senderId)
      if (!speaker)
        throw new ActionError('not_found', `chat ${chatId} does not exist or account ${senderId} is not in it`)
      if (!chats.isMember(chatId, receiverId))
        throw new ActionError('not_found', `account ${receiverId} is not in this chat`, { field: 'user_id' })
      check(speaker)
      events.append(chatId, time, { kind: 'chat.nudged', data: { senderId, receiverId } }, emit)
    }
  }
}

export type FriendQueries = ReturnType<typeof friendQueries>

function toRequest(found: Record<string, unknown>): FriendRequest {
  const row = found as unknown as RequestRow
  return {
    id: row.id,
    initiatorId: row.initiator_id,
    targetId: row.target_id,
    state: row.state,
    comment: row.comment,
    via: row.via,
    createdAt: row.created_at
  }
}

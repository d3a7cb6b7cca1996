import type { DatabaseSync } from 'node:sqlite'
import type { InboxEventDraft } from '../../core/event.ts'
import type {
  AnswerOrder,
  Asked,
  AskOrder,
  GroupRequest,
  RequestKey,
  RequestType
} from '../../core/group-request-store.ts'
import type { Emit } from '../writer.ts'
import type { AccountQueries } from './accounts.ts'
import type { ChatQueries } from './chats.ts'
import type { ContactQueries } from './contacts.ts'
import type { EventQueries } from './events.ts'
import type { GroupNotificationQueries } from './group-notifications.ts'
import type { GroupQueries } from './groups.ts'
import type { NoticeQueries } from './notices.ts'

export interface GroupRequestSources {
  readonly accounts: AccountQueries
  readonly chats: ChatQueries
  readonly contacts: ContactQueries
  readonly events: EventQueries
  readonly groups: GroupQueries
  readonly notices: NoticeQueries
  readonly notifications: GroupNotificationQueries
}

/** Asking to be let into groups, and answering. Every function is synchronous; the caller owns the transaction. */
export function groupRequestQueries(
  db: DatabaseSync,
  { accounts, chats, contacts, events, groups, notices, notifications }: GroupRequestSources
) {
  const admins = db.prepare("select account_id from members where chat_id = ? and role <> 'member' order by account_id")
  const banned = db.prepare('select 1 from bans where chat_id = ? and account_id = ?')
  const addToCount = db.prepare('update chats set member_count = member_count + 1 where id = ?')

  const isBanned = (groupId: number, accountId: number): boolean => banned.get(groupId, accountId) !== undefined

  function toEvent(type: RequestType, seq: number, order: AskOrder): InboxEventDraft {
    const { groupId, initiatorId, targetId, comment } = order
    const data = { groupId, requestSeq: seq, initiatorId }
    if (type === 'invitation') return { kind: 'group.invited', data, audience: [targetId] }
    const audience = admins.all(groupId).map((row) => row.account_id as number)
    if (type === 'join_request') return { kind: 'group.requested', data: { ...data, comment }, audience }
    return { kind: 'group.invite_requested', data: { ...data, targetId }, audience }
  }

  /** One that is open and still counts. Of who invited and left nothing does. */
  function findOpen({ groupId, targetId }: AskOrder, type: RequestType): GroupRequest | undefined {
    const open = notifications.findOpen(groupId, type, targetId)
    if (!open || type === 'join_request' || chats.isMember(groupId, open.initiatorId)) return open
    notifications.remove(open.seq)
    return undefined
  }

  function find({ seq, types, groupId }: RequestKey): GroupRequest | undefined {
    const request = notifications.find(seq)
    const isMeant = request && types.includes(request.type) && (groupId ?? request.groupId) === request.groupId
    return isMeant ? request : undefined
  }

  function letIn(
    { type, groupId, initiatorId, targetId }: GroupRequest,
    actorId: number,
    time: number,
    emit: Emit
  ): void {
    notifications.settle(groupId, targetId, actorId)
    chats.join(groupId, targetId, 'member', time, events.nextSeq(groupId))
    addToCount.run(groupId)
    const data = {
      accountId: targetId,
      // Who comes by an invitation has decided alone.
      ...(type !== 'invitation' && { operatorId: actorId }),
      ...(type !== 'join_request' && { inviterId: initiatorId })
    }
    events.append(groupId, time, { kind: 'member.joined', data }, emit)
  }

  return {
    ask(order: AskOrder, emit: Emit): Asked {
      const { groupId, initiatorId, targetId, time, decide } = order
      const target = accounts.find(targetId)
      const type = decide({
        group: groups.find(groupId),
        initiator: groups.findMember(groupId, initiatorId),
        target: target?.isDisabled === false ? target : undefined,
        isTargetMember: chats.isMember(groupId, targetId),
        isTargetBanned: isBanned(groupId, targetId),
        hasTargetBlocked: contacts.hasBlocked(targetId, initiatorId)
      })
      const open = findOpen(order, type)
      if (open) return { seq: open.seq, type, isRepeated: true }
      const seq = notifications.add(type, order)
      events.appendToInbox(time, toEvent(type, seq, order), emit)
      return { seq, type, isRepeated: false }
    },

    answer({ key, actorId, time, decide }: AnswerOrder, emit: Emit): void {
      const request = find(key)
      const { groupId = key.groupId ?? 0, initiatorId = 0, targetId = 0 } = request ?? {}
      const answer = decide({
        request,
        group: groups.find(groupId),
        actor: groups.findMember(groupId, actorId),
        initiator: accounts.find(initiatorId),
        isInitiatorMember: chats.isMember(groupId, initiatorId),
        isTargetBanned: isBanned(groupId, targetId),
        hasTargetBlocked: contacts.hasBlocked(targetId, initiatorId)
      })
      if (!answer || !request) return
      if (answer.state === 'accepted') letIn(request, actorId, time, emit)
      else notifications.answer(request, answer.state, actorId)
      if (answer.notice) notices.add(answer.notice.notice, answer.notice.keepFrom)
    }
  }
}

import type { DatabaseSync } from 'node:sqlite'
import { ActionError } from '../../core/errors.ts'
import type { Role } from '../../core/event.ts'
import type { Ban, ChatDetail, GroupPlan, InviteOrder, Window } from '../../core/people-store.ts'
import type { Group, Member } from '../../core/store.ts'
import type { Emit } from '../writer.ts'
import type { AccountQueries } from './accounts.ts'
import type { ChatQueries } from './chats.ts'
import type { ContactQueries } from './contacts.ts'
import type { EventQueries } from './events.ts'
import type { GroupNotificationQueries } from './group-notifications.ts'
import { toMember, type GroupQueries } from './groups.ts'

export interface MemberSources {
  readonly accounts: AccountQueries
  readonly chats: ChatQueries
  readonly contacts: ContactQueries
  readonly events: EventQueries
  readonly groups: GroupQueries
  readonly notifications: GroupNotificationQueries
}

/** Who is in a chat and who may not be. Every function is synchronous; the caller owns the transaction. */
export function memberQueries(
  db: DatabaseSync,
  { accounts, chats, contacts, events, groups, notifications }: MemberSources
) {
  const page = db.prepare(`
    select m.*, a.nickname from members m join accounts a on a.id = m.account_id where m.chat_id = ?
    order by m.role = 'owner' desc, m.role = 'admin' desc, m.account_id limit ? + 0 offset ?`)
  const count = db.prepare('select member_count from chats where id = ?')
  const addToCount = db.prepare('update chats set member_count = member_count + ? where id = ?')
  const banned = db.prepare('select 1 from bans where chat_id = ? and account_id = ?')
  const bans = db.prepare(`
    select a.id, a.nickname, a.avatar_url, b.operator_id, b.created_at from bans b join accounts a on a.id = b.account_id
    where b.chat_id = ? order by b.created_at desc, a.id limit ? + 0 offset ?`)
  const countBans = db.prepare('select count(*) as count from bans where chat_id = ?')
  const detail = db.prepare(`
    select c.description, c.member_count, c.owner_id, c.is_muted, m.role
    from members m join chats c on c.id = m.chat_id where m.account_id = ? and m.chat_id = ?`)

  function invite({ groupId, actorId, accountIds, time, decide }: InviteOrder, emit: Emit): readonly number[] {
    const group = groups.find(groupId)
    const actor = groups.findMember(groupId, actorId)
    if (!group || !actor) throw new ActionError('not_found', `group ${groupId} does not exist or you are not in it`)
    const candidates = [...new Set(accountIds)].map((accountId) => ({
      accountId,
      isThere: accounts.find(accountId)?.isDisabled === false,
      isMember: chats.isMember(groupId, accountId),
      isBanned: banned.get(groupId, accountId) !== undefined,
      hasBlocked: contacts.hasBlocked(accountId, actorId)
    }))
    const chosen = decide({ group, actor, candidates })
    // All come at the same moment, so that each hears of all, and who hears is looked up once.
    const eventSeq = events.nextSeq(groupId)
    for (const accountId of chosen) {
      notifications.settle(groupId, accountId, actorId)
      chats.join(groupId, accountId, 'member', time, eventSeq)
    }
    addToCount.run(chosen.length, groupId)
    for (const accountId of chosen)
      events.append(groupId, time, { kind: 'member.joined', data: { accountId, operatorId: actorId } }, emit)
    return chosen
  }

  return {
    invite,

    openGroup({ actorId, name, description, isChannel, ...rest }: GroupPlan, emit: Emit): Group {
      const plan = { name, description, isChannel, ownerId: actorId, adminIds: [], memberIds: [], createdAt: rest.time }
      const { id } = groups.add(plan)
      invite({ ...rest, groupId: id, actorId }, emit)
      return groups.find(id) as Group
    },

    list(chatId: number, { offset, limit }: Window): { members: Member[]; total: number } {
      const members = page.all(chatId, limit, offset).map(toMember)
      return { members, total: (count.get(chatId) as { member_count: number } | undefined)?.member_count ?? 0 }
    },

    listBans(chatId: number, { offset, limit }: Window): { bans: Ban[]; total: number } {
      const found = bans.all(chatId, limit, offset).map((row) => ({
        id: row.id as number,
        nickname: row.nickname as string,
        avatarUrl: row.avatar_url as string,
        operatorId: row.operator_id as number,
        createdAt: row.created_at as number
      }))
      return { bans: found, total: (countBans.get(chatId) as { count: number }).count }
    },

    findDetail(accountId: number, chatId: number): ChatDetail | undefined {
      const row = detail.get(accountId, chatId)
      const summary = chats.summaryOf(accountId, chatId)
      return (
        row &&
        summary && {
          ...summary,
          role: row.role as Role,
          description: row.description as string,
          memberCount: row.member_count as number,
          ownerId: (row.owner_id as number | null) ?? undefined,
          isMuted: row.is_muted === 1
        }
      )
    }
  }
}

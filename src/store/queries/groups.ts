import type { DatabaseSync } from 'node:sqlite'
import { ActionError } from '../../core/errors.ts'
import type { Role } from '../../core/event.ts'
import {
  MAX_GROUP_ID,
  type Group,
  type GroupChange,
  type GroupOrder,
  type Member,
  type NewGroup
} from '../../core/store.ts'
import type { Emit } from '../writer.ts'
import type { AccountQueries } from './accounts.ts'
import type { ChatQueries } from './chats.ts'
import type { EventQueries } from './events.ts'
import type { FileQueries } from './files.ts'
import type { GroupNotificationQueries } from './group-notifications.ts'

export interface GroupSources {
  readonly accounts: AccountQueries
  readonly chats: ChatQueries
  readonly events: EventQueries
  readonly files: FileQueries
  readonly notifications: GroupNotificationQueries
}

/** Groups and their members. Every function is synchronous; the caller owns the transaction. */
export function groupQueries(db: DatabaseSync, { accounts, chats, events, files, notifications }: GroupSources) {
  const byId = db.prepare("select * from chats where id = ? and kind = 'group'")
  const all = db.prepare("select * from chats where kind = 'group' and member_count > 0 order by id")
  const ofAccount = db.prepare(
    "select c.* from members m join chats c on c.id = m.chat_id where m.account_id = ? and c.kind = 'group' order by c.id"
  )
  const insert = db.prepare(
    "insert into chats(id, kind, name, description, is_channel, owner_id, member_count, created_at, updated_at) values (?, 'group', ?, ?, ?, ?, ?, ?, ?)"
  )
  const memberColumns = 'm.*, a.nickname from members m join accounts a on a.id = m.account_id where m.chat_id = ?'
  const members = db.prepare(`select ${memberColumns} order by m.account_id`)
  const member = db.prepare(`select ${memberColumns} and m.account_id = ?`)
  const successor = db.prepare(
    `select ${memberColumns} and m.role <> 'owner' order by a.disabled_at is not null, m.role = 'admin' desc, m.joined_at, m.account_id limit 1`
  )
  const setName = db.prepare('update chats set name = ? where id = ?')
  const setMuted = db.prepare('update chats set is_muted = ? where id = ?')
  const setOwner = db.prepare('update chats set owner_id = ? where id = ?')
  const addToCount = db.prepare('update chats set member_count = member_count + ? where id = ? returning member_count')
  const setAvatar = db.prepare('update chats set avatar_url = ?, avatar_file_id = ? where id = ?')
  const avatarFile = db.prepare('select avatar_file_id from chats where id = ?')
  const setTitle = db.prepare('update members set title = ? where chat_id = ? and account_id = ?')
  const setCard = db.prepare('update members set card = ? where chat_id = ? and account_id = ?')
  const setRole = db.prepare('update members set role = ? where chat_id = ? and account_id = ?')
  const setMutedUntil = db.prepare('update members set muted_until = ? where chat_id = ? and account_id = ?')
  const setDescription = db.prepare('update chats set description = ? where id = ?')
  const banned = db.prepare('select 1 from bans where chat_id = ? and account_id = ?')
  const addBan = db.prepare('insert into bans(chat_id, account_id, operator_id, created_at) values (?, ?, ?, ?)')
  const removeBan = db.prepare('delete from bans where chat_id = ? and account_id = ?')

  function find(id: number): Group | undefined {
    const row = byId.get(id)
    return row && toGroup(row)
  }

  function findMember(groupId: number, accountId: number): Member | undefined {
    const row = member.get(groupId, accountId)
    return row && toMember(row)
  }

  function remove(groupId: number, accountId: number, eventSeq: number): void {
    const { member_count: left } = addToCount.get(-1, groupId) as { member_count: number }
    chats.leave(groupId, accountId, eventSeq)
    if (left === 0) notifications.forgetGroup(groupId)
  }

  /** What is known of the chat is forgotten where it changes, so that the next message of the same transaction sees it. */
  function apply(groupId: number, change: GroupChange, time: number, eventSeq: number): void {
    switch (change.type) {
      case 'rename':
        setName.run(change.name, groupId)
        chats.forget(groupId)
        return
      case 'mute-all':
        setMuted.run(change.isMute ? 1 : 0, groupId)
        return
      case 'set-avatar': {
        const { avatar_file_id: former } = avatarFile.get(groupId) as { avatar_file_id: number | null }
        setAvatar.run(change.url, change.fileId, groupId)
        if (former !== null) files.remove(former)
        chats.forget(groupId)
        return
      }
      case 'set-title':
        setTitle.run(change.title, groupId, change.accountId)
        return
      case 'set-card':
        setCard.run(change.card, groupId, change.accountId)
        return
      case 'set-role':
        setRole.run(change.role, groupId, change.accountId)
        return
      case 'mute':
        setMutedUntil.run(change.until, groupId, change.accountId)
        return
      case 'add':
        if (!accounts.find(change.accountId))
          throw new ActionError('not_found', `account ${change.accountId} does not exist`)
        removeBan.run(groupId, change.accountId)
        addToCount.get(1, groupId)
        notifications.settle(groupId, change.accountId, undefined)
        chats.join(groupId, change.accountId, change.role, time, eventSeq)
        if (change.role === 'owner') setOwner.run(change.accountId, groupId)
        return
      case 'ban':
        if (!accounts.find(change.accountId))
          throw new ActionError('not_found', `account ${change.accountId} does not exist`)
        addBan.run(groupId, change.accountId, change.operatorId, time)
        if (findMember(groupId, change.accountId)) remove(groupId, change.accountId, eventSeq)
        return
      case 'unban':
        removeBan.run(groupId, change.accountId)
        return
      case 'describe':
        setDescription.run(change.description, groupId)
        chats.forget(groupId)
        return
      case 'hand-over':
        setRole.run('admin', groupId, change.fromId)
        setOwner.run(change.toId, groupId)
        setRole.run('owner', groupId, change.toId)
        return
      case 'remove':
        remove(groupId, change.accountId, eventSeq)
        if (change.newOwnerId === undefined) return
        setOwner.run(change.newOwnerId, groupId)
        setRole.run('owner', groupId, change.newOwnerId)
    }
  }

  return {
    find,
    findMember,

    list(accountId?: number): Group[] {
      return (accountId === undefined ? all.all() : ofAccount.all(accountId)).map(toGroup)
    },

    listMembers: (groupId: number) => members.all(groupId).map(toMember),

    add(group: NewGroup): Group {
      const id = group.id ?? chats.nextGroupId()
      if (id > MAX_GROUP_ID) throw new ActionError('invalid', `a group id is at most ${MAX_GROUP_ID}`, { field: 'id' })
      if (chats.ref(id)) throw new ActionError('conflict', `there is a chat with the id ${id} already`, { field: 'id' })
      const roles = new Map<number, Role>()
      for (const accountId of group.memberIds) roles.set(accountId, 'member')
      for (const accountId of group.adminIds) roles.set(accountId, 'admin')
      roles.set(group.ownerId, 'owner')
      for (const accountId of roles.keys()) {
        if (!accounts.find(accountId)) throw new ActionError('not_found', `account ${accountId} does not exist`)
      }
      const { name, description = '', isChannel = false, ownerId, createdAt } = group
      insert.run(id, name, description, Number(isChannel), ownerId, roles.size, createdAt, createdAt)
      for (const [accountId, role] of roles) chats.join(id, accountId, role, createdAt, 1)
      return find(id) as Group
    },

    change({ groupId, actorId, targetId, time, decide }: GroupOrder, emit: Emit): void {
      const group = find(groupId)
      const actor = actorId === undefined ? undefined : findMember(groupId, actorId)
      // One answer for a group that is not there and one that is not theirs.
      if (!group || (actorId !== undefined && !actor))
        throw new ActionError('not_found', `group ${groupId} does not exist or you are not in it`)
      const target = targetId === undefined ? undefined : findMember(groupId, targetId)
      const decision = decide({
        group,
        actor,
        target,
        isTargetBanned: targetId !== undefined && banned.get(groupId, targetId) !== undefined,
        // Looked for only when it is asked for, since it takes a look at every member.
        get successor() {
          const row = successor.get(groupId)
          return row && toMember(row)
        }
      })
      if (!decision) return
      const nextEventSeq = events.nextSeq(groupId)
      // Before the change, which takes it away again with the last member.
      if (decision.event) notifications.record(groupId, decision.event, time)
      apply(groupId, decision.change, time, nextEventSeq)
      if (decision.event) events.append(groupId, time, decision.event, emit, targetId)
    }
  }
}

export type GroupQueries = ReturnType<typeof groupQueries>

function toGroup(row: Record<string, unknown>): Group {
  return {
    id: row.id as number,
    name: row.name as string,
    ownerId: row.owner_id as number,
    memberCount: row.member_count as number,
    isMuted: row.is_muted === 1,
    description: row.description as string,
    announcement: row.announcement as string,
    avatarUrl: row.avatar_url as string,
    isChannel: row.is_channel === 1,
    createdAt: row.created_at as number
  }
}

export function toMember(row: Record<string, unknown>): Member {
  return {
    accountId: row.account_id as number,
    nickname: row.nickname as string,
    card: row.card as string,
    title: row.title as string,
    role: row.role as Role,
    mutedUntil: row.muted_until as number,
    joinedAt: row.joined_at as number,
    lastSentAt: row.last_sent_at as number
  }
}

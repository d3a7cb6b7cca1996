import { Type, type Static } from '@sinclair/typebox'
import type { AccountRef, GroupRef } from '../core/event.ts'
import type { Member } from '../core/store.ts'
import { Int, Uin } from './common.ts'

// Milky 1.2 §2.8: every field that is not optional is always there, 0 or "" when there is nothing to say.

export const Sex = Type.Union([Type.Literal('male'), Type.Literal('female'), Type.Literal('unknown')])

export const FriendEntity = Type.Object({
  user_id: Uin,
  nickname: Type.String(),
  sex: Sex,
  qid: Type.String(),
  remark: Type.String(),
  category: Type.Object({ category_id: Int, category_name: Type.String() })
})
export type FriendEntity = Static<typeof FriendEntity>

export const GroupEntity = Type.Object({
  group_id: Uin,
  group_name: Type.String(),
  member_count: Int,
  max_member_count: Int,
  remark: Type.String(),
  created_time: Int,
  description: Type.String(),
  question: Type.String(),
  announcement: Type.String()
})
export type GroupEntity = Static<typeof GroupEntity>

export const GroupMemberEntity = Type.Object({
  user_id: Uin,
  nickname: Type.String(),
  sex: Sex,
  group_id: Uin,
  card: Type.String(),
  title: Type.String(),
  level: Int,
  role: Type.Union([Type.Literal('owner'), Type.Literal('admin'), Type.Literal('member')]),
  join_time: Int,
  last_sent_time: Int,
  shut_up_end_time: Type.Optional(Int)
})
export type GroupMemberEntity = Static<typeof GroupMemberEntity>

/** The largest group that can be, unless the configuration says otherwise (IM-Suite 2.12). */
export const MAX_GROUP_SIZE = 5000

/** Also for a peer who is no friend: the chat is told about all the same, without a remark. */
export function toFriendEntity(friend: AccountRef & { readonly remark?: string }): FriendEntity {
  return {
    user_id: friend.id,
    nickname: friend.nickname,
    sex: 'unknown',
    qid: friend.username ?? '',
    remark: friend.remark ?? '',
    category: { category_id: 0, category_name: '' }
  }
}

export function toGroupEntity(group: Omit<GroupRef, 'kind'>, maxMembers: number): GroupEntity {
  return {
    group_id: group.id,
    group_name: group.name,
    member_count: group.memberCount,
    max_member_count: maxMembers,
    remark: '',
    created_time: group.createdAt,
    description: group.description,
    question: '',
    announcement: group.announcement
  }
}

/** `now` in Unix seconds: a mute that is over is not told. */
export function toGroupMemberEntity(groupId: number, member: Member, now: number): GroupMemberEntity {
  return {
    user_id: member.accountId,
    nickname: member.nickname,
    sex: 'unknown',
    group_id: groupId,
    card: member.card,
    title: member.title,
    level: 1,
    role: member.role,
    join_time: member.joinedAt,
    last_sent_time: member.lastSentAt,
    ...(member.mutedUntil > now && { shut_up_end_time: member.mutedUntil })
  }
}

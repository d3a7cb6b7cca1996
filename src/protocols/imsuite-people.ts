import type { ShownAccount } from '../core/directory.ts'
import type { AccountRef, ChatRef } from '../core/event.ts'
import type { GroupRequest } from '../core/group-request-store.ts'
import type { Ban, Blocked, Contact } from '../core/people-store.ts'
import type { Member } from '../core/store.ts'
import { toChat, toTimestamp, toUser } from './imsuite.ts'

// Accounts, contacts and members in the REST answers of people (IM-Suite contract 1.5).

/** The union of what clients know a user by, as others see it: the phone number is nobody else's business. */
export function toOtherUser({ account, isOnline, lastSeenAt }: ShownAccount) {
  return {
    id: account.id,
    phone: '',
    username: account.username ?? '',
    nickname: account.nickname,
    avatar: account.avatarUrl,
    avatar_url: account.avatarUrl,
    bio: account.bio,
    language: '',
    theme: '',
    online: isOnline,
    is_online: isOnline,
    last_seen: toTimestamp(lastSeenAt),
    created_at: toTimestamp(account.createdAt),
    updated_at: toTimestamp(account.updatedAt),
    is_bot: account.kind === 'bot'
  }
}

/** A row of the list that `ownerId` keeps; its id is that of the other account, which is what routes want. */
export function toContact(contact: Contact, ownerId: number) {
  return {
    id: contact.id,
    user_id: ownerId,
    contact_id: contact.id,
    nickname: contact.nickname,
    username: contact.username ?? '',
    avatar_url: contact.avatarUrl,
    remark: contact.remark,
    is_muted: contact.isMuted,
    is_blocked: contact.isBlocked,
    created_at: toTimestamp(contact.createdAt)
  }
}

export function toBlocked({ createdAt, ...account }: Blocked) {
  return { user_id: account.id, ...toUser(account), created_at: toTimestamp(createdAt) }
}

export function toBan({ operatorId, createdAt, ...account }: Ban) {
  return { user_id: account.id, ...toUser(account), banned_by: operatorId, created_at: toTimestamp(createdAt) }
}

/** Somebody who wants to come into a group, or whom a member wants there: `inviter` is absent for the former. */
export function toRequest(request: GroupRequest, user: AccountRef, inviter: AccountRef | undefined) {
  return {
    id: request.seq,
    request_id: request.seq,
    chat_id: request.groupId,
    user_id: request.targetId,
    user: toUser(user),
    ...(inviter && { inviter_id: inviter.id, inviter: toUser(inviter) }),
    comment: request.comment,
    state: request.state,
    ...(request.operatorId !== undefined && { answered_by: request.operatorId }),
    created_at: toTimestamp(request.createdAt)
  }
}

export function toInvitation(request: GroupRequest, chat: ChatRef, inviter: AccountRef, viewerId: number) {
  return {
    id: request.seq,
    request_id: request.seq,
    chat_id: chat.id,
    chat: toChat(chat, viewerId),
    inviter_id: inviter.id,
    inviter: toUser(inviter),
    created_at: toTimestamp(request.createdAt)
  }
}

/** `now` in Unix seconds. */
export function toMember(member: Member, { account, isOnline, lastSeenAt }: ShownAccount, now: number) {
  const isMuted = member.mutedUntil > now
  return {
    user_id: member.accountId,
    nickname: member.nickname,
    username: account.username ?? '',
    avatar_url: account.avatarUrl,
    is_bot: account.kind === 'bot',
    role: member.role,
    card: member.card,
    title: member.title,
    is_muted: isMuted,
    muted_until: isMuted ? toTimestamp(member.mutedUntil) : null,
    joined_at: toTimestamp(member.joinedAt),
    is_online: isOnline,
    last_seen: toTimestamp(lastSeenAt)
  }
}

import { Type, type Static } from '@sinclair/typebox'
import type { FriendRequest } from '../core/friend-store.ts'
import { Bool, Int, Uin } from './common.ts'

/** Milky 1.2 §2.8, `FriendRequest`. */
export const FriendRequestEntity = Type.Object({
  time: Int,
  initiator_id: Uin,
  initiator_uid: Type.String(),
  target_user_id: Uin,
  target_user_uid: Type.String(),
  state: Type.Union([Type.Literal('pending'), Type.Literal('accepted'), Type.Literal('rejected')]),
  comment: Type.String(),
  via: Type.String(),
  is_filtered: Bool
})
export type FriendRequestEntity = Static<typeof FriendRequestEntity>

export function toFriendRequestEntity(request: FriendRequest): FriendRequestEntity {
  return {
    time: request.createdAt,
    initiator_id: request.initiatorId,
    initiator_uid: toUid(request.initiatorId),
    target_user_id: request.targetId,
    target_user_uid: toUid(request.targetId),
    state: request.state,
    comment: request.comment,
    via: request.via,
    is_filtered: false
  }
}

/** Accounts have no second name here, so the `uid` of Milky is the number as text. */
export function toUid(accountId: number): string {
  return String(accountId)
}

/** Undefined for anything that `toUid` cannot have made. */
export function parseUid(uid: string): number | undefined {
  return /^[1-9]\d{0,14}$/.test(uid) ? Number(uid) : undefined
}

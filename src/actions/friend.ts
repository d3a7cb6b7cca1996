import { Type } from '@sinclair/typebox'
import { defineAction, type ActionContext } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { Bool, Int, Nothing, Text, Uin } from '../schema/common.ts'
import { FriendRequestEntity, parseUid, toFriendRequestEntity } from '../schema/friend.ts'

// What goes on between two accounts (Milky 1.2 "friend", and the nudges of "group").

function take({ caller, allowances }: Pick<ActionContext, 'caller' | 'allowances'>): void {
  if (caller.kind === 'person') allowances.take('send', caller.id)
}

/** Somebody in one of the caller's chats, or the caller. */
export const nudgeInChat = defineAction({
  name: 'nudge_in_chat',
  params: Type.Object({ chat_id: Uin, user_id: Uin }),
  result: Nothing,
  async run(context, { chat_id, user_id }) {
    const { caller, gestures } = context
    take(context)
    await gestures.nudge(caller.id, chat_id, user_id)
    return {}
  }
})

export const sendFriendNudge = defineAction({
  name: 'send_friend_nudge',
  params: Type.Object({ user_id: Uin, is_self: Type.Optional(Bool) }),
  result: Nothing,
  async run(context, { user_id, is_self = false }) {
    const { caller, chats, gestures } = context
    take(context)
    await gestures.nudge(caller.id, await chats.openPrivate(caller, user_id), is_self ? caller.id : user_id)
    return {}
  }
})

export const sendGroupNudge = defineAction({
  name: 'send_group_nudge',
  params: Type.Object({ group_id: Uin, user_id: Uin }),
  result: Nothing,
  async run(context, { group_id, user_id }) {
    const { caller, groups, gestures } = context
    take(context)
    await gestures.nudge(caller.id, (await groups.get(caller.id, group_id)).id, user_id)
    return {}
  }
})

export const sendProfileLike = defineAction({
  name: 'send_profile_like',
  params: Type.Object({
    user_id: Uin,
    count: Type.Optional(
      Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'expected an integer from 1' })
    )
  }),
  result: Nothing,
  async run(context, { user_id, count = 1 }) {
    take(context)
    await context.gestures.like(context.caller.id, user_id, count)
    return {}
  }
})

export const deleteFriend = defineAction({
  name: 'delete_friend',
  params: Type.Object({ user_id: Uin }),
  result: Nothing,
  async run(context, { user_id }) {
    take(context)
    await context.friends.remove(context.caller.id, user_id)
    return {}
  }
})

/** More than anybody looks through. */
const MAX_REQUESTS = 1000
const isFiltered = { is_filtered: Type.Optional(Bool) }
const Words = Type.String({ maxLength: 500, description: 'expected at most 500 characters' })

export const getFriendRequests = defineAction({
  name: 'get_friend_requests',
  params: Type.Object({ limit: Type.Optional(Int), ...isFiltered }),
  result: Type.Object({ requests: Type.Array(FriendRequestEntity) }),
  async run({ caller, friends }, { limit = 20, is_filtered = false }) {
    // Nobody is held back here for being suspicious.
    if (is_filtered) return { requests: [] }
    const requests = await friends.listRequests(caller.id, Math.min(limit, MAX_REQUESTS))
    return { requests: requests.map(toFriendRequestEntity) }
  }
})

const answer = { initiator_uid: Text, ...isFiltered }

export const acceptFriendRequest = defineAction({
  name: 'accept_friend_request',
  params: Type.Object(answer),
  result: Nothing,
  async run(context, params) {
    take(context)
    await context.friends.accept(context.caller, findInitiator(params))
    return {}
  }
})

export const rejectFriendRequest = defineAction({
  name: 'reject_friend_request',
  params: Type.Object({ ...answer, reason: Type.Optional(Words) }),
  result: Nothing,
  async run(context, { reason = '', ...params }) {
    take(context)
    await context.friends.reject(context.caller, findInitiator(params), reason)
    return {}
  }
})

function findInitiator({ initiator_uid, is_filtered }: { initiator_uid: string; is_filtered?: boolean }): number {
  const id = is_filtered ? undefined : parseUid(initiator_uid)
  if (id !== undefined) return id
  const field = 'initiator_uid'
  throw new ActionError('not_found', `there is no request of "${initiator_uid.slice(0, 64)}"`, { field })
}

/** Milky has no word for asking (docs/milky.md, "Extensions"). */
export const sendFriendRequest = defineAction({
  name: 'send_friend_request',
  params: Type.Object({ user_id: Uin, comment: Type.Optional(Words) }),
  result: Nothing,
  async run(context, { user_id, comment = '' }) {
    take(context)
    await context.friends.request(context.caller, user_id, comment.trim())
    return {}
  }
})

import { Type, type Static } from '@sinclair/typebox'
import { defineAction, type ActionContext } from '../core/action.ts'
import type { Asked, GroupNotification } from '../core/group-request-store.ts'
import { Bool, Int, Nothing, Uin } from '../schema/common.ts'

// Asking to be let into groups, inviting, answering (Milky 1.2, contract 2.4 "group").

const Words = Type.String({ maxLength: 200, description: 'expected at most 200 characters' })
const RequestType = Type.Union([Type.Literal('join_request'), Type.Literal('invited_join_request')], {
  description: 'expected "join_request" or "invited_join_request"'
})
const Limit = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'expected a whole number from 1'
})

/** Entries of one page, whatever was asked for. */
const MAX_PAGE = 100

/** Nothing is filtered here, so that either word means the same entries. */
const request = {
  notification_seq: Int,
  notification_type: RequestType,
  group_id: Uin,
  is_filtered: Type.Optional(Bool)
}
const invitation = { group_id: Uin, invitation_seq: Int }

/** People ask and answer as often as they may say something; bots as often as their door lets them. */
function take({ caller, allowances }: ActionContext): void {
  if (caller.kind === 'person') allowances.take('send', caller.id)
}

/** Milky has no word for it: how else would a bot come into a group by itself? */
export const requestGroupJoin = defineAction({
  name: 'request_group_join',
  params: Type.Object({ group_id: Uin, comment: Type.Optional(Words) }),
  result: Type.Object({ notification_seq: Int }),
  resultOf: ({ seq }: Asked) => ({ notification_seq: seq }),
  async run(context, { group_id, comment = '' }) {
    take(context)
    const { seq } = await context.groupRequests.ask(context.caller, group_id, comment.trim())
    return { notification_seq: seq }
  }
})

/** Milky has no word for it. What comes of it depends on who invites: an invitation, or a request to the owner and the admins. */
export const inviteToGroup = defineAction({
  name: 'invite_to_group',
  params: Type.Object({ group_id: Uin, user_id: Uin }),
  result: Type.Object({
    notification_seq: Int,
    notification_type: Type.Union([Type.Literal('invitation'), Type.Literal('invited_join_request')])
  }),
  resultOf: toInvited,
  async run(context, { group_id, user_id }) {
    take(context)
    return toInvited(await context.groupRequests.invite(context.caller, group_id, user_id))
  }
})

function toInvited({ seq, type }: Asked) {
  return {
    notification_seq: seq,
    notification_type: type === 'invitation' ? type : ('invited_join_request' as const)
  }
}

const State = Type.Union([Type.Literal('pending'), Type.Literal('accepted'), Type.Literal('rejected')])
const entry = { group_id: Uin, notification_seq: Int }

/** Milky 1.2 §2.8. */
const NotificationEntity = Type.Union([
  Type.Object({
    type: Type.Literal('join_request'),
    ...entry,
    is_filtered: Bool,
    initiator_id: Uin,
    state: State,
    operator_id: Type.Optional(Int),
    comment: Type.String()
  }),
  Type.Object({
    type: Type.Literal('invited_join_request'),
    ...entry,
    initiator_id: Uin,
    target_user_id: Uin,
    state: State,
    operator_id: Type.Optional(Int)
  }),
  Type.Object({
    type: Type.Literal('admin_change'),
    ...entry,
    target_user_id: Uin,
    is_set: Bool,
    operator_id: Uin
  }),
  Type.Object({ type: Type.Literal('kick'), ...entry, target_user_id: Uin, operator_id: Uin }),
  Type.Object({ type: Type.Literal('quit'), ...entry, target_user_id: Uin })
])

export const getGroupNotifications = defineAction({
  name: 'get_group_notifications',
  params: Type.Object({
    start_notification_seq: Type.Optional(Int),
    is_filtered: Type.Optional(Bool),
    limit: Type.Optional(Limit)
  }),
  result: Type.Object({
    notifications: Type.Array(NotificationEntity),
    next_notification_seq: Type.Optional(Int)
  }),
  async run({ caller, groupRequests }, { start_notification_seq: start = 0, is_filtered = false, limit = 20 }) {
    if (is_filtered) return { notifications: [] }
    const size = Math.min(limit, MAX_PAGE)
    // Some clients say 0 for "the newest" (contract 3.2).
    const startSeq = start === 0 ? undefined : start
    const found = await groupRequests.listNotifications(caller.id, { startSeq, limit: size + 1 })
    const next = found[size]
    return {
      notifications: found.slice(0, size).flatMap((notification) => toEntity(notification) ?? []),
      ...(next && { next_notification_seq: next.seq })
    }
  }
})

/** Undefined for invitations, of which an event tells. */
function toEntity(notification: GroupNotification): Static<typeof NotificationEntity> | undefined {
  const { seq, groupId, targetId } = notification
  const place = { group_id: groupId, notification_seq: seq }
  const about = { ...place, target_user_id: targetId }
  switch (notification.type) {
    case 'join_request': {
      const { type, initiatorId, comment, state, operatorId } = notification
      const answered = { state, ...(operatorId !== undefined && { operator_id: operatorId }) }
      return { type, ...place, is_filtered: false, initiator_id: initiatorId, ...answered, comment }
    }
    case 'invited_join_request': {
      const { type, initiatorId, state, operatorId } = notification
      const answered = { state, ...(operatorId !== undefined && { operator_id: operatorId }) }
      return { type, ...about, initiator_id: initiatorId, ...answered }
    }
    case 'admin_change':
      return {
        type: notification.type,
        ...about,
        is_set: notification.isSet,
        operator_id: notification.operatorId
      }
    case 'kick':
      return { type: notification.type, ...about, operator_id: notification.operatorId }
    case 'quit':
      return { type: notification.type, ...about }
    case 'invitation':
      return undefined
  }
}

export const acceptGroupRequest = defineAction({
  name: 'accept_group_request',
  params: Type.Object(request),
  result: Nothing,
  async run(context, { notification_seq: seq, notification_type, group_id: groupId }) {
    take(context)
    await context.groupRequests.accept(context.caller.id, { seq, types: [notification_type], groupId })
    return {}
  }
})

export const rejectGroupRequest = defineAction({
  name: 'reject_group_request',
  params: Type.Object({ ...request, reason: Type.Optional(Words) }),
  result: Nothing,
  async run(context, { notification_seq: seq, notification_type, group_id: groupId, reason }) {
    take(context)
    await context.groupRequests.reject(context.caller.id, { seq, types: [notification_type], groupId }, reason?.trim())
    return {}
  }
})

export const acceptGroupInvitation = defineAction({
  name: 'accept_group_invitation',
  params: Type.Object(invitation),
  result: Nothing,
  async run(context, { group_id: groupId, invitation_seq: seq }) {
    take(context)
    await context.groupRequests.accept(context.caller.id, { seq, types: ['invitation'], groupId })
    return {}
  }
})

export const rejectGroupInvitation = defineAction({
  name: 'reject_group_invitation',
  params: Type.Object(invitation),
  result: Nothing,
  async run(context, { group_id: groupId, invitation_seq: seq }) {
    take(context)
    await context.groupRequests.reject(context.caller.id, { seq, types: ['invitation'], groupId })
    return {}
  }
})

/** For people, whose addresses of requests name no type. */
export const answerChatRequest = defineAction({
  name: 'answer_chat_request',
  params: Type.Object({ chat_id: Uin, request_id: Int, is_accepted: Bool, reason: Type.Optional(Words) }),
  result: Nothing,
  async run(context, { chat_id: groupId, request_id: seq, is_accepted, reason }) {
    take(context)
    const { caller, groupRequests } = context
    const key = { seq, types: ['join_request', 'invited_join_request'], groupId } as const
    if (is_accepted) await groupRequests.accept(caller.id, key)
    else await groupRequests.reject(caller.id, key, reason?.trim())
    return {}
  }
})

/** For people, whose addresses of invitations name no group. */
export const answerChatInvitation = defineAction({
  name: 'answer_chat_invitation',
  params: Type.Object({ request_id: Int, is_accepted: Bool }),
  result: Nothing,
  async run(context, { request_id: seq, is_accepted }) {
    take(context)
    const { caller, groupRequests } = context
    await groupRequests[is_accepted ? 'accept' : 'reject'](caller.id, { seq, types: ['invitation'] })
    return {}
  }
})

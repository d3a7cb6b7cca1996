import { Type } from '@sinclair/typebox'
import { ActionError } from '../core/errors.ts'
import { Bool, Int, Text, Uin } from '../schema/common.ts'
import { draft, Id, member, same, type Call, type DraftAction } from './draft-action.ts'
import { parseRequestId, type RequestAddress } from './draft-shapes.ts'

/** The draft's chapters "friend" and "request", and what it calls a nudge in a group (contract 1.6, 1.11). */
export const draftFriendActions: readonly DraftAction[] = [
  draft('send_friend_poke', Type.Object({ user_id: Uin, is_self: Type.Optional(Bool) }), (params) => ({
    action: 'send_friend_nudge',
    params
  })),
  same('send_profile_like', Type.Object({ user_id: Uin, count: Type.Optional(Int) })),
  draft('send_group_poke', Type.Object(member), (params) => ({ action: 'send_group_nudge', params })),
  draft('accept_request', Type.Object({ request_id: Id }), ({ request_id }) => toAnswer('accept', request_id)),
  draft('reject_request', Type.Object({ request_id: Id, reason: Type.Optional(Text) }), ({ request_id, ...reason }) =>
    toAnswer('reject', request_id, reason)
  )
]

/** What neither dialect has an action for: a bot that wants to be another bot's friend. */
export const draftFriendExtensions: readonly DraftAction[] = [
  same('send_friend_request', Type.Object({ user_id: Uin, comment: Type.Optional(Text) }))
]

/** The draft answers everything that can be asked in one way. */
function toAnswer(verb: 'accept' | 'reject', requestId: string, reason: object = {}): Call {
  const address = parseRequestId(requestId)
  if (!address)
    throw new ActionError('not_found', `there is no request "${requestId.slice(0, 64)}"`, { field: 'request_id' })
  return toCall(verb, address, reason)
}

function toCall(verb: 'accept' | 'reject', address: RequestAddress, reason: object): Call {
  if (address.kind === 'Friend')
    return { action: `${verb}_friend_request`, params: { initiator_uid: String(address.initiatorId), ...reason } }
  const group = { group_id: address.groupId }
  if (address.kind === 'Invitation')
    return { action: `${verb}_group_invitation`, params: { ...group, invitation_seq: address.seq } }
  const notification_type = address.kind === 'Join' ? 'join_request' : 'invited_join_request'
  return {
    action: `${verb}_group_request`,
    params: { ...group, notification_seq: address.seq, notification_type, ...reason }
  }
}

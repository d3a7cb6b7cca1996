import { Type } from '@sinclair/typebox'
import { defineAction, type ActionContext } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { Bool, Int, Nothing, Uin } from '../schema/common.ts'

// What is only so for the moment: who types, who is there. Milky has no word for it.

/** IM-Suite 2.3 `typing`, for people and bots. Some clients say `action` for `is_typing`. */
export const setTyping = defineAction({
  name: 'set_typing',
  params: Type.Object({
    chat_id: Type.Optional(Uin),
    receiver_id: Type.Optional(Uin),
    user_id: Type.Optional(Uin),
    group_id: Type.Optional(Uin),
    is_typing: Type.Optional(Bool),
    action: Type.Optional(
      Type.Union(
        ['start', 'typing', 'stop', 'cancel'].map((word) => Type.Literal(word)),
        { description: 'expected "start", "typing", "stop" or "cancel"' }
      )
    )
  }),
  result: Nothing,
  async run(context, { is_typing, action = 'start', ...place }) {
    const { caller, deviceId, typing, allowances } = context
    allowances.take('typing', caller.id)
    const isTyping = is_typing ?? (action === 'start' || action === 'typing')
    await typing.set(caller, await findPlace(context, place), isTyping, deviceId)
    return {}
  }
})

interface Place {
  readonly chat_id?: number
  readonly receiver_id?: number
  readonly user_id?: number
  readonly group_id?: number
}

async function findPlace({ caller, chats, groups }: ActionContext, place: Place): Promise<number> {
  if (place.chat_id !== undefined) return place.chat_id
  if (place.group_id !== undefined) return (await groups.get(caller.id, place.group_id)).id
  const peerId = place.receiver_id ?? place.user_id
  if (peerId === undefined)
    throw new ActionError('invalid', 'chat_id: expected the id of a chat, it is missing', { field: 'chat_id' })
  return chats.getPrivate(caller.id, peerId)
}

/** IM-Suite 2.3 `presence`: whether the connection that it comes by may be seen. Some clients say `status`. */
export const setPresence = defineAction({
  name: 'set_presence',
  params: Type.Object({
    is_online: Type.Optional(Bool),
    status: Type.Optional(
      Type.Union(
        ['online', 'offline', 'away'].map((word) => Type.Literal(word)),
        { description: 'expected "online", "offline" or "away"' }
      )
    )
  }),
  result: Nothing,
  async run({ deviceId, presence }, { is_online, status }) {
    if (is_online === undefined && status === undefined)
      throw new ActionError('invalid', 'is_online: expected true or false, it is missing', { field: 'is_online' })
    if (deviceId === undefined)
      throw new ActionError('invalid', 'presence belongs to a connection, and this call came by none')
    presence.setVisible(deviceId, is_online ?? status === 'online')
    return {}
  }
})

/** Accounts that one connection may ask to hear about (IM-Suite 2.7). */
const MAX_WATCHED = 500

/** IM-Suite 2.7 `presence.subscribe`: in the place of the accounts that were asked for before. */
export const subscribePresence = defineAction({
  name: 'subscribe_presence',
  params: Type.Object({
    user_ids: Type.Array(Uin, { maxItems: MAX_WATCHED, description: `expected at most ${MAX_WATCHED} ids` })
  }),
  result: Type.Object({
    users: Type.Array(Type.Object({ user_id: Uin, is_online: Type.Boolean(), last_seen: Int }))
  }),
  async run({ caller, deviceId, presence, allowances }, { user_ids }) {
    if (deviceId === undefined)
      throw new ActionError('invalid', 'a subscription belongs to a connection, and this call came by none')
    allowances.take('watch', caller.id)
    const seen = await presence.subscribe(caller.id, deviceId, user_ids)
    return {
      users: seen.map(({ accountId, isOnline, lastSeenAt }) => ({
        user_id: accountId,
        is_online: isOnline,
        last_seen: lastSeenAt
      }))
    }
  }
})

import { Type } from '@sinclair/typebox'
import { defineAction } from '../core/action.ts'
import { Bool, Nothing, Scene, Uin } from '../schema/common.ts'
import { FriendEntity, GroupEntity, toFriendEntity, toGroupEntity } from '../schema/entity.ts'

export const getPeerPins = defineAction({
  name: 'get_peer_pins',
  params: Nothing,
  result: Type.Object({ friends: Type.Array(FriendEntity), groups: Type.Array(GroupEntity) }),
  async run({ caller, pins, store, maxMembers }) {
    const pinned = await pins.list(caller.id)
    const idsOf = (scene: 'friend' | 'group'): number[] =>
      pinned.flatMap((pin) => (pin.scene === scene ? [pin.peerId] : []))
    const findPeer = async (id: number) => (await store.findFriend(caller.id, id)) ?? (await store.findAccount(id))
    const friends = await Promise.all(idsOf('friend').map(findPeer))
    const groups = await Promise.all(idsOf('group').map((id) => store.findGroup(id)))
    return {
      friends: friends.flatMap((friend) => (friend ? [toFriendEntity(friend)] : [])),
      groups: groups.flatMap((group) => (group ? [toGroupEntity(group, maxMembers)] : []))
    }
  }
})

export const setPeerPin = defineAction({
  name: 'set_peer_pin',
  params: Type.Object({ message_scene: Scene, peer_id: Uin, is_pinned: Type.Optional(Bool) }),
  result: Nothing,
  async run({ caller, pins }, { message_scene, peer_id, is_pinned = true }) {
    // A private chat is one and the same, whether the two are friends or not.
    const scene = message_scene === 'group' ? 'group' : 'friend'
    await pins.set(caller.id, { scene, peerId: peer_id }, is_pinned)
    return {}
  }
})

/** The same by the number of the chat, for people. */
export const setChatPin = defineAction({
  name: 'set_chat_pin',
  params: Type.Object({ chat_id: Uin, is_pinned: Bool }),
  result: Nothing,
  async run({ caller, chats, pins, allowances }, { chat_id, is_pinned }) {
    allowances.take('send', caller.id)
    const chat = await chats.getOwn(caller.id, chat_id)
    const pin =
      chat.kind === 'group'
        ? ({ scene: 'group', peerId: chat.id } as const)
        : ({ scene: 'friend', peerId: chat.parties.find(({ id }) => id !== caller.id)?.id ?? 0 } as const)
    await pins.set(caller.id, pin, is_pinned)
    return {}
  }
})

import { Type } from '@sinclair/typebox'
import { defineAction } from '../core/action.ts'
import { Bool, Nothing, Text, Uin } from '../schema/common.ts'
import {
  FriendEntity,
  GroupEntity,
  GroupMemberEntity,
  toFriendEntity,
  toGroupEntity,
  toGroupMemberEntity
} from '../schema/entity.ts'

// `no_cache` is accepted and changes nothing: Lactea is the platform, so there is no older copy to pass by.
const noCache = { no_cache: Type.Optional(Bool) }

export const getLoginInfo = defineAction({
  name: 'get_login_info',
  params: Nothing,
  result: Type.Object({ uin: Uin, nickname: Text }),
  async run({ caller }) {
    return { uin: caller.id, nickname: caller.nickname }
  }
})

export const getFriendList = defineAction({
  name: 'get_friend_list',
  params: Type.Object(noCache),
  result: Type.Object({ friends: Type.Array(FriendEntity) }),
  async run({ caller, store }) {
    return { friends: (await store.listFriends(caller.id)).map(toFriendEntity) }
  }
})

export const getFriendInfo = defineAction({
  name: 'get_friend_info',
  params: Type.Object({ user_id: Uin, ...noCache }),
  result: Type.Object({ friend: FriendEntity }),
  async run({ caller, accounts }, { user_id }) {
    return { friend: toFriendEntity(await accounts.getFriend(caller.id, user_id)) }
  }
})

export const getGroupList = defineAction({
  name: 'get_group_list',
  params: Type.Object(noCache),
  result: Type.Object({ groups: Type.Array(GroupEntity) }),
  async run({ caller, groups, maxMembers }) {
    return { groups: (await groups.list(caller.id)).map((group) => toGroupEntity(group, maxMembers)) }
  }
})

export const getGroupInfo = defineAction({
  name: 'get_group_info',
  params: Type.Object({ group_id: Uin, ...noCache }),
  result: Type.Object({ group: GroupEntity }),
  async run({ caller, groups, maxMembers }, { group_id }) {
    return { group: toGroupEntity(await groups.get(caller.id, group_id), maxMembers) }
  }
})

export const getGroupMemberList = defineAction({
  name: 'get_group_member_list',
  params: Type.Object({ group_id: Uin, ...noCache }),
  result: Type.Object({ members: Type.Array(GroupMemberEntity) }),
  async run({ caller, groups, now }, { group_id }) {
    const members = await groups.listMembers(caller.id, group_id)
    return { members: members.map((member) => toGroupMemberEntity(group_id, member, now())) }
  }
})

export const getGroupMemberInfo = defineAction({
  name: 'get_group_member_info',
  params: Type.Object({ group_id: Uin, user_id: Uin, ...noCache }),
  result: Type.Object({ member: GroupMemberEntity }),
  async run({ caller, groups, now }, { group_id, user_id }) {
    return { member: toGroupMemberEntity(group_id, await groups.getMember(caller.id, group_id, user_id), now()) }
  }
})

import { rank } from './chats.ts'
import { ActionError } from './errors.ts'
import type { Group, GroupDecision, GroupState, Member, Store } from './store.ts'

/** Groups: who may do what to whom. Every method throws `ActionError` to refuse; changing nothing is a success without an event. */
export interface Groups {
  readonly list: (accountId: number) => Promise<Group[]>
  /** The group, if the account is in it; `not_found` otherwise. */
  readonly get: (accountId: number, groupId: number) => Promise<Group>
  readonly listMembers: (accountId: number, groupId: number) => Promise<Member[]>
  readonly getMember: (accountId: number, groupId: number, memberId: number) => Promise<Member>
  readonly rename: (actorId: number, groupId: number, name: string) => Promise<void>
  /** What the group is about; nobody's news. */
  readonly describe: (actorId: number, groupId: number, description: string) => Promise<void>
  /** A picture that lies here under a lasting address; what showed the group before goes. Nobody's news. */
  readonly setAvatar: (
    actorId: number,
    groupId: number,
    picture: { readonly url: string; readonly fileId: number }
  ) => Promise<void>
  /** A title that only the owner and the admins give, to those of a lower role and to themselves; nobody's news. */
  readonly setTitle: (actorId: number, groupId: number, memberId: number, title: string) => Promise<void>
  readonly setCard: (actorId: number, groupId: number, memberId: number, card: string) => Promise<void>
  readonly setAdmin: (actorId: number, groupId: number, memberId: number, isSet: boolean) => Promise<void>
  /** The owner becomes an admin. */
  readonly handOver: (actorId: number, groupId: number, memberId: number) => Promise<void>
  /** `durationS` 0 lifts. */
  readonly mute: (actorId: number, groupId: number, memberId: number, durationS: number) => Promise<void>
  readonly muteAll: (actorId: number, groupId: number, isMute: boolean) => Promise<void>
  /** Who is kept out does not come back until the ban is lifted. */
  readonly kick: (actorId: number, groupId: number, memberId: number, keepsOut?: boolean) => Promise<void>
  /** The owner hands the group over to the longest-serving admin, else member. */
  readonly quit: (accountId: number, groupId: number) => Promise<void>
  /** By the operator of the gateway; an account that is a member already stays as it is. */
  readonly addMember: (groupId: number, accountId: number) => Promise<void>
}

/** `now` gives Unix seconds. */
export function createGroups(store: Store, now: () => number): Groups {
  async function get(accountId: number, groupId: number): Promise<Group> {
    const group = await store.findGroup(groupId)
    if (!group || !(await store.isMember(groupId, accountId))) {
      throw new ActionError('not_found', `group ${groupId} does not exist or you are not in it`)
    }
    return group
  }

  function change(
    actorId: number,
    groupId: number,
    targetId: number | undefined,
    decide: (state: ActorState) => GroupDecision
  ): Promise<void> {
    // The store answers "not found" when the actor is not a member, before it asks for a decision.
    return store.changeGroup({
      groupId,
      actorId,
      targetId,
      time: now(),
      decide: (state) => decide(state as ActorState)
    })
  }

  return {
    list: (accountId) => store.listGroups(accountId),
    get,

    async listMembers(accountId, groupId) {
      await get(accountId, groupId)
      return store.listMembers(groupId)
    },

    async getMember(accountId, groupId, memberId) {
      await get(accountId, groupId)
      const member = await store.findMember(groupId, memberId)
      if (!member) throw noMember(memberId)
      return member
    },

    rename: (actorId, groupId, name) =>
      change(actorId, groupId, undefined, ({ group, actor }) => {
        mustBeAdmin(actor, 'rename the group')
        if (group.name === name) return undefined
        return {
          change: { type: 'rename', name },
          event: { kind: 'group.renamed', data: { name, operatorId: actorId } }
        }
      }),

    describe: (actorId, groupId, description) =>
      change(actorId, groupId, undefined, ({ group, actor }) => {
        mustBeAdmin(actor, 'describe the group')
        if (group.description === description) return undefined
        return { change: { type: 'describe', description } }
      }),

    setAvatar: (actorId, groupId, { url, fileId }) =>
      change(actorId, groupId, undefined, ({ actor }) => {
        mustBeAdmin(actor, 'change the picture of the group')
        return { change: { type: 'set-avatar', url, fileId } }
      }),

    setTitle: (actorId, groupId, memberId, title) =>
      change(actorId, groupId, memberId, ({ actor, target }) => {
        mustBeAdmin(actor, 'give titles')
        if (!target) throw noMember(memberId)
        if (actorId !== memberId) mustOutrank(actor, target, 'give a title to')
        return { change: { type: 'set-title', accountId: memberId, title } }
      }),

    setCard: (actorId, groupId, memberId, card) =>
      change(actorId, groupId, memberId, ({ actor, target }) => {
        if (!target) throw noMember(memberId)
        if (actorId !== memberId) mustOutrank(actor, target, 'change the card of')
        return { change: { type: 'set-card', accountId: memberId, card } }
      }),

    setAdmin: (actorId, groupId, memberId, isSet) =>
      change(actorId, groupId, memberId, ({ actor, target }) => {
        if (actor.role !== 'owner')
          throw new ActionError('forbidden', 'only the owner appoints admins', { cause: 'role' })
        if (!target) throw noMember(memberId)
        if (target.role === 'owner')
          throw new ActionError('forbidden', 'the owner is above the admins already', { cause: 'role' })
        const role = isSet ? 'admin' : 'member'
        if (target.role === role) return undefined
        return {
          change: { type: 'set-role', accountId: memberId, role },
          event: { kind: 'admin.changed', data: { accountId: memberId, operatorId: actorId, isSet } }
        }
      }),

    handOver: (actorId, groupId, memberId) =>
      change(actorId, groupId, memberId, ({ actor, target }) => {
        if (actor.role !== 'owner')
          throw new ActionError('forbidden', 'only the owner hands a group over', { cause: 'role' })
        if (!target) throw noMember(memberId)
        if (actorId === memberId) return undefined
        return {
          change: { type: 'hand-over', fromId: actorId, toId: memberId },
          event: { kind: 'owner.changed', data: { accountId: memberId, operatorId: actorId } }
        }
      }),

    mute: (actorId, groupId, memberId, durationS) =>
      change(actorId, groupId, memberId, ({ actor, target }) => {
        mustBeAdmin(actor, 'mute')
        if (!target) throw noMember(memberId)
        mustOutrank(actor, target, 'mute')
        const time = now()
        const until = durationS === 0 ? 0 : time + durationS
        const current = target.mutedUntil > time ? target.mutedUntil : 0
        if (until === current) return undefined
        return {
          change: { type: 'mute', accountId: memberId, until },
          event: { kind: 'member.muted', data: { accountId: memberId, operatorId: actorId, durationS } }
        }
      }),

    muteAll: (actorId, groupId, isMute) =>
      change(actorId, groupId, undefined, ({ group, actor }) => {
        mustBeAdmin(actor, 'mute the group')
        if (group.isMuted === isMute) return undefined
        return {
          change: { type: 'mute-all', isMute },
          event: { kind: 'group.muted', data: { operatorId: actorId, isMute } }
        }
      }),

    kick: (actorId, groupId, memberId, keepsOut = false) =>
      change(actorId, groupId, memberId, ({ actor, target }) => {
        mustBeAdmin(actor, 'kick')
        if (!target) throw noMember(memberId)
        if (actorId === memberId)
          throw new ActionError('invalid', 'you cannot kick yourself; quit the group instead', { field: 'user_id' })
        mustOutrank(actor, target, 'kick')
        return {
          change: keepsOut
            ? { type: 'ban', accountId: memberId, operatorId: actorId }
            : { type: 'remove', accountId: memberId, newOwnerId: undefined },
          event: { kind: 'member.left', data: { accountId: memberId, operatorId: actorId } }
        }
      }),

    quit: (accountId, groupId) =>
      change(accountId, groupId, accountId, ({ actor, successor }) => ({
        change: { type: 'remove', accountId, newOwnerId: actor.role === 'owner' ? successor?.accountId : undefined },
        event: { kind: 'member.left', data: { accountId } }
      })),

    addMember: (groupId, accountId) =>
      store.changeGroup({
        groupId,
        targetId: accountId,
        time: now(),
        decide({ group, target }) {
          if (target) return undefined
          // A group that everybody has left belongs to whoever comes first.
          const role = group.memberCount === 0 ? 'owner' : 'member'
          return { change: { type: 'add', accountId, role }, event: { kind: 'member.joined', data: { accountId } } }
        }
      })
  }
}

interface ActorState extends GroupState {
  readonly actor: Member
}

export function noMember(accountId: number): ActionError {
  return new ActionError('not_found', `account ${accountId} is not in the group`)
}

export function mustBeAdmin(actor: Member, what: string): void {
  if (actor.role === 'member')
    throw new ActionError('forbidden', `only the owner and the admins can ${what}`, { cause: 'role' })
}

export function mustOutrank(actor: Member, target: Member, what: string): void {
  if (rank(actor.role) > rank(target.role)) return
  throw new ActionError(
    'forbidden',
    target.role === 'owner' ? `nobody can ${what} the owner` : `only somebody of a higher role can ${what} this member`,
    { cause: 'role' }
  )
}

import type { Chats } from './chats.ts'
import { ActionError } from './errors.ts'
import { mustBeAdmin, mustOutrank } from './groups.ts'
import type { Ban, InviteState, Window } from './people-store.ts'
import type { Account, Group, GroupDecision, GroupState, Member, Store } from './store.ts'

export interface NewGroupChat {
  readonly name: string
  readonly description?: string | undefined
  /** Only the owner and the admins speak there. */
  readonly isChannel?: boolean | undefined
  readonly memberIds: readonly number[]
}

/** Who is in a group and who may not be. Every method throws `ActionError` to refuse; changing nothing is a success without an event. */
export interface Members {
  /** A new group, owned by who makes it; the others are put into it under the rules of `add`. */
  readonly open: (owner: Account, group: NewGroupChat) => Promise<Group>
  /** By the owner and the admins; all are let in, or nobody. Gives those who were not in it before. */
  readonly add: (actor: Account, groupId: number, accountIds: readonly number[]) => Promise<readonly number[]>
  /** Keeps somebody out who may be in the group or not. */
  readonly ban: (actorId: number, groupId: number, accountId: number) => Promise<void>
  readonly unban: (actorId: number, groupId: number, accountId: number) => Promise<void>
  /** For the owner and the admins. */
  readonly listBans: (accountId: number, groupId: number, window: Window) => Promise<{ bans: Ban[]; total: number }>
  /** Of a chat of either kind: the owner, the admins, the others. */
  readonly list: (accountId: number, chatId: number, window: Window) => Promise<{ members: Member[]; total: number }>
}

export interface MembersOptions {
  readonly store: Store
  readonly chats: Pick<Chats, 'getOwn' | 'mustReach'>
  /** Unix seconds. */
  readonly now: () => number
  /** How many a group may have. */
  readonly maxMembers: number
}

export function createMembers({ store, chats, now, maxMembers }: MembersOptions): Members {
  function choose({ group, actor, candidates }: InviteState): number[] {
    mustBeAdmin(actor, 'add members')
    const absent = candidates.find(({ isThere }) => !isThere)
    if (absent) throw new ActionError('not_found', `account ${absent.accountId} does not exist`, { field: 'user_ids' })
    const fresh = candidates.filter(({ isMember }) => !isMember)
    const banned = fresh.find(({ isBanned }) => isBanned)
    if (banned)
      throw new ActionError('forbidden', `account ${banned.accountId} is banned from this group`, { cause: 'banned' })
    // Not said by whom: who has blocked somebody need not be known.
    if (fresh.some(({ hasBlocked }) => hasBlocked))
      throw new ActionError('forbidden', 'somebody of these does not want to be added by you', { cause: 'blocked' })
    if (group.memberCount + fresh.length > maxMembers)
      throw new ActionError('too_large', `a group has at most ${maxMembers} members`, { field: 'user_ids' })
    return fresh.map(({ accountId }) => accountId)
  }

  /** A bot puts nobody into a group to whom it may not write. */
  async function mustReachAll(actor: Account, accountIds: readonly number[]): Promise<void> {
    if (actor.kind === 'person') return
    for (const accountId of accountIds) if (accountId !== actor.id) await chats.mustReach(actor, accountId)
  }

  function change(
    actorId: number,
    groupId: number,
    targetId: number,
    decide: (state: GroupState & { readonly actor: Member }) => GroupDecision
  ): Promise<void> {
    // The store answers "not found" when the actor is not a member, before it asks for a decision.
    return store.changeGroup({
      groupId,
      actorId,
      targetId,
      time: now(),
      decide: (state) => decide(state as GroupState & { readonly actor: Member })
    })
  }

  return {
    async open(owner, { name, description = '', isChannel = false, memberIds }) {
      await mustReachAll(owner, memberIds)
      return store.openGroup({
        name,
        description,
        isChannel,
        actorId: owner.id,
        accountIds: memberIds,
        time: now(),
        decide: choose
      })
    },

    async add(actor, groupId, accountIds) {
      await mustReachAll(actor, accountIds)
      return store.invite({ groupId, actorId: actor.id, accountIds, time: now(), decide: choose })
    },

    ban: (actorId, groupId, accountId) =>
      change(actorId, groupId, accountId, ({ actor, target, isTargetBanned }) => {
        mustBeAdmin(actor, 'ban')
        if (actorId === accountId) throw new ActionError('invalid', 'you cannot ban yourself', { field: 'user_id' })
        if (isTargetBanned) return undefined
        if (target) mustOutrank(actor, target, 'ban')
        return {
          change: { type: 'ban', accountId, operatorId: actorId },
          ...(target && { event: { kind: 'member.left', data: { accountId, operatorId: actorId } } })
        }
      }),

    unban: (actorId, groupId, accountId) =>
      change(actorId, groupId, accountId, ({ actor, isTargetBanned }) => {
        mustBeAdmin(actor, 'lift a ban')
        return isTargetBanned ? { change: { type: 'unban', accountId } } : undefined
      }),

    async listBans(accountId, groupId, window) {
      const member = await store.findMember(groupId, accountId)
      if (!member || !(await store.findGroup(groupId)))
        throw new ActionError('not_found', `group ${groupId} does not exist or you are not in it`)
      mustBeAdmin(member, 'see who is banned')
      return store.listBans(groupId, window)
    },

    async list(accountId, chatId, window) {
      await chats.getOwn(accountId, chatId)
      return store.listMembersOf(chatId, window)
    }
  }
}

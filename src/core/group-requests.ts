import type { Chats } from './chats.ts'
import { ActionError } from './errors.ts'
import type { Answer, AnswerState, Asked, GroupRequest, GroupRequestStore, RequestKey } from './group-request-store.ts'
import { mustBeAdmin } from './groups.ts'
import { toNotice, type Notices } from './notices.ts'
import type { Window } from './people-store.ts'
import type { Account, Group, Store } from './store.ts'

/** Asking to be let into groups, inviting, answering. Every method throws `ActionError` to refuse. */
export interface GroupRequests {
  /** Asks the owner and the admins; once more while it is open is no mistake and nobody's news. */
  readonly ask: (caller: Account, groupId: number, comment: string) => Promise<Asked>
  /** By the owner and the admins: asks whom they want. By a member: asks the owner and the admins, who then put them in. */
  readonly invite: (inviter: Account, groupId: number, accountId: number) => Promise<Asked>
  /** By the owner and the admins, invitations by whom they are for. Accepting twice is no mistake. */
  readonly accept: (actorId: number, key: RequestKey) => Promise<void>
  /** By the same; a person who has asked hears the reason. */
  readonly reject: (actorId: number, key: RequestKey, reason?: string) => Promise<void>
  readonly listNotifications: GroupRequestStore['listNotifications']
  /** For the owner and the admins. */
  readonly list: (
    accountId: number,
    groupId: number,
    window: Window
  ) => Promise<{ requests: GroupRequest[]; total: number }>
  readonly listInvitations: GroupRequestStore['listInvitations']
}

export interface GroupRequestsOptions {
  readonly store: Store
  readonly chats: Pick<Chats, 'mustReach'>
  readonly notices: Pick<Notices, 'look'>
  /** Unix seconds. */
  readonly now: () => number
  /** How many a group may have. */
  readonly maxMembers: number
}

export function createGroupRequests({ store, chats, notices, now, maxMembers }: GroupRequestsOptions): GroupRequests {
  function mustHaveRoom(group: Group): void {
    if (group.memberCount >= maxMembers)
      throw new ActionError('too_large', `a group has at most ${maxMembers} members`, { field: 'group_id' })
  }

  function accept(state: AnswerState, key: RequestKey, actorId: number, time: number): Answer | undefined {
    const { group, request } = mustAnswer(state, key, actorId)
    const { type, targetId } = request
    if (request.state === 'accepted') return undefined
    mustBeOpen(request)
    if (state.isTargetBanned) throw banned(targetId)
    if (type !== 'join_request' && !state.isInitiatorMember)
      throw new ActionError('conflict', 'who invited is not in the group any more')
    if (type === 'invited_join_request' && state.hasTargetBlocked) throw blocked()
    mustHaveRoom(group)
    return { state: 'accepted', notice: tellInitiator(state, actorId, time, 'success', ACCEPTED) }
  }

  function reject(state: AnswerState, key: RequestKey, actorId: number, time: number, reason: string): Answer {
    const { request } = mustAnswer(state, key, actorId)
    mustBeOpen(request)
    const words = reason === '' ? REJECTED : `${REJECTED}：${reason}`
    return { state: 'rejected', notice: tellInitiator(state, actorId, time, 'info', words) }
  }

  async function answer(
    actorId: number,
    key: RequestKey,
    decide: (state: AnswerState, time: number) => Answer | undefined
  ): Promise<void> {
    const time = now()
    await store.answerRequest({ key, actorId, time, decide: (state) => decide(state, time) })
    await notices.look()
  }

  return {
    ask: (caller, groupId, comment) =>
      store.askForGroup({
        groupId,
        initiatorId: caller.id,
        targetId: caller.id,
        comment,
        time: now(),
        decide({ group, isTargetMember, isTargetBanned }) {
          // Nobody is there who could answer.
          if (!group || group.memberCount === 0)
            throw new ActionError('not_found', `group ${groupId} does not exist`, { field: 'group_id' })
          if (isTargetMember) throw new ActionError('conflict', 'you are in this group already')
          if (isTargetBanned) throw banned(caller.id)
          mustHaveRoom(group)
          return 'join_request'
        }
      }),

    async invite(inviter, groupId, accountId) {
      if (inviter.kind === 'bot' && accountId !== inviter.id) await chats.mustReach(inviter, accountId)
      return store.askForGroup({
        groupId,
        initiatorId: inviter.id,
        targetId: accountId,
        comment: '',
        time: now(),
        decide({ group, initiator, target, isTargetMember, isTargetBanned, hasTargetBlocked }) {
          if (!group || !initiator)
            throw new ActionError('not_found', `group ${groupId} does not exist or you are not in it`)
          if (!target) throw new ActionError('not_found', `account ${accountId} does not exist`, { field: 'user_id' })
          if (isTargetMember)
            throw new ActionError('conflict', `account ${accountId} is in the group already`, { field: 'user_id' })
          if (isTargetBanned) throw banned(accountId)
          if (hasTargetBlocked) throw blocked()
          mustHaveRoom(group)
          return initiator.role === 'member' ? 'invited_join_request' : 'invitation'
        }
      })
    },

    accept: (actorId, key) => answer(actorId, key, (state, time) => accept(state, key, actorId, time)),
    reject: (actorId, key, reason = '') =>
      answer(actorId, key, (state, time) => reject(state, key, actorId, time, reason)),

    listNotifications: (accountId, page) => store.listNotifications(accountId, page),

    async list(accountId, groupId, window) {
      const member = await store.findMember(groupId, accountId)
      if (!member || !(await store.findGroup(groupId)))
        throw new ActionError('not_found', `group ${groupId} does not exist or you are not in it`)
      mustBeAdmin(member, 'see who wants to come in')
      return store.listRequests(groupId, window)
    },

    listInvitations: (accountId, window) => store.listInvitations(accountId, window)
  }
}

/** Whom nobody asked learns nothing of what was asked; members that may not answer hear that. */
function mustAnswer({ request, group, actor }: AnswerState, key: RequestKey, actorId: number) {
  const isInvitation = key.types.includes('invitation')
  if (!isInvitation && actor) mustBeAdmin(actor, 'answer requests')
  if (!request || !group || (isInvitation ? request.targetId !== actorId : !actor))
    throw new ActionError('not_found', `there is no such request ${key.seq}`)
  return { request, group }
}

function mustBeOpen({ state }: GroupRequest): void {
  if (state !== 'pending') throw new ActionError('conflict', `the request was ${state} already`)
}

const TITLE = '入群申请（request to join）'
const ACCEPTED = '申请已通过（it was accepted）'
const REJECTED = '申请被拒绝（it was rejected）'
/** As much of the name of a group as a notice shows; an operator may have given it a longer one. */
const MAX_NAME = 64

/** A bot reads what became of it; a person has nowhere to look. What became of an invitation is nobody's news. */
function tellInitiator(
  { request, group, initiator }: AnswerState,
  actorId: number,
  now: number,
  kind: 'success' | 'info',
  message: string
): Answer['notice'] {
  if (!request || !group || request.type === 'invitation') return undefined
  if (initiator?.kind !== 'person' || initiator.id === actorId) return undefined
  const words = `${group.name.slice(0, MAX_NAME)}：${message}`
  return toNotice({ audience: [initiator.id], title: TITLE, message: words, kind, actionUrl: '' }, now)
}

function banned(accountId: number): ActionError {
  return new ActionError('forbidden', `account ${accountId} is banned from this group`, { cause: 'banned' })
}

/** Not said by whom: who is blocked need not know. */
function blocked(): ActionError {
  return new ActionError('forbidden', 'one of the two has blocked the other', { cause: 'blocked' })
}

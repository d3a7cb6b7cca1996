import type { Notice } from './notices.ts'
import type { Window } from './people-store.ts'
import type { Account, Group, Member } from './store.ts'

/**
 * What somebody has to answer. `join_request`: who asks for themselves; `invited_join_request`: a member asks for somebody
 * else; `invitation`: the owner or an admin asks somebody to come, who answers.
 */
export type RequestType = 'join_request' | 'invited_join_request' | 'invitation'
export type RequestState = 'pending' | 'accepted' | 'rejected'

export interface GroupRequest {
  readonly type: RequestType
  /** Grows with each request and each piece of news of any group. */
  readonly seq: number
  readonly groupId: number
  readonly initiatorId: number
  /** Whom to let in; the initiator for those who ask for themselves. */
  readonly targetId: number
  readonly comment: string
  readonly state: RequestState
  /** Who has answered; the gateway's operator has no account. */
  readonly operatorId: number | undefined
  /** Unix seconds. */
  readonly createdAt: number
}

interface News<T extends string> {
  readonly type: T
  readonly seq: number
  readonly groupId: number
  readonly targetId: number
  readonly createdAt: number
}

/** What an owner and the admins look through (Milky 1.2 `GroupNotification`). */
export type GroupNotification =
  | GroupRequest
  | (News<'admin_change'> & { readonly operatorId: number; readonly isSet: boolean })
  | (News<'kick'> & { readonly operatorId: number })
  | News<'quit'>

/** What a rule about asking is decided on. */
export interface AskState {
  readonly group: Group | undefined
  /** Undefined when who asks is not in the group. */
  readonly initiator: Member | undefined
  /** Undefined when there is no such account, or it is switched off. */
  readonly target: Account | undefined
  readonly isTargetMember: boolean
  readonly isTargetBanned: boolean
  /** They have blocked the initiator. */
  readonly hasTargetBlocked: boolean
}

export interface AskOrder {
  readonly groupId: number
  readonly initiatorId: number
  readonly targetId: number
  readonly comment: string
  readonly time: number
  /** The rule: what it is; throws to refuse. */
  readonly decide: (state: AskState) => RequestType
}

export interface Asked {
  readonly seq: number
  readonly type: RequestType
  /** It was asked before and is still open: nobody is told again. */
  readonly isRepeated: boolean
}

/** Which request is meant; any group's when `groupId` is absent. */
export interface RequestKey {
  readonly seq: number
  readonly types: readonly RequestType[]
  readonly groupId?: number | undefined
}

/** What a rule about answering is decided on. */
export interface AnswerState {
  /** Undefined when the key fits none. */
  readonly request: GroupRequest | undefined
  readonly group: Group | undefined
  /** Undefined when who answers is not in the group. */
  readonly actor: Member | undefined
  readonly initiator: Account | undefined
  readonly isInitiatorMember: boolean
  readonly isTargetBanned: boolean
  /** They have blocked the initiator. */
  readonly hasTargetBlocked: boolean
}

export interface Answer {
  readonly state: Exclude<RequestState, 'pending'>
  /** What is kept at the same time for who asked. */
  readonly notice?: { readonly notice: Omit<Notice, 'id'>; readonly keepFrom: number } | undefined
}

export interface AnswerOrder {
  readonly key: RequestKey
  readonly actorId: number
  readonly time: number
  /** The rule; undefined when there is nothing to do, throws to refuse. Who is accepted is a member in the same commit. */
  readonly decide: (state: AnswerState) => Answer | undefined
}

/** How the core keeps what is asked of groups, and what became of their members; see `Store` for the manners of its methods. */
export interface GroupRequestStore {
  /** Tells who has to answer: the owner and the admins, or whom a group invites. */
  readonly askForGroup: (order: AskOrder) => Promise<Asked>
  readonly answerRequest: (order: AnswerOrder) => Promise<void>
  /** Newest first, up to `startSeq`: of groups that the account owns or administers, and what concerns its own role and stay. */
  readonly listNotifications: (
    accountId: number,
    page: { readonly startSeq?: number | undefined; readonly limit: number }
  ) => Promise<GroupNotification[]>
  /** Of those who want to come into the group: what is open first, then the newest first. */
  readonly listRequests: (groupId: number, window: Window) => Promise<{ requests: GroupRequest[]; total: number }>
  /** What the account may still answer, newest first: who left does not invite any more. */
  readonly listInvitations: (accountId: number, window: Window) => Promise<{ requests: GroupRequest[]; total: number }>
}

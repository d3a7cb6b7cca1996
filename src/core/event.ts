import type { Segment } from './segment.ts'

export type Role = 'owner' | 'admin' | 'member'

/** As much of an account as an event shows of it. */
export interface AccountRef {
  readonly id: number
  readonly nickname: string
  readonly avatarUrl: string
}

/** As much of a chat as an event shows of it; a private chat has no name of its own, each side sees the other's. */
export type ChatRef =
  | { readonly id: number; readonly kind: 'private'; readonly parties: readonly [AccountRef, AccountRef] }
  /** In a channel only the owner and the admins speak. */
  | { readonly id: number; readonly kind: 'group'; readonly name: string; readonly isChannel?: boolean }

export interface Message {
  /** Global, increasing. */
  readonly id: number
  readonly chatId: number
  /** Position in the chat: from 1, without holes, never reused. */
  readonly seq: number
  readonly senderId: number
  /** Unix seconds. */
  readonly time: number
  readonly segments: readonly Segment[]
  /** How often it was edited; absent for never. */
  readonly rev?: number
  /** Unix seconds; absent when it was never edited. */
  readonly editedAt?: number
  /** The sender's own name for it, by which a repeated send is recognised. */
  readonly clientId?: string
}

/** A new kind is one new line; every codec then fails to compile until it maps it or says null. */
export interface EventData {
  'message.created': { readonly message: Message; readonly sender: AccountRef }
  /** The message as it is now. */
  'message.edited': { readonly message: Message }
  'message.recalled': {
    readonly messageId: number
    readonly seq: number
    readonly senderId: number
    readonly operatorId: number
  }
  'member.joined': { readonly accountId: number; readonly operatorId?: number; readonly inviterId?: number }
  'member.left': { readonly accountId: number; readonly operatorId?: number }
  'member.muted': { readonly accountId: number; readonly operatorId: number; readonly durationS: number }
  'admin.changed': { readonly accountId: number; readonly operatorId: number; readonly isSet: boolean }
  /** Who owned the group until now, `operatorId`, is an admin from now on. */
  'owner.changed': { readonly accountId: number; readonly operatorId: number }
  'group.renamed': { readonly name: string; readonly operatorId: number }
  'group.muted': { readonly operatorId: number; readonly isMute: boolean }
}

export type EventKind = keyof EventData

/** Something that happened and is stored. Immutable; shared by everyone who hears of it. */
export type GatewayEvent = { [K in EventKind]: EventOf<K> }[EventKind]

export interface EventOf<K extends EventKind> {
  /** Position in the one event log; grows with each commit. */
  readonly id: number
  readonly kind: K
  /** Unix seconds. */
  readonly time: number
  readonly chat: ChatRef
  /** Position among the events of this chat: from 1, without holes. */
  readonly eventSeq: number
  /** Accounts that may see it. */
  readonly audience: readonly number[]
  readonly data: EventData[K]
}

/** What a rule asks the store to write into the log, before it has an id. */
export type EventDraft = { [K in EventKind]: { readonly kind: K; readonly data: EventData[K] } }[EventKind]

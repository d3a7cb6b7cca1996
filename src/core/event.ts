import type { Segment } from './segment.ts'

export type Role = 'owner' | 'admin' | 'member'

/** As much of an account as an event shows of it. */
export interface AccountRef {
  readonly id: number
  readonly nickname: string
  readonly avatarUrl: string
  readonly username?: string | undefined
}

/** As much of a chat as an event shows of it; a private chat has no name of its own, each side sees the other's. */
export type ChatRef = PrivateRef | GroupRef

export interface PrivateRef {
  readonly id: number
  readonly kind: 'private'
  readonly parties: readonly [AccountRef, AccountRef]
  /** What the first party calls the second, and the second the first; absent when neither has a name of their own for the other. */
  readonly remarks?: readonly [string, string]
}

export interface GroupRef {
  readonly id: number
  readonly kind: 'group'
  readonly name: string
  /** In a channel only the owner and the admins speak. */
  readonly isChannel?: boolean
  readonly memberCount: number
  readonly description: string
  /** Absent for none. */
  readonly avatarUrl?: string
  /** The newest announcement; empty when there is none. */
  readonly announcement: string
  /** Unix seconds. */
  readonly createdAt: number
}

/** Where events are that belong to no chat but to some accounts. */
export interface Inbox {
  readonly id: 0
  readonly kind: 'inbox'
}

export const INBOX: Inbox = { id: 0, kind: 'inbox' }

/** The sender of a message in a group, as they were when it was said. */
export interface SenderRef {
  readonly role: Role
  readonly card: string
  readonly title: string
  /** 0 when not muted. */
  readonly mutedUntil: number
  readonly joinedAt: number
}

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

/** What happens in a chat. A new kind is one new line; every codec then fails to compile until it maps it or says null. */
export interface ChatEventData {
  'message.created': {
    readonly message: Message
    readonly sender: AccountRef
    /** Absent in private chats, and when the sender has left. */
    readonly member?: SenderRef
    /** What the messages say that it quotes, by their seq; those that were recalled are missing. */
    readonly quoted?: Readonly<Record<number, readonly Segment[]>>
  }
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
  /** A poke; `receiverId` may be the sender. */
  'chat.nudged': { readonly senderId: number; readonly receiverId: number }
  'reaction.changed': {
    readonly messageId: number
    readonly seq: number
    readonly accountId: number
    /** The id of a face, or the decimal code point of an emoji. */
    readonly reaction: string
    readonly type: 'face' | 'emoji'
    readonly isAdd: boolean
  }
  /** A message of a group is marked as worth keeping, or no longer. */
  'essence.changed': {
    readonly messageId: number
    readonly seq: number
    readonly operatorId: number
    readonly isSet: boolean
  }
  /** Follows the message that shows the file. */
  'file.uploaded': {
    readonly accountId: number
    readonly fileId: number
    readonly name: string
    /** Bytes. */
    readonly size: number
    /** SHA-256, in hexadecimal. */
    readonly hash: string
  }
}

/** What concerns some accounts alone. */
export interface InboxEventData {
  'friend.requested': {
    readonly initiatorId: number
    readonly targetId: number
    readonly comment: string
    readonly via: string
  }
  /** Somebody asks to be let into a group; told to its owner and admins. */
  'group.requested': {
    readonly groupId: number
    readonly requestSeq: number
    readonly initiatorId: number
    readonly comment: string
  }
  /** A member asks to let somebody else into a group; told to its owner and admins. */
  'group.invite_requested': {
    readonly groupId: number
    readonly requestSeq: number
    readonly initiatorId: number
    readonly targetId: number
  }
  /** Told to whom a group invites. */
  'group.invited': { readonly groupId: number; readonly requestSeq: number; readonly initiatorId: number }
  /** Told to whom has pinned a chat. */
  'pin.changed': { readonly scene: 'friend' | 'group'; readonly peerId: number; readonly isPinned: boolean }
  /** Told to who was switched off. */
  'account.disabled': { readonly accountId: number; readonly reason: string }
}

export interface EventData extends ChatEventData, InboxEventData {}

export type EventKind = keyof EventData
export type InboxEventKind = keyof InboxEventData

/** Something that happened and is stored. Immutable; shared by everyone who hears of it. */
export type GatewayEvent = { [K in EventKind]: EventOf<K> }[EventKind]

export interface EventOf<K extends EventKind> {
  /** Position in the one event log; grows with each commit. */
  readonly id: number
  readonly kind: K
  /** Unix seconds. */
  readonly time: number
  readonly chat: K extends InboxEventKind ? Inbox : ChatRef
  /** Position among the events of this chat: from 1, without holes. */
  readonly eventSeq: number
  /** Accounts that may see it. */
  readonly audience: readonly number[]
  readonly data: EventData[K]
}

export type ChatEvent = Extract<GatewayEvent, { readonly chat: ChatRef }>

/** What a rule asks the store to write into the log of a chat, before it has an id. */
export type EventDraft = {
  [K in keyof ChatEventData]: { readonly kind: K; readonly data: EventData[K] }
}[keyof ChatEventData]

/** The same for what concerns some accounts alone. */
export type InboxEventDraft = {
  [K in InboxEventKind]: {
    readonly kind: K
    readonly data: EventData[K]
    /** Who hears of it; nobody else ever may. */
    readonly audience: readonly number[]
  }
}[InboxEventKind]

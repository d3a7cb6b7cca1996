import type { AccountRef } from './event.ts'
import type { Window } from './people-store.ts'
import type { Member, Message, Speaker } from './store.ts'

/** What a group tells its members on its own page (Milky 1.2, `GroupAnnouncementEntity`). */
export interface Announcement {
  /** Never given twice. */
  readonly id: number
  readonly groupId: number
  /** Who has sent it. */
  readonly sender: AccountRef
  readonly content: string
  /** The picture beside the words. */
  readonly file: { readonly fileId: number; readonly name: string } | undefined
  /** Unix seconds, as every time here. */
  readonly createdAt: number
}

export interface AnnouncementOrder {
  readonly groupId: number
  readonly actorId: number
  readonly content: string
  /** A file of the actor's, or one that they may see. */
  readonly fileId?: number | undefined
  readonly time: number
  /** So many of the group stay; the oldest go. */
  readonly keep: number
  /** The rule; throws to refuse. */
  readonly check: (actor: Member) => void
}

export interface AnnouncementRemoval {
  readonly groupId: number
  readonly actorId: number
  readonly announcementId: number
  /** The rule; throws to refuse. */
  readonly check: (actor: Member) => void
}

/** A message that somebody found worth keeping. Names are cards where there are any. */
export interface EssenceEntry {
  readonly message: Message
  readonly senderName: string
  readonly operatorId: number
  readonly operatorName: string
  /** When it was marked. */
  readonly time: number
}

/** What a rule about an essence message is decided on. */
export interface EssenceState {
  readonly actor: Member
  readonly isMarked: boolean
  /** How many the group has. */
  readonly count: number
}

export interface EssenceOrder {
  readonly groupId: number
  readonly seq: number
  readonly actorId: number
  readonly isSet: boolean
  readonly time: number
  /** The rule: whether anything changes; throws to refuse. */
  readonly decide: (state: EssenceState) => boolean
}

export type ReactionType = 'face' | 'emoji'

/** Which reaction it is: the id of a face, or the decimal code point of an emoji. */
export interface ReactionName {
  readonly type: ReactionType
  readonly reaction: string
}

/** One reaction to a message, by everybody who gave it, as one of the chat sees it. */
export interface ReactionSummary extends ReactionName {
  readonly count: number
  readonly isOwn: boolean
  /** Who gave it, the first first; of many only so many as were asked for. */
  readonly accountIds: readonly number[]
}

/** What a rule about a reaction is decided on. */
export interface ReactionState {
  readonly speaker: Speaker
  /** The account has reacted so already. */
  readonly isThere: boolean
  /** Somebody has. */
  readonly isKnown: boolean
  /** How many different ones the message has. */
  readonly count: number
}

export interface ReactionOrder extends ReactionName {
  readonly chatId: number
  readonly seq: number
  readonly accountId: number
  readonly isAdd: boolean
  readonly time: number
  /** The rule: whether anything changes; throws to refuse. */
  readonly decide: (state: ReactionState) => boolean
}

/**
 * What is noted on groups and messages; see `Store` for the manners of its methods. What is asked for a group that is not
 * there or that the account is not in is `not_found`, as is a message that is not there or was recalled.
 */
export interface NoteStore {
  readonly addAnnouncement: (order: AnnouncementOrder) => Promise<Announcement>
  /** The picture goes with it when nothing else shows it. */
  readonly removeAnnouncement: (removal: AnnouncementRemoval) => Promise<void>
  /** The newest first. */
  readonly listAnnouncements: (groupId: number) => Promise<Announcement[]>

  readonly changeEssence: (order: EssenceOrder) => Promise<void>
  /** The latest marked first. */
  readonly listEssence: (groupId: number, window: Window) => Promise<{ entries: EssenceEntry[]; total: number }>

  readonly changeReaction: (order: ReactionOrder) => Promise<void>
  /** In the order in which they were first given; up to `limit` accounts of each. */
  readonly listReactions: (messageId: number, viewerId: number, limit: number) => Promise<ReactionSummary[]>
}

import type { Notice } from './notices.ts'
import type { Speaker } from './store.ts'

/** Somebody who wants to be in somebody's list of friends (Milky 1.2, `FriendRequest`). */
export interface FriendRequest {
  /** Grows with each request. */
  readonly id: number
  readonly initiatorId: number
  readonly targetId: number
  readonly state: 'pending' | 'accepted' | 'rejected'
  readonly comment: string
  /** By which way they came. */
  readonly via: string
  /** Unix seconds, as every time here. */
  readonly createdAt: number
}

/** What is asked, and the rule about who may. */
export interface FriendQuestion {
  readonly comment: string
  readonly via: string
  /** Nobody has to answer: they are friends at once. */
  readonly isAccepted: boolean
  /** The rule; throws to refuse, and then nothing is written. Not asked when there is nothing to ask for. */
  readonly check: (pair: { readonly isBlocked: boolean }) => void
}

export interface FriendRequestOrder extends FriendQuestion {
  readonly initiatorId: number
  readonly targetId: number
  readonly time: number
}

export interface FriendAnswer {
  readonly state: 'accepted' | 'rejected'
  /** What is told with it, and what is old enough to go. */
  readonly told?: { readonly notice: Omit<Notice, 'id'>; readonly keepFrom: number } | undefined
}

export interface FriendAnswerOrder {
  readonly initiatorId: number
  readonly targetId: number
  readonly time: number
  /**
   * The rule: decided on the newest request of the two, and whether the target has the initiator as a friend. Undefined is
   * a success that changes nothing; throws to refuse.
   */
  readonly decide: (request: FriendRequest | undefined, isFriend: boolean) => FriendAnswer | undefined
}

export interface NudgeOrder {
  readonly chatId: number
  readonly senderId: number
  /** May be the sender. */
  readonly receiverId: number
  readonly time: number
  /** The rule; throws to refuse. */
  readonly check: (speaker: Speaker) => void
}

export interface LikeOrder {
  readonly accountId: number
  readonly targetId: number
  readonly count: number
  readonly time: number
  /** The rule: how often the account has liked the target on this day already (UTC); throws to refuse. */
  readonly check: (state: { readonly given: number; readonly hasBlocked: boolean }) => void
}

/** How often an account was liked. */
export interface Likes {
  readonly total: number
  /** On the day (UTC) that was asked for; who liked it most often first. */
  readonly today: readonly { readonly accountId: number; readonly count: number }[]
}

export interface Pin {
  readonly scene: 'friend' | 'group'
  readonly peerId: number
}

export interface PinOrder extends Pin {
  readonly accountId: number
  readonly isPinned: boolean
  readonly time: number
  /** The rule, for what is not so already: whether there is such a friend, peer or group of the account's own, and how many are pinned. */
  readonly check: (state: { readonly isThere: boolean; readonly count: number }) => void
}

/** A sticker that an account has sent. */
export interface CustomFace {
  readonly fileId: number
  readonly name: string
}

/** How the core keeps what goes on between two accounts; see `Store` for the manners of its methods. */
export interface FriendStore {
  /**
   * Asks, with an event for the target. Somebody whom the target has as a friend is one on both sides at once; asking again
   * while it is open tells nobody; asking who has asked oneself is accepting.
   */
  readonly requestFriend: (order: FriendRequestOrder) => Promise<void>
  /** Newest first; those who are switched off are left out. The newest thousand that were answered are kept. */
  readonly listFriendRequests: (targetId: number, limit: number) => Promise<FriendRequest[]>
  readonly answerFriendRequest: (order: FriendAnswerOrder) => Promise<void>
  /** On both sides, with what was asked between them and is still open. False when neither had the other. */
  readonly removeFriendship: (a: number, b: number) => Promise<boolean>

  readonly nudge: (order: NudgeOrder) => Promise<void>

  /** Days are kept for a month, the total for ever. */
  readonly addLikes: (order: LikeOrder) => Promise<void>
  /** `time` says which day. */
  readonly readLikes: (targetId: number, time: number, limit: number) => Promise<Likes>

  /** With an event for the account itself; none when it is so already. */
  readonly setPin: (order: PinOrder) => Promise<void>
  /** The latest first, without those that lead nowhere any more. */
  readonly listPins: (accountId: number) => Promise<Pin[]>

  /** Newest first, each content once. */
  readonly listCustomFaces: (accountId: number) => Promise<CustomFace[]>
}

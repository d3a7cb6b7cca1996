export type { Message } from './event.ts'
import type { AuditStore } from './audit-store.ts'
import type { EventListener, Undo } from './bus.ts'
import type { CallStore } from './call-record.ts'
import type { DeliveryStore } from './delivery-store.ts'
import type { EffectStore } from './effect-store.ts'
import type { AccountRef, ChatRef, EventDraft, GatewayEvent, Message, Role } from './event.ts'
import type { NoteStore } from './note-store.ts'
import type { GroupFileStore } from './group-files.ts'
import type { MailStore } from './mail-store.ts'
import type { GroupRequestStore } from './group-request-store.ts'
import type { FriendStore } from './friend-store.ts'
import type { NoticeStore } from './notices.ts'
import type { PeopleStore } from './people-store.ts'
import type { DraftSegment, ForwardedMessage, Segment } from './segment.ts'

export interface Account extends AccountRef {
  readonly kind: 'person' | 'bot'
  readonly username: string | undefined
  readonly phone: string | undefined
  readonly bio: string
  /** Unix seconds, as every time here. */
  readonly createdAt: number
  /** When it last changed what it shows of itself. */
  readonly updatedAt: number
  readonly isDisabled: boolean
  /** May do what is for the operator's people alone. */
  readonly isAdmin: boolean
}

export interface NewAccount {
  /** The store gives the next free id from 10001 when absent. */
  readonly id?: number | undefined
  readonly kind: 'person' | 'bot'
  readonly nickname: string
  readonly username?: string | undefined
  readonly phone?: string | undefined
  readonly passwordHash?: string | undefined
  /** Digest of the invitation that is used up by making the account; refused (`forbidden`) when it does not count. */
  readonly invite?: Uint8Array | undefined
  readonly createdAt: number
}

/** The right to make one account. */
export interface Invite {
  readonly digest: Uint8Array
  readonly createdAt: number
  readonly expiresAt: number
}

/** Who somebody is to a foreign issuer of tokens. */
export interface Identity {
  readonly issuer: string
  readonly subject: string
  /** What the account is called that is made for who was never seen before. */
  readonly nickname: string
  readonly time: number
}

export interface Friend extends AccountRef {
  readonly remark: string
}

export interface Group {
  readonly id: number
  readonly name: string
  readonly ownerId: number
  readonly memberCount: number
  readonly isMuted: boolean
  readonly description: string
  /** The words of the newest announcement; empty when there is none. */
  readonly announcement: string
  readonly avatarUrl: string
  /** Only the owner and the admins speak there. */
  readonly isChannel: boolean
  readonly createdAt: number
}

/** Private chats are numbered above it, so that the numbers below are free for the groups that an operator names. */
export const MAX_GROUP_ID = 1_000_000_000

export interface NewGroup {
  readonly id?: number | undefined
  readonly name: string
  readonly description?: string
  readonly isChannel?: boolean
  readonly ownerId: number
  readonly adminIds: readonly number[]
  readonly memberIds: readonly number[]
  readonly createdAt: number
}

export interface Member {
  readonly accountId: number
  readonly nickname: string
  readonly card: string
  readonly title: string
  readonly role: Role
  /** 0 when not muted. */
  readonly mutedUntil: number
  readonly joinedAt: number
  /** 0 when nothing was said yet. */
  readonly lastSentAt: number
}

/** What decides whether somebody may speak; read in the transaction of the message itself. */
export interface Speaker {
  readonly kind: 'private' | 'group'
  readonly role: Role
  readonly mutedUntil: number
  readonly isGroupMuted: boolean
  /** The other side of a private chat is switched off. */
  readonly isPeerDisabled: boolean
  /** One side of a private chat has blocked the other. */
  readonly isBlocked: boolean
  /** Only the owner and the admins speak here. */
  readonly isChannel: boolean
}

export interface MessageDraft {
  readonly chatId: number
  readonly senderId: number
  readonly segments: readonly DraftSegment[]
  readonly time: number
  /** The sender's own name for the message: sent again, it is the same message and nothing is written. */
  readonly clientId?: string | undefined
  /** Where a group keeps the files that it shows; in the root when absent. */
  readonly place?: FilePlace | undefined
  /** The rule; throws to refuse, and then nothing is written. */
  readonly check: (speaker: Speaker) => void
}

export interface FilePlace {
  /** `not_found` when the group has no such folder. */
  readonly folderId?: number | undefined
  /** As many files as the group may have: `too_large` above. */
  readonly maxFiles?: number | undefined
}

export interface Appended {
  readonly message: Message
  /** It was there already, under the same `clientId`. */
  readonly isDuplicate: boolean
}

export interface EditOrder {
  readonly chatId: number
  readonly seq: number
  readonly time: number
  /** The rule: gives what the message says from now on, or undefined to leave it as it is; throws to refuse. */
  readonly edit: (message: Message, sender: Speaker | undefined) => readonly Segment[] | undefined
}

/** How far somebody has come in a chat. */
export interface ReadState {
  readonly accountId: number
  readonly readSeq: number
  /** Never below `readSeq`. */
  readonly deliveredSeq: number
  /** Every event of the log up to this one has reached a device, too. */
  readonly deliveredId: number
}

/** How much of what was missed is told again (IM-Suite 2.10). */
export interface MissedLimits {
  readonly chats: number
  readonly perChat: number
  readonly total: number
}

/** What of the log is kept. The newest event always is. */
export interface LogBounds {
  /** Unix seconds: what is older goes. */
  readonly keptFrom: number
  /** As many of the newest are kept. */
  readonly keep: number
  /** As many go at once. */
  readonly limit: number
}

export interface DroppedEvents {
  readonly events: number
  readonly cursors: number
  /** There is more that may go. */
  readonly isMore: boolean
}

/** What a message said before it was edited. */
export interface Revision {
  readonly rev: number
  readonly segments: readonly Segment[]
  /** When it was said. */
  readonly time: number
}

/** What a rule about a group is decided on: the group, who acts, and whom it is about. */
export interface GroupState {
  readonly group: Group
  readonly actor: Member | undefined
  readonly target: Member | undefined
  readonly isTargetBanned: boolean
  /** Who would follow the owner: the longest-serving admin, else the longest-serving member; one who is switched off only when nobody else is left. */
  readonly successor: Member | undefined
}

export type GroupChange =
  | { readonly type: 'rename'; readonly name: string }
  | { readonly type: 'mute-all'; readonly isMute: boolean }
  /** The file behind the former picture goes, unless something else shows it. */
  | { readonly type: 'set-avatar'; readonly url: string; readonly fileId: number }
  | { readonly type: 'set-title'; readonly accountId: number; readonly title: string }
  | { readonly type: 'set-card'; readonly accountId: number; readonly card: string }
  | { readonly type: 'set-role'; readonly accountId: number; readonly role: Role }
  | { readonly type: 'mute'; readonly accountId: number; readonly until: number }
  | { readonly type: 'add'; readonly accountId: number; readonly role: Role }
  | { readonly type: 'remove'; readonly accountId: number; readonly newOwnerId: number | undefined }
  /** Removes a member, and keeps anybody out. */
  | { readonly type: 'ban'; readonly accountId: number; readonly operatorId: number }
  | { readonly type: 'unban'; readonly accountId: number }
  | { readonly type: 'describe'; readonly description: string }
  /** Who owned the group is an admin afterwards. */
  | { readonly type: 'hand-over'; readonly fromId: number; readonly toId: number }

/** Undefined: nothing to do, which is a success without an event. */
export type GroupDecision = { readonly change: GroupChange; readonly event?: EventDraft } | undefined

export interface GroupOrder {
  readonly groupId: number
  /** Absent when the operator of the gateway acts (configuration, command line). */
  readonly actorId?: number | undefined
  readonly targetId?: number | undefined
  readonly time: number
  readonly decide: (state: GroupState) => GroupDecision
}

export interface RecallOrder {
  readonly chatId: number
  readonly seq: number
  readonly operatorId: number
  readonly time: number
  /** `operatorRole` is absent when the operator is not in the chat. */
  readonly check: (
    message: Message & { readonly isRecalled: boolean },
    chatKind: 'private' | 'group',
    operatorRole: Role | undefined
  ) => void
}

export interface MessagePage {
  readonly chatId: number
  /** Messages up to and including this seq, newest first in the store's reading, ascending in the answer. */
  readonly upToSeq?: number | undefined
  /** Messages after this seq. */
  readonly afterSeq?: number | undefined
  readonly limit: number
}

export interface ChatSummary {
  readonly chat: ChatRef
  readonly lastMessage: Message | undefined
  /** Position of the chat's last event. */
  readonly lastEventSeq: number
  readonly unreadCount: number
  readonly isPinned: boolean
  readonly createdAt: number
  readonly updatedAt: number
}

export interface Session {
  readonly id: string
  readonly accountId: number
  readonly refreshId: string
  readonly createdAt: number
  readonly expiresAt: number
  /** Where its devices were in the log when they were last heard of, and when that was (0: never). */
  readonly cursor?: number | undefined
  readonly cursorAt: number
}

/** How far the devices of a session, and those of its account, have come in the log. */
export interface SessionCursor {
  readonly sessionId: string | undefined
  readonly accountId: number
  readonly cursor: number
  /** Everything up to this event has reached a device of the account. */
  readonly deliveredId: number
  readonly time: number
}

/** One upload of bytes that are kept elsewhere, under their digest. */
export interface StoredFile {
  /** Never given twice. */
  readonly id: number
  readonly ownerId: number
  /** In hexadecimal. */
  readonly sha256: string
  readonly name: string
  readonly mime: string
  /** Bytes. */
  readonly size: number
  /** 0 when unknown, as height (pixels) and durationS. */
  readonly width: number
  readonly height: number
  readonly durationS: number
  readonly createdAt: number
}

export type NewFile = Omit<StoredFile, 'id'>

/**
 * What the core asks of a database. Each method is one statement or one transaction and says what is meant, not which
 * tables it touches. A promise resolves only after the commit is durable.
 * Errors: `ActionError('conflict')` for a taken id, username, phone or token, `ActionError('unavailable')` when the database
 * cannot write, and whatever a `check` or `decide` throws.
 */
export interface Store
  extends
    GroupRequestStore,
    FriendStore,
    CallStore,
    PeopleStore,
    NoticeStore,
    GroupFileStore,
    NoteStore,
    MailStore,
    EffectStore,
    AuditStore,
    DeliveryStore {
  readonly findAccount: (id: number) => Promise<Account | undefined>
  readonly findAccountByLogin: (login: {
    username?: string | undefined
    phone?: string | undefined
  }) => Promise<(Account & { passwordHash: string | undefined }) | undefined>
  /** Also of an account that is switched off. */
  readonly findAccountByToken: (digest: Uint8Array) => Promise<Account | undefined>
  readonly listAccounts: (kind: 'person' | 'bot') => Promise<Account[]>
  readonly addAccount: (account: NewAccount) => Promise<Account>
  readonly addInvite: (invite: Invite) => Promise<void>
  /** The person that the identity stands for; made when it is seen for the first time, once even when two ask. */
  readonly findOrAddIdentity: (identity: Identity) => Promise<Account>
  readonly setNickname: (id: number, nickname: string) => Promise<void>
  readonly findPasswordHash: (id: number) => Promise<string | undefined>
  /** Ends the account's sessions but the one to keep, and gives the ids of those that ended. */
  readonly setPassword: (id: number, passwordHash: string, keptSessionId?: string) => Promise<string[]>
  readonly setAdmin: (id: number, isAdmin: boolean) => Promise<void>
  /**
   * Switches the account off: its sessions end, its messages stay. Its token opens nothing any more, but it is still known
   * whose it was. A bot that was on hears of it.
   */
  readonly disableAccount: (id: number, time: number) => Promise<void>
  /** The account's only token from now on. */
  readonly replaceToken: (accountId: number, digest: Uint8Array, time: number) => Promise<void>
  readonly countTokens: (accountId: number) => Promise<number>

  /** On both sides; what was asked between the two is accepted by it. */
  readonly addFriendship: (a: number, b: number, time: number) => Promise<void>
  readonly listFriends: (accountId: number) => Promise<Friend[]>
  readonly findFriend: (accountId: number, friendId: number) => Promise<Friend | undefined>
  readonly shareGroup: (a: number, b: number) => Promise<boolean>
  /** Who shares a private chat with the account or has the other in a list of contacts, on either side, and has no block between them; the latest active first. */
  readonly listPeers: (accountId: number, limit: number) => Promise<number[]>
  /** Those of `ids` who share any chat with the account or are connected by a list of contacts, and have no block between them. */
  readonly listKnown: (accountId: number, ids: readonly number[]) => Promise<number[]>
  /** When each was last seen, or else made. */
  readonly listLastSeen: (ids: readonly number[]) => Promise<Map<number, number>>
  readonly saveLastSeen: (ids: readonly number[], time: number) => Promise<void>

  readonly findPrivateChat: (a: number, b: number) => Promise<number | undefined>
  /** The private chat of two accounts, made when there is none. */
  readonly openPrivateChat: (a: number, b: number, time: number) => Promise<number>
  readonly findChat: (chatId: number) => Promise<ChatRef | undefined>
  readonly isMember: (chatId: number, accountId: number) => Promise<boolean>
  /** What decides whether the account may speak now; undefined when it is not in the chat. */
  readonly findSpeaker: (chatId: number, accountId: number) => Promise<Speaker | undefined>
  readonly listChats: (
    accountId: number,
    page: { offset: number; limit: number }
  ) => Promise<{ chats: ChatSummary[]; total: number }>

  readonly addGroup: (group: NewGroup) => Promise<Group>
  readonly findGroup: (groupId: number) => Promise<Group | undefined>
  readonly listGroups: (accountId?: number) => Promise<Group[]>
  readonly listMembers: (groupId: number) => Promise<Member[]>
  readonly findMember: (groupId: number, accountId: number) => Promise<Member | undefined>
  readonly changeGroup: (order: GroupOrder) => Promise<void>

  readonly appendMessage: (draft: MessageDraft) => Promise<Appended>
  /** What the sender has said in the chat under this name of their own. */
  readonly findSent: (chatId: number, senderId: number, clientId: string) => Promise<Message | undefined>
  /** The message as it is from now on. Its words until now are kept as a revision. */
  readonly editMessage: (order: EditOrder) => Promise<Message>
  /** What it said before, the oldest first. */
  readonly listRevisions: (messageId: number) => Promise<Revision[]>
  readonly recallMessage: (order: RecallOrder) => Promise<void>
  /** Undefined for an unknown or a recalled message. */
  readonly findMessage: (chatId: number, seq: number) => Promise<Message | undefined>
  /** Undefined for an unknown message; one that was recalled has no segments. */
  readonly findMessageById: (messageId: number) => Promise<(Message & { readonly isRecalled: boolean }) | undefined>
  /** The global id of a message, recalled or not. */
  readonly findMessageId: (chatId: number, seq: number) => Promise<number | undefined>
  /** Where a message is or, recalled, was. */
  readonly findPosition: (messageId: number) => Promise<{ chatId: number; seq: number } | undefined>
  /** Ascending by seq; recalled messages are left out. */
  readonly listMessages: (page: MessagePage) => Promise<Message[]>
  /** Everything up to `seq` is read; undefined when it was already, else where the reader was before. Never goes back. */
  readonly markRead: (
    chatId: number,
    accountId: number,
    seq: number
  ) => Promise<{ readonly before: number } | undefined>
  readonly listReadStates: (chatId: number) => Promise<ReadState[]>
  /** Messages that others have said since the account last read; at most 1000 are counted in one chat. */
  readonly countUnread: (accountId: number, chatId?: number) => Promise<number>
  /** Authors of what lies after `afterSeq` up to `upToSeq`, the latest first. */
  readonly listAuthors: (chatId: number, afterSeq: number, upToSeq: number, limit: number) => Promise<number[]>
  /** Who hears what happens in the chat now; ascending. */
  readonly listAudience: (chatId: number) => Promise<readonly number[]>

  /** What the account may see of the log after this id, in order. `readTo` is how far the log was read, even if nothing was for it. */
  readonly readEvents: (
    accountId: number,
    afterId: number,
    limit: number
  ) => Promise<{ events: GatewayEvent[]; readTo: number }>
  /** The events of one chat that the account may see, after this `eventSeq`, in order. */
  readonly readChatEvents: (
    accountId: number,
    chatId: number,
    afterEventSeq: number,
    limit: number
  ) => Promise<GatewayEvent[]>
  /** Messages, edits and recalls after this id in the chats that the account is in, the latest active first; in order. */
  readonly readMissed: (accountId: number, afterId: number, limits: MissedLimits) => Promise<GatewayEvent[]>
  readonly lastEventId: () => Promise<number>
  /** The place from which on nothing is missing in the log: behind the last event that was dropped, 0 while none was. */
  readonly oldestCursor: () => Promise<number>
  /** The `eventSeq` of the oldest event of a chat that is still in the log; that of its next one when there is none. */
  readonly oldestEventSeq: (chatId: number) => Promise<number>
  /** Drops the oldest of the log in one small write, and the cursors that nobody has opened and that are behind it. */
  readonly dropEvents: (bounds: LogBounds) => Promise<DroppedEvents>
  /** Called with what each commit added to the log, in order, after the promises of that commit were settled. */
  readonly onCommit: (listener: EventListener) => Undo
  /** Called when another process changed the database, or who may come in has changed here: what was remembered may be wrong. */
  readonly onForeignChange: (listener: () => void) => Undo
  /** While any hold is open, writes wait. Gives back its own undo. */
  readonly holdWrites: () => Undo

  /** The position of a named reader of the log; begins at the end of the log when it is new. Kept as long as this process lives, and as the events behind it are. */
  readonly openCursor: (name: string) => Promise<number>
  readonly saveCursor: (name: string, eventId: number) => Promise<void>

  readonly addSession: (session: Omit<Session, 'cursor' | 'cursorAt'>) => Promise<void>
  readonly saveSessionCursors: (cursors: readonly SessionCursor[]) => Promise<void>
  /** Says that a message has reached a device of a member; `read_seq` and what pongs confirm count too. */
  readonly markDelivered: (chatId: number, accountId: number, seq: number) => Promise<void>
  readonly findSession: (id: string) => Promise<Session | undefined>
  /** False when `usedRefreshId` is not the current one: the token was used before. */
  readonly rotateSession: (
    id: string,
    usedRefreshId: string,
    newRefreshId: string,
    expiresAt: number
  ) => Promise<boolean>
  readonly removeSession: (id: string) => Promise<void>
  /** All of the account; gives the ids of those that there were. */
  readonly removeSessions: (accountId: number) => Promise<string[]>

  /** These bytes are about to be kept: until a file has them they count as loose. */
  readonly expectContent: (sha256: string) => Promise<void>
  readonly addFile: (file: NewFile) => Promise<StoredFile>
  readonly findFile: (id: number) => Promise<StoredFile | undefined>
  /** What the messages say that these quote, by their seq; all are of one chat. Those that were recalled are missing. */
  readonly readQuoted: (messages: readonly Message[]) => Promise<Readonly<Record<number, readonly Segment[]>>>
  /** Undefined when there is none, or none that a chat of the account shows. */
  readonly findForward: (id: number, accountId: number) => Promise<readonly ForwardedMessage[] | undefined>
  /** Whether it is in a message, not recalled, or an announcement, of a chat that the account is in. */
  readonly isFileShownTo: (fileId: number, accountId: number) => Promise<boolean>
  /** False when a message or an announcement shows it, or its owner as the picture of their profile: then it stays. */
  readonly removeFile: (id: number) => Promise<boolean>
  /** Contents that lost their last file, or never got one. */
  readonly listLooseContents: (limit: number) => Promise<string[]>
  readonly isContentUsed: (sha256: string) => Promise<boolean>
  /** Its bytes are gone. */
  readonly forgetContent: (sha256: string) => Promise<void>

  readonly getMeta: (key: string) => Promise<string | undefined>
  readonly setMeta: (key: string, value: string) => Promise<void>
  /** Rejects when the database cannot be read or written. */
  readonly ping: () => Promise<void>
  /** Writes what waits, then ends; a second call waits for the same end. */
  readonly close: () => Promise<void>
}

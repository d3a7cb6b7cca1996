import type { AccountRef, Role } from './event.ts'
import type { FriendQuestion } from './friend-store.ts'
import type { Account, ChatSummary, Friend, Group, Member, Message } from './store.ts'

/** What people show of themselves; absent stays as it is. */
export interface Profile {
  readonly nickname?: string | undefined
  readonly bio?: string | undefined
  readonly avatarUrl?: string | undefined
}

export interface Window {
  readonly offset: number
  readonly limit: number
}

/** Somebody in an account's list of contacts, as that account sees them. */
export interface Contact extends Friend {
  readonly isMuted: boolean
  /** The owner of the list has blocked them. */
  readonly isBlocked: boolean
  /** Unix seconds, as every time here. */
  readonly createdAt: number
}

export interface NewContact {
  readonly accountId: number
  readonly contactId: number
  readonly remark?: string | undefined
  /** The other side is asked whether it wants to be a friend (`FriendStore.requestFriend`). */
  readonly request?: FriendQuestion | undefined
  readonly time: number
}

export interface ContactChange {
  readonly remark?: string | undefined
  readonly isMuted?: boolean | undefined
}

export interface Blocked extends AccountRef {
  readonly createdAt: number
}

/** Somebody who is kept out of a group. */
export interface Ban extends AccountRef {
  readonly operatorId: number
  readonly createdAt: number
}

/** A chat as one of its members sees it, with what only its own page shows. */
export interface ChatDetail extends ChatSummary {
  readonly role: Role
  readonly description: string
  readonly memberCount: number
  /** Absent for private chats. */
  readonly ownerId: number | undefined
  readonly isMuted: boolean
}

/** Somebody who is to be put into a group. */
export interface Candidate {
  readonly accountId: number
  /** There is such an account, and it is not switched off. */
  readonly isThere: boolean
  readonly isMember: boolean
  readonly isBanned: boolean
  /** They have blocked whoever wants to put them in. */
  readonly hasBlocked: boolean
}

/** What a rule about putting people into a group is decided on. `actor` owns a group that is just being made. */
export interface InviteState {
  readonly group: Group
  readonly actor: Member
  readonly candidates: readonly Candidate[]
}

export interface InviteOrder {
  readonly groupId: number
  readonly actorId: number
  readonly accountIds: readonly number[]
  readonly time: number
  /** The rule: who is let in; throws to refuse all. */
  readonly decide: (state: InviteState) => readonly number[]
}

export interface GroupPlan extends Omit<InviteOrder, 'groupId'> {
  readonly name: string
  readonly description: string
  readonly isChannel: boolean
}

export interface WordSearch {
  readonly chatId: number
  /** What the text of the message holds; ASCII letters in either case. */
  readonly words: string
  /** From this message back; the newest when absent. */
  readonly upToSeq?: number | undefined
  /** After this message, forward. */
  readonly afterSeq?: number | undefined
  readonly limit: number
}

export interface WordsFound {
  /** In the direction of the search. */
  readonly messages: readonly Message[]
  /** The last message that was looked at, when there may be more behind it. */
  readonly stoppedAt: Message | undefined
}

/** What the people's side asks of a database beyond talking; see `Store` for the manners of its methods. */
export interface PeopleStore {
  /** The file of the picture that is shown no more goes, unless a message shows it; `fileIdOf` says which file of ours an address means. */
  readonly updateProfile: (
    id: number,
    profile: Profile,
    time: number,
    fileIdOf?: (url: string) => number | undefined
  ) => Promise<void>
  /** Accounts whose username or nickname holds the words, those that begin with them first; ASCII letters in either case. */
  readonly searchAccounts: (words: string, limit: number) => Promise<Account[]>

  /** Ascending by account; `words` stand in the username, the nickname or the remark. */
  readonly listContacts: (
    accountId: number,
    window: Window & { readonly words?: string | undefined }
  ) => Promise<{ contacts: Contact[]; total: number }>
  readonly findContact: (accountId: number, contactId: number) => Promise<Contact | undefined>
  /** False when they were in the list already; then only a given remark is new. */
  readonly addContact: (contact: NewContact) => Promise<boolean>
  /** False when they are not in the list. */
  readonly updateContact: (accountId: number, contactId: number, change: ContactChange) => Promise<boolean>
  /** False when they were not in the list. Mutual: they lose the account, too, and what was asked between the two and is still open goes. */
  readonly removeContact: (accountId: number, contactId: number, isMutual: boolean) => Promise<boolean>

  readonly addBlock: (accountId: number, blockedId: number, time: number) => Promise<void>
  readonly removeBlock: (accountId: number, blockedId: number) => Promise<void>
  /** Whether one of the two has blocked the other. */
  readonly isBlocked: (a: number, b: number) => Promise<boolean>
  /** The latest first. */
  readonly listBlocks: (accountId: number, window: Window) => Promise<{ blocked: Blocked[]; total: number }>

  /** Undefined when there is no such chat or the account is not in it. */
  readonly findChatDetail: (accountId: number, chatId: number) => Promise<ChatDetail | undefined>
  /** A new group of `actorId`, into which others are put at once. */
  readonly openGroup: (plan: GroupPlan) => Promise<Group>
  /** Gives back whom it has put into the group. */
  readonly invite: (order: InviteOrder) => Promise<readonly number[]>
  /** Of a chat of either kind: the owner, the admins, the others, each ascending. */
  readonly listMembersOf: (chatId: number, window: Window) => Promise<{ members: Member[]; total: number }>
  /** The latest first. */
  readonly listBans: (chatId: number, window: Window) => Promise<{ bans: Ban[]; total: number }>

  /** Newest first, without what was recalled. */
  readonly listNewest: (chatId: number, window: Window) => Promise<{ messages: Message[]; total: number }>
  /** Looks at so many messages at most and says where it stopped. */
  readonly searchMessages: (search: WordSearch) => Promise<WordsFound>
}

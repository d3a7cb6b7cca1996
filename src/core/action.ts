import type { Static, TObject } from '@sinclair/typebox'
import type { Accounts } from './accounts.ts'
import type { Allowances } from './allowances.ts'
import type { Announcements } from './announcements.ts'
import type { Calls } from './calls.ts'
import type { Chats } from './chats.ts'
import type { Contacts } from './contacts.ts'
import type { Directory } from './directory.ts'
import type { Effects } from './effects.ts'
import type { ActionError } from './errors.ts'
import type { Essence } from './essence.ts'
import type { Files } from './files.ts'
import type { Friends } from './friends.ts'
import type { Gestures } from './gestures.ts'
import type { GroupRequests } from './group-requests.ts'
import type { GroupFiles } from './group-files.ts'
import type { Groups } from './groups.ts'
import type { Intake } from './intake.ts'
import type { Members } from './members.ts'
import type { Links } from './links.ts'
import type { Notices } from './notices.ts'
import type { Pins } from './pins.ts'
import type { Presence } from './presence.ts'
import type { Reactions } from './reactions.ts'
import type { Receipts } from './receipts.ts'
import type { Account, Store } from './store.ts'
import type { Typing } from './typing.ts'

/** On whose behalf an action runs. The door has made sure of it. */
export interface Caller {
  readonly accountId: number
  /** The connection that it came by, if any. */
  readonly deviceId?: string
  /** The client's own key for the call, as the door was told it beside the parameters. */
  readonly idempotencyKey?: unknown
  /** What a dialect makes of such a key. */
  readonly keyed?: KeyedAs | undefined
}

/** A call that is to have one effect, however often it is asked for. */
export interface KeyedAs {
  /** As the client wrote it. */
  readonly key: unknown
  /** In the words of the dialect, as `asked` and what `toData` gives. */
  readonly action: string
  /** What was asked, without the key, and the name of the dialect: under the same key it has to be the same again. */
  readonly asked: unknown
  /** The answer in the words of the dialect; absent when it is the same. */
  readonly toData?: ((data: never) => object) | undefined
}

/** What people may do only so often. */
export type AllowanceName = 'search' | 'send' | 'chat' | 'read' | 'typing' | 'watch' | 'offer'

export interface ActionContext {
  readonly caller: Account
  /** The connection that the call came by, if any. */
  readonly deviceId: string | undefined
  readonly accounts: Accounts
  readonly chats: Chats
  readonly groups: Groups
  readonly groupRequests: GroupRequests
  readonly members: Members
  readonly directory: Directory
  readonly effects: Effects
  readonly contacts: Contacts
  readonly friends: Friends
  readonly gestures: Gestures
  readonly pins: Pins
  readonly announcements: Announcements
  readonly essence: Essence
  readonly reactions: Reactions
  readonly receipts: Receipts
  readonly presence: Presence
  readonly typing: Typing
  readonly notices: Notices
  readonly calls: Calls
  readonly files: Files
  readonly groupFiles: GroupFiles
  readonly intake: Intake
  readonly links: Links
  readonly allowances: Allowances<AllowanceName>
  readonly store: Store
  /** Of the gateway. */
  readonly version: string
  /** Of one group. */
  readonly maxMembers: number
  /** Unix seconds. */
  readonly now: () => number
}

/** Something that a client can ask for. `params` validates and types in one. */
export interface Action<P extends TObject = TObject, R extends TObject = TObject> {
  readonly name: string
  readonly params: P
  readonly result: R
  /**
   * The result, told from what the store gave back for the effect, with which it is written down under the key of the
   * call. Bots' actions have it that have an effect and a result with something in it.
   */
  readonly resultOf?: (effect: never) => Static<R>
  run(context: ActionContext, params: Static<P>): Promise<Static<R>>
}

export function defineAction<P extends TObject, R extends TObject>(action: Action<P, R>): Action<P, R> {
  return action
}

/** What came of a call: a failure is an outcome too. */
export type Outcome =
  | {
      readonly ok: true
      readonly data: object
      /** It is what an earlier call under the same key was answered. */
      readonly isReplay?: boolean
    }
  | { readonly ok: false; readonly error: ActionError }

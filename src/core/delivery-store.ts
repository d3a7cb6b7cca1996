import type { Undo } from './bus.ts'

/** Where a webhook stands: `paused` by an operator, `disabled` by itself because its receiver said so or was down for too long. */
export type TargetState = 'active' | 'paused' | 'disabled'

/** A webhook as the gateway remembers it. */
export interface Target {
  /** The same over restarts, and short enough to be typed: `10001-3f2a9c41d0be`. */
  readonly id: string
  readonly botId: number
  /** The address without user, password and query, for people. */
  readonly url: string
  readonly state: TargetState
  /** Why it is paused or disabled, in words. */
  readonly reason: string
  /** Unix seconds. */
  readonly stateSince: number
  /** When the first of the failures was that no success has followed. */
  readonly failingSince: number | undefined
  /** Every event up to this id is delivered or has a row of its own. */
  readonly cursor: number
  /** Rows by what they wait for. */
  readonly waiting: number
  readonly dead: number
  /** Tries that were taken by the receiver and that were not, since the webhook is known. */
  readonly takenCount: number
  readonly failedCount: number
}

/** An event that a webhook could not be given at its first try. What was delivered has no row. */
export interface Delivery {
  readonly targetId: string
  readonly eventId: number
  readonly chatId: number
  /** `dead` when all tries are used up: nothing more is done until an operator replays it. */
  readonly state: 'waiting' | 'dead'
  /** Tries so far; when an operator asks for one that was dead they are counted anew. */
  readonly attempts: number
  /** Unix seconds; when it is tried next. In the past when it waits behind an earlier event of its chat. */
  readonly nextAt: number
  readonly createdAt: number
  /** An operator asked for it: it keeps nobody else waiting. */
  readonly isReplay: boolean
}

/** One try to deliver one event. */
export interface Attempt {
  readonly id: number
  readonly targetId: string
  readonly eventId: number
  /** 1 for the first. */
  readonly number: number
  /** Unix seconds. */
  readonly time: number
  readonly latencyMs: number
  /** HTTP status; undefined when there was no answer. */
  readonly status: number | undefined
  /** The first bytes of the answer, as text. */
  readonly answer: string
  /** What went wrong, in words; empty for a success. */
  readonly error: string
}

/** Newest first, ids below `beforeId`. */
export interface Page {
  readonly beforeId?: number | undefined
  readonly limit: number
}

/** What is to be sent again: chosen events, all from one to another (also delivered ones), or all that are dead. */
export type ReplayChoice =
  | { readonly eventIds: readonly number[] }
  | { readonly from: number; readonly to: number }
  | 'dead'

/** What operators see of webhooks and do with them, on the command line and over HTTP; see `Store` for the manners of its methods. */
export interface TargetDesk {
  readonly listTargets: () => Promise<Target[]>
  readonly findTarget: (id: string) => Promise<Target | undefined>
  /** False when it is in that state already, or there is no such target. */
  readonly setTargetState: (
    id: string,
    change: { readonly state: TargetState; readonly reason: string; readonly time: number }
  ) => Promise<boolean>
  readonly listDeliveries: (targetId: string, state: Delivery['state'], page: Page) => Promise<Delivery[]>
  readonly listAttempts: (
    targetId: string,
    page: Page & { readonly eventId?: number | undefined }
  ) => Promise<Attempt[]>
  /**
   * Makes the chosen events due now; each keeps its id. One that waits already is not sent twice, so that asking twice
   * is asking once. What the webhook has not come to yet is left to it. Gives how many are due by it.
   * Throws `not_found` for an unknown webhook and `too_large` for more than `MAX_REPLAY` events of a list or a range.
   */
  readonly replay: (targetId: string, choice: ReplayChoice, time: number) => Promise<number>
}

/** Events that may be asked for at once by their ids or as a range; of those that are dead, as many as there are. */
export const MAX_REPLAY = 10_000

/** A webhook of the configuration, as it introduces itself. */
export interface NewTarget {
  readonly id: string
  readonly botId: number
  readonly url: string
  /** Where its place was kept by former versions. */
  readonly cursorName: string
  readonly time: number
}

/** Where a webhook goes on. */
export interface TargetPlace {
  readonly target: Target
  /** Events behind the cursor that are delivered already. */
  readonly ahead: readonly number[]
  readonly lastAttemptId: number
  /** Chats with events that wait, replays apart, and how many. */
  readonly waitingByChat: ReadonlyMap<number, number>
}

/** What became of events since the last time; written as a whole or not at all. */
export interface Progress {
  readonly cursor: number
  readonly ahead: readonly number[]
  readonly failingSince: number | undefined
  /** To be remembered; those that were taken may come later than they are counted. */
  readonly attempts: readonly Omit<Attempt, 'targetId'>[]
  /** Tries that were taken by the receiver and that were not. */
  readonly taken: number
  readonly failed: number
  /** Older ones go. */
  readonly keepAttempts: number
  readonly rows: readonly RowChange[]
}

/** A row that comes or changes, or goes because nothing more has to be done. */
export type RowChange =
  | (Omit<Delivery, 'targetId' | 'createdAt' | 'isReplay'> & { readonly type: 'put'; readonly time: number })
  | { readonly type: 'remove'; readonly eventId: number }

/** `isStrict`: one event after another over all chats, replays apart. */
export interface DueOptions {
  readonly time: number
  readonly isStrict: boolean
  readonly limit: number
}

/** What webhooks themselves ask of the store; see `Store` for its manners. */
export interface DeliveryStore extends TargetDesk {
  /** Remembers the webhook; one that is new begins at the end of the log. */
  readonly openTarget: (target: NewTarget) => Promise<TargetPlace>
  /** `progress` is asked for at the moment of the write; asked twice it has to say the same. */
  readonly saveProgress: (targetId: string, progress: () => Progress) => Promise<void>
  /** More has come up that goes with a write which waits: it may wait a moment longer, for whatever comes next. */
  readonly expectMore: () => void
  /** What may be tried now: of each chat the first event that waits, and the first replay; the longest due first. */
  readonly listDue: (targetId: string, options: DueOptions) => Promise<Delivery[]>
  /** When something comes due after that time; undefined when nothing does. */
  readonly findNextDue: (targetId: string, after: number, isStrict: boolean) => Promise<number | undefined>
  /** The first that waits in a chat, or the first replay there that is due; undefined when it is not due. */
  readonly findDueOfChat: (
    targetId: string,
    chat: { readonly chatId: number; readonly isReplay: boolean; readonly time: number }
  ) => Promise<Delivery | undefined>
  /** Makes due what was tried since then: the receiver is back. */
  readonly hurry: (targetId: string, since: number, time: number) => Promise<void>
  /** Called when this process has changed the state of a webhook or asked for replays; for others see `onForeignChange`. */
  readonly onTargetChange: (listener: (targetId: string) => void) => Undo
}

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
}

/** An event that a webhook could not be given at its first try. What was delivered has no row. */
export interface Delivery {
  readonly targetId: string
  readonly eventId: number
  readonly chatId: number
  /** `dead` when all tries are used up: nothing more is done until an operator replays it. */
  readonly state: 'waiting' | 'dead'
  /** Tries so far. */
  readonly attempts: number
  /** Unix seconds; when it is tried next. */
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
   * is asking once. Gives how many are due by it.
   */
  readonly replay: (targetId: string, choice: ReplayChoice, time: number) => Promise<number>
}

/** A message between maim peers that could not be handed over yet. Chats do not know of it. */
export interface Mail {
  /** Grows with each message. */
  readonly id: number
  readonly msgId: string
  /** The frame, ready to be sent. */
  readonly text: string
  /** Unix seconds. */
  readonly createdAt: number
}

export interface MailDraft {
  /** Whom it is for: the name of a road, such as `api 10001 qq`. */
  readonly road: string
  readonly msgId: string
  readonly text: string
  readonly createdAt: number
}

/** How the core keeps messages for maim peers that are away; see `Store` for the manners of its methods. */
export interface MailStore {
  /** Resolves when it is durable. The same `msgId` on the same road is kept once. Gives how many wait on the road now. */
  readonly keepMail: (mail: MailDraft) => Promise<number>
  /** What waits on a road after this one, the oldest first. */
  readonly readMail: (road: string, afterId: number, limit: number) => Promise<Mail[]>
  readonly dropMail: (road: string, msgIds: readonly string[]) => Promise<void>
  /** Drops what is older than `keptFrom` and, of the rest, the oldest beyond `keep` messages or `keepBytes` of each road. Gives how many. */
  readonly tidyMail: (bounds: {
    readonly keptFrom: number
    readonly keep: number
    readonly keepBytes: number
  }) => Promise<number>
}

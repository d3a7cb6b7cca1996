/** A call that carries a key of the client's own: asked again under it, it is done once. */
export interface KeyedCall {
  readonly accountId: number
  readonly key: string
  readonly action: string
  /** Of what was asked: the same key with something else is a mistake. */
  readonly digest: Uint8Array
  /** Unix seconds. */
  readonly time: number
  /** What was written before counts for nothing any more. */
  readonly validFrom: number
  /** What the call answers, told from what its effect gave back. */
  readonly answerOf: (effect: unknown) => object
}

/** What a keyed call has done. */
export interface Effect {
  readonly action: string
  readonly digest: Uint8Array
  readonly answer: object
}

/** What keyed calls ask of a database; see `Store` for the manners of its methods. */
export interface EffectStore {
  /**
   * Runs `work`. The first change in it that others can see is written in one transaction with the answer of the call:
   * there is no moment at which one of the two is there and the other is not. What only prepares, such as keeping a file
   * or opening a private chat, does not count. Changes that begin after `work` has ended are not its own.
   */
  readonly keyed: <T>(call: KeyedCall, work: () => Promise<T>) => Promise<T>
  /** Undefined when the key has done nothing since `validFrom`. */
  readonly findEffect: (accountId: number, key: string, validFrom: number) => Promise<Effect | undefined>
  /** Drops what was written before `time`, at most so many; gives how many. */
  readonly forgetEffects: (time: number, limit: number) => Promise<number>
}

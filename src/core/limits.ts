/** Limits that the rules themselves keep; those of sockets and bodies belong to the doors. */
export interface CoreLimits {
  /** Code points of text in one message of a person. */
  readonly personText: number
  /** Code points of text in one message of a bot. */
  readonly botText: number
  readonly segments: number
  /** Messages that one message passes on, those within them included. */
  readonly forwarded: number
  /** Seconds after which a message cannot be edited any more; 0 is never. */
  readonly editWindowS: number
}

/** Why we close a socket: code and reason as they go over the wire (RFC 6455 §7.4). */
export const CLOSE = {
  signedOut: { code: 1000, reason: 'signed out' },
  shutdown: { code: 1001, reason: 'server shutdown' },
  heartbeat: { code: 1001, reason: 'heartbeat timeout' },
  binary: { code: 1003, reason: 'text frames only' },
  nonsense: { code: 1007, reason: 'too many frames that are not JSON' },
  /** "Try again later": what was not taken is still in the log. */
  slow: { code: 1013, reason: 'slow consumer' },
  /** The same for people, as their contract has it (IM-Suite 2.12). */
  slowPerson: { code: 1008, reason: 'slow consumer' },
  unauthenticated: { code: 1008, reason: 'Authentication failed' },
  replaced: { code: 1008, reason: 'replaced by a newer connection' },
  flood: { code: 1008, reason: 'too many frames' },
  /** A maim client never hears 1000 or 1001 from us: the real one would not notice (contract 0.4, 9). */
  taken: { code: 4000, reason: 'replaced' },
  restart: { code: 1012, reason: 'service restart' },
  bug: { code: 1011, reason: 'internal error' }
} as const

export interface CloseReason {
  readonly code: number
  readonly reason: string
}

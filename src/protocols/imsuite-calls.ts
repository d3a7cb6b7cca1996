import { createHmac } from 'node:crypto'
import type { CallRecord } from '../core/call-record.ts'
import { toTimestamp } from './imsuite.ts'

/** A STUN or TURN server as the configuration has it. */
export interface IceServer {
  readonly urls: readonly string[]
  /** What a TURN server shares with the gateway. */
  readonly secret: string | null
}

/** Seconds for which a password for TURN counts: as long as an access token. */
const TTL_S = 86_400

/**
 * What browsers want as `iceServers`. Passwords are made as in the draft "A REST API For Access To TURN Services"
 * (coturn: `use-auth-secret`): the user name says when it ends, the password is its HMAC. `now` in Unix seconds.
 */
export function toIceServers(servers: readonly IceServer[], accountId: number, now: number) {
  const username = `${now + TTL_S}:${accountId}`
  const ice_servers = servers.map(({ urls, secret }) => ({
    urls,
    ...(secret !== null && { username, credential: createHmac('sha1', secret).update(username).digest('base64') })
  }))
  return { ice_servers, ttl: TTL_S }
}

/** A line of the history, in the words of upstream's CallSession (contract 1.5). */
export function toCallSession(call: CallRecord) {
  const { answeredAt, endedAt } = call
  return {
    id: call.id,
    caller_id: call.callerId,
    callee_id: call.calleeId,
    type: call.kind,
    status: call.status,
    reason: call.reason ?? '',
    start_time: toTimestamp(call.createdAt),
    answered_at: answeredAt === undefined ? null : toTimestamp(answeredAt),
    end_time: endedAt === undefined ? null : toTimestamp(endedAt),
    duration: answeredAt === undefined || endedAt === undefined ? 0 : Math.max(0, endedAt - answeredAt)
  }
}

import type { ChatRef } from '../core/event.ts'
import { encodeFrame, toChat, toTimestamp } from './imsuite.ts'

// Frames of the extension profile alone (contract 2.15). A base client never sees one.

/** The one answer to a frame that had an `id` (contract 2.3). Times of the result become timestamps. */
export function encodeAck(requestId: string, result: object, time: number): string {
  const entries = Object.entries(result).map(([key, value]) => [
    key,
    key.endsWith('_at') && typeof value === 'number' ? toTimestamp(value) : value
  ])
  return encodeFrame('ack', { request_id: requestId, result: Object.fromEntries(entries) }, time)
}

/** How accounts are, as the action gives it; times in Unix seconds. */
export interface SeenUsers {
  readonly users: readonly { readonly user_id: number; readonly is_online: boolean; readonly last_seen: number }[]
}

/** `presence.snapshot` (contract 2.7): times as in `presence`. */
export function toSnapshot({ users }: SeenUsers): object {
  return { users: users.map((user) => ({ ...user, last_seen: toTimestamp(user.last_seen) })) }
}

export interface SyncedChat {
  readonly chat: ChatRef
  /** The client knew everything up to here, and knows everything up to `to` afterwards. */
  readonly from: number
  readonly to: number
  /** Complete frames, as they would have come live. */
  readonly frames: readonly string[]
  readonly more: boolean
}

export interface SyncResult {
  readonly chats: readonly SyncedChat[]
  /** Chats that the client knows and is not in any more. */
  readonly removed: readonly number[]
  readonly epoch: string
  readonly viewerId: number
  readonly time: number
}

/** `sync.result` (contract 2.10). The frames in it are not encoded a second time. */
export function encodeSyncResult({ chats, removed, epoch, viewerId, time }: SyncResult): string {
  const parts = chats.map(
    ({ chat, from, to, frames, more }) =>
      `{"chat":${JSON.stringify(toChat(chat, viewerId))},"from":${from},"to":${to},"events":[${frames.join(',')}],"more":${more}}`
  )
  const payload = `{"chats":[${parts.join(',')}],"removed":${JSON.stringify(removed)},"epoch":${JSON.stringify(epoch)}}`
  return `{"type":"sync.result","payload":${payload},"timestamp":"${toTimestamp(time)}"}`
}

/** What a client should know of the limits (contract 2.12), by the names of the configuration without their prefix. */
export function toPublishedLimits(limits: { readonly [name: string]: number }): object {
  return Object.fromEntries(PUBLISHED.map((name) => [name.replace(/^im_/, ''), limits[name]]))
}

const PUBLISHED = [
  'im_frame',
  'im_frame_rate',
  'im_frame_burst',
  'im_connections',
  'im_user_connects',
  'im_message_rate',
  'im_message_burst',
  'im_chat_rate',
  'im_read_rate',
  'im_read_burst',
  'im_typing_ttl',
  'im_ring_timeout',
  'message_text',
  'file_size',
  'group_members'
]

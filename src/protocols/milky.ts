import type { Outcome } from '../core/action.ts'
import type { Dispatcher } from '../core/dispatcher.ts'
import { ActionError, type Reason } from '../core/errors.ts'
import { findKey } from './call-key.ts'
import { explain } from './words.ts'

/** Everything that Milky 1.2 names, chapter by chapter (contract 2.4). */
export const MILKY_ACTIONS = {
  system: [
    'get_login_info',
    'get_impl_info',
    'get_user_profile',
    'get_friend_list',
    'get_friend_info',
    'get_group_list',
    'get_group_info',
    'get_group_member_list',
    'get_group_member_info',
    'get_peer_pins',
    'set_peer_pin',
    'set_avatar',
    'set_nickname',
    'set_bio',
    'get_custom_face_url_list',
    'get_cookies',
    'get_csrf_token'
  ],
  message: [
    'send_private_message',
    'send_group_message',
    'recall_private_message',
    'recall_group_message',
    'get_message',
    'get_history_messages',
    'get_resource_temp_url',
    'get_forwarded_messages',
    'mark_message_as_read'
  ],
  friend: [
    'send_friend_nudge',
    'send_profile_like',
    'delete_friend',
    'get_friend_requests',
    'accept_friend_request',
    'reject_friend_request'
  ],
  group: [
    'set_group_name',
    'set_group_avatar',
    'set_group_member_card',
    'set_group_member_special_title',
    'set_group_member_admin',
    'set_group_member_mute',
    'set_group_whole_mute',
    'kick_group_member',
    'get_group_announcements',
    'send_group_announcement',
    'delete_group_announcement',
    'get_group_essence_messages',
    'set_group_essence_message',
    'quit_group',
    'send_group_message_reaction',
    'send_group_nudge',
    'get_group_notifications',
    'accept_group_request',
    'reject_group_request',
    'accept_group_invitation',
    'reject_group_invitation'
  ],
  file: [
    'upload_private_file',
    'upload_group_file',
    'get_private_file_download_url',
    'get_group_file_download_url',
    'get_group_files',
    'move_group_file',
    'rename_group_file',
    'delete_group_file',
    'create_group_folder',
    'rename_group_folder',
    'delete_group_folder'
  ]
} as const

/** What Milky has no action for (docs/milky.md, "Extensions"). */
export const MILKY_EXTENSIONS: readonly string[] = [
  'set_typing',
  'request_group_join',
  'invite_to_group',
  'send_friend_request',
  // Milky 1.3, whose additions to requests are taken too.
  'persist_group_file',
  'get_action_result'
]

/** The text fixes -400 and -403 and shows -404; the rest is ours, and the same as in the draft (contract 2.1). */
const RETCODES: { readonly [R in Reason]: number } = {
  invalid: -400,
  unknown_action: -404,
  not_found: -404,
  forbidden: -101,
  muted: -102,
  conflict: -103,
  too_large: -104,
  too_late: -105,
  busy: -106,
  no_call: -107,
  wrong_state: -108,
  rate_limited: -429,
  disabled: -403,
  unavailable: -503,
  timeout: -504,
  no_space: -507,
  unknown: -520,
  internal: -500
}

/** A dispatcher that lets bots call what Milky names; what people's doors have beyond it is not there. */
export function createMilkyDispatcher(dispatcher: Dispatcher): Dispatcher {
  const names = new Set<string>([...Object.values(MILKY_ACTIONS).flat(), ...MILKY_EXTENSIONS])
  const has = (name: string): boolean => names.has(name) && dispatcher.has(name)

  return {
    has,
    dispatch(name, params, caller) {
      if (has(name)) {
        const keyed = findKey({ dialect: 'milky', name, params }, caller)
        return dispatcher.dispatch(name, withoutEmptyReplies(params), keyed ? { ...caller, keyed } : caller)
      }
      const error = new ActionError('unknown_action', `there is no API "${name.slice(0, 64)}"`)
      return Promise.resolve({ ok: false, error })
    }
  }
}

/**
 * Karin's adapter packs message ids, and what it cannot unpack becomes `reply` with the seq null (contract 3.2): the
 * words are worth more than the quote.
 */
function withoutEmptyReplies(params: unknown): unknown {
  if (typeof params !== 'object' || params === null) return params
  const { message } = params as { message?: unknown }
  if (!Array.isArray(message) || !message.some(isEmptyReply)) return params
  return { ...params, message: message.filter((segment) => !isEmptyReply(segment)) }
}

function isEmptyReply(segment: unknown): boolean {
  const { type, data } = (segment ?? {}) as { type?: unknown; data?: { message_seq?: unknown } | null }
  return type === 'reply' && typeof data === 'object' && data?.message_seq === null
}

/** The body of every answer (contract 2.1), in the language that the caller prefers. */
export function toMilkyEnvelope(outcome: Outcome, acceptLanguage?: string): object {
  if (outcome.ok) return { status: 'ok', retcode: 0, data: outcome.data }
  const { error } = outcome
  return { status: 'failed', retcode: RETCODES[error.reason], message: explain(error, acceptLanguage) }
}

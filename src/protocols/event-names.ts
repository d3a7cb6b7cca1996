/** The events of the draft (contract 1.8). */
export const DRAFT_EVENTS: readonly string[] = [
  'message_receive',
  'message_recall',
  'friend_request',
  'group_join_request',
  'group_invited_join_request',
  'group_invitation_request',
  'friend_poke',
  'friend_file_upload',
  'group_admin_change',
  'group_essence_message_change',
  'group_member_increase',
  'group_member_decrease',
  'group_name_change',
  'group_message_reaction',
  'group_mute',
  'group_whole_mute',
  'group_poke',
  'group_file_upload'
]

/** The events of Milky 1.2 (contract 2.5). */
export const MILKY_EVENTS: readonly string[] = [
  'bot_offline',
  'message_receive',
  'message_recall',
  'peer_pin_change',
  'friend_request',
  'group_join_request',
  'group_invited_join_request',
  'group_invitation',
  'friend_nudge',
  'friend_file_upload',
  'group_admin_change',
  'group_essence_message_change',
  'group_member_increase',
  'group_member_decrease',
  'group_name_change',
  'group_message_reaction',
  'group_mute',
  'group_whole_mute',
  'group_nudge',
  'group_file_upload'
]

/** By the `format` of the configuration. */
export const EVENTS_OF = { draft: DRAFT_EVENTS, v1: MILKY_EVENTS }

/** The same event under two names, that of the draft first (contract 1.11). */
export const RENAMED_EVENTS: readonly (readonly [draft: string, v1: string])[] = [
  ['friend_poke', 'friend_nudge'],
  ['group_poke', 'group_nudge'],
  ['group_invitation_request', 'group_invitation']
]

import { isObject, type MessageBase } from '../../sdk/src/message.ts'

/** Whom a message is for, as the actions name it. */
export type Target = { readonly group_id: number } | { readonly user_id: number }

type Fields = Readonly<Record<string, unknown>>

/** An id of ours as it is met in the field, as text or as a number (contract 5.2); undefined for what can be none. */
export function toId(value: unknown): number | undefined {
  const id = typeof value === 'string' && /^\s*[1-9]\d{0,15}\s*$/.test(value) ? Number(value) : value
  return typeof id === 'number' && Number.isSafeInteger(id) && id > 0 ? id : undefined
}

const partOf = (fields: unknown, key: string): Fields => {
  const part = isObject(fields) ? fields[key] : undefined
  return isObject(part) ? part : {}
}

const HINTS = ['platform_io_target_group_id', 'platform_io_target_user_id'] as const

/** What MaiBot says beside a message of where it goes; adapters look in three places (contract 5.1). */
function findHints(message: unknown): Fields {
  const info = partOf(message, 'message_info')
  const places = [partOf(info, 'additional_config'), info, isObject(message) ? message : {}]
  const found: Record<string, unknown> = {}
  for (const name of HINTS) found[name] = places.map((place) => place[name]).find(isGiven)
  return found
}

const isGiven = (value: unknown): boolean => value != null && value !== '' && value !== 0

/**
 * The message with the hints of `fields`, of which it was read: outside of `additional_config` reading drops them, as the
 * library does.
 */
export function withHints(message: MessageBase, fields: unknown): MessageBase {
  const hints = Object.entries(findHints(fields)).filter(([, value]) => isGiven(value))
  if (hints.length === 0) return message
  const { message_info: info } = message
  const additional_config = { ...partOf(info, 'additional_config'), ...Object.fromEntries(hints) }
  return { ...message, message_info: { ...info, additional_config } }
}

/**
 * Whom the message is for, or what is wrong with it. The first that names somebody counts: the hints, the receiver, the group
 * and the user that stand directly in it, and at last the sender, for brains that give back what they heard. The bot itself is
 * never meant: MaiBot 1.x puts it where the receiver should be (contract 4, "Trap").
 */
export function findTarget(message: MessageBase, selfId: number): Target | string {
  const { message_info: info } = message
  const hints = findHints(message)
  const [receiver, sender] = [partOf(info, 'receiver_info'), partOf(info, 'sender_info')]
  const candidates: readonly (readonly [kind: 'group_id' | 'user_id', value: unknown, field: string])[] = [
    ['group_id', hints['platform_io_target_group_id'], 'platform_io_target_group_id'],
    ['user_id', hints['platform_io_target_user_id'], 'platform_io_target_user_id'],
    ['group_id', partOf(receiver, 'group_info')['group_id'], 'receiver_info.group_info.group_id'],
    ['user_id', partOf(receiver, 'user_info')['user_id'], 'receiver_info.user_info.user_id'],
    ['group_id', partOf(info, 'group_info')['group_id'], 'group_info.group_id'],
    ['user_id', partOf(info, 'user_info')['user_id'], 'user_info.user_id'],
    ['group_id', partOf(sender, 'group_info')['group_id'], 'sender_info.group_info.group_id'],
    ['user_id', partOf(sender, 'user_info')['user_id'], 'sender_info.user_info.user_id']
  ]
  for (const [kind, value, field] of candidates) {
    if (!isGiven(value)) continue
    const id = toId(value)
    // Whoever is meant is somebody else then: said to the next best it would be told to the wrong people.
    if (id === undefined) return `message_info: ${field}: expected the number of ${WHAT[kind]}, got ${quote(value)}`
    if (kind === 'group_id') return { group_id: id }
    if (id !== selfId) return { user_id: id }
  }
  return 'message_info: expected a group or a user that the message is for, it names none'
}

const WHAT = { group_id: 'a group', user_id: 'an account' }

function quote(value: unknown): string {
  return typeof value === 'string' ? `"${value.slice(0, 32)}"` : typeof value
}

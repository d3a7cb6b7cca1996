import { isObject } from './message.ts'

/** A message beside the messages, of the legacy protocol (contract 1.5). */
export interface CustomMessage {
  readonly platform: string
  readonly message_type_name: string
  readonly content: unknown
  /** Seconds of the sender's monotonic clock, not wall time. */
  readonly timestamp: number
  readonly is_custom_message: true
}

/** Whether a parsed frame is a custom message: it says so, or bears a name that somebody listens to. */
export function isCustomMessage(
  value: unknown,
  isKnown: (name: string) => boolean = () => false
): value is CustomMessage {
  if (!isObject(value) || typeof value['message_type_name'] !== 'string') return false
  return Boolean(value['is_custom_message']) || isKnown(value['message_type_name'])
}

export function createCustomMessage(platform: string, name: string, content: unknown): CustomMessage {
  return {
    platform,
    message_type_name: name,
    content,
    timestamp: performance.now() / 1000,
    is_custom_message: true
  }
}

import type { ClientFrame } from './imsuite.ts'

/** Which action each frame of a client asks for (contract 2.3). What is not here the connection answers by itself. */
const ACTIONS: ReadonlyMap<string, string> = new Map([
  ['message.send', 'send_chat_message'],
  ['message.edit', 'edit_chat_message'],
  ['message.delete', 'delete_chat_message'],
  ['message.read', 'read_chat_message'],
  ['call.offer', 'offer_call'],
  ['call.answer', 'answer_call'],
  ['call.ice', 'send_call_candidate'],
  ['call.end', 'end_call'],
  ['typing', 'set_typing'],
  ['presence', 'set_presence']
])

/** The same for frames of the extension profile (contract 2.15). */
const EXT_ACTIONS: ReadonlyMap<string, string> = new Map([
  ['message.delivered', 'confirm_chat_message'],
  ['presence.subscribe', 'subscribe_presence']
])

/** Frames of clients that ask for an action, those of the extension profile among them. */
export const CALL_FRAMES: readonly string[] = [...ACTIONS.keys(), ...EXT_ACTIONS.keys()]

/** The call of an action that a frame is; undefined for frames that are none. */
export function toCall(
  { type, payload, x }: ClientFrame,
  isExt: boolean
): { action: string; params: object } | undefined {
  const action = ACTIONS.get(type) ?? (isExt ? EXT_ACTIONS.get(type) : undefined)
  if (action === undefined) return undefined
  const { client_msg_id, expected_rev } = x
  return {
    action,
    params: {
      ...payload,
      // An offer within a call is a frame that base clients do not know.
      ...(type === 'call.offer' && { renegotiate: isExt }),
      ...(client_msg_id != null && { client_msg_id }),
      ...(expected_rev != null && { expected_rev })
    }
  }
}

import type { Outcome } from '../core/action.ts'
import { toOutcome, type Dispatcher, type DispatcherOptions } from '../core/dispatcher.ts'
import { ActionError, type Reason } from '../core/errors.ts'
import type { ChatRef, EventKind, EventOf, GatewayEvent } from '../core/event.ts'
import { compileParams } from '../core/validate.ts'
import { toIncomingSegment } from '../schema/segment.ts'
import { encodeWith, type CallCodec, type Codec, type Inbound } from './codec.ts'
import { draftActions, draftExtensions, type Call } from './draft-actions.ts'
import { addressOf, toDraftIncomingSegment, toMessageId } from './draft-shapes.ts'
import { keepExact, parseObject } from './json.ts'

/** The draft leaves the numbers to the server; it shows -100 for "no such friend", the rest is ours (contract 1.1, 1.5). */
const RETCODES: { readonly [R in Reason]: number } = {
  invalid: -400,
  unknown_action: -404,
  not_found: -100,
  forbidden: -101,
  muted: -102,
  conflict: -103,
  too_late: -105,
  busy: -106,
  no_call: -107,
  wrong_state: -108,
  too_large: -104,
  rate_limited: -429,
  disabled: -403,
  unavailable: -503,
  internal: -500
}

/** A dispatcher that speaks the draft: it takes the draft's names and parameters and answers in the draft's shapes. */
export function createDraftDispatcher(
  dispatcher: Dispatcher,
  bugs: Pick<DispatcherOptions, 'onBug' | 'newId'>
): Dispatcher {
  const table = new Map(
    [...draftActions, ...draftExtensions].map((action) => [
      action.name,
      { ...action, validate: compileParams(action.params) }
    ])
  )

  return {
    has: (name) => table.has(name),

    async dispatch(name, params, caller) {
      const entry = table.get(name)
      if (!entry)
        return { ok: false, error: new ActionError('unknown_action', `there is no action "${name.slice(0, 64)}"`) }
      let call: Call
      try {
        call = entry.toCall(entry.validate(params) as never)
      } catch (err) {
        return toOutcome(() => Promise.reject(err as Error), name, bugs)
      }
      const outcome = await dispatcher.dispatch(call.action, call.params, caller)
      return outcome.ok && call.toData ? { ok: true, data: call.toData(outcome.data as never) } : outcome
    }
  }
}

/** The envelope of every answer (draft "HTTP Server"): the body over HTTP, the inner `data` on a socket. */
export function toDraftEnvelope(outcome: Outcome): object {
  if (outcome.ok) return { status: 'ok', retcode: 0, data: outcome.data }
  return { status: 'failed', retcode: RETCODES[outcome.error.reason], message: outcome.error.message }
}

/** The bare event, as a webhook receives it (draft "WebHook"). */
export const draftWebhookCodec: Codec & { readonly eventType: (event: GatewayEvent) => string | undefined } = {
  name: 'milky-draft-webhook',
  encodeEvent: createEventEncoder(),
  eventType: (event) => EVENT_TYPES[event.kind]
}

/** Calls and events on one socket (draft "WebSocket"). */
export function createDraftSocketCodec(): CallCodec {
  const encode = createEventEncoder()
  return {
    name: 'milky-draft-socket',
    encodeEvent(event, viewerId) {
      const body = encode(event, viewerId)
      return body && `{"post_type":"event","self_id":${viewerId},"data":${body}}`
    },
    decode,
    encodeReply
  }
}

function decode(text: string): Inbound {
  let echo: unknown
  try {
    const frame = parseObject(text)
    echo = keepExact(text, 'echo', frame.echo)
    if (typeof frame.action !== 'string')
      throw new ActionError('invalid', 'action: expected the name of an action', { field: 'action' })
    return { kind: 'call', action: frame.action, params: frame.params, echo }
  } catch (err) {
    return { kind: 'refused', outcome: { ok: false, error: err as ActionError }, echo }
  }
}

function encodeReply(echo: unknown, outcome: Outcome, selfId: number): string {
  // A key whose value is undefined is left out: no echo is returned where none was given.
  const reply = (data: object): string => JSON.stringify({ post_type: 'action_response', self_id: selfId, data })
  try {
    return reply({ ...toDraftEnvelope(outcome), echo })
  } catch {
    // JSON.parse takes more levels than JSON.stringify can give back.
    return reply(
      toDraftEnvelope({
        ok: false,
        error: new ActionError('invalid', 'echo: it is nested too deeply', { field: 'echo' })
      })
    )
  }
}

/** Encodes events as the bare JSON object. What all members of a group see alike is encoded once for all of them. */
function createEventEncoder(): (event: GatewayEvent, viewerId: number) => string | undefined {
  let lastEvent: GatewayEvent | undefined
  let lastBody: string | undefined

  return (event, viewerId) => {
    if (event === lastEvent && event.chat.kind === 'group') return lastBody
    const type = EVENT_TYPES[event.kind]
    const data = toEventData(event, viewerId)
    lastEvent = event
    lastBody = type && data && `{"time":${event.time},"event_type":"${type}","data":${JSON.stringify(data)}}`
    return lastBody
  }
}

/** What the draft calls each kind of event (contract 1.8); undefined where it has no word for it. */
export const EVENT_TYPES: { readonly [K in EventKind]: string | undefined } = {
  'message.created': 'message_receive',
  // The draft has no word for it: a bot that asks again sees the message as it is now.
  'message.edited': undefined,
  'message.recalled': 'message_recall',
  'member.joined': 'group_member_increase',
  'member.left': 'group_member_decrease',
  'member.muted': 'group_mute',
  'admin.changed': 'group_admin_change',
  // The draft has no word for it: a bot that asks again sees who owns the group.
  'owner.changed': undefined,
  'group.renamed': 'group_name_change',
  'group.muted': 'group_whole_mute'
}

const toEventData = encodeWith<object>({
  'message.created': toMessage,
  'message.edited': null,
  'message.recalled': ({ chat, data }, viewerId) => ({
    message_id: toMessageId({ ...addressOf(chat, viewerId), seq: data.seq }),
    operator_id: data.operatorId
  }),
  'member.joined': ({ chat, data }) =>
    inGroup(chat, { user_id: data.accountId, operator_id: data.operatorId, invitor_id: data.inviterId }),
  'member.left': ({ chat, data }) => inGroup(chat, { user_id: data.accountId, operator_id: data.operatorId }),
  'member.muted': ({ chat, data }) => inGroup(chat, { user_id: data.accountId, duration: data.durationS }),
  'admin.changed': ({ chat, data }) => inGroup(chat, { user_id: data.accountId, is_set: data.isSet }),
  'owner.changed': null,
  'group.renamed': ({ chat, data }) => inGroup(chat, { name: data.name, operator_id: data.operatorId }),
  'group.muted': ({ chat, data }) => inGroup(chat, { operator_id: data.operatorId, is_mute: data.isMute })
})

function inGroup(chat: ChatRef, data: object): object {
  return { group_id: chat.id, ...data }
}

function toMessage({ chat, data: { message } }: EventOf<'message.created'>, viewerId: number): object {
  const address = addressOf(chat, viewerId)
  return {
    message_id: toMessageId({ ...address, seq: message.seq }),
    time: message.time,
    user_id: message.senderId,
    segments: message.segments.map((segment) => toDraftIncomingSegment(toIncomingSegment(segment), address)),
    ...(chat.kind === 'group' ? { message_type: 'group', group_id: chat.id } : { message_type: 'private' })
  }
}

import type { LinkOf } from '../core/links.ts'
import { decodeCall, encodeAnswer } from './call-frame.ts'
import type { CallCodec } from './codec.ts'
import { createMilkyCodec } from './milky-events.ts'
import { toMilkyEnvelope } from './milky.ts'

/**
 * Calls and events of Milky 1.2 on one socket. Its text has no such thing: events are the bare objects of `/event`, calls
 * and answers are those of the draft without what the draft has around them, told from events by `status`.
 */
export function createMilkySocketCodec(urlOf: LinkOf, maxMembers?: number): CallCodec {
  return {
    ...createMilkyCodec(urlOf, maxMembers),
    name: 'milky-socket',
    decode: decodeCall,
    encodeReply: (echo, outcome) => encodeAnswer(echo, outcome, (answer) => toMilkyEnvelope(answer))
  }
}

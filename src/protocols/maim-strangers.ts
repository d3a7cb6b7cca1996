/** Somebody who speaks another protocol, and what to say to them. */
export interface Stranger {
  /** For people who read a log: what they are and where to go. */
  readonly message: string
  /** The same in the 123 bytes of a close frame. */
  readonly reason: string
}

const ONEBOT: Stranger = {
  message:
    'you are a OneBot client, and this is the legacy door of maim_message: connect the OneBot client to an adapter for OneBot, or use Milky, which is spoken at / and /event',
  reason: 'OneBot is not spoken here; use Milky at / or /event, or a OneBot adapter'
}

const API: Stranger = {
  message:
    'you send envelopes of the API-Server protocol, and this is the legacy door of maim_message: connect to /maim/ws or /ws with ?api_key=<key>&platform=<name>, or the headers x-apikey and x-platform',
  reason: 'this is the legacy protocol; for API-Server envelopes connect with api_key and platform'
}

/** Who sends such a frame to the legacy door, when it is nobody who belongs there (contract 6.9). */
export function findStranger(fields: Readonly<Record<string, unknown>>): Stranger | undefined {
  if ('post_type' in fields) return ONEBOT
  if ('msg_id' in fields && 'type' in fields && ('payload' in fields || 'meta' in fields)) return API
  return undefined
}

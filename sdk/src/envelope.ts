import { randomBytes, randomUUID } from 'node:crypto'
import { isObject } from './message.ts'

/** The outer object of the API-Server protocol (contract 2.2). What comes from others may lack any of it. */
export interface Envelope {
  readonly ver?: unknown
  readonly msg_id?: unknown
  readonly type?: unknown
  readonly meta?: unknown
  readonly payload?: unknown
}

export interface Meta {
  readonly sender_user: string
  /** In what a server sends. */
  readonly target_user?: string
  readonly platform: string
  /** Unix seconds. */
  readonly timestamp: number
}

/** The envelope in a frame, or undefined for what is no JSON object. */
export function readEnvelope(text: string): Envelope | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Whether a message wants to be acknowledged (contract 2.3): it has an id that Python calls true, and is no acknowledgement. */
export function wantsAck({ msg_id: id, type }: Envelope): boolean {
  if (type === 'sys_ack' || !id) return false
  return typeof id !== 'object' || Object.keys(id).length > 0
}

/** The id that an acknowledgement is for. */
export function ackedId({ meta }: Envelope): unknown {
  return isObject(meta) ? meta['acked_msg_id'] : undefined
}

/** Random once, counted on from there: no two of one process are alike, and hardly two of different ones. */
let counter = randomBytes(6).readUIntBE(0, 6)

/** `msg_<12 hex>_<seconds>`, as the library does since 0.6.7: ids of milliseconds alone collide (contract 0.5). */
export function createMessageId(prefix = 'msg', nowMs = Date.now()): string {
  counter = (counter + 1) % 2 ** 48
  return `${prefix}_${counter.toString(16).padStart(12, '0')}_${Math.floor(nowMs / 1000)}`
}

/** An envelope whose payload is JSON text already: what is passed on need not be read and written again. */
export function encodeRaw(type: string, msgId: string, meta: object, payloadText: string): string {
  return `{"ver":1,"msg_id":${JSON.stringify(msgId)},"type":${JSON.stringify(type)},"meta":${JSON.stringify(meta)},"payload":${payloadText}}`
}

export function encodeEnvelope(type: string, msgId: string, meta: object, payload: unknown): string {
  return encodeRaw(type, msgId, meta, JSON.stringify(payload ?? null))
}

export interface AckOptions {
  /** Which side acknowledges. */
  readonly side: 'server' | 'client'
  /** The `x-uuid` of the connection. */
  readonly uuid: string
  /** As it came, with its JSON type. */
  readonly msgId: unknown
  /** Unix milliseconds. */
  readonly nowMs: number
  /** Further keys of the payload. */
  readonly note?: object | undefined
}

/** `sys_ack` (contract 2.3). */
export function encodeAck({ side, uuid, msgId, nowMs, note }: AckOptions): string {
  const time = nowMs / 1000
  const extra = note ? JSON.stringify(note).slice(1, -1) : ''
  return `{"ver":1,"msg_id":"${randomUUID()}","type":"sys_ack","meta":{"uuid":${JSON.stringify(uuid)},"acked_msg_id":${JSON.stringify(msgId)},"timestamp":${time}},"payload":{"status":"received","${side}_timestamp":${time}${extra && `,${extra}`}}}`
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** The place behind the string that begins at `start`. */
function skipString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end !== -1) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++
    if (slashes % 2 === 0) return end + 1
    end = text.indexOf('"', end + 1)
  }
  return text.length
}

/**
 * The value of a top-level key exactly as it was written, of an object that is known to be valid JSON; the last one wins,
 * as in `JSON.parse`. Numbers that JavaScript cannot hold keep their digits, and long strings are not copied twice.
 * A key that is written with escapes is not found.
 */
export function sliceMember(text: string, key: string): string | undefined {
  const wanted = `"${key}"`
  let depth = 0
  let found: string | undefined
  let valueAt = -1
  let name = ''
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      const end = skipString(text, at)
      if (depth === 1 && valueAt === -1) name = text.slice(at, end)
      at = end
      continue
    }
    if (code === 0x7b || code === 0x5b) depth++
    else if (code === 0x7d || code === 0x5d) depth--
    if (depth === 1 && code === 0x3a && valueAt === -1) valueAt = at + 1
    const isEnd = (depth === 1 && code === 0x2c) || (depth === 0 && code === 0x7d)
    if (isEnd && valueAt !== -1) {
      if (name === wanted) found = text.slice(valueAt, at).trim()
      valueAt = -1
    }
    at++
  }
  return found
}

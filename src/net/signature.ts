import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto'

/** Standard Webhooks: who signs and who verifies. All of it is over the bytes as they travel, never over JSON that was read and written again. */

/** What is signed beside the body. */
export interface Stamp {
  /** The same for every try: what a receiver deduplicates by. */
  readonly id: string
  /** Unix seconds of this try. */
  readonly time: number
}

/** Headers by their names in small letters, as Node gives them. */
export type SignedHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** How far the clocks of the two sides may be apart. */
export const TOLERANCE_S = 300

/** The key that a `whsec_…` secret stands for. */
export function toSigningKey(secret: string): KeyObject {
  return createSecretKey(Buffer.from(secret.replace(/^whsec_/, ''), 'base64'))
}

/** The value of `webhook-signature`: one signature for each key, so that a receiver may know the old one or the new one. */
export function sign(keys: readonly KeyObject[], stamp: Stamp, body: string | Uint8Array): string {
  return keys.map((key) => `v1,${digest(key, stamp, body).toString('base64')}`).join(' ')
}

/**
 * What the three headers of a signed request say, or why they are not believed, in words. `rawBody` is what came, byte by
 * byte. Who calls has to remember the id for twice the tolerance, so that the same request is not taken twice.
 */
export function verify(
  keys: readonly KeyObject[],
  headers: SignedHeaders,
  rawBody: string | Uint8Array,
  nowS: number,
  toleranceS = TOLERANCE_S
): Stamp | { readonly fault: string } {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } = headers
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signature !== 'string')
    return { fault: 'webhook-id, webhook-timestamp and webhook-signature are needed, each once' }
  // A dot would let a part of the id pass for the time.
  if (!/^[\w-]{1,256}$/.test(id)) return { fault: 'webhook-id may hold letters, digits, _ and - alone' }
  if (!/^\d{1,12}$/.test(timestamp)) return { fault: 'webhook-timestamp has to be Unix seconds' }
  const stamp = { id, time: Number(timestamp) }
  const given = signature
    .split(' ')
    .flatMap((part) => (part.startsWith('v1,') ? [Buffer.from(part.slice('v1,'.length), 'base64')] : []))
  const isKnown = keys.some((key) => {
    const wanted = digest(key, { id, time: timestamp }, rawBody)
    return given.some((one) => one.length === wanted.length && timingSafeEqual(one, wanted))
  })
  if (!isKnown) return { fault: 'the signature does not fit' }
  if (Math.abs(nowS - stamp.time) > toleranceS)
    return { fault: `webhook-timestamp is more than ${toleranceS} s away from the time here` }
  return stamp
}

function digest(
  key: KeyObject,
  { id, time }: { id: string; time: number | string },
  body: string | Uint8Array
): Buffer {
  return createHmac('sha256', key).update(`${id}.${time}.`).update(body).digest()
}

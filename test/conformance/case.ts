import type { RawFrame } from '../helpers/raw-peer.ts'

/**
 * One case of the Autobahn test suite, by its number there. It asks for an echo; our doors do not echo but answer calls,
 * so the payload goes into the `echo` of a call and has to come back in its answer.
 */
export interface Case {
  readonly id: string
  readonly title: string
  /** Made when the case is run: some are large. */
  readonly frames: () => readonly RawFrame[]
  /** Bytes per write; frame by frame when absent, all at once with `Infinity`. */
  readonly chop?: number
  /** What has to come back, in this order. Without a close among it the connection has to be good for a clean one. */
  readonly expect: readonly Expected[]
  /** Where we promise something else than the suite wants: why. */
  readonly instead?: string
  /** Bytes on the wire in each direction, or rounds: the large ones are left to the full run. */
  readonly isLarge?: boolean
  /** The case is sent and answered so many times on one connection. */
  readonly rounds?: number
}

export type Expected =
  /** The answer to a call with this in its `echo`. */
  | { readonly kind: 'echo'; readonly payload: Buffer }
  /** It may come: the suite lets servers choose whether what came before a fault is still answered. */
  | { readonly kind: 'maybe-echo'; readonly payload: Buffer }
  /** The text arrived and is no call. */
  | { readonly kind: 'refusal' }
  | { readonly kind: 'pong'; readonly payload: Buffer }
  | { readonly kind: 'close'; readonly code: number }

const SHELL = ['{"action":"get_login_info","echo":"', '"}'] as const

/** A call that is so many bytes long, and the echo in it. */
export function callOf(size: number): { text: Buffer; payload: Buffer } {
  const payload = Buffer.alloc(size - SHELL[0].length - SHELL[1].length, '*')
  return { text: wrap(payload), payload }
}

/** A call with these bytes in its echo. */
export function wrap(payload: Buffer | string): Buffer {
  return Buffer.concat([Buffer.from(SHELL[0]), Buffer.from(payload), Buffer.from(SHELL[1])])
}

export const echo = (payload: Buffer | string): Expected => ({ kind: 'echo', payload: Buffer.from(payload) })
export const maybeEcho = (payload: Buffer | string): Expected => ({ kind: 'maybe-echo', payload: Buffer.from(payload) })
export const pong = (payload: Buffer | string = ''): Expected => ({ kind: 'pong', payload: Buffer.from(payload) })
export const close = (code: number): Expected => ({ kind: 'close', code })
export const refusal: Expected = { kind: 'refusal' }

/** A message cut into frames of so many bytes. */
export function fragment(opcode: number, payload: Buffer, size: number): RawFrame[] {
  const frames: RawFrame[] = []
  for (let at = 0; at < payload.length || frames.length === 0; at += size)
    frames.push({
      opcode: at === 0 ? opcode : 0,
      fin: at + size >= payload.length,
      payload: payload.subarray(at, at + size)
    })
  return frames
}

import type { Outcome } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import { decodeFrame, encodeError, encodeFrame, toTimestamp, type ClientFrame } from '../protocols/imsuite.ts'
import { extend, type ImSuiteCodec } from '../protocols/imsuite-codec.ts'
import { encodeAck, toSnapshot, type SeenUsers } from '../protocols/imsuite-ext.ts'
import { toCall } from '../protocols/imsuite-frames.ts'
import { CLOSE, type CloseReason } from './close-codes.ts'
import type { Connection } from './connection.ts'
import { createFrame } from './frame.ts'
import { createPenalty } from './penalty.ts'
import type { Sync } from './sync.ts'

export interface PersonFramesOptions {
  readonly connection: Connection
  readonly codec: ImSuiteCodec
  /** The connection asked for the extension profile. */
  readonly isExt: boolean
  /** Frames may say `data` for `payload` and write keys in camel case. */
  readonly isLenient: boolean
  /** What the person reads (`Accept-Language`). */
  readonly language: string | undefined
  readonly dispatch: (action: string, params: object) => Promise<Outcome>
  /** Counts one frame; throws `rate_limited`. */
  readonly takeFrame: () => void
  readonly sync: Sync
  /** Takes a new token in place of the old; gives when it ends (Unix seconds), or why it does not count. */
  readonly renew: (token: string) => Promise<number | string>
  /** Says why, then closes. */
  readonly end: (reason: string, close: CloseReason) => void
  readonly onBug: (err: unknown) => void
  /** Unix seconds. */
  readonly now: () => number
  /** Milliseconds that only grow. */
  readonly ticks: () => number
}

/** Frames that are not JSON within a minute before the connection is given up (contract 2.1, close codes). */
const MAX_NONSENSE = 5
/** Frames of the extension profile that are no call of an action. */
const OWN_EXT_FRAMES: ReadonlySet<string> = new Set(['auth', 'auth.refresh', 'sync'])

interface Answer {
  /** What an acknowledgement tells of it. */
  readonly result: object
  /** What is sent after the acknowledgement. */
  readonly follow?: () => void | Promise<void>
}

/** Does what a frame asks for. One call at a time; never rejects. */
export type PersonFrames = (text: string) => Promise<void>

/** For the frames of one connection (IM-Suite 2.2, 2.3). */
export function createPersonFrames(options: PersonFramesOptions): PersonFrames {
  const { connection, codec, isExt, isLenient, language, dispatch, takeFrame, sync, renew, end, onBug, now } = options
  const penalty = createPenalty(options.ticks)
  const nonsense: number[] = []

  const send = (frame: string): void => connection.send(createFrame(codec.dress(frame)))

  async function answer(frame: ClientFrame): Promise<Answer> {
    const { type, payload } = frame
    const call = toCall(frame, isExt)
    if (!call && type !== 'ping' && !(isExt && OWN_EXT_FRAMES.has(type)))
      throw new ActionError('unknown_action', `type: there is no event "${type.slice(0, 64)}" that clients send`, {
        field: 'type'
      })
    takeFrame()
    if (type === 'ping') return { result: {}, follow: () => pong(payload.timestamp) }
    if (type === 'sync') return { result: {}, follow: sync(payload) }
    if (!call) return { result: await refresh(payload.token) }
    const outcome = await dispatch(call.action, call.params)
    if (!outcome.ok) throw outcome.error
    if (type !== 'presence.subscribe') return { result: outcome.data }
    const snapshot = toSnapshot(outcome.data as SeenUsers)
    return { result: snapshot, follow: () => send(encodeFrame('presence.snapshot', snapshot, now())) }
  }

  function pong(given: unknown): void {
    const time = toTimestamp(now())
    const frame = encodeFrame('pong', { timestamp: typeof given === 'string' ? given.slice(0, 64) : time }, now())
    send(isExt ? extend(frame, { server_time: time }) : frame)
  }

  async function refresh(token: unknown): Promise<object> {
    const expiresAt = typeof token === 'string' ? await renew(token) : '令牌无效'
    if (typeof expiresAt === 'string') throw new ActionError('invalid', `token: ${expiresAt}`, { field: 'token' })
    return { expires_at: expiresAt }
  }

  function fail(err: ActionError, frame: ClientFrame | undefined): void {
    const tell = (): void => send(encodeError(err, frame ?? {}, now(), language))
    if (err.reason !== 'rate_limited') {
      tell()
      if (!frame && err.details.field === undefined) countNonsense()
      return
    }
    const isAsked = isExt && frame?.id !== undefined
    // Who types fast is no flood, and an error for each would be one.
    if (frame?.type === 'typing' && !isAsked) return
    const { mayTell, isFlood } = penalty.count()
    if (mayTell || isAsked) tell()
    if (isFlood) end('policy', CLOSE.flood)
  }

  function countNonsense(): void {
    const time = now()
    nonsense.push(time)
    while (nonsense[0] !== undefined && nonsense[0] <= time - 60) nonsense.shift()
    if (nonsense.length >= MAX_NONSENSE) end('policy', CLOSE.nonsense)
  }

  return async (text) => {
    let frame: ClientFrame | undefined
    try {
      frame = decodeFrame(text, { isLenient })
      const { result, follow } = await answer(frame)
      if (isExt && frame.id !== undefined) send(encodeAck(frame.id, result, now()))
      await follow?.()
    } catch (err) {
      if (err instanceof ActionError) return fail(err, frame)
      onBug(err)
      end('internal_error', CLOSE.bug)
    }
  }
}

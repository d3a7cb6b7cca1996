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

/** Does what one connection's frames ask for (IM-Suite 2.2, 2.3). One call at a time; never rejects. */
export function createPersonFrames(options: PersonFramesOptions): (text: string) => Promise<void> {
  const { connection, codec, isExt, isLenient, language, dispatch, takeFrame, sync, renew, end, onBug, now } = options
  const penalty = createPenalty(options.ticks)
  const nonsense: number[] = []

  const send = (frame: string): void => connection.send(createFrame(codec.dress(frame)))

  /** Gives what an acknowledgement tells of it. */
  async function answer(frame: ClientFrame): Promise<object> {
    const { type, payload } = frame
    const call = toCall(frame, isExt)
    if (!call && type !== 'ping' && !(isExt && OWN_EXT_FRAMES.has(type)))
      throw new ActionError('unknown_action', `type: there is no event "${type.slice(0, 64)}" that clients send`, {
        field: 'type'
      })
    takeFrame()
    if (type === 'auth' || type === 'auth.refresh') return refresh(payload.token)
    if (!call) return {}
    const outcome = await dispatch(call.action, call.params)
    if (!outcome.ok) throw outcome.error
    return isExt && type === 'presence.subscribe' ? toSnapshot(outcome.data as SeenUsers) : outcome.data
  }

  /** What is sent after the acknowledgement. */
  async function follow({ type, payload }: ClientFrame, result: object): Promise<void> {
    if (type === 'ping') {
      const time = toTimestamp(now())
      const timestamp = typeof payload.timestamp === 'string' ? payload.timestamp.slice(0, 64) : time
      const pong = encodeFrame('pong', { timestamp }, now())
      send(isExt ? extend(pong, { server_time: time }) : pong)
    }
    if (isExt && type === 'sync') await sync(payload)
    if (isExt && type === 'presence.subscribe') send(encodeFrame('presence.snapshot', result, now()))
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
      const result = await answer(frame)
      if (isExt && frame.id !== undefined) send(encodeAck(frame.id, result, now()))
      await follow(frame, result)
    } catch (err) {
      if (err instanceof ActionError) return fail(err, frame)
      onBug(err)
      end('internal_error', CLOSE.bug)
    }
  }
}

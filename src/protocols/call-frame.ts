import type { Outcome } from '../core/action.ts'
import { ActionError } from '../core/errors.ts'
import type { Inbound } from './codec.ts'
import { keepExact, mustBeClear, readObject } from './json.ts'

/** Reads `{action, params, echo}`, as bots write calls on a socket (contract 1.3). */
export function decodeCall(text: string): Inbound {
  let echo: unknown
  try {
    const frame = readObject(text)
    // First of all: whoever is refused has to know which of its calls it was.
    echo = keepExact(text, 'echo', frame.echo)
    mustBeClear(frame, text)
    if (typeof frame.action !== 'string')
      throw new ActionError('invalid', 'action: expected the name of an action', { field: 'action' })
    return { kind: 'call', action: frame.action, params: frame.params, echo }
  } catch (err) {
    return { kind: 'refused', outcome: { ok: false, error: err as ActionError }, echo }
  }
}

type ToEnvelope = (outcome: Outcome) => object

/** The envelope as text. That of a success is written by hand, which is a third of the price, and the same in both dialects. */
export function encodeEnvelope(outcome: Outcome, toEnvelope: ToEnvelope): string {
  return outcome.ok ? `${openSuccess(outcome.data)}}` : JSON.stringify(toEnvelope(outcome))
}

function openSuccess(data: object): string {
  return `{"status":"ok","retcode":0,"data":${JSON.stringify(data)}`
}

/** The envelope of an answer with the echo of its call; no echo is returned where none was given. */
export function encodeAnswer(echo: unknown, outcome: Outcome, toEnvelope: ToEnvelope): string {
  if (echo === undefined) return encodeEnvelope(outcome, toEnvelope)
  try {
    if (!outcome.ok) return JSON.stringify({ ...toEnvelope(outcome), echo })
    return `${openSuccess(outcome.data)},"echo":${JSON.stringify(echo)}}`
  } catch {
    // JSON.parse takes more levels than JSON.stringify can give back.
    const error = new ActionError('invalid', 'echo: it is nested too deeply', { field: 'echo' })
    return JSON.stringify(toEnvelope({ ok: false, error }))
  }
}

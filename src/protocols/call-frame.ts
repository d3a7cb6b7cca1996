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

/** The envelope of an answer with the echo of its call; `wrap` puts around it what goes around it. */
export function encodeAnswer(
  echo: unknown,
  outcome: Outcome,
  toEnvelope: (outcome: Outcome) => object,
  wrap: (envelope: object) => object = (envelope) => envelope
): string {
  try {
    // A key whose value is undefined is left out: no echo is returned where none was given.
    return JSON.stringify(wrap({ ...toEnvelope(outcome), echo }))
  } catch {
    // JSON.parse takes more levels than JSON.stringify can give back.
    const error = new ActionError('invalid', 'echo: it is nested too deeply', { field: 'echo' })
    return JSON.stringify(wrap(toEnvelope({ ok: false, error })))
  }
}

import { Type } from '@sinclair/typebox'
import { defineAction } from '../core/action.ts'

/** What became of a call that carried an idempotency key (docs/milky.md, "Extensions"). Only what was done is known. */
export const getActionResult = defineAction({
  name: 'get_action_result',
  params: Type.Object({ idempotency_key: Type.String({ description: 'expected the key of a call' }) }),
  result: Type.Object({
    state: Type.Union([Type.Literal('done'), Type.Literal('running'), Type.Literal('unknown')]),
    action: Type.Optional(Type.String()),
    /** As the call was answered. */
    outcome: Type.Optional(Type.Object({ status: Type.Literal('ok'), retcode: Type.Literal(0), data: Type.Unknown() }))
  }),
  async run({ caller, effects }, { idempotency_key: key }) {
    const found = await effects.find(caller.id, key)
    if (found.state !== 'done') return { state: found.state }
    const outcome = { status: 'ok' as const, retcode: 0 as const, data: found.answer }
    return { state: found.state, action: found.action, outcome }
  }
})

import type { Action, ActionContext, Caller, KeyedAs, Outcome } from './action.ts'
import type { Clock } from './clock.ts'
import { ActionError } from './errors.ts'
import { compileParams, type Validate } from './validate.ts'

/** The one door behind all doors. `dispatch` never throws: whatever goes wrong is an outcome. */
export interface Dispatcher {
  readonly has: (name: string) => boolean
  readonly dispatch: (name: string, params: unknown, caller: Caller) => Promise<Outcome>
}

export interface DispatcherOptions {
  readonly actions: readonly Action[]
  readonly context: Omit<ActionContext, 'caller' | 'deviceId'>
  /** A mistake of ours, with the id that the caller was told. */
  readonly onBug: (err: unknown, bug: { action: string; requestId: string }) => void
  readonly newId: () => string
  readonly clock: Pick<Clock, 'after'>
  /** How long a caller waits, in milliseconds, looked at anew each time; what takes longer goes on and is answered with `timeout`. */
  readonly timeMs: number
}

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { actions, context, onBug, newId, clock } = options
  const bugs = { onBug, newId }
  const table = new Map<string, { action: Action; validate: Validate }>()
  for (const action of actions) {
    if (table.has(action.name)) throw new Error(`action ${action.name} is defined twice`)
    table.set(action.name, { action, validate: compileParams(action.params) })
  }

  async function prepare(name: string, params: unknown, { accountId, deviceId }: Caller): Promise<Prepared> {
    const entry = table.get(name)
    if (!entry) throw new ActionError('unknown_action', `there is no action "${name.slice(0, 64)}"`)
    const valid = entry.validate(params)
    const caller = await context.store.findAccount(accountId)
    if (!caller || caller.isDisabled) throw new ActionError('disabled', `account ${accountId} is switched off`)
    return { action: entry.action, work: () => entry.action.run(createScope(context, caller, deviceId), valid) }
  }

  function dispatchOnce(name: string, params: unknown, caller: Caller): Promise<Outcome> {
    return toOutcome(async () => (await prepare(name, params, caller)).work(), name, bugs)
  }

  async function dispatchKeyed(name: string, params: unknown, caller: Caller, keyed: KeyedAs): Promise<Outcome> {
    const { toData = (data: object) => data } = keyed
    let isReplay = false
    const outcome = await toOutcome(
      async () => {
        const { action, work } = await prepare(name, params, caller)
        const { resultOf = () => ({}) } = action
        const answered = await context.effects.run(
          {
            ...keyed,
            accountId: caller.accountId,
            answerOf: (effect) => toData(resultOf(effect as never) as never)
          },
          async () => toData((await work()) as never)
        )
        ;({ isReplay } = answered)
        return answered.answer
      },
      name,
      bugs
    )
    return outcome.ok && isReplay ? { ...outcome, isReplay } : outcome
  }

  function inTime(name: string, outcome: Promise<Outcome>): Promise<Outcome> {
    const { timeMs } = options
    return new Promise((resolve, reject) => {
      const cancel = clock.after(timeMs, () => resolve({ ok: false, error: stillRunning(name, timeMs) }))
      outcome.then((done) => {
        cancel()
        resolve(done)
      }, reject)
    })
  }

  return {
    has: (name) => table.has(name),
    dispatch: (name, params, caller) =>
      inTime(
        name,
        caller.keyed ? dispatchKeyed(name, params, caller, caller.keyed) : dispatchOnce(name, params, caller)
      )
  }
}

interface Prepared {
  readonly action: Action
  readonly work: () => Promise<object>
}

function stillRunning(name: string, timeMs: number): ActionError {
  return new ActionError(
    'timeout',
    `${name.slice(0, 64)} is still running after ${timeMs / 1000} s and goes on; with an idempotency_key, get_action_result tells what comes of it`
  )
}

type Scope = { -readonly [K in keyof ActionContext]: ActionContext[K] }

/** What a call sees: everything that all calls see, behind what is its own. Copying forty services takes longer than most calls do. */
function createScope(
  context: DispatcherOptions['context'],
  caller: ActionContext['caller'],
  deviceId: string | undefined
): ActionContext {
  const scope = Object.create(context) as Scope
  scope.caller = caller
  scope.deviceId = deviceId
  return scope
}

/** Catches once what rules throw; anything but an `ActionError` is our mistake and is reported under an id. */
export async function toOutcome(
  run: () => Promise<object>,
  action: string,
  { onBug, newId }: Pick<DispatcherOptions, 'onBug' | 'newId'>
): Promise<Outcome> {
  try {
    return { ok: true, data: await run() }
  } catch (err) {
    if (err instanceof ActionError) return { ok: false, error: err }
    const requestId = newId()
    onBug(err, { action, requestId })
    return {
      ok: false,
      error: new ActionError('internal', `something went wrong here; the log has it under ${requestId}`, { requestId })
    }
  }
}

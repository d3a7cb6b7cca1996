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

  async function run(name: string, params: unknown, { accountId, deviceId, keyed }: Caller): Promise<Outcome> {
    try {
      const entry = table.get(name)
      if (!entry) throw new ActionError('unknown_action', `there is no action "${name.slice(0, 64)}"`)
      const { action, validate } = entry
      const valid = validate(params)
      const account = await context.store.findAccount(accountId)
      if (!account || account.isDisabled) throw new ActionError('disabled', `account ${accountId} is switched off`)
      const scope = createScope(context, account, deviceId)
      if (keyed) return await runKeyed(action, () => action.run(scope, valid), accountId, keyed)
      return { ok: true, data: await action.run(scope, valid) }
    } catch (err) {
      return toFailure(err, name, bugs)
    }
  }

  async function runKeyed(
    { resultOf = () => ({}) }: Action,
    work: () => Promise<object>,
    accountId: number,
    { toData = (data: object) => data, ...keyed }: KeyedAs
  ): Promise<Outcome> {
    const answerOf = (effect: unknown): object => toData(resultOf(effect as never) as never)
    const order = { ...keyed, accountId, answerOf }
    const { answer, isReplay } = await context.effects.run(order, async () => toData((await work()) as never))
    return { ok: true, data: answer, ...(isReplay && { isReplay }) }
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
    dispatch(name, params, caller) {
      const outcome = run(name, params, caller)
      // Reading waits for nobody, and is most of what is asked.
      return name.startsWith('get_') ? outcome : inTime(name, outcome)
    }
  }
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

/** What was thrown as an outcome; anything but an `ActionError` is our mistake and is reported under an id. */
export function toFailure(
  err: unknown,
  action: string,
  { onBug, newId }: Pick<DispatcherOptions, 'onBug' | 'newId'>
): Outcome {
  if (err instanceof ActionError) return { ok: false, error: err }
  const requestId = newId()
  onBug(err, { action, requestId })
  return {
    ok: false,
    error: new ActionError('internal', `something went wrong here; the log has it under ${requestId}`, { requestId })
  }
}

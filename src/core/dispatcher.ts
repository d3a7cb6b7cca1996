import type { Action, ActionContext, Caller, Outcome } from './action.ts'
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
}

export function createDispatcher({ actions, context, onBug, newId }: DispatcherOptions): Dispatcher {
  const table = new Map<string, { action: Action; validate: Validate }>()
  for (const action of actions) {
    if (table.has(action.name)) throw new Error(`action ${action.name} is defined twice`)
    table.set(action.name, { action, validate: compileParams(action.params) })
  }

  async function run(name: string, params: unknown, { accountId, deviceId }: Caller): Promise<object> {
    const entry = table.get(name)
    if (!entry) throw new ActionError('unknown_action', `there is no action "${name.slice(0, 64)}"`)
    const valid = entry.validate(params)
    const caller = await context.store.findAccount(accountId)
    if (!caller || caller.isDisabled) throw new ActionError('disabled', `account ${accountId} is switched off`)
    return entry.action.run(createScope(context, caller, deviceId), valid)
  }

  return {
    has: (name) => table.has(name),
    dispatch: (name, params, caller) => toOutcome(() => run(name, params, caller), name, { onBug, newId })
  }
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

import { actions } from './actions/index.ts'
import { createAccounts, type Accounts } from './core/accounts.ts'
import type { EventBus } from './core/bus.ts'
import { createChats, type Chats } from './core/chats.ts'
import { createDispatcher, type Dispatcher } from './core/dispatcher.ts'
import { createGroups, type Groups } from './core/groups.ts'
import type { CoreLimits } from './core/limits.ts'
import type { Store } from './core/store.ts'
import type { Logger } from './log.ts'
import { startHeartbeat, type Heartbeat } from './net/heartbeat.ts'
import { createHub, type Hub } from './net/hub.ts'
import { createDraftDispatcher } from './protocols/milky-draft.ts'
import { createId, digestToken, passwords } from './secrets.ts'

/** What every adapter is given: the one dispatcher, the one hub, and what stands behind them. */
export interface Gateway {
  readonly store: Store
  readonly accounts: Accounts
  readonly chats: Chats
  readonly groups: Groups
  readonly dispatcher: Dispatcher
  /** The same actions in the words of the Milky draft. */
  readonly draft: Dispatcher
  readonly hub: Hub
  readonly heartbeat: Heartbeat
  readonly log: Logger
  /** Unix seconds. */
  readonly now: () => number
  /** For `.catch` of work that nobody waits for. */
  readonly onError: (err: unknown) => void
  readonly close: () => Promise<void>
}

export interface GatewayOptions {
  readonly store: Store
  readonly bus: EventBus
  readonly log: Logger
  readonly limits: CoreLimits
  readonly now?: () => number
}

/** Ties the rooms together. Owns the store from here on: `close` closes it. */
export function createGateway({ store, bus, log, limits, now = unixSeconds }: GatewayOptions): Gateway {
  const onError = (err: unknown): void => log.error({ err }, 'something went wrong in the background')
  const bugs = {
    onBug: (err: unknown, bug: { action: string; requestId: string }): void =>
      log.error({ err, ...bug }, 'an action failed because of a mistake here'),
    newId: createId
  }

  const accounts = createAccounts({ store, now, passwords, digest: digestToken })
  const chats = createChats(store, now, limits)
  const groups = createGroups(store, now)
  const dispatcher = createDispatcher({ actions, context: { accounts, chats, groups, store }, ...bugs })
  const hub = createHub({ bus, holdWrites: store.holdWrites, onError })
  const heartbeat = startHeartbeat()
  const unsubscribe = store.onCommit(bus.publish)

  return {
    store,
    accounts,
    chats,
    groups,
    dispatcher,
    draft: createDraftDispatcher(dispatcher, bugs),
    hub,
    heartbeat,
    log,
    now,
    onError,
    async close() {
      heartbeat.stop()
      hub.close()
      unsubscribe()
      await store.close()
    }
  }
}

function unixSeconds(): number {
  return Math.floor(Date.now() / 1000)
}

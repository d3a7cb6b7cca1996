import type { Undo } from './bus.ts'
import type { Clock } from './clock.ts'
import type { Device, Devices } from './devices.ts'
import type { Signal } from './signal.ts'
import type { Store } from './store.ts'

/** Who others see as online (IM-Suite 2.3 `presence`, 2.7). */
export interface Presence {
  /** While a visible device is connected, and for a moment after its connection was lost. */
  readonly isOnline: (accountId: number) => boolean
  /** Unix seconds: now for who is online, else when they were last; who never was, when the account was made. */
  readonly lastSeenAt: (accountId: number) => Promise<number>
  /** How these accounts are now, in their order; whom the viewer may not know is left out. */
  readonly look: (viewerId: number, accountIds: readonly number[]) => Promise<Seen[]>
  /** A device that is not visible does not make its account online. Hiding the last visible one counts at once. */
  readonly setVisible: (deviceId: string, isVisible: boolean) => void
  /**
   * The device hears about these accounts from now on, instead of those before, and learns how they are now.
   * Whom the viewer may not know is left out.
   */
  readonly subscribe: (viewerId: number, deviceId: string, accountIds: readonly number[]) => Promise<Seen[]>
  /** Writes down when everybody was last seen. */
  readonly close: () => Promise<void>
}

export interface Seen {
  readonly accountId: number
  readonly isOnline: boolean
  /** Unix seconds. */
  readonly lastSeenAt: number
}

export interface PresenceOptions {
  readonly store: Pick<Store, 'findAccount' | 'listPeers' | 'listKnown' | 'listLastSeen' | 'saveLastSeen'>
  readonly devices: Pick<Devices, 'of' | 'find' | 'has' | 'watch'>
  readonly clock: Clock
  readonly tell: (signal: Signal) => void
  readonly onError: (err: unknown) => void
  /** How long a lost connection is waited for. */
  readonly graceMs: number
  /** Others are told about one account at most this often; what comes back to what they know is not told. */
  readonly intervalMs: number
  /** Peers that are told about one account. */
  readonly audience: number
}

/** How often it is written down that somebody is online, so that a crash does not lose more. */
const SAVE_MS = 5 * 60_000
/** Accounts in one write. */
const CHUNK = 500

interface State {
  isOnline: boolean
  /** What others were told last. */
  told: boolean
  /** When the last visible device went; 0 while one is there. */
  leftAt: number
  grace: Undo | undefined
  /** Others were told a moment ago. */
  rest: Undo | undefined
}

export function createPresence(options: PresenceOptions): Presence {
  const { store, devices, clock, tell, onError } = options
  /** Who is online, or was a moment ago. */
  const states = new Map<number, State>()
  /** Devices that do not want to be seen. */
  const hidden = new Set<string>()
  /** Whom a device asked about, and the other way round. */
  const asked = new Map<string, readonly number[]>()
  const watchers = new Map<number, Set<string>>()
  let isClosed = false

  const isVisible = (accountId: number): boolean => devices.of(accountId).some(({ id }) => !hidden.has(id))
  const isOnline = (accountId: number): boolean => states.get(accountId)?.isOnline ?? false

  /** Looks again at what the account's devices amount to. */
  function refresh(accountId: number, waitMs: number): void {
    if (isVisible(accountId)) return enter(accountId)
    const state = states.get(accountId)
    if (!state?.isOnline) return
    if (state.leftAt === 0) state.leftAt = clock.now()
    if (waitMs === 0) return leave(accountId, state)
    state.grace ??= clock.after(waitMs, () => leave(accountId, state))
  }

  function enter(accountId: number): void {
    const fresh = { isOnline: true, told: false, leftAt: 0, grace: undefined, rest: undefined }
    const state = states.get(accountId) ?? fresh
    states.set(accountId, state)
    state.grace?.()
    state.grace = undefined
    state.leftAt = 0
    state.isOnline = true
    announce(accountId, state)
  }

  function leave(accountId: number, state: State): void {
    state.grace?.()
    state.grace = undefined
    state.isOnline = false
    store.saveLastSeen([accountId], state.leftAt).catch(onError)
    announce(accountId, state)
  }

  function announce(accountId: number, state: State): void {
    if (state.rest) return
    if (state.isOnline === state.told) {
      if (!state.isOnline) states.delete(accountId)
      return
    }
    state.told = state.isOnline
    tellOthers(accountId, state.isOnline, state.isOnline ? clock.now() : state.leftAt).catch(onError)
    state.rest = clock.after(options.intervalMs, () => {
      state.rest = undefined
      announce(accountId, state)
    })
  }

  async function tellOthers(accountId: number, isOnlineNow: boolean, lastSeenAt: number): Promise<void> {
    const account = await store.findAccount(accountId)
    if (!account) return
    const peers = (await store.listPeers(accountId, options.audience)).filter(devices.has)
    const { id, nickname, avatarUrl } = account
    const signal = {
      kind: 'presence.changed',
      time: clock.now(),
      data: { account: { id, nickname, avatarUrl }, isOnline: isOnlineNow, lastSeenAt }
    } as const
    if (peers.length > 0) tell({ ...signal, audience: peers })
    for (const device of await listWatchers(accountId, new Set(peers)))
      tell({ ...signal, audience: [device.accountId], onlyDevice: device.id })
  }

  /** Devices that asked about the account and may still know it; all of `heard` hear of it anyway. */
  async function listWatchers(accountId: number, heard: ReadonlySet<number>): Promise<Device[]> {
    const own = [...(watchers.get(accountId) ?? [])].flatMap((deviceId) => devices.find(deviceId) ?? [])
    const further = own.filter((device) => !heard.has(device.accountId))
    if (further.length === 0) return []
    const viewers = new Set(further.map((device) => device.accountId))
    const known = new Set(await store.listKnown(accountId, [...viewers]))
    return further.filter((device) => known.has(device.accountId))
  }

  function unsubscribe(deviceId: string): void {
    for (const accountId of asked.get(deviceId) ?? []) {
      const own = watchers.get(accountId)
      own?.delete(deviceId)
      if (own?.size === 0) watchers.delete(accountId)
    }
    asked.delete(deviceId)
  }

  async function look(accountIds: readonly number[]): Promise<Seen[]> {
    const lastSeen = await store.listLastSeen(accountIds)
    return accountIds.map((accountId) => {
      const state = states.get(accountId)
      const seenAt = state && (state.isOnline ? clock.now() : state.leftAt)
      return { accountId, isOnline: isOnline(accountId), lastSeenAt: seenAt ?? lastSeen.get(accountId) ?? 0 }
    })
  }

  async function save(accountIds: readonly number[], time: number): Promise<void> {
    for (let from = 0; from < accountIds.length; from += CHUNK)
      await store.saveLastSeen(accountIds.slice(from, from + CHUNK), time)
  }

  const here = (): number[] => [...states].flatMap(([id, { isOnline, grace }]) => (isOnline && !grace ? [id] : []))

  function saveLater(): Undo {
    return clock.after(SAVE_MS, () => {
      save(here(), clock.now()).catch(onError)
      undoSave = saveLater()
    })
  }
  let undoSave = saveLater()

  const unwatch = devices.watch({
    joined: ({ accountId }) => refresh(accountId, 0),
    left({ id, accountId }) {
      unsubscribe(id)
      const wasHidden = hidden.delete(id)
      if (!wasHidden) refresh(accountId, options.graceMs)
    }
  })

  return {
    isOnline,
    lastSeenAt: async (accountId) => (await look([accountId]))[0]?.lastSeenAt ?? 0,

    look: async (viewerId, accountIds) => look(await store.listKnown(viewerId, accountIds)),

    setVisible(deviceId, isVisibleNow) {
      const device = devices.find(deviceId)
      if (!device || hidden.has(deviceId) !== isVisibleNow) return
      if (isVisibleNow) hidden.delete(deviceId)
      else hidden.add(deviceId)
      refresh(device.accountId, 0)
    },

    async subscribe(viewerId, deviceId, accountIds) {
      const known = await store.listKnown(viewerId, accountIds)
      if (!devices.find(deviceId)) return []
      unsubscribe(deviceId)
      asked.set(deviceId, known)
      for (const accountId of known) watchers.set(accountId, (watchers.get(accountId) ?? new Set()).add(deviceId))
      return look(known)
    },

    async close() {
      if (isClosed) return
      isClosed = true
      unwatch()
      undoSave()
      const left = [...states].filter(([, { grace }]) => grace)
      const online = here()
      for (const { grace, rest } of states.values()) {
        grace?.()
        rest?.()
      }
      const writes = [save(online, clock.now()), ...left.map(([id, { leftAt }]) => save([id], leftAt))]
      await Promise.all(writes).catch(onError)
    }
  }
}

import type { Undo } from './bus.ts'

/** One live connection of an account: a person's browser, or whatever holds a bot's place. */
export interface Device {
  readonly id: string
  readonly accountId: number
  /** The session its token belongs to; absent for bots and for tokens of other issuers. */
  readonly sessionId?: string | undefined
  /** People's devices can ring; those of bots cannot. */
  readonly kind: 'person' | 'bot'
}

export interface DeviceListener {
  readonly joined?: (device: Device) => void
  readonly left?: (device: Device) => void
}

/** Who is connected here and now. */
export interface Devices {
  /** Gives back its own undo; the same device is counted once. */
  readonly add: (device: Device) => Undo
  readonly find: (deviceId: string) => Device | undefined
  /** Devices of the account, the oldest first. */
  readonly of: (accountId: number) => readonly Device[]
  readonly has: (accountId: number) => boolean
  readonly count: () => number
  readonly watch: (listener: DeviceListener) => Undo
}

export function createDevices(): Devices {
  const byId = new Map<string, Device>()
  const byAccount = new Map<number, Set<Device>>()
  const listeners = new Set<DeviceListener>()

  function remove(device: Device): void {
    if (byId.get(device.id) !== device) return
    byId.delete(device.id)
    const own = byAccount.get(device.accountId)
    own?.delete(device)
    if (own?.size === 0) byAccount.delete(device.accountId)
    for (const { left } of listeners) left?.(device)
  }

  return {
    add(device) {
      byId.set(device.id, device)
      const own = byAccount.get(device.accountId) ?? new Set()
      byAccount.set(device.accountId, own.add(device))
      for (const { joined } of listeners) joined?.(device)
      return () => remove(device)
    },
    find: (deviceId) => byId.get(deviceId),
    of: (accountId) => [...(byAccount.get(accountId) ?? [])],
    has: (accountId) => byAccount.has(accountId),
    count: () => byId.size,
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
}

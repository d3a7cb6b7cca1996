import type { Undo } from './bus.ts'
import { checkMaySpeak, type Chats } from './chats.ts'
import type { Clock } from './clock.ts'
import type { Devices } from './devices.ts'
import type { AccountRef, GatewayEvent } from './event.ts'
import type { Signal } from './signal.ts'
import type { Store } from './store.ts'

/** Who is writing something right now (IM-Suite 2.3 `typing`). */
export interface Typing {
  /**
   * `deviceId`: where; who loses the last device that typed types no more. Throws `not_found` when the account is not in
   * the chat, `forbidden` and `muted` as for a message.
   */
  readonly set: (typer: AccountRef, chatId: number, isTyping: boolean, deviceId?: string) => Promise<void>
  readonly close: () => void
}

export interface TypingOptions {
  readonly store: Pick<Store, 'findSpeaker' | 'listAudience' | 'onCommit'>
  readonly chats: Pick<Chats, 'getOwn'>
  readonly devices: Pick<Devices, 'find' | 'has' | 'watch'>
  readonly clock: Clock
  readonly tell: (signal: Signal) => void
  readonly onError: (err: unknown) => void
  /** Who does not say again that they type has stopped. */
  readonly ttlMs: number
  /** A chat with more members online hears nothing of it. */
  readonly maxOnline: number
}

/** Who types on and on is told about again at most this often. */
const RETELL_MS = 5000
/** Chats in which one account types at the same time; a further one takes the place of the oldest. */
const MAX_CHATS = 20

interface Entry {
  readonly typer: AccountRef
  readonly chatId: number
  /** Those of its devices that typed; empty for who has none, such as bots over HTTP. */
  readonly devices: Set<string>
  expiry: Undo
  /** In ticks of the clock. */
  toldAt: number
  /** Somebody was told that they type, and so has to be told that they have stopped. */
  isHeard: boolean
}

export function createTyping(options: TypingOptions): Typing {
  const { store, chats, devices, clock, tell, onError } = options
  /** By account and chat. */
  const entries = new Map<number, Map<number, Entry>>()

  async function start(typer: AccountRef, chatId: number, deviceId: string | undefined): Promise<void> {
    const speaker = await store.findSpeaker(chatId, typer.id)
    // Who is blocked need not know.
    if (!speaker || speaker.isBlocked) return
    checkMaySpeak(speaker, clock.now())
    if (deviceId !== undefined && !devices.find(deviceId)) return
    const entry = renew(typer, chatId)
    if (deviceId !== undefined) entry.devices.add(deviceId)
    const ticks = clock.ticks()
    if (ticks - entry.toldAt < RETELL_MS) return
    entry.toldAt = ticks
    const audience = await listListeners(entry, options.maxOnline)
    // A message may have come meanwhile.
    if (audience.length === 0 || entries.get(typer.id)?.get(chatId) !== entry) return
    entry.isHeard = true
    say(entry, true, audience)
  }

  function renew(typer: AccountRef, chatId: number): Entry {
    const own = entries.get(typer.id) ?? new Map<number, Entry>()
    entries.set(typer.id, own)
    const known = own.get(chatId)
    const [oldest] = own.values()
    if (!known && oldest && own.size >= MAX_CHATS) stop(oldest)
    known?.expiry()
    const fresh = { typer, chatId, devices: new Set<string>(), toldAt: -Infinity, isHeard: false, expiry: () => {} }
    const entry: Entry = known ?? fresh
    entry.expiry = clock.after(options.ttlMs, () => stop(entry))
    own.set(chatId, entry)
    return entry
  }

  function stop(entry: Entry): void {
    const { typer, chatId } = entry
    const own = entries.get(typer.id)
    if (own?.get(chatId) !== entry) return
    entry.expiry()
    own.delete(chatId)
    if (own.size === 0) entries.delete(typer.id)
    if (entry.isHeard) sayStopped(entry).catch(onError)
  }

  async function sayStopped(entry: Entry): Promise<void> {
    const speaker = await store.findSpeaker(entry.chatId, entry.typer.id)
    if (speaker?.isBlocked) return
    const audience = await listListeners(entry, Infinity)
    if (audience.length > 0) say(entry, false, audience)
  }

  /** The other members who are there; nobody when more than `max` are. */
  async function listListeners({ chatId, typer }: Entry, max: number): Promise<number[]> {
    const online: number[] = []
    for (const id of await store.listAudience(chatId)) {
      if (!devices.has(id)) continue
      if (online.length === max) return []
      online.push(id)
    }
    return online.filter((id) => id !== typer.id)
  }

  function say({ chatId, typer: { id, nickname, avatarUrl } }: Entry, isTyping: boolean, audience: number[]): void {
    const data = { chatId, account: { id, nickname, avatarUrl }, isTyping }
    tell({ kind: 'chat.typing', time: clock.now(), audience, data })
  }

  /** What was typed is there. */
  function onCommit(events: readonly GatewayEvent[]): void {
    if (entries.size === 0) return
    for (const { kind, data, chat } of events) {
      const entry = kind === 'message.created' && entries.get(data.message.senderId)?.get(chat.id)
      if (entry) stop(entry)
    }
  }

  const undo = [
    store.onCommit(onCommit),
    devices.watch({
      left({ id, accountId }) {
        for (const entry of entries.get(accountId)?.values() ?? []) {
          const hasTyped = entry.devices.delete(id)
          if (entry.devices.size === 0 && (hasTyped || !devices.has(accountId))) stop(entry)
        }
      }
    })
  ]

  return {
    async set(typer, chatId, isTyping, deviceId) {
      await chats.getOwn(typer.id, chatId)
      if (isTyping) return start(typer, chatId, deviceId)
      const entry = entries.get(typer.id)?.get(chatId)
      if (entry) stop(entry)
    },
    close() {
      for (const step of undo) step()
      for (const own of entries.values()) for (const { expiry } of own.values()) expiry()
      entries.clear()
    }
  }
}

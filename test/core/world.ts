import type { Test } from 'tap'
import { actions } from '../../src/actions/index.ts'
import { createAccounts, type Accounts } from '../../src/core/accounts.ts'
import type { AllowanceName, Outcome } from '../../src/core/action.ts'
import { createAllowances, type Allowances } from '../../src/core/allowances.ts'
import { createCalls, type Calls } from '../../src/core/calls.ts'
import { createChats, type Chats } from '../../src/core/chats.ts'
import { createContacts, type Contacts } from '../../src/core/contacts.ts'
import { createDirectory, type Directory } from '../../src/core/directory.ts'
import { createDispatcher } from '../../src/core/dispatcher.ts'
import { createFiles, type Files } from '../../src/core/files.ts'
import type { GatewayEvent } from '../../src/core/event.ts'
import { createGroups, type Groups } from '../../src/core/groups.ts'
import { createLinks, type Links } from '../../src/core/links.ts'
import { createHistory, type History } from '../../src/core/history.ts'
import { createMembers, type Members } from '../../src/core/members.ts'
import { createDevices, type Devices } from '../../src/core/devices.ts'
import { createNotices, type Notices } from '../../src/core/notices.ts'
import { createPresence, type Presence } from '../../src/core/presence.ts'
import { createReceipts, type Receipts } from '../../src/core/receipts.ts'
import type { DraftSegment } from '../../src/core/segment.ts'
import type { Signal } from '../../src/core/signal.ts'
import type { Message, Store } from '../../src/core/store.ts'
import { createTyping, type Typing } from '../../src/core/typing.ts'
import { openBlobs, type BlobStore } from '../../src/files/blobs.ts'
import { digestToken, passwords } from '../../src/secrets.ts'
import { openSqliteStore } from '../../src/store/index.ts'
import { createTestClock, type TestClock } from '../helpers/clock.ts'
import { makeDirectory } from '../helpers/directory.ts'

/** Who is who in the group; the strangers are in no group and nobody's friend. */
export const who = {
  owner: 10001,
  admin: 10002,
  admin2: 10003,
  member: 10004,
  member2: 10005,
  stranger: 10006,
  /** A bot; in the group. */
  bot: 10007,
  /** A bot that is in nothing. */
  lonelyBot: 10008
} as const
export const GROUP = 100001
export const START = 1_700_000_000
export const limits = { personText: 10, botText: 20, segments: 5, editWindowS: 60 }

/** Bytes. */
export const MAX_FILE = 4096

export interface World {
  readonly store: Store
  readonly receipts: Receipts
  /** Nobody is connected until a test adds a device. */
  readonly devices: Devices
  readonly presence: Presence
  readonly typing: Typing
  readonly notices: Notices
  readonly calls: Calls
  readonly files: Files
  readonly blobs: BlobStore
  readonly links: Links
  readonly allowances: Allowances<AllowanceName>
  /** Drives what waits (receipts and the like); the time of messages is set by `setTime`. */
  readonly clock: TestClock
  /** Every signal since this was last asked for. */
  readonly signals: () => Signal[]
  readonly accounts: Accounts
  readonly chats: Chats
  readonly groups: Groups
  readonly members: Members
  readonly directory: Directory
  readonly contacts: Contacts
  readonly history: History
  /** Everything that happened since this was last asked for. */
  readonly news: () => Promise<GatewayEvent[]>
  readonly setTime: (time: number) => void
  readonly sendTo: (senderId: number, chatId: number, ...segments: (string | DraftSegment)[]) => Promise<Message>
  readonly writeTo: (senderId: number, peerId: number, text: string) => Promise<Message>
  readonly dispatch: (callerId: number, action: string, params?: unknown, deviceId?: string) => Promise<Outcome>
}

/** The real rules on a real store in memory, with a clock that stands still until it is set. */
export async function openWorld(t: Test): Promise<World> {
  const store = await openSqliteStore({ path: ':memory:' })
  t.teardown(() => store.close())
  let time = START
  const now = (): number => time
  const clock = createTestClock(START)
  const accounts = createAccounts({ store, now, passwords, digest: digestToken })
  const chats = createChats(store, now, limits)
  const groups = createGroups(store, now)
  const members = createMembers({ store, chats, now, maxMembers: 8 })
  const history = createHistory(store, chats)
  const signals: Signal[] = []
  const tell = (signal: Signal): void => void signals.push(signal)
  const onError = (err: unknown): void => void t.error(err)
  const receipts = createReceipts({ store, chats, clock, tell, onError, intervalMs: 1000 })
  const devices = createDevices()
  const presence = createPresence({
    store,
    devices,
    clock,
    tell,
    onError,
    graceMs: 10_000,
    intervalMs: 5000,
    audience: 500
  })
  const directory = createDirectory({ store, presence, now })
  const contacts = createContacts({ store, directory, now })
  const typing = createTyping({ store, chats, devices, clock, tell, onError, ttlMs: 30_000, maxOnline: 4 })
  let callNumber = 0
  const calls = createCalls({
    store,
    devices,
    clock,
    tell,
    onError,
    newId: () => `call_${String(++callNumber).padStart(3, '0')}`,
    ringMs: 30_000,
    graceMs: 10_000
  })
  const notices = createNotices({ store, clock, tell, onError, position: 0 })
  const plenty = { perSecond: 1000, burst: 1000 }
  const allowances = createAllowances<AllowanceName>(
    { search: plenty, send: plenty, chat: plenty, read: plenty, typing: plenty, watch: plenty, offer: plenty },
    clock
  )
  const blobs = await openBlobs(makeDirectory(t))
  const files = createFiles({ store, blobs, now, maxBytes: MAX_FILE })
  const links = createLinks({ secret: 'secret', publicUrl: undefined, origin: () => 'http://127.0.0.1:3000', now })
  const context = {
    accounts,
    chats,
    groups,
    members,
    directory,
    contacts,
    store,
    receipts,
    presence,
    typing,
    notices,
    files,
    links,
    calls,
    allowances
  }
  const dispatcher = createDispatcher({
    actions,
    context,
    onBug: (err) => t.error(err),
    newId: () => 'request'
  })

  for (const [name, id] of Object.entries(who))
    await accounts.add({ id, kind: name.endsWith('ot') ? 'bot' : 'person', nickname: name })
  await store.addGroup({
    id: GROUP,
    name: 'Group',
    ownerId: who.owner,
    adminIds: [who.admin, who.admin2],
    memberIds: [who.member, who.member2, who.bot],
    createdAt: START
  })

  let heard: GatewayEvent[] = []
  store.onCommit((events) => heard.push(...events))

  async function sendTo(
    senderId: number,
    chatId: number,
    ...segments: readonly (string | DraftSegment)[]
  ): Promise<Message> {
    const { message } = await chats.send({
      chatId,
      sender: await accounts.get(senderId),
      segments: segments.map((segment) => (typeof segment === 'string' ? { type: 'text', text: segment } : segment))
    })
    return message
  }

  return {
    ...context,
    blobs,
    history,
    devices,
    clock,
    signals: () => signals.splice(0),
    async news() {
      // What was committed is told in the next turn.
      await new Promise((resolve) => setImmediate(resolve))
      const events = heard
      heard = []
      return events
    },
    setTime(next) {
      time = next
    },
    sendTo,
    async writeTo(senderId, peerId, text) {
      return sendTo(senderId, await chats.openPrivate(await accounts.get(senderId), peerId), text)
    },
    dispatch: (accountId, action, params = {}, deviceId) =>
      dispatcher.dispatch(action, params, { accountId, ...(deviceId !== undefined && { deviceId }) })
  }
}

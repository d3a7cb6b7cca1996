import type { Test } from 'tap'
import { actions } from '../../src/actions/index.ts'
import { createAccounts, type Accounts } from '../../src/core/accounts.ts'
import type { AllowanceName, Outcome } from '../../src/core/action.ts'
import { createAllowances, type Allowances } from '../../src/core/allowances.ts'
import { createAnnouncements, type Announcements } from '../../src/core/announcements.ts'
import { createCalls, type Calls } from '../../src/core/calls.ts'
import { createChats, type Chats } from '../../src/core/chats.ts'
import { createContacts, type Contacts } from '../../src/core/contacts.ts'
import { createDirectory, type Directory } from '../../src/core/directory.ts'
import { createDispatcher } from '../../src/core/dispatcher.ts'
import { createEffects, type Effects } from '../../src/core/effects.ts'
import { createEssence, type Essence } from '../../src/core/essence.ts'
import { createFiles, type Files } from '../../src/core/files.ts'
import { createFriends, type Friends } from '../../src/core/friends.ts'
import { createGestures, type Gestures } from '../../src/core/gestures.ts'
import type { GatewayEvent } from '../../src/core/event.ts'
import { createGroupFiles, type GroupFiles } from '../../src/core/group-files.ts'
import { createGroupRequests, type GroupRequests } from '../../src/core/group-requests.ts'
import { createGroups, type Groups } from '../../src/core/groups.ts'
import { createLinks, type Links } from '../../src/core/links.ts'
import { createHistory, type History } from '../../src/core/history.ts'
import { createMembers, type Members } from '../../src/core/members.ts'
import { createDevices, type Devices } from '../../src/core/devices.ts'
import { createNotices, type Notices } from '../../src/core/notices.ts'
import { createPins, type Pins } from '../../src/core/pins.ts'
import { createPresence, type Presence } from '../../src/core/presence.ts'
import { createReactions, type Reactions } from '../../src/core/reactions.ts'
import { createReceipts, type Receipts } from '../../src/core/receipts.ts'
import type { Intake } from '../../src/core/intake.ts'
import type { DraftSegment } from '../../src/core/segment.ts'
import type { Signal } from '../../src/core/signal.ts'
import type { Message, Store } from '../../src/core/store.ts'
import { createTyping, type Typing } from '../../src/core/typing.ts'
import { openBlobs, type BlobStore } from '../../src/files/blobs.ts'
import { createFolders } from '../../src/files/folders.ts'
import { createIntake } from '../../src/files/intake.ts'
import { createFetcher } from '../../src/net/fetcher.ts'
import { createGuard } from '../../src/net/guard.ts'
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
  lonelyBot: 10008,
  /** A bot that is in nothing, and lets in who asks. */
  openBot: 10009
} as const
export const GROUP = 100001
export const START = 1_700_000_000
export const limits = { personText: 10, botText: 20, segments: 5, forwarded: 6, editWindowS: 60 }

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
  readonly groupFiles: GroupFiles
  readonly blobs: BlobStore
  readonly intake: Intake
  readonly version: string
  readonly maxMembers: number
  readonly now: () => number
  readonly links: Links
  readonly allowances: Allowances<AllowanceName>
  /** Drives what waits (receipts and the like); the time of messages is set by `setTime`. */
  readonly clock: TestClock
  /** Every signal since this was last asked for. */
  readonly signals: () => Signal[]
  readonly accounts: Accounts
  readonly chats: Chats
  readonly groups: Groups
  readonly groupRequests: GroupRequests
  readonly members: Members
  readonly directory: Directory
  readonly contacts: Contacts
  readonly friends: Friends
  readonly gestures: Gestures
  readonly pins: Pins
  readonly announcements: Announcements
  readonly essence: Essence
  readonly effects: Effects
  readonly reactions: Reactions
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
  let tidied = Promise.resolve()
  t.teardown(async () => {
    await tidied
    await store.close()
  })
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
  const links = createLinks({ secret: 'secret', publicUrl: undefined, origin: () => 'http://127.0.0.1:3000', now })
  const directory = createDirectory({ store, presence, links, now })
  const acceptsAtOnce = (accountId: number): boolean => accountId === who.openBot
  const contacts = createContacts({ store, directory, acceptsAtOnce, now })
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
  const friends = createFriends({ store, directory, notices, acceptsAtOnce, now })
  const plenty = { perSecond: 1000, burst: 1000 }
  const allowances = createAllowances<AllowanceName>(
    { search: plenty, send: plenty, chat: plenty, read: plenty, typing: plenty, watch: plenty, offer: plenty },
    clock
  )
  const blobs = await openBlobs(makeDirectory(t))
  const files = createFiles({ store, blobs, now, maxBytes: MAX_FILE, onError })
  const tidy = (): void => void (tidied = tidied.then(files.tidy).catch(onError))
  const groupFiles = createGroupFiles({ store, groups, now, tidy })
  const context = {
    accounts,
    chats,
    groups,
    groupRequests: createGroupRequests({ store, chats, notices, now, maxMembers: 8 }),
    members,
    directory,
    contacts,
    friends,
    gestures: createGestures({ store, directory, now }),
    pins: createPins(store, now),
    version: '1.2.3',
    announcements: createAnnouncements({ store, groups, files, now }),
    essence: createEssence(store, groups, now),
    effects: createEffects({ store, now, digest: digestToken, keptMs: 86_400_000, onError }),
    reactions: createReactions(store, chats, now),
    store,
    receipts,
    presence,
    typing,
    notices,
    files,
    groupFiles,
    links,
    calls,
    allowances,
    intake: createIntake({
      files,
      web: createFetcher({ guard: createGuard({ allowedNetworks: [] }), maxBytes: MAX_FILE }),
      disk: createFolders({ folders: [], dataDir: makeDirectory(t), maxBytes: MAX_FILE }),
      maxBytes: MAX_FILE,
      timeoutMs: 20_000,
      clock
    }),
    maxMembers: 8,
    now
  }
  const dispatcher = createDispatcher({
    actions,
    context,
    onBug: (err) => t.error(err),
    newId: () => 'request',
    clock,
    timeMs: 25_000
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

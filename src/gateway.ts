import { actions } from './actions/index.ts'
import type { Config } from './config.ts'
import { createAccounts, type Accounts } from './core/accounts.ts'
import { createAllowances, liveRate, type Allowances } from './core/allowances.ts'
import { createAnnouncements, type Announcements } from './core/announcements.ts'
import type { AllowanceName } from './core/action.ts'
import type { EventBus, Undo } from './core/bus.ts'
import { createCalls, type Calls } from './core/calls.ts'
import { createChats, type Chats } from './core/chats.ts'
import { createSteadyClock, type Clock } from './core/clock.ts'
import { createContacts, type Contacts } from './core/contacts.ts'
import { createDevices, type Devices } from './core/devices.ts'
import { createDirectory, type Directory } from './core/directory.ts'
import { createDispatcher, type Dispatcher } from './core/dispatcher.ts'
import { createEffects } from './core/effects.ts'
import { ActionError } from './core/errors.ts'
import { createEssence, type Essence } from './core/essence.ts'
import { createFiles, type Files } from './core/files.ts'
import { createFriends } from './core/friends.ts'
import { createGestures, type Gestures } from './core/gestures.ts'
import { createGroupFiles, type GroupFiles } from './core/group-files.ts'
import { createGroupRequests, type GroupRequests } from './core/group-requests.ts'
import { createGroups, type Groups } from './core/groups.ts'
import { createHistory, type History } from './core/history.ts'
import { createMembers, type Members } from './core/members.ts'
import { createLinks, type Links } from './core/links.ts'
import { createNotices, type Notices } from './core/notices.ts'
import { createPins } from './core/pins.ts'
import { createPresence, type Presence } from './core/presence.ts'
import { createReactions, type Reactions } from './core/reactions.ts'
import { createReceipts } from './core/receipts.ts'
import { startRetention } from './core/retention.ts'
import type { Signal } from './core/signal.ts'
import type { Store } from './core/store.ts'
import { createTyping } from './core/typing.ts'
import type { BlobStore } from './files/blobs.ts'
import { createFolders } from './files/folders.ts'
import { createIntake, type StoppableIntake } from './files/intake.ts'
import type { Logger } from './log.ts'
import { isInContainer } from './net/container.ts'
import { createFetcher } from './net/fetcher.ts'
import { createGuard } from './net/guard.ts'
import { startHeartbeat, type Heartbeat } from './net/heartbeat.ts'
import { createHub, type Hub } from './net/hub.ts'
import { createOutgoing, type Outgoing } from './net/outgoing.ts'
import { createDraftDispatcher } from './protocols/milky-draft.ts'
import { createMilkyDispatcher } from './protocols/milky.ts'
import { createCallId, createId, digestToken, passwords } from './secrets.ts'

/** What every adapter is given: the one dispatcher, the one hub, and what stands behind them. */
export interface Gateway {
  readonly store: Store
  readonly accounts: Accounts
  readonly chats: Chats
  readonly groups: Groups
  readonly groupRequests: GroupRequests
  readonly members: Members
  readonly directory: Directory
  readonly contacts: Contacts
  readonly gestures: Gestures
  readonly history: History
  readonly announcements: Announcements
  readonly essence: Essence
  readonly reactions: Reactions
  /** For what is asked without an action. */
  readonly allowances: Allowances<AllowanceName>
  readonly files: Files
  readonly groupFiles: GroupFiles
  /** The bytes of files. */
  readonly blobs: BlobStore
  /** What bots hand over by an address. */
  readonly intake: Pick<StoppableIntake, 'stop'>
  readonly links: Links
  /** Where what the configuration names may be dialled. */
  readonly outgoing: Outgoing
  readonly dispatcher: Dispatcher
  /** Those that Milky 1.2 names, for bots. */
  readonly milky: Dispatcher
  /** The same in the words of the Milky draft. */
  readonly draft: Dispatcher
  readonly hub: Hub
  readonly notices: Notices
  /** Who is connected. */
  readonly devices: Devices
  /** Who others see as online. */
  readonly presence: Presence
  readonly calls: Calls
  /** Tells what is not stored. */
  readonly tell: (signal: Signal) => void
  readonly clock: Clock
  /** For how long something may take: setting the machine's clock does not disturb it. */
  readonly steady: Clock
  readonly heartbeat: Heartbeat
  readonly log: Logger
  /** Unix seconds. */
  readonly now: () => number
  /** Whether the bot hears what it says itself (`report_self`). */
  readonly reportsSelf: (botId: number) => boolean
  /** Calls when a reload has changed something of the configuration, for whoever keeps what was made from it. */
  readonly onConfigChange: (listener: () => void) => Undo
  /** Calls when who may be here may have changed by other means than a call: the command line, or a reload. */
  readonly onAccessChange: (listener: () => void) => Undo
  /** For `.catch` of work that nobody waits for. */
  readonly onError: (err: unknown) => void
  readonly close: () => Promise<void>
}

export interface GatewayOptions {
  readonly store: Store
  readonly bus: EventBus
  readonly blobs: BlobStore
  /** What everything is signed with that people carry about. */
  readonly secret: string
  /** Scheme, host and port where the gateway listens. */
  readonly origin: () => string
  readonly log: Logger
  /** Its sections change in place while the gateway runs (`createLiveConfig`). */
  readonly config: Pick<Config, 'server' | 'data' | 'media' | 'outgoing' | 'limits' | 'im' | 'bots'>
  /** Calls when they did; they never do when absent. */
  readonly onConfigChange?: (listener: () => void) => Undo
  /** Of the gateway. */
  readonly version: string
  readonly clock?: Clock
}

/** Ties the rooms together. Owns the store from here on: `close` closes it. */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { store, bus, blobs, secret, origin, log, config, version, clock = systemClock } = options
  const { onConfigChange = () => () => {} } = options
  const { server, data, media, limits, im } = config
  const { now } = clock
  const onError = (err: unknown): void => {
    // The store has told of it, once; everything that runs in the background meets it again and again.
    if (isRefusedByStore(err)) log.debug({ err }, 'something waits for the database')
    else log.error({ err }, 'something went wrong in the background')
  }
  const bugs = {
    onBug: (err: unknown, bug: { action: string; requestId: string }): void =>
      log.error({ err, ...bug }, 'an action failed because of a mistake here'),
    newId: createId
  }

  const accessListeners = new Set<() => void>()
  const onTokenChange = (): void => accessListeners.forEach((listener) => listener())
  const accounts = createAccounts({ store, now, passwords, digest: digestToken, onTokenChange })
  const chats = createChats(store, now, {
    get personText() {
      return limits.message_text
    },
    get botText() {
      return limits.bot_message_text
    },
    segments: MAX_SEGMENTS,
    forwarded: MAX_FORWARDED,
    get editWindowS() {
      return im.edit_window
    }
  })
  const files = createFiles({ store, blobs, now, maxBytes: limits.file_size, onError })
  const intake = createIntake({
    files,
    web: createFetcher({
      guard: createGuard({ allowedNetworks: media.allowed_networks }),
      maxBytes: limits.file_size
    }),
    disk: createFolders({ folders: media.folders, dataDir: data.dir, maxBytes: limits.file_size }),
    maxBytes: limits.file_size,
    timeoutMs: media.timeout,
    clock
  })
  const bare = (url: string | null): string | undefined => url?.replace(/\/+$/, '')
  const links = createLinks({
    secret,
    publicUrl: bare(server.public_url),
    botUrl: bare(server.bot_url),
    origin,
    now
  })
  const groups = createGroups(store, now)
  // What an earlier process did not come to, and what goes with recalled messages and deleted files.
  let tidied = files.tidy().catch(onError)
  const tidy = (): void => void (tidied = tidied.then(files.tidy).catch(onError))
  const groupFiles = createGroupFiles({ store, groups, now, tidy })
  const members = createMembers({ store, chats, now, maxMembers: limits.group_members })
  const announcements = createAnnouncements({ store, groups, files, now })
  const essence = createEssence(store, groups, now)
  const reactions = createReactions(store, chats, now)
  const hub = createHub({ bus, holdWrites: store.holdWrites, onError, position: await store.lastEventId() })
  const devices = createDevices()
  // In a turn of its own, as events are: the answer to who caused it goes out first, and no signal overtakes an event.
  const tell = (signal: Signal): void => void setImmediate(() => bus.publish([signal]))
  const receipts = createReceipts({
    store,
    chats,
    clock,
    tell,
    onError,
    get intervalMs() {
      return limits.im_read_interval
    }
  })
  const presence = createPresence({
    store,
    devices,
    clock,
    tell,
    onError,
    get graceMs() {
      return limits.im_presence_grace
    },
    get intervalMs() {
      return limits.im_presence_interval
    },
    get audience() {
      return limits.im_presence_audience
    }
  })
  const directory = createDirectory({ store, presence, links, now })
  const acceptsAtOnce = (accountId: number): boolean =>
    config.bots.some((bot) => bot.id === accountId && bot.friend_requests === 'accept')
  const contacts = createContacts({ store, directory, acceptsAtOnce, now })
  const gestures = createGestures({ store, directory, now })
  const typing = createTyping({
    store,
    chats,
    devices,
    clock,
    tell,
    onError,
    get ttlMs() {
      return limits.im_typing_ttl
    },
    get maxOnline() {
      return limits.im_typing_members
    }
  })
  const notices = createNotices({ store, clock, tell, onError, position: await store.lastNoticeId() })
  const friends = createFriends({ store, directory, notices, acceptsAtOnce, now })
  const groupRequests = createGroupRequests({ store, chats, notices, now, maxMembers: limits.group_members })
  // A crash leaves nobody busy.
  await store.endAllCalls(now())
  const calls = createCalls({
    store,
    devices,
    clock,
    tell,
    onError,
    newId: createCallId,
    get ringMs() {
      return limits.im_ring_timeout
    },
    get graceMs() {
      return limits.im_call_grace
    }
  })
  const allowances = createAllowances<AllowanceName>(
    {
      search: { perSecond: 1, burst: 10 },
      send: liveRate(() => [limits.im_message_rate, limits.im_message_burst]),
      chat: liveRate(() => [limits.im_chat_rate, limits.im_chat_rate]),
      read: liveRate(() => [limits.im_read_rate, limits.im_read_burst]),
      typing: { perSecond: 2, burst: 10 },
      watch: { perSecond: 1, burst: 5 },
      offer: liveRate(() => [1 / 3, limits.im_offer_burst])
    },
    clock
  )
  const findSelfReporters = (): Set<number> =>
    new Set(config.bots.filter((bot) => bot.report_self).map((bot) => bot.id))
  let selfReporters = findSelfReporters()
  onConfigChange(() => (selfReporters = findSelfReporters()))
  const dispatcher = createDispatcher({
    actions,
    context: {
      accounts,
      chats,
      groups,
      groupRequests,
      members,
      directory,
      contacts,
      friends,
      gestures,
      pins: createPins(store, now),
      version,
      announcements,
      essence,
      reactions,
      effects: createEffects({
        store,
        now,
        digest: digestToken,
        get keptMs() {
          return limits.idempotency_time
        },
        onError
      }),
      store,
      receipts,
      presence,
      typing,
      notices,
      files,
      groupFiles,
      intake,
      links,
      calls,
      allowances,
      maxMembers: limits.group_members,
      now
    },
    clock,
    get timeMs() {
      return limits.action_time
    },
    ...bugs
  })
  const stopRetention = startRetention({
    store,
    clock,
    get ageS() {
      return Math.floor(limits.log_age / 1000)
    },
    get count() {
      return limits.log_count
    },
    onError
  })
  const heartbeat = startHeartbeat()
  const unsubscribe = store.onCommit(bus.publish)
  const stopTidying = store.onCommit((events) => {
    if (events.some(({ kind }) => kind === 'message.recalled')) tidy()
  })

  return {
    store,
    accounts,
    chats,
    groups,
    groupRequests,
    members,
    directory,
    contacts,
    gestures,
    history: createHistory(store, chats),
    announcements,
    essence,
    reactions,
    allowances,
    files,
    groupFiles,
    blobs,
    intake,
    links,
    outgoing: createOutgoing({
      guard: config.outgoing.guard,
      allowedNetworks: config.outgoing.allowed_networks,
      isContainer: isInContainer()
    }),
    dispatcher,
    milky: createMilkyDispatcher(dispatcher),
    draft: createDraftDispatcher(dispatcher, bugs),
    hub,
    notices,
    devices,
    presence,
    calls,
    tell,
    clock,
    steady: createSteadyClock(clock),
    heartbeat,
    log,
    now,
    reportsSelf: (botId) => selfReporters.has(botId),
    onConfigChange,
    onAccessChange(listener) {
      accessListeners.add(listener)
      const undo = [store.onForeignChange(listener), onConfigChange(listener), () => accessListeners.delete(listener)]
      return () => undo.forEach((step) => step())
    },
    onError,
    async close() {
      heartbeat.stop()
      receipts.close()
      typing.close()
      notices.close()
      await presence.close()
      await calls.close()
      hub.close()
      unsubscribe()
      stopTidying()
      await tidied
      await stopRetention()
      await store.close()
    }
  }
}

function isRefusedByStore(err: unknown): boolean {
  return err instanceof ActionError && (err.reason === 'unavailable' || err.reason === 'no_space')
}

/** Segments of one message. */
const MAX_SEGMENTS = 200
/** Messages that one message passes on. */
const MAX_FORWARDED = 200

export const systemClock: Clock = {
  now: () => Math.floor(Date.now() / 1000),
  ticks: () => performance.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms)
    timer.unref()
    return () => clearTimeout(timer)
  }
}

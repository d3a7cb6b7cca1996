import { AsyncLocalStorage } from 'node:async_hooks'
import type { EventListener, Undo } from '../core/bus.ts'
import type { KeyedCall } from '../core/effect-store.ts'
import { ActionError } from '../core/errors.ts'
import type { GatewayEvent, InboxEventDraft } from '../core/event.ts'
import type { Store } from '../core/store.ts'
import { startCheckpointer } from './checkpointer.ts'
import { openDatabase } from './open.ts'
import { accountQueries } from './queries/accounts.ts'
import { announcementQueries } from './queries/announcements.ts'
import { auditQueries } from './queries/audit.ts'
import { callQueries } from './queries/calls.ts'
import { chatQueries } from './queries/chats.ts'
import { contactQueries } from './queries/contacts.ts'
import { deliveryQueries } from './queries/deliveries.ts'
import { effectQueries } from './queries/effects.ts'
import { eventQueries } from './queries/events.ts'
import { faceQueries } from './queries/faces.ts'
import { fileQueries } from './queries/files.ts'
import { forwardQueries } from './queries/forwards.ts'
import { friendQueries } from './queries/friends.ts'
import { groupNotificationQueries } from './queries/group-notifications.ts'
import { groupRequestQueries } from './queries/group-requests.ts'
import { groupFileQueries } from './queries/group-files.ts'
import { groupQueries } from './queries/groups.ts'
import { identityQueries } from './queries/identities.ts'
import { inviteQueries } from './queries/invites.ts'
import { likeQueries } from './queries/likes.ts'
import { historyQueries } from './queries/history.ts'
import { mailQueries } from './queries/mail.ts'
import { markQueries } from './queries/marks.ts'
import { memberQueries } from './queries/members.ts'
import { isPlain, messageQueries } from './queries/messages.ts'
import { noticeQueries } from './queries/notices.ts'
import { peerQueries } from './queries/peers.ts'
import { pinQueries } from './queries/pins.ts'
import { speakerQueries } from './queries/speakers.ts'
import { tallyQueries } from './queries/tally.ts'
import { describeTrouble } from './trouble.ts'
import { createWriter, type Emit, type Manner } from './writer.ts'

export interface SqliteOptions {
  /** A file, or `:memory:`. */
  readonly path: string
  /** Called for what goes wrong in the background. */
  readonly onError?: (err: unknown) => void
  /** Called once when the database can no longer be written, with why, and with undefined when it can again. */
  readonly onTrouble?: (words: string | undefined) => void
  /** For a process that does one thing and ends: nothing runs in the background. */
  readonly isShort?: boolean
}

/** How often to look for what other processes (the command line) changed. */
const POLL_MS = 250
/** Whoever asks whether the database can write wants to know soon. */
const PING_PATIENCE_MS = 1000
/** Written to see whether that is possible again. */
const PROBE = 'probe'

/**
 * The embedded store. One connection reads and writes on the main thread (a point read is 5 µs), commits are shared
 * (`createWriter`), and the write-ahead log is emptied by a worker thread (`startCheckpointer`).
 * Throws when the file cannot be opened or belongs to a newer version.
 */
export async function openSqliteStore({
  path,
  onError = () => {},
  onTrouble = () => {},
  isShort = false
}: SqliteOptions): Promise<Store> {
  const { db } = await openDatabase(path, { isChecked: !isShort })

  const accounts = accountQueries(db)
  const identities = identityQueries(db, accounts)
  const invites = inviteQueries(db)
  const chats = chatQueries(db, accounts)
  const events = eventQueries(db, accounts, chats)
  const files = fileQueries(db)
  const forwards = forwardQueries(db)
  const faces = faceQueries(db, files)
  const notifications = groupNotificationQueries(db)
  const groups = groupQueries(db, { accounts, chats, events, files, notifications })
  const groupFiles = groupFileQueries(db, files, groups)
  const speakers = speakerQueries(db)
  const tally = tallyQueries(db)
  const messages = messageQueries(db, {
    accounts,
    chats,
    events,
    faces,
    files,
    forwards,
    groupFiles,
    speakers,
    tally
  })
  const peers = peerQueries(db)
  const notices = noticeQueries(db)
  const contacts = contactQueries(db)
  const friends = friendQueries(db, { accounts, chats, contacts, events, messages, notices })
  const likes = likeQueries(db, contacts)
  const pins = pinQueries(db, events)
  const members = memberQueries(db, { accounts, chats, contacts, events, groups, notifications })
  const groupRequests = groupRequestQueries(db, { accounts, chats, contacts, events, groups, notices, notifications })
  const history = historyQueries(db)
  const calls = callQueries(db)
  const announcements = announcementQueries(db, { accounts, chats, files, groups })
  const marks = markQueries(db, { events, groups, messages })
  const mail = mailQueries(db)
  const deliveries = deliveryQueries(db, events)
  const effects = effectQueries(db)
  const audit = auditQueries(db, accounts)
  const getMeta = db.prepare('select value from meta where key = ?')
  const setMeta = db.prepare(
    'insert into meta(key, value) values (?, ?) on conflict(key) do update set value = excluded.value'
  )
  const dataVersion = db.prepare('pragma data_version')
  const one = db.prepare('select 1 from meta')

  const commitListeners = new Set<EventListener>()
  const foreignListeners = new Set<() => void>()
  const targetListeners = new Set<(targetId: string) => void>()
  let lastTold = events.lastId()
  let seenVersion = readDataVersion()
  let closed: Promise<void> | undefined
  let trouble: string | undefined
  let isReadingWell = true

  const writer = createWriter(db, {
    onBegin: forgetWhenForeign,
    onSettle: () => tally.settle(),
    onDurable: tell,
    onRollback() {
      tally.forget()
      forgetAll()
    },
    onTrouble: noteTrouble,
    onWell: noteWell
  })
  const isShared = path !== ':memory:' && !isShort
  const checkpointer = isShared ? startCheckpointer({ path, holdWrites: writer.hold, onError }) : undefined
  const poll = isShared ? setInterval(lookForForeignChange, POLL_MS) : undefined
  poll?.unref()

  function readDataVersion(): number {
    return (dataVersion.get() as { data_version: number }).data_version
  }

  function forgetAll(): void {
    accounts.forget()
    chats.forget()
    speakers.forget()
    mail.forgetAll()
  }

  /** What another process changed counts for what is written now; who wants to hear of it is told at the next look. */
  function forgetWhenForeign(): void {
    if (readDataVersion() !== seenVersion) forgetAll()
  }

  /** Tells in a turn of its own: the answers to those who wrote go out first. */
  function tell(committed: readonly GatewayEvent[]): void {
    const first = committed[0]
    // Another process wrote in between; its events come first, so that everybody hears the log in its order.
    const missed = first && first.id > lastTold + 1 ? events.between(lastTold, first.id) : []
    lastTold = committed.at(-1)?.id ?? lastTold
    setImmediate(() => {
      const all = missed.length > 0 ? [...missed, ...committed] : committed
      callAll(commitListeners, (listener) => listener(all))
    })
  }

  function noteTrouble(err: unknown): void {
    const words = describeTrouble(err)
    if (trouble !== words) onTrouble(words)
    trouble = words
  }

  function noteWell(): void {
    trouble = undefined
    onTrouble(undefined)
  }

  /** One listener's mistake is not the next one's. */
  function callAll<T>(listeners: ReadonlySet<T>, call: (listener: T) => void): void {
    for (const listener of listeners) {
      try {
        call(listener)
      } catch (err) {
        onError(err)
      }
    }
  }

  function lookForForeignChange(): void {
    try {
      const version = readDataVersion()
      if (version === seenVersion) return
      forgetAll()
      const missed = events.between(lastTold, Number.MAX_SAFE_INTEGER)
      if (missed.length > 0) tell(missed)
      // Last, so that what could not be read now is read at the next look.
      seenVersion = version
      // Behind what was told just now: who has to go hears why first.
      setImmediate(tellForeign)
      isReadingWell = true
    } catch (err) {
      // It looks again four times a second.
      if (isReadingWell) onError(err)
      isReadingWell = false
    }
  }

  function tellForeign(): void {
    if (closed === undefined) callAll(foreignListeners, (listener) => listener())
  }

  async function close(): Promise<void> {
    clearInterval(poll)
    writer.close()
    await checkpointer?.stop()
    db.close()
  }

  /** The webhook itself may run in this process: it hears of it at once. */
  async function changeTarget<T>(targetId: string, change: () => T): Promise<T> {
    const value = await write(change)
    if (value) callAll(targetListeners, (listener) => listener(targetId))
    return value
  }

  function subscribe<T>(set: Set<T>, listener: T): Undo {
    set.add(listener)
    return () => set.delete(listener)
  }

  const { write } = writer
  /** For changes that refuse nothing, in tables that have nothing to do with messages. */
  const plain = <T>(change: () => T): Promise<T> => write(change, { manner: 'plain' })
  const keyedCalls = new AsyncLocalStorage<KeyedState>()

  /** Writes a change that others can see. The first one in a keyed call is written together with the answer of the call. */
  function effect<T>(change: (emit: Emit) => T, manner: Manner = 'guarded'): Promise<T> {
    const current = keyedCalls.getStore()
    return current?.isOpen ? writeKeyed(current, change, manner) : write(change, { manner })
  }

  async function writeKeyed<T>(current: KeyedState, change: (emit: Emit) => T, manner: Manner): Promise<T> {
    const { call } = current
    current.isOpen = false
    try {
      return await write(
        (emit) => {
          if (effects.find(call.accountId, call.key, call.validFrom))
            throw new ActionError('conflict', 'another process has done this under the same idempotency key')
          const value = change(emit)
          // False: there was nothing to change.
          if (value === false) current.isOpen = true
          else effects.add(call, value)
          return value
        },
        { manner }
      )
    } catch (err) {
      current.isOpen = true
      throw err
    }
  }

  /** Whoever came in by a right that changes here is looked at again, as when the command line changes it. */
  const changeRights: typeof write = async (work, options) => {
    const result = await write(work, options)
    setImmediate(tellForeign)
    return result
  }

  const store: Store = {
    findAccount: async (id) => accounts.find(id),
    findAccountByLogin: async (login) => accounts.findByLogin(login),
    findAccountByToken: async (digest) => accounts.findByToken(digest),
    listAccounts: async (kind) => accounts.list(kind),
    addAccount: (account) =>
      write(() => {
        const { invite, createdAt } = account
        return invite ? invites.spend(invite, createdAt, () => accounts.add(account)) : accounts.add(account)
      }),
    addInvite: (invite) => write(() => invites.add(invite)),
    findOrAddIdentity: async (identity) => identities.find(identity) ?? write(() => identities.findOrAdd(identity)),
    setNickname: (id, nickname) =>
      write(() => {
        accounts.setNickname(id, nickname)
        chats.forget()
      }),
    findPasswordHash: async (id) => accounts.findPasswordHash(id),
    setPassword: (id, hash, keptSessionId) => write(() => accounts.setPassword(id, hash, keptSessionId)),
    setAdmin: (id, isAdmin) => write(() => accounts.setAdmin(id, isAdmin)),
    disableAccount: (id, time) =>
      changeRights((emit) => {
        const before = accounts.disable(id, time)
        notifications.forgetAccount(id)
        // In the same transaction: a bot hears why it has to leave, and nothing after it.
        if (before?.kind === 'bot') events.appendToInbox(time, toFarewell(id), emit)
      }),
    replaceToken: (id, digest, time) => changeRights(() => accounts.replaceToken(id, digest, time)),
    countTokens: async (id) => accounts.countTokens(id),

    addFriendship: (a, b, time) => write(() => friends.befriend(a, b, time)),
    listFriends: async (id) => accounts.listFriends(id),
    findFriend: async (id, friendId) => accounts.findFriend(id, friendId),
    shareGroup: async (a, b) => chats.shareGroup(a, b),
    listPeers: async (id, limit) => peers.listPeers(id, limit),
    listKnown: async (id, ids) => peers.listKnown(id, ids),
    listLastSeen: async (ids) => peers.listLastSeen(ids),
    saveLastSeen: (ids, time) => write(() => peers.saveLastSeen(ids, time)),

    updateProfile: (id, profile, time, fileIdOf = () => undefined) =>
      effect(() => {
        const former = accounts.find(id)?.avatarUrl ?? ''
        accounts.updateProfile(id, profile, time)
        chats.forget()
        const fileId = fileIdOf(former)
        if (fileId !== undefined && files.find(fileId)?.ownerId === id) files.remove(fileId)
      }),
    searchAccounts: async (words, limit) => accounts.search(words, limit),
    listContacts: async (id, window) => contacts.list(id, window),
    findContact: async (id, contactId) => contacts.find(id, contactId),
    addContact: ({ request, ...contact }) =>
      effect((emit) => {
        const { accountId, contactId, time } = contact
        if (request) friends.request({ ...request, initiatorId: accountId, targetId: contactId, time }, emit)
        chats.forgetPrivate(accountId, contactId)
        return contacts.add(contact)
      }),
    updateContact: (id, contactId, change) =>
      effect(() => {
        chats.forgetPrivate(id, contactId)
        return contacts.update(id, contactId, change)
      }),
    removeContact: (id, contactId, isMutual) =>
      effect(() => {
        chats.forgetPrivate(id, contactId)
        return isMutual ? friends.remove(id, contactId) : contacts.remove(id, contactId)
      }),
    addBlock: (id, blockedId, time) => effect(() => contacts.block(id, blockedId, time)),
    removeBlock: (id, blockedId) => effect(() => contacts.unblock(id, blockedId)),
    isBlocked: async (a, b) => contacts.isBlocked(a, b),
    listBlocks: async (id, window) => contacts.listBlocks(id, window),

    requestFriend: (order) => effect((emit) => friends.request(order, emit)),
    listFriendRequests: async (targetId, limit) => friends.list(targetId, limit),
    answerFriendRequest: (order) => effect(() => friends.answer(order)),
    removeFriendship: (a, b) => effect(() => friends.remove(a, b)),
    nudge: (order) => effect((emit) => friends.nudge(order, emit)),
    addLikes: (order) => effect(() => likes.add(order)),
    readLikes: async (targetId, time, limit) => likes.read(targetId, time, limit),
    setPin: (order) => effect((emit) => pins.set(order, emit)),
    listPins: async (accountId) => pins.list(accountId),
    listCustomFaces: async (accountId) => faces.list(accountId),

    findChatDetail: async (id, chatId) => members.findDetail(id, chatId),
    openGroup: (plan) => effect((emit) => members.openGroup(plan, emit)),
    invite: (order) => effect((emit) => members.invite(order, emit)),
    listMembersOf: async (chatId, window) => members.list(chatId, window),
    listBans: async (chatId, window) => members.listBans(chatId, window),
    listNewest: async (chatId, window) => history.listNewest(chatId, window),
    searchMessages: async (search) => history.search(search),

    findPrivateChat: async (a, b) => chats.findPrivate(a, b),
    openPrivateChat: (a, b, time) => write(() => chats.openPrivate(a, b, time)),
    findChat: async (id) => chats.ref(id),
    isMember: async (chatId, accountId) => chats.isMember(chatId, accountId),
    findSpeaker: async (chatId, accountId) => messages.findSpeaker(chatId, accountId),
    listChats: async (accountId, page) => chats.listOf(accountId, page),

    addGroup: (group) => effect(() => groups.add(group)),
    findGroup: async (id) => groups.find(id),
    listGroups: async (accountId) => groups.list(accountId),
    listMembers: async (id) => groups.listMembers(id),
    findMember: async (groupId, accountId) => groups.findMember(groupId, accountId),
    changeGroup: (order) => effect((emit) => groups.change(order, emit)),
    askForGroup: (order) => effect((emit) => groupRequests.ask(order, emit)),
    answerRequest: (order) => effect((emit) => groupRequests.answer(order, emit)),
    listNotifications: async (accountId, page) => notifications.list(accountId, page),
    listRequests: async (groupId, window) => notifications.listAsked(groupId, window),
    listInvitations: async (accountId, window) => notifications.listInvited(accountId, window),

    appendMessage: (draft) => effect((emit) => messages.append(draft, emit), isPlain(draft) ? 'plain' : 'guarded'),
    findSent: async (chatId, senderId, clientId) => messages.findSent(chatId, senderId, clientId),
    editMessage: (order) => effect((emit) => messages.edit(order, emit)),
    listRevisions: async (messageId) => messages.listRevisions(messageId),
    recallMessage: (order) => effect((emit) => messages.recall(order, emit)),
    findMessage: async (chatId, seq) => messages.find(chatId, seq),
    findMessageById: async (id) => messages.findById(id),
    findMessageId: async (chatId, seq) => messages.findId(chatId, seq),
    findPosition: async (id) => messages.findPosition(id),
    listMessages: async (page) => messages.list(page),
    markRead: (chatId, accountId, seq) => effect(() => messages.markRead(chatId, accountId, seq)),
    listReadStates: async (chatId) => messages.listReadStates(chatId),
    countUnread: async (accountId, chatId) => messages.countUnread(accountId, chatId),
    listAuthors: async (chatId, afterSeq, upToSeq, limit) => messages.listAuthors(chatId, afterSeq, upToSeq, limit),
    listAudience: async (chatId) => chats.audience(chatId),

    beginCall: (draft) => write(() => calls.begin(draft)),
    answerCall: (id, time) => write(() => calls.answer(id, time)),
    endCall: (id, end) => write(() => calls.end(id, end)),
    endAllCalls: (time) => write(() => calls.endAll(time)),
    findCall: async (id) => calls.find(id),
    listCalls: async (accountId, page) => calls.listOf(accountId, page),

    readEvents: async (accountId, afterId, limit) => events.readFor(accountId, afterId, limit),
    readChatEvents: async (accountId, chatId, afterEventSeq, limit) =>
      events.readOfChat(accountId, chatId, afterEventSeq, limit),
    readMissed: async (accountId, afterId, limits) => events.readMissed(accountId, afterId, limits),
    lastEventId: async () => events.lastId(),
    oldestCursor: async () => events.oldestCursor(),
    oldestEventSeq: async (chatId) => events.oldestSeq(chatId),
    dropEvents: (bounds) => write(() => events.drop(bounds)),
    onCommit: (listener) => subscribe(commitListeners, listener),
    onForeignChange: (listener) => subscribe(foreignListeners, listener),
    holdWrites: writer.hold,

    openCursor: (name) =>
      write(() => {
        events.useCursor(name)
        const found = events.findCursor(name)
        if (found !== undefined) return found
        const last = events.lastId()
        events.saveCursor(name, last)
        return last
      }),
    saveCursor: (name, eventId) => plain(() => events.saveCursor(name, eventId)),

    listTargets: async () => deliveries.list(),
    findTarget: async (id) => deliveries.find(id),
    setTargetState: (id, change) => changeTarget(id, () => deliveries.setState(id, change)),
    listDeliveries: async (targetId, state, page) => deliveries.listDeliveries(targetId, state, page),
    listAttempts: async (targetId, page) => deliveries.listAttempts(targetId, page),
    replay: (targetId, choice, time) => changeTarget(targetId, () => deliveries.replay(targetId, choice, time)),
    openTarget: (target) => write(() => deliveries.open(target)),
    saveProgress: (targetId, progress) => plain(() => deliveries.saveProgress(targetId, progress())),
    expectMore: writer.expectMore,
    listDue: async (targetId, options) => deliveries.listDue(targetId, options),
    findNextDue: async (targetId, after, isStrict) => deliveries.findNextDue(targetId, after, isStrict),
    findDueOfChat: async (targetId, chat) => deliveries.findDueOfChat(targetId, chat),
    hurry: (targetId, since, time) => write(() => deliveries.hurry(targetId, since, time)),
    onTargetChange: (listener) => subscribe(targetListeners, listener),

    addSession: (session) => write(() => accounts.addSession(session)),
    saveSessionCursors: (cursors) => write(() => cursors.forEach((cursor) => accounts.saveSessionCursor(cursor))),
    markDelivered: (chatId, accountId, seq) => write(() => messages.markDelivered(chatId, accountId, seq)),
    findSession: async (id) => accounts.findSession(id),
    rotateSession: (id, used, next, expiresAt) => write(() => accounts.rotateSession(id, used, next, expiresAt)),
    removeSession: (id) => write(() => accounts.removeSession(id)),
    removeSessions: (accountId) => write(() => accounts.removeSessions(accountId)),

    expectContent: (sha256) => write(() => files.expectContent(sha256)),
    addFile: (file) => write(() => files.add(file)),
    findFile: async (id) => files.find(id),
    readQuoted: async (quoting) =>
      events.readQuoted(
        quoting[0]?.chatId ?? 0,
        quoting.flatMap(({ segments }) => segments)
      ) ?? {},
    findForward: async (id, accountId) => (forwards.isShownTo(id, accountId) ? forwards.find(id)?.messages : undefined),
    isFileShownTo: async (fileId, accountId) => files.isShownTo(fileId, accountId),
    removeFile: (id) => write(() => files.remove(id)),
    isFileShownIn: async (fileId, chatId) => files.isShownIn(fileId, chatId),
    listGroupFolders: async (groupId) => groupFiles.listFolders(groupId),
    listGroupFiles: async (groupId, folderId, window) => groupFiles.list(groupId, folderId, window),
    findGroupFile: async (groupId, fileId) => groupFiles.find(groupId, fileId),
    changeGroupFiles: (order) => effect(() => groupFiles.change(order)),
    countDownload: (groupId, fileId) => write(() => groupFiles.countDownload(groupId, fileId)),
    listLooseContents: async (limit) => files.listLooseContents(limit),
    isContentUsed: async (sha256) => files.isContentUsed(sha256),
    forgetContent: (sha256) => write(() => files.forgetContent(sha256)),

    addNotice: (notice, keepFrom) => write(() => notices.add(notice, keepFrom)),
    listNotices: async (page) => notices.list(page),
    readNotices: async (afterId, limit) => notices.read(afterId, limit),
    lastNoticeId: async () => notices.lastId(),

    addAnnouncement: (order) => effect(() => announcements.add(order)),
    removeAnnouncement: (removal) => effect(() => announcements.remove(removal)),
    listAnnouncements: async (groupId) => announcements.list(groupId),
    changeEssence: (order) => effect((emit) => marks.changeEssence(order, emit)),
    listEssence: async (groupId, window) => marks.listEssence(groupId, window),
    changeReaction: (order) => effect((emit) => marks.changeReaction(order, emit)),
    listReactions: async (messageId, viewerId, limit) => marks.listReactions(messageId, viewerId, limit),

    keepMail: (draft) => plain(() => mail.keep(draft)),
    readMail: async (road, afterId, limit) => mail.read(road, afterId, limit),
    dropMail: (road, msgIds) => plain(() => mail.drop(road, msgIds)),
    tidyMail: (bounds) => write(() => mail.tidy(bounds)),

    addAudit: (entry, keep) => write(() => audit.add(entry, keep)),
    listAudit: async ({ beforeId, limit }) => audit.list(beforeId, limit),
    addOperatorToken: (token) => write(() => audit.addToken(token)),
    findOperatorToken: async (digest) => audit.findToken(digest),
    findOperatorKey: async (id) => audit.findKey(id),
    listOperatorTokens: async () => audit.listTokens(),
    removeOperatorToken: (id) => write(() => audit.removeToken(id)),
    isAdmin: async (accountId) => audit.isAdmin(accountId),
    spendSetupCode: (digest, account) => write(() => audit.spendSetupCode(digest, account)),
    beginOnce: (claim) => write(() => audit.beginOnce(claim)),
    endOnce: (call, answer) => write(() => audit.endOnce(call, answer)),
    forgetOnce: (call) => write(() => audit.forgetOnce(call)),
    countSessions: async (time) => audit.countSessions(time),

    async keyed(call, work) {
      const state = { call, isOpen: true }
      try {
        return await keyedCalls.run(state, work)
      } finally {
        // What goes on behind it is no part of it.
        state.isOpen = false
      }
    },
    findEffect: async (accountId, key, validFrom) => effects.find(accountId, key, validFrom),
    forgetEffects: (time, limit) => plain(() => effects.forget(time, limit)),

    getMeta: async (key) => getMeta.get(key)?.value as string | undefined,
    setMeta: (key, value) =>
      write(() => {
        setMeta.run(key, value)
      }),
    ping: () =>
      write(
        () => {
          // A full disk shows only when something is written.
          if (trouble === undefined) one.get()
          else setMeta.run(PROBE, String(Date.now()))
        },
        { manner: 'plain', patienceMs: PING_PATIENCE_MS }
      ),
    close: () => (closed ??= close())
  }
  return store
}

interface KeyedState {
  readonly call: KeyedCall
  /** Its effect is still to come. */
  isOpen: boolean
}

/** What a bot is told that was switched off (Milky 1.2 `bot_offline`). */
function toFarewell(accountId: number): InboxEventDraft {
  const reason = 'the operator of the gateway has switched the bot off'
  return { kind: 'account.disabled', data: { accountId, reason }, audience: [accountId] }
}

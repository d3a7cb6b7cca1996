import type { Clock } from '../core/clock.ts'
import type { Delivery, DeliveryStore, RowChange, Target, TargetPlace } from '../core/delivery-store.ts'
import type { GatewayEvent } from '../core/event.ts'
import type { Store } from '../core/store.ts'
import { createJournal, createPlace } from './delivery-journal.ts'
import { pauseAfter } from './delivery-schedule.ts'
import type { Follower } from './follower.ts'

/** How one try ended. */
export interface Try {
  /** HTTP status; undefined when there was no answer. */
  readonly status?: number | undefined
  /** The first bytes of the answer, as text. */
  readonly answer: string
  readonly latencyMs: number
  /** What went wrong, in words; empty when the event was taken. */
  readonly error: string
  /** How long the receiver wants to be left alone. */
  readonly retryAfterS?: number
  /** The receiver says that it is gone for good. */
  readonly isGone?: boolean
}

/** A try that failed, and what follows from it. */
export interface Failure {
  readonly eventId: number
  readonly number: number
  readonly tried: Try
  /** Unix seconds; undefined when there is no next try. */
  readonly nextAt: number | undefined
}

export interface DeliveryOptions {
  readonly store: DeliveryStore & Pick<Store, 'readEvents' | 'oldestCursor' | 'onForeignChange'>
  readonly clock: Clock
  readonly place: TargetPlace
  /** From the cursor of the place on. */
  readonly follower: Follower
  /** Asked about an event of the past that is tried again, or was asked for. */
  readonly wants: (event: GatewayEvent) => boolean
  /**
   * One try; `number` is 1 for the first. Undefined when there is nothing to be said about this event. Rejects only when
   * the signal has cut it off.
   */
  readonly deliver: (event: GatewayEvent, number: number, signal: AbortSignal) => Promise<Try | undefined>
  readonly onFailure: (failure: Failure) => void
  /** It was switched on or off; `reason` says by what. */
  readonly onState: (isActive: boolean, reason: string) => void
  /** The receiver was down for so long, or says that it is gone: once each time. */
  readonly onDisabled: (reason: string) => void
  /** The log does not hold any more what was still to be delivered: one event that waited, or so many at its beginning. */
  readonly onLost: (lost: { readonly eventId: number } | { readonly upTo: number }) => void
  readonly onError: (err: unknown) => void
  /** Chats that are delivered at the same time; 1 is strict order over all of them. */
  readonly concurrency: number
  /** Events in memory. */
  readonly window?: number
  /** Events that may wait in the store, replays apart; then the log is not read on. */
  readonly maxWaiting: number
  readonly keepAttempts: number
  readonly random?: () => number
  /** How long tries under way may take after the stop. */
  readonly graceMs?: number
}

export interface RunningDelivery {
  /** The log holds nothing for this target up to here, apart from what it was given. */
  readonly reach: (eventId: number) => void
  /** Tries everything that waits now: the receiver may be back. */
  readonly retryNow: () => void
  readonly isDown: () => boolean
  /** Begins no more tries; resolves when those under way have ended, or were cut off, and all is stored. */
  readonly stop: () => Promise<void>
}

/** So many chats have to fail, with no success in between, before the target counts as down and not these chats as troublesome. */
const DOWN_AFTER = 3
/** A target that is down is asked about something new this often, beside the schedule of what failed. */
const LOOK_S = 60
/** Failing for so long without one success ends in `disabled`. */
const GIVE_UP_S = 120 * 3600
const TOO_LONG = `no delivery has succeeded for ${GIVE_UP_S / 3600} hours`
/** A place that is of no more use than to begin there again is stored this often. */
const IDLE_SAVE_S = 600

interface Lane {
  /** Of a chat, or 0 for all in strict order. */
  readonly id: number
  /** Its events that wait in the store: while there are any, those that follow go there as well. */
  rows: number
  readonly queue: { readonly event: GatewayEvent; readonly settle: () => void }[]
  isBusy: boolean
  isReady: boolean
}

/** Lanes with nothing in them that are kept: most chats go on. */
const KEPT_LANES = 1000

/**
 * Gives events to one receiver, at least once, in order within each chat, several chats side by side.
 *
 * The cursor goes over the log as long as most of it can be delivered; what failed, and what follows in its chat, waits as
 * rows in the store, and so do replays, which keep nobody waiting. When the target as a whole is down the log is not read
 * on: what waits is there already. A slot is free again when its outcome is stored, so a crash repeats at most
 * `concurrency` tries.
 */
export function startDelivery(options: DeliveryOptions): RunningDelivery {
  const {
    store,
    clock,
    place,
    follower,
    onError,
    concurrency,
    window = 256,
    maxWaiting,
    random = Math.random
  } = options
  const { id: targetId, botId } = place.target
  const isStrict = concurrency === 1
  const stopping = new AbortController()
  const cutting = new AbortController()
  const log = createPlace(place.target.cursor)
  /** Delivered before the last stop, behind something that was not; the log has not come to them again. */
  const ahead = new Set(place.ahead)
  let readTo = place.target.cursor
  let { failingSince, stateSince } = place.target
  let isActive = place.target.state === 'active'
  /** Lanes that failed since the last success; no more of them are counted than it takes. */
  const failed = new Set<number>()
  let isDown = false
  /** While it is down: the row that keeps to its schedule, and when something else may be tried beside it. */
  let probe: Delivery | undefined
  let lookAt = 0
  /** The receiver asked to be left alone until then. */
  let restUntil = 0
  const lanes = new Map<number, Lane>()
  let waiting = 0
  for (const [chatId, rows] of place.waitingByChat) {
    laneOf(chatId).rows += rows
    waiting += rows
  }
  /** Lanes with an event in memory that may be tried, the longest ready first. */
  const ready: Lane[] = []
  /** Rows that may be tried, one of each lane. */
  const due = new Map<string, Delivery>()
  const busyReplays = new Set<number>()
  let underWay = 0
  let onIdle = (): void => {}
  let replaysUnderWay = 0
  let isRowNext = false
  let isFetching = false
  let isStale = true
  let rowsDone = 0
  let wakePump = (): void => {}
  let timer: { readonly at: number; readonly cancel: () => void } | undefined

  const journal = createJournal({
    save: (progress) => store.saveProgress(targetId, progress),
    onMore: store.expectMore,
    position: () => ({ cursor: log.cursor(), ahead: [...log.ahead(), ...ahead], failingSince }),
    lastAttemptId: place.lastAttemptId,
    keepAttempts: options.keepAttempts,
    clock,
    onError
  })

  function laneOf(chatId: number): Lane {
    const id = isStrict ? 0 : chatId
    const known = lanes.get(id)
    if (known) return known
    const lane = { id, rows: 0, queue: [], isBusy: false, isReady: false }
    lanes.set(id, lane)
    return lane
  }

  function leave(lane: Lane): void {
    if (lanes.size <= KEPT_LANES || lane.rows > 0 || lane.queue.length > 0 || lane.isBusy) return
    lanes.delete(lane.id)
  }

  function makeReady(lane: Lane): void {
    if (lane.isReady || lane.isBusy) return
    lane.isReady = true
    ready.push(lane)
  }

  /* The log. */

  function mayRead(): boolean {
    if (!isActive || waiting >= maxWaiting || log.size() >= window || journal.size() >= window) return false
    return !isDown || (!isStrict && ready.length === 0 && clock.now() >= lookAt)
  }

  async function pump(): Promise<void> {
    let hasWaited = true
    while (!stopping.signal.aborted) {
      if (mayRead()) {
        if (hasWaited) await lookForGap()
        hasWaited = false
        const event = await follower.next()
        if (!event || stopping.signal.aborted) return
        readTo = event.id
        take(event)
      } else {
        hasWaited = true
        await new Promise<void>((resolve) => (wakePump = resolve))
      }
    }
  }

  /** Whoever does not read on for long enough is overtaken by the end of the log. */
  async function lookForGap(): Promise<void> {
    const oldest = await store.oldestCursor()
    if (oldest <= readTo) return
    options.onLost({ upTo: oldest - readTo })
    readTo = oldest
    log.reach(oldest)
  }

  function take(event: GatewayEvent): void {
    const settle = log.open(event.id)
    if (ahead.delete(event.id)) return settle()
    const lane = laneOf(event.chat.id)
    if (lane.rows > 0) {
      park(lane, event, settle)
      // One look, one event.
      if (isDown) look()
      return
    }
    lane.queue.push({ event, settle })
    makeReady(lane)
    work()
  }

  /** It waits in the store, behind what failed in its chat. */
  function park(lane: Lane, { id: eventId, chat }: GatewayEvent, settle: () => void): void {
    lane.rows++
    waiting++
    settle()
    const time = clock.now()
    void journal
      .note({ row: { type: 'put', eventId, chatId: chat.id, state: 'waiting', attempts: 0, nextAt: time, time } })
      .then(() => wakePump())
  }

  /* What is tried when. */

  function work(): void {
    wakePump()
    while (mayBegin()) {
      const begin = isRowNext ? (takeRow() ?? takeLive()) : (takeLive() ?? takeRow())
      if (!begin) break
      isRowNext = !isRowNext
      const task = begin().catch((err: unknown) => {
        onError(err)
        wakeAt(clock.now() + 1)
      })
      underWay++
      void task.then(() => {
        if (--underWay === 0) onIdle()
        work()
      })
    }
    if (due.size === 0 && isStale) void fetchDue().catch(onError)
  }

  function mayBegin(): boolean {
    if (stopping.signal.aborted || !isActive || clock.now() < restUntil) return false
    return underWay < (isDown ? 1 : concurrency)
  }

  /** While the target is down: one that keeps its schedule, and now and then something else. */
  function mayTry(eventId: number): boolean {
    if (!isDown || eventId === probe?.eventId) return true
    if (clock.now() < lookAt) return false
    look()
    return true
  }

  function look(): void {
    lookAt = clock.now() + LOOK_S
    wakeAt(lookAt)
  }

  function takeLive(): (() => Promise<void>) | undefined {
    const [lane] = ready
    const entry = lane?.queue[0]
    if (!lane || !entry || !mayTry(entry.event.id)) return undefined
    ready.shift()
    lane.isReady = false
    lane.isBusy = true
    return () => tryLive(lane)
  }

  function takeRow(): (() => Promise<void>) | undefined {
    for (const [key, row] of due) {
      if (row.isReplay && replaysUnderWay >= Math.ceil(concurrency / 2)) continue
      if (!mayTry(row.eventId)) continue
      due.delete(key)
      if (row.isReplay) return () => tryReplay(row)
      const lane = laneOf(row.chatId)
      lane.isBusy = true
      return () => tryRow(lane, row)
    }
    return undefined
  }

  function addDue(row: Delivery): void {
    const isBusy = row.isReplay ? busyReplays.has(row.chatId) : lanes.get(isStrict ? 0 : row.chatId)?.isBusy
    if (!isBusy) due.set(`${row.isReplay} ${isStrict && !row.isReplay ? 0 : row.chatId}`, row)
  }

  /** Reads which rows are due, again when some were done meanwhile. */
  async function fetchDue(): Promise<void> {
    if (isFetching || stopping.signal.aborted) return
    isFetching = true
    try {
      isStale = false
      const time = clock.now()
      const limit = 2 * concurrency + 2
      const before = rowsDone
      const rows = await store.listDue(targetId, { time, isStrict, limit })
      if (before === rowsDone) for (const row of rows) addDue(row)
      else isStale = true
      // There may be more; they are asked for when these are done.
      if (rows.length === limit && due.size > 0) isStale = true
      const next = await store.findNextDue(targetId, time, isStrict)
      // It may have come due while it was asked for.
      if (next !== undefined && next <= clock.now()) isStale = true
      else if (next !== undefined) wakeAt(next)
    } finally {
      isFetching = false
    }
    if (due.size > 0 || isStale) work()
  }

  function wakeAt(at: number): void {
    if (stopping.signal.aborted || (timer && timer.at <= at)) return
    timer?.cancel()
    const cancel = clock.after(Math.max(0, at - clock.now()) * 1000, () => {
      timer = undefined
      wake()
    })
    timer = { at, cancel }
  }

  function wake(): void {
    const now = clock.now()
    const giveUpAt = failingSince !== undefined && waiting > 0 ? failingSince + GIVE_UP_S : 0
    if (giveUpAt > 0 && giveUpAt <= now) void giveUp(TOO_LONG).catch(onError)
    if (probe && probe.nextAt <= now) addDue(probe)
    isStale = true
    for (const at of [restUntil, giveUpAt, probe?.nextAt ?? 0, isDown ? lookAt : 0]) if (at > now) wakeAt(at)
    work()
  }

  /* One try. */

  async function tryLive(lane: Lane): Promise<void> {
    const entry = lane.queue.shift()
    if (!entry) return
    const { event, settle } = entry
    const result = await tryOne(event, 1)
    if (result === 'cut') return
    try {
      if (!result || result.error === '') {
        settle()
        // What was not worth a try is not worth a write.
        if (result) await succeeded(event.id, 1, result)
      } else {
        lane.rows++
        waiting++
        settle()
        // In the same write: the place in the log goes on behind all of them.
        const noted = failedTry({ id: event.id, chatId: event.chat.id, lane, number: 1, isReplay: false, result })
        for (const next of lane.queue.splice(0)) park(lane, next.event, next.settle)
        await noted
      }
    } finally {
      lane.isBusy = false
    }
    await goOn(lane)
  }

  async function tryRow(lane: Lane, row: Delivery): Promise<void> {
    try {
      const outcome = await tryStored(row, lane)
      if (outcome === 'cut') return
      if (outcome === 'done') {
        lane.rows--
        waiting--
      }
    } finally {
      lane.isBusy = false
    }
    await goOn(lane)
  }

  async function tryReplay(row: Delivery): Promise<void> {
    busyReplays.add(row.chatId)
    replaysUnderWay++
    const { chatId } = row
    try {
      if ((await tryStored(row)) === 'cut') return
    } finally {
      busyReplays.delete(chatId)
      replaysUnderWay--
    }
    const next = await store.findDueOfChat(targetId, { chatId, isReplay: true, time: clock.now() })
    if (next) addDue(next)
    else isStale = true
  }

  /** What follows in the lane: a row while there are any, else what waits in memory. */
  async function goOn(lane: Lane): Promise<void> {
    if (lane.rows > 0) {
      const read = async (): Promise<Delivery | undefined> => {
        const time = clock.now()
        if (isStrict) return (await store.listDue(targetId, { time, isStrict, limit: 2 })).find((row) => !row.isReplay)
        return store.findDueOfChat(targetId, { chatId: lane.id, isReplay: false, time })
      }
      let next = await read()
      if (!next) {
        // It may have come up just now.
        await journal.flushed()
        next = await read()
      }
      if (next && !lane.isBusy) addDue(next)
      return
    }
    if (lane.queue.length > 0) makeReady(lane)
    else leave(lane)
  }

  /** `done`: the row is gone, or dead. */
  async function tryStored(row: Delivery, lane?: Lane): Promise<'cut' | 'done' | 'waiting'> {
    const { eventId, chatId, isReplay } = row
    const number = row.attempts + 1
    const { events } = await store.readEvents(botId, eventId - 1, 1)
    const event = events.find(({ id }) => id === eventId)
    const result = event && options.wants(event) ? await tryOne(event, number) : undefined
    if (result === 'cut') return 'cut'
    if (!event) options.onLost({ eventId })
    try {
      if (!result) {
        await journal.note({ row: { type: 'remove', eventId } })
        return 'done'
      }
      if (result.error === '') {
        await succeeded(eventId, number, result, { type: 'remove', eventId })
        return 'done'
      }
      const state = await failedTry({ id: eventId, chatId, lane, number, isReplay, result })
      return state === 'dead' ? 'done' : 'waiting'
    } finally {
      rowsDone++
    }
  }

  /** `cut` when the stop has ended it: it is as if it had not been. */
  async function tryOne(event: GatewayEvent, number: number): Promise<Try | undefined | 'cut'> {
    try {
      return await options.deliver(event, number, cutting.signal)
    } catch (err) {
      if (cutting.signal.aborted) return 'cut'
      return { answer: '', latencyMs: 0, error: (err as Error).message || 'it failed' }
    }
  }

  async function succeeded(eventId: number, number: number, result: Try, row?: RowChange): Promise<void> {
    const since = failingSince
    const wasDown = isDown
    forgive()
    await journal.note({ attempt: toAttempt(eventId, number, result), ...(row && { row }) })
    if (!wasDown || since === undefined) return
    await store.hurry(targetId, since, clock.now()).catch(onError)
    isStale = true
  }

  interface Failed {
    readonly id: number
    readonly chatId: number
    /** Absent for replays, which say nothing about the others. */
    readonly lane: Lane | undefined
    readonly number: number
    readonly isReplay: boolean
    readonly result: Try
  }

  /** Notes it at once; resolves when it is stored. */
  async function failedTry({ id, chatId, lane, number, isReplay, result }: Failed): Promise<Delivery['state']> {
    const time = clock.now()
    const pause = pauseAfter(number, random)
    const retryAfterS = result.retryAfterS ?? 0
    const nextAt = pause === undefined ? undefined : time + Math.max(pause, retryAfterS)
    const state = nextAt === undefined ? 'dead' : 'waiting'
    const row = { eventId: id, chatId, state, attempts: number, nextAt: nextAt ?? time } as const
    if (retryAfterS > 0) restUntil = Math.max(restUntil, time + retryAfterS)
    failingSince ??= time
    count({ ...row, targetId, isReplay, createdAt: time }, lane)
    const noted = journal.note({ attempt: toAttempt(id, number, result), row: { type: 'put', ...row, time } })
    options.onFailure({ eventId: id, number, tried: result, nextAt })
    for (const at of [nextAt ?? 0, restUntil]) if (at > time) wakeAt(at)
    if (result.isGone) await giveUp('the receiver answered 410 Gone')
    else if (time - failingSince >= GIVE_UP_S) await giveUp(TOO_LONG)
    await noted
    return state
  }

  function count(row: Delivery, lane: Lane | undefined): void {
    const enough = Math.min(DOWN_AFTER, concurrency)
    if (lane && failed.size < enough) failed.add(lane.id)
    if (!isDown && failed.size >= enough) {
      isDown = true
      look()
    }
    if (!isDown) return
    if (row.eventId === probe?.eventId) probe = undefined
    if (row.state === 'waiting') probe ??= row
  }

  function toAttempt(eventId: number, number: number, { status, answer, latencyMs, error }: Try) {
    return { eventId, number, time: clock.now(), latencyMs: Math.round(latencyMs), status, answer, error }
  }

  /* On and off. */

  async function giveUp(reason: string): Promise<void> {
    if (!isActive) return
    setActive(false, reason)
    const change = { state: 'disabled', reason, time: clock.now() } as const
    try {
      if (await store.setTargetState(targetId, change)) options.onDisabled(reason)
    } catch (err) {
      onError(err)
      setActive(true, '')
    }
  }

  function setActive(value: boolean, reason: string): void {
    if (isActive === value) return
    isActive = value
    options.onState(value, reason)
  }

  /** What an operator has done, here or in another process. */
  async function refresh(): Promise<void> {
    const target: Target | undefined = await store.findTarget(targetId)
    if (!target || stopping.signal.aborted) return
    if (target.state === 'active' && stateSince !== target.stateSince) {
      forgive()
      restUntil = 0
    }
    stateSince = target.stateSince
    setActive(target.state === 'active', target.reason)
    isStale = true
    work()
  }

  function forgive(): void {
    failingSince = undefined
    // Not of an empty one: even that makes a new table.
    if (failed.size > 0) failed.clear()
    isDown = false
    probe = undefined
  }

  /** Resolves when no try is under way. */
  function idle(): Promise<void> {
    return underWay === 0 ? Promise.resolve() : new Promise((resolve) => (onIdle = resolve))
  }

  let savedAt = clock.now()

  function reach(eventId: number): void {
    log.reach(eventId)
    readTo = Math.max(readTo, eventId)
    if (clock.now() < savedAt + IDLE_SAVE_S) return
    savedAt = clock.now()
    void journal.note({})
  }

  const onChange = (): void => void refresh().catch(onError)
  const undo = [
    store.onForeignChange(onChange),
    store.onTargetChange((changedId) => changedId === targetId && onChange())
  ]
  const pumping = pump().catch(onError)
  work()

  return {
    reach,
    isDown: () => isDown,
    retryNow() {
      const since = failingSince
      if (!isActive || since === undefined) return
      lookAt = 0
      void store
        .hurry(targetId, since, clock.now())
        .then(() => {
          isStale = true
          work()
        })
        .catch(onError)
    },
    async stop() {
      stopping.abort()
      for (const end of undo) end()
      timer?.cancel()
      follower.close()
      wakePump()
      // What a receiver is just taking is better finished than told again after the next start.
      const isLate = Promise.withResolvers<void>()
      const deadline = setTimeout(() => {
        cutting.abort()
        // One more turn for those that were cut.
        setImmediate(isLate.resolve)
      }, options.graceMs ?? 3000)
      await pumping
      await Promise.race([idle(), isLate.promise])
      clearTimeout(deadline)
      // Whoever waits for a database that cannot write now is let go by it.
      await journal.close()
      await idle()
    }
  }
}

import { randomUUID } from 'node:crypto'
import type { WebSocket } from 'ws'
import type { MailStore } from '../core/mail-store.ts'
import type { Connection } from './connection.ts'
import { createFrame } from './frame.ts'
import type { DoorStats } from './maim-stats.ts'

export interface LegacyPostOptions {
  readonly mail: MailStore
  readonly stats: DoorStats
  /** How long a message waits for somebody who is away, in seconds. */
  readonly keepS: number
  /** How many messages wait for one platform; the oldest go first. */
  readonly keepCount: number
  readonly keepBytes: number
  /** Unsent bytes at which a connection counts as slow; half of that may wait in it, the rest waits on the disk. */
  readonly maxQueuedBytes: number
  /** Unix seconds. */
  readonly now: () => number
  readonly onError: (err: unknown) => void
}

/** Who is reachable under the name of a platform, for as long as the connection lasts. */
export interface Mailbox {
  /** Asks whether everything has arrived; resolves when it has, or the connection is over. */
  readonly confirmed: () => Promise<void>
  /** The connection is over, or another one takes its place. What has not arrived for certain is kept. */
  readonly close: () => void
}

/**
 * Messages of the legacy protocol for whoever bears the name of a platform (contract 1.6, 9). The protocol knows no
 * acknowledgement, so a message counts as arrived when a ping that was sent after it comes back. Until then it is in
 * memory, and when the connection ends before, on the disk; for those who are away it goes there at once.
 */
export interface LegacyPost {
  /** Resolves when the message is handed to a connection, or durable. */
  readonly send: (platform: string, text: string) => void | Promise<void>
  /** What waits for the platform is sent first. The mailbox that the platform had must be closed before. */
  readonly open: (platform: string, socket: WebSocket, connection: Connection) => Mailbox
  /** Resolves when everything that is to be kept is durable. */
  readonly settled: () => Promise<void>
}

/** How soon after a message the other side is asked whether it has arrived; shorter means fewer repeats after a cut. */
const CONFIRM_MS = 200
/** When it is asked again; RFC 6455 §5.5.3 lets a peer answer only the last of several pings. */
const CONFIRM_AGAIN_MS = 5000
/** Bytes under way to one connection that are also held in memory. */
const MAX_HELD_BYTES = 16 * 1024 * 1024
/** Messages under way to one connection; at every so many it is asked at once. */
const MAX_HELD = 4096
const ASK_EVERY = 1024
/** Messages that are read from the disk at a time; each may be as large as a frame. */
const PAGE = 4

/** A message under way to a connection. */
interface Held {
  readonly text: string
  readonly bytes: number
  /** Its place among those that were handed to the connection. */
  readonly place: number
  /** It is on the disk as well, or about to be. */
  isKept: boolean
}

interface Road {
  readonly platform: string
  line: Line | undefined
  /** By name, in the order in which they were handed over. */
  readonly held: Map<string, Held>
  /** Names of those that have arrived, and are on the disk for a moment more. */
  readonly leaving: Set<string>
  /** Being written down now. */
  keeping: number
  /** Grows with everything that was written down. */
  version: number
  /** Those who wait for the above. */
  onKept: () => void
}

interface Line {
  readonly connection: Connection
  readonly ping: (payload: string) => void
  /** Everything that was on the disk is handed over: what comes now goes straight to the connection. */
  isLive: boolean
  place: number
  lastMailId: number
  heldBytes: number
  timer: NodeJS.Timeout | undefined
  /** When that is due. */
  askAt: number
  /** Those who wait until something is confirmed, or the line is over. */
  waiting: (() => void)[]
}

const nameOf = ({ platform }: Road): string => `legacy ${platform}`

export function createLegacyPost(options: LegacyPostOptions): LegacyPost {
  const { mail, stats, keepS, keepCount, keepBytes, now, onError } = options
  const roads = new Map<string, Road>()
  const writing = new Set<Promise<unknown>>()
  let isTidying = false
  /** Characters that were written down since all was looked at. */
  let keptSince = 0

  function roadOf(platform: string): Road {
    const known = roads.get(platform)
    if (known) return known
    const road: Road = {
      platform,
      line: undefined,
      held: new Map(),
      leaving: new Set(),
      keeping: 0,
      version: 0,
      onKept: () => {}
    }
    roads.set(platform, road)
    return road
  }

  function track<T>(work: Promise<T>): Promise<T> {
    const done = work.finally(() => writing.delete(done))
    writing.add(done)
    return done
  }

  function drop(road: Road, msgIds: readonly string[]): void {
    if (msgIds.length === 0) return
    for (const msgId of msgIds) road.leaving.add(msgId)
    void track(mail.dropMail(nameOf(road), msgIds))
      .catch(onError)
      .finally(() => {
        for (const msgId of msgIds) road.leaving.delete(msgId)
        forget(road)
      })
  }

  function tidy(): void {
    if (isTidying) return
    isTidying = true
    keptSince = 0
    void track(mail.tidyMail({ keptFrom: now() - keepS, keep: keepCount, keepBytes }))
      .then((count) => void (stats.dropped['too many'] += count), onError)
      .finally(() => void (isTidying = false))
  }

  /** In the order of the calls. */
  async function keep(road: Road, msgId: string, text: string): Promise<void> {
    road.keeping++
    try {
      const draft = { road: nameOf(road), msgId, text, createdAt: now() }
      const waiting = await track(mail.keepMail(draft))
      stats.kept++
      // Not for each one: what is dropped is counted by walking through all.
      keptSince += text.length
      if (waiting > keepCount + Math.ceil(keepCount / 100) || keptSince > keepBytes / 8) tidy()
    } finally {
      road.keeping--
      road.version++
      road.onKept()
      forget(road)
    }
  }

  function forget(road: Road): void {
    if (!road.line && road.keeping === 0 && road.leaving.size === 0 && roads.get(road.platform) === road)
      roads.delete(road.platform)
  }

  function hand(road: Road, line: Line, { msgId, text }: { msgId: string; text: string }, isKept: boolean): void {
    const bytes = Buffer.byteLength(text)
    road.held.set(msgId, { text, bytes, place: ++line.place, isKept })
    line.heldBytes += bytes
    line.connection.send(createFrame(text))
    stats.sent++
    if (line.place % ASK_EVERY === 0) ask(road, line)
    else askLater(road, line, CONFIRM_MS)
  }

  function askLater(road: Road, line: Line, afterMs: number): void {
    const askAt = performance.now() + afterMs
    if (line.timer && line.askAt <= askAt) return
    clearTimeout(line.timer)
    line.askAt = askAt
    line.timer = setTimeout(() => {
      line.timer = undefined
      if (road.line === line && road.held.size > 0) ask(road, line)
    }, afterMs)
  }

  function ask(road: Road, line: Line): void {
    if (line.connection.isOpen()) line.ping(`mail ${line.place}`)
    askLater(road, line, CONFIRM_AGAIN_MS)
  }

  /** Everything up to this place has arrived. */
  function confirm(road: Road, line: Line, place: number): void {
    const arrived: string[] = []
    for (const [msgId, one] of road.held) {
      if (one.place > place) break
      road.held.delete(msgId)
      line.heldBytes -= one.bytes
      if (one.isKept) arrived.push(msgId)
    }
    stats.keptDelivered += arrived.length
    drop(road, arrived)
    wake(line)
  }

  function wake(line: Line): void {
    const { waiting } = line
    line.waiting = []
    for (const resolve of waiting) resolve()
  }

  /** As much is under way as may be held until it is confirmed. */
  const isFull = ({ held }: Road, { heldBytes }: Line): boolean => heldBytes > MAX_HELD_BYTES || held.size >= MAX_HELD

  const hasRoom = (road: Road, line: Line): boolean =>
    line.connection.queuedBytes() <= options.maxQueuedBytes / 2 && !isFull(road, line)

  /** Writes down what is only in memory, before anything that comes later. */
  function keepHeld(road: Road): void {
    for (const [msgId, one] of road.held) {
      if (one.isKept) continue
      one.isKept = true
      keep(road, msgId, one.text).catch(onError)
    }
  }

  /** Hands over what is on the disk, until there is nothing more. */
  async function drain(road: Road, line: Line): Promise<void> {
    const isOver = (): boolean => road.line !== line || !line.connection.isOpen()
    while (!isOver()) {
      const { version } = road
      const page = await mail.readMail(nameOf(road), line.lastMailId, PAGE)
      if (isOver()) return
      if (page.length === 0 && road.version === version) {
        if (road.keeping === 0) return void (line.isLive = true)
        await new Promise<void>((resolve) => (road.onKept = resolve))
      }
      // What was handed over before it was written down is on its way already.
      const news = page.filter(({ msgId }) => !road.held.has(msgId) && !road.leaving.has(msgId))
      for (const one of news) {
        if (one.createdAt < now() - keepS) dropOld(road, one.msgId)
        else hand(road, line, one, true)
        line.lastMailId = one.id
        await room(road, line, isOver)
        if (isOver()) return
      }
      line.lastMailId = page.at(-1)?.id ?? line.lastMailId
    }
  }

  function dropOld(road: Road, msgId: string): void {
    stats.dropped['too old']++
    drop(road, [msgId])
  }

  async function room(road: Road, line: Line, isOver: () => boolean): Promise<void> {
    while (!hasRoom(road, line) && !isOver()) {
      await line.connection.drained()
      if (!isFull(road, line) || isOver()) continue
      ask(road, line)
      await new Promise<void>((resolve) => line.waiting.push(resolve))
    }
  }

  function startDrain(road: Road, line: Line): void {
    track(drain(road, line)).catch((err: unknown) => {
      onError(err)
      // Somebody who cannot be given what waits must not be given what comes after it; coming again may help.
      line.connection.close({ code: 1011, reason: 'kept messages cannot be read' })
    })
  }

  function close(road: Road, line: Line): void {
    if (road.line !== line) return
    road.line = undefined
    clearTimeout(line.timer)
    keepHeld(road)
    road.held.clear()
    wake(line)
    road.onKept()
    forget(road)
  }

  return {
    send(platform, text) {
      const road = roadOf(platform)
      const { line } = road
      // What was handed to it comes before this, and is kept when it closes.
      if (line && !line.connection.isOpen()) close(road, line)
      const open = road.line
      const msgId = randomUUID()
      if (open?.isLive && hasRoom(road, open)) return hand(road, open, { msgId, text }, false)
      if (open?.isLive) {
        open.isLive = false
        keepHeld(road)
        startDrain(road, open)
      }
      return keep(road, msgId, text)
    },

    open(platform, socket, connection) {
      const road = roadOf(platform)
      const line: Line = {
        connection,
        ping: (payload) => socket.ping(payload),
        isLive: false,
        place: 0,
        lastMailId: 0,
        heldBytes: 0,
        timer: undefined,
        askAt: 0,
        waiting: []
      }
      road.line = line
      socket.on('pong', (payload) => {
        const place = Number(/^mail (\d+)$/.exec(String(payload))?.[1] ?? 0)
        if (road.line === line && place > 0 && place <= line.place) confirm(road, line, place)
      })
      startDrain(road, line)
      return {
        async confirmed() {
          while (road.line === line && road.held.size > 0 && connection.isOpen()) {
            ask(road, line)
            await new Promise<void>((resolve) => line.waiting.push(resolve))
          }
        },
        close: () => close(road, line)
      }
    },

    async settled() {
      while (writing.size > 0) await Promise.allSettled(writing)
    }
  }
}

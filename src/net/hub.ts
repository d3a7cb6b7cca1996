import { isSignal, type EventBus, type Happening, type Undo } from '../core/bus.ts'
import type { GatewayEvent } from '../core/event.ts'
import { isEphemeral, type Signal } from '../core/signal.ts'
import type { Codec } from '../protocols/codec.ts'
import { createFrame, type Frame } from './frame.ts'

/** Gives the frame of one event or signal for a codec and a viewer; encodes it the first time only, a signal once for all viewers. */
export type FrameOf = (codec: Codec, viewerId: number) => Frame | undefined

/** A place that events go to. */
export interface Sink {
  readonly viewerId: number
  /** The device behind it; signals may be meant for one device, or for all but one. */
  readonly deviceId?: string
  readonly receive: (event: GatewayEvent, frameOf: FrameOf) => void
  /** Absent in sinks of protocols that have no words for signals. */
  readonly hear?: (signal: Signal, frameOf: FrameOf) => void
}

export interface Hub {
  readonly attach: (sink: Sink) => Undo
  /** Sinks that listen now. */
  readonly size: () => number
  /** Every event of the log up to this id was given to all who listen. */
  readonly position: () => number
  readonly close: () => void
}

export interface HubOptions {
  readonly bus: EventBus
  /** Called when more events wait than the hub wants to hold; what makes them should wait until the undo is called. */
  readonly holdWrites: () => Undo
  readonly onError: (err: unknown) => void
  /** The end of the log when the hub begins. */
  readonly position?: number
}

/** Sinks per turn of the event loop: enough to be quick, few enough that nobody else waits long. */
const CHUNK = 256
/** Events that one sink gets at once when they go to the same audience: they share one write to its socket. */
const RUN = 32
const HIGH_WATER = 4096
const LOW_WATER = 512

/** Gives each event to everybody in its audience, in the order of the log, large audiences in chunks. */
export function createHub({ bus, holdWrites, onError, position: start = 0 }: HubOptions): Hub {
  const sinks = new Map<number, Set<Sink>>()
  const queue: Happening[] = []
  let count = 0
  let position = start
  let current: { readonly happenings: readonly Framed[]; readonly sinks: Iterator<Sink> } | undefined
  let scheduled: NodeJS.Immediate | undefined
  let release: Undo | undefined

  const unsubscribe = bus.subscribe((happenings) => {
    queue.push(...happenings)
    if (queue.length > HIGH_WATER) release ??= holdWrites()
    if (!scheduled) work()
  })

  function work(): void {
    scheduled = undefined
    for (let done = 0; done < CHUNK; done++) {
      current ??= nextRun()
      if (!current) return
      const sink = current.sinks.next()
      if (sink.done) finish(current.happenings)
      else deliver(sink.value, current.happenings)
    }
    scheduled = setImmediate(work)
  }

  function finish(happenings: readonly Framed[]): void {
    const last = happenings.at(-1)?.happening
    if (last && !isSignal(last)) position = last.id
    current = undefined
  }

  function deliver(sink: Sink, happenings: readonly Framed[]): void {
    for (const { happening, frameOf } of happenings) {
      try {
        if (!isSignal(happening)) sink.receive(happening, frameOf)
        else if (sink.hear && isFor(sink, happening)) sink.hear(happening, frameOf)
      } catch (err) {
        // One sink's mistake is not the next one's.
        onError(err)
      }
    }
  }

  /** The next event, and those behind it that the same accounts hear. */
  function nextRun(): typeof current {
    const [first] = queue
    if (!first) return undefined
    let length = 1
    if (!isSignal(first)) while (length < RUN && isAlike(queue[length], first)) length++
    const happenings = queue.splice(0, length).map((happening) => ({ happening, frameOf: createFrameOf(happening) }))
    if (release && queue.length < LOW_WATER) {
      release()
      release = undefined
    }
    return { happenings, sinks: first.audience ? sinksOf(first.audience) : allSinks() }
  }

  function* sinksOf(audience: readonly number[]): Generator<Sink, undefined> {
    // Whichever are fewer are walked: of a large group most are not here.
    if (audience.length <= sinks.size) {
      for (const accountId of audience) yield* sinks.get(accountId) ?? []
    } else {
      const members = setOf(audience)
      for (const [accountId, own] of sinks) if (members.has(accountId)) yield* own
    }
    return undefined
  }

  function* allSinks(): Generator<Sink, undefined> {
    for (const own of sinks.values()) yield* own
    return undefined
  }

  return {
    attach(sink) {
      const own = sinks.get(sink.viewerId) ?? new Set()
      sinks.set(sink.viewerId, own)
      own.add(sink)
      count++
      return () => {
        if (!own.delete(sink)) return
        count--
        if (own.size === 0 && sinks.get(sink.viewerId) === own) sinks.delete(sink.viewerId)
      }
    },
    size: () => count,
    position: () => position,
    close() {
      unsubscribe()
      clearImmediate(scheduled)
      release?.()
    }
  }
}

/** By the list itself: a chat keeps its list of members for as long as they stay the same. */
const sets = new WeakMap<readonly number[], ReadonlySet<number>>()

function setOf(accountIds: readonly number[]): ReadonlySet<number> {
  const known = sets.get(accountIds)
  if (known) return known
  const set = new Set(accountIds)
  sets.set(accountIds, set)
  return set
}

function isAlike(happening: Happening | undefined, first: GatewayEvent): boolean {
  return happening !== undefined && !isSignal(happening) && happening.audience === first.audience
}

function isFor({ deviceId }: Sink, { onlyDevice, exceptDevice }: Signal): boolean {
  if (onlyDevice !== undefined) return deviceId === onlyDevice
  return exceptDevice === undefined || deviceId !== exceptDevice
}

interface Framed {
  readonly happening: Happening
  readonly frameOf: FrameOf
}

function createFrameOf(happening: Happening): FrameOf {
  return isSignal(happening) ? createSignalFrameOf(happening) : createEventFrameOf(happening)
}

/** The same for everybody: thousands may hear of one notice. */
function createSignalFrameOf(signal: Signal): FrameOf {
  const options = { isEphemeral: isEphemeral(signal) }
  const known = new Map<Codec, Frame | undefined>()
  return (codec) => {
    if (known.has(codec)) return known.get(codec)
    const text = codec.encodeSignal?.(signal)
    const frame = text === undefined ? undefined : createFrame(text, options)
    known.set(codec, frame)
    return frame
  }
}

function createEventFrameOf(event: GatewayEvent): FrameOf {
  // The last one only, since the sinks of an account come one after the other: what thousands are told may differ.
  const known = new Map<Codec, { viewerId: number; frame: Frame | undefined }>()
  return (codec, viewerId) => {
    const last = known.get(codec)
    if (last?.viewerId === viewerId) return last.frame
    const text = codec.encodeEvent(event, viewerId)
    // Where all see the same text they get the same bytes.
    const frame = text === undefined ? undefined : text === last?.frame?.text ? last.frame : createFrame(text)
    known.set(codec, { viewerId, frame })
    return frame
  }
}

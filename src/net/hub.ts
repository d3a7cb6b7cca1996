import type { EventBus, Undo } from '../core/bus.ts'
import type { GatewayEvent } from '../core/event.ts'
import type { Codec } from '../protocols/codec.ts'
import { createFrame, type Frame } from './frame.ts'

/** Gives the frame of one event for a codec and a viewer; encodes it the first time only. */
export type FrameOf = (codec: Codec, viewerId: number) => Frame | undefined

/** A place that events go to. */
export interface Sink {
  readonly viewerId: number
  readonly receive: (event: GatewayEvent, frameOf: FrameOf) => void
}

export interface Hub {
  readonly attach: (sink: Sink) => Undo
  /** Sinks that listen now. */
  readonly size: () => number
  readonly close: () => void
}

export interface HubOptions {
  readonly bus: EventBus
  /** Called when more events wait than the hub wants to hold; what makes them should wait until the undo is called. */
  readonly holdWrites: () => Undo
  readonly onError: (err: unknown) => void
}

/** Sinks per turn of the event loop: enough to be quick, few enough that nobody else waits long. */
const CHUNK = 256
/** Events that one sink gets at once when they go to the same audience: they share one write to its socket. */
const RUN = 32
const HIGH_WATER = 4096
const LOW_WATER = 512

/** Gives each event to everybody in its audience, in the order of the log, large audiences in chunks. */
export function createHub({ bus, holdWrites, onError }: HubOptions): Hub {
  const sinks = new Map<number, Set<Sink>>()
  const queue: GatewayEvent[] = []
  let count = 0
  let current: { readonly events: readonly Framed[]; readonly sinks: Iterator<Sink> } | undefined
  let scheduled: NodeJS.Immediate | undefined
  let release: Undo | undefined

  const unsubscribe = bus.subscribe((events) => {
    queue.push(...events)
    if (queue.length > HIGH_WATER) release ??= holdWrites()
    if (!scheduled) work()
  })

  function work(): void {
    scheduled = undefined
    for (let done = 0; done < CHUNK; done++) {
      current ??= nextRun()
      if (!current) return
      const sink = current.sinks.next()
      if (sink.done) current = undefined
      else deliver(sink.value, current.events)
    }
    scheduled = setImmediate(work)
  }

  function deliver(sink: Sink, events: readonly Framed[]): void {
    for (const { event, frameOf } of events) {
      try {
        sink.receive(event, frameOf)
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
    while (length < RUN && queue[length]?.audience === first.audience) length++
    const events = queue.splice(0, length).map((event) => ({ event, frameOf: createFrameOf(event) }))
    if (release && queue.length < LOW_WATER) {
      release()
      release = undefined
    }
    return { events, sinks: sinksOf(first.audience) }
  }

  function* sinksOf(audience: readonly number[]): Generator<Sink, undefined> {
    for (const accountId of audience) yield* sinks.get(accountId) ?? []
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
    close() {
      unsubscribe()
      clearImmediate(scheduled)
      release?.()
    }
  }
}

interface Framed {
  readonly event: GatewayEvent
  readonly frameOf: FrameOf
}

function createFrameOf(event: GatewayEvent): FrameOf {
  const known = new Map<Codec, { views: Map<number, Frame | undefined>; last: Frame | undefined }>()
  return (codec, viewerId) => {
    let entry = known.get(codec)
    if (!entry) known.set(codec, (entry = { views: new Map(), last: undefined }))
    const { views, last } = entry
    if (views.has(viewerId)) return views.get(viewerId)
    const text = codec.encodeEvent(event, viewerId)
    // Where all see the same text they get the same bytes.
    const frame = text === undefined ? undefined : text === last?.text ? last : createFrame(text)
    views.set(viewerId, frame)
    entry.last = frame
    return frame
  }
}

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

/** Deliveries per turn of the event loop: enough to be quick, few enough that nobody else waits long. */
const CHUNK = 256
const HIGH_WATER = 4096
const LOW_WATER = 512

/** Gives each event to everybody in its audience, in the order of the log, large audiences in chunks. */
export function createHub({ bus, holdWrites, onError }: HubOptions): Hub {
  const sinks = new Map<number, Set<Sink>>()
  const queue: GatewayEvent[] = []
  let count = 0
  let current: Iterator<() => void> | undefined
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
      current ??= nextEvent()
      if (!current) return
      const step = current.next()
      if (step.done) current = undefined
      else deliver(step.value)
    }
    scheduled = setImmediate(work)
  }

  function deliver(give: () => void): void {
    try {
      give()
    } catch (err) {
      // One sink's mistake is not the next one's.
      onError(err)
    }
  }

  function nextEvent(): Iterator<() => void> | undefined {
    const event = queue.shift()
    if (release && queue.length < LOW_WATER) {
      release()
      release = undefined
    }
    return event && deliveries(event)
  }

  function* deliveries(event: GatewayEvent): Generator<() => void, undefined> {
    const frameOf = createFrameOf(event)
    for (const accountId of event.audience) {
      for (const sink of sinks.get(accountId) ?? []) yield () => sink.receive(event, frameOf)
    }
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

import t from 'tap'
import { createMemoryBus } from '../../src/bus/memory.ts'
import type { GatewayEvent } from '../../src/core/event.ts'
import type { Signal } from '../../src/core/signal.ts'
import type { Frame } from '../../src/net/frame.ts'
import { createHub } from '../../src/net/hub.ts'
import { messageEvent, range } from '../helpers/events.ts'

function start(t: { teardown: (undo: () => void) => void }) {
  const bus = createMemoryBus()
  const errors: unknown[] = []
  let holds = 0
  let releases = 0
  const hub = createHub({
    bus,
    holdWrites() {
      holds++
      return () => releases++
    },
    onError: (err) => errors.push(err)
  })
  t.teardown(hub.close)
  return { bus, hub, errors, holds: () => [holds, releases] }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

t.test('gives each event to those who may see it, once, in the order of the log', async (t) => {
  const { bus, hub } = start(t)
  const heard = new Map<number, number[]>()
  for (const viewerId of [1, 2, 3]) {
    heard.set(viewerId, [])
    hub.attach({ viewerId, receive: (event) => heard.get(viewerId)?.push(event.id) })
  }
  const events = range(1, 100).map((id) => messageEvent(id, { audience: id % 2 ? [1, 2, 99] : [2] }))
  bus.publish(events.slice(0, 50))
  bus.publish(events.slice(50))
  while ((heard.get(2)?.length ?? 0) < 100) await turn()
  t.strictSame(heard.get(2), range(1, 100))
  t.strictSame(
    heard.get(1),
    range(1, 100).filter((id) => id % 2 === 1)
  )
  t.strictSame(heard.get(3), [])
})

t.test('a large audience is served in pieces, and the event loop runs in between', async (t) => {
  const { bus, hub } = start(t)
  const counts = new Map<number, number[]>()
  for (let index = 0; index < 1000; index++) {
    const ids: number[] = []
    counts.set(index, ids)
    hub.attach({ viewerId: 1, receive: (event) => ids.push(event.id) })
  }
  bus.publish([messageEvent(1, { audience: [1] }), messageEvent(2, { audience: [1] })])
  const done = (): number => [...counts.values()].reduce((sum, ids) => sum + ids.length, 0)
  t.ok(done() > 0 && done() < 1000, `${done()} in the first turn`)
  // What comes while the first is still being given out has to wait its turn.
  bus.publish([messageEvent(3, { audience: [1] })])
  let turns = 0
  while (done() < 3000) {
    await turn()
    turns++
  }
  t.ok(turns >= 10, `${turns} turns`)
  for (const ids of counts.values()) if (ids.join() !== '1,2,3') t.fail(`a sink heard ${ids.join()}`)
})

t.test('of a group with more members than are here those hear who are members, as they come and go', async (t) => {
  const { bus, hub } = start(t)
  const heard: Record<string, number[]> = { 2: [], 3: [], 4: [], late: [] }
  const listen = (viewerId: number, name = String(viewerId)) =>
    hub.attach({ viewerId, receive: (event) => heard[name]?.push(event.id) })
  const audience = range(1, 3).concat(range(100, 200))
  const leave = listen(2)
  listen(3)
  listen(4)
  bus.publish([messageEvent(1, { audience }), messageEvent(2, { audience })])
  listen(1, 'late')
  listen(3)
  leave()
  bus.publish([messageEvent(3, { audience })])
  // Who leaves the group is on the next list no more.
  bus.publish([messageEvent(4, { audience: audience.filter((id) => id !== 3) })])
  while ((heard['late']?.length ?? 0) < 2) await turn()
  t.strictSame(heard, { 2: [1, 2], 3: [1, 2, 3, 3], 4: [], late: [3, 4] })
})

t.test('encodes once for each codec and viewer', async (t) => {
  const { bus, hub } = start(t)
  let encodings = 0
  const codec = {
    name: 'test',
    encodeEvent(event: GatewayEvent, viewerId: number): string {
      encodings++
      return `${event.id} for ${viewerId}`
    }
  }
  const frames: unknown[] = []
  for (const viewerId of [1, 1, 1, 2]) {
    hub.attach({ viewerId, receive: (_event, frameOf) => frames.push(frameOf(codec, viewerId)) })
  }
  bus.publish([messageEvent(7, { audience: [1, 2] })])
  t.equal(encodings, 2)
  t.match(frames, [{ text: '7 for 1' }, { text: '7 for 1' }, { text: '7 for 1' }, { text: '7 for 2' }])
  t.equal(frames[0], frames[2])
})

t.test('encodes a signal once for each codec, and gives everybody the same bytes', async (t) => {
  const { bus, hub } = start(t)
  const encoded: string[] = []
  const codecOf = (name: string) => ({
    name,
    encodeEvent: () => undefined,
    encodeSignal({ kind }: Signal) {
      encoded.push(name)
      return name === 'mute' ? undefined : `${kind} in ${name}`
    }
  })
  const codecs = [codecOf('one'), codecOf('two'), codecOf('mute')] as const
  const frames = codecs.map((): (Frame | undefined)[] => [])
  for (const viewerId of [1, 2, 3]) {
    for (const [index, codec] of codecs.entries()) {
      hub.attach({ viewerId, receive() {}, hear: (_signal, frameOf) => frames[index]?.push(frameOf(codec, viewerId)) })
    }
  }
  const data = { chatId: 5, messageId: 6, readerId: 1 }
  bus.publish([{ kind: 'message.read', time: 7, audience: [1, 2, 3], data }])
  t.strictSame(encoded, ['one', 'two', 'mute'])
  const [one, two, mute] = frames
  t.match(one, [{ text: 'message.read in one', isEphemeral: true }])
  t.match(two, [{ text: 'message.read in two', isEphemeral: true }])
  t.equal(new Set(one).size, 1)
  t.equal(one?.length, 3)
  t.strictSame(mute, [undefined, undefined, undefined])
})

t.test('a mistake of one sink is not the next one’s', async (t) => {
  const { bus, hub, errors } = start(t)
  const heard: number[] = []
  hub.attach({
    viewerId: 1,
    receive() {
      throw new Error('broken sink')
    }
  })
  hub.attach({ viewerId: 1, receive: (event) => heard.push(event.id) })
  bus.publish([messageEvent(1, { audience: [1] }), messageEvent(2, { audience: [1] })])
  t.strictSame(heard, [1, 2])
  t.match(errors, [{ message: 'broken sink' }, { message: 'broken sink' }])
})

t.test('writes wait while too much waits here', async (t) => {
  const { bus, hub, holds } = start(t)
  let count = 0
  hub.attach({ viewerId: 1, receive: () => count++ })
  bus.publish(range(1, 4096).map((id) => messageEvent(id, { audience: [1] })))
  t.strictSame(holds(), [0, 0])
  bus.publish(range(4097, 8192).map((id) => messageEvent(id, { audience: [1] })))
  t.strictSame(holds(), [1, 0])
  while (count < 7600) await turn()
  t.strictSame(holds(), [1, 0], 'still held above the low water')
  while (count < 8192) await turn()
  t.strictSame(holds(), [1, 1])
})

t.test('attaching gives back its undo', async (t) => {
  const { bus, hub } = start(t)
  const heard: string[] = []
  const first = hub.attach({ viewerId: 1, receive: () => heard.push('first') })
  const second = hub.attach({ viewerId: 1, receive: () => heard.push('second') })
  t.equal(hub.size(), 2)
  first()
  first()
  t.equal(hub.size(), 1)
  bus.publish([messageEvent(1, { audience: [1] })])
  second()
  t.equal(hub.size(), 0)
  hub.attach({ viewerId: 1, receive: () => heard.push('third') })
  second()
  await turn()
  bus.publish([messageEvent(2, { audience: [1] })])
  t.strictSame(heard, ['second', 'third'])
})

t.test('a closed hub gives nothing out and holds nothing back', async (t) => {
  const { bus, hub, holds } = start(t)
  let count = 0
  hub.attach({ viewerId: 1, receive: () => count++ })
  bus.publish(range(1, 5000).map((id) => messageEvent(id, { audience: [1] })))
  const before = count
  hub.close()
  await turn()
  bus.publish([messageEvent(5001, { audience: [1] })])
  await turn()
  t.equal(count, before)
  t.strictSame(holds(), [1, 1])
})

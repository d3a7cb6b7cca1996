import fc from 'fast-check'
import t from 'tap'
import { Outbox, Seen, sliceMember, type Line } from '../../sdk/src/index.ts'

const json = fc.jsonValue({ maxDepth: 4 })
/** Space as JSON allows it between its parts. */
const space = fc.constantFrom('', ' ', '\n', '\t', '\r\n  ')
const key = fc.oneof(
  fc.constantFrom('payload', 'type', 'meta', 'a"b', '\\', '', 'payload ', '{', '}', ':', ','),
  fc.string()
)

t.test('sliceMember finds what JSON.parse finds, exactly as it was written', async () => {
  const members = fc.array(fc.tuple(key, json, space, space, space), { maxLength: 6 })
  fc.assert(
    fc.property(members, space, fc.boolean(), (list, around, isPretty) => {
      const texts = list.map(([, value]) => JSON.stringify(value, null, isPretty ? 2 : 0))
      const parts = list.map(([name, , a, b, c], n) => `${a}${JSON.stringify(name)}${b}:${c}${texts[n]}${a}`)
      const text = `${around}{${parts.join(',')}${around}}${around}`
      for (const [name] of list) {
        // A key that is written with escapes is not found, and says so.
        const found = sliceMember(text, name)
        if (JSON.stringify(name) !== `"${name}"`) continue
        const last = list.findLastIndex(([other]) => other === name)
        if (found !== texts[last]) throw new Error(`${name}: ${found} instead of ${texts[last]}`)
      }
      return sliceMember(text, 'not there at all') === undefined
    }),
    { numRuns: 2000 }
  )
})

t.test('sliceMember keeps the digits of numbers', async (t) => {
  t.equal(
    sliceMember('{"payload": {"id":12345678901234567890123,"x":1e400} }', 'payload'),
    '{"id":12345678901234567890123,"x":1e400}'
  )
  t.equal(sliceMember('{"a":{"payload":1},"payload":2,"payload":[3]}', 'payload'), '[3]')
  t.equal(sliceMember('{"a":"\\\\","payload":"x\\"}"}', 'payload'), '"x\\"}"')
})

t.test('Seen knows exactly what was added within its time, and forgets in the end', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), id: fc.integer({ min: 0, max: 20 }) }),
    fc.record({ kind: fc.constant('forget' as const), id: fc.integer({ min: 0, max: 20 }) }),
    fc.record({ kind: fc.constant('wait' as const), id: fc.integer({ min: 0, max: 700_000 }) })
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = 0
      const seen = new Seen(() => now)
      const addedAt = new Map<number, number>()
      for (const { kind, id } of steps) {
        const name = Seen.keyOf(id, 'x')
        if (kind === 'wait') now += id
        else if (kind === 'forget') {
          seen.forget(name)
          addedAt.delete(id)
        } else {
          seen.add(name)
          // Some are being worked on for ever, some are done, some have a note.
          if (id % 3 > 0) seen.done(name, id % 3 === 1 ? { queued: id } : undefined)
          addedAt.set(id, now)
        }
        for (const [other, at] of addedAt) if (now - at <= 600_000 && !seen.find(Seen.keyOf(other, 'x'))) return false
      }
      return !seen.find(Seen.keyOf(99, 'x'))
    }),
    { numRuns: 500 }
  )
})

t.test('Seen has an end, and tells ids from contents', async (t) => {
  const seen = new Seen(() => 0)
  for (let n = 0; n < 50_000; n++) {
    seen.add(Seen.keyOf(n, ''))
    if (n > 49_980) t.strictSame(seen.find(Seen.keyOf(n, '')), { isDone: false, note: undefined })
    const note = n % 10 === 0 ? { queued: n } : undefined
    seen.done(Seen.keyOf(n, ''), note)
    if (n > 49_980) t.strictSame(seen.find(Seen.keyOf(n, '')), { isDone: true, note })
  }
  t.ok(seen.find(Seen.keyOf(49_999 - 4095, '')), 'the last ones are known')
  t.notOk(seen.find(Seen.keyOf(0, '')), 'the first ones are not')
  t.not(Seen.keyOf('a', 'b'), Seen.keyOf('a', 'c'))
  t.not(Seen.keyOf(1, 'b'), Seen.keyOf('1', 'b'))
})

t.test(
  'an Outbox gives each message to every connection, in order, until one acknowledges it or it is given up',
  async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant({ kind: 'add' as const, n: 0 }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('ack' as const), n: fc.nat(40) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('open' as const), n: fc.nat(2) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('close' as const), n: fc.nat(2) }) }
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 10 }), (steps, maxCount) => {
        const settled: string[] = []
        const outbox = new Outbox({ maxCount, repeatMs: [] })
        /** What must be waiting, oldest first. */
        let waiting: string[] = []
        let count = 0
        const open = new Map<number, { got: string[]; line: Line; leave: () => void }>()
        for (const { kind, n } of steps) {
          if (kind === 'add') {
            const id = `m${count++}`
            const before = [...open.values()].map(({ got }) => got.length)
            const taken = outbox.add(id, id, (how) => settled.push(`${id} ${how}`))
            waiting.push(id)
            if (waiting.length > maxCount) waiting = waiting.slice(1)
            if (taken.length !== open.size) return false
            if ([...open.values()].some(({ got }, place) => got.length !== (before[place] ?? 0) + 1)) return false
          } else if (kind === 'ack') {
            const wasWaiting = waiting.includes(`m${n}`)
            if (outbox.acked(`m${n}`) !== wasWaiting) return false
            waiting = waiting.filter((id) => id !== `m${n}`)
          } else if (kind === 'open' && !open.has(n)) {
            const got: string[] = []
            const line: Line = { send: (text) => got.push(text) > 0 }
            open.set(n, { got, line, leave: outbox.open(line) })
            if (got.join() !== waiting.join()) return false
          } else if (kind === 'close') {
            open.get(n)?.leave()
            open.delete(n)
          }
          if (outbox.size !== waiting.length || outbox.oldest !== waiting[0]) return false
        }
        outbox.close()
        // Each is settled once or still waited.
        return (
          new Set(settled.map((one) => one.split(' ')[0])).size === settled.length &&
          settled.length + waiting.length === count
        )
      }),
      { numRuns: 1000 }
    )
  }
)

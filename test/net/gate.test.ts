import t from 'tap'
import type { Frame } from '../../src/net/frame.ts'
import { createFrame } from '../../src/net/frame.ts'
import { createGate, type Gate } from '../../src/net/gate.ts'
import { messageEvent } from '../helpers/events.ts'

function setUp(capacity = 1000): { gate: Gate; sent: string[]; pass: (...ids: number[]) => void } {
  const sent: string[] = []
  const gate = createGate((frame: Frame) => sent.push(frame.text), capacity)
  const pass = (...ids: number[]): void => {
    for (const id of ids) gate.pass(messageEvent(id), createFrame(`${id}`))
  }
  return { gate, sent, pass }
}

/** A promise to be kept when the test says so. */
function later(): { promise: Promise<void>; keep: () => void } {
  let keep = (): void => {}
  const promise = new Promise<void>((resolve) => (keep = resolve))
  return { promise, keep }
}

t.test('an open gate lets events through', async (t) => {
  const { gate, sent, pass } = setUp()
  pass(1, 2)
  t.strictSame(sent, ['1', '2'])
  t.equal(gate.isOpen(), true)
})

t.test('what comes while the old is sent comes after it, but not what the old held already', async (t) => {
  const { gate, sent, pass } = setUp()
  const { promise, keep } = later()
  const done = gate.catchUp(async () => {
    await promise
    sent.push('old 3')
    return (event) => event.id <= 3
  })
  pass(3, 4)
  t.equal(gate.isOpen(), false)
  t.strictSame(sent, [])
  keep()
  await done
  t.strictSame(sent, ['old 3', '4'])
})

t.test('what the hub gives only after the old was sent is not sent twice', async (t) => {
  const { gate, sent, pass } = setUp()
  await gate.catchUp(async () => (event) => event.id <= 3)
  pass(2, 3, 4)
  t.strictSame(sent, ['4'])
})

t.test('when more comes than can be kept, the log is asked again and nothing is left out', async (t) => {
  const { gate, sent, pass } = setUp(2)
  let end = 0
  let reads = 0
  await gate.catchUp(async () => {
    reads++
    if (reads === 1) pass(1, 2, 3)
    if (reads === 2) pass(4)
    const from = end
    end = 3
    for (let id = from + 1; id <= end; id++) sent.push(`${id}`)
    return (event) => event.id <= end
  })
  t.strictSame(sent, ['1', '2', '3', '4'])
  t.equal(reads, 2)
})

t.test('a reading that fails opens the gate again', async (t) => {
  const { gate, sent, pass } = setUp()
  await t.rejects(
    gate.catchUp(() => Promise.reject(new Error('the disk is gone'))),
    { message: 'the disk is gone' }
  )
  t.equal(gate.isOpen(), true)
  pass(1)
  t.strictSame(sent, ['1'])
})

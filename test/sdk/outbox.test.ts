import t from 'tap'
import { Outbox, type Line } from '../../sdk/src/index.ts'
import { waitFor } from '../helpers/wait.ts'

function createLine(): Line & { readonly heard: string[]; busy: boolean } {
  const line = {
    heard: [] as string[],
    busy: false,
    send: (text: string) => line.heard.push(text) > 0,
    isBusy: () => line.busy
  }
  return line
}

t.test('what is for the others does not come back to its sender, neither at once nor late', async (t) => {
  let repeats = 0
  const outbox = new Outbox({ repeatMs: [10], maxTriesUnheard: Infinity, onRepeat: () => repeats++ })
  t.teardown(() => outbox.close())
  const [sender, other] = [createLine(), createLine()]
  outbox.open(sender)
  const leave = outbox.open(other)
  t.strictSame(outbox.add('a', 'text', undefined, sender), [other])
  await waitFor(() => other.heard.length > 2)
  leave()
  const before = repeats
  outbox.add('b', 'for all')
  await waitFor(() => sender.heard.length > 2)
  t.notOk(sender.heard.includes('text'))
  t.ok(repeats > before)
  outbox.open(sender)
  t.notOk(sender.heard.includes('text'))
  const late = createLine()
  outbox.open(late)
  t.strictSame(late.heard, ['text', 'for all'])
})

t.test('nothing is repeated to a connection that has not taken what it was sent', async (t) => {
  const outbox = new Outbox({ repeatMs: [10], maxTriesUnheard: Infinity })
  t.teardown(() => outbox.close())
  const [slow, quick] = [createLine(), createLine()]
  outbox.open(slow)
  outbox.open(quick)
  slow.busy = true
  outbox.add('a', 'text')
  await waitFor(() => quick.heard.length > 3)
  t.strictSame(slow.heard, ['text'])
  slow.busy = false
  await waitFor(() => slow.heard.length > 1)
})

t.test('who answers and never acknowledges is told once, and more than once only while it is silent', async (t) => {
  let now = 0
  const settled: string[] = []
  const outbox = new Outbox({ repeatMs: [1000], now: () => now })
  t.teardown(() => outbox.close())
  const line = createLine()
  outbox.open(line)
  now = 10
  outbox.add('a', 'heard', (how) => settled.push(`a ${how}`))
  now = 20
  outbox.spoke()
  now = 30
  outbox.add('b', 'not yet heard', (how) => settled.push(`b ${how}`))
  t.strictSame(settled, [], 'it may acknowledge yet')
  now = 1015
  await waitFor(() => settled.length === 1)
  t.strictSame(settled, ['a acked'])
  now = 1040
  await waitFor(() => line.heard.length > 2)
  t.strictSame(line.heard, ['heard', 'not yet heard', 'not yet heard'], 'what it has said nothing since comes again')
})

t.test('who acknowledges is told again what it has not acknowledged, whatever else it says', async (t) => {
  const outbox = new Outbox({ repeatMs: [10], maxTriesUnheard: Infinity })
  t.teardown(() => outbox.close())
  const line = createLine()
  outbox.open(line)
  outbox.add('a', 'first')
  outbox.acked('a')
  outbox.add('b', 'second')
  outbox.spoke()
  await waitFor(() => line.heard.filter((text) => text === 'second').length > 2)
})

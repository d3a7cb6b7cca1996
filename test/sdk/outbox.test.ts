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

import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { createTurnstile } from '../../src/net/turnstile.ts'

const spend = (ms: number): void => {
  for (const end = performance.now() + ms; performance.now() < end;);
}

t.test('lets everybody through, one after the other', async (t) => {
  const { pass } = createTurnstile()
  let inside = 0
  const seen = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      pass(async () => {
        t.equal(++inside, 1)
        await Promise.resolve()
        inside--
        return index
      })
    )
  )
  t.strictSame(
    seen,
    Array.from({ length: 100 }, (_, index) => index)
  )
  await t.rejects(
    pass(() => Promise.reject(new Error('no'))),
    { message: 'no' }
  )
  t.equal(await pass(async () => 'and goes on'), 'and goes on')
})

t.test('lets the event loop go round between many, and between one that comes again and again', async (t) => {
  const { pass } = createTurnstile(2)
  let turns = 0
  let isOver = false
  const counting = (async () => {
    for (; !isOver; turns++) await nextTurn()
  })()
  await Promise.all(Array.from({ length: 20 }, () => pass(async () => spend(1))))
  t.ok(turns >= 5, `${turns} turns`)
  turns = 0
  for (let count = 0; count < 20; count++) await pass(async () => spend(1))
  t.ok(turns >= 5, `${turns} turns`)
  isOver = true
  await counting
})

import t from 'tap'
import { PAUSES_S, parseRetryAfter, pauseAfter } from '../../src/net/delivery-schedule.ts'

t.test('each pause lies within a fifth of what is promised, and after the last try there is none', async (t) => {
  const promised = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
  t.strictSame([...PAUSES_S], promised)
  for (const [index, seconds] of promised.entries()) {
    for (const share of [0, 0.25, 0.5, 1]) {
      const pause = pauseAfter(index + 1, () => share) ?? 0
      t.ok(pause >= seconds * 0.8 && pause <= seconds * 1.2, `${pause} after try ${index + 1}`)
    }
    t.equal(
      pauseAfter(index + 1, () => 0.5),
      seconds
    )
  }
  t.equal(
    pauseAfter(promised.length + 1, () => 0.5),
    undefined
  )
})

t.test('Retry-After in seconds, as a date, and as nonsense', async (t) => {
  const now = 1_700_000_000
  const rows: [value: string | undefined, seconds: number][] = [
    ['120', 120],
    [' 7 ', 7],
    ['0', 0],
    ['99999999', 86_400],
    [new Date((now + 90) * 1000).toUTCString(), 90],
    [new Date((now - 90) * 1000).toUTCString(), 0],
    ['-5', 0],
    ['soon', 0],
    ['', 0],
    [undefined, 0]
  ]
  for (const [value, seconds] of rows) t.equal(parseRetryAfter(value, now), seconds, `"${value}"`)
})

import t from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import { createGuesses, type Guesses } from '../../src/core/guesses.ts'
import { refusal } from '../suites/store.ts'

const wrong = async (): Promise<undefined> => undefined
const right = async (): Promise<string> => 'you'
const limited = (retryAfterMs: number): ActionError => new ActionError('rate_limited', '', { retryAfterMs })

function start(max = 3): { guesses: Guesses; clock: { time: number } } {
  const clock = { time: 1_800_000_000 }
  return { clock, guesses: createGuesses({ max, windowS: 600, now: () => clock.time }) }
}

t.test('a name can be guessed at a few times, then not until the oldest failure is long ago', async (t) => {
  const { guesses, clock } = start()
  for (let count = 0; count < 3; count++) {
    t.equal(await guesses.guard('alice', wrong), undefined)
    clock.time += 100
  }
  await t.rejects(guesses.guard('alice', right), limited(300_000), 'even the right one')
  t.equal(await guesses.guard('bob', right), 'you', 'others are not their concern')
  clock.time += 299
  await t.rejects(guesses.guard('alice', right), limited(1000))
  clock.time += 1
  t.equal(await guesses.guard('alice', wrong), undefined, 'one is ten minutes ago')
  await t.rejects(guesses.guard('alice', right), limited(100_000), 'the others are not')
})

t.test('a right one clears the name', async (t) => {
  const { guesses } = start()
  for (let round = 0; round < 3; round++) {
    for (let count = 0; count < 2; count++) await guesses.guard('alice', wrong)
    t.equal(await guesses.guard('alice', right), 'you')
  }
})

t.test('many at once are no more guesses than one after the other', async (t) => {
  const { guesses } = start()
  let checked = 0
  const count = async (): Promise<undefined> => void checked++
  const ends = await Promise.all(Array.from({ length: 50 }, () => refusal(guesses.guard('alice', count))))
  t.equal(ends.filter((end) => end === 'rate_limited').length, 47)
  t.equal(checked, 3)
})

t.test('a check that broke is no guess', async (t) => {
  const { guesses } = start()
  const broken = async (): Promise<undefined> => {
    throw new Error('the database is away')
  }
  for (let count = 0; count < 10; count++)
    await t.rejects(guesses.guard('alice', broken), { message: 'the database is away' })
  t.equal(await guesses.guard('alice', right), 'you')
})

t.test('of more names than can be remembered the ones that failed longest ago are forgotten', async (t) => {
  const { guesses } = start(1)
  await guesses.guard('first', wrong)
  for (let index = 0; index < 19_999; index++) await guesses.guard(`name ${index}`, wrong)
  t.equal(await refusal(guesses.guard('first', wrong)), 'rate_limited')
  await guesses.guard('one too many', wrong)
  t.equal(await refusal(guesses.guard('name 0', wrong)), 'rate_limited')
  t.equal(await guesses.guard('first', right), 'you')
})

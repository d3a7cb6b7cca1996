import t from 'tap'
import { ActionError } from '../../src/core/errors.ts'
import { createGuesses, type Guesses, type GuessesOptions } from '../../src/core/guesses.ts'
import { refusal } from '../suites/store.ts'

const MINUTE = 60_000
const wrong = async (): Promise<undefined> => undefined
const right = async (): Promise<string> => 'you'
const limited = (retryAfterMs: number): ActionError => new ActionError('rate_limited', '', { retryAfterMs })

function start(limits: Partial<GuessesOptions> = {}): { guesses: Guesses; clock: { ms: number } } {
  const clock = { ms: 5_000_000 }
  return {
    clock,
    guesses: createGuesses({ perAddress: 5, perName: 3, windowMs: MINUTE, ticks: () => clock.ms, ...limits })
  }
}

/** So many different addresses guess at the name once each. */
async function guessFromAfar(guesses: Guesses, name: string, times: number): Promise<void> {
  for (let index = 0; index < times; index++) await guesses.guard({ address: `10.0.${index}.1`, name }, wrong)
}

t.test('an address can fail a few times, then not until the oldest failure is long ago', async (t) => {
  const { guesses, clock } = start({ perAddress: 3 })
  const address = '192.0.2.1'
  for (const name of ['alice', 'bob', 'carol']) {
    t.equal(await guesses.guard({ address, name }, wrong), undefined)
    clock.ms += 10_000
  }
  await t.rejects(guesses.guard({ address, name: 'dave' }, right), limited(30_000), 'even the right one')
  await t.rejects(guesses.guard({ address }, right), limited(30_000), 'and where nobody is named')
  t.equal(await guesses.guard({ address: '192.0.2.2', name: 'dave' }, right), 'you', 'others are not their concern')
  clock.ms += 29_999
  await t.rejects(guesses.guard({ address, name: 'alice' }, right), limited(1))
  clock.ms += 1
  t.equal(await guesses.guard({ address, name: 'alice' }, wrong), undefined, 'one is a minute ago')
  await t.rejects(guesses.guard({ address, name: 'alice' }, right), limited(10_000), 'the others are not')
})

t.test('a name can be guessed at a few times from all strange addresses together', async (t) => {
  const { guesses, clock } = start()
  await guessFromAfar(guesses, 'alice', 3)
  await t.rejects(guesses.guard({ address: '10.9.9.9', name: 'alice' }, right), limited(MINUTE))
  t.equal(await guesses.guard({ address: '10.9.9.9', name: 'bob' }, right), 'you')
  clock.ms += MINUTE
  t.equal(await guesses.guard({ address: '10.9.9.9', name: 'alice' }, right), 'you')
})

t.test('strangers do not lock a name out from where it has come in before', async (t) => {
  const { guesses } = start()
  const home = { address: '192.0.2.1', name: 'alice' }
  await guesses.guard(home, right)
  await guessFromAfar(guesses, 'alice', 3)
  t.equal(await refusal(guesses.guard({ ...home, address: '192.0.2.2' }, right)), 'rate_limited')
  t.equal(await guesses.guard(home, right), 'you')
  for (let count = 0; count < 3; count++) await guesses.guard(home, wrong)
  t.equal(await refusal(guesses.guard(home, right)), 'rate_limited', 'which has an end too')
  t.equal(await guesses.guard({ ...home, name: 'bob' }, right), 'you', 'and is its own alone')
})

t.test('coming in is no failure, and makes none undone', async (t) => {
  const { guesses } = start()
  const home = { address: '192.0.2.1', name: 'alice' }
  for (let count = 0; count < 50; count++) t.equal(await guesses.guard(home, right), 'you')
  for (let count = 0; count < 5; count++) {
    await guesses.guard({ ...home, name: `victim ${count}` }, wrong)
    if (count < 4) await guesses.guard(home, right)
  }
  t.equal(await refusal(guesses.guard({ ...home, name: 'one more' }, right)), 'rate_limited')
})

t.test('many at once are no more guesses than one after the other', async (t) => {
  const { guesses } = start()
  let checked = 0
  const count = async (): Promise<undefined> => void checked++
  const ends = await Promise.all(
    Array.from({ length: 50 }, () => refusal(guesses.guard({ address: '192.0.2.1', name: 'alice' }, count)))
  )
  t.equal(ends.filter((end) => end === 'rate_limited').length, 47)
  t.equal(checked, 3)
})

t.test('a check that broke is no guess', async (t) => {
  const { guesses } = start()
  const home = { address: '192.0.2.1', name: 'alice' }
  const broken = async (): Promise<undefined> => {
    throw new Error('the database is away')
  }
  for (let count = 0; count < 10; count++)
    await t.rejects(guesses.guard(home, broken), { message: 'the database is away' })
  t.equal(await guesses.guard(home, right), 'you')
})

t.test('of more than can be remembered those that failed longest ago are forgotten', async (t) => {
  const { guesses } = start({ perAddress: 1 })
  await guesses.guard({ address: 'first' }, wrong)
  for (let index = 0; index < 19_999; index++) await guesses.guard({ address: `address ${index}` }, wrong)
  t.equal(await refusal(guesses.guard({ address: 'first' }, wrong)), 'rate_limited')
  await guesses.guard({ address: 'one too many' }, wrong)
  t.equal(await refusal(guesses.guard({ address: 'address 0' }, wrong)), 'rate_limited')
  t.equal(await guesses.guard({ address: 'first' }, right), 'you')
})
